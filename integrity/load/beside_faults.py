"""Beside faults: what must hold while something is broken on purpose.

A run does not fail for what a fault did. Two things are asked of it all the same: each call that was under way ends, and
says how; and operations that do not need what is broken keep the limits that the profile has for them. The second is of all
windows together that leave an operation alone, and is asked where these bring as many calls as the limit needs.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from integrity.faults.player import PlayedFault
from integrity.faults.reach import Reliance, needs_broken
from integrity.load.fault_windows import JudgedPart
from integrity.load.judging import ThresholdJudgement, judge
from integrity.load.statistics import Kind
from integrity.load.thresholds import Grade, Threshold
from integrity.measure.calls import Measures, OperationMeasure
from integrity.measure.marks import measures_of
from integrity.numbers import counted
from integrity.runs.effects import ENDS_WITHIN_S, FaultEffect
from integrity.runs.result import ThresholdResult

ENDED = "ended_share"
"""The statistic of how many calls ended, of those that were under way while a fault was in force."""


@dataclass(frozen=True, slots=True)
class BesideFaults:
    """What is judged beside faults.

    Args:
        judgements: of the profile's limits, on operations that did not need what was broken.
        too_few: limits that too few of their calls came for, in words.
    """

    judgements: tuple[ThresholdJudgement, ...] = ()
    too_few: tuple[str, ...] = ()


def judge_spared(
    thresholds: Sequence[Threshold],
    part: JudgedPart,
    played: Sequence[PlayedFault],
    reliances: Mapping[str, Reliance],
    lag_p99_ms: float | None,
) -> BesideFaults:
    """Return how operations kept their limits while what they do not need was broken.

    Args:
        thresholds: of the profile. Those on a latency of all operations together say nothing of some of them.
        reliances: of each operation; one that is not there relies on nothing but the database.
        lag_p99_ms: how late the generator was.
    """
    spared = _spared(part, played, reliances)
    judged, too_few = [], []
    for threshold in thresholds:
        is_of_calls = threshold.kind is Kind.LATENCY and threshold.operation is not None and "_" not in threshold.statistic
        if threshold.rows is not None or not (is_of_calls or threshold.statistic == "failure_share"):
            continue
        chosen = [measure for name, measure in spared.operations.items() if threshold.covers(name, measure.group)]
        offered = sum(measure.offered for measure in chosen)
        if not offered:
            continue
        if offered < threshold.samples_least:
            name = f"{threshold.about} {threshold.statistic.replace('_', ' ')}"
            too_few.append(f"{name} ({offered} of {counted(threshold.samples_least, 'call')} that it needs)")
            continue
        judged += judge([threshold], spared, lag_p99_ms, seconds=part.seconds)
    return BesideFaults(tuple(judged), tuple(too_few))


def _spared(part: JudgedPart, played: Sequence[PlayedFault], reliances: Mapping[str, Reliance]) -> Measures:
    """Return the measures, in all windows together, of operations that did not need what was broken there."""
    pieces: list[tuple[str, OperationMeasure]] = []
    for window, measures in zip(part.left_out, part.apart, strict=True):
        broken = [each.window for each in played if each.from_us <= window.to_us and each.to_us >= window.from_us]
        pieces += [
            (name, measure)
            for name, measure in measures.operations.items()
            if not any(needs_broken(each, reliances.get(name, Reliance())) for each in broken)
        ]
    return measures_of(pieces)


def judge_endings(effects: Sequence[FaultEffect]) -> ThresholdResult | None:
    """Return whether each call that was under way in a window ended, and said how; None: there was no such call."""
    calls = sum(effect.phases.during.calls for effect in effects)
    if not calls:
        return None
    wrong = [
        (effect.fault, name, number, what)
        for effect in effects
        for which, what in (
            (effect.unended, f"had not ended {ENDS_WITHIN_S:g} s after it was healed"),
            (effect.unexplained, "ended without an answer or a reason"),
        )
        for name, number in which.items()
    ]
    cut_off = sum(effect.cut_off for effect in effects)
    measured: float | None = 1 - sum(number for _, _, number, _ in wrong) / calls
    state, reason = Grade.PASSED, ""
    if wrong:
        state = Grade.FAILED
        reason = "; ".join(f"{fault}: {counted(number, 'call')} of {name} {what}" for fault, name, number, what in wrong)
    elif cut_off:
        state, measured = Grade.NOT_MEASURED, None
        reason = f"{counted(cut_off, 'call was', 'calls were')} cut off at the end of the run"
    return ThresholdResult(
        operation=None,
        statistic=ENDED,
        most=None,
        warning=None,
        critical=None,
        least=1.0,
        measured=None if measured is None else round(measured, 5),
        sample_count=calls,
        state=state.value,
        reason=reason,
        source="our own: whatever is broken, a call ends, and says how",
    )
