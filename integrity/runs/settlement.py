"""Settlement: what became of the calls whose outcome nobody learned, looked up in the database afterwards.

A row that a call makes is known by its operation_id, or by what the operation's marks say, such as a file's `-- stores:
payments.key = :key`: a call that has a row was committed, as a row is only seen when its transaction was. (pg_xact_status
would say the same of a transaction's number, which costs a round trip a transaction to learn; for an operation that
leaves no row of its own, even when it is ok, nothing can be told, and that is said.) First the server must have let go of
all the run's sessions: one that hangs could still commit.
"""

import time
from collections.abc import Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import psycopg

from integrity.database.marks import find_row_marks
from integrity.database.names import located
from integrity.engines.places import schema_of
from integrity.engines.postgresql.session_settings import OWN
from integrity.engines.snapshot import QueryFailed, Reader
from integrity.engines.spelling import NotPortable
from integrity.engines.target import Target
from integrity.engines.transaction import refusal
from integrity.faults.scene import APPLICATION_NAME
from integrity.history import Outcome
from integrity.invariants.load import load_invariants
from integrity.project import Project
from integrity.queries.run import run_query
from integrity.sql.name import literal, quoted
from integrity.systems.system import System

QUIET_S_MOST = 5.0
QUIET_POLL_S = 0.02
TIMEOUT_S = 300
TWICE = "call-at-most-once"
"""The invariant over calls and rows that finds a call which took effect twice."""


@dataclass(frozen=True, slots=True)
class Settlement:
    """What became of the calls of unknown outcome.

    Args:
        unknown: how many there are.
        committed: of these, how many have a row in the database.
        absent: how many have none, and so did not happen.
        untraceable: how many are of operations that leave no row when they are ok either: nothing can be told.
        twice: how many took effect more than once; None: it could not be asked, for `reason`.
        open_sessions: of the run, that the server still had when we gave up waiting: what is absent may yet come.
        operations: operation -> unknown, committed, absent, untraceable.
    """

    unknown: int = 0
    committed: int = 0
    absent: int = 0
    untraceable: int = 0
    twice: int | None = 0
    reason: str = ""
    open_sessions: int = 0
    operations: Mapping[str, Mapping[str, int]] = field(default_factory=dict)


def settle(target: Target, system: System, run_id: str, *, project: Project) -> Settlement:
    """Return what became of the run's calls of unknown outcome; its history is loaded.

    Args:
        project: whose invariants are looked through for the one that finds what took effect twice.

    Raises:
        Unreachable: no connection.
        DatabaseError: the database refused.
    """
    open_sessions = _wait_until_quiet(target) if target.engine.has_server else 0
    with target.open_snapshot(connections=1, timeout_s=TIMEOUT_S) as snapshot:
        session = snapshot.sessions[0]
        mark = session.spelling.mark(1, "text")
        try:
            traces = " union ".join(
                (*_traces(system, target.dialect), *map(session.spelling.adapted, _marked(system, target.dialect)))
            )
            counts = session.read(
                _COUNTS.format(traces=traces or _NONE, mark=mark, ok_calls_most=OK_CALLS_MOST),
                [run_id],
                is_own=True,
            )
            if not counts:
                return Settlement(open_sessions=open_sessions)
            operations = {row["operation"]: _of(row) for row in counts}
        except QueryFailed as failed:
            raise refusal(target, Exception(failed.reason)) from None
        twice, reason = _count_twice(session, system, run_id, project, now=snapshot.taken_at)
    totals = {name: sum(each[name] for each in operations.values()) for name in _COLUMNS}
    return Settlement(**totals, twice=twice, reason=reason, open_sessions=open_sessions, operations=operations)


def _count_twice(
    session: Reader, system: System, run_id: str, project: Project, *, now: datetime
) -> tuple[int | None, str]:
    """Return how many unknown calls of the run took effect more than once; None: it could not be asked, and why."""
    name = f"{system.name}/{TWICE}"
    file = load_invariants(project, system=system.name).get(name)
    if file is None or file.fault:
        return None, file.fault if file else f"{system.name} has no invariant {TWICE}"
    try:
        rows = run_query(session, file, {"run_id": run_id}, now=now)
    except QueryFailed as failed:
        return None, failed.reason
    except NotPortable as error:
        return None, f"it uses {error}, which cannot be said in SQLite"
    return len({row["operation_id"] for row in rows if row["outcome"] == Outcome.UNKNOWN.value}), ""


