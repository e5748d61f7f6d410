"""Thresholds: the limits of a profile, and how a value stands to one.

Passed, warning and failed are for what was measured. On too few samples it is "not measured", and where the load generator
was so late that it could have turned the answer, a latency is "unknown": neither is ever shown as passed.
"""

from collections.abc import Iterable
from enum import StrEnum
from fnmatch import fnmatchcase
from typing import Literal, Self

from pydantic import model_validator

from integrity.exit_codes import Shortfall
from integrity.load.bounds import Amount, BoundedSettings
from integrity.load.statistics import STATISTICS, Kind, samples_least


class Grade(StrEnum):
    """Of a threshold: warning is between its warning and its critical limit."""

    PASSED = "passed"
    WARNING = "warning"
    FAILED = "failed"
    NOT_MEASURED = "not measured"
    UNKNOWN = "unknown"


_SHORTFALLS = {
    Grade.FAILED: Shortfall.MISSED,
    Grade.NOT_MEASURED: Shortfall.NOT_MEASURED,
    Grade.UNKNOWN: Shortfall.NOT_MEASURED,
}


def shortfalls_of(states: Iterable[Grade]) -> frozenset[Shortfall]:
    """Return what fell short of thresholds in these states; a warning does not."""
    return frozenset(_SHORTFALLS[state] for state in states if state in _SHORTFALLS)


