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
from collections.abc import Iterator
from contextlib import suppress
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
        self._guests: set[int] = set()  # backends of others' connections
        self._companions: dict[int, bool] = {}  # processes that are followed -> with their children
        self._is_kept = False
        self._core: set[int] = set()
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

    def add_sibling(self, pid: int) -> None:
        """Add the backend of somebody else's connection, if the same server has forked it as one that was added."""
        if self._is_sibling(pid):
            self._guests.add(pid)
            if self._is_kept:
                _go(pid, self._core)

    def accompany(self, pid: int, *, with_children: bool) -> None:
        """Have a process of ours come along, with the threads that it has and starts."""
        if self._cores:
            self._companions[pid] = with_children

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
            self._core = {_current_core()}
            self._move(self._core)

    def release(self) -> None:
        """Let the calling thread run where the kernel likes."""
        if self._is_kept:
            self._is_kept = False
            os.sched_setaffinity(0, self._cores)

    def close(self) -> None:
        """Let the calling thread, and who came along, run where the kernel likes; backends end with their connections."""
        self.release()
        self._go_along(self._cores)
        self._companions.clear()

    def _is_sibling(self, pid: int) -> bool:
        return bool(self._backends) and 0 < _parent_of(pid) == _parent_of(self._backends[0])

    def _go_along(self, cores: set[int]) -> None:
        for pid, with_children in self._companions.items():
            for thread in _threads_of(pid, with_children=with_children):
                _go(thread, cores)

    def _move(self, core: set[int]) -> None:
        os.sched_setaffinity(0, core)
        self._go_along(core)
        for pid in list(self._guests):
            if not self._is_sibling(pid) or not _go(pid, core):
                self._guests.remove(pid)
        for pid in list(self._backends):
            if not _go(pid, core):  # it runs as another user, or is gone
                self._backends.remove(pid)


def _go(pid: int, cores: set[int]) -> bool:
    """Have a thread run there; return whether it is there still, and may be moved."""
    try:
        os.sched_setaffinity(pid, cores)
    except (PermissionError, ProcessLookupError):
        return False
    return True


def _threads_of(pid: int, *, with_children: bool) -> Iterator[int]:
    """Yield the threads of a process, and of its children."""
    for task in Path(f"/proc/{pid}/task").glob("*"):
        yield int(task.name)
        if with_children:
            with suppress(OSError):
                for child in (task / "children").read_text(encoding="ascii").split():
                    yield from _threads_of(int(child), with_children=True)


def _parent_of(pid: int) -> int:
    """Return a process's parent; 0: it is not here, or gone."""
    try:
        return int(_stat(f"/proc/{pid}/stat")[_PARENT_FIELD])
    except OSError:
        return 0


def _is_child_of_listener(pid: int, descriptor: int) -> bool:
    """Return whether the process was forked by the one that listens at the other end of a Unix socket.

    So a server elsewhere, whose pids mean nothing here, is never taken for one of ours.
    """
    with socket.socket(fileno=os.dup(descriptor)) as end:
        if end.family != socket.AF_UNIX:
            return False
        listener: int = _CREDENTIALS.unpack(end.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _CREDENTIALS.size))[0]
    return listener > 0 and _parent_of(pid) == listener


def _current_core() -> int:
    return int(_stat("/proc/thread-self/stat")[_PROCESSOR_FIELD])


def _stat(path: str) -> list[str]:
    """Return the fields behind the command's name, which may hold spaces and parentheses."""
    return Path(path).read_text(encoding="utf-8", errors="replace").rpartition(")")[2].split()
