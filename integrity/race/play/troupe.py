"""The troupe of a program: whose calls its actors are, and how they and their rows come to stand before the first letter.

A scheduler plays whoever it is given: operations, which are ours to step and have connections of ours, as here; or calls of
somebody's own program, whose statements come through the proxy (gated/).
"""

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Protocol
from uuid import UUID

from integrity.engines.target import Target
from integrity.operation import Statement
from integrity.race.play.engine import RaceEngine
from integrity.race.play.operation_session import OperationSession
from integrity.race.play.parts import open_engine
from integrity.race.play.session import Session
from integrity.race.play.staging import Staged
from integrity.race.program.change import Change
from integrity.race.program.program import Actor, Keys, Program

STRAY = "a statement came that no call was asked for, from a job in the background perhaps"
AT_ONCE = "sent several statements at once, on connections of their own"
"""Why a schedule of calls that are not ours cannot be judged."""
NOT_UNDONE = "what a call did is not undone, nor compared"
"""The same, where a database made anew would do for the first half of it."""


class Troupe(Protocol):
    """See the module."""

    @property
    def engine(self) -> RaceEngine:
        """The database under the race; whoever closes it closes the actors' connections."""
        ...

    def open(self, letter: str, observe: Callable[[Session], None]) -> Session:
        """Return the session of an actor, kept from schedule to schedule.

        Args:
            observe: see Session.

        Raises:
            Unreachable: the server has no connection left.
        """
        ...

    def make_rows(self, program: Program) -> Staged:
        """Make the rows of one schedule.

        Raises:
            DatabaseError: the database refuses one, or is gone.
        """
        ...

    def start(self, letter: str, actor: Actor, keys: Keys, operation_id: UUID, program: Program) -> None:
        """Let an actor's call stand before its first letter."""
        ...

    def leave(self, letters: str) -> str:
        """Leave the actors' connections for the next schedule as they were; return why this one cannot be judged, or
        nothing."""
        ...

    def changes(self) -> Sequence[Change] | None:
        """Return the rows that the schedule before changed, where that is captured."""
        ...

    def unseen(self) -> str:
        """Return what the schedule before did that is not compared, though it can be judged; empty: nothing."""
        ...

    def took(self) -> tuple[datetime, datetime] | None:
        """Return from when to when that schedule took, its rows' making included, where its changes are captured."""
        ...

    def forget(self) -> None:
        """Close the actors' connections: the next schedule opens new ones."""
        ...


class Operations:
    """Operations, each over a wire of its own.

    Args:
        target: PostgreSQL, or an SQLite file that is a scratch of the caller's.
        letter_seconds_max: a letter that neither ends nor waits for an actor's lock is cancelled after so long.
        emptying: what empties the tables, before rows that must be alone in theirs.
    """

    def __init__(self, target: Target, *, letter_seconds_max: float, emptying: Sequence[Statement] = ()) -> None:
        self.engine = open_engine(target, letter_seconds_max=letter_seconds_max)
        self._emptying = emptying
        self._sessions: dict[str, OperationSession] = {}

    def open(self, letter: str, observe: Callable[[Session], None]) -> Session:
        wire = self.engine.open(letter)
        session = OperationSession(letter, wire, observe=observe, is_held=self.engine.is_held)
        self._sessions[letter] = session
        return session

    def make_rows(self, program: Program) -> Staged:
        stage = program.stage()
        if stage.is_alone:
            self.engine.ask(self._emptying)
        return self.engine.insert(stage)

    def start(self, letter: str, actor: Actor, keys: Keys, operation_id: UUID, program: Program) -> None:
        self._sessions[letter].start(
            actor.steps(keys, operation_id),
            isolation=program.isolation,
            is_deferred=program.is_deferred,
            services=program.services,
            generated_columns=self.engine.generated_columns,
            standing=program.standing.holds,
        )

    def leave(self, letters: str) -> str:
        for letter in letters:
            self._sessions[letter].wire.reset()
        return ""

    def unseen(self) -> str:
        return ""

    def changes(self) -> None:
        return None

    def took(self) -> None:
        return None

    def forget(self) -> None:
        self._sessions.clear()
        self.engine.forget_wires()
