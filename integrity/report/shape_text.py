"""What a run's shape found, as text: its phases, where it broke, what may be promised, and what rises."""

from collections.abc import Sequence

from integrity.monitor.processes import SERVER
from integrity.numbers import counted
from integrity.report.figures import NONE, explain_none, show_statistic
from integrity.report.layout import fold, lay_table
from integrity.runs.result import RunResult
from integrity.runs.shape import (
    KNEE_POINTS_LEAST,
    WATCHED_S_LEAST,
    LoadSweep,
    PhaseResult,
    PhaseThreshold,
    Search,
    SlopeResult,
)

_NAMES = {
    "p95_ms": ("p95", "ms"),
    "failure_share": ("failures", "%"),
    "rss_mb": ("memory of the generator", "MB"),
    "own_mb": ("memory of", "MB"),
    "connections": ("connections", ""),
    "cpu_share": ("CPU of", "%"),
    "descriptors": ("descriptors of", ""),
    "owed": ("background work that is owed", ""),
}


def render_shape(result: RunResult) -> list[str]:
    """Return the blocks about the shape; none for a steady run without trends."""
    blocks = []
    if result.phases:
        blocks.append(_phases(result.phases))
    if result.search is not None:
        blocks.append("\n".join(_search(result.search)))
    if result.sweep is not None:
        blocks.append("\n".join(_sweep(result.sweep)))
    if result.has_spike:
        blocks.append(_recovery(result))
    if result.slopes:
        blocks.append(_slopes(result.slopes, result))
    if result.rising:
        blocks.append(fold(f"failed: {' and '.join(map(name_slope, result.rising))} rose."))
    if result.lacks_trends:
        blocks.append(fold(f"trends: not measured, the run was too short for {_unmeasured(result.slopes)}."))
    return blocks


def _phases(phases: Sequence[PhaseResult]) -> str:
    rows = [
        [
            phase.name,
            f"{phase.from_s:.0f}-{phase.to_s:.0f} s",
            f"{phase.offered_per_s:.1f}",
            NONE if phase.answered_per_s is None else f"{phase.answered_per_s:.1f}",
            f"{phase.failure_share:.2%}",
            show_statistic("p50", phase.p50_ms, phase.answered),
            show_statistic("p95", phase.p95_ms, phase.answered),
            show_statistic("p99", phase.p99_ms, phase.answered),
            _judged(phase.thresholds),
        ]
        for phase in phases
    ]
    headers = ["phase", "from-to", "offered/s", "answered/s", "failures", "p50 ms", "p95 ms", "p99 ms", "thresholds"]
    aligned = ("left", "right", "right", "right", "right", "right", "right", "right", "left")
    table = lay_table(rows, headers, align=aligned)
    note = explain_none(("p50", "p95", "p99"), [phase.answered for phase in phases])
    return f"{table}\n{fold(note)}" if note else table


def _judged(thresholds: Sequence[PhaseThreshold]) -> str:
    """Return every state that there is: what is amiss by its name, the rest counted where not all of it passed."""
    states = [each.state for each in thresholds]
    if set(states) == {"passed"}:
        return "passed"
    told = [
        f"{state}: {', '.join(_name(each) for each in thresholds if each.state == state)}"
        for state in ("failed", "unknown", "warning")
        if state in states
    ]
    counted = [f"{states.count(state)} {state}" for state in ("passed", "not measured") if state in states]
    return "; ".join([*told, *([", ".join(counted)] if counted else [])]) or NONE


def _name(threshold: PhaseThreshold) -> str:
    return f"{threshold.rows or threshold.operation or 'all'} {threshold.statistic.replace('_', ' ')}"


def _search(search: Search) -> list[str]:
    if search.no_claim:
        return [fold(f"no claim of capacity: {search.no_claim}; the search ended: {search.ended_because}.")]
    lines = []
    if search.held_per_s is not None:
        lines.append(f"held every threshold up to {search.held_per_s:g} calls/s.")
    first, hard = search.first_break, search.hard_break
    if first:
        lines.append(f"first break at {first.offered_per_s:g} calls/s: {first.operation or 'all'}: {first.how}.")
    if hard:
        lines.append(f"gave way at {hard.offered_per_s:g} calls/s: {hard.how}.")
    else:
        lines.append(f"did not give way; the search ended: {search.ended_because}.")
    return lines


def _sweep(sweep: LoadSweep) -> list[str]:
    if sweep.no_claim:
        return [fold(f"no claim of capacity: {sweep.no_claim}.")]
    what, of = sweep.of, f" of {sweep.figure}" if sweep.figure else ""
    if sweep.knee is not None:
        lines = [f"knee{of}: {sweep.knee:g} {what}."]
    elif sweep.points is not None and sweep.points < KNEE_POINTS_LEAST:
        known = f"it is known at {sweep.points} of {counted(len(sweep.loads), 'load')}"
        lines = [fold(f"knee{of}: not measured: {known}, and a bend takes {KNEE_POINTS_LEAST}.")]
    else:
        lines = [fold(f"knee{of}: none: latency rises in a straight line, or not at all.")]
    first, kept = sweep.first_warning, [each.load for each in sweep.loads if each.is_kept]
    if first is not None:
        lines.append(f"first over a warning at {first.load:g} {what}: {first.how}.")
        lines.append(f"safe ceiling: {sweep.safe_ceiling:g} {what} (0.8 of that).")
    elif kept:
        lines.append(f"no load was over a warning: the ceiling is above {max(kept):g} {what}.")
    else:
        lines.append("no load was over a warning, and none had each limit measured: nothing is said of a ceiling.")
    return lines


def _recovery(result: RunResult) -> str:
    if result.recovery_unknown:
        return f"recovery after the spike: not measured: {result.recovery_unknown}."
    if result.recovery_s is None:
        return "recovery after the spike: not within this run."
    return f"recovery after the spike: latency and failures were as before {result.recovery_s:.0f} s after its end."


def name_slope(slope: SlopeResult) -> str:
    """Return what a slope is of, e.g. "memory of the database"."""
    whose = "the database" if slope.process == SERVER else slope.process
    return f"{_NAMES[slope.name][0]} {whose}".rstrip()


def _unmeasured(slopes: Sequence[SlopeResult]) -> str:
    short = [name_slope(slope) for slope in slopes if slope.verdict == "too short"]
    return f"that of {' and '.join(short)}, which {WATCHED_S_LEAST / 60:.0f} minutes tell" if short else "one"


def _slopes(slopes: Sequence[SlopeResult], result: RunResult) -> str:
    rows = []
    for slope in slopes:
        unit = _NAMES[slope.name][1]
        factor = 100 if unit == "%" else 1
        rows.append(
            [
                slope.verdict,
                name_slope(slope),
                f"{slope.start * factor:.2f} {unit}",
                f"{slope.end * factor:.2f} {unit}",
                f"{slope.per_hour * factor:+.2f} ± {slope.uncertainty * factor:.2f} {unit}/h",
            ]
        )
    table = lay_table(rows, ["trend", "of", "start", "end", "slope (95%)"])
    if result.shortened is None:
        return table
    return f"{table}\nshortened: the intervals are wider than those of the whole length."
