"""The scheduler: plays one schedule of a program, and owns the order of everything that happens in it.

One connection an actor, kept from schedule to schedule, and one for control. One actor is released at a time. Right behind
its statement the control connection asks the server whether that waits for a lock of another actor, and again until it has
answered or waits: nothing is guessed from a time-out, and nothing sleeps. An actor that waits stays pending and another is
released; when its lock is free it goes on to the end of its letter before the next decision. So program and schedule
decide everything, up to two actors that one commit wakes together: those the server runs at once.
"""

import os
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from random import Random
from selectors import EVENT_READ, DefaultSelector
from string import ascii_uppercase
from types import TracebackType
from typing import Protocol, Self
from uuid import UUID

from integrity.database.target import Target
from integrity.errors import DatabaseError, Unreachable, UsageError
from integrity.history import make_operation_id
from integrity.operation import Statement
from integrity.race.footprint import LOCKS_SQL, UNKNOWN, Footprint, Relations
from integrity.race.program import Keys, Program
from integrity.race.schedule import ACTORS_MAX, Choice, ScheduleError, continue_with, letters_of
from integrity.race.session import DEADLOCK, PATIENCE, PATIENT_MS, Session, State
from integrity.race.staging import make_rows
from integrity.race.trace import Event, Phase, Trace
from integrity.race.wire import Answer, Wire, WireTimeout

Decide = Callable[[str, str], str]
"""Given the ready actors, in order, and the actor before, returns who goes on."""

LETTERS_MAX = 400
LETTER_SECONDS_MAX = 10.0
_SPINS_MAX = 64  # questions about a lock sent back to back, about 3 ms; from then on one a millisecond
_DEADLOCK_SECONDS = 0.25

_SETTINGS = {
    "timezone": "UTC",
    "statement_timeout": "0",
    "lock_timeout": "0",
    "idle_in_transaction_session_timeout": "0",
    # Each schedule adds rows; a plan that changes with the size of a table would change what a schedule does.
    "plan_cache_mode": "force_generic_plan",
    "enable_seqscan": "off",
}
# What pg_isolation_test_session_is_blocked asks, with the answer to "by whom" from the same moment. Strangers among the
# holders (autovacuum, another client) are left out here: who waits for them alone is taken to be running.
_BLOCKERS = "select pg_blocking_pids(:pid::int4) || pg_safe_snapshot_blocking_pids(:pid::int4) as blockers"
# Keys are renamed when runs are compared; these columns are where they come from.
_GENERATED_COLUMNS = """
select a.attrelid::bigint as "table", a.attnum::int4 as "column"
from pg_catalog.pg_attribute as a
left join pg_catalog.pg_attrdef as d on d.adrelid = a.attrelid and d.adnum = a.attnum
where a.attidentity <> '' or pg_get_expr(d.adbin, d.adrelid) like 'nextval(%'
"""


class Recorder(Protocol):
    """Listens to one run and may know footprints beforehand, which spares asking for them."""

    def known(self, actor: str, number: int, phase: Phase) -> Footprint | None: ...

    def add(self, actor: str, number: int, phase: Phase, footprint: Footprint) -> None: ...

    def end_letter(self, *, done: str) -> None:
        """A letter and what it woke are over; `done` are the actors at their end."""
        ...


@dataclass(frozen=True, slots=True)
class Run:
    """One schedule, played.

    Args:
        trace: what happened.
        choices: the decisions, in order.
        keys: of the stage.
        operation_ids: of the calls, in the order of the actors.
        cut: why it was not played to its end, or empty.
    """

    trace: Trace
    choices: tuple[Choice, ...]
    keys: Keys
    operation_ids: tuple[UUID, ...]
    cut: str = ""

    @property
    def letters(self) -> str:
        return letters_of(self.choices)


