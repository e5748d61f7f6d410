"""What we made, known by identity and not by name; noted in the transaction that makes it, before it has any content.

PostgreSQL: the oids of the schema and of its tables; indexes, sequences and rules belong to their table. A table of the
same name that somebody made after ours was dropped has another oid, and a schema that was there before us is not noted. A
copy of the database by a dump has other oids, too: it is nobody's, and is left alone; one by `create database ... template`
has the same.

SQLite: a table has no identity of its own, so its `create table` statement is noted as a checksum. A table that somebody
made anew with exactly our statement cannot be told from ours; one that was altered is no longer ours.

What the version before this one made was noted by name alone. There the server itself knows: a table's row for its system
column `tableoid` is written once, by the transaction that created the table, and that must be the one that wrote our note.
"""

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from sqlalchemy import Connection, text

from integrity.database.bookkeeping import FORMAT_BEFORE, OURS, find_note, put_note
from integrity.errors import DatabaseError

Identity = int | str
"""An oid; of SQLite a checksum."""


@dataclass(frozen=True, slots=True)
class Made:
    """What a note says that we made.

    Args:
        schema: the oid of the schema; None where it was there before, and on SQLite.
        tables: name -> identity, parents first.
        views: name -> identity, of the views in the schema `integrity` that are for this one.
    """

    schema: int | None = None
    tables: Mapping[str, Identity] = field(default_factory=dict)
    views: Mapping[str, Identity] = field(default_factory=dict)

    @property
    def text(self) -> str:
        """The note."""
        return json.dumps({"schema": self.schema, "tables": dict(self.tables), "views": dict(self.views)})


def note_made(connection: Connection, schema: str, tables: Sequence[str], *, has_made_schema: bool) -> None:
    """Note that we have just made these tables, and perhaps their schema."""
    oid = _schema_oid(connection, schema) if has_made_schema else None
    found = find_identities(connection, schema)
    put_note(connection, _key(schema), Made(oid, {table: found[table] for table in tables}).text)


def note_views(connection: Connection, schema: str, views: Sequence[str]) -> None:
    """Note that we have just made these views in our own schema, for another."""
    made, found = _read(connection, schema), find_identities(connection, OURS, is_of_views=True)
    put_note(connection, _key(schema), replace(made, views={view: found[view] for view in views}).text)


def note_rebuilt(connection: Connection, schema: str, tables: Sequence[str]) -> None:
    """Note tables of ours anew that we have made anew (SQLite's way to alter one)."""
    if not tables:
        return
    made, found = _read(connection, schema), find_identities(connection, schema)
    renewed = {**made.tables, **{table: found[table] for table in tables}}
    put_note(connection, _key(schema), replace(made, tables=renewed).text)


def adopt(connection: Connection) -> None:
    """Note by identity what the version before this one made and noted by name, as far as the server can prove it."""
    if connection.dialect.name == "postgresql" and find_note(connection, "format") == FORMAT_BEFORE:
        for schema, made in made_before(connection.exec_driver_sql(MADE_WITH_THEIR_NOTE).all()).items():
            put_note(connection, _key(schema), made.text)


def made_before(rows: Iterable[Any]) -> dict[str, Made]:
    """Return schema -> what we made there, from rows of MADE_WITH_THEIR_NOTE."""
    found: dict[str, Made] = {}
    for schema, table, oid, is_schema_made, schema_oid in rows:
        known = found.get(schema, Made(schema_oid if is_schema_made else None))
        found[schema] = Made(known.schema, {**known.tables, table: oid})
    return found


def find_made(notes: Mapping[str, str], schema: str) -> Made:
    """Return what the notes say that we made in a schema."""
    return read_made(notes.get(_key(schema)))


def read_made(note: str | None) -> Made:
    """Return what a note says; nothing, when it says nothing that we would write."""
    try:
        read = json.loads(note or "{}")
        return Made(read.get("schema"), dict(read.get("tables", {})), dict(read.get("views", {})))
    except (ValueError, TypeError, AttributeError):
        return Made()


