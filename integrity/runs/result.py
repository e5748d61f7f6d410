"""A run's result, result.json: what was called, how it was answered, and what its thresholds make of that.

Keys that a run has nothing to say to are left out: a search is only of a profile that searches. Those that are the same in
many of its records stand in samples.py; what a shape found is in shape.py, what a fault did in effects.py.
"""

from collections.abc import Mapping
from typing import Any, Literal

from integrity.monitor.findings import Alert
from integrity.monitor.limits import CRITICAL
from integrity.monitor.processes import SERVER
from integrity.monitor.summary import MonitorSummary
from integrity.numbers import show_part
from integrity.runs.app import AppVersion
from integrity.runs.documents import RUN_AGAIN, Document, DocumentKind, DocumentPart
from integrity.runs.draining import Drain
from integrity.runs.effects import FaultEffect
from integrity.runs.files import RESULT_FILE
from integrity.runs.percentiles import Percentiles
from integrity.runs.samples import Counts
from integrity.runs.settlement import Settlement
from integrity.runs.shape import LoadSweep, PhaseResult, Search, SlopeResult


class OfOperation(DocumentPart):
    """A record about one operation."""

    operation: str


class OperationResult(Percentiles, Counts, OfOperation):
    """One operation's calls; "total" is all of them. Latencies are of those that were answered."""

    calls_per_s: float | None
    mean_ms: float | None
    max_ms: float | None


class GroupResult(Percentiles, Counts):
    """Operations that are counted together, e.g. by the function that serves them.

    Args:
        failure_share: unavailable, failed and unknown, of those sent by clients that lived on; None: there were none.
    """

    group: str
    operations: tuple[str, ...]
    failure_share: float | None
    calls_per_s: float | None
    mean_ms: float | None
    max_ms: float | None


class SettledResult(Percentiles, OfOperation):
    """From the intended start until the first webhook that followed was acknowledged."""

    count: int
    mean_ms: float


class TimesResult(Percentiles, OfOperation):
    """Times that are a part of an operation's latency."""

    count: int
    mean_ms: float
    max_ms: float


class DependencyResult(Percentiles, DocumentPart):
    """What calls asked of an outside service; latencies are of requests that it answered.

    Args:
        asked: what of it, where it answers more than one question; else empty.
        answers: how often it answered how, e.g. {"settled": 40, "error 500": 2, "timeout": 1}; what nobody waited for is
            in none.
    """

    service: str
    asked: str
    requests: int
    answered: int
    answers: Mapping[str, int]
    mean_ms: float | None
    max_ms: float | None


class StreamResult(Percentiles, OfOperation):
    """What subscribers received, and how long after the system says it was sent.

    Args:
        client_p99_ms: lag that 99% of what a client received keep, of the client with the longest; None: none heard enough.
    """

    opened: int
    received: int
    missed: int
    broken: int
    max_ms: float | None
    client_p99_ms: float | None = None


class ErrorCount(OfOperation):
    """How often a call ended so."""

    error: str
    count: int


class ReasonCount(OfOperation):
    """How often the system said no to a call for that reason: a decline is no failure, and why it was is said."""

    reason: str
    count: int


class Owed(DocumentPart):
    """What was neither delivered nor taken up.

    Args:
        open: rows by the operation that would have ended them.
        of_services: of the webhooks that were not on their way just then, whose they are.
    """

    webhooks: int
    open: Mapping[str, int]
    of_services: Mapping[str, int] = {}


class Unfinished(DocumentPart):
    """What was accepted and is not done at the end, counted from rows; or why it could not be counted."""

    counts: Mapping[str, int] = {}
    reason: str = ""


class Arrivals(DocumentPart):
    """How an open loop kept its schedule. Think time is by Little's law: clients = rate x (latency + think time).

    Args:
        planned_per_s: on average over what was played of the profile's shape.
    """

    offered: int
    sent: int
    not_sent: int
    planned_per_s: float
    offered_per_s: float
    sent_per_s: float | None
    think_time_s: float | None
    dispatch_lag_p99_ms: float | None


BUSY = ("connections", "database-cpu", "process-cpu")
"""Limits of the monitor on how busy the server is."""

HEALING_S = 10.0
"""After a fault for what it did to be over: connections come again, locks are given up."""

ThresholdState = Literal["passed", "warning", "failed", "not measured", "unknown"]


