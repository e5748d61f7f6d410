"""What the tables of a database need of a row: values, rows to refer to, keys of its own, and which checks go together."""

import re
from collections.abc import Collection, Iterable, Sequence
from typing import Any

from sqlalchemy import Column, ForeignKeyConstraint, Index, PrimaryKeyConstraint, Table, UniqueConstraint

from integrity.engines.known import ENGINES
from integrity.sql.name import quoted


def type_of(column: "Column[Any]") -> str:
    """Return what a column's type is called."""
    return str(getattr(column.type, "name", None) or type(column.type).__name__.lower())


def must_have(column: "Column[Any]") -> bool:
    """Whether a row cannot be without a value that somebody gives it."""
    domain: Any = column.type
    needs = not column.nullable or getattr(domain, "not_null", False)
    return bool(needs) and may_have(column) and column.server_default is None


def may_have(column: "Column[Any]") -> bool:
    """Whether somebody may give it a value: the database makes none of its own."""
    return column.computed is None and column.identity is None


def groups_of(
    sought: Sequence["Column[Any]"], checks: Iterable[tuple[str, str]], table: Table, known: Collection[str]
) -> list[tuple[list["Column[Any]"], dict[str, str]]]:
    """Return the columns in groups that no check joins, each with the checks that speak of it; those of no column last.

    Args:
        known: the columns that have a value.
    """
    groups: list[tuple[list[Column[Any]], dict[str, str]]] = [([column], {}) for column in sought]
    for name, check in checks:
        named = columns_in(check, table)
        met = [group for group in groups if any(column in named for column in group[0])]
        if not met and not any(column.name in known for column in named):
            continue  # all of its columns are as the database makes them
        joined: tuple[list[Column[Any]], dict[str, str]] = ([each for group in met for each in group[0]], {})
        for group in met:
            joined[1].update(group[1])
        joined[1][name] = check
        groups = [group for group in groups if group not in met] + [joined]
    return groups


def foreign_keys_of(table: Table) -> list[ForeignKeyConstraint]:
    """Return the foreign keys in the order of their columns: a set in SQLAlchemy."""
    order = list(table.columns.keys())
    return sorted(table.foreign_key_constraints, key=lambda each: [order.index(key) for key in each.column_keys])


def unique_keys_of(table: Table) -> list[list[str]]:
    """Return the columns of each key that is unique over the whole table, as far as it is of columns alone."""
    keys = [each for each in table.constraints if isinstance(each, UniqueConstraint | PrimaryKeyConstraint)]
    indexes = [index for index in table.indexes if index.unique and not _is_partial(index)]
    found = [[column.name for column in each.columns] for each in (*keys, *indexes)]
    return [key for key in found if key]


def _is_partial(index: Index) -> bool:
    """Whether an index is of some rows only, or of expressions too."""
    is_of_some = any(index.dialect_options[name].get("where") is not None for name in ENGINES)
    return is_of_some or len(list(index.expressions)) != len(list(index.columns))


def unique_in(table: Table) -> str:
    """Return those keys as text."""
    return " or ".join(", ".join(key) for key in unique_keys_of(table))


def is_unique(table: Table, columns: Sequence[str]) -> bool:
    """Whether no two rows can have the same values in these columns."""
    return any(set(key) <= set(columns) for key in unique_keys_of(table))


def columns_in(check: str, table: Table) -> list["Column[Any]"]:
    """Return the columns that a check names, or may name: a word of it."""
    return [
        column
        for column in table.columns
        if re.search(rf'(?<![\w"]){re.escape(column.name)}(?![\w"])', check)
        or quoted(column.name) in check.split()
        or f'"{column.name}"' in check
    ]
