"""Bulk loading of SQLite: executemany, with values as it stores them."""

import sqlite3
from collections.abc import Sequence
from typing import Any
from uuid import UUID

import numpy as np

from integrity.engines.columns import ColumnValues, CopyKind, chunks, encoded_texts
from integrity.sql.name import in_quotes


def load(connection: sqlite3.Connection, schema: str, table: str, columns: Sequence[ColumnValues]) -> int:
    """See Engine.load."""
    marks = ", ".join("?" * len(columns))
    names = ", ".join(in_quotes(column.name) for column in columns)
    statement = f"insert into {in_quotes(schema)}.{in_quotes(table)} ({names}) values ({marks})"
    for chunk in chunks(columns):
        connection.executemany(statement, zip(*(_python_values(column) for column in chunk), strict=True))
    return len(columns[0])


def _python_values(column: ColumnValues) -> list[Any]:
    """Return the values as SQLite stores them: uuid, jsonb and timestamptz as text."""
    values: list[Any]
    match column.kind:
        case CopyKind.UUID:
            data = column.values.tobytes()
            values = [str(UUID(bytes=data[start : start + 16])) for start in range(0, len(data), 16)]
        case CopyKind.TIMESTAMPTZ:
            instants = np.datetime_as_string(column.values.astype("datetime64[us]"))
            values = [instant.replace("T", " ") for instant in instants.tolist()]
        case CopyKind.TEXT | CopyKind.JSONB:
            values = [value.decode() for value in encoded_texts(column).tolist()]
        case CopyKind.BOOLEAN:
            values = column.values.astype(np.int64).tolist()
        case _:
            values = column.values.tolist()
    if column.nulls is None:
        return values
    return [None if is_null else value for value, is_null in zip(values, column.nulls.tolist(), strict=True)]
