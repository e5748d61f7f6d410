"""All rows of each table, made before a table of the user's is touched: what the server refuses, and why, is named then.

Rows are made from a seed, so that all are known before the first is sent: how many there can be, and what they hold. Of
what the way in which they are made does not prove the server is asked: rows go to a temporary table that is made like
theirs, with checks, domains, computed columns, bounds of partitions, unique and exclusion constraints, and is gone again at
once. Small tables are shown whole; of a large one the first rows, and of all rows the columns that there are doubts about.

Foreign keys are left out: rows take what they refer to from the parents' own. So are columns that have their defaults. To
the tables themselves are left defaults, functions that read what is being filled, and collations in which unlike texts are
alike: what these refuse is told when the rows are sent, and takes all of them back.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import psycopg
from psycopg import sql

from integrity.engines.columns import ColumnValues
from integrity.engines.postgresql.bulk import load
from integrity.errors import UsageError, quote
from integrity.numbers import counted
from integrity.seeds.schema.catalogue import PARTITIONS
from integrity.seeds.schema.doubts import Doubt, check_widths, find_doubts, inputs_of, rows_of
from integrity.seeds.schema.making import Keys, make_all
from integrity.seeds.schema.plan import Ground, Plan
from integrity.seeds.schema.tables import SchemaTable

if TYPE_CHECKING:
    Connection = psycopg.Connection[Any]

ROWS_SHOWN = 500
"""Of each table: a few milliseconds, also of a wide one."""
KEPT_MOST = 2**30
"""Bytes of rows that are kept until they are sent; those of further tables are made a second time, and are the same."""


def rehearse(ground: Ground, plans: Sequence[Plan], held: Mapping[str, Keys]) -> dict[str, Sequence[ColumnValues]]:
    """Return the rows of the tables by name, as many as memory is for; none is refused.

    Args:
        plans: parents first.
        held: as make_all takes it.

    Raises:
        UsageError: fewer can be made, or the server refuses some; names table, constraint and row.
    """
    may_show = _may_make_temporary(ground.connection)
    if may_show:
        _show_first(ground, plans, held)
    kept: dict[str, Sequence[ColumnValues]] = {}
    room = KEPT_MOST
    for plan, columns in make_all(ground, plans, held):
        check_widths(plan.table, columns)
        if may_show and plan.count > ROWS_SHOWN:
            for doubt in find_doubts(plan, columns, ground.tables):
                _show(ground.connection, plan, rows_of(doubt, columns), doubt)
        elif may_show and columns and _is_asked(plan):
            _show(ground.connection, plan, columns)
        room -= sum(column.size for column in columns)
        if room >= 0:
            kept[plan.table.full_name] = columns
    return kept


def _show_first(ground: Ground, plans: Sequence[Plan], held: Mapping[str, Keys]) -> None:
    """Show the first rows of large tables: most of what is refused is refused there, in no time."""
    if all(plan.count <= ROWS_SHOWN for plan in plans):
        return
    small = [replace(plan, count=min(plan.count, ROWS_SHOWN), is_named=False) for plan in plans]
    for plan, columns in _as_far_as_they_fit(make_all(ground, small, held)):
        if columns and _is_asked(plan):
            _show(ground.connection, plan, columns)


def _as_far_as_they_fit(
    made: Iterator[tuple[Plan, Sequence[ColumnValues]]],
) -> Iterator[tuple[Plan, Sequence[ColumnValues]]]:
    """Yield tables up to one none of whose few rows fit together: whether more of them do the whole size tells."""
    try:
        yield from made
    except UsageError:
        return


def _may_make_temporary(connection: "Connection") -> bool:
    row = connection.execute("select has_database_privilege(current_database(), 'temp')").fetchone()
    return row is not None and bool(row[0])


def _is_asked(plan: Plan) -> bool:
    """Whether the server has something to say of a table's rows beside their types."""
    table = plan.table
    is_computed = any(column.is_generated or column.checks for column in table.columns.values())
    return bool(is_computed or table.checks or table.exclusions or table.uniques)


