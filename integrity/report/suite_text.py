"""A suite as text and JSON: what will be run and how long it takes, and what came of it."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from integrity.numbers import counted
from integrity.report.figures import explain_none, show_limit, show_statistic, shower_of
from integrity.report.layout import fold, lay_command, lay_table
from integrity.report.shape_text import name_slope
from integrity.report.terminal import write_json, write_result
from integrity.typed import typed

if TYPE_CHECKING:
    from integrity.load.suite import Planned, PlannedSuite
    from integrity.runs.result import ThresholdResult
    from integrity.runs.suites import SuiteRecord, SuiteStep


def render_plan(planned: "PlannedSuite") -> str:
    """Return the runs of a suite with their lengths, and when it will be over."""
    rows = [
        [number, each.system.name, each.profile_name, each.profile.title, _planned_length(each)]
        for number, each in enumerate(planned.runs, start=1)
    ]
    together = _length(sum(each.length_s for each in planned.runs))
    short = f", shortened {planned.shorten:g} times" if planned.shorten != 1 else ""
    table = lay_table(rows, ["", "system", "profile", "what it is", "at most"])
    shared = f", each of {counted(planned.processes, 'process', 'processes')}" if planned.processes > 1 else ""
    head = f"suite {planned.name}: {planned.title}{short}; {counted(len(planned.runs), 'run')}{shared}, at most {together}"
    return "\n".join((fold(head), "", table, *(f"\n{fold(line)}" for line in _foreseen(planned))))


def _foreseen(planned: "PlannedSuite") -> list[str]:
    """Return what is known of the runs before the first: what they will not do here, do to others, and are not held to."""
    from integrity.load.forecast import find_doubts, find_lack_of_space, find_warning

    lines = []
    if planned.free_bytes is not None:
        lack = find_lack_of_space([each.profile for each in planned.runs], planned.free_bytes)
        lines += [f"too little space: {lack}."] if lack else []
    for number, each in enumerate(planned.runs, start=1):
        name = f"{number} {each.system.name} {each.profile_name}"
        lines += [f"{name} {doubt}." for doubt in find_doubts(each.profile, processes=planned.processes)]
        if warning := find_warning(each.profile):
            lines.append(f"{name}: {warning}")
        if each.carried_by is not None:
            enough = f"With --shorten {each.carried_by} one is." if each.carried_by else "It takes a longer run."
            lines.append(f"{name} is so short that none of its limits is measured: it ends as unknown. {enough}")
        elif each.spared:
            named = ", ".join(map(str, each.spared))
            lines.append(f"{name} is shortened, so it passes though these are not measured: {named}.")
    return lines


def _planned_length(planned: "Planned") -> str:
    shortened = planned.profile.shortened
    length = _length(planned.length_s)
    return length if shortened is None else f"{length} of {_length(shortened.plan_s)}"


def render_suite(record: "SuiteRecord", file: Path) -> str:
    """Return one table of all steps, and below it what is worth a sentence."""
    steps = record.steps
    rows = [
        [
            step.system,
            step.profile,
            step.verdict,
            _took(step),
            step.total.calls,
            step.total.calls_per_s,
            show_statistic("p95", step.total.p95_ms, step.total.ok + step.total.declined),
            step.total.unavailable + step.total.failed + step.total.unknown + step.total.not_sent - step.total.abandoned,
            _thresholds(step.thresholds),
            step.audit,
        ]
        for step in steps
    ]
    headers = ["system", "profile", "verdict", "took", "calls", "calls/s", "p95 ms", "faults", "thresholds", "data"]
    note = explain_none(("p95",), [step.total.ok + step.total.declined for step in steps])
    blocks = [lay_table(rows, headers), *([fold(note)] if note else [])]
    blocks += _render_before(record)
    blocks += [fold(f"{step.system} {step.profile}: {said}") for step in steps for said in _said(step)]
    missing = record.planned - len(steps)
    if missing:
        blocks.append(f"interrupted: {missing} of {counted(record.planned, 'run was', 'runs were')} not made.")
    worst = next((step for step in reversed(steps) if step.made), None)
    if worst is not None:
        blocks.append(lay_command(f"{typed(f'reproduce {next(iter(worst.made))} --run {worst.run_id}')}", label="next: "))
    failed = ", ".join(f"{step.system} {step.profile} {step.verdict}" for step in steps if step.verdict != "passed")
    blocks.append(fold(f"verdict of all runs and their data: {record.verdict}{f' ({failed})' if failed else ''}"))
    blocks.append(f"suite {record.suite}, seed {record.seed}; kept in {file}")
    return "\n".join((blocks[0], "", *blocks[1:]))


def _render_before(record: "SuiteRecord") -> list[str]:
    """Return what was violated before the first run, and whether the suite made anything beside it."""
    if not record.before:
        return []
    made = any(step.made for step in record.steps)
    beside = "what the runs made beside that is said below" if made else "the runs made nothing wrong beside that"
    return [fold(f"violated before the first run: {_name_rows(record.before)}; {beside}.")]


def _name_rows(violated: "Mapping[str, int]") -> str:
    return ", ".join(f"{name} ({counted(count, 'row')})" for name, count in violated.items())


def write_suite(record: "SuiteRecord", file: Path, *, is_json: bool) -> None:
    """Write what came of a suite to stdout."""
    if is_json:
        write_json(record.to_json())
    else:
        write_result(render_suite(record, file))


def _took(step: "SuiteStep") -> str:
    took = f"{step.elapsed_s:.0f} s"
    return took if step.shortened is None else f"{took} of {_length(step.shortened.plan_s)}"


def _thresholds(thresholds: "Sequence[ThresholdResult]") -> str:
    states = [threshold.state for threshold in thresholds]
    known = ("passed", "warning", "failed", "not measured", "unknown")
    return ", ".join(f"{states.count(state)} {state}" for state in known if state in states) or "none"


def _said(step: "SuiteStep") -> list[str]:
    said = [f"made {_name_rows(step.made)}"] if step.made else []
    if step.shortened is not None:
        said.append(f"shortened: {step.shortened.mark}")
    said += [f"critical: {sentence}" for sentence in step.critical]
    search, sweep = step.search, step.sweep
    said += [f"no claim of capacity: {each.no_claim}" for each in (search, sweep) if each and each.no_claim]
    if search and search.first_break:
        first = search.first_break
        said.append(f"first break at {first.offered_per_s:g} calls/s: {first.operation or 'all'}: {first.how}")
    if search and search.hard_break:
        said.append(f"gave way at {search.hard_break.offered_per_s:g} calls/s: {search.hard_break.how}")
    if sweep and sweep.safe_ceiling:
        said.append(f"safe ceiling: {sweep.safe_ceiling:g} {sweep.of}")
    if step.has_spike:
        said.append(_recovery(step))
    said += [f"{name_slope(slope)}: {slope.verdict}" for slope in step.slopes if slope.verdict != "flat"]
    for state in ("failed", "warning", "unknown", "not measured"):
        if limits := [each for each in step.thresholds if each.state == state]:
            said.append(f"{state}: {', '.join(map(_with_reason, limits))}")
    return said


def _with_reason(limit: "ThresholdResult") -> str:
    """Return what a limit is of, with what was measured, or else why it was not if that is not for want of samples."""
    if limit.measured is not None:
        show = shower_of(limit.statistic)
        return f"{limit.subject} {show(limit.measured)} ({show_limit(limit)})"
    return limit.subject if " needs " in limit.reason or not limit.reason else f"{limit.subject} ({limit.reason})"


def _recovery(step: "SuiteStep") -> str:
    if step.recovery_unknown:
        return f"recovery not measured: {step.recovery_unknown}"
    if step.recovery_s is None:
        return f"did not recover in the {step.recovery_looked_s:.0f} s behind the spike"
    return f"recovered {step.recovery_s:.0f} s after the spike"


def _length(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    if hours:
        return f"{hours} h {minutes:02} min" if minutes else f"{hours} h"
    return f"{minutes} min {rest:02} s" if minutes and rest else f"{minutes} min" if minutes else f"{rest} s"
