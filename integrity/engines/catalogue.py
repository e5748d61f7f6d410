"""A catalogue: what a transaction of ours asks of the tables that are there, and does to them, in the engine's own way.

All of it goes through the transaction's connection, which is SQLAlchemy's; see transaction.py.
"""

from collections.abc import Collection, Sequence
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Any, Protocol

from integrity.engines.inventory import Identity
from integrity.engines.places import TableName

if TYPE_CHECKING:
    from sqlalchemy import Connection, Table


class Catalogue(Protocol):
    """Tables, their constraints and their identities."""

    def lock(self, connection: "Connection", tables: Sequence[TableName], *, shuts_out_readers: bool) -> None:
        """Keep others from writing to the tables, or from using them at all, until the transaction ends."""
        ...

    def names_of_its_own(self, connection: "Connection") -> AbstractContextManager[None]:
        """Let names without a schema mean within the block what they mean to a session that sets nothing."""
        ...

    def find_constraints(self, connection: "Connection", tables: Collection["Table"]) -> set[tuple[TableName, str]]:
        """Return the constraints and indexes that the tables have, by name."""
        ...

    def find_orphan(self, connection: "Connection", table: "Table") -> tuple[str, str] | None:
        """Return a row, and the table where it refers to no row; None: no row does, or the database sees to it itself."""
        ...

    def find_identities(self, connection: "Connection", schema: str, *, is_of_views: bool) -> dict[str, Identity]:
        """Return table -> its identity now, of all tables in a schema; or of all views."""
        ...

    def find_schema(self, connection: "Connection", schema: str) -> int | None:
        """Return the identity of a schema; None: there is none, or a schema has none here."""
        ...

    def find_made_with_their_note(self, connection: "Connection") -> Sequence[Sequence[Any]]:
        """Return rows of what was made by the very transaction that noted it; for engines that tell makers."""
        ...

    def last_numbers(self, connection: "Connection", tables: Sequence["Table"]) -> dict[TableName, int]:
        """Return of the tables whose rows the database itself numbers in the order in which they come the last number.

        None are where rows keep the transaction that wrote them.
        """
        ...

    def rows_after(self, place: TableName, number: int) -> str:
        """Return the `from` and `where` of a table's rows that have come since that number was the last."""
        ...

    def prepare_load(self, connection: "Connection") -> None:
        """Let this transaction take what it needs to build the indexes of much data."""
        ...

    def finish_load(self, connection: "Connection", tables: Sequence["Table"], *, numbered: Sequence["Table"]) -> None:
        """Let the database know tables that were filled.

        Args:
            numbered: those that number their rows by themselves, and go on behind what was loaded.
        """
        ...
