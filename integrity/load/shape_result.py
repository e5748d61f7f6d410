"""What a run's shape is there to find, as records of its result.json: phases, breaks, ceilings, recovery, trends."""

from collections.abc import Sequence
from typing import TypedDict

from integrity.load.judging import ThresholdJudgement
from integrity.load.phases import Ladder, Phase, PlayedSchedule
from integrity.load.profile import OpenProfile
from integrity.measure.calls import summarize
from integrity.measure.trends import find_knee, find_recovery, find_slopes
from integrity.runs.percentiles import Percentiles
from integrity.runs.samples import RunSample
from integrity.runs.shape import (
    FirstBreak,
    FirstWarning,
    HardBreak,
    LoadSweep,
    PhaseResult,
    PhaseThreshold,
    Search,
    SlopeResult,
    SweepLoad,
)

CEILING_SHARE = 0.8
"""Of the first load over a warning: what may be promised. Source: the messaging plan, "safe ceiling"."""


class ShapeFound(TypedDict, total=False):
    """Fields of a run's result: search or sweep of a profile with steps, recovery_s of one with a spike."""

    phases: tuple[PhaseResult, ...]
    slopes: tuple[SlopeResult, ...]
    search: Search
    sweep: LoadSweep
    recovery_s: float | None
    recovery_unknown: str
    recovery_looked_s: float


def describe_steps(profile: OpenProfile, played: PlayedSchedule) -> ShapeFound:
    """Return the phases of the load, and what its steps say together."""
    phases, ladder = played.phases, played.ladder
    found: ShapeFound = {"phases": tuple(map(_phase, phases)) if profile.stages or profile.steps else ()}
    if profile.steps is not None and ladder is not None:
        if profile.steps.goal == "break":
            found["search"] = _search(ladder, phases, profile.steps.no_claim)
        else:
            found["sweep"] = _sweep(profile, phases)
    return found


def describe_shape(profile: OpenProfile, played: PlayedSchedule, samples: Sequence[RunSample]) -> ShapeFound:
    """Return what the shape of the load found."""
    phases, found = played.phases, describe_steps(profile, played)
    found["slopes"] = tuple(find_slopes(samples)) if profile.watches_trends else ()
    spike = next((phase for phase in phases if phase.part == "spike"), None)
    before = next((phase for phase in phases if phase.part == "before"), None)
    if spike is not None and before is not None:
        recovery = find_recovery(samples, before_from_s=before.from_s, before_to_s=before.to_s, from_s=spike.to_s)
        found["recovery_s"], found["recovery_unknown"] = recovery.seconds, recovery.unknown
        found["recovery_looked_s"] = round(recovery.looked_s, 3)
    return found


def _phase(phase: Phase) -> PhaseResult:
    total = summarize(phase.measures, phase.seconds)[-1]
    return PhaseResult(
        name=phase.name,
        part=phase.part,
        factor=round(phase.factor, 4),
        from_s=round(phase.from_s, 3),
        to_s=round(phase.to_s, 3),
        offered_per_s=round(phase.offered_per_s, 2),
        answered=phase.answered,
        answered_per_s=round(phase.arrivals_answered / phase.seconds, 2) if phase.seconds > 0 else None,
        failure_share=round(phase.failure_share, 6),
        **{name: getattr(total, name) for name in Percentiles.model_fields},
        lag_p99_ms=phase.lag_p99_ms,
        thresholds=tuple(map(_said, phase.judgements)),
    )


def _said(judgement: ThresholdJudgement) -> PhaseThreshold:
    threshold = judgement.threshold
    return PhaseThreshold(
        operation=threshold.operation or threshold.group,
        rows=threshold.rows,
        statistic=threshold.statistic,
        measured=None if judgement.measured is None else round(judgement.measured, 5),
        state=judgement.state.value,
    )


def _search(ladder: Ladder, phases: Sequence[Phase], no_claim: str) -> Search:
    if no_claim:
        ended = ladder.ended_because or "the run was stopped"
        return Search(held_per_s=None, first_break=None, hard_break=None, ended_because=ended, no_claim=no_claim)
    hard = ladder.hard_break
    broken = [phase for phase in phases if phase.failed() or phase.gave_way()]
    first = broken[0] if broken else None
    bore = phases[: phases.index(first)] if first is not None else phases
    held = [phase for phase in bore if phase.is_kept]
    return Search(
        held_per_s=round(held[-1].offered_per_s, 2) if held else None,
        first_break=_broke(first) if first else None,
        hard_break=HardBreak(offered_per_s=round(hard.offered_per_s, 2), how=hard.gave_way()) if hard else None,
        ended_because=ladder.ended_because or "the run was stopped",
    )


