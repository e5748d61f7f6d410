"""Who listens at a port of this machine: the process that a run's server is, found without being named.

By /proc alone: the socket that listens, and the process that holds it. Of several that do (workers that a master forked),
the one that began first. Where it is another user's, or there is no /proc, nobody is found.
"""

import os
from contextlib import suppress
from pathlib import Path

from integrity.monitor.processes import Process, start_mark

_LISTENS = "0A"
_GONE = (FileNotFoundError, ProcessLookupError, PermissionError)


def find_listener(port: int, *, name: str) -> Process | None:
    """Return the process that listens at a port; None: it cannot be told."""
    sockets = _listening_at(port)
    holders = [pid for pid in _processes() if sockets and _holds(pid, sockets)]
    known = {pid: mark for pid in holders if (mark := start_mark(pid)) is not None}
    if not known:
        return None
    return Process(name, min(known, key=lambda pid: (int(known[pid].rpartition(":")[2]), pid)))


def _listening_at(port: int) -> set[str]:
    """Return the sockets, as links in /proc/PID/fd show them."""
    found = set()
    for table in ("tcp", "tcp6"):
        with suppress(*_GONE):
            for line in Path(f"/proc/net/{table}").read_text().splitlines()[1:]:
                fields = line.split()
                if fields[3] == _LISTENS and int(fields[1].rpartition(":")[2], 16) == port:
                    found.add(f"socket:[{fields[9]}]")
    return found


def _processes() -> list[int]:
    with suppress(*_GONE):
        return [int(name) for name in os.listdir("/proc") if name.isdecimal()]  # noqa: PTH208
    return []


def _holds(pid: int, sockets: set[str]) -> bool:
    folder = f"/proc/{pid}/fd"
    with suppress(*_GONE):
        for descriptor in os.listdir(folder):  # noqa: PTH208
            with suppress(*_GONE):
                if os.readlink(f"{folder}/{descriptor}") in sockets:  # noqa: PTH115
                    return True
    return False
