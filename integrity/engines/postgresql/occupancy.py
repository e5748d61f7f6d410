"""Who works in a PostgreSQL database: advisory locks of a session that does nothing else; its application name says who.

One is of the database, one of the part of it that its holder works on: what alters the tables of one system is in nobody's
way who works on another. They belong to one database, and go with their session, however that ends. A run takes them again
when a crash or a fault has ended that session. Behind a pooler they are locks of a transaction that does nothing else: that
keeps one of the pooler's connections for it alone, and they go with it.
"""

import os
import select
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import Any
from zlib import crc32

import psycopg

from integrity.engines.hold import Hold
from integrity.engines.occupancy import Occupant, refuse
from integrity.engines.postgresql.pooled import ServerConnection
from integrity.engines.postgresql.session_settings import OWN
from integrity.engines.target import Target
from integrity.engines.transaction import refusal
from integrity.errors import AuditError

LOCK_CLASS = 0x1A7E6217  # of advisory locks: the databases of this program
DATABASE = 0
"""The lock that everybody has who works in a database."""

APPLICATION = "integrity, "
PAUSE_S = 0.2

Connection = psycopg.Connection[Any]


@contextmanager
def occupy(target: Target, who: str, *, part: str, is_exclusive: bool, is_kept: bool) -> Iterator[Hold]:
    """Hold the database for the block; see occupancy.occupy."""
    session = _Session(target, who, part, is_exclusive=is_exclusive)
    session.take()
    try:
        if is_kept:
            session.keep()
        yield session
    finally:
        session.close()


def lock_of(part: str) -> int:
    """Return the lock of who works on a part of a database; of all of it where none is named."""
    return 1 + crc32(part.encode()) % (2**31 - 2)


def check_unoccupied(target: Target, server: Connection, database: str | None = None) -> None:
    """Refuse when somebody works in a database.

    Args:
        target: for the message.
        server: a session in any database of the server.
        database: None: in any of them.

    Raises:
        DatabaseError: says who.
    """
    if occupants := find_occupants(server, database):
        raise refuse(target, occupants)


def find_occupants(server: Connection, database: str | None = None, locks: Sequence[int] = (DATABASE,)) -> list[Occupant]:
    """Return who else works in a database of the server, or in any of them; who has been there longest first.

    Args:
        locks: one of which they have.
    """
    rows = server.execute(
        """
        select sessions.application_name, sessions.backend_start, databases.datname
        from pg_catalog.pg_locks as locks
        join pg_catalog.pg_database as databases on databases.oid = locks.database
        left join pg_catalog.pg_stat_activity as sessions on sessions.pid = locks.pid
        where locks.locktype = 'advisory'
            and locks.classid = %s::int8::oid
            and locks.objsubid = 2
            and locks.objid::int8 = any(%s::int8[])
            and locks.granted
            and locks.pid <> pg_catalog.pg_backend_pid()
            and (databases.datname = %s or %s::text is null)
        order by sessions.backend_start
        """,
        (LOCK_CLASS, list(locks), database, database),
    ).fetchall()
    return [Occupant((name or "").removeprefix(APPLICATION), since, place) for name, since, place in rows]


