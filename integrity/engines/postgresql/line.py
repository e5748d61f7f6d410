"""Plain connections to PostgreSQL."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, closing, contextmanager
from datetime import timedelta
from typing import Any, Final, LiteralString

import orjson
import psycopg
from psycopg.types.json import Jsonb, set_json_dumps

from integrity.engines.line import Line, Row
from integrity.engines.postgresql.session_settings import OWN
from integrity.engines.target import Target
from integrity.engines.transaction import refusal


@contextmanager
def open_line(target: Target, *, name: str, is_read_only: bool, patience_s: float | None) -> Iterator[Line]:
    """Open a line for the block; see engine.Engine."""
    try:
        if is_read_only:
            with target.asking(application_name=name) as connection:
                yield PostgresqlLine(connection)
        else:
            settings = OWN if patience_s is None else {**OWN, "lock_timeout": f"{patience_s:g}s"}
            with closing(target.connect(application_name=name, settings=settings)) as connection:
                yield PostgresqlLine(connection)
    except psycopg.Error as error:
        raise refusal(target, error) from None


class PostgresqlLine:
    """See line.Line."""

    now: Final = "clock_timestamp()"
    lock: Final = " for update"

    def __init__(self, connection: "psycopg.Connection[Any]") -> None:
        self._connection = connection

    def ask(self, query: LiteralString, values: Sequence[Any] = ()) -> list[Row]:
        return self._connection.execute(query, values or None).fetchall()

    def write(self, statement: LiteralString, values: Sequence[Any] = ()) -> None:
        self._connection.execute(statement, values or None)

    def try_to_write(self, statement: LiteralString, values: Sequence[Any] = ()) -> bool:
        try:
            self.write(statement, values)
        except psycopg.errors.LockNotAvailable:
            return False
        return True

    def after(self, span: timedelta) -> tuple[LiteralString, Any]:
        return "clock_timestamp() + %s", span

    def transaction(self) -> AbstractContextManager[object]:
        return self._connection.transaction()

    def copy(self, table: LiteralString, columns: Sequence[str], types: Sequence[str], rows: Iterable[Row]) -> None:
        set_json_dumps(orjson.dumps, self._connection)
        adapters = [_ADAPTERS.get(kind) for kind in types]
        command = f"copy {table} ({', '.join(columns)}) from stdin (format binary)".encode()
        with self._connection.cursor().copy(command) as copy:
            copy.set_types(types)
            for row in rows:
                copy.write_row(
                    [
                        value if adapt is None or value is None else adapt(value)
                        for value, adapt in zip(row, adapters, strict=True)
                    ]
                )

    def analyze(self, tables: Sequence[LiteralString]) -> None:
        self._connection.execute(f"analyze {', '.join(tables)}".encode())


def _printable(text: str) -> str:
    return text.replace("\0", "")  # PostgreSQL stores no NUL


_ADAPTERS: Mapping[str, Callable[[Any], Any]] = {"jsonb": Jsonb, "text": _printable}
