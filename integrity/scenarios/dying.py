"""An application that dies in the midst of a schedule: what it was at, for the message that ends the race."""

from string import ascii_uppercase

from integrity.race.judge.unfinished import tell_schedule
from integrity.race.play.scheduler import PlayedSchedule
from integrity.race.program.program import Program
from integrity.race.program.trace import Failed
from integrity.scenarios.answers import NO_ANSWER
from integrity.scenarios.app import Running

_DEATH_S = 1.0  # from the end of its connections until a process is known to have ended, on a machine that many share


def check_alive(app: Running, program: Program, run: PlayedSchedule) -> None:
    """Raise UsageError if the application has died in a schedule, with that and with what it was asked."""
    unanswered = [
        f"{actor.operation} ({letter})"
        for letter, actor in zip(ascii_uppercase, program.actors, strict=False)
        if _is_unanswered(run, letter)
    ]
    how = app.how_ended(wait_s=_DEATH_S if unanswered else 0.0)
    if how:
        asked = f", and did not answer {' and '.join(unanswered)}" if unanswered else ", behind its answers"
        raise app.died(f"{how} in the midst of a schedule{asked}", tell_schedule(run))


def check_alive_in_setup(app: Running) -> None:
    """Raise UsageError if the application has died as the rows of a schedule were made."""
    if how := app.how_ended(wait_s=_DEATH_S):
        raise app.died(f"{how} as [setup] or [login] asked it, before any letter of a schedule")


def _is_unanswered(run: PlayedSchedule, letter: str) -> bool:
    returned = run.trace.returns.get(letter)
    return returned is None or (isinstance(returned, Failed) and returned.reason.startswith(NO_ANSWER))
