"""Plain connections to SQLite, in whose tables times are text in UTC, and ids and JSON text as well."""

import sqlite3
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, closing, contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any, Final, LiteralString

import orjson

from integrity.engines.line import Line, Row
from integrity.engines.target import Target
from integrity.engines.transaction import refusal


@contextmanager
def open_line(target: Target, schemas: Sequence[str], *, is_read_only: bool) -> Iterator[Line]:
    """Open a line for the block; see engine.Engine."""
    try:
        with closing(target.connect_sqlite(schemas, is_read_only=is_read_only)) as connection:
            yield SqliteLine(connection)
    except sqlite3.Error as error:
        raise refusal(target, error) from None


class SqliteLine:
    """See line.Line."""

    now: Final = "datetime('now')"
    lock: Final = ""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection

    def ask(self, query: LiteralString, values: Sequence[Any] = ()) -> list[Row]:
        return [tuple(row) for row in self._execute(query, values)]

    def write(self, statement: LiteralString, values: Sequence[Any] = ()) -> None:
        self._execute(statement, values)

    def try_to_write(self, statement: LiteralString, values: Sequence[Any] = ()) -> bool:
        self._execute(statement, values)
        return True

    def after(self, span: timedelta) -> tuple[LiteralString, Any]:
        return "%s", datetime.now(UTC) + span

    def transaction(self) -> AbstractContextManager[object]:
        return _transaction(self._connection)

    def copy(self, table: LiteralString, columns: Sequence[str], types: Sequence[str], rows: Iterable[Row]) -> None:
        marks = ", ".join("?" * len(types))
        adapters = [_ADAPTERS.get(kind) for kind in types]
        self._connection.executemany(
            f"insert into {table} ({', '.join(columns)}) values ({marks})",
            (
                [
                    value if adapt is None or value is None else adapt(value)
                    for value, adapt in zip(row, adapters, strict=True)
                ]
                for row in rows
            ),
        )

    def analyze(self, tables: Sequence[LiteralString]) -> None:
        pass  # its plans for our tables are right without

    def _execute(self, statement: str, values: Sequence[Any]) -> sqlite3.Cursor:
        stored = [_time_text(value) if isinstance(value, datetime) else value for value in values]
        return self._connection.execute(statement.replace("%s", "?"), stored)


@contextmanager
def _transaction(connection: sqlite3.Connection) -> Iterator[None]:
    connection.execute("begin immediate")
    try:
        yield
    except BaseException:
        connection.rollback()
        raise
    connection.execute("commit")


def _time_text(moment: datetime) -> str:
    return moment.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S.%f")


_ADAPTERS: Mapping[str, Callable[[Any], Any]] = {
    "uuid": str,
    "jsonb": lambda value: orjson.dumps(value).decode(),
    "timestamptz": _time_text,
}
