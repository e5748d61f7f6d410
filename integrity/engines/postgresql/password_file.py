"""A password file for a program that we start: libpq reads it, and nobody finds the password elsewhere.

What stands in a process's command line every user of the machine can read, and what stands in its environment goes on to
everything that it starts, into crash reports too. So the file is one in memory, without a name in any folder: the program
inherits it open, reads it through /proc, and it is gone with the last that has it.
"""

import os

_LINE_ENDS = ("\n", "\r", "\0")


def open_password_file(password: str) -> int | None:
    """Return an inheritable descriptor of a password file in memory; None: no such file can hold that password.

    It holds for whatever host and user the program asks for, as PGPASSWORD would.
    """
    if not password or any(end in password for end in _LINE_ENDS):
        return None
    # libpq takes a regular file that nobody else may read, which one in memory is once its mode says so.
    descriptor = os.memfd_create("integrity-password", 0)
    os.fchmod(descriptor, 0o600)
    escaped = password.replace("\\", "\\\\").replace(":", "\\:")
    os.write(descriptor, f"*:*:*:*:{escaped}\n".encode())
    return descriptor


def path_of(descriptor: int) -> str:
    """Return the path by which the process that has the file reads it from its start, again and again."""
    return f"/proc/self/fd/{descriptor}"
