"""Overwriting: whether a write puts a value where another's was, or adds to whatever is there by then.

`seats_left = seats_left - :n` is worked out on the row as it is when it is written: of two such none is lost, however they
come, and what goes wrong is what was found before. `seats_left = :left` takes the other's place. Where a function of
somebody's may have written, no text tells.
"""

from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache

from sqlglot import exp

from integrity.engines.places import DEFAULT_SCHEMA
from integrity.sql.parameters import unquote_parameters
from integrity.sql.query import find_tree

Column = tuple[str, str]
"""Its table, as "schema.table", and its name."""

_UNSEEN: Column = ("", "")
"""What a function may have changed, by all that its call tells."""


def adds_only(statements: Mapping[str, Iterable[str]]) -> bool:
    """Return whether calls change columns in common, and each of these by what it is when it is written.

    Args:
        statements: of each call.
    """
    changed = [_changed_by(each) for each in statements.values()]
    if any(_UNSEEN in each for each in changed):
        return False
    common = [
        column for column in {name for each in changed for name in each} if sum(column in each for each in changed) > 1
    ]
    return bool(common) and all(each.get(column, True) for column in common for each in changed)


def _changed_by(statements: Iterable[str]) -> dict[Column, bool]:
    """Return of each column that statements change, but to the time, whether all of them start from what it is."""
    found: dict[Column, bool] = {}
    for sql in statements:
        for column, is_relative in _changes_of(sql):
            found[column] = found.get(column, True) and is_relative
    return found


@lru_cache(maxsize=1024)
def _changes_of(sql: str) -> Sequence[tuple[Column, bool]]:
    tree = find_tree(unquote_parameters(sql))
    if tree is None:
        return ()
    unseen = [(_UNSEEN, False)] if tree.find(exp.Anonymous) else []
    return unseen + [
        ((_name_of(table), name), _is_relative(table, name, value))
        for write in tree.find_all(exp.Update, exp.OnConflict)
        for table in [_table_of(write)]
        for name, value in _assigned(write.expressions)
        if value.find(exp.Column, exp.Placeholder, exp.Parameter, exp.Literal, exp.Boolean, exp.Null)
    ]


def _assigned(sets: Iterable[exp.Expr]) -> Iterable[tuple[str, exp.Expr]]:
    """Yield the columns that are set, each with its value."""
    for each in sets:
        if not isinstance(each, exp.EQ):
            continue
        left, right = each.this, each.expression
        names = left.expressions if isinstance(left, exp.Tuple) else [left]
        values = right.expressions if isinstance(left, exp.Tuple) and isinstance(right, exp.Tuple) else [right] * len(names)
        yield from zip((name.name.lower() for name in names), values, strict=False)


def _table_of(write: exp.Expr) -> exp.Table | None:
    owner = write if isinstance(write, exp.Update) else write.find_ancestor(exp.Insert)
    return owner.this.find(exp.Table) if owner is not None and owner.this is not None else None


def _name_of(table: exp.Table | None) -> str:
    return f"{table.db or DEFAULT_SCHEMA}.{table.name}".lower() if table is not None else ""


def _is_relative(table: exp.Table | None, name: str, value: exp.Expr) -> bool:
    """Return whether a value starts from the column's own: not from one of a query beside it, which may be of before."""
    own = {"", table.alias_or_name.lower()} if table is not None else {""}
    return any(
        column.name.lower() == name
        and column.table.lower() in own
        and column.find_ancestor(exp.Subquery, exp.Select, exp.Update, exp.OnConflict)
        is value.find_ancestor(exp.Update, exp.OnConflict)
        for column in value.find_all(exp.Column)
    )
