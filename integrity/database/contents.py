"""What a database holds: what we made there, and what somebody else did.

"Ours" is what the notes say that we made, by identity (ownership.py). All the rest is somebody else's: tables wherever they
stand, information_schema and those of extensions too; views, functions, sequences, types, large objects and publications,
but those that belong to an extension or to a table. What the server itself brought has smaller oids than anything that was
made since (FirstNormalObjectId).
"""

import sqlite3
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import psycopg
from psycopg import sql

from integrity.database.made import (
    FORMAT,
    FORMAT_BEFORE,
    FORMAT_OF_NAMES,
    MADE_WITH_THEIR_NOTE,
    OURS,
    Identity,
    Made,
    checksum,
    find_all_made,
    made_before,
    read_made,
)
from integrity.engines.places import TableName, schema_from, schema_of
from integrity.engines.target import Target
from integrity.engines.transaction import refusal
from integrity.errors import DatabaseError

if TYPE_CHECKING:
    from sqlalchemy import Table

    from integrity.database.application import Application

FIRST_NORMAL_OID = 16384
_TABLE = "table"


@dataclass(frozen=True, slots=True)
class Contents:
    """What a database holds.

    Args:
        name: the database's own name; of SQLite the file's.
        ours: schema -> the tables in it that we made.
        made: system -> those that we made for it, parents first; none of one whose tables others made, or dropped. Our own
            books are among them, under their schema's name.
        foreign: all others: tables as "schema.table", other things with their kind, as "view schema.name".
        notes: what we noted; empty when nothing here is ours.
        shared: schemas of ours that hold something of others, and so stay when ours goes.
        foreign_tables: the tables among what is foreign.
    """

    name: str
    ours: Mapping[str, tuple[str, ...]]
    foreign: tuple[str, ...]
    notes: Mapping[str, str]
    shared: frozenset[str] = frozenset()
    made: Mapping[str, tuple[TableName, ...]] = field(default_factory=dict)
    foreign_tables: frozenset[TableName] = frozenset()

    @property
    def is_ours(self) -> bool:
        """Something here was made by us."""
        return bool(self.ours)

    @property
    def is_empty(self) -> bool:
        """Nothing at all."""
        return not self.ours and not self.foreign

    @property
    def systems(self) -> tuple[str, ...]:
        """The systems whose tables we made."""
        return tuple(name for name, tables in self.made.items() if name != OURS and tables)

    def has(self, table: "Table") -> bool:
        """The table is here, whoever made it."""
        return table.name in self.ours.get(schema_of(table), ()) or self._has_of_others(table)

    def holds(self, system: "Application") -> bool:
        """A table of the system is here, whoever made it."""
        return any(self.has(table) for table in system.metadata.sorted_tables)

    def of_others(self, system: "Application") -> list[str]:
        """Return the system's tables that are here and that we did not make."""
        return [f"{schema_of(table)}.{table.name}" for table in system.metadata.sorted_tables if self._has_of_others(table)]

    def _has_of_others(self, table: "Table") -> bool:
        return (schema_of(table), table.name) in self.foreign_tables


@dataclass(frozen=True, slots=True)
class _Object:
    """Something in a database.

    Args:
        kind: "table", "view", "function", ...
        schema: empty for what stands in none.
    """

    kind: str
    schema: str
    name: str
    identity: Identity

    def __str__(self) -> str:
        place = f"{self.schema}.{self.name}" if self.schema else self.name
        return place if self.kind == _TABLE else f"{self.kind} {place}"


def inspect_database(target: Target, *, is_removal: bool = False) -> Contents:
    """Return what the database holds; it is only read.

    Args:
        is_removal: what versions before this one made is known, too, so that it can be removed; else that is an error.

    Raises:
        Unreachable: no connection.
        DatabaseError: the notes cannot be read, or are of another version.
    """
    inspect = _inspect_sqlite if target.is_sqlite else _inspect_postgresql
    return inspect(target, is_removal=is_removal)


def find_schemas(target: Target) -> frozenset[str]:
    """Return the schemas that hold tables or views, whoever made them; of PostgreSQL only the catalogue is read.

    Raises:
        Unreachable: no connection.
        DatabaseError: the catalogue cannot be read.
    """
    if target.is_sqlite:
        contents = inspect_database(target)
        return frozenset({*contents.ours, *(name.rpartition(" ")[2].partition(".")[0] for name in contents.foreign)})
    with target.asking() as connection:
        try:
            return frozenset(row[0] for row in connection.execute(_SCHEMAS).fetchall())
        except psycopg.Error as error:
            raise refusal(target, error) from None


