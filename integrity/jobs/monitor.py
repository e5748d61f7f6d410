"""The job of monitoring: watch a database and processes for a while, or until stopped, and sum up what was seen."""

import time
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from queue import Empty, SimpleQueue

from integrity.engines.target import Target
from integrity.errors import UsageError
from integrity.events import Job
from integrity.exit_codes import Shortfall
from integrity.load.interruption import first_signal
from integrity.monitor.limits import CRITICAL
from integrity.monitor.sample import Sample
from integrity.monitor.sampler import NO_PLAN, Monitor, MonitorOpened, SampleTaken
from integrity.monitor.summary import MonitorSummary
from integrity.monitor.watched import WatchedApplication
from integrity.project import make_folder_of
from integrity.systems.planned_limit import PlannedLimit


@dataclass(frozen=True, slots=True)
class Watched:
    """What came out.

    Args:
        was_interrupted: before the time was over.
        has_database: one was to be watched.
    """

    summary: MonitorSummary
    was_interrupted: bool
    has_database: bool

    @property
    def shortfalls(self) -> frozenset[Shortfall]:
        """Return what fell short; a watch that was cut short says that alone."""
        if self.was_interrupted:
            return frozenset({Shortfall.INTERRUPTED})
        if self.has_database and not self.summary.answered_count:
            return frozenset({Shortfall.UNKNOWN})
        is_critical = any(alert.level == CRITICAL for alert in self.summary.alerts)
        return frozenset({Shortfall.MISSED}) if is_critical else frozenset()


@dataclass(frozen=True, slots=True)
class ChosenWatch:
    """What is watched beside a database, and the file that keeps the samples; None: none does."""

    application: WatchedApplication
    file: Path | None


def choose(application: WatchedApplication, file: Path | None) -> ChosenWatch:
    """Return what is to be watched.

    Raises:
        UsageError: there is such a file already, or no folder for it.
    """
    if file is not None and file.exists():
        raise UsageError(f"--output {file}: there is such a file already", hint="Name a new one.")
    if file is not None:
        make_folder_of(file, option="--output")
    return ChosenWatch(application, file)


def watch(
    target: Target,
    chosen: ChosenWatch,
    *,
    every_s: float,
    pool_size: int | None = None,
    duration_s: float | None = None,
    limits: Mapping[str, PlannedLimit] = NO_PLAN,
) -> Job[Watched]:
    """Watch until the time is over, or Ctrl-C (or SIGTERM) ends it; without a time that is how it is to end.

    Raises:
        UsageError: there is nothing to watch.
        DatabaseError: the database cannot be watched.
    """
    has_server = target.engine.has_server
    if not has_server and chosen.application.is_empty:
        raise UsageError(
            f"{target}: {target.engine.title} has no server to watch",
            hint="Name processes or logs: --process PID, --log FILE",
        )
    told: SimpleQueue[Sample | None] = SimpleQueue()
    monitor = Monitor(
        target,
        application=chosen.application,
        limits=limits,
        own_process=False,
        file=chosen.file,
        every_s=every_s,
        pool_size=pool_size,
        listener=told.put,
    )
    monitor.check()
    yield MonitorOpened(monitor.facts)
    was_stopped = False
    with first_signal(partial(told.put, None)):  # a simple queue may be put to in the middle of a get
        monitor.start()
        ends_at_s = None if duration_s is None else time.monotonic() + duration_s
        while True:
            left_s = None if ends_at_s is None else max(0.0, ends_at_s - time.monotonic())
            try:
                sample = told.get(timeout=left_s)
            except Empty:
                break
            if sample is None:
                was_stopped = True
                break
            yield SampleTaken(sample)
        summary = monitor.stop()
    while not told.empty():
        if (sample := told.get()) is not None:
            yield SampleTaken(sample)
    return Watched(summary, was_stopped and duration_s is not None, has_server)
