"""The tables that a capture is put on, as the catalogue has them.

A capture sees what row triggers see. What has none (a foreign table, a materialized view), or is not the role's to put
triggers on, is named with the reason: what happens there is unknown.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import psycopg
from psycopg import sql

from integrity.engines.inventory import BOOKS
from integrity.engines.postgresql.inventory import FIRST_NORMAL_OID
from integrity.race.rows.tables import CapturedColumn, CapturedTable, Guard, KeyColumn, Uncovered

SCHEMA = "integrity_capture"
TRIGGER = "~integrity_capture"
"""Triggers fire in the order of their names, by bytes: behind all that are named in letters."""


@dataclass(frozen=True, slots=True)
class Found:
    """What the catalogue says.

    Args:
        sequences: their oids and names.
        uncovered: tables and sequences.
    """

    tables: tuple[CapturedTable, ...]
    sequences: tuple[tuple[int, sql.Identifier], ...]
    uncovered: tuple[Uncovered, ...]


def find_tables(connection: "psycopg.Connection[Any]") -> Found:
    """Return the tables and sequences of the database, without the server's and ours.

    Guards are those that run in this session: with `session_replication_role = replica` few do.
    """
    rows = connection.execute(_TABLES.encode(), {"ours": [BOOKS, SCHEMA]}).fetchall()
    names = [table for _, _, table, *_ in rows]
    tables: list[CapturedTable] = []
    uncovered: list[Uncovered] = []
    for oid, schema, table, kind, is_owned, is_hidden, is_writable, columns, key, guarding in rows:
        name = table if names.count(table) == 1 else f"{schema}.{table}"
        if why := _why_uncovered(kind, columns, is_owned=is_owned, is_hidden=is_hidden):
            uncovered.append(Uncovered(f"{_KINDS[kind]} {name}", why, is_writable=is_writable and kind == "r"))
            continue
        made = tuple(CapturedColumn(**column) for column in columns)
        parts = tuple(KeyColumn(**part) for part in key or ())
        guards = tuple(Guard(**guard) for guard in guarding or ())
        tables.append(CapturedTable(oid, schema, table, name, made, parts, guards))
    sequences: list[tuple[int, sql.Identifier]] = []
    for oid, schema, sequence, is_settable, is_writable in connection.execute(
        _SEQUENCES.encode(), {"ours": [BOOKS, SCHEMA]}
    ):
        if is_settable:
            sequences.append((oid, sql.Identifier(schema, sequence)))
        else:
            uncovered.append(Uncovered(f"sequence {sequence}", "the role may not read and set it", is_writable=is_writable))
    uncovered += _find_large_objects(connection)
    return Found(tuple(tables), tuple(sequences), tuple(uncovered))


def located(table: CapturedTable) -> sql.Identifier:
    """Return its name with its schema."""
    return sql.Identifier(table.schema, table.table)


def image_of(table: CapturedTable) -> sql.Composable:
    """Return the row `t` as its triggers would have it, as text: without what is virtual, which a query works out."""
    if not any(column.is_virtual for column in table.columns):
        return sql.SQL("t::text")
    fields = [sql.SQL("null") if column.is_virtual else sql.Identifier("t", column.name) for column in table.columns]
    return sql.SQL("row({})::text").format(sql.SQL(", ").join(fields))


def turned(guard: Guard, table: CapturedTable, *, on: bool) -> sql.Composed:
    """Return the statement that turns a trigger or a rule off, or on as it was."""
    words = (sql.SQL(_FIRING[guard.firing] if on else "disable"), sql.SQL(guard.kind), sql.Identifier(guard.name))
    return sql.SQL("alter table {} {} {} {}").format(located(table), *words)


def _why_uncovered(kind: str, columns: list[dict[str, Any]] | None, *, is_owned: bool, is_hidden: bool) -> str:
    if kind == "f":
        return "its rows are another server's"
    if kind == "m":
        return "what refreshes it is seen by no trigger"
    if not is_owned:
        return "only its owner may put triggers on it that always fire: connect as its owner"
    if is_hidden:
        return "its policies are forced on its owner, and hide rows (no force row level security; or a role with bypassrls)"
    if not any(not column["generated"] for column in columns or ()):
        return "it has no column of its own"
    return ""


def _find_large_objects(connection: "psycopg.Connection[Any]") -> Iterator[Uncovered]:
    (exists,) = connection.execute("select exists (select from pg_catalog.pg_largeobject_metadata)").fetchall()[0]
    if exists:
        yield Uncovered("large objects", "they have no triggers")


_FIRING = {"O": "enable", "R": "enable replica", "A": "enable always"}
_KINDS = {"r": "table", "f": "foreign table", "m": "materialized view"}

_ON_HERE = "case current_setting('session_replication_role') when 'replica' then 'R' else 'O' end"

# A trigger fires here if it is on, for all sessions or for those of this one's role. Of a partition, some versions mark
# those of its parent as the server's own; the server's own are made of its own functions.
_TABLES = f"""
    select
        c.oid::int8,
        n.nspname,
        c.relname,
        c.relkind::text,
        pg_has_role(c.relowner, 'usage'),
        c.relrowsecurity and c.relforcerowsecurity
            and not (select r.rolsuper or r.rolbypassrls from pg_roles as r where r.rolname = current_user),
        has_schema_privilege(n.oid, 'usage')
            and (has_any_column_privilege(c.oid, 'insert, update') or has_table_privilege(c.oid, 'delete, truncate')),
        (
            select json_agg(
                json_build_object(
                    'name', a.attname,
                    'type_oid', a.atttypid::int8,
                    'generated', a.attgenerated::text,
                    'is_numbered', a.attidentity <> '' or coalesce(pg_get_expr(d.adbin, d.adrelid) ~ '^nextval', false),
                    'is_set_once', a.attidentity = 'a'
                ) order by a.attnum
            )
            from pg_attribute as a
            left join pg_attrdef as d on d.adrelid = a.attrelid and d.adnum = a.attnum
            where a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped
        ),
        (
            select json_agg(
                json_build_object('name', a.attname, 'operator', format('operator(%%I.%%s)', ns.nspname, o.oprname))
                order by k.place
            )
            from pg_index as i
            cross join lateral unnest(i.indkey::int2[], i.indclass::oid[]) with ordinality as k (attribute, class, place)
            join pg_attribute as a on a.attrelid = c.oid and a.attnum = k.attribute
            join pg_opclass as oc on oc.oid = k.class
            join pg_am as m on m.oid = oc.opcmethod and m.amname = 'btree'
            join pg_amop as p on p.amopfamily = oc.opcfamily and p.amopstrategy = 3
                and p.amoplefttype = oc.opcintype and p.amoprighttype = oc.opcintype
            join pg_operator as o on o.oid = p.amopopr
            join pg_namespace as ns on ns.oid = o.oprnamespace
            where i.indrelid = c.oid and i.indisprimary and k.place <= i.indnkeyatts
            having count(*) = max(i.indnkeyatts)
        ),
        (
            select json_agg(guards)
            from (
                select 'trigger' as kind, t.tgname as name, t.tgenabled::text as firing
                from pg_trigger as t
                where t.tgrelid = c.oid and (not t.tgisinternal or t.tgfoid >= {FIRST_NORMAL_OID})
                    and t.tgenabled in ('A', {_ON_HERE})
                union all
                select 'rule', w.rulename, w.ev_enabled::text
                from pg_rewrite as w
                where w.ev_class = c.oid and w.rulename <> '_RETURN' and w.ev_enabled in ('A', {_ON_HERE})
            ) as guards
        )
    from pg_class as c
    join pg_namespace as n on n.oid = c.relnamespace
    where c.relkind in ('r', 'f', 'm') and n.nspname !~ '^pg_' and n.nspname <> 'information_schema'
        and n.nspname <> all (%(ours)s)
    order by n.nspname, c.relname
"""

_SEQUENCES = """
    select
        c.oid::int8, n.nspname, c.relname,
        has_sequence_privilege(c.oid, 'select') and has_sequence_privilege(c.oid, 'update'),
        has_schema_privilege(n.oid, 'usage') and has_sequence_privilege(c.oid, 'usage, update')
    from pg_class as c
    join pg_namespace as n on n.oid = c.relnamespace
    where c.relkind = 'S' and n.nspname !~ '^pg_' and n.nspname <> all (%(ours)s)
    order by n.nspname, c.relname
"""
