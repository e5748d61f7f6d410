"""Calls that went astray: what a replay of theirs tells of a fix is nothing, as they did not do what they did.

An application that answers every request with 500 brings no race back, and neither does one that sends everybody to its
login. That is told from a fix by what no fix does: a call that is refused made alone, or makes no statement; no call that
takes effect, or none that changes a row.
"""

from collections.abc import Collection
from dataclasses import replace
from string import ascii_uppercase

from integrity.operation import Ok
from integrity.race.play.scheduler import PlayedSchedule, Scheduler
from integrity.race.program.program import Program
from integrity.race.program.trace import Failed


def why_astray(scheduler: Scheduler, program: Program, run: PlayedSchedule, *, failed: Collection[str]) -> str:
    """Return why a schedule in which nothing went wrong tells nothing, in words; empty: it tells.

    Args:
        failed: letters of the calls that failed when the race was found, too.
    """
    returns = run.trace.returns
    seen = {event.actor for event in run.trace.events}
    if unseen := [letter for letter in ascii_uppercase[: len(program.actors)] if letter not in seen]:
        return f"{' and '.join(unseen)} made no statement"
    broken: dict[str, list[str]] = {}
    for letter, returned in sorted(returns.items()):
        if isinstance(returned, Failed) and letter not in failed:
            alone = _alone(scheduler, program, letter)
            if isinstance(alone, Failed):
                broken.setdefault(alone.reason, []).append(letter)
    if broken:
        return "; ".join(f"{_fail(letters)} alone, too: {said}" for said, letters in broken.items())
    if not any(isinstance(returned, Ok) for returned in returns.values()) and len(failed) < len(returns):
        return "no call took effect"
    return "no call changed a row" if run.changes is not None and not run.changes else ""


def _alone(scheduler: Scheduler, program: Program, letter: str) -> object:
    actor = program.actors[ascii_uppercase.index(letter)]
    alone = scheduler.play(replace(program, actors=(actor,), standing=program.standing.of_part()))
    return alone.trace.returns.get("A")


def _fail(letters: list[str]) -> str:
    return f"{letters[0]} fails" if len(letters) == 1 else f"{' and '.join(letters)} fail"