class _Session(Hold):
    """The session that holds the advisory locks, and the thread that watches over it."""

    def __init__(self, target: Target, who: str, part: str, *, is_exclusive: bool) -> None:
        self._target = target
        self._who = who
        self._locks = (DATABASE,) if is_exclusive else (DATABASE, lock_of(part))
        self._locks_alone = (lock_of(part), lock_of("")) if part else (DATABASE,)
        self._suffix = "" if is_exclusive else "_shared"
        self._connection: ServerConnection | None = None
        self._stopped = threading.Event()
        self._thread: threading.Thread | None = None
        self._wake, self._waker = os.pipe()

    def take(self) -> None:
        connection = self._target.connect(application_name=f"{APPLICATION}{self._who}", settings=OWN)
        try:
            if connection.is_pooled:
                connection.autocommit = False  # the transaction begins with the next statement
                connection.execute("set local idle_in_transaction_session_timeout = 0")
            lacking = _take(connection, self._locks, self._suffix)
            occupants = find_occupants(connection, connection.info.dbname, (lacking,)) if lacking is not None else []
        except psycopg.Error as error:
            connection.close()
            raise refusal(self._target, error) from None
        if lacking is not None:
            connection.close()
            raise refuse(self._target, occupants or [Occupant("", None, "")])
        self._connection = connection

    def rename(self, who: str) -> None:
        self._who = who
        if self._connection is not None:
            with suppress(psycopg.Error):  # it is being taken again, under the new name
                self._connection.execute(
                    "select pg_catalog.set_config('application_name', %s, %s)",
                    (f"{APPLICATION}{who}", self._connection.is_pooled),
                )

    @contextmanager
    def alone(self, why: str) -> Iterator[None]:
        """Hold its part alone for the block. Two locks of one session go with each other, so nobody gets in between."""
        connection, locks = self._connection, self._locks_alone
        if connection is None:  # it is being taken again
            raise self._target.unreachable(psycopg.OperationalError("the session that holds it was ended"))
        try:
            if connection.is_pooled:
                connection.execute("savepoint alone")
            lacking = _take(connection, locks)
            if lacking is not None:
                occupants = find_occupants(connection, connection.info.dbname, (lacking,))
                _leave(connection, locks[: locks.index(lacking)])
                raise refuse(self._target, occupants or [Occupant("", None, "")], why)
        except psycopg.Error as error:
            raise refusal(self._target, error) from None
        try:
            yield
        finally:
            with suppress(psycopg.Error):  # the locks went with their session
                _leave(connection, locks)

    def keep(self) -> None:
        self._thread = threading.Thread(target=self._watch, name="hold on the database", daemon=True)
        self._thread.start()

    def close(self) -> None:
        self._stopped.set()
        os.write(self._waker, b"x")
        if self._thread is not None:
            self._thread.join()
        if self._connection is not None:
            with suppress(psycopg.Error):  # sooner than the server notices that the session ended
                if self._connection.is_pooled:
                    self._connection.rollback()
                else:
                    _unlock(self._connection, self._locks, self._suffix)
            self._connection.close()
        os.close(self._wake)
        os.close(self._waker)

    def _watch(self) -> None:
        while not self._stopped.is_set():
            if self._connection is None:
                with suppress(AuditError):  # not there again yet
                    self.take()
                if self._connection is None:
                    self._stopped.wait(PAUSE_S)
                continue
            # Nothing comes on this session but its end: waiting for that costs nothing.
            select.select([self._connection.fileno(), self._wake], [], [])
            if self._stopped.is_set():
                return
            try:
                self._connection.execute("select 1")
            except psycopg.Error:
                self._connection.close()
                self._connection = None


def _take(connection: ServerConnection, locks: Sequence[int], suffix: str = "") -> int | None:
    """Take the locks in their order; return the first that somebody else has, None: all are taken."""
    span = "_xact" if connection.is_pooled else ""
    statement = f"select pg_catalog.pg_try_advisory{span}_lock{suffix}(%s::int4, %s::int4)".encode()
    for lock in locks:
        if connection.execute(statement, (LOCK_CLASS, lock)).fetchall() != [(True,)]:
            return lock
    return None


def _leave(connection: ServerConnection, locks: Sequence[int]) -> None:
    """Give back what was taken to be alone."""
    if connection.is_pooled:
        connection.execute("rollback to savepoint alone")
    else:
        _unlock(connection, locks)


def _unlock(connection: ServerConnection, locks: Sequence[int], suffix: str = "") -> None:
    for lock in locks:
        connection.execute(f"select pg_catalog.pg_advisory_unlock{suffix}(%s::int4, %s::int4)".encode(), (LOCK_CLASS, lock))
