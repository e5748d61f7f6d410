"""Checks: a system's invariants, narrowed to the rows of one schedule.

An invariant asks about whole tables. A race asks it after each schedule, on tables that hold the rows of thousands of
others, so it must be told whose rows it is about. There are three ways, tried in this order:

- It goes through the calls of the history (`from integrity.ghostpass_calls ...`). A race has its own, and they are all
  it is given.
- One of its columns refers to a row of the stage, e.g. wallet_id.
- One of its columns is the primary key of the table that it goes through, e.g. audit_log.id; which of that table's rows
  belong to a race is known from its columns, as for digests. So the subject of a row may be of any kind.

In tables that were reflected nothing is narrowed: they are emptied before each race, and all rows are its own.

The text of an invariant stays as it is but for the schema in front of the history's relations, which are values here: see
history.py. An invariant that can be narrowed in none of these ways is left out, by name and with the reason.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache

from sqlalchemy import MetaData, Table
from sqlglot import exp

from integrity.database.names import find_named
from integrity.engines.known import USUAL, find_engine
from integrity.engines.spelling import NotPortable
from integrity.operation import Statement, Value
from integrity.race.judge.relations import SCHEMA, relation_of, with_history
from integrity.race.program.digests import select_own_keys
from integrity.race.program.planned_calls import make_world
from integrity.race.program.program import Check, Keys, RaceHistory
from integrity.sql.file import SqlFile
from integrity.sql.name import quoted
from integrity.sql.tokens import Token, code_tokens, spliced, without_semicolon
from integrity.systems.reflect import Reflected
from integrity.systems.system import System

_Condition = Callable[[Sequence[str]], str]
"""Given the parameters that hold the calls' operation_ids, what keeps the rows of one schedule; empty: all are its own."""


@dataclass(frozen=True, slots=True)
class LeftOut:
    """An invariant that cannot be asked about the rows of a race.

    Args:
        name: the invariant's.
        reason: why not.
        blamed: the row that somebody wrote, by its name and place, where the rows of the race violate it and one of those
            in the tables that it asks is theirs; empty: no row of theirs is to blame.
    """

    name: str
    reason: str
    blamed: str = ""


def make_checks(
    files: Iterable[SqlFile], system: System, keys: Keys, *, dialect: str = USUAL
) -> tuple[list[Check], list[LeftOut]]:
    """Return the invariants as checks, narrowed to the rows of a stage with such keys, and those that cannot be.

    Args:
        dialect: of the checks, as Target.dialect names it.
    """
    checks: list[Check] = []
    left_out: list[LeftOut] = []
    for file in files:
        narrowed = _narrow(file, system, keys, dialect)
        if isinstance(narrowed, Check):
            checks.append(narrowed)
        else:
            left_out.append(LeftOut(file.name, narrowed))
    return checks, left_out


def _narrow(file: SqlFile, system: System, keys: Keys, dialect: str) -> Check | str:
    """Return the invariant as a check, or why it cannot be one."""
    query = file.tree
    if query is None:
        return file.fault or "the parser does not know its query"
    asked = {table.name for table in query.find_all(exp.Table) if table.db == SCHEMA}
    if unknown := sorted(name for name in asked if not relation_of(name, system.name)):
        return f"it asks {SCHEMA}.{unknown[0]}, which a race does not have"
    if clash := sorted(asked & {cte.alias for cte in query.find_all(exp.CTE)}):
        return f"it has a `with {clash[0]}` beside {SCHEMA}.{clash[0]}"
    condition = _condition(query, system, keys)
    if condition is None:
        return "no column of it says whose rows they are"
    try:
        return _make_check(file, system.name, condition, frozenset(asked), dialect)
    except NotPortable as error:
        return f"it uses {error}, which cannot be said in {find_engine(dialect).title}"


