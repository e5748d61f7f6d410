"""Thresholds: a run's measures held against a profile's limits.

Passed and failed are for what was measured. Without a sample it is "not measured", and where the load generator itself was
late a latency is "unknown": neither is ever shown as passed.
"""

from array import array
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

import numpy as np

from integrity.workload.measures import Measures, OperationMeasure
from integrity.workload.profile import Threshold

LAG_SHARE_MOST = 0.1
"""Of the tightest latency limit: a generator that was later than this measures itself."""


class State(StrEnum):
    PASSED = "passed"
    FAILED = "failed"
    NOT_MEASURED = "not measured"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Judgement:
    """One threshold judged.

    Args:
        measured: in ms or as a share; None: not measured.
        sample_count: what it was measured on.
        reason: why it is not measured or unknown; else empty.
    """

    threshold: Threshold
    state: State
    measured: float | None
    sample_count: int
    reason: str = ""


def judge(thresholds: Sequence[Threshold], measures: Measures, lag_p99_ms: float | None) -> list[Judgement]:
    """Return the thresholds judged, in their order.

    Args:
        lag_p99_ms: how late the generator was; None: in a closed loop it has no schedule to be late for.
    """
    limits = [threshold.most for threshold in thresholds if threshold.is_latency]
    is_late = lag_p99_ms is not None and bool(limits) and lag_p99_ms > LAG_SHARE_MOST * min(limits)
    return [_judge(threshold, measures, lag_p99_ms if is_late else None) for threshold in thresholds]


def _judge(threshold: Threshold, measures: Measures, late_ms: float | None) -> Judgement:
    chosen = [m for name, m in measures.operations.items() if threshold.operation in (None, name)]
    measured, sample_count = _measure(threshold, chosen)
    if measured is None:
        reason = "no call that could be measured"
        return Judgement(threshold, State.NOT_MEASURED, None, 0, reason)
    if threshold.is_latency and late_ms is not None:
        reason = f"the load generator itself was late (p99 {late_ms:.0f} ms), so this measures the generator"
        return Judgement(threshold, State.UNKNOWN, measured, sample_count, reason)
    state = State.PASSED if measured <= threshold.most else State.FAILED
    return Judgement(threshold, state, measured, sample_count)


def _samples(measure: OperationMeasure, kind: str) -> "array[float]":
    return {"": measure.latencies_ms, "settled": measure.settled_ms, "lag": measure.lags_ms}[kind]


def _measure(threshold: Threshold, chosen: Sequence[OperationMeasure]) -> tuple[float | None, int]:
    if threshold.statistic == "failure_share":
        count = sum(measure.calls + measure.not_sent for measure in chosen)
        return (sum(measure.faults for measure in chosen) / count, count) if count else (None, 0)
    if threshold.statistic == "missed_share":
        expected = sum(len(measure.lags_ms) + measure.missed for measure in chosen)
        return (sum(measure.missed for measure in chosen) / expected, expected) if expected else (None, 0)
    if threshold.statistic == "broken_share":
        opened = sum(measure.ok for measure in chosen)
        return (sum(measure.broken for measure in chosen) / opened, opened) if opened else (None, 0)
    kind, _, statistic = threshold.statistic.rpartition("_")
    samples = np.concatenate([np.array(_samples(m, kind)) for m in chosen] or [np.array([])])
    if not samples.size:
        return None, 0
    if statistic == "mean":
        value = samples.mean()
    elif statistic == "max":
        value = samples.max()
    else:
        value = np.percentile(samples, int(statistic.removeprefix("p")), method="inverted_cdf")
    return float(value), int(samples.size)
