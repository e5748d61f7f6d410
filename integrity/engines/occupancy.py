"""Who works in a database, so that nobody takes it from under them.

A run and an added seed hold the database together with others, for as long as they work; what drops or replaces holds it
alone, or is refused at once with the name of who works there. PostgreSQL: an advisory lock of a session that does nothing
else; its application name says who. It belongs to one database, and goes with its session, however that ends. A run takes
it again when a crash or a fault has ended that session. SQLite: a lock file beside the database's, removed by the last.

Behind a pooler in transaction mode a session's lock stays with a connection of the pooler's, which others share: who works
through one is seen for as long as the pooler keeps that connection, and what drops is best done past it.
"""

import fcntl
import json
import os
import select
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import psycopg

from integrity.engines.postgresql.session_settings import OWN
from integrity.engines.target import Target
from integrity.engines.transaction import refusal
from integrity.errors import AuditError, DatabaseError

LOCK_CLASS = 0x1A7E6217  # of advisory locks: the databases of this program
APPLICATION = "integrity, "
RUN = "run "
PAUSE_S = 0.2

Connection = psycopg.Connection[Any]


@dataclass(frozen=True, slots=True)
class Occupant:
    """Somebody who works in a database.

    Args:
        who: "run" and the run's id, or the command.
        since: None where the server does not tell us.
        database: its name.
    """

    who: str
    since: datetime | None
    database: str


class Hold:
    """A hold on a database; `rename` says who has it when that is known only later."""

    def rename(self, who: str) -> None:
        """Say who works there."""


@contextmanager
def occupy(target: Target, who: str, *, is_exclusive: bool, is_kept: bool = False) -> Iterator[Hold]:
    """Hold the database for the block.

    Args:
        who: works there, e.g. "seed".
        is_exclusive: alone; else together with others that do not ask to be alone.
        is_kept: taken again, in the background, when its session is ended.

    Raises:
        DatabaseError: somebody else works there who does not go with that.
        Unreachable: no connection.
    """
    if target.is_sqlite:
        with _occupy_file(target, who, is_exclusive=is_exclusive) as hold:
            yield hold
        return
    session = _Session(target, who, is_exclusive=is_exclusive)
    session.take()
    try:
        if is_kept:
            session.keep()
        yield session
    finally:
        session.close()


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


def find_occupants(server: Connection, database: str | None = None) -> list[Occupant]:
    """Return who works in a database of the server, or in any of them; who has been there longest first."""
    rows = server.execute(
        """
        select sessions.application_name, sessions.backend_start, databases.datname
        from pg_catalog.pg_locks as locks
        join pg_catalog.pg_database as databases on databases.oid = locks.database
        left join pg_catalog.pg_stat_activity as sessions on sessions.pid = locks.pid
        where locks.locktype = 'advisory'
            and locks.classid = %s::int8::oid
            and locks.objsubid = 2
            and locks.granted
            and (databases.datname = %s or %s::text is null)
        order by sessions.backend_start
        """,
        (LOCK_CLASS, database, database),
    ).fetchall()
    return [Occupant((name or "").removeprefix(APPLICATION), since, place) for name, since, place in rows]


def refuse(target: Target, occupants: Sequence[Occupant]) -> DatabaseError:
    """Return the error to raise because of who works there."""
    first = next((each for each in occupants if each.who.startswith(RUN)), occupants[0])
    since = f", started {first.since.astimezone():%Y-%m-%d %H:%M:%S}" if first.since else ""
    place = f" in {first.database}" if first.database not in ("", _name(target)) else ""
    if first.who.startswith(RUN):
        return DatabaseError(
            f"{target}: a run works there{place}: {first.who.removeprefix(RUN)}{since}", hint="End it first: integrity stop"
        )
    what = f"integrity {first.who}" if first.who else "another command"
    return DatabaseError(f"{target}: {what} works there{place}{since}", hint="Wait until it has ended, then try again.")


