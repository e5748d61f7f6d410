"""Thresholds: a run's measures held against a profile's limits.

Passed, warning and failed are for what was measured. Without a sample it is "not measured", and where the load generator
itself was late a latency is "unknown": neither is ever shown as passed.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType
from typing import Literal, Self

from pydantic import model_validator

from integrity.exit_codes import Shortfall
from integrity.load.bounds import Amount, BoundedSettings
from integrity.measure.calls import Measures, OperationMeasure
from integrity.measure.distribution import Distribution, percent_of

LAG_SHARE_MOST = 0.1
"""Of the tightest latency limit: a generator that was later than this measures itself."""


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


RESOURCES = ("connections_share", "pool_share", "database_cpu_share", "generator_cpu_share", "rss_mb")


class Threshold(BoundedSettings):
    """A limit that a run must keep.

    One limit, or three levels: at `most` all is well, above `warning` somebody should look, above `critical` it failed.

    Args:
        operation: of one operation; none: of all together.
        statistic: of latency in ms, from the intended start; settled_*: until the first webhook that followed was
            acknowledged; lag_*: of what subscribers received, from when the system says it was sent. Shares: failure_share,
            unavailable, failed, unknown and not sent calls of all that were to be made; declined_share, of calls;
            missed_share, events that subscribers should have received and did not; broken_share, open streams that ended
            by themselves.
            answered_per_s: calls answered a second. Resources, as the monitor saw them: connections_share and pool_share,
            at their peak, of what the server allows and of the profile's connections; database_cpu_share and
            generator_cpu_share, on average, of all cores; rss_mb, ours at its peak.
        reason: of declined_share: those declined for this reason only.
        most, least: the largest or the smallest value that passes, in ms or as a share; one of them.
        warning, critical: above which somebody should look, and above which it failed.
        source: who asks for it.
    """

    operation: str | None = None
    statistic: Literal[
        "mean",
        "p50",
        "p95",
        "p99",
        "max",
        "settled_mean",
        "settled_p95",
        "lag_p50",
        "lag_p95",
        "lag_p99",
        "lag_max",
        "missed_share",
        "broken_share",
        "failure_share",
        "declined_share",
        "answered_per_s",
        "connections_share",
        "pool_share",
        "database_cpu_share",
        "generator_cpu_share",
        "rss_mb",
    ]
    reason: str | None = None
    most: Amount | None = None
    warning: Amount | None = None
    critical: Amount | None = None
    least: Amount | None = None
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
        if self.reason is not None and self.statistic != "declined_share":
            raise ValueError("reason is of declined_share only")
        return self

    @property
    def is_resource(self) -> bool:
        return self.statistic in RESOURCES

    @property
    def is_latency(self) -> bool:
        return not (self.is_resource or self.statistic.endswith("_share") or self.statistic == "answered_per_s")

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


@dataclass(frozen=True, slots=True)
class ThresholdJudgement:
    """One threshold judged.

    Args:
        measured: in ms or as a share; None: not measured.
        sample_count: what it was measured on.
        reason: why it is not measured or unknown; else empty.
    """

    threshold: Threshold
    state: Grade
    measured: float | None
    sample_count: int
    reason: str = ""


def judge(
    thresholds: Sequence[Threshold],
    measures: Measures,
    lag_p99_ms: float | None,
    *,
    seconds: float,
    resources: Mapping[str, float] = MappingProxyType({}),
) -> list[ThresholdJudgement]:
    """Return the thresholds judged, in their order.

    Args:
        lag_p99_ms: how late the generator was; None: in a closed loop it has no schedule to be late for.
        seconds: how long it was measured, for rates.
        resources: what the monitor saw, by the names of their statistics.
    """
    limits = [threshold.limit for threshold in thresholds if threshold.is_latency]
    is_late = lag_p99_ms is not None and bool(limits) and lag_p99_ms > LAG_SHARE_MOST * min(limits)
    late_ms = lag_p99_ms if is_late else None
    return [_judge(threshold, measures, late_ms, seconds, resources) for threshold in thresholds]


def _judge(
    threshold: Threshold, measures: Measures, late_ms: float | None, seconds: float, resources: Mapping[str, float]
) -> ThresholdJudgement:
    if threshold.is_resource:
        measured, sample_count = resources.get(threshold.statistic), 1
    else:
        chosen = [m for name, m in measures.operations.items() if threshold.operation in (None, name)]
        measured, sample_count = _measure(threshold, chosen, seconds)
    if measured is None:
        reason = "nobody watched it" if threshold.is_resource else "no call that could be measured"
        return ThresholdJudgement(threshold, Grade.NOT_MEASURED, None, 0, reason)
    if threshold.is_latency and late_ms is not None:
        reason = f"the load generator itself was late (p99 {late_ms:.0f} ms), so this measures the generator"
        return ThresholdJudgement(threshold, Grade.UNKNOWN, measured, sample_count, reason)
    return ThresholdJudgement(threshold, _state(threshold, measured), measured, sample_count)


def _state(threshold: Threshold, measured: float) -> Grade:
    if threshold.least is not None:
        return Grade.PASSED if measured >= threshold.least else Grade.FAILED
    if measured <= threshold.limit:
        return Grade.PASSED
    return Grade.WARNING if threshold.critical is not None and measured <= threshold.critical else Grade.FAILED


def _samples(measure: OperationMeasure, kind: str) -> Distribution:
    return {"": measure.latencies_ms, "settled": measure.settled_ms, "lag": measure.lags_ms}[kind]


def _share(threshold: Threshold, measure: OperationMeasure) -> tuple[int, int]:
    """Return how many there were, of how many."""
    if threshold.statistic == "failure_share":
        return measure.faults, measure.calls + measure.not_sent
    if threshold.statistic == "declined_share":
        return measure.declined if threshold.reason is None else measure.reasons[threshold.reason], measure.calls
    if threshold.statistic == "missed_share":
        return measure.missed, len(measure.lags_ms) + measure.missed
    return measure.broken, measure.ok


def _measure(threshold: Threshold, chosen: Sequence[OperationMeasure], seconds: float) -> tuple[float | None, int]:
    """Return what was measured, and on how many samples; None: on none."""
    if threshold.statistic == "answered_per_s":
        answered = sum(measure.ok + measure.declined for measure in chosen)
        return (answered / seconds, answered) if answered and seconds else (None, 0)
    if threshold.statistic.endswith("_share"):
        parts = [_share(threshold, measure) for measure in chosen]
        count, whole = sum(part for part, _ in parts), sum(each for _, each in parts)
        return (count / whole, whole) if whole else (None, 0)
    kind, _, statistic = threshold.statistic.rpartition("_")
    samples = Distribution.of(_samples(measure, kind) for measure in chosen)
    if statistic == "mean":
        return samples.mean, len(samples)
    return samples.percentile(100 if statistic == "max" else percent_of(statistic)), len(samples)
