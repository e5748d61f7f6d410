"""The scheduler: plays one schedule of a program, and owns the order of everything that happens in it.

One connection an actor, kept from schedule to schedule. One actor is released at a time, until its letter is done or the
engine says that it waits for a lock of another actor. One that waits stays pending and another is released; when its lock
is free it goes on to the end of its letter before the next decision. So program and schedule decide everything, up to two
actors that one commit wakes together: those PostgreSQL runs at once (see again.py).
"""

import os
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import datetime
from random import Random
from string import ascii_uppercase
from types import TracebackType
from typing import Protocol, Self
from uuid import UUID

from integrity.engines.target import Target
from integrity.errors import Unreachable, UsageError
from integrity.history import make_operation_id
from integrity.numbers import counted
from integrity.operation import Isolation, Statement
from integrity.race.play.engine import RaceEngine
from integrity.race.play.footprint import UNKNOWN, Footprint
from integrity.race.play.parts import open_engine
from integrity.race.play.session import DEADLOCK, ActorState, Session
from integrity.race.play.staging import Staged
from integrity.race.play.wakes import Wake, in_order_of_cause
from integrity.race.program.change import Change
from integrity.race.program.program import Actor, Keys, Program
from integrity.race.program.schedule import ACTORS_MAX, Choice, ScheduleError, continue_with, letters_of
from integrity.race.program.trace import StepPhase, Trace, TraceEvent, one_line
from integrity.race.program.wire import Answer, LetterTimeout, Wire

Decide = Callable[[str, str], str]
"""Given the ready actors, in order, and the actor before, returns who goes on."""

LETTERS_MAX = 400
# Only what hangs takes so long, also on a machine that many share: what is done by then decides nothing else.
LETTER_SECONDS_MAX = 60.0
# Checks ask whole tables, and take the longer the more runs have left there: of safebox 15 ms after 10, 72 ms after 4,000.
SWEPT_EVERY = 250
# Tags of statements that lock a whole table only by a function that they call; after others the engine is always asked.
_QUIET = frozenset(
    {"SELECT", "INSERT", "UPDATE", "DELETE", "MERGE", "BEGIN", "COMMIT", "ROLLBACK", "SAVEPOINT", "RELEASE", "SET", "SHOW"}
)


class TraceRecorder(Protocol):
    """Listens to one run and may know footprints beforehand, which spares asking for them."""

    def known(self, actor: str, number: int, phase: StepPhase) -> Footprint | None: ...

    def add(self, actor: str, number: int, phase: StepPhase, footprint: Footprint) -> None: ...

    def end_letter(self, *, done: str) -> None:
        """A letter and what it woke are over; `done` are the actors at their end."""
        ...


@dataclass(frozen=True, slots=True)
class PlayedSchedule:
    """One schedule, played.

    Args:
        trace: what happened.
        choices: the decisions, in order.
        keys: of the stage.
        operation_ids: of the calls, in the order of the actors.
        cut: why it was not played to its end, or empty.
        began_at: by the server's clock, behind the stage; None if the program is not timed.
        changes: rows that it changed, where that was captured.
        answers: to what was asked of its rows, by the question's text: they may be gone when that is asked again.
    """

    trace: Trace
    choices: tuple[Choice, ...]
    keys: Keys
    operation_ids: tuple[UUID, ...]
    cut: str = ""
    began_at: datetime | None = None
    changes: Sequence[Change] | None = None
    answers: dict[str, Answer] = field(default_factory=dict, compare=False, repr=False)

    @property
    def letters(self) -> str:
        return letters_of(self.choices)


