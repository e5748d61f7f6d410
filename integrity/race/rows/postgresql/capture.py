"""Capture: what a schedule changed in a database, seen by triggers, and put back before the next one begins.

    with install(target) as capture:      # of a copy of ours, or a declared test database
        capture.mark()                    # behind the setup of a schedule; the application is idle
        ...                               # the schedule is played by the application itself
        record = capture.read()           # record.changes: rows before and after; record.touched: by transaction
        capture.undo()                    # rows and sequences are as they were at the mark

Row triggers on every table write each row that is written, old and new, into a log of ours, in the transaction that writes
it, so that it is rolled back with it. They see what cascades, triggers, rules and functions do; they fire under every role
and under `session_replication_role`; the application's rows, answers, locks and refusals stay as they are (functions.py
says by what). A row more costs it 20 microseconds.

What the triggers do not see is named in `uncovered`: what happens there is unknown. Nor do they undo definitions: what a
schedule alters, or refreshes, stays, and is named in the record (`not_undone`), where the role is a superuser by an event
trigger, so also what a function does; else where the tables show it. A schedule that alters those is refused by `undo`. A
truncate reads the table, under the lock
that it has on it anyway, and what it reads a serializable transaction has read. What a sequence gave a session in advance
(`cache`) stays with the session. A row that is put back is a new version of it, as behind an update: what asks for any row
(`limit 1` without an order) may get another one.

Logical decoding sees the same and costs the application nothing. But for old rows it needs `replica identity full`, which
changes the application's tables as well, a role with the right of replication, and `wal_level = logical`, which takes a
restart: servers come with `replica`, ours with `minimal`. And reading a slot took 1.0 to 1.4 ms for 2 to 10 rows, where
reading the log takes 0.05. So triggers are what there is everywhere.
"""

import os
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager, suppress
from datetime import datetime
from time import monotonic
from typing import Any

import psycopg
from psycopg import errors
from psycopg.adapt import Transformer
from psycopg.pq import Format

from integrity.engines.postgresql.session_settings import OWN
from integrity.engines.target import Target, mask
from integrity.engines.transaction import refusal
from integrity.errors import DatabaseError, Unreachable, UsageError, quote
from integrity.operation import Statement
from integrity.race.rows.changes import Entry, Record
from integrity.race.rows.keeping import StillOpen
from integrity.race.rows.postgresql.functions import MARK, REMOVAL, WATCH_COMMANDS, creation
from integrity.race.rows.postgresql.net import net_rows, undo_part
from integrity.race.rows.postgresql.tables import SCHEMA, TRIGGER, find_tables, turned
from integrity.race.rows.tables import CapturedTable, Uncovered

_LOCK = 0x1A7E6221  # of an advisory lock of the database: who holds it has a capture there
_APPLICATION = "integrity race rows of {}"
_OF_PROCESS = re.compile(_APPLICATION.format(r"(\d+)"))
REMOVAL_S = 30.0
"""That whoever has a table locked is given before our triggers are left on it."""
_REMOVAL_TRY_MS = 500
_SETTINGS = {**OWN, "synchronous_commit": "off"}

Connection = psycopg.Connection[Any]


class UndoRefused(DatabaseError):
    """The rows cannot be put back as they were; they are as the schedule left them."""