class Threshold(BoundedSettings):
    """A limit that a run must keep.

    One limit, or three levels: at `most` all is well, above `warning` somebody should look, above `critical` it failed.

    Args:
        operation: of one operation; none: of all together.
        group: of the operations of some groups together, "fn:whatsapp-send", or of all of a kind, "fn:*".
        rows: of what a query of `queries/` finds of the run, e.g. safebox/taps-answered, in place of calls. It is asked
            with the run's id when the history is loaded; each of its rows is one sample, with the time that it took in the
            column `ms`, null where that never came.
        statistic: of latency in ms, from the intended start; own_*: without the waits for outside services, of calls that
            asked one; write_*: of commits that wrote, until they were answered; settled_*: until the first webhook that
            followed was acknowledged; lag_*: of what subscribers received, from when the system says it was sent. Shares:
            failure_share, unavailable, failed and unknown calls, of those sent by clients that were not made to die;
            declined_share, of calls; achieved_share, answered calls of all that were to be made; missed_share, events that
            subscribers should have received and did not; broken_share, open streams that ended by themselves;
            checks_share, checks of answers that held, of those that were made;
            reached_share, rows whose time is not null and at most `within_ms`. answered_per_s: calls answered a second
            while calls were drawn.
            answered, received: how many calls and how many events of streams there were. Resources, as the monitor saw
            them: connections_share and pool_share, at their peak, of what the server allows and of the profile's
            connections, or of the pool that the server of a run over HTTP tells of; database_cpu_share and
            generator_cpu_share, on average, of all cores; rss_mb, ours at its peak; counter_off is of counters that
            [monitor.counters] names, and of no profile.
            recovery_s: seconds from the end of a spike, or of a fault, until latency and failures were as before it, the
            longest of the run; not seen within a time that is shorter than the limit, it is not measured.
            What has too few samples is not measured: a p50 or mean needs 10, a p95 100, a p99 500, a share of 1% 100.
        within_ms: of reached_share: the time that counts as reached; none: any.
        reason: of declined_share: those declined for this reason only.
        check: of checks_share: the check of this name only.
        most, least: the largest or the smallest value that passes, in ms or as a share; one of them.
        warning, critical: above which somebody should look, and above which it failed.
        of_whole_length: it is asked of a run as long as its plan only; a shortened one does not measure it, e.g. a limiter
            that is met after the thousandth call.
        waits_for: a query of `queries/`, of what is left of calls before a run that this limit would count, e.g.
            streamvote/open-windows: the run begins when what it finds then is gone.
        source: who asks for it.
    """

    operation: str | None = None
    group: str | None = None
    rows: str | None = None
    statistic: Literal[
        "mean",
        "p50",
        "p95",
        "p99",
        "max",
        "own_p50",
        "own_p95",
        "write_p50",
        "write_p95",
        "settled_mean",
        "settled_p95",
        "lag_p50",
        "lag_p95",
        "lag_p99",
        "lag_max",
        "client_lag_p99",
        "missed_share",
        "broken_share",
        "failure_share",
        "declined_share",
        "achieved_share",
        "checks_share",
        "reached_share",
        "answered_per_s",
        "answered",
        "received",
        "connections_share",
        "pool_share",
        "database_cpu_share",
        "generator_cpu_share",
        "counter_off",
        "rss_mb",
        "recovery_s",
    ]
    within_ms: Amount | None = None
    reason: str | None = None
    check: str | None = None
    most: Amount | None = None
    warning: Amount | None = None
    critical: Amount | None = None
    least: Amount | None = None
    of_whole_length: bool = False
    waits_for: str | None = None
    source: str

    @model_validator(mode="after")
    def _is_a_limit(self) -> Self:
        if (self.most is None) == (self.least is None):
            raise ValueError("give either most or least")
        if (self.warning is None) != (self.critical is None):
            raise ValueError("warning and critical come together")
        levels = [self.most, self.warning, self.critical]
        if self.warning is not None and (None in levels or levels != sorted(level or 0.0 for level in levels)):
            raise ValueError("most, warning and critical must rise")
        if self.kind is Kind.SHARE and self.least is not None and self.least > 1:
            raise ValueError("least: a share is from 0 to 1")
        if self.statistic == "counter_off" and self.operation is None:
            raise ValueError("counter_off is of counters, which [monitor.counters] of integrity.toml names")
        if self.reason is not None and self.statistic != "declined_share":
            raise ValueError("reason is of declined_share only")
        if self.check is not None and self.statistic != "checks_share":
            raise ValueError("check is of checks_share only")
        return self

    @model_validator(mode="after")
    def _is_of_one_thing(self) -> Self:
        of_rows = STATISTICS[self.statistic].of_rows
        if sum(each is not None for each in (self.operation, self.group, self.rows)) > 1:
            raise ValueError("operation, group and rows: a threshold is of one of them")
        if self.rows is not None and not of_rows:
            raise ValueError(f"rows: they have no {self.statistic}")
        if self.rows is None and of_rows == "only":
            raise ValueError(f"rows: {self.statistic} is of a query's rows, and none is named")
        if self.within_ms is not None and self.statistic != "reached_share":
            raise ValueError("within_ms is of reached_share only")
        return self

    @property
    def kind(self) -> Kind:
        return STATISTICS[self.statistic].kind

    @property
    def about(self) -> str:
        """What it is of, in a word: an operation, a group, a query, or all."""
        return self.operation or self.group or self.rows or "all"

    def covers(self, operation: str, group: str) -> bool:
        """Return whether calls of this operation, of that group, are among those that it is of."""
        if self.group is not None:
            return bool(group) and fnmatchcase(group, self.group)
        return self.operation in (None, operation)

    @property
    def is_resource(self) -> bool:
        return self.kind is Kind.RESOURCE

    @property
    def is_latency(self) -> bool:
        return self.kind is Kind.LATENCY

    @property
    def is_of_the_whole(self) -> bool:
        """Whether it is known of a whole run only, not of a phase of it."""
        return self.is_resource or self.kind is Kind.RECOVERY or self.rows is not None

    def at_rate(self, factor: float) -> Self:
        """Return it as it is of so many times the arrivals: a rate to be reached is multiplied, and its source says so."""
        if self.statistic != "answered_per_s" or factor == 1:
            return self
        levels = {name: getattr(self, name) for name in ("most", "warning", "critical", "least")}
        scaled = {name: level * factor for name, level in levels.items() if level is not None}
        return self.model_copy(update={**scaled, "source": f"{self.source}; here {factor:.3g} times the rate"})

    @property
    def limit(self) -> float:
        """What a measured value is over when it no longer passes."""
        limit = self.warning if self.warning is not None else self.most
        return limit if limit is not None else float("inf")

    @property
    def fails_above(self) -> float:
        """What a measured value is over when it fails; infinity: none is too large."""
        limit = self.critical if self.critical is not None else self.most
        return limit if limit is not None else float("inf")

    @property
    def samples_least(self) -> int:
        """On how many samples it can pass."""
        return samples_least(self.statistic, self.limit if self.least is None else 1 - self.least)

    def grade(self, measured: float) -> Grade:
        """Return how a value stands to the limit."""
        if self.least is not None:
            return Grade.PASSED if measured >= self.least else Grade.FAILED
        if measured <= self.limit:
            return Grade.PASSED
        return Grade.WARNING if self.critical is not None and measured <= self.critical else Grade.FAILED
