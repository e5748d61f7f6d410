"""Looks: where a statement looks for rows of one table by conditions, and what would guard the answer.

Read from the statement's text, for choosing what to try: whether it helps is tried. A guard is a unique index over what was
looked for, so that a second row of it is refused; or a lock on the row that all those rows refer to.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import permutations

from sqlalchemy import ForeignKeyConstraint, Index, MetaData, PrimaryKeyConstraint, Table, UniqueConstraint, text
from sqlglot import exp

from integrity.database.names import full_name, name_of
from integrity.engines.known import find_engine
from integrity.race.play.ddl import index_statement
from integrity.race.program.statements import name_in_text, tables_of_tree
from integrity.sql.name import quoted
from integrity.sql.query import find_tree, text_of

_NAME_LENGTH_MAX = 63
_ADDING = (exp.Sum, exp.Avg, exp.Min)  # what is added up may be there more than once


@dataclass(frozen=True, slots=True)
class Look:
    """Where a statement looks for rows.

    Args:
        given: column -> the parameter that it is to equal.
        fixed: conditions without parameters, as SQL.
        constant: columns that those want to equal something.
        is_known: there are no conditions but those.
        greatest: the column whose greatest value is asked for; empty: none is.
        is_of_rows: it asks whether there are rows, how many or which, rather than what they add up to.
    """

    sql: str
    table: Table
    given: Mapping[str, str]
    fixed: tuple[str, ...] = ()
    constant: frozenset[str] = frozenset()
    is_known: bool = True
    greatest: str = ""
    is_of_rows: bool = True


def find_looks(sql: str, metadata: MetaData) -> Iterator[Look]:
    """Yield the looks of a statement at tables that are known, those within other statements included."""
    known = {name_in_text(table): table for table in metadata.tables.values()}
    tree = find_tree(sql)
    for select in tree.find_all(exp.Select) if tree is not None else ():
        source = select.args.get("from_")
        if source is None or not isinstance(source.this, exp.Table) or select.args.get("joins"):
            continue
        (name,) = tables_of_tree(source.this)
        if name in known and select.args.get("where"):
            yield _look(sql, select, known[name])


def unique_index(look: Look, *, dialect: str) -> str:
    """Return the statement that makes a unique index over what is looked for; empty: none would be of it."""
    columns = [*look.given, *filter(None, (look.greatest,))]
    is_unique = _is_unique(look.table, look.constant.union(columns))
    if not look.given or not look.is_known or not look.is_of_rows or is_unique:
        return ""
    copy = look.table.to_metadata(MetaData())
    name = f"{copy.name}_{'_'.join(columns)}_key"[:_NAME_LENGTH_MAX]
    where = text(" AND ".join(look.fixed)) if look.fixed else None
    index = Index(name, *(copy.c[column] for column in columns), unique=True)
    index.dialect_options[find_engine(dialect).sqlalchemy_dialect.name]["where"] = where
    return index_statement(index, dialect=dialect)


def parent_locks(look: Look) -> Iterator[tuple[str, str]]:
    """Yield the tables to whose rows all rows refer that are looked for, each with the statement that locks such a row."""
    for key in sorted(look.table.foreign_key_constraints, key=lambda each: str(each.name)):
        if key.referred_table is not look.table and all(column.name in look.given for column in key.columns):
            yield name_of(key.referred_table), _parent_lock(look, key)


def _parent_lock(look: Look, key: ForeignKeyConstraint) -> str:
    pairs = [(element.column.name, look.given[element.parent.name]) for element in key.elements]
    names = ", ".join(quoted(name) for name, _ in pairs)
    where = " and ".join(f"{quoted(name)} = :{parameter}" for name, parameter in pairs)
    return f"select {names} from {full_name(key.referred_table)} where {where} for update"


def _look(sql: str, select: exp.Select, table: Table) -> Look:
    given: dict[str, str] = {}
    fixed: list[str] = []
    constant: set[str] = set()
    is_known = True
    own, outer = {select.args["from_"].this.alias_or_name, table.name, ""}, _given_around(select)
    for condition in (_with_given(each, outer) for each in _conditions(select.args["where"].this)):
        if any(column.table not in own for column in condition.find_all(exp.Column)):
            is_known = False
            continue
        pair = _given(condition, table)
        if pair is not None:
            given[pair[0]] = pair[1]
        elif _is_fixed(condition, table):
            fixed.append(text_of(_unqualified(condition)))
            constant |= {_column(condition.this, table)} if isinstance(condition, exp.EQ) else set()
        else:
            is_known = False
    greatest = next((_column(each.this, table) for each in select.find_all(exp.Max)), "")
    is_of_rows = not any(each.find(*_ADDING) for each in select.expressions)
    return Look(sql, table, given, tuple(fixed), frozenset(constant), is_known, greatest, is_of_rows)


def _conditions(condition: exp.Expr) -> Iterator[exp.Expr]:
    if isinstance(condition, exp.Paren | exp.And):
        for part in (condition.this, condition.args.get("expression")):
            if part is not None:
                yield from _conditions(part)
    else:
        yield condition


def _given_around(select: exp.Select) -> dict[tuple[str, str], str]:
    """Return which columns of the statements around a subselect equal a parameter: (alias, column) -> parameter."""
    given: dict[tuple[str, str], str] = {}
    around = select.parent_select
    while around is not None:
        source, where = around.args.get("from_"), around.args.get("where")
        alias = source.this.alias_or_name if source is not None and not around.args.get("joins") else ""
        for condition in _conditions(where.this) if where is not None else ():
            for column, parameter in _equal(condition):
                given.setdefault((column.table or alias, column.name), parameter)
        around = around.parent_select
    return given


def _with_given(condition: exp.Expr, given: Mapping[tuple[str, str], str]) -> exp.Expr:
    """Return a condition with the parameters that columns of statements around it equal in place of these."""

    def put(node: exp.Expr) -> exp.Expr:
        parameter = given.get((node.table, node.name), "") if isinstance(node, exp.Column) and node.table else ""
        return exp.Placeholder(this=parameter) if parameter else node

    return condition.transform(put)


def _given(condition: exp.Expr, table: Table) -> tuple[str, str] | None:
    """Return column and parameter of `column = :parameter`, in either order and with a cast or without."""
    pairs = ((_column(node, table), parameter) for node, parameter in _equal(condition))
    return next((pair for pair in pairs if pair[0]), None)


def _equal(condition: exp.Expr) -> Iterator[tuple[exp.Column, str]]:
    """Yield the column and the parameter that a condition wants to be equal."""
    for one, other in permutations((condition.this, condition.expression)) if isinstance(condition, exp.EQ) else ():
        value = other.this if isinstance(other, exp.Cast) else other
        if isinstance(one, exp.Column) and isinstance(value, exp.Placeholder) and value.name:
            yield one, value.name


def _is_fixed(condition: exp.Expr, table: Table) -> bool:
    if condition.find(exp.Placeholder, exp.Parameter, exp.Select, exp.Subquery):
        return False
    return all(_column(each, table) for each in condition.find_all(exp.Column))


def _column(node: exp.Expr, table: Table) -> str:
    """Return the column of the table that a node is, or nothing."""
    if not isinstance(node, exp.Column):
        return ""
    name = node.name if node.this.args.get("quoted") else node.name.lower()
    return name if name in table.c else ""


def _unqualified(condition: exp.Expr) -> exp.Expr:
    copy = condition.copy()
    for column in copy.find_all(exp.Column):
        column.set("table", None)
    return copy


def _is_unique(table: Table, columns: frozenset[str]) -> bool:
    """Whether no two rows can agree in these columns as it is."""
    keys = [each for each in table.constraints if isinstance(each, PrimaryKeyConstraint | UniqueConstraint)]
    whole = [each for each in table.indexes if each.unique and not any(each.dialect_kwargs.values())]
    return any(len(each.columns) > 0 and {column.name for column in each.columns} <= columns for each in (*keys, *whole))
