"""Stopping a run from outside: by the process that its folder names, never by a name that others may have, too.

A run is alive as long as its history is locked. Its process is the one that has the recorded id *and* began at the recorded
moment; ids are used again. It is asked to stop as Ctrl-C asks: it begins nothing new, delivers what it owes and loads its
history. Only when that takes too long is it told to end at once; its history is then loaded by the next audit.
"""

import os
import select
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from enum import StrEnum

from integrity.errors import HistoryError, UsageError, quote
from integrity.monitor.processes import start_mark
from integrity.numbers import counted
from integrity.project import Project
from integrity.runs.files import SETTINGS_FILE
from integrity.runs.folder import RunFolder
from integrity.runs.order import find_runs
from integrity.suggestion import suggest

TERMINATE_S_MOST = 10.0


class Ending(StrEnum):
    """What came of it."""

    ENDED = "ended"  # as Ctrl-C ends it, or by itself meanwhile
    TERMINATED = "terminated"  # at once: its history is in its folder, and not yet in the database
    STILL_RUNNING = "still running"


@dataclass(frozen=True, slots=True)
class Stopped:
    """A run that was stopped.

    Args:
        seconds: how long that took.
        call_count: calls of its result; None when it came to none.
    """

    run_id: str
    pid: int
    ending: Ending
    seconds: float
    call_count: int | None


def find_running(project: Project) -> list[RunFolder]:
    """Return the runs of the project whose process lives, oldest first."""
    return [folder for folder in _folders(project) if folder.is_alive()]


def find_run(project: Project, name: str) -> RunFolder:
    """Return the run of that name, or the only one whose name begins so.

    Raises:
        UsageError: there is none, or there are several.
    """
    names = {folder.run_id: folder for folder in _folders(project)}
    if name in names:
        return names[name]
    matching = [known for known in names if known.startswith(name)] if name else []
    if len(matching) == 1:
        return names[matching[0]]
    if matching:
        some = ", ".join(matching[:3])
        raise UsageError(f"{counted(len(matching), 'run')} begin with {quote(name)}: {some}", hint="Give more of the name.")
    newest = f" The newest are: {', '.join(reversed([*names][-3:]))}." if names else ""
    hint = suggest(name, names, always=f"Runs are the folders in {project.runs_folder}.{newest}")
    raise UsageError(f"there is no run {quote(name)}", hint=hint)


def stop_run(folder: RunFolder, *, grace_s: float) -> Stopped:
    """Stop a run that is alive; return when its process has ended, or will not.

    Args:
        grace_s: how long it may take to end in good order.

    Raises:
        HistoryError: which process it is cannot be confirmed, or it is somebody else's.
    """
    began = time.monotonic()
    settings = folder.settings()
    pid = settings.pid
    ending = Ending.ENDED
    with _process(folder, pid, settings.process_mark) as process:
        if process is not None:
            # One that has its result is loading its history: Ctrl-C would only break that off.
            if folder.result() is None:
                _signal(process, signal.SIGINT, folder, pid)
            # A process that goes on without its run is a program of somebody's that called ours.
            if not _has_ended(process, grace_s) and folder.is_alive():
                _signal(process, signal.SIGTERM, folder, pid)
                ending = Ending.TERMINATED if _has_ended(process, TERMINATE_S_MOST) else Ending.STILL_RUNNING
    result = folder.result()
    calls = result.total.calls if result else None
    return Stopped(folder.run_id, pid, ending, time.monotonic() - began, calls)


def _folders(project: Project) -> Iterator[RunFolder]:
    for folder in find_runs(project.runs_folder):
        if (folder.path / SETTINGS_FILE).is_file():
            yield folder


@contextmanager
def _process(folder: RunFolder, pid: int, mark: str | None) -> Iterator[int | None]:
    """Give a descriptor of the run's process, which stays that process whatever becomes of its id; None: it has ended."""
    try:
        process = os.pidfd_open(pid)
    except ProcessLookupError:
        process = None
    try:
        found = start_mark(pid) if process is not None else None
        if mark is None or found != mark:
            if not folder.is_alive():
                yield None
                return
            who = "there is no such process here" if found is None else "that is another process now"
            raise HistoryError(
                f"{folder.path}: the run is alive, but of its process {pid} {who}",
                hint="It runs in another container or on another machine that shares this folder: stop it there.",
            )
        yield process
    finally:
        if process is not None:
            os.close(process)


def _signal(process: int, number: signal.Signals, folder: RunFolder, pid: int) -> None:
    try:
        signal.pidfd_send_signal(process, number)
    except ProcessLookupError:  # it has just ended by itself
        pass
    except PermissionError:
        raise HistoryError(
            f"{folder.path}: process {pid} is another user's", hint="Stop it as the user that began the run."
        ) from None


def _has_ended(process: int, seconds: float) -> bool:
    poller = select.poll()
    poller.register(process, select.POLLIN)  # a process that ends becomes readable
    return bool(poller.poll(seconds * 1000))
