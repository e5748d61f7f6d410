"""Snapshots of SQLite: one read transaction over the attached files, on one connection."""

import sqlite3
import time
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from integrity.engines.facts import Facts, TableName
from integrity.engines.query_plan import QueryPlan
from integrity.engines.server_text import Rows, distinct
from integrity.engines.snapshot import QueryFailed, Snapshot
from integrity.engines.sqlite.facts import read_facts
from integrity.engines.sqlite.server_text import rows_of_sqlite
from integrity.engines.sqlite.spelling import SPELLING
from integrity.engines.target import Target
from integrity.numbers import counted
from integrity.sql.file import SqlFile
from integrity.sql.name import in_quotes


@contextmanager
def open_snapshot(target: Target, timeout_s: float) -> Iterator[Snapshot]:
    """Open a snapshot for the block; see Target.open_snapshot."""
    target.require()
    connection = target.connect_sqlite(target.find_schemas(), is_read_only=True)
    connection.text_factory = _decode
    try:
        connection.execute("begin")
        files = [row["name"] for row in connection.execute("pragma database_list")]
        for name in files:  # a read of each file is what opens the transaction on it
            connection.execute(f"select count(*) from {in_quotes(name)}.sqlite_master").fetchone()
        connection.execute("pragma query_only = on")
        connection.set_authorizer(_allow_reading)
        yield Snapshot(
            sessions=(SqliteSession(connection, timeout_s),),
            taken_at=datetime.now(UTC),
            consistency=f"one read transaction of SQLite {sqlite3.sqlite_version} over {counted(len(files), 'file')}",
        )
    except sqlite3.Error as error:
        raise target.unreachable(error) from None
    finally:
        connection.close()


def _decode(text: bytes) -> str:
    return text.decode("utf-8", "replace")  # SQLite checks no text; one that is broken is no reason to fail


_ACTING_FUNCTIONS = frozenset({"edit", "fts3_tokenizer", "load_extension", "readfile", "writefile"})
"""What SQLite, its shell or its extensions bring and what does more than read a table; Python's has not all of them."""


def _allow_reading(action: int, first: str | None, second: str | None, *_: object) -> int:
    """Return whether a statement may do this: the file is opened read only, and these would reach past it."""
    is_acting = action == sqlite3.SQLITE_FUNCTION and (second or "").lower() in _ACTING_FUNCTIONS
    is_denied = is_acting or action in (sqlite3.SQLITE_ATTACH, sqlite3.SQLITE_DETACH)
    return sqlite3.SQLITE_DENY if is_denied else sqlite3.SQLITE_OK


class SqliteSession:
    """A connection in a read transaction."""

    spelling = SPELLING

    def __init__(self, connection: sqlite3.Connection, timeout_s: float) -> None:
        self._connection = connection
        self._timeout_s = timeout_s

    def read(self, text: str, values: Sequence[Any] = (), *, row_limit: int | None = None, is_own: bool = False) -> Rows:
        with self._asked(text, values) as cursor:
            names = distinct([column[0] for column in cursor.description])
            found = cursor.fetchall() if row_limit is None else cursor.fetchmany(row_limit)
            return [dict(zip(names, row, strict=True)) for row in found]

    def read_text(self, text: str, values: Sequence[Any] = (), *, row_limit: int) -> Rows:
        with self._asked(text, values) as cursor:
            return rows_of_sqlite(cursor, row_limit)

    def count(self, text: str, values: Sequence[Any] = ()) -> int:
        with self._asked(text, values) as cursor:
            return sum(1 for _ in cursor)

    def tables(self, text: str, values: Sequence[Any] = ()) -> list[tuple[str, str]]:
        return []

    def read_facts(self, names: Iterable[TableName]) -> Facts:
        return read_facts(self, names)

    def find_refusals(self, texts: Mapping[str, str], trusted: Collection[str]) -> dict[str, str]:
        return {}  # its functions do not act, but for those that are switched off above

    def explain(self, query: SqlFile, values: Sequence[Any]) -> QueryPlan:
        from integrity.engines.sqlite.query_plan import count_rows, find_constraint, is_limited, read_plan

        plan = self.read(f"explain query plan {SPELLING.numbered(query)}", values)
        return read_plan(
            plan,
            lambda name: count_rows(self, query, name),
            name_of=lambda index: find_constraint(self, index),
            is_limited=is_limited(query),
        )

    @contextmanager
    def _asked(self, text: str, values: Sequence[Any]) -> Iterator[sqlite3.Cursor]:
        deadline = time.monotonic() + self._timeout_s
        self._connection.set_progress_handler(lambda: time.monotonic() > deadline, 100_000)
        try:
            # To Python 3.12 `?1` is a named parameter: a mapping is what every version takes.
            numbered = {str(number): encode_for_sqlite(value) for number, value in enumerate(values, start=1)}
            cursor = self._connection.execute(text, numbered)
            yield cursor
            cursor.close()
        except sqlite3.Error as error:
            reason = str(error)
            is_missing = reason.startswith("no such table")
            raise QueryFailed(reason, is_timeout="interrupted" in reason, is_missing=is_missing) from None
        finally:
            self._connection.set_progress_handler(None, 0)

    def cancel(self) -> None:
        self._connection.interrupt()


def encode_for_sqlite(value: object) -> object:
    """Return the value as the tables of ours hold it: times as UTC text that compares in time order, ids as text."""
    if isinstance(value, datetime):
        return value.astimezone(UTC).replace(tzinfo=None).isoformat(sep=" ")
    return str(value) if isinstance(value, UUID) else value
