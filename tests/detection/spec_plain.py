"""A plain server, driven directly: each session of a spec on a connection of its own, one step after the other.

Knows nothing of the race scheduler. A step is sent and polled for until it has ended or the server says that it is blocked
by another session (`pg_isolation_test_session_is_blocked`, as isolationtester asks it). One that begins to wait is left
alone until it has looked for a deadlock, which the server tells it in a notice: so the session that closes a circle is the
one that looks when the circle is there.
"""

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

import psycopg
from psycopg.pq import DiagnosticField, ExecStatus, TransactionStatus

from integrity.engines.target import Target
from integrity.systems.script.spec import Permutation, Spec

SECONDS_MAX = 30.0
SETTINGS = """
set deadlock_timeout = '5ms'; set log_lock_waits = on; set client_min_messages = log; set log_min_messages = fatal;
set enable_seqscan = off; set jit = off; set timezone = 'UTC'
"""
_BLOCKED = """
select
    pg_isolation_test_session_is_blocked(%(pid)s::int4, %(others)s::int4[]),
    cardinality(pg_safe_snapshot_blocking_pids(%(pid)s::int4)) > 0
"""


class Infeasible(Exception):
    """A permutation has a step of a session that is blocked."""


@dataclass(frozen=True)
class Result:
    """What came of one step.

    Args:
        has_waited: for another session.
        sqlstate: of the error, or empty.
        rows: as text.
    """

    has_waited: bool
    sqlstate: str = ""
    rows: tuple[tuple[str | None, ...], ...] = ()


@dataclass(frozen=True)
class Played:
    """A permutation, played.

    Args:
        results: by the name of the step.
        tables: what each table held in the end.
    """

    results: dict[str, Result]
    tables: dict[str, tuple[tuple[str | None, ...], ...]]


@dataclass
class _Connection:
    connection: "psycopg.Connection[tuple[object, ...]]"
    looks: int = 0
    step: str = ""
    has_waited: bool = False
    sqlstate: str = ""
    rows: list[tuple[str | None, ...]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.pid = self.connection.info.backend_pid
        self.connection.add_notice_handler(self._hear)

    def _hear(self, notice: psycopg.errors.Diagnostic) -> None:
        self.looks += notice.source_function == "ProcSleep"

    def send(self, step: str, sql: str) -> None:
        self.step, self.has_waited, self.sqlstate, self.rows = step, False, "", []
        self.connection.pgconn.send_query(sql.encode())

    def ends(self) -> bool:
        """Take in what has arrived; return whether the step has ended."""
        pgconn = self.connection.pgconn
        pgconn.consume_input()
        while not pgconn.is_busy():
            result = pgconn.get_result()
            if result is None:
                return True
            if result.status == ExecStatus.FATAL_ERROR:
                self.sqlstate = (result.error_field(DiagnosticField.SQLSTATE) or b"").decode()
            for row in range(result.ntuples):
                values = (result.get_value(row, column) for column in range(result.nfields))
                self.rows.append(tuple(None if value is None else value.decode() for value in values))
        return False


class PlainServer:
    """Plays permutations of specs on a database; a context manager's worth of connections is opened for each."""

    def __init__(self, database: Target) -> None:
        self._database = database

    def play(self, spec: Spec, permutation: Permutation) -> Played:
        """Play one permutation on fresh tables.

        Raises:
            Infeasible: a step's session was blocked.
        """
        with connect(self._database) as control, laid_out(control, spec):
            sessions = {session.name: _Connection(self._connect()) for session in spec.sessions}
            try:
                results = self._play(spec, permutation, sessions, control)
            finally:
                for session in sessions.values():
                    if session.connection.info.transaction_status != TransactionStatus.IDLE:
                        session.connection.cancel_safe()
                    session.connection.close()
                _await_gone(control, [session.pid for session in sessions.values()])
            return Played(results, read_tables(control))

    def _connect(self) -> "psycopg.Connection[tuple[object, ...]]":
        connection = self._database.connect()
        connection.execute(SETTINGS)
        return connection

    def _play(
        self,
        spec: Spec,
        permutation: Permutation,
        sessions: dict[str, _Connection],
        control: "psycopg.Connection[tuple[object, ...]]",
    ) -> dict[str, Result]:
        results: dict[str, Result] = {}
        waiting: list[_Connection] = []
        for session in spec.sessions:
            if session.setup:
                sessions[session.name].connection.execute(session.setup)
        texts = {step.name: step.sql for session in spec.sessions for step in session.steps}
        for name in permutation.steps:
            connection = sessions[spec.session_of(name).name]
            if connection in waiting:
                raise Infeasible(f"{name}: {connection.step} is blocked")
            connection.send(name, texts[name])
            waiting.append(connection)
            self._settle(waiting, list(sessions.values()), control, results)
        if waiting:
            raise Infeasible(f"{waiting[0].step} is blocked at the end")
        return results

    def _settle(
        self,
        waiting: list[_Connection],
        sessions: Sequence[_Connection],
        control: "psycopg.Connection[tuple[object, ...]]",
        results: dict[str, Result],
    ) -> None:
        """Wait until each pending step has ended or is blocked, and has looked for a deadlock."""
        deadline = time.monotonic() + SECONDS_MAX
        pids = [session.pid for session in sessions]
        while time.monotonic() < deadline:
            is_settled = True
            for each in list(waiting):
                looks = each.looks
                if each.ends():
                    results[each.step] = Result(each.has_waited or each.looks > 0, each.sqlstate, tuple(each.rows))
                    each.looks = 0
                    waiting.remove(each)
                    is_settled = False
                    continue
                asked = {"pid": each.pid, "others": [other for other in pids if other != each.pid]}
                is_blocked, is_for_snapshot = control.execute(_BLOCKED, asked).fetchone() or (False, False)
                each.has_waited |= bool(is_blocked)
                is_settled = is_settled and bool(is_blocked) and (looks > 0 or bool(is_for_snapshot))
            if is_settled:
                return
        raise AssertionError(f"{[each.step for each in waiting]} neither ended nor waited within {SECONDS_MAX:g} s")


@contextmanager
def connect(database: Target) -> Iterator["psycopg.Connection[tuple[object, ...]]"]:
    with database.connect() as connection:
        yield connection


@contextmanager
def laid_out(control: "psycopg.Connection[tuple[object, ...]]", spec: Spec) -> Iterator[None]:
    """Make the tables of a spec, and drop them at the end."""
    for sql in spec.setups:
        control.execute(sql)
    try:
        yield
    finally:
        if spec.teardown:
            control.execute(spec.teardown)


def read_tables(control: "psycopg.Connection[tuple[object, ...]]") -> dict[str, tuple[tuple[str | None, ...], ...]]:
    """Return the rows of all tables, as text and in order."""
    names = [str(row[0]) for row in control.execute("select tablename from pg_tables where schemaname = 'public'")]
    return {
        name: tuple(sorted((str(row[0]),) for row in control.execute(f'select t::text from "{name}" as t')))
        for name in names
    }


def _await_gone(control: "psycopg.Connection[tuple[object, ...]]", pids: Sequence[int]) -> None:
    question = "select count(*) from pg_stat_activity where pid = any (%s)"
    deadline = time.monotonic() + SECONDS_MAX
    while time.monotonic() < deadline and (control.execute(question, (list(pids),)).fetchone() or (0,))[0]:
        pass
