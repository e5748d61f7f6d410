"""The monitor: samples of a database and of processes at a steady pace, on a thread and a connection of its own.

    with Monitor(target, file=folder / "monitor.jsonl", pool_size=50) as monitor:
        ...
    monitor.summary

It never stops what it watches: a database that is away, a disk that is full or an answer that never comes is noted, and the
next sample is tried. Its file is JSON lines, which sample_file.py reads back.

What it costs is measured by benchmarks/monitor.py.
"""

import os
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any

import orjson

from integrity.engines.target import Target
from integrity.events import Event
from integrity.masking import mask_spelt
from integrity.monitor.database import DatabaseWatch
from integrity.monitor.logs import LogWatch
from integrity.monitor.processes import OWN, Process, ProcessWatch, find_server
from integrity.monitor.questions import prepare
from integrity.monitor.redis import RedisWatch
from integrity.monitor.sample import Sample
from integrity.monitor.sample_file import FORMAT, read_file
from integrity.monitor.scraping import CONNECTIONS, MetricsSource, Unscraped
from integrity.monitor.summary import MonitorSummary, summarize
from integrity.monitor.watched import NOTHING_WATCHED, WatchedApplication
from integrity.project import open_for_us_only
from integrity.systems.planned_limit import PlannedLimit

EVERY_S = 1.0
GONE_S_MOST = 3.0
RARE_EVERY_S = 10.0
STOP_S_MOST = 5.0  # a server that is frozen in mid-answer is not waited for any longer

Listener = Callable[[Sample], None]

NO_PLAN: Mapping[str, PlannedLimit] = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class MonitorOpened(Event):
    """The database answers; facts: what a reader of the samples has to know."""

    facts: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class SampleTaken(Event):
    """One sample, as the monitor's file has it."""

    sample: Sample


