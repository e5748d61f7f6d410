"""Processes, watched by their ids: CPU, memory and descriptors of the server's, of ours and of those that are named.

A process id alone says little: ids are used again. A process is known by its id and its start mark together. One that ended
and was started anew is followed: it is whoever runs the same command for the same user, and began after the other was last
seen. All is read from /proc, as little of it as will do: with psutil a sample of a server with 40 sessions took three times
as long. Where there is no /proc no process is measured, and that is noted.
"""

import os
import resource
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, NamedTuple

from integrity.errors import UsageError, quote
from integrity.monitor.sample import ProcessSample
from integrity.numbers import read_integer

OWN = "integrity"
SERVER = "database"
"""What our own process, and the server's, are called in samples."""

PID_MOST = 2**31 - 1
BACKEND_START_S_MOST = 5.0  # a backend notes its start a moment after the process begins; boot time is known to a second

_GONE = (FileNotFoundError, ProcessLookupError)
_BOOT_CLOCK = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)  # without the former there is no /proc either
_TICKS_PER_S = os.sysconf("SC_CLK_TCK")
_PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")

# Fields of /proc/PID/stat behind the name (proc(5) counts from 1 and from the pid on: these and 3).
_STATE, _PARENT, _CPU, _CPU_OF_ENDED_CHILDREN, _START = 0, 1, slice(11, 13), slice(13, 15), 19


@dataclass(frozen=True, slots=True)
class Process:
    """A process to watch.

    Args:
        name: what it is called in samples, e.g. "database".
        has_children: its children and theirs are counted with it.
        is_followed: what is started in its place when it has ended is watched on, as a restart.
        others: gives the ids of others that are counted with it.
    """

    name: str
    pid: int
    has_children: bool = True
    is_followed: bool = True
    others: Callable[[], Sequence[int]] = tuple


def start_mark(pid: int) -> str | None:
    """Return what tells this process from any other that ever has its id on this machine; None when it is not running.

    The kernel's boot and its clock tick at the start: unlike a time of day it does not move when the clock is set.
    """
    try:
        fields = _read_stat(pid)[1]
        boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    except OSError:
        return None
    if fields[_STATE] in ("Z", "X"):  # it ended, and nobody has asked for its exit code yet
        return None
    return f"{boot}:{fields[_START]}"


def parse_process(text: str) -> Process:
    """Return the process that PID or NAME=PID names.

    Raises:
        UsageError: not a number, or no such process.
    """
    name, _, number = text.rpartition("=")
    try:
        pid = read_integer(number, least=1, most=PID_MOST)
    except ValueError:
        raise UsageError(f"--process {quote(text)}: no process id", hint="Give PID or NAME=PID, e.g. app=4711.") from None
    if start_mark(pid) is None:
        raise UsageError(f"--process {quote(text)}: there is no process {pid}", hint="List them with: ps aux")
    return Process(name or _read_stat(pid)[0], pid)


def find_server(facts: Mapping[str, Any]) -> Process | None:
    """Return the server that the facts of a database are of, when it runs on this machine; else None.

    Our session's process is a child of the server's. A number alone may be another machine's or container's: the process
    must be PostgreSQL's and have begun when the session did.
    """
    try:
        fields = _read_stat(facts["backend_pid"])[1]
        parent = int(fields[_PARENT])
        began_s = _boot_time_s() + int(fields[_START]) / _TICKS_PER_S
        is_ours = _read_stat(parent)[0].startswith("postgres")
    except OSError:
        return None
    if not is_ours or abs(began_s - facts["backend_started_s"]) > BACKEND_START_S_MOST:
        return None
    return Process(SERVER, parent, is_followed=False)  # a session of a new one tells of it


class _Used(NamedTuple):
    cpu_s: float
    rss_bytes: int
    own_bytes: int


