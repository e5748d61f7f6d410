"""A reproduction as text for people: what brought the row back, or all that was tried and all that was not."""

from collections.abc import Iterator

from integrity.numbers import counted
from integrity.race.raced import Reproduced
from integrity.race.reproduction.reproduction import BACK, Reproduction, Trial
from integrity.report.layout import fold
from integrity.report.values import show


def render_reproduction(reproduced: Reproduced) -> str:
    """Return what was tried for a violated row, and what brought it back."""
    found = reproduced.reproduction
    shown = "  ".join(f"{name}={show(value, width=40)}" for name, value in reproduced.row.items())
    lines = [f"violated  {reproduced.invariant}", f"  {shown}"]
    lines.append(f"  in the audit of run {reproduced.run_id}, taken at {reproduced.taken_at}")
    if found.touched is None:
        lines.append("  which calls of the run touched it was not counted: the budget was over before")
    else:
        raced = counted(len(found.pairs), "kind")
        lines.append(f"  {counted(found.touched, 'call')} of the run touched it; {raced} of pairs of them raced")
    return "\n".join(map(fold, [*lines, *_outcome(found)]))


def _outcome(found: Reproduction) -> Iterator[str]:
    after = f"Back after {counted(found.schedules, 'schedule')}"
    match found.kind:
        case "race":
            yield from _raced_before(found.tried)
            yield f"{after}: a race."
        case "alone":
            yield f"{after}, without any race: one call by itself breaks it."
        case "crash":
            yield f"{after}: a client that dies in the middle leaves this."
            yield f"  {found.call}, cut off after"
            yield from (f"    {step}" for step in found.steps)
            for each in found.rows:
                yield f"  leaves {'  '.join(f'{name}={show(value, width=40)}' for name, value in each.items())}"
        case _:
            yield from _not_back(found)


def _raced_before(tried: tuple[Trial, ...]) -> Iterator[str]:
    """Yield what else was raced, as it was likelier: that it brought nothing back says something."""
    yield from (f"  {_told(trial)}" for trial in tried if trial.way == "race" and trial.result != BACK)


def _not_back(found: Reproduction) -> Iterator[str]:
    within = ", and the budget is over" if found.is_over else ""
    yield f"Nothing brought it back: {counted(found.schedules, 'schedule')}{within}."
    yield from (f"  {_told(trial)}" for trial in found.tried)
    if found.untried:
        yield "Not tried:"
        yield from (f"  {attempt}" for attempt in found.untried)
    if found.is_over:
        yield "  hint: give it more time (--budget 10m), or name a pair yourself: integrity race."
    else:
        yield "  hint: the row may be older than this run; --run names another one."


def _told(trial: Trial) -> str:
    return f"{trial.way.value}: {trial.calls}: {trial.result}".replace("race: ", "raced: ", 1)
