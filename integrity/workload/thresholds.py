"""Thresholds: a run's measures held against a profile's limits.

Passed and failed are for what was measured. Without a sample it is "not measured", and where the load generator itself was
late a latency is "unknown": neither is ever shown as passed.
"""

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


def _measure(threshold: Threshold, chosen: Sequence[OperationMeasure]) -> tuple[float | None, int]:
    if threshold.statistic == "failure_share":
        count = sum(measure.calls + measure.not_sent for measure in chosen)
        return (sum(measure.faults for measure in chosen) / count, count) if count else (None, 0)
    is_settled = threshold.statistic.startswith("settled_")
    samples = np.concatenate([np.array(m.settled_ms if is_settled else m.latencies_ms) for m in chosen] or [np.array([])])
    if not samples.size:
        return None, 0
    statistic = threshold.statistic.removeprefix("settled_")
    if statistic == "mean":
        value = samples.mean()
    elif statistic == "max":
        value = samples.max()
    else:
        value = np.percentile(samples, int(statistic.removeprefix("p")), method="inverted_cdf")
    return float(value), int(samples.size)
