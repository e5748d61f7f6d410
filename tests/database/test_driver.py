"""The driver on a real server: what it concludes of a call that was cut or refused, and what starts again."""

import asyncio
from collections.abc import Callable, Mapping
from contextlib import closing, suppress
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Any
from uuid import UUID

import pytest

from integrity.clients import driver, sqlite
from integrity.clients.driver import Driver
from integrity.clients.postgresql import PostgresConnection
from integrity.engines.target import Target
from integrity.history import Outcome, Returned
from integrity.operation import (
    Begin,
    Commit,
    Isolation,
    Ok,
    Operation,
    Request,
    Rows,
    Statement,
    StatementFailed,
    Steps,
    Value,
)
from integrity.systems.service import Reaction


def ask(target: Target, query: str) -> list[tuple[Any, ...]]:
    with closing(target.connect()) as server:
        return server.execute(query.encode()).fetchall()


TERMINATE = Statement("select pg_terminate_backend(pg_backend_pid())")


def cut_before_commit(*, operation_id: UUID) -> Steps:
    yield Begin()
    yield TERMINATE
    yield Commit()
    return Ok()


def cut_by_itself(*, operation_id: UUID) -> Steps:
    yield TERMINATE
    return Ok()


def cut_at_commit(*, operation_id: UUID) -> Steps:
    yield Begin()
    yield Statement("insert into victims default values")
    yield Commit()
    return Ok()


def refused_at_commit(*, operation_id: UUID) -> Steps:
    yield Begin()
    yield Statement("insert into children (parent) values (42)")
    yield Commit()
    return Ok()


def committing_what_was_aborted(*, operation_id: UUID) -> Steps:
    yield Begin()
    with suppress(StatementFailed):
        yield Statement("select 1 / 0")
    yield Commit()
    return Ok()


async def call(connection: PostgresConnection, steps: Callable[..., Steps], name: str = "op") -> Returned:
    if not connection.is_open:
        await connection.open()
    driver = Driver(connection, Random(1))
    return await driver.call(Operation(name, steps, {}), {"operation_id": UUID(int=1)}, lambda request: Reaction({}))


@pytest.mark.parametrize(
    ("steps", "outcome", "error"),
    [
        (cut_before_commit, Outcome.FAILED, "connection lost: "),
        (cut_by_itself, Outcome.UNKNOWN, "connection lost: "),
        (cut_at_commit, Outcome.UNKNOWN, "connection lost: "),
        (refused_at_commit, Outcome.FAILED, "23503 "),
        (committing_what_was_aborted, Outcome.FAILED, "25P02 "),
    ],
)
def test_what_a_cut_or_refused_call_is_depends_on_whether_commit_was_sent(
    database: Target, steps: Callable[..., Steps], outcome: Outcome, error: str
) -> None:
    with closing(database.connect()) as server:
        server.execute(
            """
            create table victims (id int generated always as identity);
            create table parents (id int primary key);
            create table children (parent int references parents deferrable initially deferred);
            create function hang_up() returns trigger language plpgsql as $$
            begin
                perform pg_terminate_backend(pg_backend_pid());
                return null;
            end $$;
            create constraint trigger hang_up after insert on victims
            deferrable initially deferred for each row execute function hang_up();
            """
        )

    async def call_and_close() -> Returned:
        connection = PostgresConnection(database)
        returned = await call(connection, steps)
        await connection.close()
        return returned

    returned = asyncio.run(call_and_close())

    assert returned.outcome is outcome
    assert returned.error.startswith(error)


def test_a_lost_connection_is_closed_and_the_next_call_opens_another(database: Target) -> None:
    async def two_calls() -> list[Outcome]:
        connection = PostgresConnection(database)
        first = await call(connection, cut_before_commit)
        assert not connection.is_open
        second = await call(connection, one_select)
        await connection.close()
        return [first.outcome, second.outcome]

    assert asyncio.run(two_calls()) == [Outcome.FAILED, Outcome.OK]


def one_select(*, operation_id: UUID) -> Steps:
    yield Statement("select 1 as one")
    return Ok()