def _broke(phase: Phase) -> FirstBreak:
    """Return which threshold a phase broke, and which operation first: the one that is furthest over its limit."""
    failed = phase.failed()
    worst = max(failed, key=_excess, default=None)
    return FirstBreak(
        name=phase.name,
        offered_per_s=round(phase.offered_per_s, 2),
        operation=None if worst is None else _whose(worst) or _slowest(phase, worst),
        how=phase.gave_way() if worst is None else describe_failure(worst),
    )


def _whose(judgement: ThresholdJudgement) -> str | None:
    return judgement.threshold.operation or judgement.threshold.group or judgement.threshold.rows


def _excess(judgement: ThresholdJudgement) -> float:
    measured, threshold = judgement.measured or 0.0, judgement.threshold
    if threshold.least is not None:
        return threshold.least / measured if measured else float("inf")
    limit = threshold.critical if threshold.critical is not None else threshold.limit
    return measured / limit if limit else float("inf")


def _slowest(phase: Phase, judgement: ThresholdJudgement) -> str | None:
    """Return the operation that a threshold of all operations failed by: most failures, or the highest p95."""
    rows = summarize(phase.measures, phase.seconds)[:-1]
    if judgement.threshold.statistic.endswith("_share"):
        rows.sort(key=lambda row: -(row.unavailable + row.failed + row.unknown))
    else:
        rows.sort(key=lambda row: -(row.p95_ms or 0.0))
    return rows[0].operation if rows else None


def describe_failure(judgement: ThresholdJudgement) -> str:
    """Return in words what was over its limit."""
    threshold, measured = judgement.threshold, judgement.measured or 0.0
    name = threshold.statistic.replace("_", " ")
    limit = threshold.critical if threshold.critical is not None else threshold.most
    if threshold.statistic.endswith("_share"):
        than = f"below {threshold.least:.2%}" if threshold.least is not None else f"over {limit:.2%}"
        return f"{name} {measured:.2%}, {than}"
    if threshold.least is not None:
        return f"{name} {measured:.1f}, below {threshold.least:g}"
    return (
        f"{name} {measured:.0f} ms, over {limit:g} ms" if threshold.is_latency else f"{name} {measured:g}, over {limit:g}"
    )


def _sweep(profile: OpenProfile, phases: Sequence[Phase]) -> LoadSweep:
    assert profile.steps is not None
    counts = {phase.name: _load(profile, phase) for phase in phases}
    warned = next((phase for phase in phases if phase.warned()), None)
    no_claim = profile.steps.no_claim
    if no_claim:
        warned = None
    figure, points = _curve(profile, [(counts[phase.name], phase) for phase in phases])
    knee = None if no_claim else find_knee(points)
    return LoadSweep(
        of="subscribers" if profile.steps.scales == "subscribers" else "arrivals per second",
        loads=tuple(SweepLoad(name=each.name, load=round(counts[each.name], 2), is_kept=each.is_kept) for each in phases),
        knee=round(points[knee][0], 2) if knee is not None else None,
        first_warning=(
            FirstWarning(load=round(counts[warned.name], 2), how=describe_failure(warned.warned()[0])) if warned else None
        ),
        safe_ceiling=round(CEILING_SHARE * counts[warned.name], 2) if warned else None,
        no_claim=no_claim,
        figure=figure,
        points=len(points),
    )


def _curve(profile: OpenProfile, loads: Sequence[tuple[float, Phase]]) -> tuple[str, list[tuple[float, float]]]:
    """Return what is drawn over the load, and its points: the first latency that the profile holds a phase to.

    That of all operations mixed bends where the commonest does; it is drawn where the profile names none. A latency of rows
    is known when the history is loaded.
    """
    named = next((each for each in profile.thresholds if each.is_latency), None)
    if named is None:
        return "p95", [(load, phase.p95_ms) for load, phase in loads if phase.p95_ms is not None]
    figure = f"{named.about} {named.statistic.replace('_', ' ')}"
    judged = [(load, each) for load, phase in loads for each in phase.judgements if each.threshold == named]
    return figure, [(load, each.measured) for load, each in judged if each.measured is not None]


def _load(profile: OpenProfile, phase: Phase) -> float:
    if profile.steps is not None and profile.steps.scales == "subscribers":
        return sum(each.count for each in profile.subscribers) * phase.factor
    return phase.offered_per_s