class Capture:
    """A capture that is on.

    Args:
        tables: by oid.
        uncovered: whose changes are not seen.
        log_oids: of the log and its parts, which every transaction locks that writes: no two meet there.
        sees_commands: definitions that are changed are noted, by whatever; else only tables are compared.
    """

    def __init__(
        self,
        target: Target,
        connection: Connection,
        *,
        tables: Mapping[int, CapturedTable],
        uncovered: tuple[Uncovered, ...],
        log_oids: frozenset[int],
        sees_commands: bool,
    ) -> None:
        self._target = target
        self._connection = connection
        transformer = Transformer(connection)  # a record may be read when the connection is closed
        self._loaders = {
            column.type_oid: transformer.get_loader(column.type_oid, Format.TEXT).load
            for table in tables.values()
            for column in table.columns
        }
        self.tables = tables
        self.uncovered = uncovered
        self.log_oids = log_oids
        self.sees_commands = sees_commands

    @property
    def backend_pid(self) -> int:
        """Of the server's process that puts rows back."""
        return self._connection.info.backend_pid

    def disconnect(self) -> None:
        """Let go of the database, which is to be dropped or copied; what was put on it stays."""
        self._connection.close()

    def connect(self) -> None:
        """Go on in a database that was made of one with this capture.

        Raises:
            UsageError: another one is on.
            DatabaseError: the server is gone.
        """
        self._connection = _connect(self._target)
        try:
            if not _lock(self._connection):
                raise _taken(self._target, self._connection)
            _become_quiet(self._connection)
        except psycopg.Error as error:
            raise refusal(self._target, error) from None

    def read_clock(self) -> datetime:
        """Return the server's time."""
        ((now,),) = self._ask("select clock_timestamp()")
        read: datetime = now
        return read

    def remove(self) -> None:
        """Take it off.

        Raises:
            DatabaseError: somebody has tables locked.
        """
        _remove(self._target, self._connection)

    def mark(self) -> None:
        """Note that a schedule begins: what is there now is what `read` compares with and `undo` goes back to.

        Behind `undo` it is so noted; what else was made since, by a setup, is to be marked.

        Raises:
            StillOpen: a transaction that wrote is open, and nothing was done.
            DatabaseError: the server is gone.
        """
        self._ask(f"select {SCHEMA}.mark()")

    def read(self) -> Record:
        """Return what was changed since the mark, and committed.

        Raises:
            DatabaseError: the server is gone.
        """
        found = self._ask(_READ)
        entries = [Entry(*row) for _, _, *row in found if row[0] is not None]
        read_at, not_undone, *_ = found[0]
        return Record(entries, self.tables, self._decode, not_undone=tuple(not_undone or ()), read_at=read_at)

    def net_statement(self, table: CapturedTable) -> Statement:
        """Return the query of the rows of a table that are not as they were; see net.net_rows."""
        return Statement(net_rows(table).as_string(self._connection))

    def undo(self) -> datetime:
        """Put all rows and sequences back as they were at the mark, in one transaction; nobody may be at work there.

        Returns:
            when, by the server's clock: what is made from then on is later.

        Raises:
            UndoRefused: they do not come back; nothing was done.
            StillOpen: a transaction that wrote is open, and nothing was done.
            DatabaseError: the server is gone.
        """
        try:
            ((began_at, _),) = self._connection.execute(_UNDO.encode()).fetchall()
        except psycopg.OperationalError as error:
            raise self._failure(error) from None
        except psycopg.Error as error:
            raise UndoRefused(
                f"{self._target}: rows are not put back: {mask(error.diag.message_primary or str(error))}", hint=_FRESH
            ) from None
        now: datetime = began_at
        return now

    def _ask(self, query: str) -> list[tuple[Any, ...]]:
        try:
            return self._connection.execute(query.encode()).fetchall()
        except psycopg.Error as error:
            raise self._failure(error) from None

    def _failure(self, error: psycopg.Error) -> DatabaseError:
        if isinstance(error, errors.LockNotAvailable):
            return StillOpen(
                f"{self._target}: a transaction that wrote there is still open, whose rows no other connection sees"
                f"{self._who_wrote()}",
                hint="See that the application is idle; let a test commit what it has written before it races.",
            )
        return refusal(self._target, error)

    def _who_wrote(self) -> str:
        """Return whose transaction is open, and the statement that it made last; empty: it has ended meanwhile."""
        return _told([(pid, name, query) for pid, name, query in self._ask(_WRITERS)])

    def _decode(self, type_oid: int, text: str) -> object:
        """Return a value as the rows of other queries have it; one that Python cannot hold, as the server spells it."""
        try:
            return self._loaders[type_oid](text.encode())
        except (psycopg.DataError, ValueError):
            return text


