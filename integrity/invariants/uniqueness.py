"""Uniqueness: which unique index shows that no two rows of a table share some columns' values.

All columns and conditions that are passed here are of the one table: whose they are, their caller has found out.
"""

from collections.abc import Iterable

from sqlglot import exp

from integrity.engines.facts import Table, UniqueIndex
from integrity.invariants.syntax import column_said_not_null, fixed_columns, name_of, split
from integrity.sql.query import find_tree, text_of


def proving_index(
    table: Table, columns: set[str], conditions: Iterable[exp.Expr] = (), *, never_null: Iterable[str] = ()
) -> UniqueIndex | None:
    """Return an index that shows that no two rows which meet the conditions share the columns' values, if there is one.

    Two rows with a null in a column of the index are not the same to it, though they are to `group by`.

    Args:
        conditions: on the table's own columns alone.
        never_null: columns that the rows in question have a value in, whatever the table allows.
    """
    conditions = list(conditions)
    fixed = fixed_columns(conditions)
    said = {name_of(column.this) for column in map(column_said_not_null, conditions) if column is not None}
    valued = {*fixed, *said, *never_null, *(name for name, column in table.columns.items() if column.is_not_null)}
    asked = {_normal(condition, table) for condition in conditions}
    for index in table.unique_indexes:
        keys = set(index.columns)
        if keys <= columns | fixed and (keys <= valued or not index.is_nulls_distinct) and _needs(index, table) <= asked:
            return index
    return None


def _needs(index: UniqueIndex, table: Table) -> set[str | None]:
    """Return what a row must meet to be in a partial index; None among it: something that is never asked."""
    if not index.predicate:
        return set()
    predicate = find_tree(index.predicate)
    return {_normal(part, table) for part in split(predicate, exp.And)} if predicate is not None else {None}


def _normal(condition: exp.Expr, table: Table) -> str:
    """Return a text that is the same for conditions that differ only in qualifiers, in case and in what an index adds.

    PostgreSQL prints `kind = 'fee'::text` where a file has `kind = 'fee'`: to a column, a text without a type is of the
    column's. Any other cast stays: `1.55::numeric(3,1)` is 1.6, and a date's midnight is not that of a time.
    """

    def simplify(node: exp.Expr) -> exp.Expr:
        if isinstance(node, exp.Predicate | exp.Binary) and isinstance(node.args.get("expression"), exp.Cast):
            column, cast = node.this, node.expression
            known = table.columns.get(name_of(column.this)) if isinstance(column, exp.Column) else None
            is_text = isinstance(cast.this, exp.Literal) and cast.this.is_string
            if known and is_text and text_of(cast.to).lower() == known.type:
                cast.replace(cast.this.copy())
        return node

    def qualify(node: exp.Expr) -> exp.Expr:
        if isinstance(node, exp.Column):
            return exp.Column(this=exp.to_identifier(name_of(node.this), quoted=True))
        return node

    return text_of(condition.unnest().copy().transform(simplify).transform(qualify))