def test_a_statement_is_prepared_once_a_connection(database: Target) -> None:
    """Unnamed statements, which are prepared at each execution, cost the server half as much again."""

    async def execute() -> list[str]:
        connection = PostgresConnection(database)
        await connection.open()
        for number in (1, 2, 3):
            await connection.execute("select :number::int as n", {"number": number})
        rows = await connection.execute("select statement from pg_prepared_statements order by prepare_time", {})
        await connection.close()
        return [row["statement"] for row in rows]

    assert asyncio.run(execute()) == [
        "select $1::int as n",
        "select statement from pg_prepared_statements order by prepare_time",
    ]


@dataclass(frozen=True)
class Unheard(Begin):
    """A begin that the server refuses."""

    def modes(self, isolation: Isolation) -> str:
        return "isolation level unheard of"


def test_a_begin_travels_with_the_first_statement_and_nothing_is_carried_out_behind_one_that_was_refused(
    database: Target,
) -> None:
    """What comes behind it would else be a transaction of its own, and be committed."""
    state = "select state from pg_stat_activity where pid = :pid"
    insert = "insert into t (n) values (1) returning (select xact_start = now() from pg_stat_activity where pid = :pid)"

    async def play() -> list[Any]:
        connection, other = PostgresConnection(database), PostgresConnection(database)
        await connection.open()
        await other.open()
        await other.execute("create table t (n int)", {})
        pid = {"pid": (await connection.execute("select pg_backend_pid() as pid", {}))[0]["pid"]}
        seen: list[Any] = []
        for begin in (Begin(), Begin(), Unheard()):  # first it is prepared
            await connection.begin(begin)
            seen.append((await other.execute(state, pid))[0]["state"])
            for _ in range(2):
                with suppress(StatementFailed):
                    await connection.execute(insert, pid)
            seen.append((await other.execute(state, pid))[0]["state"])
            await connection.rollback()
        await connection.begin(Begin(Isolation.SERIALIZABLE))
        seen.append((await connection.execute("show transaction_isolation", {}))[0]["transaction_isolation"])
        await connection.commit()
        seen.append((await other.execute("select count(*) as n from t", {}))[0]["n"])
        await connection.close()
        await other.close()
        return seen

    begun = ["idle", "idle in transaction"]
    assert asyncio.run(play()) == [*begun, *begun, "idle", "idle", "serializable", 0]


def test_a_statement_whose_tables_were_altered_is_prepared_again_and_one_that_copies_costs_the_connection(
    database: Target,
) -> None:
    async def play() -> list[Any]:
        connection = PostgresConnection(database)
        await connection.open()
        seen: list[Any] = []
        for sql in (
            "create table t as select 1 as a",
            "select * from t",
            "alter table t add b text",
            "select * from t",
            "select * from t",
            "select :text::text as text",
            "select 2 as last",
            "copy t from stdin",
        ):
            try:
                seen.append(dict(next(iter(await connection.execute(sql, {"text": "to here\0and on"})), {})))
            except StatementFailed as failure:
                seen.append(failure.sqlstate)
        seen.append(connection.is_open)
        return seen

    row = {"a": 1, "b": None}
    assert asyncio.run(play()) == [{}, {"a": 1}, {}, "0A000", row, "22021", {"last": 2}, None, False]


def test_much_is_sent_and_answered_although_neither_fits_a_socket(database: Target) -> None:
    text = "x" * 5_000_000

    async def echo() -> object:
        connection = PostgresConnection(database)
        await connection.open()
        await connection.begin(Begin())
        (row,) = await connection.execute("select :text::text as text", {"text": text})
        await connection.close()
        return row["text"]

    assert asyncio.run(echo()) == text


class Meeting(PostgresConnection):
    """Waits after its first statement until the others have come as far: once, so that starting again is free."""

    def __init__(self, target: Target, barrier: asyncio.Barrier) -> None:
        super().__init__(target)
        self._barrier: asyncio.Barrier | None = barrier

    async def execute(self, sql: str, parameters: Mapping[str, Value]) -> Rows:
        rows = await super().execute(sql, parameters)
        if self._barrier is not None:
            barrier, self._barrier = self._barrier, None
            await barrier.wait()
        return rows


