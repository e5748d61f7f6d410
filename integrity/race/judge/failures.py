"""Failures: calls that the database refused, or that an exception of their own ended, in one run.

Expected are serialization failures (40001, on SQLite a busy database) at the levels that promise them, and what a call is
allowed. A deadlock is told with all that wait in it. Whether a call that died any other way dies alone, too, is for the
oracle to find out.
"""

from collections.abc import Iterator, Mapping, Sequence
from string import ascii_uppercase
from typing import Any

from integrity.engines.known import find_engine
from integrity.errors import UsageError
from integrity.operation import RESTARTED, Allowed, Declined, Isolation, Ok, Row, Unavailable
from integrity.race.judge.oracles import Alarm, Oracle
from integrity.race.judge.spelling_out import filled, names_of
from integrity.race.play.scheduler import PlayedSchedule
from integrity.race.program.program import Program
from integrity.race.program.trace import Failed, Return, StepPhase, TraceEvent
from integrity.systems.left_open import TransactionLeftOpen
from integrity.user_code import make_user_error

SERIALIZATION_FAILURE = "40001"
_NEVER_BY_OTHERS = ("NameError", "ImportError", "ModuleNotFoundError", TransactionLeftOpen.__name__)
"""Exceptions that an operation's author alone brings about, whatever other calls do."""
_MEANT = "An exception that says no is a decline: return Declined(...), or name it in steps_of(..., declined=...)."
DEADLOCK = "40P01"


def check_own_mistakes(run: PlayedSchedule, program: Program, *, is_serial: bool) -> None:
    """Raise UserCodeError where code of the user's went wrong by itself: that says nothing about calls that meet.

    An exception that comes only where calls interleave is a finding: what it stumbled on, the others did.

    Args:
        is_serial: the calls were made one after the other.
    """
    for actor, value in run.trace.returns.items():
        if not isinstance(value, Failed) or not value.place or value.error in allowed_to(program, actor).failures:
            continue
        if is_serial or value.error in _NEVER_BY_OTHERS:
            said = " ".join(value.reason.split())
            if value.error == TransactionLeftOpen.__name__:
                raise UsageError(f"{value.place}: {said.partition(': ')[2]}")
            raise make_user_error(f"{value.place}: {said} (operation {_operation(program, actor)})", also=_MEANT)


def unexpected_failures(run: PlayedSchedule, program: Program, *, dialect: str) -> dict[str, Failed]:
    """Return the calls that failed, by letter, without those that were expected to or may."""
    return {
        actor: value
        for actor, value in run.trace.returns.items()
        if isinstance(value, Failed)
        and not _is_expected(value, _refused_level(run, actor), dialect)
        and not _is_allowed(value, allowed_to(program, actor))
    }


def allowed_to(program: Program, actor: str) -> Allowed:
    """Return what a call of the program may come to."""
    return program.allowed | program.actors[ascii_uppercase.index(actor)].allowed


def allowed_declines(run: PlayedSchedule, program: Program) -> str:
    """Return the actors that declined, or were unavailable, as they may."""
    return "".join(
        actor
        for actor, value in run.trace.returns.items()
        if isinstance(value, Declined | Unavailable) and value.reason in allowed_to(program, actor).declines
    )


def failure_alarm(run: PlayedSchedule, program: Program, actor: str, failed: Failed) -> Alarm:
    """Return the alarm of a call that failed as it never does alone."""
    last = _refused(run, actor) if failed.sqlstate else None
    done = last or next((event for event in reversed(run.trace.events) if event.actor == actor), None)
    row = {
        "call": actor,
        "error": f"{failed.sqlstate} {failed.reason}" if failed.sqlstate else failed.reason,
        "statement" if last else "after": filled(done, names_of(run)) if done else "",
    }
    return Alarm(Oracle.FAILURE, f"{_operation(program, actor)}: {failed.error}", (row,))


def deadlock_alarm(run: PlayedSchedule, actor: str) -> Alarm:
    """Return the alarm of a deadlock that ended a call."""
    rows = tuple(_circle(run, actor))
    return Alarm(Oracle.DEADLOCK, ", ".join(sorted({row["call"] for row in rows})), rows)


