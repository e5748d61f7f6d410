"""What a PostgreSQL database holds.

What the server itself brought has smaller oids than anything that was made since (FirstNormalObjectId).
"""

from typing import Any

import psycopg
from psycopg import sql

from integrity.engines.inventory import Inventory, Object, has_notes
from integrity.engines.target import Target
from integrity.engines.transaction import refusal

FIRST_NORMAL_OID = 16384


def take_inventory(target: Target, *, format_of_names: str) -> Inventory:
    """Return what the database holds; see engine.Engine."""
    with target.asking() as connection:
        try:
            (name,) = connection.execute("select pg_catalog.current_database()").fetchall()[0]
            objects = [Object(*row) for row in connection.execute(_OBJECTS).fetchall()]
            notes = _read_notes(target, connection) if has_notes(objects) else {}
            made_with_note: list[tuple[Any, ...]] | None = None
            if format_of_names and notes.get("format") == format_of_names:
                made_with_note = connection.execute(MADE_WITH_THEIR_NOTE.encode()).fetchall()
        except psycopg.Error as error:
            raise refusal(target, error) from None
    return Inventory(name, objects, notes, made_with_note)


def find_schemas(target: Target) -> frozenset[str]:
    """Return the schemas that hold tables or views, whoever made them; only the catalogue is read."""
    with target.asking() as connection:
        try:
            return frozenset(row[0] for row in connection.execute(_SCHEMAS).fetchall())
        except psycopg.Error as error:
            raise refusal(target, error) from None


def _read_notes(target: Target, connection: "psycopg.Connection[Any]") -> dict[str, str]:
    try:
        return dict(connection.execute("select key, value from integrity.notes").fetchall())
    except psycopg.errors.UndefinedColumn:  # somebody else's table of that name
        return {}
    except psycopg.errors.LockNotAvailable as error:
        raise refusal(target, error, of="integrity.notes") from None


_SCHEMAS = """
    select distinct namespaces.nspname
    from pg_catalog.pg_class as tables
    join pg_catalog.pg_namespace as namespaces on namespaces.oid = tables.relnamespace
    where tables.relkind in ('r', 'p', 'f', 'm', 'v')
      and namespaces.nspname <> 'information_schema'
      and not pg_catalog.starts_with(namespaces.nspname, 'pg_')
    """


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
