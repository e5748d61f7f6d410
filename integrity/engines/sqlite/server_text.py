"""Rows as SQLite spells them; see engines/server_text.py.

It has types of values and none of columns: a column is of integers where every value shown is one.
"""

import sqlite3
from collections.abc import Iterable, Sequence
from itertools import islice
from typing import Any

from integrity.engines.server_text import Rows, distinct, limit_of_a_value


def rows_of_sqlite(cursor: sqlite3.Cursor, row_limit: int) -> Rows:
    """Return the cursor's first rows."""
    names = distinct([column[0] for column in cursor.description])
    limit = limit_of_a_value(row_limit, len(names))
    found = [tuple(_cut(value, limit) for value in row) for row in islice(_each(cursor), row_limit)]
    kept = [all(value is None or isinstance(value, int) for value in column) for column in zip(*found, strict=True)]
    return [
        {
            name: value if is_integer or value is None else str(value)
            for name, value, is_integer in zip(names, row, kept, strict=True)
        }
        for row in found
    ]


def _each(cursor: sqlite3.Cursor) -> Iterable[Sequence[Any]]:
    """Yield row by row: never two large ones at once."""
    while (row := cursor.fetchone()) is not None:
        yield tuple(row)


def _cut(value: Any, limit: int) -> Any:
    """Return the value as SQLite writes it, cut to the limit; integers and null as they are."""
    if value is None or isinstance(value, int):
        return value
    if isinstance(value, float):
        return {float("inf"): "Inf", float("-inf"): "-Inf"}.get(value, repr(value))
    if isinstance(value, bytes):
        text = f"X'{value[:limit].hex().upper()}'"
        return text if len(value) <= limit else f"{text[:limit]}... ({len(value)} bytes)"
    return value if len(value) <= limit else f"{value[:limit]}... ({len(value)} characters)"