def check_unchanged(connection: Connection, schema: str, tables: Sequence[str]) -> None:
    """Raise when a table is no longer the one that we made; on PostgreSQL they are locked from here on.

    Raises:
        DatabaseError: says which.
    """
    if connection.dialect.name == "postgresql" and tables:
        quote = connection.dialect.identifier_preparer.quote
        names = ", ".join(f"{quote(schema)}.{quote(table)}" for table in tables)
        connection.exec_driver_sql(f"lock table {names} in access exclusive mode")
    found, made = find_identities(connection, schema), _read(connection, schema)
    for table in tables:
        if found.get(table) != made.tables.get(table):
            raise DatabaseError(
                f"{schema}.{table} is not the table that was made here: somebody made it anew meanwhile",
                hint="Nothing was changed. Look again: integrity rollback --dry-run",
            )


def is_schema_ours(connection: Connection, schema: str) -> bool:
    """Return whether we made the schema itself, on PostgreSQL."""
    made = _read(connection, schema)
    return made.schema is not None and made.schema == _schema_oid(connection, schema)


def find_own_views(connection: Connection, schema: str) -> list[str]:
    """Return the views in our own schema that we made for another, and that are still those."""
    found = find_identities(connection, OURS, is_of_views=True)
    return [view for view, identity in _read(connection, schema).views.items() if found.get(view) == identity]


def find_identities(connection: Connection, schema: str, *, is_of_views: bool = False) -> dict[str, Identity]:
    """Return table -> its identity now, of all tables in a schema; or of all views."""
    if connection.dialect.name == "postgresql":
        kinds = ["v"] if is_of_views else ["r", "p"]
        return {str(name): int(oid) for name, oid in connection.execute(_OIDS, {"schema": schema, "kinds": kinds})}
    quoted = connection.dialect.identifier_preparer.quote(schema)
    kind = "view" if is_of_views else "table"
    rows = connection.exec_driver_sql(f"select name, sql from {quoted}.sqlite_master where type = ?", (kind,))
    return {str(name): checksum(statement) for name, statement in rows}


def checksum(statement: str | None) -> str:
    """Return what identifies a table of SQLite: a checksum of its statement, however it is spaced."""
    return hashlib.sha256(" ".join((statement or "").split()).encode()).hexdigest()


def has_schema(connection: Connection, schema: str) -> bool:
    """Return whether the schema is there, on PostgreSQL."""
    return _schema_oid(connection, schema) is not None


def _schema_oid(connection: Connection, schema: str) -> int | None:
    oid: Any = connection.execute(_SCHEMA_OID, {"schema": schema}).scalar_one_or_none()
    return oid if oid is None else int(oid)


def _read(connection: Connection, schema: str) -> Made:
    return read_made(find_note(connection, _key(schema)))


def _key(schema: str) -> str:
    return f"made:{schema}"


_SCHEMA_OID = text("select oid::int8 from pg_catalog.pg_namespace where nspname = :schema")

_OIDS = text(
    """
    select tables.relname, tables.oid::int8
    from pg_catalog.pg_class as tables
    join pg_catalog.pg_namespace as namespaces on namespaces.oid = tables.relnamespace
    where namespaces.nspname = :schema and tables.relkind = any (:kinds)
    """
)

MADE_WITH_THEIR_NOTE = """
    select substr(notes.key, 8), tables.relname, tables.oid::int8, namespaces.xmin = notes.xmin, namespaces.oid::int8
    from integrity.notes
    join pg_catalog.pg_namespace as namespaces on namespaces.nspname = substr(notes.key, 8)
    join pg_catalog.pg_class as tables on tables.relnamespace = namespaces.oid
    join pg_catalog.pg_attribute as columns on columns.attrelid = tables.oid and columns.attname = 'tableoid'
    where pg_catalog.starts_with(notes.key, 'tables:')
        and columns.xmin = notes.xmin
        and tables.relname = any (string_to_array(notes.value, ' '))
    order by namespaces.nspname, array_position(string_to_array(notes.value, ' '), tables.relname::text)
"""
"""Of a database of the format before: what was made by the very transaction that noted it."""
