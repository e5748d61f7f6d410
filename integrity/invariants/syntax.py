"""Syntax: small questions about a query's tree, asked without knowing its tables.

The trees are sqlglot's, of texts in PostgreSQL's dialect. Shared trees are never changed: what is rewritten is copied.
"""

from collections.abc import Iterable

import sqlglot
from sqlglot import exp

from integrity.invariants.facts import TableName


class Unlike(Exception):
    """The query has none of the shapes; the message says what stands against it."""


def tables_of(query: exp.Query) -> frozenset[TableName]:
    """Return every table that the query reads."""
    names = {cte.alias for cte in query.find_all(exp.CTE)}
    return frozenset(
        TableName(name_of(table.args.get("db")), name_of(table.this))
        for table in query.find_all(exp.Table)
        if isinstance(table.this, exp.Identifier) and (table.args.get("db") or table.name not in names)
    )


def split(node: exp.Expr, kind: type[exp.Connector]) -> list[exp.Expr]:
    """Return the parts that the connector joins, through parentheses."""
    node = node.unnest()
    return [*split(node.this, kind), *split(node.expression, kind)] if isinstance(node, kind) else [node]


def all_of(parts: list[exp.Expr]) -> exp.Expr:
    """Return the conditions joined by and."""
    return exp.and_(*(part.copy() for part in parts), copy=False)


def equated(node: exp.Expr) -> tuple[exp.Column, exp.Column] | None:
    """Return the two columns of `a = b`; None for anything else."""
    node = node.unnest()
    if isinstance(node, exp.EQ) and isinstance(node.this, exp.Column) and isinstance(node.expression, exp.Column):
        return node.this, node.expression
    return None


def fixed_columns(conditions: Iterable[exp.Expr]) -> set[str]:
    """Return the columns that a condition gives one value."""
    fixed = set()
    for condition in conditions:
        if isinstance(condition, exp.EQ):
            for one, other in ((condition.this, condition.expression), (condition.expression, condition.this)):
                if isinstance(one, exp.Column) and isinstance(other, exp.Literal):
                    fixed.add(name_of(one.this))
    return fixed


def column_said_not_null(condition: exp.Expr) -> exp.Column | None:
    """Return the column of `column is not null`; None for anything else."""
    is_negated = condition.args.get("negate") if isinstance(condition, exp.Is) else isinstance(condition, exp.Not)
    inner = condition.this if isinstance(condition, exp.Not) else condition
    if is_negated and isinstance(inner, exp.Is) and isinstance(inner.expression, exp.Null):
        return inner.this if isinstance(inner.this, exp.Column) else None
    return None


def normal(condition: exp.Expr) -> str:
    """Return a text that is the same for conditions that differ only in qualifiers, casts of literals and case."""

    def simplify(node: exp.Expr) -> exp.Expr:
        if isinstance(node, exp.Cast) and isinstance(node.this, exp.Literal):
            return node.this
        if isinstance(node, exp.Column):
            return exp.Column(this=exp.to_identifier(name_of(node.this), quoted=True))
        return node

    return condition.unnest().copy().transform(simplify).sql(dialect="postgres")


def parse_condition(condition: str) -> exp.Expr:
    """Return the tree of a condition."""
    return sqlglot.parse_one(condition, read="postgres")


def plain_groups(query: exp.Select) -> list[exp.Column]:
    """Return the columns of a group by clause; none where there is no such clause, or it holds anything else."""
    group = query.args.get("group")
    if group is None or any(group.args.get(name) for name in ("grouping_sets", "cube", "rollup", "totals", "all")):
        return []
    columns = [column for column in group.expressions if isinstance(column, exp.Column)]
    return columns if len(columns) == len(group.expressions) else []


def table_of(clause: exp.Expr | None) -> exp.Table:
    """Return the table of a from clause or a join.

    Raises:
        Unlike: it is something else, or not all of a table.
    """
    table = clause.this if clause is not None else None
    if not isinstance(table, exp.Table) or not isinstance(table.this, exp.Identifier) or table.args.get("only"):
        raise Unlike("something else than a table to select from")
    if has_any(table, ("joins", "pivots", "laterals", "sample", "version", "catalog")):
        raise Unlike("a table that is sampled or nested")
    alias = table.args.get("alias")
    if alias is not None and alias.args.get("columns"):
        raise Unlike("renamed columns")
    return table


def plain_table(table: exp.Table) -> exp.Table:
    """Return the table without its alias."""
    return exp.Table(this=table.this.copy(), db=table.args["db"].copy() if table.args.get("db") else None)


def has_any(node: exp.Expr, names: tuple[str, ...]) -> bool:
    """Whether any of these clauses is there."""
    return any(node.args.get(name) for name in names)


def name_of(identifier: exp.Expr | None) -> str:
    """Return an identifier as the catalogue spells it: PostgreSQL folds what is not quoted to lower case."""
    if identifier is None:
        return ""
    name: str = identifier.name
    return name if identifier.args.get("quoted") else name.lower()


def quote(name: str) -> str:
    """Return the name as a quoted identifier."""
    return '"' + name.replace('"', '""') + '"'