@contextmanager
def install(target: Target) -> Iterator[Capture]:
    """Put a capture on every table of the database that the role owns, for the block; it is removed afterwards.

    Which database that may be is the caller's to see to. What a killed process left there is removed first.

    Raises:
        UsageError: another one is on; somebody else has a schema of its name.
        DatabaseError: the role may not, or the tables are locked, at the end perhaps: then it stays, and that is said.
    """
    with closing(_connect(target)) as connection:
        try:
            _take_place(target, connection)
            is_quiet = _become_quiet(connection)
            found = find_tables(connection)
            with connection.transaction():
                for statement in creation(found.tables, found.sequences):
                    connection.execute(statement)
                for table in found.tables:
                    undo, swap = (
                        undo_part(table, updates=updates).as_string(connection) for updates in (True, not is_quiet)
                    )
                    off, on = (
                        ";".join(turned(guard, table, on=on).as_string(connection) for guard in table.guards)
                        for on in (False, True)
                    )
                    connection.execute(
                        f"insert into {SCHEMA}.tables values (%s, %s, %s, %s, %s)".encode(),
                        (table.oid, undo, swap, off, on),
                    )
                sees_commands = connection.execute(_IS_SUPERUSER).fetchall() == [(True,)]
                for statement in WATCH_COMMANDS if sees_commands else ():
                    connection.execute(statement)
                log_oids = frozenset(oid for (oid,) in connection.execute(_LOG_OIDS))
        except errors.InsufficientPrivilege as error:
            raise DatabaseError(refusal(target, error).message, hint=_RIGHTS) from None
        except psycopg.Error as error:
            raise refusal(target, error) from None
        capture = Capture(
            target,
            connection,
            tables={table.oid: table for table in found.tables},
            uncovered=found.uncovered,
            log_oids=log_oids,
            sees_commands=sees_commands,
        )
        try:
            yield capture
        finally:
            capture.remove()
            capture.disconnect()


def remove(target: Target) -> bool:
    """Remove a capture that a killed process left; return whether there was one.

    Raises:
        UsageError: it is at work; somebody else has a schema of its name.
        DatabaseError: the server refuses it, or somebody has tables locked.
    """
    with closing(_connect(target)) as connection:
        try:
            return _take_place(target, connection)
        except psycopg.Error as error:
            raise refusal(target, error) from None


def _connect(target: Target) -> Connection:
    connection = target.connect(application_name=_APPLICATION.format(os.getpid()), settings=_SETTINGS)
    connection.refuse_pooler(target, "a race needs")
    return connection


def _lock(connection: Connection) -> bool:
    """Take the place of the one capture that a database has; return whether it was free."""
    return bool(connection.execute("select pg_try_advisory_lock(%s)", (_LOCK,)).fetchall()[0][0])


def _taken(target: Target, connection: Connection) -> UsageError:
    return UsageError(
        f"{target}: another race is played there{_by_whom(connection)}",
        hint="Wait for its end, or race on another database; one that hangs is over when that process is ended.",
    )


def _take_place(target: Target, connection: Connection) -> bool:
    """See to it that no capture is on, and that none can be put on beside; return whether one was left over."""
    if not _lock(connection):
        raise _taken(target, connection)
    found = connection.execute(
        "select obj_description(oid, 'pg_namespace') from pg_namespace where nspname = %s", (SCHEMA,)
    ).fetchall()
    if not found:
        return False
    if found[0][0] != MARK:
        raise UsageError(f"{target}: the schema {SCHEMA} is not ours", hint="Rename or drop it.")
    _drop(target, connection)
    return True


def _by_whom(connection: Connection) -> str:
    """Return whose the place is that is taken, as it goes on in a sentence; empty: it is free by now, or nobody may see."""
    holders: list[tuple[int, str | None]] = connection.execute(_HOLDER, {"lock": _LOCK}).fetchall()
    for pid, name in holders:
        theirs = _OF_PROCESS.search(name or "")
        return f", by the process {theirs[1]}" if theirs else f", by the server's process {pid}"
    return ""


def _remove(target: Target, connection: Connection) -> None:
    """Take the triggers away; where the connection is gone, on another one."""
    if not connection.closed:
        try:
            _drop(target, connection)
        except psycopg.OperationalError:
            connection.close()
        except psycopg.Error as error:
            raise refusal(target, error) from None
        finally:
            if not connection.closed:
                connection.execute("select pg_advisory_unlock(%s)", (_LOCK,))  # the end of a session takes its time
    if connection.closed:
        with suppress(Unreachable):  # the next one removes it
            remove(target)


