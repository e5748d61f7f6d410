"""Syntax: small questions about a query's tree, asked without knowing its tables.

The trees are sqlglot's, of texts in PostgreSQL's dialect. Shared trees are never changed: what is rewritten is copied.
"""

from collections.abc import Iterable

from sqlglot import exp

from integrity.engines.facts import TableName

# What cannot fail, however wrong the rows are, and is one value a row.
SURE = (exp.Column, exp.Identifier, exp.Star, exp.Literal, exp.Null, exp.Boolean, exp.Paren, exp.Alias)


class Unlike(Exception):
    """The query has none of the shapes; the message says what stands against it."""


def tables_of(query: exp.Query | None) -> frozenset[TableName]:
    """Return every table that the query reads; none of one that the parser does not know."""
    if query is None:
        return frozenset()
    return frozenset(
        table_name(table)
        for table in query.find_all(exp.Table)
        if isinstance(table.this, exp.Identifier) and (table.args.get("db") or not _is_of_a_with(table))
    )


def table_name(table: exp.Table) -> TableName:
    """Return the table's name as the catalogue spells it."""
    return TableName(name_of(table.args.get("db")), name_of(table.this))


def _is_of_a_with(table: exp.Table) -> bool:
    """Whether the name is that of a query in a `with` around it."""
    inner: exp.Expr = table
    while (outer := inner.parent) is not None:
        if name_of(table.this) in {name_of(cte.args["alias"].this) for cte in _queries_seen(outer, inner)}:
            return True
        inner = outer
    return False


def _queries_seen(outer: exp.Expr, inner: exp.Expr) -> list[exp.Expr]:
    """Return the queries of a `with` that a part of it, or of its query, sees: those before it; all if it is recursive."""
    if isinstance(outer, exp.With):
        before = next(number for number, query in enumerate(outer.expressions) if query is inner)
        return outer.expressions if outer.args.get("recursive") else outer.expressions[:before]
    around = outer.args.get("with_")
    return around.expressions if around is not None and around is not inner else []


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
    """Return the columns that a condition gives one value; all of the conditions speak of one table."""
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


def plain_groups(query: exp.Select) -> list[exp.Column]:
    """Return the columns of a group by clause; none where there is no such clause, or it holds anything else."""
    group = query.args.get("group")
    if group is None or any(group.args.get(name) for name in ("grouping_sets", "cube", "rollup", "totals", "all")):
        return []
    columns = [column for column in group.expressions if isinstance(column, exp.Column)]
    return columns if len(columns) == len(group.expressions) else []


def could_aggregate(query: exp.Select) -> bool:
    """Whether it could be one row however many it reads: a function that the parser does not know may be an aggregate."""
    kinds = (exp.AggFunc, exp.Anonymous, exp.WithinGroup)
    places = [*query.expressions, *(query.args[name] for name in ("order", "having") if query.args.get(name))]
    return any(place.find(*kinds) for place in places)


def may_overflow(node: exp.Expr) -> bool:
    """Whether it calculates, so that the query may fail where something that does not calculate says that it holds."""
    calculated = node.find_all(exp.Add, exp.Sub, exp.Mul, exp.Neg)
    return any(not (isinstance(each, exp.Neg) and isinstance(each.this, exp.Literal)) for each in calculated)


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


def is_to_text(node: exp.Expr) -> bool:
    """Whether it makes a text of something, which of PostgreSQL's own types cannot fail; or it is the word for the type."""
    to = node.to if isinstance(node, exp.Cast) else node
    return isinstance(to, exp.DataType) and to.is_type(exp.DataType.Type.TEXT)


def alias_of(table: exp.Table) -> str:
    """Return what the query calls the table, as a column's qualifier spells it."""
    alias = table.args.get("alias")
    return name_of(alias.this if alias is not None else table.this)


def name_of(identifier: exp.Expr | None) -> str:
    """Return an identifier as the catalogue spells it."""
    if identifier is None:
        return ""
    return identifier.name if identifier.args.get("quoted") else fold(identifier.name)


def fold(name: str) -> str:
    """Return what a name without quotes stands for: PostgreSQL and SQLite make A to Z small, and leave É alone."""
    return "".join(letter.lower() if letter.isascii() else letter for letter in name)
