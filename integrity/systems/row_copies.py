"""Copies of rows: in what a second row like one has to differ, so that a database takes both."""

import re
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import Column, Index, Table

from integrity.engines.known import ENGINES
from integrity.systems.row_needs import columns_in, may_have, must_have, unique_keys_of
from integrity.systems.stage import Expression, Ref

_EACH_ITS_OWN = re.compile(r"nextval|uuid|random", re.IGNORECASE)
"""A default that is another one for each row."""


@dataclass(slots=True)
class Differing:
    """In what a copy differs.

    Args:
        anew: columns whose values are made anew.
        parents: rows that it cannot share, by name: they are copied, too.
    """

    anew: set[str] = field(default_factory=set)
    parents: set[str] = field(default_factory=set)


def differing(
    table: Table,
    keys: Iterable[Collection[str]],
    cells: Mapping[str, Ref | Expression],
    asked: Mapping[str, Ref | Expression],
    copied: Collection[str],
) -> Differing:
    """Return in what a copy of a row differs: of each key in one column, in one that refers to nothing if there is one.

    Args:
        keys: that no two rows may have in common, as columns.
        cells: of the row.
        asked: those of them that somebody gave.
        copied: the rows that are copied, too, by name.
    """
    found = Differing()
    for key in keys:
        columns = [table.columns[name] for name in key if name in table.columns]
        if any(_differs(column, cells, asked, copied, found) for column in columns):
            continue
        own = [column.name for column in columns if not column.foreign_keys and may_have(column)]
        if own:
            found.anew.add(own[-1])
            continue
        for column in reversed(columns):
            cell = cells.get(column.name)
            if isinstance(cell, Ref):
                found.parents.add(cell.row)
                break
            if column.name in asked:
                found.anew.add(column.name)
                break
    return found


def _differs(
    column: "Column[Any]",
    cells: Mapping[str, Ref | Expression],
    asked: Mapping[str, Ref | Expression],
    copied: Collection[str],
    found: Differing,
) -> bool:
    """Whether a copy has another value there than the row, or none."""
    cell = cells.get(column.name)
    if isinstance(cell, Ref):
        return cell.row in copied or cell.row in found.parents
    if column.name in found.anew:
        return True
    if column.name in asked:
        return isinstance(cell, Expression) and cell.sql.strip().lower() == "null"
    if column.identity is not None or must_have(column):
        return True
    default = str(getattr(column.server_default, "arg", ""))
    return bool(_EACH_ITS_OWN.search(default)) if default else column.nullable is True and column.computed is None


def distinct_keys_of(table: Table) -> list[list[str]]:
    """Return the columns of each key that no two rows may share; of an index of some, or of expressions, all it names."""
    return [*unique_keys_of(table), *(_named_by(index, table) for index in table.indexes if index.unique)]


def _named_by(index: Index, table: Table) -> list[str]:
    wheres = [index.dialect_options[name].get("where") for name in ENGINES]
    if all(where is None for where in wheres) and len(list(index.expressions)) == len(list(index.columns)):
        return []  # of whole columns: among the keys already
    named = dict.fromkeys(column.name for column in index.columns)
    named |= dict.fromkeys(column.name for each in index.expressions for column in columns_in(str(each), table))
    return list(named)