_COLUMNS = ("unknown", "committed", "absent", "untraceable")

# Whether an operation leaves rows is told by calls of it that were ok; where none was, it is taken to.
OK_CALLS_MOST = 100

_COUNTS = """
    with asked as (
        select numbered.operation_id, numbered.operation, numbered.outcome, numbered.arguments
        from (
            select
                calls.operation_id,
                calls.operation,
                calls.outcome,
                calls.arguments,
                row_number() over (partition by calls.operation, calls.outcome order by calls.operation_id) as place
            from integrity.calls as calls
            where calls.run_id = {mark} and calls.outcome in ('ok', 'unknown')
        ) as numbered
        where numbered.outcome = 'unknown' or numbered.place <= {ok_calls_most}
    ),
    traces as (
        {traces}
    ),
    seen as (
        select asked.operation, asked.outcome, case when traces.operation_id is null then 0 else 1 end as has_row
        from asked
        left join traces on traces.operation_id = asked.operation_id
    )
    select
        operation,
        sum(case when outcome = 'unknown' then 1 else 0 end) as unknown_count,
        sum(case when outcome = 'unknown' then has_row else 0 end) as committed_count,
        sum(case when outcome = 'ok' then 1 else 0 end) as ok_count,
        sum(case when outcome = 'ok' then has_row else 0 end) as ok_with_row_count
    from seen
    group by operation
    having sum(case when outcome = 'unknown' then 1 else 0 end) > 0
    order by operation
"""


_NONE = "select operation_id from asked where false"


def _traces(system: System, dialect: str) -> list[str]:
    """Return the queries of the operation ids that were asked for and that rows of the system carry."""
    tables = [table for table in system.metadata.sorted_tables if "operation_id" in table.columns]
    asked = "operation_id in (select operation_id from asked)"
    return [f"select operation_id from {located(table, dialect)} where {asked}" for table in tables]


def _marked(system: System, dialect: str) -> Iterator[str]:
    """Yield, in PostgreSQL's dialect, the queries of those whose row is told by a mark.

    What a reply said is not known of a call that nobody learned the outcome of: that marks nothing here.
    """
    tables = {(schema_of(table), table.name): table for table in system.metadata.sorted_tables}
    for operation in system.operations.values():
        for mark in find_row_marks(operation):
            table = tables.get((mark.schema, mark.table))
            if mark.reply or table is None or mark.column not in table.columns:
                continue
            row = f"{located(table, dialect)} as marked"
            holds = f"cast(marked.{quoted(mark.column)} as text) = {mark.value}"
            called = f"calls.operation = {literal(operation.name)}"
            yield f"select calls.operation_id from asked as calls join {row} on {holds} where {called}"


def _of(row: Mapping[str, Any]) -> dict[str, int]:
    unknown, committed = int(row["unknown_count"]), int(row["committed_count"])
    leaves_rows = committed > 0 or int(row["ok_with_row_count"]) > 0 or int(row["ok_count"]) == 0
    rest = unknown - committed
    return dict(zip(_COLUMNS, (unknown, committed, rest if leaves_rows else 0, 0 if leaves_rows else rest), strict=True))


def _wait_until_quiet(target: Target) -> int:
    """Wait until the server has let go of all sessions of runs in this database; return how many are left after a while."""
    query = """
        select pg_catalog.count(*)
        from pg_catalog.pg_stat_activity
        where application_name = %s and datname = pg_catalog.current_database()
            -- a pooler's session that is done with a transaction has the name of who had it last
            and not (%s and state = 'idle')
        """
    give_up_at = time.monotonic() + QUIET_S_MOST
    try:
        with closing(target.connect(settings=OWN)) as connection:
            while True:
                row = connection.execute(query, (APPLICATION_NAME, connection.is_pooled)).fetchone()
                count = int(row[0]) if row is not None else 0
                if not count or time.monotonic() >= give_up_at:
                    return count
                time.sleep(QUIET_POLL_S)
    except psycopg.Error as error:
        raise refusal(target, error) from None