_SCHEMAS = """
    select distinct namespaces.nspname
    from pg_catalog.pg_class as tables
    join pg_catalog.pg_namespace as namespaces on namespaces.oid = tables.relnamespace
    where tables.relkind in ('r', 'p', 'f', 'm', 'v')
      and namespaces.nspname <> 'information_schema'
      and not pg_catalog.starts_with(namespaces.nspname, 'pg_')
    """


def _inspect_postgresql(target: Target, *, is_removal: bool) -> Contents:
    with target.asking() as connection:
        try:
            (name,) = connection.execute("select pg_catalog.current_database()").fetchall()[0]
            objects = [_Object(*row) for row in connection.execute(_OBJECTS).fetchall()]
            notes = _notes(
                objects,
                lambda: connection.execute("select key, value from integrity.notes").fetchall(),
                is_removal=is_removal,
            )
            made = find_all_made(notes)
            if notes.get("format") == FORMAT_OF_NAMES and is_removal:
                made = made_before(connection.execute(MADE_WITH_THEIR_NOTE.encode()).fetchall())
                notes = {**notes, "format": FORMAT}
        except psycopg.Error as error:
            raise refusal(target, error) from None
    return _contents(target, name, objects, notes, made)


_OBJECTS = sql.SQL(
    """
    with
    of_extensions as materialized (
        select classid, objid from pg_catalog.pg_depend where deptype = 'e'
    ),
    parts as materialized (
        select classid, objid
        from pg_catalog.pg_depend
        where deptype in ('a', 'i')
            and objid >= {first}
            and refclassid in ('pg_catalog.pg_class'::regclass, 'pg_catalog.pg_type'::regclass)
    )
    select objects.kind, coalesce(namespaces.nspname, ''), objects.name, objects.oid::int8
    from (
        select
            case relkind when 'v' then 'view' when 'S' then 'sequence' when 'c' then 'type' else 'table' end as kind,
            relnamespace as schema,
            relname::text as name,
            oid
        from pg_catalog.pg_class
        where oid >= {first}
            and relkind in ('r', 'p', 'f', 'm', 'v', 'S', 'c')
            and relpersistence <> 't'
            and not relispartition
            and (
                relkind in ('r', 'p', 'f', 'm')
                or ('pg_catalog.pg_class'::regclass, oid) not in (select classid, objid from of_extensions)
                and (relkind <> 'S' or ('pg_catalog.pg_class'::regclass, oid) not in (select classid, objid from parts))
            )
        union all
        select
            'function',
            pronamespace,
            proname || '(' || pg_catalog.pg_get_function_identity_arguments(oid) || ')',
            oid
        from pg_catalog.pg_proc
        where oid >= {first}
            and ('pg_catalog.pg_proc'::regclass, oid) not in (select classid, objid from of_extensions)
            and ('pg_catalog.pg_proc'::regclass, oid) not in (select classid, objid from parts)
        union all
        select 'type', typnamespace, typname::text, oid
        from pg_catalog.pg_type
        where oid >= {first}
            and typtype in ('e', 'd', 'r', 'b')
            and not exists (select from pg_catalog.pg_type as elements where elements.typarray = pg_type.oid)
            and ('pg_catalog.pg_type'::regclass, oid) not in (select classid, objid from of_extensions)
        union all
        -- There may be millions, and each is as telling as all.
        (
            select 'large object', null::oid, large.oid::text, large.oid
            from pg_catalog.pg_largeobject_metadata as large
            order by large.oid
            limit 100
        )
        union all
        select 'publication', null, pubname::text, oid from pg_catalog.pg_publication
    ) as objects
    left join pg_catalog.pg_namespace as namespaces on namespaces.oid = objects.schema
    where namespaces.nspname is null or not pg_catalog.starts_with(namespaces.nspname, 'pg_toast')
    order by objects.kind <> 'table', namespaces.nspname, objects.kind, objects.name
    """
).format(first=sql.Literal(FIRST_NORMAL_OID))


