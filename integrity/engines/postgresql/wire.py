"""A wire to PostgreSQL in an event loop: libpq, through psycopg, without a coroutine for each thing that it waits for.

What is asked is sent at once, and one future waits for all of the answer. A flight is several things that travel together
and are answered together: behind one that is refused the server leaves out the rest.
"""

import asyncio
import contextlib
import os
import socket
from collections.abc import Sequence
from typing import Any

import psycopg
from psycopg.pq import ConnStatus, ExecStatus, TransactionStatus
from psycopg.pq.abc import PGconn, PGresult

Results = list[PGresult]
Prepared = tuple[bytes, Sequence[bytes | None]]
"""The name of a prepared statement, and its parameters as text."""


class WireLost(Exception):
    """There is no connection any more."""


class Wire:
    """One connection, on which one thing at a time is asked.

    Args:
        connection: open; the wire's from now on.
    """

    def __init__(self, connection: "psycopg.AsyncConnection[Any]") -> None:
        self.is_open = True
        self._connection = connection  # that lives as long as what libpq has of it
        self._pgconn: PGconn = connection.pgconn
        self._pgconn.nonblocking = 1
        self._loop = asyncio.get_running_loop()
        self._socket: int = self._pgconn.socket
        self._waiter: asyncio.Future[Results] | None = None
        self._results: Results = []
        self._is_flight = False
        self._is_writing = False
        self._loop.add_reader(self._socket, self._read)

    @property
    def is_in_transaction(self) -> bool:
        return self._pgconn.transaction_status != TransactionStatus.IDLE

    @property
    def pid(self) -> int:
        """The server's process, as it was told when connecting."""
        return self._pgconn.backend_pid

    def ask(self, text: bytes) -> "asyncio.Future[Results]":
        """Send text as it is; answered with one result a statement."""
        waiter = self._begin()
        try:
            self._pgconn.send_query(text)
            self._flush()
        except psycopg.Error as error:
            self._lose(error)
        return waiter

    def execute(self, name: bytes, parameters: Sequence[bytes | None]) -> "asyncio.Future[Results]":
        """Execute a prepared statement; answered with its result."""
        waiter = self._begin()
        try:
            self._pgconn.send_query_prepared(name, parameters)
            if self._pgconn.flush():
                self._flush()
        except psycopg.Error as error:
            self._lose(error)
        return waiter

    def execute_unnamed(self, text: bytes, parameters: Sequence[bytes | None]) -> "asyncio.Future[Results]":
        """Execute a statement that is prepared for this once; answered with its result."""
        waiter = self._begin()
        try:
            self._pgconn.send_query_params(text, parameters)
            self._flush()
        except psycopg.Error as error:
            self._lose(error)
        return waiter

    def fly(self, statements: "Sequence[tuple[bytes | None, Prepared]]") -> "asyncio.Future[Results]":
        """Execute statements in one flight; answered with a result for each, and one before it if it is prepared.

        Args:
            statements: each with its text where it has to be prepared first. That is done in its turn: a begin comes too
                late behind what has looked at tables.
        """
        waiter = self._begin()
        pgconn = self._pgconn
        try:
            pgconn.enter_pipeline_mode()
            self._is_flight = True
            for text, prepared in statements:
                if text is not None:
                    pgconn.send_prepare(prepared[0], text)
                pgconn.send_query_prepared(*prepared)
            pgconn.pipeline_sync()
            self._flush()
        except psycopg.Error as error:
            self._lose(error)
        return waiter

    def abort(self, reason: str = "the connection was closed") -> None:
        """Close abruptly: nothing more is sent, not even a farewell."""
        if not self.is_open:
            return
        if self._pgconn.status == ConnStatus.OK:  # else libpq has closed the socket, and its number may be another's
            with socket.socket(fileno=os.dup(self._socket)) as line, contextlib.suppress(OSError):
                line.shutdown(socket.SHUT_RDWR)  # or libpq would say farewell
        self._end(WireLost(reason))

    def close(self) -> None:
        """Say farewell and close."""
        if self.is_open:
            self._end(WireLost("the connection was closed"))

    def _begin(self) -> "asyncio.Future[Results]":
        if not self.is_open:
            raise WireLost("the connection was lost")
        assert self._waiter is None, "it is asked one thing at a time"
        self._results = []
        self._is_flight = False
        self._waiter = waiter = self._loop.create_future()
        return waiter

    def _read(self) -> None:
        """Take what has come; with the last of an answer whoever waits for it goes on."""
        pgconn = self._pgconn
        try:
            pgconn.consume_input()
            waiter = self._waiter
            if waiter is None:  # a notice, or the server's farewell
                pgconn.is_busy()
                return
            while not pgconn.is_busy():
                result = pgconn.get_result()
                if result is None:
                    if self._is_flight:
                        continue  # the end of one of several
                    break
                status = result.status
                if status == _SYNC:
                    pgconn.exit_pipeline_mode()
                    break
                self._results.append(result)
                if status not in _ANSWERS or (status == _REFUSED and pgconn.status == ConnStatus.BAD):
                    break
            else:
                return
        except psycopg.Error as error:
            self._lose(error)
            return
        if not self._results:
            self.abort("the server did not answer")
            return
        self._waiter = None
        if not waiter.done():
            waiter.set_result(self._results)

    def _flush(self) -> None:
        if self._pgconn.flush() and not self._is_writing:
            self._is_writing = True
            self._loop.add_writer(self._socket, self._write)

    def _write(self) -> None:
        """Send what the socket did not take at once."""
        try:
            if self._pgconn.flush():
                return
        except psycopg.Error as error:
            self._lose(error)
            return
        self._stop_writing()

    def _stop_writing(self) -> None:
        if self._is_writing:
            self._is_writing = False
            self._loop.remove_writer(self._socket)

    def _lose(self, error: psycopg.Error) -> None:
        self.abort(" ".join(str(error).split()))

    def _end(self, reason: WireLost) -> None:
        self.is_open = False
        self._stop_writing()
        self._loop.remove_reader(self._socket)
        self._pgconn.finish()
        waiter, self._waiter = self._waiter, None
        if waiter is not None and not waiter.done():
            waiter.set_exception(reason)


_SYNC, _REFUSED = int(ExecStatus.PIPELINE_SYNC), int(ExecStatus.FATAL_ERROR)
_ANSWERS = frozenset(
    map(int, (ExecStatus.TUPLES_OK, ExecStatus.COMMAND_OK, ExecStatus.EMPTY_QUERY, _REFUSED, ExecStatus.PIPELINE_ABORTED))
)
"""What ends by itself; a COPY waits for us."""
