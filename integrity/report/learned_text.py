"""What came of the pairs that were foretold of a scenario, as people and scripts are told."""

from typing import Any

from integrity.numbers import counted
from integrity.race.learned import Learned, PairRaced
from integrity.report.layout import fold
from integrity.report.requests_text import render_replay
from integrity.report.terminal import write_json, write_result


def write_learned(learned: Learned, *, is_json: bool) -> None:
    """Print what came of the pairs."""
    if is_json:
        write_json(learned_json(learned))
    else:
        write_result(render_learned(learned))


def render_learned(learned: Learned) -> str:
    """Return the pairs as text, the worst first: why they meet, what came of it, and how it is seen again."""
    meet = counted(len(learned.pairs), "pair meets", "pairs meet")
    apart = counted(learned.apart, "touches nothing in common", "touch nothing in common")
    lines = [fold(f"{counted(len(learned.calls), 'call')} recorded alone; {meet}, {apart}. The worst first:")]
    for number, pair in enumerate(learned.pairs, start=1):
        lines += ["", fold(f"{number}. {' and '.join(pair.names)}"), fold(f"   {pair.conflict.reason}")]
        lines.append(fold(f"   {_outcome(pair)}"))
        if pair.found:
            lines += render_replay(pair.found[0], label="   replay: ")
    return "\n".join([*lines, "", fold(learned.rows)])


def _outcome(pair: PairRaced) -> str:
    if pair.exploration is None:
        return "not raced: the budget was spent before; --budget gives more"
    coverage = pair.exploration.coverage
    what = pair.found[0].finding.anomaly if pair.found else ""
    why = f": {'; '.join(coverage.cut)}" if coverage.cut else ""
    return f"{pair.verdict.value}{f' ({what})' if what else ''}; {counted(coverage.played, 'schedule')} played{why}"


def learned_json(learned: Learned) -> dict[str, Any]:
    """Return the pairs as JSON has them; see docs/json.md."""
    return {
        "calls": [
            {
                "name": call.name,
                "reads": sorted(call.reads),
                "locks": sorted(call.locks),
                "writes": sorted(call.written),
            }
            for call in learned.calls
        ],
        "pairs": [
            {
                "names": list(pair.names),
                "conflict": pair.conflict.kind.name.lower(),
                "table": pair.conflict.table,
                "reason": pair.conflict.reason,
                "verdict": pair.verdict.value,
                "is_raced": pair.exploration is not None,
                "schedules": pair.exploration.coverage.played if pair.exploration else 0,
                "findings": [str(each.file) for each in pair.found],
            }
            for pair in learned.pairs
        ],
        "apart": learned.apart,
        "rows": learned.rows,
    }
