"""Questions to a server about its health, through one connection that reads only."""

import time
from collections.abc import Iterator
from contextlib import closing, contextmanager, nullcontext
from dataclasses import dataclass
from typing import Any, LiteralString

import psycopg

from integrity.engines.postgresql.pooled import ServerConnection
from integrity.engines.postgresql.session_settings import OWN
from integrity.engines.postgresql.url import connection_string
from integrity.engines.refusals import reason_of
from integrity.engines.target import Target
from integrity.errors import DatabaseError
from integrity.queries.run import load_query

APPLICATION_NAME = "integrity-health"
STATEMENT_TIMEOUT_S = 5
CLOCK_QUESTIONS = 5

Row = dict[str, Any]


@dataclass(frozen=True, slots=True)
class IndexState:
    """What came of looking at an index.

    Args:
        reason: what is wrong with it, or why it was not looked at; empty: it is sound.
    """

    reason: str = ""
    is_corrupt: bool = False


class Server:
    """A PostgreSQL that is asked about its health.

    Args:
        answer_ms: how long connecting took.
    """

    def __init__(self, connection: ServerConnection, answer_ms: float) -> None:
        self._connection = connection
        self.answer_ms = answer_ms

    @property
    def is_pooled(self) -> bool:
        """Whether a pooler is in between."""
        return self._connection.is_pooled

    def ask_pooler(self, target: Target, question: LiteralString) -> list[Row] | None:
        """Return what PgBouncer's own console answers; None where it is none, or lets us not in."""
        place = connection_string(target.url.set(database="pgbouncer"))
        try:
            with closing(psycopg.connect(place, autocommit=True, connect_timeout=STATEMENT_TIMEOUT_S)) as console:
                return self._rows(console.execute(question))
        except psycopg.Error:
            return None

    def ask(self, name: str) -> list[Row]:
        """Return the rows of a query of `queries/health/`."""
        cursor = psycopg.RawCursor(self._connection)
        with self._connection.asking():
            cursor.execute(load_query(f"health/{name}").numbered.encode())
            return self._rows(cursor)

    def count(self, query: "psycopg.sql.Composed") -> int | None:
        """Return the number that a query answers with, or None when it takes too long."""
        try:
            with self._connection.asking():
                row = self._connection.execute(query).fetchone()
        except psycopg.errors.QueryCanceled:
            return None
        return None if row is None else int(row[0])

    def read_column(self, query: LiteralString) -> list[str]:
        """Return the first column of a query."""
        with self._connection.asking():
            return [row[0] for row in self._connection.execute(query).fetchall()]

    @contextmanager
    def borrowing_amcheck(self) -> Iterator[str]:
        """Install amcheck for the block, whose transaction is rolled back, and give the schema that it is in then.

        Raises:
            DatabaseError: it cannot be installed.
        """
        with self._connection.transaction(force_rollback=True):
            try:
                self._connection.execute("create extension amcheck schema pg_catalog")
            except psycopg.Error as error:
                raise DatabaseError(f"amcheck cannot be installed: {reason_of(error)}") from None
            yield "pg_catalog"

    def check_index(self, schema: str, index_id: int, time_most_s: float) -> IndexState | None:
        """Return what amcheck's bt_index_check says of an index and the rows of its table; None: it is gone meanwhile.

        Args:
            schema: of amcheck, quoted where it has to be.
        """
        limit = max(1, int(time_most_s * 1000))
        text = f"set local statement_timeout = {limit}; set local lock_timeout = 500; "
        asked = f"select {schema}.bt_index_check({index_id}::oid::regclass, true)"
        is_within = self._connection.info.transaction_status is not psycopg.pq.TransactionStatus.IDLE
        try:
            with self._connection.transaction() if is_within else nullcontext():
                self._connection.execute((text + asked).encode())
        except (psycopg.errors.UndefinedObject, psycopg.errors.UndefinedTable):
            return None
        except psycopg.errors.QueryCanceled:
            return IndexState("it takes longer than was left")
        except psycopg.Error as error:
            if error.sqlstate is None:
                raise
            reason = error.diag.message_primary or str(error)
            return IndexState(
                reason, is_corrupt=isinstance(error, psycopg.errors.IndexCorrupted | psycopg.errors.DataCorrupted)
            )
        return IndexState()

    def measure_clock(self) -> tuple[float, float]:
        """Return by how many seconds the server's clock is ahead of ours, and how exact that is.

        The answer that came soonest says it best: the server's time was taken somewhere between asking and hearing.
        """
        best = (float("inf"), 0.0)
        for _ in range(CLOCK_QUESTIONS):
            before_s, began_s = time.time(), time.perf_counter()
            row = self._connection.execute("select extract(epoch from clock_timestamp())::float8").fetchone()
            took_s = time.perf_counter() - began_s
            assert row is not None
            best = min(best, (took_s / 2, row[0] - before_s - took_s / 2))
        return best[1], best[0]

    @staticmethod
    def _rows(cursor: "psycopg.Cursor[Any]") -> list[Row]:
        names = [column.name for column in cursor.description or ()]
        return [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]


@contextmanager
def open_server(target: Target, *, timeout_s: float = STATEMENT_TIMEOUT_S) -> Iterator[Server]:
    """Connect; a question that takes the server longer is ended.

    Raises:
        Unreachable: no connection.
        UnsuitableServer: too old.
    """
    began = time.perf_counter()
    limit = f"{int(timeout_s * 1000)}ms"
    settings = {**OWN, "statement_timeout": limit, "lock_timeout": limit}
    connection = target.connect(application_name=APPLICATION_NAME, settings=settings)
    try:
        answer_ms = (time.perf_counter() - began) * 1000
        yield Server(connection, answer_ms)
    finally:
        connection.close()
