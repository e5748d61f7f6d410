"""A wire: one connection to PostgreSQL that sends several statements at once and never waits unless told to.

The scheduler needs what ordinary drivers hide: to send a statement, go on without its answer, and ask another connection
at once whether it waits for a lock. So this speaks libpq (through psycopg) in pipeline mode, synchronously: a begin, a
statement and a question about its transaction are one flight, one round trip. Measured on a unix socket: 31 us for a
statement with the question about locks right behind it, against 73 us for the same on asyncpg with uvloop.

Parameters travel as text and the server infers their types, as it does for asyncpg.
"""

import selectors
import time
from collections import deque
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

import psycopg
from psycopg.adapt import Transformer
from psycopg.pq import DiagnosticField, ExecStatus
from psycopg.pq.abc import PGconn, PGresult

from integrity.database.target import Target, mask
from integrity.errors import DatabaseError
from integrity.operation import Row, Statement, Value
from integrity.parameters import number_parameters


@dataclass(frozen=True, slots=True)
class Refusal:
    """The server's error to a statement."""

    sqlstate: str
    message: str


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back for one statement.

    Args:
        rows: as mappings of column name to value.
        tag: the command tag, e.g. "UPDATE 1"; empty for a refused statement.
        sources: for each column the table's oid and the column's number, (0, 0) where it is computed.
        refusal: the error, if it was refused; statements behind a refused one have the same.
    """

    rows: tuple[Row, ...] = ()
    tag: str = ""
    sources: tuple[tuple[int, int], ...] = ()
    refusal: Refusal | None = None


class WireTimeout(DatabaseError):
    """The server did not answer in time."""


class Wire:
    """One connection in pipeline mode."""

    def __init__(self, target: Target, *, settings: Mapping[str, str], wishes: Mapping[str, str]) -> None:
        """Connect.

        Args:
            settings: configuration parameters of the session.
            wishes: parameters that not every role may set; `granted` says which of them were.

        Raises:
            Unreachable: no connection, e.g. because the server has none left.
        """
        self._target = target
        self._connection = target.connect(application_name="integrity race")
        self.granted: set[str] = set()
        try:
            self._set(settings, wishes)
        except psycopg.Error as error:
            self._connection.close()
            raise target.unreachable(error) from None
        self._pgconn: PGconn = self._connection.pgconn
        self.pid: int = self._pgconn.backend_pid
        self._pgconn.nonblocking = 1
        self._pgconn.enter_pipeline_mode()
        self._transformer = Transformer(self._connection)
        self._names: dict[str, bytes] = {}  # prepared statements
        self._columns: dict[str, tuple[tuple[str, ...], tuple[tuple[int, int], ...]]] = {}
        self._expected: deque[tuple[str, bool]] = deque()  # of the flight under way: its statements; is one prepared?
        self._refusal: Refusal | None = None
        self._answers: list[Answer] = []
        self.is_busy = False
        self.flights = 0  # sent so far
        self._selector = selectors.DefaultSelector()
        self._socket: int = self._pgconn.socket
        self._selector.register(self._socket, selectors.EVENT_READ)

    def fileno(self) -> int:
        """Return the socket, for selectors; also of a connection that is gone."""
        return self._socket

    def send(self, commands: Sequence[Statement]) -> None:
        """Send the statements as one flight. The one before must have been received.

        Raises:
            DatabaseError: the connection is gone.
        """
        assert not self.is_busy, "a flight is under way"
        try:
            self._send(commands)
        except psycopg.OperationalError as error:
            raise self._broken(error) from None

    def _send(self, commands: Sequence[Statement]) -> None:
        pgconn = self._pgconn
        self.is_busy = True
        self.flights += 1
        self._answers = []
        self._refusal = None
        expected = self._expected
        for command in commands:
            sql, names = number_parameters(command.sql)
            name = self._names.get(sql)
            if name is None:
                name = b"s%d" % len(self._names)
                pgconn.send_prepare(name, sql.encode())
                expected.append((sql, True))
                self._names[sql] = name
            pgconn.send_query_prepared(name, [_encode(command.parameters[key]) for key in names])
            expected.append((sql, False))
        pgconn.pipeline_sync()
        if pgconn.flush():
            self._flush_rest()

    def receive(self) -> list[Answer] | None:
        """Return the answers of the flight under way, one a statement, or None while they are not all there.

        Raises:
            DatabaseError: the connection is gone.
        """
        pgconn = self._pgconn
        try:
            pgconn.consume_input()
            while not pgconn.is_busy():
                result = pgconn.get_result()
                if result is None:
                    continue
                if result.status == ExecStatus.PIPELINE_SYNC:
                    self.is_busy = False
                    return self._answers
                self._take(result)
        except psycopg.OperationalError as error:
            raise self._broken(error) from None
        return None

    def wait(self, seconds: float) -> list[Answer]:
        """Return the answers of the flight under way as soon as they are there.

        Raises:
            WireTimeout: they did not come in time.
            DatabaseError: the connection is gone.
        """
        deadline = time.monotonic() + seconds
        while True:
            answers = self.receive()
            if answers is not None:
                return answers
            left = deadline - time.monotonic()
            if left <= 0:
                raise WireTimeout(f"no answer from {self._target} within {seconds:g} s")
            self._selector.select(left)

    def ask(self, commands: Sequence[Statement], *, seconds: float) -> list[Answer]:
        """Send a flight and wait for its answers; one still under way is awaited and dropped."""
        if self.is_busy:
            self.wait(seconds)
        self.send(commands)
        return self.wait(seconds)

    def has_arrived(self, seconds: float = 0.0) -> bool:
        """Return whether something can be received, now or within so long."""
        return bool(self._selector.select(seconds))

    def close(self) -> None:
        self._selector.close()
        self._connection.close()

    def _broken(self, error: psycopg.Error) -> DatabaseError:
        return DatabaseError(
            f"the connection to {self._target} broke: {mask(' '.join(str(error).split()))}",
            hint="The server may have stopped or restarted; run the command again.",
        )

    def cancel(self) -> None:
        """Ask the server to cancel what runs here; its answer then comes as a refusal."""
        self._pgconn.get_cancel().cancel()

    def _set(self, settings: Mapping[str, str], wishes: Mapping[str, str]) -> None:
        for name, value in settings.items():
            self._connection.execute("select set_config(%s, %s, false)", (name, value))
        for name, value in wishes.items():
            try:
                self._connection.execute("select set_config(%s, %s, false)", (name, value))
            except psycopg.errors.InsufficientPrivilege:
                continue
            self.granted.add(name)

    def _flush_rest(self) -> None:
        """Send what the socket did not take at once, reading meanwhile so that neither side waits for the other."""
        with selectors.DefaultSelector() as selector:
            selector.register(self._pgconn.socket, selectors.EVENT_READ | selectors.EVENT_WRITE)
            while self._pgconn.flush():
                selector.select()
                self._pgconn.consume_input()

    def _take(self, result: PGresult) -> None:
        sql, is_preparing = self._expected.popleft()
        if result.status in (ExecStatus.TUPLES_OK, ExecStatus.COMMAND_OK):
            if not is_preparing:
                self._answers.append(self._read(sql, result))
            return
        if result.status == ExecStatus.FATAL_ERROR:
            self._refusal = Refusal(
                (result.error_field(DiagnosticField.SQLSTATE) or b"").decode(),
                (result.error_field(DiagnosticField.MESSAGE_PRIMARY) or b"").decode(errors="replace"),
            )
        if is_preparing:
            self._names.pop(sql, None)  # the statement itself is answered next, as aborted
        else:
            self._answers.append(Answer(refusal=self._refusal))

    def _read(self, sql: str, result: PGresult) -> Answer:
        tag = (result.command_status or b"").decode()
        if not result.nfields:
            return Answer(tag=tag)
        columns = self._columns.get(sql)
        if columns is None:
            numbers = range(result.nfields)
            columns = self._columns[sql] = (
                tuple((result.fname(n) or b"").decode() for n in numbers),
                tuple((result.ftable(n), result.ftablecol(n)) for n in numbers),
            )
        names, sources = columns
        self._transformer.set_pgresult(result)
        rows = self._transformer.load_rows(0, result.ntuples, lambda values: dict(zip(names, values, strict=True)))
        return Answer(rows=tuple(rows), tag=tag, sources=sources)


def generated_values(answer: Answer, columns: Collection[tuple[int, int]]) -> Iterator[Any]:
    """Yield the values that came from those columns, as (table oid, column number)."""
    numbers = [number for number, source in enumerate(answer.sources) if source in columns]
    for row in answer.rows if numbers else ():
        values = list(row.values())
        yield from (values[number] for number in numbers if values[number] is not None)


def _encode(value: Value) -> bytes | None:
    match value:
        case None:
            return None
        case bool():
            return b"t" if value else b"f"
        case datetime():
            return value.isoformat().encode()
        case str() | int() | UUID():
            return str(value).encode()
