"""A snapshot: one instant of a database, read through one or more connections that cannot write.

PostgreSQL: one connection exports the snapshot of a repeatable-read, read-only transaction and the others import it, so
that queries on all of them see the same rows while clients go on writing. That works with a role that may only select, and
on a hot standby; nothing is created, not even a temporary table. SQLite: one read transaction over the attached files, on
one connection. A failed query leaves its session usable: each runs behind a savepoint.
"""

import sqlite3
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, LiteralString, Protocol
from uuid import UUID

import psycopg
from psycopg import sql
from psycopg.rows import TupleRow

from integrity.engines.postgresql.session_settings import audit_settings
from integrity.engines.server_text import (
    Rows,
    distinct,
    limit_of_a_value,
    names_of,
    rows_of,
    rows_of_sqlite,
    select_text,
    types_of,
)
from integrity.engines.target import Target, begin_with
from integrity.errors import Unreachable, UsageError, quote

APPLICATION_NAME = "integrity-validate"

_READING = "Let the role that asks read it: grant select on the table, usage on its schema, or pg_read_all_data."
USUAL_PATH = '"$user", public'


class QueryFailed(Exception):
    """The database did not answer a query.

    Args:
        reason: the server's own words, without a stack of context.
        position: of the error in the text that was sent, from 1; None when the server did not say.
        hint: the server's, if it gave one.
        is_timeout: the time limit ended it.
        is_missing: a table or schema that it names is not there.
        is_unfit: the text or a value of it is nothing that the server takes, e.g. a character that its encoding lacks.
        is_snapshot_lost: a standby cancelled it to go on replaying, or the connection broke; a new snapshot may do better.
    """

    def __init__(
        self,
        reason: str,
        *,
        position: int | None = None,
        hint: str | None = None,
        is_timeout: bool = False,
        is_missing: bool = False,
        is_unfit: bool = False,
        is_snapshot_lost: bool = False,
    ) -> None:
        super().__init__(reason)
        self.reason = reason
        self.position = position
        self.hint = hint
        self.is_timeout = is_timeout
        self.is_missing = is_missing
        self.is_unfit = is_unfit
        self.is_snapshot_lost = is_snapshot_lost


class Session(Protocol):
    """One connection that looks at the snapshot. Used by one thread at a time, except for cancel."""

    def read(self, text: str, values: Sequence[Any] = (), *, row_limit: int | None = None, is_own: bool = False) -> Rows:
        """Return the query's rows.

        Args:
            text: one select with `$1` (PostgreSQL) or `?1` (SQLite) for the values.
            row_limit: return the first ones only, and let the server stop there. None: all.
            is_own: it is a question of ours to the catalogue, in which nothing may stand in front of PostgreSQL's own.

        Raises:
            QueryFailed: no answer.
        """
        ...

    def read_text(self, text: str, values: Sequence[Any] = (), *, row_limit: int) -> Rows:
        """Return the query's first rows, spelled by the database (see server_text): no value can fail to be read.

        Raises:
            QueryFailed: no answer.
        """
        ...

    def count(self, text: str, values: Sequence[Any] = ()) -> int:
        """Return how many rows a query has: it is sent as it stands, with nothing written around it, and read to its end.

        Raises:
            QueryFailed: no answer, or it is not one select.
        """
        ...

    def tables(self, text: str, values: Sequence[Any] = ()) -> list[tuple[str, str]]:
        """Return schema and name of each table that the query reads, by way of views too; none where nobody can tell.

        Raises:
            QueryFailed: no answer.
        """
        ...

    def cancel(self) -> None:
        """End the running query from another thread."""
        ...


@dataclass(frozen=True, slots=True)
class Snapshot:
    """An instant of a database.

    Args:
        sessions: at least one; all see the same rows.
        taken_at: the server's time of it.
        consistency: one sentence for reports that says what kind of snapshot it is.
        caution: one sentence on what the role could do beside reading; empty: nothing that the tables show.
        is_shadowed: the search_path has something in front of PostgreSQL's own functions and operators, so that what a
            query means is only known to the server.
    """

    sessions: tuple[Session, ...]
    taken_at: datetime
    consistency: str
    caution: str = ""
    is_shadowed: bool = False


