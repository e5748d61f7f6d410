"""Rows that we put into tables that others made, noted in the transaction that wrote them.

A row is ours by the transaction that wrote it, which PostgreSQL keeps with the row (xmin, also of a frozen one); or, if it
was changed since, by its number, where a table's rows are numbered: all numbers up to the last one were ours to give, as
the table was empty. What anybody added since stays, and what they changed in a table without numbers: see removal.py.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from integrity.database.bookkeeping import find_note, put_note
from integrity.sql.name import quoted

if TYPE_CHECKING:
    from sqlalchemy import Connection

KEY = "filled:"
XIDS = 2**32


@dataclass(frozen=True, slots=True)
class FilledTable:
    """A table that we filled.

    Args:
        oid: its identity.
        count: rows that we wrote.
        key: the column that numbers its rows, with the first and the last number; None: there is none.
    """

    schema: str
    name: str
    oid: int
    count: int
    key: tuple[str, int, int] | None = None

    @property
    def located(self) -> str:
        return f"{quoted(self.schema)}.{quoted(self.name)}"

    def is_ours(self, row: str, transaction: int) -> str:
        """Return the condition under which a row is ours.

        Args:
            row: what the query calls the table's row.
        """
        written = f"{row}.xmin::text = '{transaction % XIDS}'"
        if self.key is None:
            return written
        column, first, last = self.key
        return f"({written} or {row}.{quoted(column)} between {first} and {last})"


@dataclass(frozen=True, slots=True)
class Filled:
    """What one seed filled.

    Args:
        name: what it is noted under: the schemas.
        transaction: that wrote the rows.
        tables: parents first, but where they refer to each other in a circle.
    """

    name: str
    seed: int
    transaction: int
    tables: Sequence[FilledTable]

    @property
    def row_count(self) -> int:
        return sum(table.count for table in self.tables)


def note_filled(connection: "Connection", filled: Filled) -> None:
    """Note what was filled, in the transaction that does it."""
    tables = [[table.schema, table.name, table.oid, table.count, table.key] for table in filled.tables]
    value = {"seed": filled.seed, "transaction": filled.transaction, "tables": tables}
    put_note(connection, f"{KEY}{filled.name}", json.dumps(value))


def find_filled(notes: Mapping[str, str]) -> list[Filled]:
    """Return what the notes say that we filled; nothing of what we would not write."""
    found = []
    for key, value in sorted(notes.items()):
        if key.startswith(KEY):
            try:
                read = json.loads(value)
                tables = [
                    FilledTable(schema, name, oid, count, None if of_key is None else (of_key[0], of_key[1], of_key[2]))
                    for schema, name, oid, count, of_key in read["tables"]
                ]
                found.append(Filled(key.removeprefix(KEY), read["seed"], read["transaction"], tables))
            except (ValueError, TypeError, KeyError):
                continue
    return found


def current_transaction(connection: "Connection") -> int:
    """Return the number of the transaction under way."""
    return int(connection.exec_driver_sql("select pg_current_xact_id()::text").scalar_one())


def was_filled(connection: "Connection", name: str) -> bool:
    """Return whether it is noted that we filled these schemas."""
    return find_note(connection, f"{KEY}{name}") is not None
