"""What of a database is ours: the schemas that we made, what we noted about them, and what somebody else put there.

The schema `integrity` holds our own books, and each system has a schema of its own name. The notes list the tables that we
made, so that a table that merely stands in a schema of such a name is known to be somebody else's: nothing is seeded or
hammered beside it, and rollback leaves it.
"""

import sqlite3
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass

import psycopg
from psycopg import sql
from sqlalchemy import Connection, MetaData, Table, func, select
from sqlalchemy.schema import CreateSchema, CreateTable, DropSchema, DropTable

from integrity.database.bookkeeping import (
    FORMAT,
    METADATA,
    OURS,
    create_views,
    drop_notes_about,
    drop_views,
    find_note,
    has_bookkeeping,
    put_note,
)
from integrity.database.target import NAMESPACES, Target
from integrity.database.transaction import refusal, transaction
from integrity.errors import DatabaseError, UnsafeDatabase


@dataclass(frozen=True, slots=True)
class Contents:
    """What a database holds.

    Args:
        name: the database's own name; of SQLite the file's.
        ours: schema -> the tables in it that we made.
        foreign: all others, as "schema.table".
        notes: what we noted; empty when nothing here is ours.
    """

    name: str
    ours: Mapping[str, tuple[str, ...]]
    foreign: tuple[str, ...]
    notes: Mapping[str, str]

    @property
    def is_ours(self) -> bool:
        """Something here was made by us."""
        return bool(self.ours)

    @property
    def is_empty(self) -> bool:
        """No tables at all."""
        return not self.ours and not self.foreign

    @property
    def systems(self) -> tuple[str, ...]:
        """The systems that were seeded."""
        return tuple(schema for schema in self.ours if schema != OURS)


def inspect_database(target: Target) -> Contents:
    """Return what the database holds; it is only read.

    Raises:
        Unreachable: no connection.
        DatabaseError: the notes cannot be read.
    """
    return _inspect_sqlite(target) if target.is_sqlite else _inspect_postgresql(target)


def guard(target: Target, test_database: str | None) -> Contents:
    """Return what the database holds, if it may be written to and hammered.

    Args:
        test_database: the name of a database that its owner says is a test database.

    Raises:
        UnsafeDatabase: it holds tables that we did not make, and is not the one named.
    """
    contents = inspect_database(target)
    if contents.foreign and contents.name != test_database:
        named = f", not {test_database!r}" if test_database is not None else ""
        raise UnsafeDatabase(
            f"{target}: database {contents.name!r}{named} holds {_count(contents.foreign)} that we did not make: "
            f"{_some(contents.foreign)}",
            hint=f"Name an empty database, or, if losing these tables does not matter, add "
            f"--yes-this-is-a-test-database {contents.name}",
        )
    return contents


def create_schemas(target: Target, metadatas: Iterable[MetaData]) -> None:
    """Create the schema `integrity` if it is missing, and those given with all their tables, empty."""
    metadatas = list(metadatas)
    with transaction(target, (OURS, *(str(metadata.schema) for metadata in metadatas))) as connection:
        for metadata in metadatas:
            create_tables(connection, metadata)


def create_tables(connection: Connection, metadata: MetaData) -> None:
    """Create the tables of a schema with their constraints and indexes, and the bookkeeping if it is missing.

    Both are noted as ours.
    """
    if not has_bookkeeping(connection):
        _create_tables(connection, METADATA)
        put_note(connection, "format", FORMAT)
    if metadata is not METADATA:
        _create_tables(connection, metadata)
        create_views(connection, str(metadata.schema))


def drop_schemas(target: Target) -> Contents:
    """Drop every table that we made and every schema of ours that is then empty; return what there was.

    On SQLite the schemas' files go too, and the one that the URL names if nothing is in it.
    """
    contents = inspect_database(target)
    with transaction(target, tuple(contents.ours), checks_foreign_keys=False) as connection:
        for schema, tables in contents.ours.items():
            drop_tables(connection, schema, tables, contents.foreign)
    if target.is_sqlite:
        _remove_files(target, [schema for schema in contents.ours if not _tables_in(contents.foreign, schema)])
    return contents


def drop_tables(connection: Connection, schema: str, tables: Sequence[str], foreign: Sequence[str] = ()) -> None:
    """Drop tables of ours, and their schema unless somebody else has tables in it."""
    if schema != OURS:
        drop_views(connection, schema)
    for table in _children_first(connection, schema, tables):
        connection.execute(DropTable(Table(table, MetaData(schema=schema))))
    if connection.dialect.name == "postgresql" and not _tables_in(foreign, schema):
        connection.execute(DropSchema(schema))
    if schema != OURS:
        drop_notes_about(connection, schema)


def count_rows(target: Target, schema: str, tables: Sequence[str]) -> dict[str, int]:
    """Return table -> the rows that it holds now, of tables in one schema.

    Raises:
        DatabaseError: they cannot be read.
    """
    counts = {}
    with transaction(target, (schema,)) as connection:
        for table in tables:
            query = select(func.count()).select_from(Table(table, MetaData(schema=schema)))
            counts[table] = int(connection.execute(query).scalar_one())
    return counts


def read_notes(target: Target) -> Mapping[str, str]:
    """Return what we noted about the database; empty when nothing there is ours."""
    return inspect_database(target).notes


