"""What came out of a race of requests, as people and scripts are told."""

from typing import Any

from integrity.numbers import counted
from integrity.race.judge.unfinished import tell_schedule, what_to_do
from integrity.race.raced import FindingKept
from integrity.race.requested import RequestsRaced
from integrity.report.layout import fold, lay_command
from integrity.report.race_text import render_cures, render_happening
from integrity.report.terminal import write_json, write_result
from integrity.verdict import Verdict

_WORDS = {
    Verdict.HOLDS: "sound: no order of the statements gives rows or answers that no order of the calls gives",
    Verdict.VIOLATED: "violated",
    Verdict.UNKNOWN: "inconclusive",
}

_APART = (
    "answers apart: the rows are right in every order, and the answers above are those of no order of the calls: "
    "--strict-replies makes that a finding"
)


def write_requests(raced: RequestsRaced, *, is_json: bool) -> None:
    """Print what came out of a race of requests."""
    if is_json:
        write_json(requests_json(raced))
    else:
        write_result(render_requests(raced))


def render_requests(raced: RequestsRaced) -> str:
    """Return the race as text: the schedule that goes wrong, why it is wrong, and what was searched."""
    lines = [fold(f"{letter}: {name}") for letter, name in raced.actors.items()]
    for each in raced.found[:1]:
        lines += ["", *render_happening(each.finding), *render_cures(each.finding)]
    unfinished = raced.exploration.coverage.unfinished
    if raced.verdict is Verdict.UNKNOWN and unfinished is not None:
        lines += ["", *tell_schedule(unfinished)]
    lines += ["", fold(sentence_of_requests(raced)), fold(raced.rows)]
    if raced.uncompared:
        lines.append(fold(f"not compared: {', '.join(raced.uncompared)}"))
    for label, each in zip(("replay: ", "others: ", *["        "] * len(raced.found)), raced.found, strict=False):
        lines += ["", *render_replay(each, label=label)] if label == "replay: " else render_replay(each, label=label)
    return "\n".join(lines)


def render_replay(kept: FindingKept, *, label: str) -> list[str]:
    """Return how a finding is played again: by its file, and by its token, which must stay in one line."""
    record = kept.finding.scenario
    token = f"{'or: ':>{len(label)}}integrity replay {record.token}" if record and record.token else ""
    return [lay_command(kept.replay, label=label), *filter(None, [token])]


def sentence_of_requests(raced: RequestsRaced) -> str:
    """Return the outcome in one sentence, with what it covers."""
    coverage = raced.exploration.coverage
    searched = (
        f"{counted(coverage.played, 'schedule')} played, {coverage.spared} more known without playing, "
        f"{counted(coverage.waits, 'lock wait')}"
    )
    if raced.verdict is Verdict.HOLDS:
        bound = "every schedule there is" if coverage.is_exhaustive else f"{coverage.bound_completed} preemptions"
        words = _APART if raced.found else _WORDS[raced.verdict]
        return f"{words}; complete to {bound}: {searched}."
    why = f": {'; '.join(coverage.reasons)}" if raced.verdict is Verdict.UNKNOWN and coverage.reasons else ""
    hint = what_to_do(coverage.unfinished.cut) if coverage.unfinished is not None else ""
    return " ".join(filter(None, (f"{_WORDS[raced.verdict]}{why}; {searched}.", hint)))


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
        "cut": coverage.reasons,
        "unfinished": [] if coverage.unfinished is None else tell_schedule(coverage.unfinished),
        "not_compared": list(raced.uncompared),
        "findings": [{"file": str(each.file), **each.finding.model_dump(mode="json")} for each in raced.found],
    }
