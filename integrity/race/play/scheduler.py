"""The scheduler: plays one schedule of a program, and owns the order of everything that happens in it.

The troupe of the program (troupe.py) is kept from schedule to schedule, and stands on fresh rows before each; whose turn
it is the letters say (turns.py). So program and schedule decide everything, up to two actors that one commit wakes
together: those PostgreSQL runs at once (see again.py).
"""

import math
import os
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from random import Random
from string import ascii_uppercase
from types import TracebackType
from typing import Self
from uuid import UUID

from integrity.engines.target import Target
from integrity.errors import Unreachable, UsageError
from integrity.history import make_operation_id
from integrity.numbers import counted
from integrity.operation import Isolation, Statement
from integrity.race.play.deadline import Deadline
from integrity.race.play.engine import RaceEngine
from integrity.race.play.reshaping import Reshaping
from integrity.race.play.session import Session
from integrity.race.play.troupe import Operations, Troupe
from integrity.race.play.turns import Turns
from integrity.race.play.watch import TraceRecorder, Watch
from integrity.race.program.change import Change
from integrity.race.program.program import Keys, Program
from integrity.race.program.schedule import ACTORS_MAX, Choice, Decide, ScheduleError, continue_with, letters_of
from integrity.race.program.trace import Trace
from integrity.race.program.wire import Answer, GoesOn, LetterTimeout

LETTERS_MAX = 400
# Only what hangs takes so long, also on a machine that many share: what is done by then decides nothing else.
LETTER_SECONDS_MAX = 60.0
# Checks ask whole tables, and take the longer the more runs have left there: of safebox 15 ms after 10, 72 ms after 4,000.
SWEPT_EVERY = 250


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
        took: from when to when, by the server's clock, setup included, where that was captured.
        unseen: what it did that is not compared; what is wrong in it is so all the same.
        seconds: how long its letters took.
        is_last: none can be played behind it: a call that is not ours goes on.
        answers: to what was asked of its rows, by the question's text: they may be gone when that is asked again.
    """

    trace: Trace
    choices: tuple[Choice, ...]
    keys: Keys
    operation_ids: tuple[UUID, ...]
    cut: str = ""
    began_at: datetime | None = None
    changes: Sequence[Change] | None = None
    took: tuple[datetime, datetime] | None = None
    unseen: str = ""
    seconds: float = field(default=0.0, compare=False)
    is_last: bool = False
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
        seconds_max: a schedule that is not over by then is cut, too.
        on_played: is given each program with the schedule that was played of it, and may raise what ends the race.
        emptying: what empties the tables that hold nothing but what runs have left.
        troupe: whose calls are played, by default operations on `target`; its engine is closed with the scheduler.
        deadline: behind which nothing is played.
    """

    def __init__(
        self,
        target: Target,
        *,
        letters_max: int = LETTERS_MAX,
        letter_seconds_max: float = LETTER_SECONDS_MAX,
        seconds_max: float = math.inf,
        on_played: Callable[[Program, PlayedSchedule], None] = lambda _program, _run: None,
        emptying: Sequence[Statement] = (),
        troupe: Troupe | None = None,
        deadline: Deadline | None = None,
    ) -> None:
        self.deadline = deadline or Deadline()
        self._target = target
        self._emptying = emptying
        self._plays = 0
        self._letters_max = letters_max
        self._seconds_max = seconds_max
        self._on_played = on_played
        self._over: GoesOn | None = None
        self._random = Random(os.urandom(16))  # operation_ids must be new in every run on the same database
        self._sessions: list[Session] = []
        self._troupe = troupe or Operations(target, letter_seconds_max=letter_seconds_max, emptying=emptying)
        self.engine: RaceEngine = self._troupe.engine
        self._watch = Watch(self.engine)
        self._reshaping = Reshaping()

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
        with self._reshaping.telling():
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
            run.answers.update(zip((command.sql for command in new), self.ask(new), strict=True))
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
            self.ask(self._emptying)

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
            BudgetOver: the deadline has passed.
        """
        self.deadline.check()
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
        if self._over is not None:
            raise self._over
        self._plays += 1
        sessions = self._take_sessions(len(program.actors))
        with self._reshaping.telling():
            made = self._troupe.make_rows(program)
        keys, generated = made.keys, made.generated
        on_staged()
        began_at = self.engine.read_clock() if program.is_timed else None
        unix_ms = time.time_ns() // 1_000_000
        operation_ids = tuple(make_operation_id(unix_ms, self._random) for _ in sessions)
        standing = program.standing
        self._watch.begin(recorder, is_first=standing.actors < len(program.actors))
        began = time.monotonic()
        turns = Turns(sessions, self.engine, self._watch, self._letters_max, began + self._seconds_max)
        self.engine.ends_at = self.deadline.at
        with self._forget_sessions_on_error():
            try:
                for session, actor, operation_id in zip(sessions, program.actors, operation_ids, strict=True):
                    self._troupe.start(session.letter, actor, keys, operation_id, program)
                misfit, cut = turns.play(letters, decide)
            except LetterTimeout as error:
                self.deadline.check()  # which is why it was cancelled
                misfit, cut = None, str(error)
            seconds = time.monotonic() - began
            letters_left = "".join(session.letter for session in sessions)
            cut = self._end_early(cut) if cut else self._troupe.leave(letters_left)
        self._reshaping.note(program, letters_left, turns.events)
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
            letters_of(turns.choices),
            tuple(turns.events),
            returns,
            frozenset(generated),
            requests=tuple(asked for session in sessions for asked in session.requests),
            pushed={session.letter: session.pushed for session in sessions if session.pushed},
        )
        run = PlayedSchedule(
            trace,
            tuple(turns.choices),
            keys,
            operation_ids,
            cut,
            began_at,
            changes=self._troupe.changes(),
            took=self._troupe.took(),
            unseen=self._troupe.unseen(),
            seconds=seconds,
            is_last=self._over is not None,
        )
        self._on_played(program, run)
        return run

    def _take_sessions(self, count: int) -> list[Session]:
        if count > ACTORS_MAX:
            raise UsageError(counted(count, "actor"), hint=f"A race has at most {ACTORS_MAX} actors.")
        while len(self._sessions) < count:
            letter = ascii_uppercase[len(self._sessions)]
            try:
                self._sessions.append(self._troupe.open(letter, self._watch.look))
            except Unreachable as error:
                if not error.is_full:
                    raise
                raise Unreachable(
                    f"{counted(count, 'actor needs', 'actors need')} {counted(count + 1, 'connection')} "
                    f"and the server gave {len(self._sessions) + 1}: {error.message}",
                    hint="Race fewer actors, or raise max_connections.",
                ) from None
        return self._sessions[:count]

    def _end_early(self, cut: str) -> str:
        """Close the connections of a schedule that is cut; return why it is, and why it is the last where it must be."""
        try:
            self._close_sessions()
        except GoesOn as error:
            self._over = error
            return f"{cut}; {error.message}"
        return cut

    def _close_sessions(self) -> None:
        self._sessions.clear()
        self._troupe.forget()

    @contextmanager
    def _forget_sessions_on_error(self) -> Iterator[None]:
        """Sessions that an error left in the middle of something are closed; the next run opens new ones."""
        try:
            yield
        except BaseException:
            self._end_early("")
            raise