class Scheduler:
    """Plays schedules on a database; a context manager that closes its connections.

    Args:
        target: PostgreSQL.
        letters_max: a schedule of more letters is cut: an operation that never ends.
        letter_seconds_max: a letter that neither ends nor waits for an actor's lock is cancelled after so long.
    """

    def __init__(
        self, target: Target, *, letters_max: int = LETTERS_MAX, letter_seconds_max: float = LETTER_SECONDS_MAX
    ) -> None:
        if target.is_sqlite:
            raise UsageError(
                f"races on {target}: SQLite has one writer and no server to ask about locks",
                hint="Race on PostgreSQL; leave --database out to use the embedded one.",
            )
        self._target = target
        self._letters_max = letters_max
        self._letter_seconds_max = letter_seconds_max
        self._random = Random(os.urandom(16))  # operation_ids must be new in every run on the same database
        self._relations = Relations()
        self._sessions: list[Session] = []
        self._recorder: Recorder | None = None
        self._looked: dict[str, Footprint] = {}
        self._selector = DefaultSelector()
        self._control = Wire(target, settings=_SETTINGS, wishes={})
        self._selector.register(self._control, EVENT_READ)
        try:
            (answer,) = self.ask([Statement(_GENERATED_COLUMNS)])
        except BaseException:
            self.close()
            raise
        self._generated_columns = frozenset((row["table"], row["column"]) for row in answer.rows)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the connections; transactions that are open are rolled back by the server."""
        self._close_sessions()
        self._control.close()
        self._selector.close()

    @property
    def generated_columns(self) -> frozenset[tuple[int, int]]:
        """(table oid, column number) of the columns whose values the database makes up."""
        return self._generated_columns

    def ask(self, commands: Sequence[Statement]) -> list[Answer]:
        """Return the answers of statements sent on the control connection, as one transaction.

        Raises:
            DatabaseError: one of them was refused.
        """
        try:
            answers = self._control.ask(commands, seconds=self._letter_seconds_max)
        except WireTimeout:
            self._control.cancel()  # else what comes next would wait for it too
            raise
        for command, answer in zip(commands, answers, strict=True):
            if answer.refusal:
                raise DatabaseError(
                    f"the database refused a statement: {answer.refusal.message} ({answer.refusal.sqlstate})",
                    hint=" ".join(command.sql.split()),
                )
        return answers

    def play(
        self, program: Program, letters: str = "", *, decide: Decide = continue_with, recorder: Recorder | None = None
    ) -> Run:
        """Play one schedule on fresh rows to its end and return what happened.

        Args:
            letters: the schedule; may stop early.
            decide: who goes on after its last letter.
            recorder: told what every letter touched.

        Raises:
            ScheduleError: a letter's actor could not go on there. The run was ended properly.
            DatabaseError: the stage was refused, or the server is gone.
        """
        sessions = self._take_sessions(len(program.actors))
        keys, generated = make_rows(program.stage, self.ask, self._generated_columns)
        unix_ms = time.time_ns() // 1_000_000
        operation_ids = tuple(make_operation_id(unix_ms, self._random) for _ in sessions)
        self._recorder = recorder
        choices: list[Choice] = []
        events: list[Event] = []
        with self._forget_sessions_on_error():
            for session, actor, operation_id in zip(sessions, program.actors, operation_ids, strict=True):
                session.start(
                    actor.steps(keys, operation_id),
                    isolation=program.isolation,
                    services=program.services,
                    generated_columns=self._generated_columns,
                )
            misfit, cut = self._play(sessions, letters, decide, choices, events)
        if misfit:
            raise misfit
        for session in sessions:
            generated |= session.generated
        returns = {session.letter: session.returned for session in sessions if session.returned is not None}
        trace = Trace(letters_of(choices), tuple(events), returns, frozenset(generated))
        return Run(trace, tuple(choices), keys, operation_ids, cut)

    def _play(
        self, sessions: list[Session], letters: str, decide: Decide, choices: list[Choice], events: list[Event]
    ) -> tuple[ScheduleError | None, str]:
        misfit: ScheduleError | None = None
        previous = ""
        by_letter = {session.letter: session for session in sessions}
        while True:
            ready = "".join(session.letter for session in sessions if session.state is State.READY)
            if not ready:
                assert all(session.state is State.DONE for session in sessions)
                break
            position = len(choices)
            if position >= self._letters_max:
                self._close_sessions()
                return misfit, f"more than {self._letters_max} letters"
            if position < len(letters) and misfit is None:
                chosen = letters[position]
                if chosen not in ready:
                    misfit = _misfit(letters, position, by_letter[chosen])
                    chosen = continue_with(ready, previous)
            else:
                chosen = decide(ready, previous)
            choices.append(Choice(ready, previous, chosen))
            previous = chosen
            try:
                self._play_letter(by_letter[chosen], sessions, events)
            except _LetterTimeout as error:
                self._close_sessions()
                return misfit, str(error)
        if len(letters) > len(choices) and misfit is None:
            misfit = ScheduleError(
                f"schedule {letters!r} has {len(letters)} letters, and the calls were at their end after {len(choices)}",
                hint=f"Played to its end it is {letters_of(choices)!r}.",
            )
        return misfit, ""

    def _play_letter(self, session: Session, sessions: list[Session], events: list[Event]) -> None:
        """Release one actor, and let those that it wakes go on."""
        # Of three, the second waiter would be impatient too, and could look in the moment in which the third closes the
        # circle; the victim would flip. There nobody looks, and _break_circle does.
        is_impatient = len(sessions) == 2 and any(other.state is State.WAITING for other in sessions)
        session.release(is_impatient=is_impatient)
        self._settle(session, sessions, events)
        while waiting := [other for other in sessions if other.state is State.WAITING]:
            woken = self._find_woken(waiting, sessions)
            if woken is None:
                break
            woken.state = State.RUNNING
            self._settle(woken, sessions, events)
        if self._recorder:
            self._recorder.end_letter(done="".join(other.letter for other in sessions if other.state is State.DONE))

    def _settle(self, session: Session, sessions: list[Session], events: list[Event]) -> None:
        """Wait until the session's letter is done, or waits for a lock."""
        may_wait = any(other.in_transaction for other in sessions if other is not session)
        blockers = self._run(session, sessions, may_wait=may_wait)
        assert session.event is not None
        event = session.event
        if blockers:
            self._add(session, session.wait_for(blockers, since=len(events)), events)
            return
        if event.phase is Phase.DONE and event.refusal and event.refusal.sqlstate == DEADLOCK:
            # Refused before we had asked about it: on a busy machine a question can take longer than the server's patience.
            others = "".join(other.letter for other in sessions if other.state is State.WAITING)
            self._add(session, replace(event, phase=Phase.WAITS, refusal=None, closes=False, waits_for=others), events)
            event = replace(event, phase=Phase.RESUMED)
        self._add(session, event, events)

    def _add(self, session: Session, event: Event, events: list[Event]) -> None:
        events.append(event)
        if self._recorder:
            self._recorder.add(session.letter, session.number, event.phase, self._footprint(session, event))

    def _run(self, session: Session, sessions: list[Session], *, may_wait: bool) -> str:
        """Return nothing when the letter is done, or the actors whose locks it waits for."""
        deadline = time.monotonic() + self._letter_seconds_max
        control = self._control
        question = [Statement(_BLOCKERS, {"pid": session.wire.pid})]
        asked = 0
        flight = session.wire.flights
        if may_wait:
            if control.is_busy:
                control.wait(self._letter_seconds_max)
            control.send(question)
        while not session.progress():
            if may_wait and control.is_busy:
                answers = control.receive()
                if answers is not None:
                    # An answer about a flight that has come back meanwhile, refused, says nothing about the next.
                    if flight == session.wire.flights and (blockers := _ours(answers[0], sessions)):
                        return blockers
                    flight = session.wire.flights
                    asked += 1
                    if asked < _SPINS_MAX:
                        control.send(question)
                        continue
            left = deadline - time.monotonic()
            if left <= 0:
                session.wire.cancel()
                raise _LetterTimeout(
                    f"{session.letter}'s letter {session.number + 1} took more than {self._letter_seconds_max:g} s: "
                    f"{_one_line(session.event)}"
                )
            self._selector.select(0.001 if may_wait and not control.is_busy else left)
            if may_wait and not control.is_busy:
                flight = session.wire.flights
                control.send(question)
        return ""

    def _find_woken(self, waiting: list[Session], sessions: list[Session]) -> Session | None:
        """Return a session whose lock is free now, the first in order; of a deadlock, the one that the server refused."""
        last = max(waiting, key=lambda session: session.waiting_since)
        blockers = self._ask_blockers(waiting, sessions)
        if all(blockers.values()):
            circle = _find_circle(blockers)
            if not circle:
                return None
            return self._break_circle([session for session in waiting if session.letter in circle], last)
        # Answers are moments apart. What one that looks for deadlocks let go on was let go on by its refusal.
        if last.is_impatient and not self._ask_blockers([last], sessions)[last.letter]:
            return last
        return next(session for session in waiting if not blockers[session.letter])

    def _ask_blockers(self, waiting: list[Session], sessions: list[Session]) -> dict[str, str]:
        """Return for each session the actors whose locks it waits for."""
        answers = self.ask([Statement(_BLOCKERS, {"pid": session.wire.pid}) for session in waiting])
        return {session.letter: _ours(answer, sessions) for session, answer in zip(waiting, answers, strict=True)}

    def _break_circle(self, circle: list[Session], last: Session) -> Session:
        """Return the last to wait once the server has refused it; where the server does not look, do it in its place."""
        deadline = time.monotonic() + (_DEADLOCK_SECONDS if last.is_impatient else 0)
        while time.monotonic() < deadline:
            arrived = next((session for session in circle if session.wire.has_arrived()), None)
            if arrived:
                # A refusal is sent before its locks are let go, so it is there if what it let go on is.
                return last if last.wire.has_arrived() else arrived
        last.cancel_as_deadlock_victim()
        if not last.wire.has_arrived(self._letter_seconds_max):
            raise _LetterTimeout(f"{last.letter} could not be cancelled: {_one_line(last.event)}")
        return last

    # Footprints.

    def _look(self, session: Session) -> None:
        """Note what the statement that just ended touched, while its transaction is open."""
        assert session.event is not None
        if self._recorder:
            self._looked[session.letter] = self._locks_of(session, session.event.phase)

    def _locks_of(self, session: Session, phase: Phase) -> Footprint:
        assert self._recorder is not None
        known = self._recorder.known(session.letter, session.number, phase)
        if known:
            return known
        (answer,) = self.ask([Statement(LOCKS_SQL, {"pid": session.wire.pid})])
        footprint = self._relations.read_locks(answer.rows)
        return replace(footprint, takes_snapshot=session.takes_snapshot, level=session.level)

    def _footprint(self, session: Session, event: Event) -> Footprint:
        if event.phase is Phase.WAITS:
            return self._locks_of(session, Phase.WAITS) if session.state is State.WAITING else UNKNOWN
        if event.refusal:
            return UNKNOWN
        held = self._looked.get(session.letter)
        if held is None:
            return UNKNOWN
        if event.sql not in ("commit", "rollback"):
            return held
        locked = held.rows | held.whole
        return Footprint(
            rows=held.rows,
            whole=held.whole,
            published=locked if event.tag == "COMMIT" else 0,
            is_end=True,
            level=held.level,
        )

    # Sessions.

    def _take_sessions(self, count: int) -> list[Session]:
        if count > ACTORS_MAX:
            raise UsageError(f"{count} actors", hint=f"A race has at most {ACTORS_MAX} actors.")
        while len(self._sessions) < count:
            try:
                wire = Wire(self._target, settings=_SETTINGS, wishes={PATIENCE: PATIENT_MS})
            except Unreachable as error:
                raise Unreachable(
                    f"{count} actors need {count + 1} connections and the server gave {len(self._sessions) + 1}: "
                    f"{error.message}",
                    hint="Race fewer actors, or raise max_connections.",
                ) from None
            self._sessions.append(Session(ascii_uppercase[len(self._sessions)], wire, self._look))
            self._selector.register(wire, EVENT_READ)
        return self._sessions[:count]

    def _close_sessions(self) -> None:
        for session in self._sessions:
            self._selector.unregister(session.wire)
            session.wire.close()
        self._sessions.clear()

    @contextmanager
    def _forget_sessions_on_error(self) -> Iterator[None]:
        """Sessions that an error left in the middle of something are closed; the next run opens new ones."""
        try:
            yield
        except BaseException:
            self._close_sessions()
            raise