class ThresholdResult(DocumentPart):
    """A threshold, judged.

    Args:
        group: a pattern of names of groups, whose operations it is of.
        of_reason: of declined_share, the reason that those were declined for, of checks_share the check; empty: any.
        rows: the query whose rows it is of, in place of calls; within_ms: in which they had to reach their state.
        reason: why it is not measured or unknown, else empty.
        left_out: what the figure says nothing of, else empty.
        is_beside_faults: of calls while faults were in force that did not touch them.
        is_spared: it was not measured, and need not be: the run was shortened, and brings too few calls for it.
    """

    operation: str | None
    group: str | None = None
    rows: str | None = None
    of_reason: str = ""
    statistic: str
    within_ms: float | None = None
    most: float | None
    warning: float | None
    critical: float | None
    least: float | None
    measured: float | None
    sample_count: int
    state: ThresholdState
    reason: str
    left_out: str = ""
    source: str
    is_beside_faults: bool = False
    is_spared: bool = False

    @property
    def subject(self) -> str:
        """What it is of, e.g. "sell p95"."""
        within = "" if self.within_ms is None else f" within {self.within_ms:g} ms"
        beside = " beside faults" if self.is_beside_faults else ""
        of = self.rows or self.operation or self.group or "all"
        reason = f" for {self.of_reason}" if self.of_reason else ""
        return f"{of} {self.statistic.replace('_', ' ')}{reason}{within}{beside}"


SHORTENED_SHARE = 0.999
"""Of the plan's length: one that ran for less is shortened; a clock's last digits are not."""


class Shortened(DocumentPart):
    """A run that was shorter than its plan: by what, as it was asked for or as it came."""

    ran_s: float
    plan_s: float

    @classmethod
    def of(cls, ran_s: float, plan_s: float) -> "Shortened | None":
        """Return the mark of a run of that length; None: it is as long as its plan, or longer."""
        if ran_s >= SHORTENED_SHARE * plan_s:
            return None
        return cls(ran_s=round(ran_s, 3), plan_s=round(plan_s, 3))

    @property
    def mark(self) -> str:
        """In words, e.g. "20 s of the plan's 4h"."""
        return show_part(self.ran_s, self.plan_s)


class LeftOut(DocumentPart):
    """A time of which thresholds say nothing: something was broken on purpose, or had just been."""

    from_us: int
    to_us: int


class NotRun(DocumentPart):
    """An operation that its profile was to call and that could not be, and why: nothing is said of it."""

    operation: str
    reason: str


class GeneratorUse(DocumentPart):
    """What the load generator itself used, of all cores and at its peak."""

    cpu_share: float
    rss_mb: float


