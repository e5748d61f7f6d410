"""The server's word on candidate rows, before anything is written: which are of the types, and pass the checks.

A candidate is a text a column. What passes comes back in the form in which binary COPY takes it, so that any type that the
server knows can be filled.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import psycopg
from psycopg import sql

from integrity.seeds.schema.guide import Row
from integrity.seeds.schema.tables import Check, Column

ALONE_MOST = 200
"""Where the candidates together are an error, so many are asked one by one."""


@dataclass(frozen=True, slots=True)
class Judged:
    """What the server said.

    Args:
        passed: of each row that passes: its place among the candidates, and the form of each column, None for null.
        failed: how many rows each check refused, by its name.
        error: the server's words about the last row that was an error; empty: none was.
    """

    passed: Sequence[tuple[int, tuple[bytes | None, ...]]]
    failed: dict[str, int]
    error: str = ""


def judge(
    connection: "psycopg.Connection[Any]", columns: Sequence[Column], checks: Sequence[Check], rows: Sequence[Row]
) -> Judged:
    """Return which of the rows pass; nothing is written."""
    try:
        with connection.transaction():
            return _sort_out(_ask(connection, columns, checks, rows), checks)
    except psycopg.OperationalError:
        raise
    except psycopg.Error as error:
        return _judge_alone(connection, columns, checks, rows, error)


def _judge_alone(
    connection: "psycopg.Connection[Any]",
    columns: Sequence[Column],
    checks: Sequence[Check],
    rows: Sequence[Row],
    error: psycopg.Error,
) -> Judged:
    """Ask of some rows one by one: a check may be an error on some of them."""
    found: list[Any] = []
    for place, row in enumerate(rows[:ALONE_MOST]):
        try:
            with connection.transaction():
                found += [(place, *each[1:]) for each in _ask(connection, columns, checks, [row])]
        except psycopg.Error as alone:
            error = alone
            if not found and place >= 20 and not isinstance(error, psycopg.DataError):
                break  # a function or operator is missing: it is of the check, not of the row
    judged = _sort_out(found, checks)
    return Judged(judged.passed, judged.failed, " ".join(str(error).split("\n")[0].split()))


def _ask(
    connection: "psycopg.Connection[Any]", columns: Sequence[Column], checks: Sequence[Check], rows: Sequence[Row]
) -> list[Any]:
    given = [sql.Identifier(f"given_{number}") for number, _ in enumerate(columns)]
    cast_columns = [
        sql.SQL("{}::{} as {}").format(name, _text(column.type.name), sql.Identifier(column.name))
        for name, column in zip(given, columns, strict=True)
    ]
    sent = [sql.SQL("{}({})").format(_text(column.type.send), sql.Identifier(column.name)) for column in columns]
    passes = [sql.SQL("(({}) is not false)").format(_text(check.text)) for check in checks]
    # The texts stand in the query: a parameter would make every % of a check one.
    texts = [sql.Literal([row[column.name] for row in rows]) for column in columns]
    query = sql.SQL(
        "select {} from (select place, {} from unnest({}) with ordinality as given ({}, place)) as candidates "
        "order by place"
    ).format(
        sql.SQL(", ").join([sql.SQL("place - 1"), *sent, *passes]),
        sql.SQL(", ").join(cast_columns),
        sql.SQL(", ").join([sql.SQL("{}::text[]").format(each) for each in texts]),
        sql.SQL(", ").join(given),
    )
    return connection.execute(query, binary=True).fetchall()


def _text(text: str) -> sql.SQL:
    """Return the catalogue's own text as a part of a query."""
    return sql.SQL(text)


def _sort_out(found: Sequence[Any], checks: Sequence[Check]) -> Judged:
    count = len(checks)
    failed = {check.name: 0 for check in checks}
    passed = []
    for row in found:
        forms, answers = row[1 : len(row) - count], row[len(row) - count :]
        for check, answer in zip(checks, answers, strict=True):
            failed[check.name] += not answer
        if all(answers):
            passed.append((int(row[0]), tuple(None if form is None else bytes(form) for form in forms)))
    return Judged(passed, failed)