def write_note(target: Target, key: str, value: str) -> None:
    """Note a value, in place of what was noted under the key."""
    with transaction(target, (OURS,)) as connection:
        put_note(connection, key, value)


def _create_tables(connection: Connection, metadata: MetaData) -> None:
    assert metadata.schema is not None
    if connection.dialect.name == "postgresql":
        connection.execute(CreateSchema(metadata.schema, if_not_exists=True))
    for table in metadata.sorted_tables:
        connection.execute(CreateTable(table))
        for index in sorted(table.indexes, key=lambda index: str(index.name)):
            index.create(connection)
    put_note(connection, f"tables:{metadata.schema}", " ".join(table.name for table in metadata.sorted_tables))


def _children_first(connection: Connection, schema: str, tables: Sequence[str]) -> list[str]:
    """Return the tables in the reverse of the order they were made in, which is that of their foreign keys."""
    noted = (find_note(connection, f"tables:{schema}") or "").split()
    return sorted(tables, key=noted.index, reverse=True)


def _inspect_postgresql(target: Target) -> Contents:
    with target.asking() as connection:
        name: str = connection.execute("select pg_catalog.current_database()").fetchone()[0]  # type: ignore[index]  # one row
        rows = connection.execute(_TABLES).fetchall()

        def read() -> list[tuple[str, str]]:
            return connection.execute("select key, value from integrity.notes").fetchall()

        try:
            return _contents(name, rows, read)
        except psycopg.errors.UndefinedColumn:  # somebody else's table of that name
            return _contents(name, rows, list)
        except psycopg.Error as error:
            raise refusal(target, error) from None


_TABLES = sql.SQL(
    """
    select namespaces.nspname, tables.relname
    from pg_catalog.pg_class as tables
    join pg_catalog.pg_namespace as namespaces on namespaces.oid = tables.relnamespace
    where tables.relkind in ('r', 'p', 'f', 'm')
      and not tables.relispartition
      and namespaces.nspname <> 'information_schema'
      and namespaces.nspname not like 'pg\\_%'
      and not exists (
          select from pg_catalog.pg_depend
          where
              pg_depend.classid = 'pg_catalog.pg_class'::pg_catalog.regclass
              and pg_depend.objid = tables.oid
              and pg_depend.deptype = 'e'
      )
    order by namespaces.nspname, tables.relname
    """
)
"""Tables, partitioned and foreign ones, and materialized views, but those of extensions."""


def _inspect_sqlite(target: Target) -> Contents:
    present = [namespace for namespace in NAMESPACES if target.file_of(namespace).exists()]
    if not target.file.exists() and not present:
        if not target.file.absolute().parent.is_dir():
            raise target.unreachable(FileNotFoundError(f"no folder {target.file.absolute().parent}"))
        return Contents(target.file.name, {}, (), {})
    with closing(target.connect_sqlite(present, is_read_only=target.file.exists())) as connection:
        try:
            rows = [
                (schema, row[0])
                for schema in ("main", *present)
                for row in connection.execute(
                    f'select name from "{schema}".sqlite_master '
                    "where type = 'table' and name not like 'sqlite\\_%' escape '\\' order by name"
                )
            ]

            def read() -> list[tuple[str, str]]:
                return [(row[0], row[1]) for row in connection.execute("select key, value from integrity.notes")]

            try:
                return _contents(target.file.name, rows, read)
            except sqlite3.OperationalError as error:
                if "no such column" not in str(error):
                    raise
                return _contents(target.file.name, rows, list)
        except sqlite3.Error as error:
            raise refusal(target, error) from None


def _remove_files(target: Target, schemas: Sequence[str]) -> None:
    for schema in schemas:
        for ending in ("", "-wal", "-shm"):
            file = target.file_of(schema)
            file.with_name(file.name + ending).unlink(missing_ok=True)
    with closing(target.connect_sqlite()) as connection:
        is_empty = connection.execute("select 1 from sqlite_master").fetchone() is None
    if is_empty:
        target.file.unlink()


def _contents(name: str, rows: Sequence[tuple[str, str]], read: Callable[[], Sequence[tuple[str, str]]]) -> Contents:
    noted = dict(read()) if ("integrity", "notes") in rows else {}
    if noted and noted.get("format") != FORMAT:
        raise DatabaseError(
            f"database {name!r} was made by another version (format {noted.get('format')!r}, expected {FORMAT!r})",
            hint="Remove it with the version that made it, or use another database.",
        )
    ours: dict[str, tuple[str, ...]] = {}
    foreign: list[str] = []
    for schema, table in rows:
        if schema in NAMESPACES and table in noted.get(f"tables:{schema}", "").split():
            ours[schema] = (*ours.get(schema, ()), table)
        else:
            foreign.append(f"{schema}.{table}")
    # Our own schema last: the notes say what is ours for as long as something is.
    ordered = sorted(ours.items(), key=lambda item: (item[0] == OURS, item[0]))
    return Contents(name, dict(ordered), tuple(foreign), noted)


def _tables_in(tables: Iterable[str], schema: str) -> list[str]:
    return [table for table in tables if table.partition(".")[0] == schema]


def _count(tables: Sequence[str]) -> str:
    return "1 table" if len(tables) == 1 else f"{len(tables)} tables"


def _some(tables: Sequence[str]) -> str:
    return ", ".join(tables[:3]) + (", ..." if len(tables) > 3 else "")