class RunResult(Document):
    """What came of a run.

    Args:
        folder: where it is kept.
        app: the version of the application that was loaded; None: not known.
        over: the URL of the server that calls went to, over HTTP; empty: they went to the database.
        unheard: why it is not known what that server did by itself; empty: it is.
        elapsed_s: while calls were drawn.
        operations: the busiest first, and one of all together named "total" last.
        dependencies: the services that calls asked, the busiest first; own: the time of these calls apart from theirs.
        drain: what it waited for behind its last call by plan; None: of an earlier version.
        writes: of each commit that wrote, from when it was sent until it was answered; that of all named "total" last.
        groups: those that the system has.
        settled_at_us: when nothing was owed any more; None: time or the database cut that off.
        resumes: the run that it goes on with, whose figures are not in it; empty: none.
        processes: that made its calls.
        shortened: None: it was as long as its plan, or longer.
        arrivals: None of a closed loop.
        not_run: the operations that were left out of it.
        left_out: when faults were in force, and a second on, of which thresholds say nothing but those beside faults.
        too_few_beside_faults: limits that too few calls came for while what they do not need was broken; in words.
        monitor, faults: once they are known; unfinished, unknown_outcomes: once the history is loaded.
        recovery_s: after a spike; None: not in the recovery_looked_s behind it, or `recovery_unknown` says why that
            cannot be known.
        watches_trends: whether it is there to say whether anything rises.
    """

    format: Literal[1] = 1
    run_id: str
    folder: str
    system: str
    profile: str
    bug: str | None
    seed: int
    app: AppVersion | None = None
    time_scale: float
    database: str
    over: str = ""
    unheard: str = ""
    started_at_us: int
    state: Literal["finished", "interrupted"]
    model: Literal["closed", "open"]
    clients: int
    connections: int
    duration_s: float
    elapsed_s: float
    shortened: Shortened | None = None
    resumes: str = ""
    processes: int = 1
    ended_at_us: int
    operations: tuple[OperationResult, ...]
    groups: tuple[GroupResult, ...] = ()
    settled: tuple[SettledResult, ...]
    streams: tuple[StreamResult, ...]
    dependencies: tuple[DependencyResult, ...] = ()
    own: tuple[TimesResult, ...] = ()
    writes: tuple[TimesResult, ...] = ()
    errors: tuple[ErrorCount, ...]
    reasons: tuple[ReasonCount, ...] = ()
    undelivered: int
    owed: Owed | None = None
    drain: Drain | None = None
    unfinished: Unfinished | None = None
    settled_at_us: int | None = None
    reconnects: int
    loop_lag_p99_ms: float | None
    arrivals: Arrivals | None
    thresholds: tuple[ThresholdResult, ...]
    not_run: tuple[NotRun, ...] = ()
    left_out: tuple[LeftOut, ...] = ()
    too_few_beside_faults: tuple[str, ...] = ()
    generator: GeneratorUse
    phases: tuple[PhaseResult, ...] = ()
    slopes: tuple[SlopeResult, ...] = ()
    search: Search | None = None
    sweep: LoadSweep | None = None
    recovery_s: float | None = None
    recovery_unknown: str = ""
    recovery_looked_s: float = 0.0
    watches_trends: bool = False
    monitor: MonitorSummary | None = None
    faults: tuple[FaultEffect, ...] = ()
    unknown_outcomes: Settlement | None = None

    @property
    def is_answered(self) -> bool:
        """Whether any call was answered; where none was, nothing was measured."""
        return self.total.ok + self.total.declined > 0

    @property
    def critical(self) -> tuple[str, ...]:
        """The monitor's critical findings that speak against the system, in words.

        Not those that were asked for: what a fault did while it was in force, and how busy a closed loop or a search for
        the breaking point makes the server. That all of the profile's own connections are busy is in the latencies
        already: a rush of 50 on 50 connections is meant to. Where a plan has a limit on it, a threshold has (pool_share).
        And not a cold cache: of a server that has just been started it is none of the system's.
        """
        alerts = self.monitor.alerts if self.monitor is not None else ()
        return tuple(alert.sentence for alert in alerts if alert.level == CRITICAL and not self._asked_for(alert))

    def _asked_for(self, alert: Alert) -> bool:
        if alert.name in ("pool", "cache-hit"):
            return True
        if alert.name in ("process-ended", "process-restarted") and alert.subject != SERVER:
            return False  # no fault ends an application
        if alert.name in BUSY and (self.model == "closed" or self.search is not None):
            return True
        if not self.faults:
            return False
        times = self._times_of(alert)
        return all(any(f.from_s <= at_s <= f.healed_s + HEALING_S for f in self.faults) for at_s in times)

    def _times_of(self, alert: Alert) -> list[float]:
        """Return when it was so: of lines of a log each time, of others the worst; none of what counts over all samples."""
        logs = self.monitor.logs if self.monitor is not None else ()
        of_log = [found for log in logs if log.file == alert.subject for found in log.findings if found.name == alert.name]
        if of_log:
            return [at_s for found in of_log for span in found.spans for at_s in span]
        return [] if alert.at_s is None else [alert.at_s]

    @property
    def total(self) -> OperationResult:
        """All operations together."""
        return self.operations[-1]

    @property
    def has_not_recovered(self) -> bool:
        """Whether a spike of full length left it slower or failing until the end."""
        return self._claims_recovery and self.recovery_s is None and not self.recovery_unknown

    @property
    def lacks_recovery(self) -> bool:
        """Whether a spike of full length had too little before or after it to tell."""
        return self._claims_recovery and bool(self.recovery_unknown)

    @property
    def _claims_recovery(self) -> bool:
        return self.has_spike and self.shortened is None

    @property
    def rising(self) -> list[SlopeResult]:
        """What rose that must not: latency, failures, connections, memory; but for our own."""
        return [slope for slope in self.slopes if slope.verdict == "rising" and slope.name != "rss_mb"]

    @property
    def lacks_trends(self) -> bool:
        """Whether it was there to find trends, and was too short for one of them."""
        return self.watches_trends and (not self.slopes or any(slope.verdict == "too short" for slope in self.slopes))

    @property
    def has_spike(self) -> bool:
        """Whether it was looked how long it took to recover."""
        return "recovery_s" in self.model_fields_set


def _from_unnumbered(value: Mapping[str, Any]) -> Mapping[str, Any]:
    return value  # nothing but the number has come since


RESULT = DocumentKind(RESULT_FILE, RunResult, format=1, hint=RUN_AGAIN, from_unnumbered=_from_unnumbered)
