"""The tables that we make in a database, with their schemas, and remove again: those, and nothing of anybody else's.

The schema `integrity` holds our own books. A system's tables stand in its schemas: one of its own, several, or `public`,
beside other people's. What a database holds, and what of it is ours, is found in contents.py: nothing is seeded or hammered
beside what is not, unless its owner has declared it to be a test database, and rollback leaves it.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence

from sqlalchemy import Connection, MetaData, Table, func, select
from sqlalchemy.schema import CreateSchema, CreateTable, DropSchema, DropTable

from integrity.database.application import Application
from integrity.database.bookkeeping import (
    METADATA,
    create_views,
    drop_notes_about,
    drop_views,
    find_note,
    has_bookkeeping,
    put_note,
)
from integrity.database.contents import Contents, inspect_database
from integrity.database.filled import find_filled
from integrity.database.made import FORMAT, OURS
from integrity.database.marks import find_numbers, note_marks
from integrity.database.names import schemas_of
from integrity.database.ownership import (
    adopt,
    check_unchanged,
    find_own_schemas,
    find_own_views,
    hand_on,
    has_schema,
    note_made,
    note_views,
)
from integrity.database.removal import Emptied, count_emptied, find_numbered, holds_rows, remove_rows
from integrity.engines.known import find_engine
from integrity.engines.occupancy import occupy
from integrity.engines.places import schema_of
from integrity.engines.target import Target
from integrity.engines.transaction import transaction
from integrity.errors import UnsafeDatabase
from integrity.numbers import counted
from integrity.operation import Operation

__all__ = [
    "Contents",
    "count_rows",
    "create_bookkeeping",
    "create_schemas",
    "create_tables",
    "drop_schemas",
    "drop_tables",
    "find_emptied",
    "guard",
    "inspect_database",
    "keep_books",
    "read_notes",
    "write_note",
]


DECLARING_OPTION = "--yes-this-is-a-test-database"


def guard(target: Target, test_database: str | None) -> Contents:
    """Return what the database holds, if it may be written to and hammered.

    Args:
        test_database: the name of a database that its owner says is a test database.

    Raises:
        UnsafeDatabase: it holds tables that we did not make, and is not the one named.
    """
    contents = inspect_database(target)
    if contents.foreign and contents.name != test_database:
        named = f", not {test_database!r}," if test_database is not None else ""
        copied = "Its notes are of other tables: it came out of a dump, or was made anew. " if _has_copied(contents) else ""
        raise UnsafeDatabase(
            f"{target}: database {contents.name!r}{named} holds {_count(contents.foreign)} that we did not make: "
            f"{_some(contents.foreign)}",
            hint=f"{copied}Name an empty database, or, if losing these tables does not matter, declare it: "
            f'[database] test = "{contents.name}" in integrity.toml, or {DECLARING_OPTION} {contents.name}',
        )
    return contents


def create_schemas(target: Target, systems: Iterable[Application]) -> None:
    """Create the schema `integrity` if it is missing, and the systems with all their tables, empty."""
    systems = list(systems)
    with transaction(target, (OURS, *(schema for system in systems for schema in system.schemas))) as connection:
        create_bookkeeping(connection)
        for system in systems:
            create_tables(connection, system)


def create_tables(connection: Connection, system: Application) -> None:
    """Create the tables of a system with their constraints and indexes, and the bookkeeping if it is missing.

    Both are noted as ours.
    """
    create_bookkeeping(connection)
    _create_tables(connection, system.name, system.metadata)
    note_views(connection, system.name, create_views(connection, system.name))


def keep_books(target: Target, system: Application, operations: Collection[Operation] = ()) -> None:
    """Create our own books, and what the system sees of them, if they are missing: for one whose tables others made.

    Args:
        operations: that will be called, and whose rows stand in tables of others then.
    """
    with transaction(target, (OURS, *system.schemas)) as connection:
        create_bookkeeping(connection)
        if find_note(connection, f"made:{system.name}") is None:
            note_made(connection, system.name, [], schemas=())
            note_views(connection, system.name, create_views(connection, system.name))
        if operations:
            note_marks(connection, system.name, operations, system.metadata)


def create_bookkeeping(connection: Connection) -> None:
    """Create our own books, if they are missing."""
    if not has_bookkeeping(connection):
        _create_tables(connection, OURS, METADATA)
        put_note(connection, "format", FORMAT)


def drop_schemas(target: Target) -> Contents:
    """Drop every table that we made and every schema that we made and that is then empty; return what there was.

    Where schemas are files, these go too, and the one that the URL names if nothing is in it.

    Raises:
        DatabaseError: somebody works there, or something of others stands in the way; nothing was dropped.
    """
    with occupy(target, "rollback", is_exclusive=True):
        contents = inspect_database(target, is_removal=True)
        if not contents.is_ours:
            return contents
        with transaction(target, tuple(contents.ours), checks_foreign_keys=False) as connection:
            if holds_rows(contents.notes):
                remove_rows(connection, find_filled(contents.notes))
            adopt(connection)
            for name in contents.made:
                drop_tables(connection, name, contents)
        target.engine.clear_away(target, [schema for schema in contents.ours if schema not in contents.shared])
        return contents


def drop_tables(connection: Connection, name: str, contents: Contents) -> None:
    """Drop the tables that we made for a system, and those of its schemas that we made and that nobody else uses.

    Args:
        name: the system's.
        contents: what the database holds.

    Raises:
        DatabaseError: one of them is no longer the one that we made.
    """
    tables = contents.made[name]
    check_unchanged(connection, name, tables)
    schemas, used = find_own_schemas(connection, name), set[str]()
    drop_views(connection, find_own_views(connection, name))
    for schema, table in reversed(
        tables
    ):  # the reverse of the order they were made in, which is that of their foreign keys
        connection.execute(DropTable(Table(table, MetaData(schema=schema))))
    if name != OURS:
        drop_notes_about(connection, name)
        used = hand_on(connection, schemas, contents.made)
    for schema in schemas:
        if schema not in contents.shared | used:
            connection.execute(DropSchema(schema))


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


def find_emptied(target: Target, contents: Contents) -> Emptied:
    """Return which rows a removal takes out of tables of others, and which it leaves there.

    Raises:
        DatabaseError: they cannot be read.
    """
    there = contents.foreign_tables
    numbers = {place: number for place, number in find_numbers(contents.notes).items() if place in there}
    if numbers:
        with transaction(target, (OURS, *dict.fromkeys(schema for schema, _ in numbers))) as connection:
            return Emptied({}, find_numbered(connection, numbers))
    if not holds_rows(contents.notes):
        return Emptied({})
    with transaction(target, (OURS,)) as connection:
        return count_emptied(connection, find_filled(contents.notes), contents.notes)


def read_notes(target: Target) -> Mapping[str, str]:
    """Return what we noted about the database; empty when nothing there is ours."""
    return inspect_database(target).notes


def write_note(target: Target, key: str, value: str) -> None:
    """Note a value, in place of what was noted under the key."""
    with transaction(target, (OURS,)) as connection:
        put_note(connection, key, value)


def _create_tables(connection: Connection, name: str, metadata: MetaData) -> None:
    schemas = schemas_of(metadata) if find_engine(connection.dialect.name).has_schemas else ()
    made = [schema for schema in schemas if not has_schema(connection, schema)]
    for schema in made:
        connection.execute(CreateSchema(schema))
    for table in metadata.sorted_tables:
        connection.execute(CreateTable(table))
        for index in sorted(table.indexes, key=lambda index: str(index.name)):
            index.create(connection)
    note_made(connection, name, [(schema_of(table), table.name) for table in metadata.sorted_tables], schemas=made)


def _has_copied(contents: Contents) -> bool:
    return f"{OURS}.notes" in contents.foreign


def _count(things: Sequence[str]) -> str:
    """Return how many; tables are named without their kind."""
    kind = "table" if not any(" " in each.partition(".")[0] for each in things) else "object"
    return counted(len(things), kind)


def _some(tables: Sequence[str]) -> str:
    return ", ".join(tables[:3]) + (", ..." if len(tables) > 3 else "")