class Scheduler:
    """Plays schedules on a database; a context manager that closes its connections.

    Args:
        target: PostgreSQL, or an SQLite file that is a scratch of the caller's.
        letters_max: a schedule of more letters is cut: an operation that never ends.
        letter_seconds_max: a letter that neither ends nor waits for an actor's lock is cancelled after so long.
        emptying: what empties the tables that hold nothing but what runs have left.
        engine: the database under races, if it is opened; it is closed with the scheduler.
    """

    def __init__(
        self,
        target: Target,
        *,
        letters_max: int = LETTERS_MAX,
        letter_seconds_max: float = LETTER_SECONDS_MAX,
        emptying: Sequence[Statement] = (),
        engine: RaceEngine | None = None,
    ) -> None:
        self._target = target
        self._emptying = emptying
        self._plays = 0
        self._letters_max = letters_max
        self._random = Random(os.urandom(16))  # operation_ids must be new in every run on the same database
        self._sessions: list[Session] = []
        self._recorder: TraceRecorder | None = None
        self._looked: dict[str, Footprint] = {}
        self._is_first = False  # run of its program, in which the engine is asked behind every statement what that meets
        self.engine: RaceEngine = engine or open_engine(target, letter_seconds_max=letter_seconds_max)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the connections; transactions that are open are rolled back by the server."""
        self._sessions.clear()
        self.engine.close()

    @property
    def dialect(self) -> str:
        """As Target.dialect names it."""
        return self.engine.dialect

    @property
    def generated_columns(self) -> frozenset[tuple[int, int]]:
        """(table, column number) of the columns whose values the database makes up."""
        return self.engine.generated_columns

    def ask(self, commands: Sequence[Statement]) -> list[Answer]:
        """Return the answers of statements in the engine's own dialect, sent as one transaction beside the actors.

        Raises:
            DatabaseError: one of them was refused.
        """
        return self.engine.ask(commands)

    def ask_of(self, run: PlayedSchedule, commands: Sequence[Statement]) -> list[Answer]:
        """Return the answers of questions about the rows of a run, each asked once.

        Args:
            commands: whose parameters are the run's own; the rows must be as it left them for one that is new.

        Raises:
            DatabaseError: one of them was refused.
        """
        new = list({command.sql: command for command in commands if command.sql not in run.answers}.values())
        if new:
            run.answers.update(zip((command.sql for command in new), self.engine.ask(new), strict=True))
        return [run.answers[command.sql] for command in commands]

    def read_clock(self) -> datetime:
        """Return the time, by the database's clock."""
        return self.engine.read_clock()

    def sweep(self) -> None:
        """Empty the tables, if many runs have left rows there. What a run left can then no longer be read.

        Raises:
            DatabaseError: the server is gone.
        """
        if self._emptying and self._plays >= SWEPT_EVERY:
            self._plays = 0
            self.engine.ask(self._emptying)

    def play(
        self,
        program: Program,
        letters: str = "",
        *,
        decide: Decide = continue_with,
        recorder: TraceRecorder | None = None,
        on_staged: Callable[[], None] = lambda: None,
    ) -> PlayedSchedule:
        """Play one schedule on fresh rows to its end and return what happened.

        What its letters are depends on what the program's actors were seen to meet (program.Standing). So a program of
        which that is not known is first played in one order; a schedule that shows more is played again, unless it is
        listened to or somebody decides in it, who must look for that himself.

        Args:
            letters: the schedule; may stop early.
            decide: who goes on after its last letter.
            recorder: told what every letter touched.
            on_staged: called when the rows are made, before the first letter.

        Raises:
            ScheduleError: a letter's actor could not go on there. The run was ended properly.
            DatabaseError: the stage was refused, or the server is gone.
        """
        kind = self._target.engine
        if not kind.has_levels and program.isolation is not Isolation.READ_COMMITTED:
            raise UsageError(
                f"isolation level {program.isolation.value!r} on {self._target}: {kind.title} has a single level",
                hint="Leave --isolation out.",
            )
        if letters or decide is not continue_with:
            self.acquaint(program)
        while True:
            known = program.standing.holds
            try:
                run = self._play_once(program, letters, decide, recorder, on_staged)
            except ScheduleError:
                if program.standing.holds == known or recorder or decide is not continue_with:
                    raise
                continue
            if program.standing.holds == known or recorder or decide is not continue_with:
                return run

    def acquaint(self, program: Program) -> None:
        """Learn what the program's actors meet, if that is not known, by playing it in one order."""
        if 1 < len(program.actors) > program.standing.actors and self.engine.tells_what_meets:
            self._play_once(program, "", continue_with, None, lambda: None)

    def _play_once(
        self,
        program: Program,
        letters: str,
        decide: Decide,
        recorder: TraceRecorder | None,
        on_staged: Callable[[], None],
    ) -> PlayedSchedule:
        self._plays += 1
        sessions = self._take_sessions(len(program.actors))
        made = self._make_rows(program)
        keys, generated = made.keys, made.generated
        on_staged()
        began_at = self.engine.read_clock() if program.is_timed else None
        unix_ms = time.time_ns() // 1_000_000
        operation_ids = tuple(make_operation_id(unix_ms, self._random) for _ in sessions)
        self._recorder = recorder
        self._looked.clear()
        standing = program.standing
        self._is_first = standing.actors < len(program.actors)
        choices: list[Choice] = []
        events: list[TraceEvent] = []
        with self._forget_sessions_on_error():
            try:
                for session, actor, operation_id in zip(sessions, program.actors, operation_ids, strict=True):
                    self._start(session, actor, keys, operation_id, program)
                misfit, cut = self._play(sessions, letters, decide, choices, events)
            except LetterTimeout as error:
                self._close_sessions()
                misfit, cut = None, str(error)
            if not cut:
                cut = self._leave(sessions)
        standing.holds = standing.holds.union(*(session.met for session in sessions))
        standing.actors = max(standing.actors, len(sessions))
        if misfit:
            raise misfit
        for session in sessions:
            generated |= session.generated
        if not self._target.engine.spelling.is_typed:
            generated |= {str(each) for each in operation_ids}  # as replies have them there
        returns = {session.letter: session.returned for session in sessions if session.returned is not None}
        trace = Trace(
            letters_of(choices),
            tuple(events),
            returns,
            frozenset(generated),
            requests=tuple(asked for session in sessions for asked in session.requests),
            pushed={session.letter: session.pushed for session in sessions if session.pushed},
        )
        return PlayedSchedule(trace, tuple(choices), keys, operation_ids, cut, began_at, changes=self._changes())

    def _make_rows(self, program: Program) -> Staged:
        """Make the rows of one schedule."""
        stage = program.stage()
        if stage.is_alone:
            self.engine.ask(self._emptying)
        return self.engine.insert(stage)

    def _start(self, session: Session, actor: Actor, keys: Keys, operation_id: UUID, program: Program) -> None:
        """Let an actor's call stand before its first letter."""
        session.start(
            actor.steps(keys, operation_id),
            isolation=program.isolation,
            is_deferred=program.is_deferred,
            services=program.services,
            generated_columns=self.engine.generated_columns,
            standing=program.standing.holds,
        )

    def _changes(self) -> Sequence[Change] | None:
        """Return the rows that the schedule changed, where that is captured."""
        return None

    def _leave(self, sessions: Sequence[Session]) -> str:
        """Leave connections for the next schedule as they were; return why this one cannot be judged, or nothing."""
        for session in sessions:
            session.wire.reset()
        return ""

    def _play(
        self, sessions: list[Session], letters: str, decide: Decide, choices: list[Choice], events: list[TraceEvent]
    ) -> tuple[ScheduleError | None, str]:
        misfit: ScheduleError | None = None
        previous = ""
        by_letter = {session.letter: session for session in sessions}
        while True:
            ready = "".join(session.letter for session in sessions if session.state is ActorState.READY)
            if not ready:
                stuck = [session for session in sessions if session.state is ActorState.WAITING]
                if stuck:
                    self._close_sessions()
                    return misfit, " and ".join(_stuck(session) for session in stuck)
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
            except LetterTimeout as error:
                self._close_sessions()
                return misfit, str(error)
        if len(letters) > len(choices) and misfit is None:
            misfit = ScheduleError(
                f"schedule {letters!r} has {counted(len(letters), 'letter')}, "
                f"and the calls were at their end after {len(choices)}",
                hint=f"Played to its end it is {letters_of(choices)!r}.",
            )
        return misfit, ""

    def _play_letter(self, session: Session, sessions: list[Session], events: list[TraceEvent]) -> None:
        """Release one actor, and let those that it wakes go on."""
        # See postgresql/wire.py: of two, the second to wait looks for a deadlock; of more, all do, each before the next.
        is_impatient = len(sessions) > 2 or any(other.state is ActorState.WAITING for other in sessions)
        session.release(is_impatient=is_impatient)
        self._settle(session, sessions, events)
        waited_for = {other.letter: other.waits_for for other in sessions if other.state is ActorState.WAITING}
        gone_on: list[Session] = []
        try:
            while waiting := [other for other in sessions if other.state is ActorState.WAITING]:
                woken = self.engine.find_woken(waiting, sessions)
                if woken is None:
                    break
                woken.state = ActorState.RUNNING
                if self._goes_on(woken, sessions):
                    gone_on.append(woken)
        finally:
            for each in self._in_order(gone_on, waited_for):
                assert each.event is not None
                self._add(each, each.event, events)
        if self._recorder:
            self._recorder.end_letter(done="".join(other.letter for other in sessions if other.state is ActorState.DONE))

    def _settle(self, session: Session, sessions: list[Session], events: list[TraceEvent]) -> None:
        """Wait until the session's letter is done, or waits for a lock."""
        blockers = self.engine.run(session, sessions)
        assert session.event is not None
        event = session.event
        if blockers:
            self._add(session, session.wait_for(blockers, since=len(events)), events)
            return
        is_deadlock = event.refusal is not None and event.refusal.sqlstate == DEADLOCK
        if event.phase is StepPhase.DONE and (is_deadlock or session.has_looked):
            # It closed a circle, and was refused or let in front of the others: whether we saw it wait before is chance.
            others = "".join(other.letter for other in sessions if other.state is ActorState.WAITING)
            self._add(session, replace(event, phase=StepPhase.WAITS, refusal=None, closes=False, waits_for=others), events)
            event = replace(event, phase=StepPhase.RESUMED)
        self._add(session, event, events)

    def _goes_on(self, session: Session, sessions: list[Session]) -> bool:
        """Wait until the letter of one that was woken is done; return whether it is, or waits anew.

        It can, for one that was woken with it. Whether we see it in between is chance, and so no event.
        """
        blockers = self.engine.run(session, sessions)
        if blockers:
            session.wait_for(blockers, since=session.waiting_since)
        return not blockers

    def _in_order(self, gone_on: list[Session], waited_for: dict[str, str]) -> list[Session]:
        """Return those that a letter let go on, who comes first."""
        if not self.engine.wakes_at_once:
            return gone_on
        by_letter = {session.letter: session for session in gone_on}
        return [by_letter[actor] for actor in in_order_of_cause(map(_wake, gone_on), waited_for)]

    def _add(self, session: Session, event: TraceEvent, events: list[TraceEvent]) -> None:
        events.append(event)
        if self._recorder:
            self._recorder.add(session.letter, session.number, event.phase, self._footprint(session, event))

    # Footprints.

    def _look(self, session: Session) -> None:
        """Note what the statement that just ended touched and met, while its transaction is open."""
        assert session.event is not None
        touched = UNKNOWN  # if its locks are gone
        if self._recorder:
            touched = self._locks_of(session, session.event.phase) if session.in_transaction else UNKNOWN
            self._looked[session.letter] = touched
        is_loud = session.event.tag.partition(" ")[0] not in _QUIET
        if is_loud or (session.in_transaction and (self._is_first or (self._recorder and touched.whole))):
            session.met |= self.engine.meets(session)

    def _held_before(self, session: Session, footprint: Footprint) -> Footprint:
        """Return the footprint with what the session's letter before held."""
        before = self._looked.get(session.letter)
        if before is None:
            return footprint
        return footprint.with_held(before, is_same_transaction=not session.opens_transaction)

    def _locks_of(self, session: Session, phase: StepPhase) -> Footprint:
        assert self._recorder is not None
        known = self._recorder.known(session.letter, session.number, phase)
        return known or self._held_before(session, self.engine.look(session))

    def _footprint(self, session: Session, event: TraceEvent) -> Footprint:
        if event.phase is StepPhase.WAITS:
            is_seen = session.state is ActorState.WAITING and session.in_transaction
            return self._locks_of(session, StepPhase.WAITS) if is_seen else UNKNOWN
        if event.refusal:
            return UNKNOWN
        held = self._looked.get(session.letter)
        if held is None:
            return UNKNOWN
        if event.sql not in ("commit", "rollback"):
            return held
        # Without rows written or locked, only locks on whole tables are in the way of others.
        rows = held.rows if session.ends_written else 0
        return Footprint(
            rows=rows,
            whole=held.whole,
            published=rows | held.whole if event.tag == "COMMIT" else 0,
            let_go=held.touches,
            is_end=True,
            level=held.level,
        )

    # Sessions.

    def _take_sessions(self, count: int) -> list[Session]:
        if count > ACTORS_MAX:
            raise UsageError(counted(count, "actor"), hint=f"A race has at most {ACTORS_MAX} actors.")
        while len(self._sessions) < count:
            try:
                wire = self.engine.open(ascii_uppercase[len(self._sessions)])
            except Unreachable as error:
                if not error.is_full:
                    raise
                raise Unreachable(
                    f"{counted(count, 'actor needs', 'actors need')} {counted(count + 1, 'connection')} "
                    f"and the server gave {len(self._sessions) + 1}: {error.message}",
                    hint="Race fewer actors, or raise max_connections.",
                ) from None
            letter = ascii_uppercase[len(self._sessions)]
            self._sessions.append(self._make_session(letter, wire))
        return self._sessions[:count]

    def _make_session(self, letter: str, wire: Wire) -> Session:
        return Session(letter, wire, observe=self._look, is_held=self.engine.is_held)

    def _close_sessions(self) -> None:
        self._sessions.clear()
        self.engine.forget_wires()

    @contextmanager
    def _forget_sessions_on_error(self) -> Iterator[None]:
        """Sessions that an error left in the middle of something are closed; the next run opens new ones."""
        try:
            yield
        except BaseException:
            self._close_sessions()
            raise


def _wake(session: Session) -> Wake:
    refusal = session.event.refusal if session.event else None
    return Wake(session.letter, refusal.sqlstate if refusal else "")


def _stuck(session: Session) -> str:
    return (
        f"{session.letter} waits for a lock that {', '.join(session.waits_for)} kept at the end: {one_line(session.event)}"
    )


def _misfit(letters: str, position: int, session: Session) -> ScheduleError:
    if session.state is ActorState.WAITING:
        reason = f"{session.letter} waits for a lock of {', '.join(session.waits_for) or 'another'} there"
    else:
        reason = f"{session.letter} is at its end there, after {counted(session.number + 1, 'letter')}"
    return ScheduleError(
        f"schedule {letters!r}: letter {position + 1} is {session.letter!r}, and {reason}",
        hint="An actor that waits goes on by itself; leave its letter out, or end the schedule earlier.",
    )
