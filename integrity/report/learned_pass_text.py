"""What came of the pairs of transactions of a recorded pass, as people and scripts are told."""

from typing import Any

from integrity.numbers import counted
from integrity.race.learned_pass import LearnedPass, Outcome, TransactionPair
from integrity.report.layout import fit_timeline, fold
from integrity.report.terminal import write_json, write_result

# What a token would stand for is the values of this pass, which the next one may not have.
_REPLAY = (
    "   replay: --pytest FILE beside --learn writes these statements as a test, where rows show it; a token, r1:..., has "
    "what the line below finds"
)


def write_pass(learned: LearnedPass, *, is_json: bool) -> None:
    """Print what came of the pairs."""
    if is_json:
        write_json(pass_json(learned))
    else:
        write_result(render_pass(learned))


def render_pass(learned: LearnedPass) -> str:
    """Return the pairs as text, the worst first: why they meet, what came of it, and what to type next."""
    made = f"{counted(learned.transactions, 'transaction')} recorded ({counted(learned.statements, 'statement')})"
    meet = counted(len(learned.pairs), "pair meets", "pairs meet")
    apart = counted(learned.apart, "touches nothing in common", "touch nothing in common")
    first = f"{made}; {counted(learned.kinds, 'kind')} made again alone: {meet}, {apart}."
    lines = [fold(f"{first} The worst first:" if learned.pairs else first)]
    is_shown = False
    for number, pair in enumerate(learned.pairs, start=1):
        lines += ["", fold(f"{number}. {' and '.join(dict.fromkeys(pair.names))}{' (twice)' * _is_self(pair)}")]
        lines += [fold(f"   {pair.conflict.reason}"), fold(f"   {_outcome(pair)}")]
        if pair.outcome is Outcome.WRONG and pair.finding is not None and not is_shown:
            is_shown = True
            lines += [
                "",
                *fit_timeline(pair.finding.timeline),
                "",
                *map(fold, pair.finding.explanation[:-1]),
                "",
                fold(_REPLAY),
            ]
        if pair.outcome in (Outcome.WRONG, Outcome.SUSPECTED):
            lines.append(fold(f"   next: {_next(pair)}"))
    if learned.left_out:
        lines += ["", *(fold(f"not made again: {each}") for each in learned.left_out)]
    return "\n".join(lines)


def _is_self(pair: TransactionPair) -> bool:
    return pair.conflict.numbers[0] == pair.conflict.numbers[1]


def _outcome(pair: TransactionPair) -> str:
    schedule = f"schedule {pair.finding.schedule}; " if pair.finding is not None else ""
    played = f"; {schedule}{counted(pair.schedules, 'schedule')} played" if pair.schedules else ""
    return f"{pair.outcome.value}{f': {pair.reason}' if pair.reason else ''}{played}"


def _next(pair: TransactionPair) -> str:
    """Return what plays the application's own code in these orders."""
    one, other = pair.tests
    if not one or not other:
        return "race what makes them, by --app and --curl, or by --actor: there the application answers for itself"
    if one == other:
        return (
            f"write @pytest.mark.race above {one.rpartition('::')[2]}, and let its body connect by itself: "
            "its own code is played in these orders then"
        )
    return "race the functions that make them, in one test: race(one, other).holds()"


def pass_json(learned: LearnedPass) -> dict[str, Any]:
    """Return the pairs as JSON has them; see docs/json.md."""
    return {
        "transactions": learned.transactions,
        "statements": learned.statements,
        "kinds": learned.kinds,
        "pairs": [
            {
                "names": list(pair.names),
                "tests": list(pair.tests),
                "conflict": pair.conflict.kind.name.lower(),
                "table": pair.conflict.table,
                "meets": pair.conflict.reason,
                "outcome": pair.outcome.value,
                "reason": pair.reason,
                "schedule": pair.finding.schedule if pair.finding is not None else None,
                "schedules": pair.schedules,
            }
            for pair in learned.pairs
        ],
        "apart": learned.apart,
        "not_made_again": list(learned.left_out),
    }
