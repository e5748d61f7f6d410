"""Rows that we put into tables that others made: noted in the transaction that wrote them, and taken out again.

A row is ours by the transaction that wrote it, which PostgreSQL keeps with the row (xmin, also of a frozen one); or, if it
was changed since, by its number, where a table's rows are numbered: all numbers up to the last one were ours to give, as
the table was empty. What anybody added since stays, and what they changed in a table without numbers.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from sqlalchemy import text

from integrity.database.bookkeeping import find_note, put_note
from integrity.engines.places import TableName
from integrity.errors import DatabaseError
from integrity.numbers import counted
from integrity.sql.name import quoted

if TYPE_CHECKING:
    from sqlalchemy import Connection

KEY = "filled:"
_XIDS = 2**32


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

    def is_ours(self, transaction: int) -> str:
        """Return the condition under which a row is ours."""
        written = f"xmin::text = '{transaction % _XIDS}'"
        if self.key is None:
            return written
        column, first, last = self.key
        return f"({written} or {quoted(column)} between {first} and {last})"


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


def remove_filled(connection: "Connection", filled: Filled) -> None:
    """Take out of the tables the rows that we put in, and nothing else.

    Raises:
        DatabaseError: rows of others rest on ours; nothing was changed.
    """
    held = {(table.schema, table.name): table.oid for table in filled.tables}
    there = _find_oids(connection, list(held))
    tables = [table for table in filled.tables if there.get((table.schema, table.name)) == table.oid]
    if tables:
        names = ", ".join(table.located for table in tables)
        connection.exec_driver_sql(f"lock table {names} in access exclusive mode")
        _remove_rows(connection, filled, tables)
    connection.execute(text("delete from integrity.notes where key = :key"), {"key": f"{KEY}{filled.name}"})


def _remove_rows(connection: "Connection", filled: Filled, tables: Sequence[FilledTable]) -> None:
    triggers = connection.execute(_TRIGGERS, {"oids": [table.oid for table in tables]}).all()
    for off, _ in triggers:
        connection.exec_driver_sql(off)
    others = _count_others(connection, filled, tables)
    outside = connection.execute(_REFERRING, {"oids": [table.oid for table in tables]}).scalar_one()
    if not any(others.values()) and not outside:
        connection.exec_driver_sql(f"truncate {', '.join(table.located for table in tables)}")
    else:
        # One statement, at whose end foreign keys are looked at: tables may refer to each other in a circle.
        deletes = [f"delete from {table.located} where {table.is_ours(filled.transaction)}" for table in reversed(tables)]
        parts = ", ".join(f"part_{number} as ({delete})" for number, delete in enumerate(deletes))
        connection.exec_driver_sql(f"with {parts} select 1")
        for name, count in _count_others(connection, filled, tables).items():
            if count != others[name]:
                raise DatabaseError(
                    f"{name}: {counted(others[name] - count, 'row')} that others added would go with those that seed made",
                    hint="Nothing was removed. Delete those rows first.",
                )
    for _, on in triggers:
        connection.exec_driver_sql(on)


def _count_others(connection: "Connection", filled: Filled, tables: Sequence[FilledTable]) -> dict[str, int]:
    return {
        f"{table.schema}.{table.name}": int(
            connection.exec_driver_sql(
                f"select count(*) from {table.located} where not {table.is_ours(filled.transaction)}"
            ).scalar_one()
        )
        for table in tables
    }


def _find_oids(connection: "Connection", places: Sequence[TableName]) -> dict[TableName, int]:
    schemas = sorted({schema for schema, _ in places})
    return {(schema, name): oid for schema, name, oid in connection.execute(_OIDS, {"schemas": schemas})}


def was_filled(connection: "Connection", name: str) -> bool:
    """Return whether it is noted that we filled these schemas."""
    return find_note(connection, f"{KEY}{name}") is not None


_OIDS = text(
    """
    select nspname::text, relname::text, pg_class.oid::int8
    from pg_catalog.pg_class
    join pg_catalog.pg_namespace on pg_namespace.oid = relnamespace
    where nspname = any (:schemas) and relkind in ('r', 'p')
    """
)

_TRIGGERS = text(
    """
    select
        format('alter table %s disable trigger %I', cast(tgrelid as regclass), tgname),
        format(
            'alter table %s enable %s trigger %I',
            cast(tgrelid as regclass), case tgenabled when 'A' then 'always' else '' end, tgname
        )
    from pg_catalog.pg_trigger
    where tgrelid = any (:oids) and not tgisinternal and tgenabled in ('O', 'A') and tgparentid = 0
    """
)

_REFERRING = text(
    """
    select count(*) from pg_catalog.pg_constraint
    where contype = 'f' and confrelid = any (:oids) and not conrelid = any (:oids) and conparentid = 0
    """
)
