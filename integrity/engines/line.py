"""Lines: plain connections for questions and statements of ours, in words that every engine takes.

A statement has `%s` for each value and no other percent sign; times are given with their zone. What the database refuses is
raised as a DatabaseError by whoever opened the line, at its end.
"""

from collections.abc import Iterable, Sequence
from contextlib import AbstractContextManager
from datetime import timedelta
from typing import Any, LiteralString, Protocol

Row = tuple[Any, ...]


class Line(Protocol):
    """A plain connection; each statement is a transaction of its own, outside `transaction`."""

    @property
    def now(self) -> LiteralString:
        """An expression for the time, to compare what is noted with."""
        ...

    @property
    def lock(self) -> LiteralString:
        """What stands behind a query so that its rows stay as they are until the transaction ends; empty: they do."""
        ...

    def ask(self, query: LiteralString, values: Sequence[Any] = ()) -> list[Row]:
        """Return the query's rows."""
        ...

    def write(self, statement: LiteralString, values: Sequence[Any] = ()) -> None:
        """Carry out a statement."""
        ...

    def try_to_write(self, statement: LiteralString, values: Sequence[Any] = ()) -> bool:
        """Carry out a statement; return False when what it changes stayed locked longer than the line has patience."""
        ...

    def after(self, span: timedelta) -> tuple[LiteralString, Any]:
        """Return an expression, with `%s` in it, and its value, for the time that is so much later than now."""
        ...

    def transaction(self) -> AbstractContextManager[object]:
        """Begin a transaction that writes; it is committed at the end of the block, and rolled back by an exception."""
        ...

    def copy(self, table: LiteralString, columns: Sequence[str], types: Sequence[str], rows: Iterable[Row]) -> None:
        """Insert many rows, within a transaction.

        Args:
            table: with its schema.
            types: of the columns, as PostgreSQL names them; a jsonb column takes mappings and lists, a text any.
        """
        ...

    def analyze(self, tables: Sequence[LiteralString]) -> None:
        """Let the database count what it has to know of the tables to plan queries, where it does not by itself."""
        ...
