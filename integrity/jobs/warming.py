"""Warming up: each call of a scenario is made alone before any order is played, and what comes of that is said.

So what only a first call does is done (pools are filled, statements prepared), and what cannot be raced is told before a
search that would find nothing: an application that is not there, or not behind our proxy, a URL that it does not know, a
login that is missing, a call that never comes to its end.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

from integrity.errors import UsageError
from integrity.events import Noted
from integrity.operation import Declined, Ok
from integrity.proxy.tls import hint_of
from integrity.race.judge.unfinished import tell_schedule, what_to_do, why_unfinished
from integrity.race.play.scheduler import PlayedSchedule, Scheduler
from integrity.race.play.troupe import NOT_UNDONE
from integrity.race.program.program import Program
from integrity.race.program.trace import Failed, Return
from integrity.scenarios.answers import NO_ANSWER, status_of

WARMED = 2  # times that each call is made alone
_NOT_THERE = (404, 405, 410, 421, 501)  # of a path, of a method: 501 is what Python's http.server says of one
_NOT_LET_IN = (401, 403, 407, 511)
_NOT_READ = (400, 411, 413, 414, 415, 422, 431)
_TOO_OFTEN = (423, 425, 429)
_OF_LOGIN = "Mend the name, password or database that it connects with, or its pool's size."
_ON_A_COPY = "Let the application be started on a copy of its database, which is made anew then: [app] command."
_BY_HAND = "Send it by hand with curl -i"


@dataclass(frozen=True, slots=True)
class Alone:
    """What came of a call that was made alone, the last time."""

    name: str
    returned: Return | None
    is_seen: bool


def warm_up(
    scheduler: Scheduler,
    program: Program,
    *,
    pointing: str,
    who: str = "the application",
    turned_away: Callable[[], Sequence[str]] = tuple,
) -> Iterator[Noted]:
    """Make each call alone; yield what should be known of it.

    Args:
        pointing: how it is led to our proxy.
        who: makes the statements.
        turned_away: tells which connections came to our proxy and were not served.

    Raises:
        UsageError: a call alone does not come to its end or is not answered, or fewer than two calls make a statement that
            we see.
    """
    alone: dict[int, Alone] = {}
    for actor in program.actors:  # one that comes several times is one and the same
        if id(actor) not in alone:
            alone[id(actor)] = _make_alone(scheduler, replace(program, actors=(actor,)), turned_away)
    calls = [alone[id(actor)] for actor in program.actors]
    wrong = [each for each in alone.values() if not each.is_seen and _status(each) in _NOT_THERE]
    if wrong:
        raise UsageError(
            f"{wrong[0].name} is answered with {_status(wrong[0])}, without a statement: there is no such address",
            hint=f"{_BY_HAND}; mend its path, its method, or [app] url.",
        )
    if not any(each.is_seen for each in calls):
        raise _unseen(calls[0], who, pointing, turned_away())
    yield from (Noted(told) for each in alone.values() if (told := _describe(each)))
    if sum(each.is_seen for each in calls) < 2:
        raise UsageError(
            f"only one call makes a statement, {next(each.name for each in calls if each.is_seen)}: nobody meets it",
            hint="Race it with itself: count = 2, or the same --curl twice.",
        )


class NotUndone(UsageError):
    """A call that is made alone does what is not undone behind it."""


def _make_alone(scheduler: Scheduler, program: Program, turned_away: Callable[[], Sequence[str]]) -> Alone:
    name = program.actors[0].operation
    runs = []
    for _ in range(WARMED):
        run = scheduler.play(program)
        if NOT_UNDONE in run.cut:
            raise NotUndone(f"{name}: {run.cut}", hint=_ON_A_COPY)
        if run.cut:
            why = f"{name} does not come to its end, though it is made alone: {why_unfinished(run, program)}"
            raise UsageError(
                "\n".join([why, *tell_schedule(run)]),
                hint=what_to_do(run.cut) or "Does it wait for a second connection, for another service, or for a job?",
            )
        _check_answered(name, run, turned_away)
        runs.append(run)
    return Alone(name, runs[-1].trace.returns.get("A"), any(run.trace.events for run in runs))


def _unseen(call: Alone, who: str, pointing: str, turned_away: Sequence[str]) -> UsageError:
    """Return what to say where no call makes a statement that we see."""
    status, answered = _status(call), _answered(call)
    begun = f"{call.name} was made, and {answered}; no statement of {who} was seen"
    if turned_away:
        return UsageError(f"{begun}: {'; '.join(turned_away)}", hint=hint_of(turned_away) or _OF_LOGIN)
    if status is not None and 300 <= status < 400 and isinstance(call.returned, Ok):
        location = call.returned.value.get("location")
        return UsageError(
            f"{begun}: it is sent on to {location}", hint="Ask for that address: is it the slash at the end, or a [login]?"
        )
    for statuses, why, hint in (
        (_NOT_LET_IN, "it is not let in", "Is there a [login], or a token that the form had?"),
        (_NOT_READ, "it is not understood", f"{_BY_HAND}: are its body, its Content-Type and its Host as wanted?"),
        (_TOO_OFTEN, "it is asked too often", "Turn the limit off where it is raced."),
    ):
        if status in statuses:
            return UsageError(f"{begun}: {why}", hint=hint)
    if status is not None and status >= 500:
        return UsageError(f"{begun}: it failed before, or its connections do not lead through our proxy", hint=pointing)
    return UsageError(f"{begun}: its connections do not lead through our proxy", hint=pointing)


def _answered(call: Alone) -> str:
    """Return what a call was answered with, as a sentence goes on."""
    if isinstance(call.returned, Declined | Failed):
        return f"answered with {call.returned.reason}" if _status(call) else f"came to {call.returned.reason}"
    return f"answered with {_status(call)}" if _status(call) else "took effect"


def _check_answered(name: str, run: PlayedSchedule, turned_away: Callable[[], Sequence[str]]) -> None:
    for returned in run.trace.returns.values():
        if isinstance(returned, Failed) and returned.reason.startswith(NO_ANSWER):
            if away := turned_away():
                raise UsageError(f"{name}: {returned.reason}; {'; '.join(away)}", hint=hint_of(away) or _OF_LOGIN)
            raise UsageError(f"{name}: {returned.reason}", hint=f"{_BY_HAND}: is that the application's address?")


def _status(alone: Alone) -> int | None:
    return None if alone.returned is None else status_of(alone.returned)


def _describe(alone: Alone) -> str:
    """Return what should be known of a call; empty: nothing."""
    returned, status = alone.returned, _status(alone)
    if not alone.is_seen:
        return f"{alone.name} makes no statement: it meets nobody"
    if status in _NOT_LET_IN:
        return f"{alone.name} is answered with {returned_words(returned)}, also alone: is there a [login]?"
    if isinstance(returned, Declined | Failed):
        return f"{alone.name} is answered with {returned_words(returned)}, also alone: is that what is to be raced?"
    if isinstance(returned, Ok) and status is not None and status >= 300 and "login" in str(returned.value.get("location")):
        return f"{alone.name} is sent on to {returned.value['location']}, also alone: is there a [login]?"
    return ""


def returned_words(returned: Return | None) -> str:
    """Return in a few words what a call was answered with."""
    return returned.reason if isinstance(returned, Declined | Failed) else "nothing"
