"""Limits of rows: judged when the run's history is loaded, and of a search or a sweep by the step in which rows began.

What a step bore is then told anew with them: which load broke a limit first, and where the latency that the profile names
bends, are the rows' to say where they are what it names.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace

from integrity.load.judging import NOT_LOADED, RowTimes, ThresholdJudgement, judge
from integrity.load.phases import PlayedSchedule, judge_steps
from integrity.load.profile import OpenProfile, Profile
from integrity.load.result import result_of
from integrity.load.shape_result import describe_steps
from integrity.load.thresholds import Grade, Threshold
from integrity.measure.calls import Measures
from integrity.runs.result import RunResult


def with_end_states(
    result: RunResult, profile: Profile, played: PlayedSchedule | None, rows: Mapping[str, RowTimes]
) -> RunResult:
    """Return the result with its thresholds of rows judged, which can be asked for when the history is loaded.

    Args:
        rows: what the queries found; `pieces` of the steps of a search, in their order.
    """
    asked = [each for each in profile.thresholds if each.rows is not None]
    if not asked:
        return result
    shape = {}
    if isinstance(profile, OpenProfile) and profile.steps is not None and played is not None and played.phases:
        for number, phase in enumerate(played.phases):
            own = {name: found.pieces[number] if found.pieces else found for name, found in rows.items()}
            judged = _judge(asked, own, phase.lag_p99_ms, phase.seconds, result)
            phase.judgements = (*phase.judgements, *judged)
        found = [each for each in judge_steps(played.phases) if each.threshold.rows is not None]
        shape = dict(describe_steps(profile, played))
    else:
        lags_ms = (result.loop_lag_p99_ms, result.arrivals.dispatch_lag_p99_ms) if result.arrivals else ()
        late_ms = max((lag for lag in lags_ms if lag is not None), default=None)
        found = _judge(asked, rows, late_ms, result.elapsed_s, result)
    judged_rows = iter(found)
    limits = tuple(each if each.rows is None else result_of(next(judged_rows)) for each in result.thresholds)
    return result.model_copy(update={"thresholds": limits, **shape})


def _judge(
    asked: Sequence[Threshold], rows: Mapping[str, RowTimes], late_ms: float | None, seconds: float, result: RunResult
) -> list[ThresholdJudgement]:
    found = judge(asked, Measures(), late_ms, seconds=seconds, rows=rows)
    return found if result.settled_at_us is not None else [_while_owed(each, rows) for each in found]


def _while_owed(judgement: ThresholdJudgement, rows: Mapping[str, RowTimes]) -> ThresholdJudgement:
    """Return the judgement of a run that was given up while something was owed: what may yet come is not lost."""
    threshold = judgement.threshold
    never = rows.get(threshold.rows or "", NOT_LOADED).never
    if judgement.state is not Grade.FAILED or threshold.within_ms is not None or not never:
        return judgement
    reason = f"{never} of {judgement.sample_count} had not come when the run was given up: they may yet"
    return replace(judgement, state=Grade.NOT_MEASURED, measured=None, reason=reason)