def swallowers(run: PlayedSchedule) -> str:
    """Return the actors that were asked to begin again, and that returned an answer."""
    return "".join(
        actor
        for actor, value in sorted(run.trace.returns.items())
        if not isinstance(value, Failed) and _restart_of(run, actor) is not None
    )


def swallowed_alarm(run: PlayedSchedule, program: Program, actor: str) -> Alarm:
    """Return the alarm of a call that told its client an answer in place of a refusal."""
    event = _restart_of(run, actor)
    assert event is not None
    assert event.refusal is not None
    returned = run.trace.returns[actor]
    row = {
        "call": actor,
        "refused": f"{event.refusal.sqlstate} {event.refusal.message}",
        "statement": filled(event, names_of(run)),
        "answered": _told(returned),
    }
    return Alarm(Oracle.SWALLOWED, f"{_operation(program, actor)}: {event.refusal.sqlstate}", (row,))


def _told(returned: Return) -> str:
    """Return what the client was told, e.g. "declined in_progress"."""
    if isinstance(returned, Ok):
        return "ok"
    return f"{'unavailable' if isinstance(returned, Unavailable) else 'declined'} {getattr(returned, 'reason', '')}"


def _is_expected(failed: Failed, level: Isolation, dialect: str) -> bool:
    promises_it = not find_engine(dialect).has_levels or level is not Isolation.READ_COMMITTED
    return failed.sqlstate == SERIALIZATION_FAILURE and promises_it


def _is_allowed(failed: Failed, allowed: Allowed) -> bool:
    return failed.error in allowed.failures or (failed.sqlstate in allowed.retries and not failed.has_committed)


def _operation(program: Program, actor: str) -> str:
    return program.actors[ascii_uppercase.index(actor)].operation


def _refused(run: PlayedSchedule, actor: str) -> TraceEvent | None:
    """Return the last of its statements that was refused."""
    return next((event for event in reversed(run.trace.events) if event.actor == actor and event.refusal), None)


def _refused_level(run: PlayedSchedule, actor: str) -> Isolation:
    event = _refused(run, actor)
    return event.level if event else Isolation.READ_COMMITTED


def _restart_of(run: PlayedSchedule, actor: str) -> TraceEvent | None:
    """Return the last refusal that asks for a call to be begun again."""
    refused = (each for each in reversed(run.trace.events) if each.actor == actor and each.refusal)
    return next((each for each in refused if each.refusal and each.refusal.sqlstate in RESTARTED), None)


def _circle(run: PlayedSchedule, victim: str) -> Iterator[Row]:
    """Yield each call that waited when one was refused: its statement, for whom, and what it did before."""
    events = run.trace.events
    end = max(place for place, each in enumerate(events) if each.actor == victim and each.refusal)
    waiting: dict[str, tuple[int, TraceEvent]] = {}
    for place, event in enumerate(events[:end]):
        if event.phase is StepPhase.WAITS:
            waiting[event.actor] = place, event
        else:
            waiting.pop(event.actor, None)
    names = names_of(run)
    for actor in sorted(_reached(victim, {actor: event.waits_for for actor, (_, event) in waiting.items()})):
        place, event = waiting[actor]
        yield {
            "call": f"{actor}",
            "statement": filled(event, names),
            "waits_for": ", ".join(event.waits_for),
            "did_before": "; ".join(_done_before(events[:place], actor, names)),
        }


def _reached(start: str, waits_for: Mapping[str, str]) -> set[str]:
    """Return who waits, directly or not, where one is followed to those it waits for."""
    reached: set[str] = set()
    left = [start]
    while left:
        actor = left.pop()
        if actor in waits_for and actor not in reached:
            reached.add(actor)
            left += waits_for[actor]
    return reached


def _done_before(events: Sequence[TraceEvent], actor: str, names: Mapping[Any, str]) -> list[str]:
    """Return the statements of its open transaction."""
    done: list[str] = []
    for event in events:
        if event.actor == actor and event.phase is not StepPhase.WAITS:
            if event.opens or event.sql in ("commit", "rollback"):
                done.clear()
            if event.sql not in ("commit", "rollback"):
                done.append(filled(event, names))
    return done
