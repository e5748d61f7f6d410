"""The tables that a capture is put on: what the catalogue says of them, and the SQL that each needs.

A capture sees what row triggers see. What has none (a foreign table, a materialized view), or is not the role's to put
triggers on, is named with the reason: what happens there is unknown.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import psycopg
from psycopg import sql

from integrity.engines.inventory import BOOKS
from integrity.engines.postgresql.inventory import FIRST_NORMAL_OID

SCHEMA = "integrity_capture"
TRIGGER = "~integrity_capture"
"""Triggers fire in the order of their names, by bytes: behind all that are named in letters."""


@dataclass(frozen=True, slots=True)
class CapturedColumn:
    """A column.

    Args:
        type_oid: of its type; of a domain's the domain.
        generated: how the database makes it up from the others: "s" it is stored, "v" it is not; empty: it is not made up.
        is_numbered: a sequence gives its value, unless the statement does.
        is_set_once: no update may give it another value (`generated always as identity`).
    """

    name: str
    type_oid: int
    generated: str = ""
    is_numbered: bool = False
    is_set_once: bool = False

    @property
    def is_virtual(self) -> bool:
        """Triggers see nothing in it."""
        return self.generated == "v"


@dataclass(frozen=True, slots=True)
class KeyColumn:
    """A column of a primary key.

    Args:
        operator: by which the key's index tells its values apart, as SQL has it: `operator(pg_catalog.=)`.
    """

    name: str
    operator: str


@dataclass(frozen=True, slots=True)
class Guard:
    """A trigger or a rule of the application's.

    Args:
        kind: "trigger" or "rule".
        firing: as the catalogue has it: "O" in usual sessions, "R" in those of a replica, "A" always.
    """

    kind: str
    name: str
    firing: str

    def turned(self, table: sql.Identifier, *, on: bool) -> sql.Composed:
        """Return the statement that turns it off, or on as it was."""
        word = _FIRING[self.firing] if on else "disable"
        text = sql.SQL("alter table {} {} {} {}")
        return text.format(table, sql.SQL(word), sql.SQL(self.kind), sql.Identifier(self.name))


_FIRING = {"O": "enable", "R": "enable replica", "A": "enable always"}


@dataclass(frozen=True)
class CapturedTable:
    """A table with our triggers; of a partitioned one each partition is one.

    Args:
        name: without its schema, unless another has its name.
        key: of its primary key; empty: it has none.
        guards: the application's triggers and rules that would run in a session of ours that writes there.
    """

    oid: int
    schema: str
    table: str
    name: str
    columns: tuple[CapturedColumn, ...]
    key: tuple[KeyColumn, ...]
    guards: tuple[Guard, ...] = ()

    @cached_property
    def key_places(self) -> tuple[int, ...]:
        """Where the columns of the key stand among its columns."""
        names = [column.name for column in self.columns]
        return tuple(names.index(part.name) for part in self.key)

    @property
    def located(self) -> sql.Identifier:
        """Its name with its schema."""
        return sql.Identifier(self.schema, self.table)

    @property
    def image(self) -> sql.Composable:
        """The row `t` as its triggers would have it, as text: without what is virtual, which a query works out."""
        if not any(column.is_virtual for column in self.columns):
            return sql.SQL("t::text")
        fields = [sql.SQL("null") if column.is_virtual else sql.Identifier("t", column.name) for column in self.columns]
        return sql.SQL("row({})::text").format(sql.SQL(", ").join(fields))


@dataclass(frozen=True, slots=True)
class Uncovered:
    """Something whose changes are not seen.

    Args:
        what: e.g. "foreign table prices".
        reason: in words.
        is_writable: the role may change its rows by plain statements.
    """

    what: str
    reason: str
    is_writable: bool = False

    def __str__(self) -> str:
        return f"{self.what}: {self.reason}"


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


def net_rows(table: CapturedTable) -> sql.Composed:
    """Return the query of the rows of a table that are not as they were.

    Its columns are `change` (made, changed, gone), and the table's with their types. Of a row that changed it has what is
    there now: what was there is the same in every schedule.
    """
    same = sql.SQL(" and ").join(
        sql.SQL("(other.r).{name} {operator} (net.r).{name}").format(
            name=sql.Identifier(part.name), operator=sql.SQL(part.operator)
        )
        for part in table.key
    )
    pair = (
        sql.SQL("exists (select from net as other where sign(other.n) <> sign(net.n) and {})").format(same)
        if table.key
        else sql.SQL("false")
    )
    names = {column.name for column in table.columns}
    return sql.SQL(_NET_ROWS).format(
        table=table.located,
        oid=sql.Literal(table.oid),
        pair=pair,
        change=sql.Identifier("change" if "change" not in names else "change of the row"),
        columns=sql.SQL(", ").join(
            sql.SQL("(net.r).{0} as {0}").format(sql.Identifier(column.name))
            for column in table.columns
            if not column.is_virtual
        ),
    )


def undo_part(table: CapturedTable, *, updates: bool) -> sql.Composed:
    """Return what puts the rows of a table back, as parts of a `with` that has `net`, the rows of all tables.

    All are put back by one statement. Foreign keys are checked at its end, so no order of the tables is needed.

    Args:
        updates: a row that changed is updated, so that it stays about where it is in the table's file, and nothing that
            foreign keys do with a deleted row happens. Else it is taken out and put in again, for rows that had swapped
            what is unique among them.
    """
    names = {
        "rows": sql.Identifier(f"rows_{table.oid}"),
        "gone": sql.Identifier(f"gone_{table.oid}"),
        "put": sql.Identifier(f"put_{table.oid}"),
        "back": sql.Identifier(f"back_{table.oid}"),
        "oid": sql.Literal(table.oid),
        "table": table.located,
        "image": table.image,
    }
    plain = [column.name for column in table.columns if not column.generated]
    keys = {part.name for part in table.key}
    # A key is set, too: `Abc` is the same one as `ABC` where its type says so.
    settable = [column.name for column in table.columns if not column.generated and not column.is_set_once]
    is_paired = updates and bool(keys and settable) and set(plain) <= {*settable, *keys}
    pair = sql.SQL("exists (select from {rows} as o where sign(o.n) <> sign(n.n) and {same})").format(
        rows=names["rows"], same=_same(table, "o")
    )
    parts = {
        **names,
        "columns": sql.SQL(", ").join(map(sql.Identifier, plain)),
        "values": _values(plain),
        "same": _same(table, "t"),
        "alone": sql.SQL("not {}").format(pair) if is_paired else sql.SQL("true"),
        "paired": pair if is_paired else sql.SQL("false"),
        "settings": sql.SQL(", ").join(sql.SQL("{0} = (n.r).{0}").format(sql.Identifier(name)) for name in settable),
    }
    texts = [_ROWS, _GONE_BY_KEY if keys else _GONE_BY_IMAGE, *([_PUT] if is_paired else []), _BACK]
    return sql.SQL(",\n").join(sql.SQL(text).format(**parts) for text in texts)


def _same(table: CapturedTable, other: str) -> sql.Composable:
    """Return the condition that a row of another relation has the key of the row `n.r`."""
    if not table.key:
        return sql.SQL("false")
    field = sql.SQL("({0}.r).{1}" if other == "o" else "{0}.{1}")
    return sql.SQL(" and ").join(
        sql.SQL("{} {} (n.r).{}").format(
            field.format(sql.SQL(other), sql.Identifier(part.name)), sql.SQL(part.operator), sql.Identifier(part.name)
        )
        for part in table.key
    )


def _values(names: list[str]) -> sql.Composable:
    return sql.SQL(", ").join(sql.SQL("(n.r).{}").format(sql.Identifier(name)) for name in names)


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


_KINDS = {"r": "table", "f": "foreign table", "m": "materialized view"}

_NET_ROWS = """
with net as (
    select net.image::{table} as r, net.n from integrity_capture.net as net where net.relation = {oid}::oid
)
select case when net.n < 0 then 'gone' when {pair} then 'changed' else 'made' end as {change}, {columns}
from net
cross join generate_series(1, abs(net.n))
where net.n > 0 or not {pair}
order by net.r::text
"""

_ROWS = """
{rows} as (
    select net.image::{table} as r, net.image, net.n from net where net.relation = {oid}::oid
)"""

_GONE_BY_KEY = """
{gone} as (
    delete from only {table} as t using {rows} as n where n.n > 0 and {same} and {alone} returning 1
)"""

# Of rows that are alike it does not matter which go; they are looked for among all.
_GONE_BY_IMAGE = """
{gone} as (
    delete from only {table} as t where t.ctid = any (array(
        select held.place
        from (
            select t.ctid as place, {image} as image, row_number() over (partition by {image}) as copy
            from only {table} as t
            where exists (select from {rows} as n where n.n > 0)
        ) as held
        join {rows} as n on n.image = held.image and held.copy <= n.n
    )) returning 1
)"""

_PUT = """
{put} as (
    update only {table} as t set {settings} from {rows} as n
    where n.n < 0 and {same} and {paired} and (select count(*) from {gone}) >= 0 returning 1
)"""

_BACK = """
{back} as (
    insert into {table} ({columns}) overriding system value
    select {values} from {rows} as n cross join generate_series(1, -n.n)
    where n.n < 0 and {alone} and (select count(*) from {gone}) >= 0 returning 1
)"""

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