def _drop(target: Target, connection: Connection) -> None:
    """Drop the schema, and with it the triggers.

    That takes each table's strongest lock, and whoever wants the table meanwhile queues behind us: so it is tried for a
    moment, and again.

    Raises:
        DatabaseError: somebody kept a table locked all the while.
        psycopg.Error: the server refuses it.
    """
    until = monotonic() + REMOVAL_S
    while True:
        try:
            with connection.transaction():
                connection.execute(f"set local lock_timeout = '{_REMOVAL_TRY_MS}ms'".encode())
                connection.execute(REMOVAL)
        except errors.LockNotAvailable:
            if monotonic() < until:
                continue
            raise DatabaseError(
                f"{target}: our triggers could not be taken from its tables within {REMOVAL_S:g} s"
                f"{_told(connection.execute(_LOCKERS.encode(), (TRIGGER,)).fetchall())} has one locked",
                hint=f"End that transaction; the next race there removes them, as does: drop schema {SCHEMA} cascade",
            ) from None
        else:
            return


def _told(processes: Sequence[tuple[int, str, str]]) -> str:
    """Return who the first of these processes of the server is, and what it asked last."""
    for pid, name, query in processes:
        application = f" ({name})" if name else ""
        return f": process {pid}{application}, {quote(' '.join(query.split()))}"
    return ""


def _become_quiet(connection: Connection) -> bool:
    """Let foreign keys and the application's triggers do nothing in the session; return whether the role may.

    Where it may not, `undo` turns triggers off and on again, which an owner may, and lets foreign keys see the end only.
    """
    try:
        connection.execute("set session_replication_role = replica")
    except errors.InsufficientPrivilege:
        return False
    return True


_UNDO = f"select clock_timestamp(), {SCHEMA}.undo()"
# One row at least, that of the time: a question more would cost as much again.
_READ = f"""
    select now.*, log.transaction_id::text::int8, log.pid, log.relation::int8, log.operation, log.old, log.new
    from (
        select
            clock_timestamp(),
            (select array_agg(done order by done) from {SCHEMA}.not_undone() as done where done is not null)
    ) as now
    left join {SCHEMA}.log on true
    order by log.written_at
"""
_WRITERS = f"""
    select a.pid, a.application_name, a.query
    from pg_catalog.pg_locks as l
    join pg_catalog.pg_stat_activity as a on a.pid = l.pid
    where l.relation = '{SCHEMA}.log'::regclass and l.database = (
        select oid from pg_catalog.pg_database where datname = current_database()
    ) and l.mode = 'RowExclusiveLock' and l.granted
    order by a.pid
    limit 1
"""
_HOLDER = """
    select a.pid, a.application_name
    from pg_catalog.pg_locks as l
    join pg_catalog.pg_stat_activity as a on a.pid = l.pid
    where l.locktype = 'advisory' and l.granted and l.objsubid = 1 and l.classid = 0 and l.objid = %(lock)s
        and l.database = (select oid from pg_catalog.pg_database where datname = current_database())
"""
_LOCKERS = """
    select a.pid, a.application_name, a.query
    from pg_catalog.pg_trigger as t
    join pg_catalog.pg_locks as l on l.relation = t.tgrelid and l.granted
    join pg_catalog.pg_stat_activity as a on a.pid = l.pid
    where t.tgname = %s and a.pid <> pg_backend_pid() and l.database = (
        select oid from pg_catalog.pg_database where datname = current_database()
    )
    order by a.pid
    limit 1
"""
_IS_SUPERUSER = "select rolsuper from pg_catalog.pg_roles where rolname = current_user"
_LOG_OIDS = f"""
    select unnest(array[c.oid, c.reltoastrelid, i.indexrelid])::int8
    from pg_class as c
    join pg_index as i on i.indrelid = c.reltoastrelid
    where c.oid = '{SCHEMA}.log'::regclass
"""
_RIGHTS = "Connect as the owner of the tables, and let that role make a schema: grant create on database ... to ...."
_FRESH = "Race without what does that: between two schedules nothing else puts it back."

__all__ = ["Capture", "Record", "UndoRefused", "install", "remove"]
