"""Dialects: a statement of PostgreSQL's, said in another engine's words.

Once a statement and engine; the answer is cached by the text. Parameters stay `:name`, which SQLite understands itself.
"""

import sqlite3
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any
from uuid import UUID

from integrity.engines.places import DEFAULT_SCHEMA
from integrity.engines.values import text_of
from integrity.errors import UsageError
from integrity.numbers import counted
from integrity.sql.tokens import code_tokens


@lru_cache(maxsize=4096)
def adapt(sql: str, dialect: str) -> str:
    """Return the statement as the engine understands it; PostgreSQL's own is returned as it stands.

    Row locks are left out where the engine has none: SQLite has one writer, which is a lock on everything. Tables of the
    default schema are those of its main file.

    Args:
        sql: one statement in PostgreSQL's dialect.
        dialect: as Target.dialect names it.

    Raises:
        UsageError: the text cannot be parsed, or holds more than one statement.
    """
    if dialect == "postgresql" or _is_of_savepoints(sql):
        return sql
    from sqlglot import expressions

    from integrity.engines.sqlite.portable import name_main_file
    from integrity.sql.query import Unparsed, parse_statements

    try:
        trees = parse_statements(sql)
    except Unparsed as error:
        raise UsageError(
            f"a statement cannot be said in {dialect}: {error}", hint="Write it in the portable core."
        ) from None
    if len(trees) != 1 or trees[0] is None:
        raise UsageError(f"{counted(len(trees), 'statement')} where one is expected", hint="Send each by itself.")
    tree = trees[0]
    name_main_file(tree)
    for query in tree.find_all(expressions.Select):
        query.set("locks", None)
    for conflict in tree.find_all(expressions.OnConflict):
        # sqlglot reads the columns as an order and spells out where nulls go, which SQLite refuses there.
        columns = [column.unnest() for column in conflict.args.get("conflict_keys") or ()]
        bare = [column.this if isinstance(column, expressions.Ordered) else column for column in columns]
        conflict.set("conflict_keys", bare or None)
    return tree.sql(dialect=dialect, comments=False)


def _is_of_savepoints(sql: str) -> bool:
    """Whether every engine has it so; sqlglot does not know it, to which `savepoint s` is a column with an alias."""
    tokens = code_tokens(sql)
    is_to = [token.is_word(word) for token, word in zip(tokens, ("rollback", "to"), strict=False)] == [True, True]
    return is_to or (bool(tokens) and tokens[0].is_word("savepoint", "release"))


def in_main_file(sql: str) -> str:
    """Return a question of ours, which is SQLite's already but for the name of the default schema."""
    return adapt(sql, "sqlite") if f"{DEFAULT_SCHEMA}." in sql else sql


def to_sqlite(value: Any) -> Any:
    """Return a parameter as SQLite stores it: a UUID as text, a time as text in UTC; whatever else it knows itself."""
    if isinstance(value, UUID):
        return str(value)
    if isinstance(value, datetime):
        # The form of SQLite's own current_timestamp, so that text compares in the order of time.
        return value.astimezone(UTC).replace(tzinfo=None).isoformat(" ")
    if value is None or isinstance(value, str | int | float | bytes):
        return value
    return text_of(value, is_json=isinstance(value, list | tuple))  # there are no arrays


# SQLite's extended result codes, as the SQLSTATE that PostgreSQL gives for the same thing.
_SQLSTATES = {
    "SQLITE_CONSTRAINT_UNIQUE": "23505",
    "SQLITE_CONSTRAINT_PRIMARYKEY": "23505",
    "SQLITE_CONSTRAINT_FOREIGNKEY": "23503",
    "SQLITE_CONSTRAINT_NOTNULL": "23502",
    "SQLITE_CONSTRAINT_CHECK": "23514",
    "SQLITE_FULL": "53100",
    "SQLITE_IOERR": "58030",
    "SQLITE_INTERRUPT": "57014",
}


def sqlstate_of(error: sqlite3.Error) -> str:
    """Return the SQLSTATE of an SQLite error: 40001 when the database was busy (start again), XX000 when there is none."""
    name: str = getattr(error, "sqlite_errorname", "")
    if name.startswith(("SQLITE_BUSY", "SQLITE_LOCKED")):
        return "40001"
    return _SQLSTATES.get(name, "XX000")