class _LetterTimeout(Exception):
    """A letter that neither ended nor waited for another actor."""


def _ours(answer: Answer, sessions: list[Session]) -> str:
    """Return the actors among the processes that hold a lock."""
    pids = answer.rows[0]["blockers"]
    return "".join(session.letter for session in sessions if session.wire.pid in pids) if pids else ""


def _find_circle(blockers: Mapping[str, str]) -> set[str]:
    """Return the actors that wait for one another in a circle, and those that wait for them."""
    waiting = dict(blockers)
    while outside := {actor for actor, others in waiting.items() if not set(others) & waiting.keys()}:
        waiting = {actor: others for actor, others in waiting.items() if actor not in outside}
    return set(waiting)


def _one_line(event: Event | None) -> str:
    return " ".join(event.sql.split()) if event else ""


def _misfit(letters: str, position: int, session: Session) -> ScheduleError:
    if session.state is State.WAITING:
        reason = f"{session.letter} waits for a lock of {', '.join(session.waits_for) or 'another'} there"
    else:
        reason = f"{session.letter} is at its end there, after {session.number + 1} letters"
    return ScheduleError(
        f"schedule {letters!r}: letter {position + 1} is {session.letter!r}, and {reason}",
        hint="An actor that waits goes on by itself; leave its letter out, or end the schedule earlier.",
    )
