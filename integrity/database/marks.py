"""What tells the rows that calls of runs have inserted into tables of others, noted when a run prepares its database.

The note `marks:<system>` says by which columns they are known, into which tables calls insert rows that nothing tells, and
since when: the transaction before the first call, so that what was written there later can be counted (held.py). A database
without such numbers, but with one of each row, has the last one of each table in the note `numbers:<system>`.
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from sqlalchemy import text

from integrity.database.bookkeeping import find_note, put_note
from integrity.engines.known import find_engine
from integrity.engines.places import DEFAULT_SCHEMA, TableName, schema_of
from integrity.operation import Operation
from integrity.sql.name import literal

if TYPE_CHECKING:
    from sqlalchemy import Connection, MetaData

KEY = "marks:"
NUMBERS = "numbers:"


@dataclass(frozen=True, slots=True)
class RowMark:
    """A column by which rows of an operation's calls are known.

    Args:
        argument, reply: of a call, whose value it holds; both empty: the call's operation_id.
    """

    schema: str
    table: str
    column: str
    operation: str
    argument: str = ""
    reply: str = ""

    @property
    def value(self) -> str:
        """What it holds, of a call, as text."""
        if self.reply:
            return f"calls.reply ->> {literal(self.reply)}"
        return f"calls.arguments ->> {literal(self.argument)}" if self.argument else "calls.operation_id::text"


def find_row_marks(operation: Operation) -> list[RowMark]:
    """Return what tells the rows that an operation's calls insert, each with where they stand."""
    return [
        RowMark(mark.schema or DEFAULT_SCHEMA, mark.table, mark.column, operation.name, mark.argument, mark.reply)
        for mark in operation.marks
    ]


@dataclass(frozen=True, slots=True)
class Marks:
    """What is noted of a system.

    Args:
        since: the transaction before its first call.
        unmarked: tables into which calls insert rows that nothing tells.
    """

    system: str
    since: int
    rows: Sequence[RowMark]
    unmarked: Sequence[TableName]


def note_marks(connection: "Connection", system: str, operations: Iterable[Operation], metadata: "MetaData") -> None:
    """Note what tells the rows of a run that is about to begin, beside what is noted of those before it.

    Where there is no number of a transaction, rows that others' tables hold stay, and their numbers are noted to tell them.
    """
    engine = find_engine(connection.dialect.name)
    if not engine.speaks_postgresql:
        if find_note(connection, f"{NUMBERS}{system}") is None:
            last = engine.catalogue.last_numbers(connection, metadata.sorted_tables)
            put_note(connection, f"{NUMBERS}{system}", json.dumps([[*place, number] for place, number in last.items()]))
        return
    operations = list(operations)
    rows = [row for each in operations for row in find_row_marks(each)]
    marked = {(row.schema, row.table) for row in rows}
    unmarked = {table for each in operations for table in each.unmarked or ()}
    tables = {(schema_of(table), table.name) for table in metadata.sorted_tables}
    # Who inserts into a view, or what has no name here, inserts into tables that nobody knows.
    is_unknown = any(each.unmarked is None for each in operations) or not (unmarked | marked) <= tables
    if is_unknown or _has_triggers(connection, unmarked | marked):
        unmarked |= tables - marked
    since = int(connection.exec_driver_sql("select pg_current_xact_id()::text").scalar_one())
    for before in find_marks({f"{KEY}{system}": find_note(connection, f"{KEY}{system}") or ""}):
        rows += before.rows
        unmarked |= set(before.unmarked)
        since = before.since
    note = {
        "since": since,
        "rows": [
            [row.schema, row.table, row.column, row.operation, row.argument, row.reply] for row in dict.fromkeys(rows)
        ],
        "unmarked": sorted(unmarked),
    }
    put_note(connection, f"{KEY}{system}", json.dumps(note))


def _has_triggers(connection: "Connection", places: Iterable[TableName]) -> bool:
    """Whether a trigger of somebody's own stands on one of the tables: what it writes elsewhere is not followed."""
    tables = [".".join(place) for place in places]
    return bool(connection.execute(_TRIGGERS, {"tables": tables}).scalar_one())


def find_marks(notes: Mapping[str, str]) -> list[Marks]:
    """Return what the notes say; nothing of what we would not write."""
    found = []
    for key, value in sorted(notes.items()):
        if key.startswith(KEY):
            try:
                read = json.loads(value)
                rows = [RowMark(*row) for row in read["rows"]]
                unmarked = [(schema, table) for schema, table in read["unmarked"]]
                found.append(Marks(key.removeprefix(KEY), int(read["since"]), rows, unmarked))
            except (ValueError, TypeError, KeyError):
                continue
    return found


def find_numbers(notes: Mapping[str, str]) -> dict[TableName, int]:
    """Return the last number of each table's rows before the first run; nothing of what we would not write."""
    found: dict[TableName, int] = {}
    for key, value in sorted(notes.items()):
        if key.startswith(NUMBERS):
            try:
                for schema, table, number in json.loads(value):
                    found[schema, table] = min(int(number), found.get((schema, table), int(number)))
            except (ValueError, TypeError):
                continue
    return found


_TRIGGERS = text(
    """
    select exists (
        select from pg_catalog.pg_trigger
        join pg_catalog.pg_class on pg_class.oid = tgrelid
        join pg_catalog.pg_namespace on pg_namespace.oid = relnamespace
        where not tgisinternal and nspname || '.' || relname = any (:tables)
    )
    """
)
