"""The first rows of each table, shown to the server before a table of the user's is touched: what it refuses is named then.

They are sent to a temporary table that is made like theirs, with its checks, domains, computed columns, bounds of
partitions, unique and exclusion constraints, and is gone again at once. So what no rows are known for is told before a row
is written and a lock is taken. What only the thousandth row breaks is told when that is sent, and takes all of them back.

Foreign keys are left out: rows take what they refer to from the parents' own. So are columns that have their defaults.
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
from integrity.seeds.schema.catalogue import PARTITIONS
from integrity.seeds.schema.making import Keys, make_all
from integrity.seeds.schema.plan import Ground, Plan
from integrity.seeds.schema.tables import SchemaTable

if TYPE_CHECKING:
    Connection = psycopg.Connection[Any]

ROWS_SHOWN = 500
"""Of each table: a few milliseconds, also of a wide one."""


def rehearse(ground: Ground, plans: Sequence[Plan], held: Mapping[str, Keys]) -> None:
    """Return where the server takes the first rows of all tables, or lets us make no temporary one.

    Args:
        plans: parents first.
        held: as make_all takes it.

    Raises:
        UsageError: it refuses some; names table, constraint and row.
    """
    if not _may_make_temporary(ground.connection):
        return
    if all(plan.count <= ROWS_SHOWN for plan in plans):  # they are all of them: also what does not fit together is told
        made = make_all(ground, plans, held)
    else:
        small = [replace(plan, count=min(plan.count, ROWS_SHOWN), is_named=False) for plan in plans]
        made = _as_far_as_they_fit(make_all(ground, small, held))
    for plan, columns in made:
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


def _show(connection: "Connection", plan: Plan, columns: Sequence[ColumnValues]) -> None:
    with telling_refusals(plan.table), connection.transaction(force_rollback=True):
        _make_alike(connection, plan.table, {column.name for column in columns})
        load(connection, "pg_temp", plan.table.name, columns, is_new=False)
        connection.execute("set constraints all immediate")


def _make_alike(connection: "Connection", table: SchemaTable, given: set[str]) -> None:
    """Make the temporary table; it has the table's name, as messages of the server tell that."""
    place = sql.Identifier("pg_temp", table.name)
    like = sql.SQL("create temporary table {} (like {} including constraints including generated)")
    connection.execute(like.format(place, sql.Identifier(table.schema, table.name)))
    alter = sql.SQL("alter table {} ").format(place)
    for column in table.written:  # their defaults are not asked: a sequence would go on by as many
        if column.name not in given and column.is_required:
            connection.execute(alter + sql.SQL("alter column {} drop not null").format(sql.Identifier(column.name)))
    for check in table.checks:
        if check.name == PARTITIONS:
            connection.execute(alter + sql.SQL("add constraint {} check ({})").format(_PARTITIONS, _text(check.text)))
    known = given | {column.name for column in table.columns.values() if column.is_generated}
    columns = {each.name: set(each.columns) for each in table.uniques}
    columns |= {each.name: {name for _, _, names in each.parts for name in names} for each in table.exclusions}
    for name, statement in connection.execute(_KEYS, {"oid": table.oid}).fetchall():
        if columns.get(name, set()) <= known:
            connection.execute(_text(statement))


@contextmanager
def telling_refusals(table: SchemaTable | None = None) -> Iterator[None]:
    """Say of rows that the server refuses what they are of, and what to do: it has the last word.

    Args:
        table: whose rows they are; None: as the server says.

    Raises:
        UsageError: names table, constraint and row.
    """
    try:
        yield
    except psycopg.errors.IntegrityError as error:
        said = error.diag
        name, constraint = said.table_name or "", said.constraint_name or said.column_name or ""
        place, name = (f"{said.schema_name}.{name}", name) if table is None else (table.full_name, table.name)
        raise UsageError(
            f"{place}: no rows are known here that {quote(constraint)} takes: {said.message_primary}. "
            f"{said.message_detail or ''}".rstrip(". "),
            hint=f"Nothing was changed. Write values of its columns in a seeds file, or leave it empty: --rows {name}=0",
        ) from None


def _text(text: str) -> sql.SQL:
    """Return the catalogue's own text as a part of a statement."""
    return sql.SQL(text)


_PARTITIONS = sql.Identifier(PARTITIONS)

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