@contextmanager
def open_snapshot(target: Target, *, connections: int, timeout_s: float, role: str | None = None) -> Iterator[Snapshot]:
    """Open a snapshot; it ends, and its connections with it, when the block ends.

    Args:
        connections: how many sessions to open; SQLite always has one.
        timeout_s: the time limit of each query.
        role: whose rights to take on, for the snapshot only; None: those of the role that connects.

    Raises:
        UsageError: there is no such role, or it may not be taken on.
        Unreachable: no connection, or not that many.
        UnsuitableServer: too old.
    """
    if target.is_sqlite and role is not None:
        raise UsageError(f"{target} has no roles", hint="Leave --as out.")
    if target.is_sqlite:
        with _open_sqlite(target, timeout_s) as snapshot:
            yield snapshot
    else:
        with _open_postgresql(target, connections, timeout_s, role) as snapshot:
            yield snapshot


@contextmanager
def _open_postgresql(target: Target, count: int, timeout_s: float, role: str | None) -> Iterator[Snapshot]:
    connections: list[psycopg.Connection[TupleRow]] = []
    try:
        exporter = _connect(target, connections, timeout_s)
        _take_on(exporter, role)
        row = exporter.execute(
            """
            select
                pg_catalog.pg_export_snapshot(),
                pg_catalog.transaction_timestamp(),
                pg_catalog.current_setting('server_version'),
                pg_catalog.pg_is_in_recovery(),
                pg_catalog.current_setting('search_path'),
                pg_catalog.current_schemas(true)
            """
        ).fetchone()
        assert row is not None
        name, taken_at, version, is_standby, path, schemas = row
        for _ in range(count - 1):
            other = _connect(target, connections, timeout_s)
            other.execute(sql.SQL("set transaction snapshot {name}").format(name=sql.Literal(name)))
            _take_on(other, role)
        where = f"PostgreSQL {version.split()[0]}{' (standby)' if is_standby else ''}"
        many = "1 connection" if count == 1 else f"{count} connections"
        sessions = tuple(PostgresqlSession(connection, path) for connection in connections)
        yield Snapshot(
            sessions=sessions,
            taken_at=taken_at.astimezone(UTC),
            consistency=f"one snapshot ({name}) of {where}, read through {many}"
            + ("" if path == USUAL_PATH else f", search_path {path}"),
            caution=_caution(sessions[0]),
            # Functions and operators are never looked for among the temporary ones.
            is_shadowed=next(schema for schema in schemas if not schema.startswith("pg_temp")) != "pg_catalog",
        )
    except psycopg.Error as error:
        raise target.unreachable(error) from None
    finally:
        for connection in connections:
            connection.close()


def _connect(
    target: Target, connections: list[psycopg.Connection[TupleRow]], timeout_s: float
) -> psycopg.Connection[TupleRow]:
    # What is set holds for the transaction only, so that a pooler's server connection goes back as it was.
    connection = target.connect(application_name=APPLICATION_NAME, settings={})
    connections.append(connection)
    connection.prepare_threshold = None  # a pooler in front of the server may not know prepared statements
    begin_with(connection, "isolation level repeatable read, read only", audit_settings(timeout_s))
    return connection


def _take_on(connection: psycopg.Connection[TupleRow], role: str | None) -> None:
    if role is None:
        return
    if role in ("", "none"):  # by which the server would keep the role that connects
        raise UsageError(f"--as {quote(role)}: no role has this name", hint="Leave --as out, or name a role.")
    try:
        connection.execute(sql.SQL("set local role {}").format(sql.Identifier(role)))
    except psycopg.Error as error:
        reason = error.diag.message_primary or " ".join(str(error).split())
        if isinstance(error, psycopg.errors.InsufficientPrivilege):
            hint = f"Let who connects take it on: {_statement('grant {} to {}', role, connection.info.user)}"
        else:
            hint = f"Make it: {_statement('create role {}', role)}"
        raise UsageError(f"--as {role}: {reason}", hint=hint) from None


def _statement(template: LiteralString, *names: str) -> str:
    return sql.SQL(template).format(*map(sql.Identifier, names)).as_string()


