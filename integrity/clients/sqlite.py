"""An SQLite connection for the driver. SQLite has one writer: others wait for it, as long as applications' connections do.

So a statement of a call that has committed something is not lost to a writer who is soon done, as on a server it would not
be; such a call cannot start again. Who has waited in vain starts again where it can, and is counted as busy.

Each connection has a thread of its own, so that clients really collide on the file. A transaction takes the write lock as
it begins: one that read first and wrote later could only fail, as SQLite lets nobody wait for an upgrade.
"""

import asyncio
import sqlite3
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from typing import Any, TypeVar

from integrity.engines.sqlite.dialect import adapt, sqlstate_of, to_sqlite
from integrity.engines.target import Target
from integrity.faults.conduct import Conduct
from integrity.operation import Answered, Begin, Rows, StatementFailed, Value

Answer = TypeVar("Answer")

BUSY_S = 5.0
"""How long a statement waits for the file, as a connection of Python's sqlite3 does by default."""


def make_connection(
    target: Target, namespaces: Sequence[str], *, conduct: Conduct | None, startup: Mapping[str, str], has_fine_clock: bool
) -> "SqliteConnection":
    """See connections.make_connection; a file has no session that settings could be of."""
    return SqliteConnection(target, namespaces, has_fine_clock=has_fine_clock)


class SqliteConnection:
    """One connection; see connection.Connection for what its methods promise.

    Args:
        target: the database.
        schemas: those of the system that is driven.
        has_fine_clock: its clock tells microseconds; SQLite's own is in whole seconds, too coarse to tell the rows of one
            call from those of the next.
    """

    # Waiting for one writer is the normal case here, not an accident: about 20 s, in which a writer may come to an end.
    attempts_most = 4

    def __init__(self, target: Target, schemas: Sequence[str], *, has_fine_clock: bool = False) -> None:
        self._target = target
        self._has_fine_clock = has_fine_clock
        self._now = ""
        self._schemas = schemas
        self._connection: sqlite3.Connection | None = None
        self._thread: ThreadPoolExecutor | None = None

    @property
    def is_open(self) -> bool:
        return self._connection is not None

    async def open(self) -> None:
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="sqlite")
        self._connection = await self._in_thread(self._connect)

    def _connect(self) -> sqlite3.Connection:
        connection = self._target.connect_sqlite(self._schemas)
        connection.execute(f"pragma busy_timeout = {round(BUSY_S * 1000)}")
        if self._has_fine_clock:
            connection.create_function("current_timestamp", 0, lambda: self._now)
        return connection

    async def begin(self, begin: Begin) -> None:
        sql = "begin" if begin.is_read_only else "begin immediate"
        await self._send(lambda connection: connection.execute(sql))

    async def begin_now(self) -> None:
        pass  # none ever waits

    async def execute(self, sql: str, parameters: Mapping[str, Value]) -> Rows:
        text = adapt(sql, "sqlite")
        values = {name: to_sqlite(value) for name, value in parameters.items()}
        self._now = to_sqlite(datetime.now(UTC))
        answered: Answered = await self._send(lambda connection: _execute(connection, text, values))
        return answered

    async def has_written(self) -> bool:
        return False

    async def commit(self) -> None:
        await self._send(_commit)

    async def rollback(self) -> None:
        await self._send(lambda connection: connection.rollback())

    def abort(self) -> None:
        connection, thread = self._connection, self._thread
        self._connection = self._thread = None
        if connection is not None and thread is not None:
            thread.submit(connection.close)  # after what is under way; closing rolls back
            thread.shutdown(wait=False)

    async def close(self) -> None:
        if self._connection is not None:
            await self._in_thread(self._connection.close)
            assert self._thread is not None
            self._thread.shutdown(wait=False)
            self._connection = self._thread = None

    async def _send(self, act: Callable[[sqlite3.Connection], Any]) -> Any:
        connection = self._connection
        if connection is None:
            raise StatementFailed("the connection was closed", sqlstate=None)
        try:
            return await self._in_thread(lambda: act(connection))
        except sqlite3.Error as error:
            raise StatementFailed(str(error), sqlstate=sqlstate_of(error)) from error

    async def _in_thread(self, act: Callable[[], Answer]) -> Answer:
        return await asyncio.get_running_loop().run_in_executor(self._thread, act)


def _execute(connection: sqlite3.Connection, text: str, values: Mapping[str, Any]) -> Answered:
    cursor = connection.execute(text, values)
    answered = Answered(cursor.fetchall())
    answered.affected = len(answered) if cursor.description else cursor.rowcount
    return answered


def _commit(connection: sqlite3.Connection) -> None:
    """Commit or, as PostgreSQL does, have rolled back: SQLite keeps a transaction open whose commit found a reader."""
    try:
        connection.execute("commit")
    except sqlite3.Error:
        connection.rollback()
        raise