class _Session(Hold):
    """The session that holds the advisory lock, and the thread that watches over it."""

    def __init__(self, target: Target, who: str, *, is_exclusive: bool) -> None:
        self._target = target
        self._who = who
        self._suffix = "" if is_exclusive else "_shared"
        self._connection: Connection | None = None
        self._stopped = threading.Event()
        self._thread: threading.Thread | None = None
        self._wake, self._waker = os.pipe()

    def take(self) -> None:
        connection = self._target.connect(application_name=f"{APPLICATION}{self._who}", settings=OWN)
        try:
            (is_taken,) = connection.execute(
                f"select pg_catalog.pg_try_advisory_lock{self._suffix}(%s::int4, 0)".encode(), (LOCK_CLASS,)
            ).fetchall()[0]
            occupants = [] if is_taken else find_occupants(connection, connection.info.dbname)
        except psycopg.Error as error:
            connection.close()
            raise refusal(self._target, error) from None
        if not is_taken:
            connection.close()
            raise refuse(self._target, occupants or [Occupant("", None, "")])
        self._connection = connection

    def rename(self, who: str) -> None:
        self._who = who
        if self._connection is not None:
            with suppress(psycopg.Error):  # it is being taken again, under the new name
                self._connection.execute(
                    "select pg_catalog.set_config('application_name', %s, false)", (f"{APPLICATION}{who}",)
                )

    def keep(self) -> None:
        self._thread = threading.Thread(target=self._watch, name="hold on the database", daemon=True)
        self._thread.start()

    def close(self) -> None:
        self._stopped.set()
        os.write(self._waker, b"x")
        if self._thread is not None:
            self._thread.join()
        if self._connection is not None:
            with suppress(psycopg.Error):  # a pooler's connection would keep it
                self._connection.execute(
                    f"select pg_catalog.pg_advisory_unlock{self._suffix}(%s::int4, 0)".encode(), (LOCK_CLASS,)
                )
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


class _File(Hold):
    """A lock file that is held."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor

    def rename(self, who: str) -> None:
        said = json.dumps({"who": who, "pid": os.getpid(), "since": datetime.now(UTC).isoformat()})
        os.write(self._descriptor, f"{said}\n".encode())


@contextmanager
def _occupy_file(target: Target, who: str, *, is_exclusive: bool) -> Iterator[Hold]:
    path = target.file.with_name(f"{target.file.stem}.lock")
    try:
        descriptor = _lock_file(target, path, is_exclusive=is_exclusive)
    except OSError as error:
        raise target.unreachable(error) from None
    try:
        hold = _File(descriptor)
        hold.rename(who)
        yield hold
    finally:
        with suppress(OSError):  # others hold it still, or the folder is gone
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            path.unlink()
        os.close(descriptor)


def _lock_file(target: Target, path: Path, *, is_exclusive: bool) -> int:
    """Return a descriptor of the locked file; the one that is at the path, not one that was just removed."""
    while True:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o600)
        try:
            fcntl.flock(descriptor, (fcntl.LOCK_EX if is_exclusive else fcntl.LOCK_SH) | fcntl.LOCK_NB)
            with suppress(FileNotFoundError):
                if os.fstat(descriptor).st_ino == path.stat().st_ino:
                    return descriptor
        except BlockingIOError:
            occupant = _last_said(path, target.file.name)
            os.close(descriptor)
            raise refuse(target, [occupant]) from None
        os.close(descriptor)


def _last_said(path: Path, database: str) -> Occupant:
    """Return who came last, as the lock file says it."""
    try:
        said = json.loads(path.read_text().splitlines()[-1])
        return Occupant(said["who"], datetime.fromisoformat(said["since"]), database)
    except (OSError, IndexError, ValueError, KeyError, TypeError):
        return Occupant("", None, database)


def _name(target: Target) -> str:
    return target.file.name if target.is_sqlite else target.url.database or ""