# PostgreSQL before 14 has no pg_read_all_data. The role of the embedded server is the only one that it has.
_POWERS = """
select
    current_user::text as role,
    roles.rolsuper as is_superuser,
    exists (
        select from pg_catalog.pg_class as tables
        where tables.relkind in ('r', 'p') and tables.oid >= 16384 and pg_catalog.pg_has_role(tables.relowner, 'usage')
    ) as is_owner,
    pg_catalog.current_setting('listen_addresses') = '' and roles.rolname = 'integrity' as is_embedded,
    exists (select from pg_catalog.pg_roles where rolname = 'pg_read_all_data') as has_reader
from pg_catalog.pg_roles as roles
where roles.rolname = current_user
"""


def _caution(session: "PostgresqlSession") -> str:
    try:
        row = session.read(_POWERS, is_own=True)[0]
    except QueryFailed:  # a catalogue that is locked, a snapshot that is lost: what is asked next says so
        return ""
    if row["is_embedded"] or not (row["is_superuser"] or row["is_owner"]):
        return ""
    powers = (
        "a superuser: it could change any table, end sessions and read the server's files"
        if row["is_superuser"]
        else "an owner of tables here: it could change what is judged"
    )
    rights = "pg_read_all_data" if row["has_reader"] else "select on all tables in schema ..."
    making = f"create role auditor login; grant {rights} to auditor"
    return f"asked as {row['role']}, {powers}. A role that only reads: {making}; then --as auditor"


_QUESTION = sql.SQL("savepoint question")
_FORGET = "rollback to savepoint question; release savepoint question"
_LESS_PATIENCE = "set local lock_timeout = '500ms'"
"""Once it has waited for one lock in full: a table that is locked is in many invariants, and is not waited for in each."""
_DECLARE = "declare answer no scroll cursor for "


_LOCKED = """
select relation::bigint from pg_lock_status() where pid = pg_backend_pid() and locktype = 'relation' and granted
"""
_TABLES = """
select namespaces.nspname, classes.relname
from pg_class as classes
join pg_namespace as namespaces on namespaces.oid = classes.relnamespace
where classes.oid = any ($1::bigint[]::oid[]) and classes.relkind in ('r', 'p', 'm', 'f', 'S')
order by namespaces.nspname, classes.relname
"""


