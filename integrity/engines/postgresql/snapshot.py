"""Snapshots of PostgreSQL: one connection exports that of a read-only transaction and the others import it.

Its transactions are in repeatable read, so queries on all of them see the same rows while clients go on writing. That works
with a role that may only select, and on a hot standby; nothing is created, not even a temporary table. Each query runs
behind a savepoint.
"""

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from datetime import UTC
from typing import Any, LiteralString

import psycopg
from psycopg import sql
from psycopg.rows import TupleRow

from integrity.engines.facts import Facts, TableName
from integrity.engines.postgresql.connecting import begin_with
from integrity.engines.postgresql.facts import read_facts
from integrity.engines.postgresql.server_text import names_of, rows_of, select_text, types_of
from integrity.engines.postgresql.session_settings import audit_settings
from integrity.engines.postgresql.spelling import SPELLING
from integrity.engines.query_plan import QueryPlan
from integrity.engines.server_text import Rows, distinct, limit_of_a_value
from integrity.engines.snapshot import QueryFailed, Snapshot
from integrity.engines.target import Target
from integrity.errors import UsageError, quote
from integrity.numbers import counted
from integrity.sql.file import SqlFile

APPLICATION_NAME = "integrity-validate"

_READING = "Let the role that asks read it: grant select on the table, usage on its schema, or pg_read_all_data."
USUAL_PATH = '"$user", public'


@contextmanager
def open_snapshot(target: Target, count: int, timeout_s: float, role: str | None) -> Iterator[Snapshot]:
    """Open a snapshot for the block; see Target.open_snapshot."""
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
        many = counted(count, "connection")
        sessions = tuple(PostgresqlSession(connection, path) for connection in connections)
        yield Snapshot(
            sessions=sessions,
            taken_at=taken_at.astimezone(UTC),
            consistency=f"one snapshot ({name}) of {where}, through {many}"
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

    spelling = SPELLING

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

    def read_facts(self, names: Iterable[TableName]) -> Facts:
        return read_facts(self, names)

    def find_refusals(self, texts: Mapping[str, str], trusted: Collection[str]) -> dict[str, str]:
        from integrity.engines.postgresql.reach import find_refusals

        return find_refusals(self, texts, trusted)

    def explain(self, query: SqlFile, values: Sequence[Any]) -> QueryPlan:
        from integrity.engines.postgresql.query_plan import read_plan

        return read_plan(self.read(f"explain (analyze, timing off, format json) {query.numbered}", values))

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
