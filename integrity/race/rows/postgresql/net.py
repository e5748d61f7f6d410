"""The SQL that a capture needs for each table: the rows that are not as they were, and what puts them back."""

from psycopg import sql

from integrity.race.rows.postgresql.tables import image_of, located
from integrity.race.rows.tables import CapturedTable


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
        table=located(table),
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
        "table": located(table),
        "image": image_of(table),
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