@dataclass(slots=True)
class KnownProcess:
    """A process as it is known by now; of one that is watched again and again, each watch goes on from the one before.

    Args:
        command: its words and its user, by which what is started in its place is known; None: nothing is.
        seen_s: when it was last seen, by the clock that the starts of processes are counted by.
        restarts: in this watch.
        was_gone: it had ended in an earlier watch, which told it; what is started in its place then is no restart.
    """

    process: Process
    mark: str | None
    command: tuple[bytes, int] | None
    seen_s: float
    restarts: int = 0
    was_gone: bool = False
    is_begun: bool = False

    @classmethod
    def of(cls, process: Process) -> "KnownProcess":
        """Return what is known of a process that runs now."""
        command = _command(process.pid) if process.is_followed else None
        return cls(process, start_mark(process.pid), command, _since_boot_s())

    def begin(self) -> "KnownProcess":
        """Return itself as the next watch begins with it."""
        self.was_gone = self.was_gone or (self.is_begun and self.mark is None)
        self.restarts, self.is_begun = 0, True
        return self


class ProcessWatch:
    """Takes samples of processes. Used by one thread at a time.

    Args:
        known: those that are watched again and again, by name; a process that is new to it is added.
    """

    def __init__(self, processes: Iterable[Process], known: dict[str, KnownProcess] | None = None) -> None:
        self._processes: dict[str, KnownProcess] = {}
        self._last: dict[str, tuple[float, float]] = {}
        self._cores = os.cpu_count() or 1
        known = {} if known is None else known
        for process in processes:
            each = known[process.name] = known.get(process.name) or KnownProcess.of(process)
            self._processes[process.name] = each.begin()

    def add(self, process: Process) -> None:
        """Watch one more, in place of another of its name."""
        self._processes[process.name] = KnownProcess.of(process)
        self._last.pop(process.name, None)

    def sample(self, *, is_full: bool) -> list[ProcessSample]:
        """Return a sample of each process; with `is_alive` false and no figures when it has ended.

        Args:
            is_full: with descriptors, which cost a look at each.
        """
        return [self._sample(watched, is_full=is_full) for watched in self._processes.values()]

    def _sample(self, watched: KnownProcess, *, is_full: bool) -> ProcessSample:
        looked_s, was_pid = _since_boot_s(), watched.process.pid
        if watched.mark is None or start_mark(was_pid) != watched.mark:
            self._follow(watched)
        process = watched.process
        found: ProcessSample = {"name": process.name, "pid": process.pid, "is_alive": False}
        if watched.restarts:
            found["restarts"] = watched.restarts
            if process.pid != was_pid:
                found["was_pid"] = was_pid
        if watched.was_gone:
            found["was_gone"] = True
        if watched.mark is None:
            return found
        watched.seen_s = looked_s
        pids = [process.pid, *(_descendants(process.pid) if process.has_children else ()), *process.others()]
        try:
            measured = _measure(pids, has_children=process.has_children)
        except _GONE:
            return found
        now_s = time.monotonic()
        last = self._last.get(process.name)
        # Of a child that has ended and was not waited for yet nobody has the time: its parent has it a moment later.
        is_whole = last is None or measured.cpu_s >= last[1]
        if is_whole:
            self._last[process.name] = (now_s, measured.cpu_s)
        found = {
            **found,
            "is_alive": True,
            "processes": len(pids),
            "cpu_s": measured.cpu_s,
            "rss_bytes": measured.rss_bytes,
            "own_bytes": measured.own_bytes,
        }
        if last is not None and is_whole and now_s > last[0]:
            share = (measured.cpu_s - last[1]) / (now_s - last[0]) / self._cores
            found["cpu_share"] = round(min(1.0, share), 4)  # the clock of ticks is coarse, and a last interval short
        if is_full:
            count, share = _count_descriptors(pids)
            if count:
                found["descriptors"], found["descriptors_share"] = count, share
            if (kills := _count_oom_kills(process.pid)) is not None:
                found["oom_kills"] = kills
        return found

    def _follow(self, watched: KnownProcess) -> None:
        """Take what was started in place of a process that has ended for it, if anything was."""
        watched.mark = None
        pid = _find_successor(watched.command, after_s=watched.seen_s) if watched.command is not None else None
        mark = start_mark(pid) if pid is not None else None
        if pid is None or mark is None:
            return
        watched.process, watched.mark = replace(watched.process, pid=pid), mark
        watched.restarts += not watched.was_gone
        watched.was_gone = False
        self._last.pop(watched.process.name, None)


def _since_boot_s() -> float:
    return time.clock_gettime(_BOOT_CLOCK)


