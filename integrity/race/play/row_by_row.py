"""Inserting a stage row by row: what the database made of one is known when the next refers to it.

Slower than all rows in one statement (staging.py), a round trip a row, and asks less of a schema: a key may be of several
columns, be made by a default, a trigger or an expression, and a row may refer to any column of another one.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from integrity.engines.known import find_engine
from integrity.engines.spelling import Spelling
from integrity.errors import UsageError, quote
from integrity.operation import Row, Statement, Value
from integrity.race.play.staging import Staged, TableFacts, facts_of, named, quoted_table
from integrity.race.program.wire import Answer, StatementRefused
from integrity.sql.name import quoted
from integrity.systems.stage import Expression, Ref, Stage, StagedRow

Ask = Callable[[Sequence[Statement]], list[Answer]]
"""Sends statements in the engine's own dialect."""


def insert_row_by_row(stage: Stage, ask: Ask, tables: Mapping[str, TableFacts], *, dialect: str) -> Staged:
    """Insert the rows of a stage; return its keys: of a table whose key has several columns all of them, as a tuple.

    Raises:
        UsageError: a row refers to one, or to a column, that is not there, has no key, or was not kept; or the query of a
            pool is refused.
        StatementRefused: the database refuses a row.
    """
    made: dict[str, Row] = {}
    for row in stage.rows:
        statement = _insert(row, made, tables, dialect)
        try:
            (answer,) = ask([statement])
        except StatementRefused as refused:
            raise StatementRefused(refused.reason, sql=statement.sql, row=row.name) from None
        if not answer.rows:
            raise UsageError(
                f"the stage's row {quote(row.name)} was inserted into {row.table}, which kept none",
                hint="A trigger or a rule of the table took it away.",
            )
        made[row.name] = answer.rows[0]
    ids = {row.name: key for row in stage.rows for key in [_key_of(row, made, tables)] if key is not None}
    keys = {name: _resolve(key, made, ids) if isinstance(key, Ref) else key for name, key in stage.keys.items()}
    places = {str(key): place for place, key in enumerate(ids.values())}
    for pool, query in stage.queries.items():
        try:
            (answer,) = ask([Statement(find_engine(dialect).spelling.statement(query))])
        except StatementRefused as refused:
            raise UsageError(f"pool {quote(pool)}: {refused.reason}", hint=f"It asks: {query}") from None
        # A query without an order has its rows in any, and a schedule is about the same rows each time it is played.
        found = sorted((next(iter(row.values())) for row in answer.rows), key=lambda key: places.get(str(key), len(places)))
        keys |= {f"{pool}_{number}": key for number, key in enumerate(found, start=1)}
    return named(keys, ids)


def _insert(row: StagedRow, made: Mapping[str, Row], tables: Mapping[str, TableFacts], dialect: str) -> Statement:
    facts, spelling = facts_of(tables, row.table), find_engine(dialect).spelling
    names, cells = [], []
    parameters: dict[str, Value] = {}
    for column, value in row.values.items():
        name = facts.plain(column)
        names.append(quoted(name))
        if isinstance(value, Expression):
            cells.append(_spelled(value.sql, spelling))
            continue
        parameter = f"v{len(parameters)}"
        parameters[parameter] = _resolve(value, made, {}) if isinstance(value, Ref) else facts.as_read(column, value)
        is_cast = spelling.is_typed and name in facts.types
        cells.append(f"cast(:{parameter} as {facts.types[name]})" if is_cast else f":{parameter}")
    place = quoted_table(tables, row.table, dialect)
    overriding = f"{spelling.overriding} " if spelling.overriding else ""
    given = f"({', '.join(names)}) {overriding}values ({', '.join(cells)})" if names else "default values"
    return Statement(f"insert into {place} {given} returning *", parameters)


def _resolve(ref: Ref, made: Mapping[str, Row], ids: Mapping[str, Any]) -> Any:
    """Return what a reference means: a column of a row, or its key."""
    if ref.row not in made:
        raise UsageError(f"the stage refers to row {quote(ref.row)}, and no row before has that name")
    if not ref.column:
        if ref.row not in ids:
            raise UsageError(f"the stage refers to row {quote(ref.row)}, whose table has no primary key")
        return ids[ref.row]
    if ref.column not in made[ref.row]:
        raise UsageError(f"the stage refers to {ref.row}.{ref.column}, and its table has no such column")
    return made[ref.row][ref.column]


def _key_of(row: StagedRow, made: Mapping[str, Row], tables: Mapping[str, TableFacts]) -> Any:
    """Return the primary key that a row got, of several columns a tuple; None where its table has none."""
    values = tuple(made[row.name][column] for column in facts_of(tables, row.table).keys)
    return None if not values else values[0] if len(values) == 1 else values


def _spelled(expression: str, spelling: Spelling) -> str:
    return spelling.statement(f"select {expression}").partition(" ")[2]
