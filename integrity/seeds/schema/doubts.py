"""What the way in which a table's rows are made does not prove of them: of that the server is to be asked of all rows.

Proven is what was judged before (a pool's rows), what numpy understands, and what tells rows apart by construction: the
row's number, its number within a group, combinations that were picked. All else is a doubt: what grows with the row's
number, what a parent holds, functions, expressions, computed columns.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from integrity.engines.columns import ColumnValues, CopyKind
from integrity.errors import UsageError
from integrity.seeds.schema.computed import spelled_out
from integrity.seeds.schema.conditions import holds
from integrity.seeds.schema.keys import codes_of, fold
from integrity.seeds.schema.plan import Plan, checks_of
from integrity.seeds.schema.tables import Check, Column, Exclusion, SchemaTable, Unique
from integrity.sql.name import unquoted
from integrity.sql.tokens import code_tokens

_WIDTHS = {CopyKind.SMALLINT: 2**15, CopyKind.INTEGER: 2**31}
_PLAIN = ("int2", "int4", "int8", "bool", "uuid", "date", "timestamp", "timestamptz", "text", "varchar", "bpchar", "bytea")
"""Types of which two values are alike where their forms are."""


@dataclass(frozen=True, slots=True)
class Doubt:
    """Columns that are to be shown to the server, with what it is to hold them to beside their types.

    Args:
        checks: those of the table that are not proven, and are about these columns.
        keys: names of unique indexes and exclusion constraints; with one all rows are shown, else each different one.
    """

    columns: tuple[str, ...]
    checks: tuple[Check, ...] = ()
    keys: tuple[str, ...] = ()


def find_doubts(plan: Plan, columns: Sequence[ColumnValues], tables: Mapping[str, SchemaTable]) -> list[Doubt]:
    """Return what is not proven of these rows, which are all of the table's."""
    made = {column.name: column for column in columns}
    doubts: dict[tuple[str, ...], Doubt] = {}
    asked = [
        *(Doubt(_made_of(plan.table, check.columns, made), (check,)) for check in _unproven_checks(plan, made)),
        *(Doubt((name,)) for name in _other_types(plan, tables)),
        *(
            Doubt(_made_of(plan.table, (column.name,), made))
            for column in plan.table.columns.values()
            if column.is_generated
        ),
        *(Doubt(_made_of(plan.table, names, made), keys=(key,)) for key, names in _unproven_keys(plan, set(made))),
    ]
    for doubt in asked:
        known = doubts.get(doubt.columns, Doubt(doubt.columns))
        doubts[doubt.columns] = Doubt(doubt.columns, known.checks + doubt.checks, known.keys + doubt.keys)
    return [doubt for doubt in doubts.values() if doubt.columns]


def rows_of(doubt: Doubt, columns: Sequence[ColumnValues]) -> list[ColumnValues]:
    """Return the rows to be shown: where no key is asked of them those that differ."""
    shown = [column for column in columns if column.name in doubt.columns]
    if doubt.keys:
        return shown
    _, places = np.unique(fold([codes_of(column) for column in shown]), return_index=True)
    return [column.rows(places) for column in shown]


def check_widths(table: SchemaTable, columns: Sequence[ColumnValues]) -> None:
    """Refuse numbers that their column's type cannot hold, and nulls where there may be none.

    Raises:
        UsageError: names the column and the value.
    """
    hint = f"Ask for fewer rows, or leave it empty: --rows {table.name}=0"
    for column in columns:
        about = table.columns[column.name]
        if about.is_required and column.nulls is not None and column.nulls.any():
            raise UsageError(f"{table.full_name}.{column.name}: what it refers to is null in some rows", hint=hint)
        bound = _WIDTHS.get(column.kind)
        if bound is not None and column.values.dtype.kind == "i" and len(column):
            values = column.values if column.nulls is None else np.where(column.nulls, 0, column.values)
            worst = max(int(values.max()), -int(values.min()) - 1)
            if worst >= bound:
                raise UsageError(f"{table.full_name}.{column.name}: {worst:,} is no {about.type.name}", hint=hint)


