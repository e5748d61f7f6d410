"""One core for the two ends of a conversation, where both are on this machine.

In a race only one process runs at a time: the search sends, a backend answers. Left to itself, the kernel wakes each on a
core that is idle, and waking an idle core takes longer than the statement does, above all in a virtual machine.
Measured on two virtual cores: 1.5 times as many schedules with both ends on one.

Now and then the search is let go for one schedule and everything moves to where the kernel has put it: away from a core
that others keep busy. Processes that the thread starts while it is kept inherit its core, so a search starts none.
"""

import os
import socket
import struct
import time
from pathlib import Path

_MOVE_EVERY_SECONDS = 0.5
_CREDENTIALS = struct.Struct("3i")  # pid, uid, gid
_PROCESSOR_FIELD = 36  # of /proc/PID/stat behind the name of the command, as proc(5) counts it the 39th
_PARENT_FIELD = 1


class OneCore:
    """Keeps the calling thread, and backends that serve it, on one core; without effect where a system has no affinity."""

    def __init__(self) -> None:
        # Empty where there is nothing to choose: one core, or a system without affinity.
        cores = os.sched_getaffinity(0) if hasattr(os, "sched_getaffinity") else set()
        self._cores = cores if len(cores) > 1 else set()
        self._backends: list[int] = []
        self._is_kept = False
        self._moved_at = 0.0

    def add(self, pid: int, descriptor: int) -> None:
        """Add a backend, if it can be known that it runs on this machine.

        Args:
            pid: of the backend, by what it says.
            descriptor: of the socket to it.
        """
        if self._cores and _is_child_of_listener(pid, descriptor):
            self._backends.append(pid)

    def remove(self, pid: int) -> None:
        """Remove a backend whose connection is closed: its pid may be another's soon."""
        if pid in self._backends:
            self._backends.remove(pid)

    def keep(self) -> None:
        """Go to one core, or stay there; called before each schedule."""
        if not self._backends:
            return
        now = time.monotonic()
        if self._is_kept and now - self._moved_at > _MOVE_EVERY_SECONDS:
            self.release()
        elif not self._is_kept:
            self._moved_at = now
            self._is_kept = True
            self._move({_current_core()})

    def release(self) -> None:
        """Let the calling thread run where the kernel likes."""
        if self._is_kept:
            self._is_kept = False
            os.sched_setaffinity(0, self._cores)

    def _move(self, core: set[int]) -> None:
        os.sched_setaffinity(0, core)
        for pid in list(self._backends):
            try:
                os.sched_setaffinity(pid, core)
            except (PermissionError, ProcessLookupError):  # it runs as another user, or is gone
                self._backends.remove(pid)


def _is_child_of_listener(pid: int, descriptor: int) -> bool:
    """Return whether the process was forked by the one that listens at the other end of a Unix socket.

    So a server elsewhere, whose pids mean nothing here, is never taken for one of ours.
    """
    with socket.socket(fileno=os.dup(descriptor)) as end:
        if end.family != socket.AF_UNIX:
            return False
        listener: int = _CREDENTIALS.unpack(end.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _CREDENTIALS.size))[0]
    try:
        return listener > 0 and int(_stat(f"/proc/{pid}/stat")[_PARENT_FIELD]) == listener
    except OSError:
        return False


def _current_core() -> int:
    return int(_stat("/proc/thread-self/stat")[_PROCESSOR_FIELD])


def _stat(path: str) -> list[str]:
    """Return the fields behind the command's name, which may hold spaces and parentheses."""
    return Path(path).read_text(encoding="utf-8", errors="replace").rpartition(")")[2].split()
