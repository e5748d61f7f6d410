"""An engine: a database that schedules are played on, and what can be asked of it beside its actors.

Who waits for whom, and what a letter touched, each engine tells in its own way: postgresql/engine.py asks the server on
a connection of its own, sqlite/engine.py knows from the answers of its wires.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from integrity.engines.target import Target
from integrity.operation import Statement
from integrity.race.play.footprint import Footprint
from integrity.race.play.session import Session
from integrity.race.play.staging import Staged
from integrity.race.program.wire import Answer, Wire
from integrity.systems.stage import Stage
from integrity.systems.system import System

Ask = Callable[[Sequence[Statement]], list[Answer]]
"""See RaceEngine.ask."""


@dataclass(frozen=True, slots=True)
class Scratch:
    """A scratch database that is to be filled.

    Args:
        target: empty.
        like: the database that the races stand for.
        dropped: constraints and indexes to leave out, as "table.name".
        bug: that forgets them; empty: none.
        is_spread: each table numbers its rows from a million of its own on, so that a key is never taken for an amount or
            a count, nor for a key of another table, when runs are compared.
    """

    target: Target
    like: Target
    system: System
    dropped: tuple[str, ...]
    bug: str
    is_spread: bool


class RaceEngine(Protocol):
    """A database under races."""

    dialect: str
    """As Target.dialect names it."""

    journal_mode: str
    """Of SQLite, "wal" or "delete", which decides who waits for whom; empty of others."""

    wakes_at_once: bool
    """Whether those whose lock one letter frees go on at once, so that the order in which they are found is chance."""

    tells_what_meets: bool
    """Whether what of a reader's is in the way of others differs from actor to actor, and `meets` tells."""

    ends_at: float
    """By the monotonic clock: a letter that is under way then is cancelled, where it can be."""

    generated_columns: frozenset[tuple[int, int]]
    """(table, column number) of the columns whose values the database makes up."""

    def forget_wires(self) -> None:
        """Close the actors' connections."""
        ...

    def close(self) -> None:
        """Close all connections; transactions that are open are rolled back."""
        ...

    def ask(self, commands: Sequence[Statement]) -> list[Answer]:
        """Return the answers of statements in the engine's own dialect, sent as one transaction beside the actors.

        Raises:
            StatementRefused: one of them was.
            DatabaseError: the server is gone.
        """
        ...

    def insert(self, stage: Stage) -> Staged:
        """Insert the rows of a stage; return their keys and ids.

        Raises:
            UsageError: a reference in it leads nowhere, or the database refuses a row.
            DatabaseError: the server is gone.
        """
        ...

    def read_clock(self) -> datetime:
        """Return the time, by the database's clock."""
        ...

    def run(self, session: Session, sessions: Sequence[Session]) -> str:
        """Let a session go on; return nothing when its letter is done, or the actors whose locks it waits for.

        Args:
            session: released, or woken.
            sessions: all of them.

        Raises:
            LetterTimeout: it neither ended nor waited in time.
            DatabaseError: the server is gone.
        """
        ...

    def find_woken(self, waiting: Sequence[Session], sessions: Sequence[Session]) -> Session | None:
        """Return a session that no longer waits, as its lock is free or it was refused; None if all of them wait on, and it
        is noted on each for whom.

        Raises:
            LetterTimeout: one that is to be refused as a deadlock's victim could not be cancelled.
            DatabaseError: the server is gone.
        """
        ...

    def is_held(self, session: Session) -> bool:
        """Return whether the session's transaction, in which a statement was refused, holds what others can notice."""
        ...

    def meets(self, session: Session) -> frozenset[str]:
        """Return what of a reader's would be in the way of what the session has locked, or of the statement that ran last,
        if it ran outside a transaction; see program.Standing."""
        ...

    def look(self, session: Session) -> Footprint:
        """Return what the session's open transaction has touched, in its level and with its snapshot."""
        ...


class WireEngine(RaceEngine, Protocol):
    """One on which the actors' connections are ours."""

    def open(self, letter: str) -> Wire:
        """Return the connection of an actor.

        Raises:
            Unreachable: the server has none left.
        """
        ...