def _made_of(table: SchemaTable, names: Sequence[str], made: Mapping[str, ColumnValues]) -> tuple[str, ...]:
    """Return the columns that are made among these and among those that the server computes these of."""
    about = {each for name in names for each in (name, *inputs_of(table, table.columns[name]))}
    return tuple(name for name in table.columns if name in about and name in made)


def inputs_of(table: SchemaTable, column: Column) -> list[str]:
    """Return what a computed column is made of; of another nothing."""
    if not column.is_generated:
        return []
    return [token.text for token in code_tokens(column.default) if token.is_name and token.text in table.columns]


def _unproven_checks(plan: Plan, made: Mapping[str, ColumnValues]) -> list[Check]:
    """Return checks that a later row may break; of a column's domain one that the table does not have."""
    table = plan.table
    taken = {name for reference in plan.taken for name in reference.gives(table.full_name)}
    count = len(next(iter(made.values())))
    left: list[Check] = []
    for check in (*table.checks, *(each for each in checks_of(table) if each.name not in {c.name for c in table.checks})):
        said = spelled_out(table, check)
        if any(set(said.columns) <= set(pool.columns) - taken for pool in plan.pools):
            continue
        passed = holds(said.text, made, count)
        if passed is None or not passed.all():
            left.append(check)
    return left


def _other_types(plan: Plan, tables: Mapping[str, SchemaTable]) -> list[str]:
    """Return columns that take over values of another type: of a shorter text, of fewer digits."""
    return [
        name
        for reference in plan.taken
        for name, other in zip(reference.columns, reference.parent_columns, strict=True)
        if plan.table.columns[name].type.base not in _PLAIN[:3]
        and plan.table.columns[name].type != tables[reference.parent].columns[other].type
    ]


def _unproven_keys(plan: Plan, made: set[str]) -> list[tuple[str, tuple[str, ...]]]:
    """Return names and columns of the unique and exclusion constraints that rows may yet break."""
    table = plan.table
    known = made | {column.name for column in table.columns.values() if column.is_generated}
    found = [
        (unique.name, unique.columns)
        for unique in table.uniques
        if set(unique.columns) <= known and not _tells_apart(plan, unique)
    ]
    for exclusion in table.exclusions:
        names = tuple(dict.fromkeys(name for *_, each in exclusion.parts for name in each))
        if set(names) <= known and not _keeps_apart(plan, exclusion, names):
            found.append((exclusion.name, names))
    return found


def _tells_apart(plan: Plan, unique: Unique) -> bool:
    """Whether no two rows can be alike in it, as they are made."""
    table, names = plan.table, set(unique.columns)
    if unique.has_expressions or any(table.columns[name].is_generated for name in names):
        return False
    if not names.isdisjoint(plan.numbered):
        return True
    if any(name in names and {*others} <= names for name, (others, _) in plan.ranked.items()):
        return True
    if any(spans.start in names and {*spans.alike} <= names for spans in plan.spaced):
        return True
    if not all(_is_plain(table.columns[name]) for name in names):
        return False
    at_hand = {name for pool in plan.pools for name in pool.columns} | {
        name for reference in plan.taken if reference.parent != table.full_name for name in reference.columns
    }
    return unique in plan.uniques and names <= at_hand


def _keeps_apart(plan: Plan, exclusion: Exclusion, names: tuple[str, ...]) -> bool:
    if any(unquoted(text) != columns[0] for text, operator, columns in exclusion.parts if operator == "=" and columns):
        return False
    is_spaced = any(spans.name == exclusion.name for spans in plan.spaced)
    return is_spaced or _tells_apart(plan, Unique(exclusion.name, names, exclusion.predicate))


def _is_plain(column: Column) -> bool:
    return bool(column.type.labels or column.type.base in _PLAIN) and not column.type.is_array