def _make_check(file: SqlFile, system: str, condition: _Condition, asked: frozenset[str], dialect: str) -> Check:
    inner = _without_schema(without_semicolon(file.query), asked) if asked else without_semicolon(file.query)
    inner = find_engine(dialect).spelling.adapted(inner, file.types)
    defaults = file.values({}, now=datetime.now(UTC))
    is_alone = not condition(())

    @lru_cache(maxsize=16)
    def text(calls: tuple[str, ...]) -> str:
        kept = condition(calls)
        return f"select * from (\n{inner}\n) as narrowed" + (f" where {kept}" if kept else "")

    def violations(keys: Keys, history: RaceHistory) -> Statement:
        calls: dict[str, Value] = {f"operation_{n}": call.operation_id for n, call in enumerate(history.calls)}
        values: Mapping[str, Value] = {**defaults, **({} if is_alone else keys), **calls}
        if not asked:
            return Statement(text(tuple(calls)), values)
        return with_history(text(tuple(calls)), values, history, reads=asked, system=system, dialect=dialect)

    return Check(file.name, violations, asked)


def _condition(query: exp.Query, system: System, keys: Keys) -> _Condition | None:
    if isinstance(system.metadata, Reflected):
        return lambda _calls: ""
    source = query.args.get("from_")
    driving = source.this if source else None
    if isinstance(driving, exp.Table) and driving.db == SCHEMA and relation_of(driving.name, system.name) != "runs":
        return lambda _calls: ""
    columns = [_output_name(each) for each in query.selects]
    referred = key_columns(system.metadata)
    for pool, names in make_world(keys).keys.items():
        for column in columns:
            if referred.get(column) == pool:
                kept = f"{quoted(column)} in ({', '.join(f':{name}' for name in names)})"
                return lambda _calls, kept=kept: kept  # type: ignore[misc]  # mypy knows no defaults of lambdas
    table = _find_table(driving, system.metadata)
    column = _find_primary_key(query, driving, table) if table is not None else ""
    if table is None or not column or not select_own_keys(table, keys, ("operation_0",)):
        return None
    return lambda calls: f"{quoted(column)} in ({select_own_keys(table, keys, calls) or 'null'})"


def _find_table(driving: exp.Expr | None, metadata: MetaData) -> Table | None:
    if not isinstance(driving, exp.Table):
        return None
    known = find_named(metadata.tables, f"{driving.db}.{driving.name}" if driving.db else driving.name)
    return known[1] if known else None


def _find_primary_key(query: exp.Query, driving: exp.Expr | None, table: Table) -> str:
    """Return the column of the query that is the table's primary key, or nothing."""
    assert isinstance(driving, exp.Table)
    if len(table.primary_key.columns) != 1:
        return ""
    (primary,) = table.primary_key.columns
    for each in query.selects:
        column = each.unalias()
        if isinstance(column, exp.Column) and (column.table, column.name) == (driving.alias_or_name, primary.name):
            return _output_name(each)
    return ""


def _output_name(each: exp.Expr) -> str:
    """Return what the server calls a column of a query: what is not quoted it folds to lower case."""
    identifier = each.args.get("alias") or (each.this if isinstance(each, exp.Column) else None)
    is_quoted = isinstance(identifier, exp.Identifier) and identifier.args.get("quoted")
    return each.alias_or_name if is_quoted else each.alias_or_name.lower()


def _without_schema(text: str, asked: frozenset[str]) -> str:
    """Return the query with the history's relations as they are called in the `with` in front of it."""
    tokens = code_tokens(text)
    qualifiers: list[tuple[Token, str]] = []
    for schema, dot, name in zip(tokens, tokens[1:], tokens[2:], strict=False):
        if schema.is_name and schema.text.lower() == SCHEMA and dot.is_sign(".") and name.text.lower() in asked:
            qualifiers += [(schema, ""), (dot, "")]
    return spliced(text, qualifiers)


def key_columns(metadata: MetaData) -> dict[str, str]:
    """Return the names of columns that refer to another table, e.g. wallet_id, with that table's."""
    return {
        column.name: key.column.table.name
        for table in metadata.sorted_tables
        for column in table.columns
        for key in column.foreign_keys
        # A foreign key of several columns names others beside the one that tells the row.
        if key.column.primary_key and len(key.column.table.primary_key.columns) == 1
    }