def meet(target: Target, *operations: Callable[..., Steps]) -> list[Returned]:
    """Return how operations ended whose first statements were all carried out before any second one."""

    async def all_at_once() -> list[Returned]:
        barrier = asyncio.Barrier(len(operations))
        connections = [Meeting(target, barrier) for _ in operations]
        returned = await asyncio.gather(*map(call, connections, operations))
        for connection in connections:
            await connection.close()
        return returned

    return asyncio.run(all_at_once())


@pytest.fixture
def two_rows(database: Target) -> Target:
    with closing(database.connect()) as server:
        server.execute("create table t (id int primary key, n int not null)")
        server.execute("insert into t values (1, 0), (2, 0)")
    return database


def test_a_serialization_failure_starts_again_and_is_counted(two_rows: Target) -> None:
    def increment(*, operation_id: UUID) -> Steps:
        yield Begin(Isolation.REPEATABLE_READ)
        rows = yield Statement("select n from t where id = 1")
        yield Statement("update t set n = :n where id = 1", {"n": rows[0]["n"] + 1})
        yield Commit()
        return Ok()

    returned = meet(two_rows, increment, increment)

    assert [one.outcome for one in returned] == [Outcome.OK, Outcome.OK]
    assert sorted(one.attempts for one in returned) == [1, 2]
    assert ask(two_rows, "select n from t where id = 1") == [(2,)]


def test_a_deadlock_starts_again_and_is_counted(two_rows: Target, monkeypatch: pytest.MonkeyPatch) -> None:
    for pause in ("PAUSE_S", "PAUSE_S_MOST"):  # long enough for the other to end, or they may meet again
        monkeypatch.setattr(driver, pause, 1.0)

    def crossing(first: int, second: int) -> Callable[..., Steps]:
        def steps(*, operation_id: UUID) -> Steps:
            yield Begin()
            for row in (first, second):
                yield Statement("update t set n = n + 1 where id = :row", {"row": row})
            yield Commit()
            return Ok()

        return steps

    impatient = Target(two_rows.url.set(query={**two_rows.url.query, "options": "-c deadlock_timeout=10ms"}))

    returned = meet(impatient, crossing(1, 2), crossing(2, 1))

    assert [one.outcome for one in returned] == [Outcome.OK, Outcome.OK]
    assert sorted(one.attempts for one in returned) == [1, 2]
    assert ask(two_rows, "select n from t order by id") == [(2,), (2,)]


def in_two_transactions(*, operation_id: UUID) -> Steps:
    yield Statement("insert into told values (1)")
    yield Request("other_writer", {})
    yield Statement("insert into told values (2)")
    return Ok()


@pytest.mark.parametrize("is_soon_done", [True, False])
def test_on_sqlite_a_call_that_has_committed_waits_for_the_one_writer_and_is_not_lost_to_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, is_soon_done: bool
) -> None:
    """It cannot be started again. A writer that stays is told as what it costs: nobody knows what the call has done."""
    target = Target.parse(f"sqlite:///{tmp_path}/told.db")
    monkeypatch.setattr(sqlite, "BUSY_S", 5.0 if is_soon_done else 0.01)
    with closing(target.connect_sqlite()) as other:
        other.execute("create table told (number integer)")

        def write(_: Request) -> Reaction:
            other.execute("begin immediate")
            if is_soon_done:
                asyncio.get_running_loop().call_later(0.02, other.execute, "commit")
            return Reaction({})

        async def play() -> Returned:
            connection = sqlite.SqliteConnection(target, [])
            await connection.open()
            operation = Operation("told", in_two_transactions, {})
            returned = await Driver(connection, Random(1)).call(operation, {"operation_id": UUID(int=1)}, write)
            await connection.close()
            return returned

        returned = asyncio.run(play())
        held = [row[0] for row in other.execute("select number from told")]
    expected = (Outcome.OK, "", [1, 2]) if is_soon_done else (Outcome.UNKNOWN, "40001 database is locked", [1])
    assert (returned.outcome, returned.error, held) == expected
