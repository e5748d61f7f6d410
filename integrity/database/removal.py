"""Taking out of others' tables what seed put there, and what calls of runs have written beside it; nothing else.

A call's id is random and stands in our books, so that a row in which one stands, in a column that is neither null nor a
reference, was written for that call. Rows of others that refer to rows that would go are counted before anything goes:
neither are they removed, nor does a foreign key set a column of theirs to null.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from sqlalchemy import text

from integrity.database.bookkeeping import drop_runs_of
from integrity.database.filled import KEY, Filled, FilledTable
from integrity.errors import DatabaseError
from integrity.numbers import counted
from integrity.sql.name import quoted

if TYPE_CHECKING:
    from sqlalchemy import Connection


@dataclass(frozen=True, slots=True)
class _Held:
    """A table that holds rows that have to go.

    Args:
        goes: the condition under which its row, called t, does.
        by_calls: of each column in which a call's id can stand, that and the id, spelled as it is.
    """

    located: str
    name: str
    goes: str
    by_calls: Sequence[tuple[str, str]]


def remove_filled(connection: "Connection", filled: Filled) -> None:
    """Take out of the tables the rows that we put in, and those that calls of runs wrote there or that refer to them.

    Runs whose rows go are forgotten.

    Raises:
        DatabaseError: rows of others rest on ours; nothing was changed.
    """
    tables = _still_there(connection, filled)
    if tables:
        referring = connection.execute(_REFERRING, {"oids": [table.oid for table in tables]}).all()
        located = [table.located for table in tables] + [
            f"{quoted(schema)}.{quoted(name)}" for _, schema, name in referring
        ]
        connection.exec_driver_sql(f"lock table {', '.join(located)} in access exclusive mode")
        held = _find_held(connection, filled.transaction, tables, [(oid, schema, name) for oid, schema, name in referring])
        triggers = connection.execute(_TRIGGERS, {"oids": list(held)}).all()
        for off, _ in triggers:
            connection.exec_driver_sql(off)
        _remove_rows(connection, held)
        for _, on in triggers:
            connection.exec_driver_sql(on)
    connection.execute(text("delete from integrity.notes where key = :key"), {"key": f"{KEY}{filled.name}"})


def count_filled(connection: "Connection", filled: Filled) -> dict[str, tuple[int, int]]:
    """Return table -> its rows that would go: those that seed made, and those that calls of runs wrote; only read.

    A table without any, that merely refers to one, is left out.
    """
    tables = _still_there(connection, filled)
    referring = connection.execute(_REFERRING, {"oids": [table.oid for table in tables]}).all()
    held = _find_held(connection, filled.transaction, tables, [(oid, schema, name) for oid, schema, name in referring])
    made = {table.oid: table.is_ours("t", filled.transaction) for table in tables}
    counts = {}
    for oid, each in held.items():
        ours = made.get(oid, "false")
        query = f"""
            select count(*) filter (where {ours}), count(*) filter (where not {ours})
            from {each.located} as t where {each.goes}
        """
        by_seed, by_runs = connection.exec_driver_sql(query).one()
        if oid in made or by_runs:
            counts[each.name] = (int(by_seed), int(by_runs))
    return counts


def _still_there(connection: "Connection", filled: Filled) -> list[FilledTable]:
    """Return the tables that are the ones that were filled, and not others of their names."""
    there = {
        (schema, name): oid
        for schema, name, oid in connection.execute(_OIDS, {"schemas": sorted({each.schema for each in filled.tables})})
    }
    return [table for table in filled.tables if there.get((table.schema, table.name)) == table.oid]


def _find_held(
    connection: "Connection", transaction: int, tables: Sequence[FilledTable], referring: Sequence[tuple[int, str, str]]
) -> dict[int, _Held]:
    """Return the tables by their oids: those that seed filled, and those that refer to them, however far."""
    filled = {table.oid: table for table in tables}
    places = [*((table.oid, table.schema, table.name) for table in tables), *referring]
    by_calls: dict[int, list[tuple[str, str]]] = {oid: [] for oid, _, _ in places}
    for oid, column, is_uuid in connection.execute(_CALL_COLUMNS, {"oids": list(by_calls)}):
        by_calls[oid].append((f"t.{quoted(column)}", "calls.operation_id" if is_uuid else "calls.operation_id::text"))
    held = {}
    for oid, schema, name in places:
        conditions = [f"{column} in (select {call_id} from integrity.calls)" for column, call_id in by_calls[oid]]
        if oid in filled:
            conditions.insert(0, filled[oid].is_ours("t", transaction))
        goes = f"({' or '.join(conditions) or 'false'})"
        held[oid] = _Held(f"{quoted(schema)}.{quoted(name)}", f"{schema}.{name}", goes, by_calls[oid])
    return held


def _remove_rows(connection: "Connection", held: Mapping[int, _Held]) -> None:
    systems = _find_systems(connection, held)
    if any(_holds_others(connection, each) for each in held.values()):
        _check_nothing_rests(connection, held)
        # One statement, at whose end foreign keys are looked at: tables may refer to each other in a circle.
        deletes = [f"delete from {each.located} as t where {each.goes}" for each in held.values()]
        parts = ", ".join(f"part_{number} as ({delete})" for number, delete in enumerate(deletes))
        connection.exec_driver_sql(f"with {parts} select 1")
    else:
        connection.exec_driver_sql(f"truncate {', '.join(each.located for each in held.values())}")
    for system in systems:
        drop_runs_of(connection, system)


def _find_systems(connection: "Connection", held: Mapping[int, _Held]) -> list[str]:
    """Return the systems whose runs wrote rows that go."""
    found = set[str]()
    for each in held.values():
        for column, call_id in each.by_calls:
            query = f"""
                select distinct runs.system from {each.located} as t
                join integrity.calls on {call_id} = {column} join integrity.runs on runs.run_id = calls.run_id
            """
            found.update(connection.exec_driver_sql(query).scalars())
    return sorted(found)


def _holds_others(connection: "Connection", table: _Held) -> bool:
    query = f"select exists (select from {table.located} as t where not {table.goes})"
    return bool(connection.exec_driver_sql(query).scalar_one())


def _check_nothing_rests(connection: "Connection", held: Mapping[int, _Held]) -> None:
    """Raise where rows that stay refer to rows that go."""
    for child_oid, parent_oid, columns, referred in connection.execute(_REFERENCES, {"oids": list(held)}):
        child, parent = held[child_oid], held[parent_oid]
        given = ", ".join(f"t.{quoted(column)}" for column in columns)
        keys = ", ".join(f"t.{quoted(column)}" for column in referred)
        stays = f"({given}) in (select {keys} from {parent.located} as t where {parent.goes})"
        if child is parent or _holds_others(connection, child):
            query = (
                f"select count(*), count(distinct ({given})) from {child.located} as t where not {child.goes} and {stays}"
            )
            count, referred_count = connection.exec_driver_sql(query).one()
            if count:
                raise DatabaseError(
                    f"{child.name}: {counted(count, 'row')} that others added would go with those that seed made, or lose "
                    f"what they refer to: {counted(referred_count, 'row')} of {parent.name}",
                    hint="Nothing was removed. Where they may go, delete them first: "
                    f"delete from {child.located} as t where not {child.goes} and {stays}",
                )


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
    with recursive referring (oid) as (
        select unnest(cast(:oids as int8[]))
        union
        select conrelid::int8 from pg_catalog.pg_constraint
        join referring on confrelid = referring.oid
        where contype = 'f' and conparentid = 0
    )
    select pg_class.oid::int8, nspname::text, relname::text
    from referring
    join pg_catalog.pg_class on pg_class.oid = referring.oid
    join pg_catalog.pg_namespace on pg_namespace.oid = relnamespace
    where not pg_class.oid = any (:oids)
    order by 1
    """
)

_REFERENCES = text(
    """
    select conrelid::int8, confrelid::int8,
        (select array_agg(attname::text order by place) from unnest(conkey) with ordinality as keys (number, place)
            join pg_catalog.pg_attribute on attrelid = conrelid and attnum = number),
        (select array_agg(attname::text order by place) from unnest(confkey) with ordinality as keys (number, place)
            join pg_catalog.pg_attribute on attrelid = confrelid and attnum = number)
    from pg_catalog.pg_constraint
    where contype = 'f' and conparentid = 0 and conrelid = any (:oids) and confrelid = any (:oids)
    order by conrelid, conname
    """
)

_CALL_COLUMNS = text(
    """
    select attrelid::int8, attname::text, atttypid = 'uuid'::regtype
    from pg_catalog.pg_attribute
    where attrelid = any (:oids) and attnum > 0 and not attisdropped and attnotnull
        and atttypid in ('uuid'::regtype, 'text'::regtype, 'varchar'::regtype)
        and not exists (
            select from pg_catalog.pg_constraint
            where contype = 'f' and conrelid = attrelid and attnum = any (conkey)
        )
    order by attrelid, attnum
    """
)
"""Not where a reference stands: whoever refers to a row that is known by a call's id writes that, too."""