class Monitor:
    """Watches a database and processes until it is stopped.

    Args:
        target: None, or an SQLite file, which has nothing to ask: only processes are watched.
        application: its processes, which limits on applications are held against, and its logs.
        own_process: whether this process is watched, too, as OWN.
        file: gets the facts and the samples as JSON lines; None: they are kept in memory only.
        pool_size: of the connections that the application shares; None: no such limit.
        limits: of the project, and of the plan of the system that is run, by name, in place of our own.
        own_others: gives the ids of processes that are counted with this one.
        read_loop_lag_ms: gives the worst lag of our event loop since it was last asked.
        listener: is told each sample, on the monitor's thread.
    """

    def __init__(
        self,
        target: Target | None,
        *,
        application: WatchedApplication = NOTHING_WATCHED,
        own_process: bool = True,
        file: Path | None = None,
        every_s: float = EVERY_S,
        pool_size: int | None = None,
        limits: Mapping[str, PlannedLimit] = NO_PLAN,
        read_loop_lag_ms: Callable[[], float | None] | None = None,
        own_others: Callable[[], Sequence[int]] = tuple,
        listener: Listener | None = None,
    ) -> None:
        self._watch = DatabaseWatch(target) if target is not None and target.engine.has_server else None
        us = Process(OWN, os.getpid(), has_children=False, is_followed=False, others=own_others)
        own = (us,) if own_process else ()
        self._processes = ProcessWatch(application.processes, application.known)
        for process in own:
            self._processes.add(process)
        self._application = application
        self._metrics = application.metrics
        self._logs: list[LogWatch] = []
        self._redis = RedisWatch(application.redis) if application.redis else None
        self._named = [process.name for process in application.processes]
        self._file = file
        self._is_file_lost = False
        self._told_first: Mapping[str, float] = {}
        self._told: Mapping[str, float] = {}
        self._every_s = every_s
        self._pool_size = pool_size
        self._limits = {name: asdict(limit) for name, limit in limits.items()}
        self._read_loop_lag_ms = read_loop_lag_ms
        self._listener = listener
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="integrity-monitor", daemon=True)
        self._known_facts: dict[str, Any] | None = None
        self._crash: BaseException | None = None
        self._kept: list[bytes] = []  # what is not in the file; as text, a tenth of what it takes as objects
        self._written_facts: dict[str, Any] | None = None
        self.notes: list[str] = []
        self.summary = MonitorSummary()

    def __enter__(self) -> "Monitor":
        self.start()
        return self

    def __exit__(self, *error: object) -> None:
        self.summary = self.stop()

    def check(self) -> None:
        """Connect now rather than with the first sample.

        Raises:
            DatabaseError: the database cannot be watched.
        """
        if self._watch is not None:
            self._watch.open()

    def start(self) -> None:
        """Begin; the first sample is taken at once."""
        for log in self._application.open_logs or ():
            log.begin()
            self._logs.append(log)
        for path in self._application.logs if self._application.open_logs is None else ():
            try:
                self._logs.append(LogWatch(path))
            except OSError as error:
                self.notes.append(f"log {path}: {error.strerror}")
        if self._watch is not None:
            prepare()  # here, so that the thread does not hold up whoever is measured
        self._thread.start()

    def stop(self) -> MonitorSummary:
        """Take a last sample and end; return the summary."""
        self._stopping.set()
        self._thread.join(STOP_S_MOST)
        if self._thread.is_alive():
            self.notes.append(f"the last sample: the server did not answer within {STOP_S_MOST:.0f} s")
        if self._crash is not None:
            raise self._crash
        return summarize(self.facts, self.read_samples())

    def read_samples(self) -> list[Sample]:
        """Return the samples taken so far."""
        written = read_file(self._file)[1] if self._file is not None and self._file.exists() else []
        return [*written, *(orjson.loads(line) for line in self._kept)]

    @property
    def facts(self) -> dict[str, Any]:
        """What a reader of the samples has to know."""
        watch = self._watch
        facts: dict[str, Any] = {
            "format": FORMAT,
            "every_s": self._every_s,
            "cores": os.cpu_count() or 1,
            "named_processes": self._named,
            **({"metrics_of": str(self._metrics)} if self._metrics is not None and self._metrics.is_asked_for else {}),
        }
        if self._pool_size is not None:
            facts["pool_size"] = self._pool_size
        if self._limits:
            facts["limits"] = self._limits
        return {
            **facts,
            **((watch and watch.facts) or {}),
            "notes": [*(watch.notes if watch else ()), *dict.fromkeys(self.notes)],
        }

    def _run(self) -> None:
        try:
            self._sample_until_stopped()
        except BaseException as error:  # a mistake of ours: stop() raises it where somebody sees it
            self._crash = error
        finally:
            for log in self._logs if self._application.open_logs is None else ():
                log.close()
            if self._watch is not None:
                self._watch.close()

    def _sample_until_stopped(self) -> None:
        began_s = time.monotonic()
        rare_at_s = began_s
        number = 0
        while True:
            is_last = self._stopping.is_set()
            now_s = time.monotonic()
            is_full = is_last or now_s >= rare_at_s
            if is_full:
                rare_at_s = now_s + RARE_EVERY_S
            self._take(began_s, is_full=is_full, is_last=is_last)
            if is_last:
                return
            # A sample that is late leaves out those that it missed; the others keep their time.
            number = max(number + 1, int((time.monotonic() - began_s) / self._every_s) + 1)
            self._stopping.wait(max(0.0, began_s + number * self._every_s - time.monotonic()))

    def _take(self, began_s: float, *, is_full: bool, is_last: bool) -> None:
        cpu_began_s = time.thread_time()
        sample: Sample = {"at_us": time.time_ns() // 1000, "elapsed_s": round(time.monotonic() - began_s, 3)}
        if self._watch is not None:
            was_open = self._watch.is_open
            sample["database"] = self._watch.sample(is_full=is_full)
            if self._watch.facts is not None and (not was_open or self._known_facts is None):
                self._find_server()
        sample["processes"] = self._processes.sample(is_full=is_full)
        if self._logs:
            sample["logs"] = [log.sample(is_last=is_last) for log in self._logs]
        if self._metrics is not None:
            self._scrape(self._metrics, sample)
        if self._redis is not None:
            sample["redis"] = self._redis.sample()
        if self._read_loop_lag_ms is not None:
            sample["loop_lag_ms"] = self._read_loop_lag_ms()
        sample["own_cpu_ms"] = round((time.thread_time() - cpu_began_s) * 1000, 2)
        self._write(sample)
        if self._listener is not None:
            self._listener(sample)

    def _scrape(self, source: MetricsSource, sample: Sample) -> None:
        try:
            sample["metrics"] = self._told = source.scrape()
        except Unscraped as error:
            sample["metrics_error"] = mask_spelt(str(error))
            if not source.is_asked_for:
                self.notes.append(f"metrics of the target: {sample['metrics_error']}")
                self._metrics = self._metrics if self._told else None  # it is no server that tells any
        else:
            self._told_first = self._told_first or self._told

    def wait_for_clients_gone(self) -> None:
        """Wait, but not for long, until the server tells no more connections of clients than at first."""
        ends_at_s = time.monotonic() + GONE_S_MOST
        while self._metrics is not None and CONNECTIONS in self._told_first and time.monotonic() < ends_at_s:
            try:
                if self._metrics.scrape().get(CONNECTIONS, 0.0) <= self._told_first[CONNECTIONS]:
                    return
            except Unscraped:
                return
            time.sleep(0.05)

    def _find_server(self) -> None:
        """A server that came back after a crash is another process."""
        assert self._watch is not None
        assert self._watch.facts is not None
        self._known_facts = self._watch.facts
        server = find_server(self._watch.facts)
        if server is not None:
            self._processes.add(server)
        else:
            note = "CPU and memory of the server: it does not run on this machine, or as far as can be seen from here"
            if note not in self.notes:
                self.notes.append(note)

    def _write(self, sample: Sample) -> None:
        kept = orjson.dumps(sample, default=str)
        if self._file is None or self._is_file_lost:
            self._kept.append(kept)
            return
        line = orjson.dumps({"kind": "sample", **sample}, default=str) + b"\n"
        facts = self.facts
        if facts != self._written_facts:  # what a server is may be known late, and change when it comes back
            line = orjson.dumps({"kind": "facts", **facts}, default=str) + b"\n" + line
            self._written_facts = facts
        try:
            with open(self._file, "ab", opener=open_for_us_only) as file:
                file.write(line)
        except OSError as error:
            self._is_file_lost = True
            self._kept.append(kept)
            self.notes.append(f"samples from {sample['elapsed_s']:.0f} s on are not in {self._file.name}: {error.strerror}")
