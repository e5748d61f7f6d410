"""A wire: one connection of an actor, that sends several statements at once and never waits unless told to.

The scheduler needs what ordinary drivers hide: to send a statement, go on without its answer, and learn at once whether it
waits for a lock. How that is done differs from engine to engine: `wire.py` in the folder of its name in play/. What they
have in common is here; who holds the lock is a question for the engine as a whole (engine.py).
"""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from integrity.errors import DatabaseError, UsageError, quote
from integrity.operation import Begin, Row, Statement


@dataclass(frozen=True, slots=True)
class Refusal:
    """The server's error to a statement."""

    sqlstate: str
    message: str


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back for one statement.

    Args:
        rows: as mappings of column name to value.
        tag: the command tag, e.g. "UPDATE 1"; empty for a refused statement.
        sources: for each column the table's number and the column's, (0, 0) where it is computed.
        refusal: the error, if it was refused; statements behind a refused one have the same.
    """

    rows: tuple[Row, ...] = ()
    tag: str = ""
    sources: tuple[tuple[int, int], ...] = ()
    refusal: Refusal | None = None


class StatementRefused(DatabaseError):
    """The database refused a statement that is none of an actor's.

    Args:
        reason: in its words.
        row: of a stage, that the statement was to insert: its name; empty: of none, or of several.
    """

    def __init__(self, reason: str, *, sql: str, row: str = "") -> None:
        super().__init__(f"the database refused {quote(' '.join(sql.split()))}: {reason}")  # no hint: it is not to be run
        self.reason = reason
        self.row = row


class WireTimeout(DatabaseError):
    """The server did not answer in time."""


class GoesOn(UsageError):
    """Calls that are not ours go on though their connections were cut: what they send would be taken for others'."""


class LetterTimeout(Exception):
    """A letter that neither ended nor waited for another actor."""


class Channel(Protocol):
    """What comes to a session from its actor's connection, or connections, whoever has opened them."""

    looks: int
    """How often, so far, the database has looked for a deadlock as this connection waited, and said so."""

    def receive(self) -> Sequence[Any] | None:
        """Return what has come, or None while it is not all there.

        Raises:
            DatabaseError: the connection is gone.
        """
        ...

    def cancel(self) -> None:
        """Have what runs here cancelled; its answer then comes as a refusal."""
        ...


class Wire(Channel, Protocol):
    """One connection of ours."""

    written: Statement
    """Answered with the columns has_written (rows, or locked some), level of the transaction (none where there is but one)
    and is_noticeable: others can notice it, by what it wrote."""

    has_writing_functions: bool
    """A query may write by the functions that it calls."""

    patience: Mapping[bool, Statement]
    """Told to a transaction that is (not) to look for a deadlock as soon as it waits; empty where nobody looks."""

    @property
    def is_refusing(self) -> bool:
        """By what the database said last: the transaction that is open refuses all but its end."""
        ...

    @property
    def is_in_transaction(self) -> bool:
        """By what the database said last: a transaction is open, if only to be rolled back."""
        ...

    def noticeable(self, standing: frozenset[str]) -> Statement:
        """Return what asks the same, by locks and snapshots too, which take longer to ask for.

        Args:
            standing: what of a reader's is in another's way, as program.Standing has it.
        """
        ...

    def begin(self, begin: Begin, *, is_deferred: bool) -> Statement:
        """Return what opens a transaction.

        Args:
            begin: with its level.
            is_deferred: take no lock yet, where others would.
        """
        ...

    def send(self, commands: Sequence[Statement]) -> None:
        """Send the statements as one flight. The one before must have been received.

        Raises:
            DatabaseError: the connection is gone.
        """
        ...

    def receive(self) -> list[Answer] | None:
        """Return the answers of the flight under way, one a statement, or None while they are not all there.

        Raises:
            DatabaseError: the connection is gone.
        """
        ...

    def reset(self) -> None:
        """Begin to undo what statements have changed in the session beyond their transactions, if any can have; what is
        sent next waits for it.

        Raises:
            DatabaseError: the connection is gone.
        """
        ...

    def close(self) -> None:
        """Close the connection; what is open on it is rolled back."""
        ...


def distinct_names(names: Sequence[str]) -> tuple[str, ...]:
    """Return names of columns for a row as a mapping: of those called alike the last keeps the name, as drivers have it."""
    last = {name: place for place, name in enumerate(names)}
    return tuple(
        name if last[name] == place else f"{name} ({names[: place + 1].count(name)})" for place, name in enumerate(names)
    )


def generated_values(answer: Answer, columns: Collection[tuple[int, int]]) -> Iterator[Any]:
    """Yield the values that came from those columns, as (table, column number)."""
    numbers = [number for number, source in enumerate(answer.sources) if source in columns]
    for row in answer.rows if numbers else ():
        values = list(row.values())
        yield from (values[number] for number in numbers if values[number] is not None)
