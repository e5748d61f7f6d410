"""What came out of a race of requests, as people and scripts are told."""

from typing import Any

from integrity.engines.values import evidence_of
from integrity.numbers import counted
from integrity.race.requested import RequestsRaced
from integrity.report.layout import fold, lay_table
from integrity.report.terminal import write_json, write_result
from integrity.report.values import row_table
from integrity.verdict import Verdict

_WORDS = {
    Verdict.HOLDS: "sound: no order of the statements gives rows or answers that no order of the calls gives",
    Verdict.VIOLATED: "violated",
    Verdict.UNKNOWN: "inconclusive",
}


def write_requests(raced: RequestsRaced, *, is_json: bool) -> None:
    """Print what came out of a race of requests."""
    if is_json:
        write_json(requests_json(raced))
    else:
        write_result(render_requests(raced))


def render_requests(raced: RequestsRaced) -> str:
    """Return the race as text: the schedule that goes wrong, why it is wrong, and what was searched."""
    lines = [fold(f"{letter}: {name}") for letter, name in raced.actors.items()]
    if raced.found is not None:
        found = raced.found
        lines += ["", f"schedule {found.hit.run.letters}", "", *found.timeline, ""]
        for alarm in found.hit.alarms:
            lines.append(fold(f"violated  {alarm.oracle}: {alarm.name}"))
            headers, cells = row_table(alarm.rows[:5])
            lines.append(lay_table(cells, headers))
        lines += ["", *(fold(line) for line in found.explanation.lines)]
    lines += ["", fold(_sentence(raced)), fold(raced.rows)]
    return "\n".join(lines)


def _sentence(raced: RequestsRaced) -> str:
    coverage = raced.exploration.coverage
    searched = (
        f"{counted(coverage.played, 'schedule')} played, {coverage.spared} more known without playing, "
        f"{counted(coverage.waits, 'lock wait')}"
    )
    if raced.verdict is Verdict.HOLDS:
        bound = "every schedule there is" if coverage.is_exhaustive else f"{coverage.bound_completed} preemptions"
        return f"{_WORDS[raced.verdict]}; complete to {bound}: {searched}."
    why = f": {'; '.join(coverage.cut)}" if raced.verdict is Verdict.UNKNOWN and coverage.cut else ""
    return f"{_WORDS[raced.verdict]}{why}; {searched}."


def requests_json(raced: RequestsRaced) -> dict[str, Any]:
    """Return the race as JSON has it; see docs/json.md."""
    coverage = raced.exploration.coverage
    return {
        "verdict": raced.verdict.value,
        "actors": dict(raced.actors),
        "rows": raced.rows,
        "schedules": coverage.played,
        "spared": coverage.spared,
        "waits": coverage.waits,
        "is_exhaustive": coverage.is_exhaustive,
        "preemptions": coverage.bound_completed,
        "cut": list(coverage.cut),
        "found": None if raced.found is None else _found_json(raced),
    }


def _found_json(raced: RequestsRaced) -> dict[str, Any]:
    assert raced.found is not None
    hit = raced.found.hit
    return {
        "schedule": hit.run.letters,
        "is_repeatable": hit.is_repeatable,
        "anomaly": raced.found.explanation.anomaly.code,
        "explanation": list(raced.found.explanation.lines),
        "timeline": list(raced.found.timeline),
        "alarms": [
            {
                "oracle": str(alarm.oracle),
                "name": alarm.name,
                "rows": [{name: evidence_of(value) for name, value in row.items()} for row in alarm.rows],
            }
            for alarm in hit.alarms
        ],
    }
