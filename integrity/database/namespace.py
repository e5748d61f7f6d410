"""The schemas that we make in a database, and remove again: those, and nothing of anybody else's.

The schema `integrity` holds our own books, and each system has a schema of its own name. What a database holds, and what of
it is ours, is found in contents.py: nothing is seeded or hammered beside what is not, and rollback leaves it.
"""

from collections.abc import Iterable, Mapping, Sequence
from contextlib import closing

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
from integrity.database.contents import Contents, inspect_database
from integrity.database.ownership import (
    adopt,
    check_unchanged,
    find_own_views,
    has_schema,
    is_schema_ours,
    note_made,
    note_views,
    read_made,
)
from integrity.engines.occupancy import occupy
from integrity.engines.target import Target
from integrity.engines.transaction import transaction
from integrity.errors import UnsafeDatabase

__all__ = [
    "Contents",
    "count_rows",
    "create_schemas",
    "create_tables",
    "drop_schemas",
    "drop_tables",
    "guard",
    "inspect_database",
    "read_notes",
    "write_note",
]


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
        copied = "Its notes are of other tables: it came out of a dump, or was made anew. " if _has_copied(contents) else ""
        raise UnsafeDatabase(
            f"{target}: database {contents.name!r}{named} holds {_count(contents.foreign)} that we did not make: "
            f"{_some(contents.foreign)}",
            hint=f"{copied}Name an empty database, or, if losing these tables does not matter, add "
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
        note_views(connection, str(metadata.schema), create_views(connection, str(metadata.schema)))


def drop_schemas(target: Target) -> Contents:
    """Drop every table that we made and every schema that we made and that is then empty; return what there was.

    On SQLite the schemas' files go too, and the one that the URL names if nothing is in it.

    Raises:
        DatabaseError: somebody works there, or something of others stands in the way; nothing was dropped.
    """
    with occupy(target, "rollback", is_exclusive=True):
        contents = inspect_database(target, is_removal=True)
        if not contents.is_ours:
            return contents
        with transaction(target, tuple(contents.ours), checks_foreign_keys=False) as connection:
            adopt(connection)
            for schema, tables in contents.ours.items():
                drop_tables(connection, schema, tables, is_shared=schema in contents.shared)
        if target.is_sqlite:
            _remove_files(target, [schema for schema in contents.ours if schema not in contents.shared])
        return contents


def drop_tables(connection: Connection, schema: str, tables: Sequence[str], *, is_shared: bool = False) -> None:
    """Drop tables of ours, and their schema if we made it.

    Args:
        is_shared: somebody else has tables in the schema: it stays.

    Raises:
        DatabaseError: one of them is no longer the one that we made.
    """
    check_unchanged(connection, schema, tables)
    drops_schema = connection.dialect.name == "postgresql" and not is_shared and is_schema_ours(connection, schema)
    drop_views(connection, find_own_views(connection, schema))
    for table in _children_first(connection, schema, tables):
        connection.execute(DropTable(Table(table, MetaData(schema=schema))))
    if drops_schema:
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
    is_made = connection.dialect.name == "postgresql" and not has_schema(connection, metadata.schema)
    if is_made:
        connection.execute(CreateSchema(metadata.schema))
    for table in metadata.sorted_tables:
        connection.execute(CreateTable(table))
        for index in sorted(table.indexes, key=lambda index: str(index.name)):
            index.create(connection)
    note_made(connection, metadata.schema, [table.name for table in metadata.sorted_tables], has_made_schema=is_made)


def _children_first(connection: Connection, schema: str, tables: Sequence[str]) -> list[str]:
    """Return the tables in the reverse of the order they were made in, which is that of their foreign keys."""
    made = list(read_made(find_note(connection, f"made:{schema}")).tables)
    return sorted(tables, key=made.index, reverse=True)


def _remove_files(target: Target, schemas: Sequence[str]) -> None:
    for schema in schemas:
        for ending in ("", "-wal", "-shm"):
            file = target.file_of(schema)
            file.with_name(file.name + ending).unlink(missing_ok=True)
    with closing(target.connect_sqlite()) as connection:
        is_empty = connection.execute("select 1 from sqlite_master").fetchone() is None
    if is_empty:
        target.file.unlink()


def _has_copied(contents: Contents) -> bool:
    return f"{OURS}.notes" in contents.foreign


def _count(things: Sequence[str]) -> str:
    """Return how many; tables are named without their kind."""
    kind = "table" if not any(" " in each.partition(".")[0] for each in things) else "object"
    return f"1 {kind}" if len(things) == 1 else f"{len(things)} {kind}s"


def _some(tables: Sequence[str]) -> str:
    return ", ".join(tables[:3]) + (", ..." if len(tables) > 3 else "")