def _command(pid: int) -> tuple[bytes, int] | None:
    """Return the words that a process was started with, and its user; None: it has ended, or is the kernel's."""
    try:
        words, user = _read(f"/proc/{pid}/cmdline"), os.stat(f"/proc/{pid}").st_uid  # noqa: PTH116
    except OSError:
        return None
    return (words, user) if words else None


def _find_successor(command: tuple[bytes, int], *, after_s: float) -> int | None:
    """Return which process runs the command and began then or later; of several the first, which started the others."""
    found: list[tuple[int, int]] = []
    for name in os.listdir("/proc"):  # noqa: PTH208
        if name.isdecimal() and _command(int(name)) == command:
            with suppress(*_GONE):
                fields = _read_stat(int(name))[1]
                began = int(fields[_START])
                if fields[_STATE] not in ("Z", "X") and (began + 1) / _TICKS_PER_S >= after_s:
                    found.append((began, int(name)))
    return min(found)[1] if found else None


def _read_stat(pid: int) -> tuple[str, list[str]]:
    """Return the process's name and the fields behind it; the name may hold blanks and brackets."""
    before, _, after = _read(f"/proc/{pid}/stat").decode(errors="replace").rpartition(")")
    return before.partition("(")[2], after.split()


def _read(path: str) -> bytes:
    """Return a small file of /proc; a file object would cost twice as much."""
    file = os.open(path, os.O_RDONLY)
    try:
        return os.read(file, 1 << 16)
    finally:
        os.close(file)


def _boot_time_s() -> int:
    line = next(line for line in Path("/proc/stat").read_text().splitlines() if line.startswith("btime "))
    return int(line.split()[1])


def _descendants(pid: int) -> list[int]:
    """Return the ids of the process's children and theirs; those that end meanwhile may be missing."""
    found: list[int] = []
    ahead = [pid]
    while ahead:
        folder = f"/proc/{ahead.pop()}/task"
        with suppress(*_GONE):
            for thread in os.listdir(folder):  # noqa: PTH208 - a Path for each of many small reads costs as much again
                with suppress(*_GONE):
                    children = [int(child) for child in _read(f"{folder}/{thread}/children").split()]
                    found += children
                    ahead += children
    return found


def _measure(pids: list[int], *, has_children: bool) -> _Used:
    """Return CPU seconds and resident memory of processes together; the first is the ancestor of the others.

    A child that ended is in its parent's times from then on, so the sum never falls. Memory that several share, as a
    server's buffers, counts once: as much as the one that has touched most of it.
    """
    ticks, own_pages, shared_pages = 0, 0, 0
    for number, pid in enumerate(pids):
        try:
            fields = _read_stat(pid)[1]
            _, resident, shared = map(int, _read(f"/proc/{pid}/statm").split()[:3])
        except _GONE:
            if number == 0:
                raise
            continue
        ticks += sum(map(int, fields[_CPU])) + (sum(map(int, fields[_CPU_OF_ENDED_CHILDREN])) if has_children else 0)
        own_pages += resident - shared
        shared_pages = max(shared_pages, shared)
    return _Used(round(ticks / _TICKS_PER_S, 3), (own_pages + shared_pages) * _PAGE_BYTES, max(0, own_pages) * _PAGE_BYTES)


def _count_oom_kills(pid: int) -> int | None:
    """Return how many processes of its cgroup the kernel has ended for want of memory; None: it does not say."""
    try:
        groups = _read(f"/proc/{pid}/cgroup").decode().splitlines()
        group = next(line.partition("::")[2] for line in groups if line.startswith("0::"))
        events = _read(f"/sys/fs/cgroup{group.rstrip('/')}/memory.events").decode().split()
    except (OSError, StopIteration):
        return None
    counts = dict(zip(events[::2], events[1::2], strict=False))
    return int(counts["oom_kill"]) if "oom_kill" in counts else None


def _count_descriptors(pids: list[int]) -> tuple[int, float]:
    """Return descriptors in use, 0 if that may not be asked; and of the process nearest to its own limit, how near."""
    count, share = 0, 0.0
    for pid in pids:
        try:
            used = len(os.listdir(f"/proc/{pid}/fd"))  # noqa: PTH208
            most = resource.prlimit(pid, resource.RLIMIT_NOFILE)[0]
        except (PermissionError, *_GONE):
            continue
        count += used
        share = max(share, used / most if most > 0 else 0.0)
    return count, round(share, 4)