def _show(connection: "Connection", plan: Plan, columns: Sequence[ColumnValues], doubt: Doubt | None = None) -> None:
    """Show rows; with a doubt they are held to that only."""
    with telling_refusals(plan.table, count=plan.count if doubt else 0), connection.transaction(force_rollback=True):
        _make_alike(connection, plan.table, {column.name for column in columns}, doubt)
        load(connection, "pg_temp", plan.table.name, columns, is_new=False)
        if doubt is None or doubt.keys:
            _add_keys(connection, plan.table, {column.name for column in columns}, doubt)
            connection.execute("set constraints all immediate")


def _make_alike(connection: "Connection", table: SchemaTable, given: set[str], doubt: Doubt | None) -> None:
    """Make the temporary table; it has the table's name, as messages of the server tell that."""
    place = sql.Identifier("pg_temp", table.name)
    options = sql.SQL("including generated" if doubt else "including generated including constraints")
    like = sql.SQL("create temporary table {} (like {} {})")
    connection.execute(like.format(place, sql.Identifier(table.schema, table.name), options))
    alter = sql.SQL("alter table {} ").format(place)
    for column in table.columns.values():  # their defaults are not asked: a sequence would go on by as many
        if column.is_required and not given.issuperset(inputs_of(table, column) or [column.name]):
            connection.execute(alter + sql.SQL("alter column {} drop not null").format(sql.Identifier(column.name)))
    for check in table.checks if doubt is None else doubt.checks:
        if check.name == PARTITIONS or (doubt and check in table.checks):  # a domain's goes with the type
            added = sql.SQL("add constraint {} check ({})").format(sql.Identifier(check.name), _text(check.text))
            connection.execute(alter + added)


def _add_keys(connection: "Connection", table: SchemaTable, given: set[str], doubt: Doubt | None) -> None:
    known = given | {column.name for column in table.columns.values() if column.is_generated}
    columns = {each.name: set(each.columns) for each in table.uniques}
    columns |= {each.name: {name for _, _, names in each.parts for name in names} for each in table.exclusions}
    for name, statement in connection.execute(_KEYS, {"oid": table.oid}).fetchall():
        if columns.get(name, set()) <= known and (doubt is None or name in doubt.keys):
            connection.execute(_text(statement))


@contextmanager
def telling_refusals(table: SchemaTable | None = None, *, count: int = 0) -> Iterator[None]:
    """Say of rows that the server refuses what they are of, and what to do: it has the last word.

    Args:
        table: whose rows they are; None: as the server says.
        count: of so many rows some may be taken; 0: perhaps of none.

    Raises:
        UsageError: names table, constraint and row.
    """
    try:
        yield
    except (psycopg.errors.IntegrityError, psycopg.errors.DataError) as error:
        said = error.diag
        name, constraint = said.table_name or "", said.constraint_name or said.column_name or ""
        place, name = (f"{said.schema_name}.{name}", name) if table is None else (table.full_name, table.name)
        takes = f"no rows are known here that {quote(constraint)} takes" if constraint else "the server refuses rows of it"
        if constraint and count:
            takes = f"{quote(constraint)} does not take all of {counted(count, 'row')}"
        detail = said.message_detail or (said.context or "").split("\n")[0].partition(": ")[0]
        raise UsageError(
            f"{place}: {takes}: {said.message_primary}. {detail}".rstrip(". "),
            hint="Nothing was changed. Ask for fewer rows, write values of its columns in a seeds file, or leave it empty: "
            f"--rows {name}=0",
        ) from None


def _text(text: str) -> sql.SQL:
    """Return the catalogue's own text as a part of a statement."""
    return sql.SQL(text)


# What makes each unique or exclusion constraint, and each unique index of no constraint, of the temporary table.
_KEYS = """
select
    indexes.relname::text,
    case when conname is null
        then replace(
            pg_get_indexdef(indexrelid),
            format(' %%I.%%I USING ', nspname, tables.relname), format(' pg_temp.%%I USING ', tables.relname)
        )
        else format(
            'alter table pg_temp.%%I add constraint %%I %%s',
            tables.relname, conname, pg_get_constraintdef(pg_constraint.oid)
        )
    end
from pg_index
join pg_class as tables on tables.oid = indrelid
join pg_namespace on pg_namespace.oid = tables.relnamespace
join pg_class as indexes on indexes.oid = indexrelid
left join pg_constraint on conindid = indexrelid and conrelid = indrelid and contype in ('p', 'u', 'x')
where indrelid = %(oid)s and indisvalid and (indisunique or conname is not null)
order by not indisprimary, indexes.relname
"""
