"""What we made, known by identity and not by name; noted in the transaction that makes it, before it has any content.

PostgreSQL: the oids of the schema and of its tables; indexes, sequences and rules belong to their table. A table of the
same name that somebody made after ours was dropped has another oid, and a schema that was there before us is not noted. A
copy of the database by a dump has other oids, too: it is nobody's, and is left alone; one by `create database ... template`
has the same.

SQLite: a table has no identity of its own, so its `create table` statement is noted as a checksum. A table that somebody
made anew with exactly our statement cannot be told from ours; one that was altered is no longer ours.

What an earlier version made was noted by name alone. There the server itself knows: a table's row for its system
column `tableoid` is written once, by the transaction that created the table, and that must be the one that wrote our note.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

from sqlalchemy import Connection

from integrity.database.bookkeeping import find_note, put_note, read_notes
from integrity.database.made import (
    FORMAT_OF_NAMES,
    KEY,
    OURS,
    Made,
    find_all_made,
    made_before,
    read_made,
)
from integrity.engines.catalogue import Catalogue
from integrity.engines.inventory import Identity
from integrity.engines.known import find_engine
from integrity.engines.places import TableName
from integrity.errors import DatabaseError
from integrity.typed import typed


def note_made(connection: Connection, name: str, tables: Sequence[TableName], *, schemas: Iterable[str]) -> None:
    """Note that we have just made these tables for a system, and these schemas."""
    found = _find_all(connection, tables)
    oids = {schema: _catalogue(connection).find_schema(connection, schema) for schema in schemas}
    made = Made({place: found[place] for place in tables}, {schema: oid for schema, oid in oids.items() if oid is not None})
    put_note(connection, f"{KEY}{name}", made.text)


def note_views(connection: Connection, name: str, views: Sequence[str]) -> None:
    """Note that we have just made these views in our own schema, for a system."""
    made, found = _read(connection, name), find_identities(connection, OURS, is_of_views=True)
    put_note(connection, f"{KEY}{name}", replace(made, views={view: found[view] for view in views}).text)


def note_rebuilt(connection: Connection, name: str, tables: Sequence[TableName]) -> None:
    """Note tables of ours anew that we have made anew (SQLite's way to alter one)."""
    made = _read(connection, name)
    own = [place for place in tables if place in made.tables]  # of a declared test database, the others are its owner's
    if own:
        found = _find_all(connection, own)
        renewed = {**made.tables, **{place: found[place] for place in own}}
        put_note(connection, f"{KEY}{name}", replace(made, tables=renewed).text)


def hand_on(connection: Connection, schemas: Mapping[str, int], present: Mapping[str, Iterable[TableName]]) -> set[str]:
    """Note schemas that we made for a system whose note is gone with those that still have tables there.

    Args:
        schemas: with their oids.
        present: system -> the tables of ours that there are.

    Returns:
        The schemas that stay, for those.
    """
    kept: set[str] = set()
    for name, made in find_all_made(read_notes(connection)).items():
        used = {schema for schema, _ in present.get(name, ())} & schemas.keys()
        if used:
            taken = {schema: schemas[schema] for schema in used}
            put_note(connection, f"{KEY}{name}", replace(made, schemas={**made.schemas, **taken}).text)
        kept |= used
    return kept


def adopt(connection: Connection) -> None:
    """Note by identity what an earlier version made and noted by name, as far as the server can prove it."""
    if find_engine(connection.dialect.name).tells_makers and find_note(connection, "format") == FORMAT_OF_NAMES:
        for schema, made in made_before(_catalogue(connection).find_made_with_their_note(connection)).items():
            put_note(connection, f"{KEY}{schema}", made.text)


def check_unchanged(connection: Connection, name: str, tables: Sequence[TableName]) -> None:
    """Raise when a table is no longer the one that we made; they are locked from here on.

    Raises:
        DatabaseError: says which.
    """
    _catalogue(connection).lock(connection, tables, shuts_out_readers=True)
    found, made = _find_all(connection, tables), _read(connection, name)
    for place in tables:
        if found.get(place) != made.tables.get(place):
            raise DatabaseError(
                f"{'.'.join(place)} is not the table that was made here: somebody made it anew meanwhile",
                hint=f"Nothing was changed. Look again: {typed('rollback --dry-run')}",
            )


def find_own_schemas(connection: Connection, name: str) -> dict[str, int]:
    """Return the schemas that we made for a system and that are still those, with their oids; none that is a file."""
    made, catalogue = _read(connection, name), _catalogue(connection)
    return {schema: oid for schema, oid in made.schemas.items() if oid == catalogue.find_schema(connection, schema)}


def find_own_views(connection: Connection, name: str) -> list[str]:
    """Return the views in our own schema that we made for a system, and that are still those."""
    found = find_identities(connection, OURS, is_of_views=True)
    return [view for view, identity in _read(connection, name).views.items() if found.get(view) == identity]


def _find_all(connection: Connection, tables: Iterable[TableName]) -> dict[TableName, Identity]:
    """Return the identities that tables have now, those of their schemas."""
    return {
        (schema, table): identity
        for schema in dict.fromkeys(schema for schema, _ in tables)
        for table, identity in find_identities(connection, schema).items()
    }


def find_identities(connection: Connection, schema: str, *, is_of_views: bool = False) -> dict[str, Identity]:
    """Return table -> its identity now, of all tables in a schema; or of all views."""
    return _catalogue(connection).find_identities(connection, schema, is_of_views=is_of_views)


def has_schema(connection: Connection, schema: str) -> bool:
    """Return whether the schema is there, where a schema is the database's own."""
    return _catalogue(connection).find_schema(connection, schema) is not None


def _catalogue(connection: Connection) -> Catalogue:
    return find_engine(connection.dialect.name).catalogue


def _read(connection: Connection, name: str) -> Made:
    return read_made(find_note(connection, f"{KEY}{name}"), name)
