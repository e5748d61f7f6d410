"""The command `integrity`, and `python -m integrity`.

Next to nothing is imported here: Python takes some tenths of a second to import the rest, and whoever presses Ctrl-C
meanwhile, or after the last word, is to see no traceback. An exception is no way to tell of it then: what a library does
while it is imported may swallow it, or take it for something that failed. So the process ends where it stands; there is
nothing to end in good order. In between Ctrl-C is the command's own matter.
"""

import os
import signal

INTERRUPTED = 130  # as a shell says it of SIGINT: 128 + 2; verdict.py, which has it too, is not imported yet


def main() -> None:
    """Run the command that the words of the command line say, and exit with its code."""
    is_heeded = signal.getsignal(signal.SIGINT) is signal.default_int_handler  # a shell lets its background ignore it
    if is_heeded:
        signal.signal(signal.SIGINT, _leave)
    from integrity.cli.main import main as command

    try:
        if is_heeded:
            signal.signal(signal.SIGINT, signal.default_int_handler)
        command()
    except KeyboardInterrupt:  # before the command could answer for it
        _leave()
    finally:
        if is_heeded:
            signal.signal(signal.SIGINT, _leave)


def _leave(*_: object) -> None:
    os._exit(INTERRUPTED)


if __name__ == "__main__":
    main()