def _inspect_sqlite(target: Target, *, is_removal: bool) -> Contents:
    present = target.find_schemas()
    if not target.file.exists() and not present:
        if not target.file.absolute().parent.is_dir():
            raise target.unreachable(FileNotFoundError(f"no folder {target.file.absolute().parent}"))
        return Contents(target.file.name, {}, (), {})
    with closing(target.connect_sqlite(present, is_read_only=target.file.exists())) as connection:
        try:
            objects = [
                _Object(str(row["type"]), schema, row["name"], checksum(row["sql"]))
                for schema in ("main", *present)
                for row in connection.execute(
                    f'select type, name, sql from "{schema}".sqlite_master '
                    "where type in ('table', 'view') and name not like 'sqlite\\_%' escape '\\' order by type, name"
                )
            ]
            notes = _notes(
                objects,
                lambda: [(row[0], row[1]) for row in connection.execute("select key, value from integrity.notes")],
                is_removal=is_removal,
            )
        except sqlite3.Error as error:
            raise refusal(target, error) from None
    return _contents(target, target.file.name, objects, notes, find_all_made(notes))


def _notes(
    objects: Sequence[_Object], read: Callable[[], Sequence[tuple[str, str]]], *, is_removal: bool
) -> dict[str, str]:
    """Return what is noted; nothing when the table of that name is not the one that we made."""
    table = next((each for each in objects if (each.kind, each.schema, each.name) == (_TABLE, OURS, "notes")), None)
    if table is None:
        return {}
    try:
        noted = dict(read())
    except (psycopg.errors.UndefinedColumn, sqlite3.OperationalError) as error:  # somebody else's table of that name
        if isinstance(error, sqlite3.Error) and "no such column" not in str(error):
            raise
        return {}
    if noted.get("format") == FORMAT_BEFORE and is_removal:
        noted["format"] = FORMAT
    is_made = read_made(noted.get(f"made:{OURS}"), OURS).tables.get((OURS, "notes")) == table.identity
    return noted if is_made or noted.get("format", FORMAT) != FORMAT else {}


def _contents(
    target: Target, name: str, objects: Sequence[_Object], notes: Mapping[str, str], made: Mapping[str, Made]
) -> Contents:
    if notes and notes.get("format") != FORMAT:
        raise _of_another_version(target, name, notes.get("format"))
    ours: dict[str, tuple[str, ...]] = {}
    foreign: list[_Object] = []
    views = {view: identity for each in made.values() for view, identity in each.views.items()}
    kept: dict[str, list[TableName]] = {}
    for each in objects:
        if each.kind == "view" and each.schema == OURS and views.get(each.name) == each.identity:
            continue  # goes with the system that it is for
        place = schema_from(target.dialect, each.schema), each.name
        system = next((name for name, its in made.items() if its.tables.get(place) == each.identity), None)
        if each.kind == _TABLE and system is not None:
            ours[place[0]] = (*ours.get(place[0], ()), each.name)
            kept.setdefault(system, []).append(place)
        else:
            foreign.append(each)
    # Our own schema last: the notes say what is ours for as long as something is.
    ordered = sorted(ours.items(), key=lambda item: (item[0] == OURS, item[0]))
    in_order = {
        name: tuple(place for place in made[name].tables if place in kept.get(name, ()))
        for name in sorted(made, key=lambda name: (name == OURS, name))
    }
    # On PostgreSQL the server refuses, by name, to drop a schema with anything else in it.
    shared = frozenset(
        schema_from(target.dialect, each.schema) for each in foreign if each.kind == _TABLE or target.is_sqlite
    )
    return Contents(
        name,
        dict(ordered),
        tuple(str(each) for each in foreign),
        notes,
        shared,
        in_order,
        frozenset((schema_from(target.dialect, each.schema), each.name) for each in foreign if each.kind == _TABLE),
    )


def _of_another_version(target: Target, name: str, noted: str | None) -> DatabaseError:
    if noted == FORMAT_BEFORE or (noted == FORMAT_OF_NAMES and not target.is_sqlite):
        hint = "Remove what that version made: integrity rollback. Then make it anew: integrity seed"
    elif noted == FORMAT_OF_NAMES:
        files = target.file.with_name(f"{target.file.stem}*{target.file.suffix}")
        hint = f"It did not note its tables so that they can be told from others'. Look, then remove the files: {files}"
    else:
        hint = "Remove it with the version that made it, or use another database."
    return DatabaseError(
        f"database {name!r} was made by another version (format {noted!r}, expected {FORMAT!r})",
        hint=hint,
    )
