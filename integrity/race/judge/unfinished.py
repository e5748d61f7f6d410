"""A schedule that was not played to its end: who goes on by itself in it, and what had happened by then, in words."""

from itertools import groupby
from string import ascii_uppercase

from integrity.numbers import counted
from integrity.race.judge.spelling_out import names_of
from integrity.race.judge.timeline import timeline
from integrity.race.play.scheduler import PlayedSchedule
from integrity.race.play.troupe import AT_ONCE, STRAY
from integrity.race.play.turns import is_endless
from integrity.race.program.program import Program
from integrity.race.program.trace import StepPhase

_FIRST, _LAST = 6, 4  # events that are shown of many


def why_unfinished(run: PlayedSchedule, program: Program) -> str:
    """Return why a schedule was not played to its end; of one that has no end, who goes on in it, and for how long."""
    statements = {
        letter: sum(event.actor == letter and event.phase is not StepPhase.WAITS for event in run.trace.events)
        for letter, _ in zip(ascii_uppercase, program.actors, strict=False)
        if letter not in run.trace.returns
    }
    if not is_endless(run.cut) or not program.is_captured or not statements:
        return run.cut
    letter = max(statements, key=lambda each: statements[each])
    name = program.actors[ascii_uppercase.index(letter)].operation
    made = f"{counted(statements[letter], 'statement')} in {run.seconds:.1f} s"
    return f"the application goes on by itself ({made}) with {name} ({letter}): {run.cut}"


def what_to_do(cut: str) -> str:
    """Return what can be done about a schedule that was cut for this reason; empty: nothing is known."""
    if is_endless(cut):
        return "Does it try again for ever? Let it give up after some tries, and race it then."
    if STRAY in cut or AT_ONCE in cut:
        return (
            "Is it a job in the background? Leave it out by the name of its connections, [app] ignore = "
            '["application_name=worker*"] of a scenario, or by what its statements are like, ["*from jobs*"].'
        )
    return ""


def tell_schedule(run: PlayedSchedule) -> list[str]:
    """Return a schedule as it was so far: its letters, and what happened, of much the begin and the end."""
    runs = ((letter, len(list(same))) for letter, same in groupby(run.letters))
    letters = " ".join(letter if count == 1 else f"{letter}x{count}" for letter, count in runs)
    count = len(run.trace.events)
    left_out = range(_FIRST + 1, count - _LAST + 1) if count > _FIRST + _LAST + 1 else range(0)
    happened = timeline(run.trace.events, names_of(run), left_out=left_out)
    return [f"the schedule so far: {letters or '(no statement yet)'}", *happened]