class PostgresqlSession:
    """A connection in a repeatable-read, read-only transaction.

    Args:
        path: its search_path, which holds for what is asked for others.
    """

    def __init__(self, connection: psycopg.Connection[TupleRow], path: str) -> None:
        self._connection = connection
        own = sql.Literal(f"pg_catalog, {path}" if path else "pg_catalog")
        self._own_question = _QUESTION + sql.SQL("; select pg_catalog.set_config('search_path', {}, true)").format(own)

    def read(self, text: str, values: Sequence[Any] = (), *, row_limit: int | None = None, is_own: bool = False) -> Rows:
        with self._question("" if row_limit is None else _DECLARE, is_own=is_own) as cursor:
            if row_limit is None:
                cursor.execute(text.encode(), values or None)
            else:
                self._declare(cursor, text, values)
                cursor.execute(b"fetch %d in answer" % row_limit)
            names = distinct([column.name for column in cursor.description or ()])
            return [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]

    def read_text(self, text: str, values: Sequence[Any] = (), *, row_limit: int) -> Rows:
        with self._question(_DECLARE) as cursor:
            self._declare(cursor, text, values)
            cursor.execute(b"fetch 0 in answer")
            assert cursor.pgresult is not None
            names, types = names_of(cursor.pgresult), types_of(cursor.pgresult)
            cursor.execute(b"close answer")
            written = select_text(text, types, limit_of_a_value(row_limit, len(types)))
            self._declare(cursor, written if types else text, values)
            cursor.execute(b"fetch %d in answer" % row_limit)
            return rows_of(cursor.pgresult, names, types)

    def count(self, text: str, values: Sequence[Any] = ()) -> int:
        with self._question(_DECLARE) as cursor:
            # Planned for the last row, where a cursor is planned for its first ones.
            cursor.execute(b"set local cursor_tuple_fraction = 1")
            self._declare(cursor, text, values)
            cursor.execute(b"move forward all in answer")
            return cursor.rowcount

    def tables(self, text: str, values: Sequence[Any] = ()) -> list[tuple[str, str]]:
        """See Session. What the server locks while it reads and plans the query is what the query can read.

        A plan would not do: it leaves out what a condition that is never true makes needless.
        """
        with self._question(_DECLARE) as cursor:
            self._declare(cursor, text, values)
            cursor.execute(b"select pg_catalog.set_config('search_path', 'pg_catalog', true)")
            cursor.execute(_LOCKED.encode())  # asked without a table, which would be locked as well
            locked = [row[0] for row in cursor.fetchall()]
            cursor.execute(_TABLES.encode(), [locked])
            return [(schema, name) for schema, name in cursor.fetchall()]

    @contextmanager
    def _question(self, prefix: str, *, is_own: bool = False) -> "Iterator[psycopg.RawCursor[TupleRow]]":
        """Yield a cursor behind a savepoint, so that a query that fails leaves the transaction as it was."""
        try:
            self._connection.execute(self._own_question if is_own else _QUESTION)
            yield psycopg.RawCursor(self._connection)
            self._connection.execute(_FORGET)  # closes the query's cursor too
        except psycopg.Error as error:
            failed = self._failure(error, len(prefix))
            self._forget()
            if isinstance(error, psycopg.errors.LockNotAvailable):
                self._connection.execute(_LESS_PATIENCE)
            raise failed from None
        except BaseException:
            self._forget()
            raise

    def _forget(self) -> None:
        if not self._connection.broken and not self._connection.closed:
            self._connection.execute(_FORGET)

    def _declare(self, cursor: "psycopg.RawCursor[TupleRow]", text: str, values: Sequence[Any]) -> None:
        """Open a cursor on the query, which is not changed to be limited: its own order and limit stay.

        The server takes one select and nothing else; `binary` makes it the protocol that knows single statements only.
        """
        cursor.execute((_DECLARE + text).encode(), values or None, binary=True)

    def cancel(self) -> None:
        with suppress(psycopg.Error):  # a server that cannot be reached to be told has ended the query too
            self._connection.cancel_safe()

    def _failure(self, error: psycopg.Error, shift: int) -> QueryFailed:
        diagnostic = error.diag
        position = int(diagnostic.statement_position) - shift if diagnostic.statement_position else None
        is_lost = self._connection.broken or self._connection.closed
        return QueryFailed(
            diagnostic.message_primary or " ".join(str(error).split()),
            position=position if position is not None and position > 0 else None,
            hint=diagnostic.message_hint or (_READING if isinstance(error, psycopg.errors.InsufficientPrivilege) else None),
            is_timeout=isinstance(error, psycopg.errors.QueryCanceled),
            is_missing=isinstance(error, psycopg.errors.UndefinedTable | psycopg.errors.InvalidSchemaName),
            is_unfit=isinstance(error, psycopg.DataError),
            # A read-only transaction in repeatable read fails so only when a standby's replay needs its rows gone.
            is_snapshot_lost=is_lost
            or isinstance(error, psycopg.errors.SerializationFailure | psycopg.errors.DeadlockDetected),
        )


@contextmanager
def _open_sqlite(target: Target, timeout_s: float) -> Iterator[Snapshot]:
    if not target.file.exists():
        raise Unreachable(f"cannot open {target}: there is no such file", hint="Name the file that `integrity seed` made.")
    connection = target.connect_sqlite(target.find_schemas(), is_read_only=True)
    connection.text_factory = _decode
    try:
        connection.execute("begin")
        files = [row["name"] for row in connection.execute("pragma database_list")]
        for name in files:  # a read of each file is what opens the transaction on it
            quoted = name.replace('"', '""')
            connection.execute(f'select count(*) from "{quoted}".sqlite_master').fetchone()
        connection.execute("pragma query_only = on")
        connection.set_authorizer(_allow_reading)
        yield Snapshot(
            sessions=(SqliteSession(connection, timeout_s),),
            taken_at=datetime.now(UTC),
            consistency=f"one read transaction of SQLite {sqlite3.sqlite_version} over {len(files)} files",
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
