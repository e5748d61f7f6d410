"""Faults in front of anybody's application: each strikes the statements that it was asked to strike, and no other."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import psycopg
import pytest

from integrity.engines.target import Target
from tests.database.proxies import Standing, standing


@pytest.fixture
def payments(database: Target) -> Target:
    with database.connect() as server:
        server.execute("drop table if exists payments, notes")
        server.execute("create table payments (id int)")
        server.execute("create table notes (id int)")
    return database


@contextmanager
def session(stood: Standing, **options: Any) -> Iterator[psycopg.Connection[Any]]:
    server = psycopg.connect(stood.url, sslmode="disable", **options)
    try:
        yield server
    finally:
        server.close()


def pay(stood: Standing, number: int, table: str = "payments", *, autocommit: bool = False) -> bool:
    """Store a row in a connection of its own; return whether its commit was acknowledged."""
    try:
        with session(stood, autocommit=autocommit) as server:
            server.execute(f"insert into {table} values (%s)", [number])
            server.commit()
    except psycopg.OperationalError:
        return False
    return True


def ids(target: Target, table: str = "payments") -> list[int]:
    with target.connect() as server:
        return [row[0] for row in server.execute(f"select id from {table} order by id".encode()).fetchall()]


@pytest.mark.parametrize("autocommit", [False, True])
@pytest.mark.parametrize(
    ("which", "acknowledged"),
    [
        ("nth=2", [True, False, True, True]),
        ("first=2", [False, False, True, True]),
        ("every=2", [True, False, True, False]),
        ("share=0", [True, True, True, True]),
        ("share=1", [False, False, False, False]),
    ],
)
@pytest.mark.parametrize("fault", ["lost_commit_ack", "lost_commit"])
def test_a_commit_is_lost_on_its_way_there_or_back_as_often_as_was_asked(
    payments: Target, autocommit: bool, which: str, acknowledged: list[bool], fault: str
) -> None:
    with standing(payments, f"{fault}:{which},table=payments") as stood:
        assert pay(stood, 100, "notes", autocommit=autocommit)  # never struck, nor counted
        assert [pay(stood, number, autocommit=autocommit) for number in range(4)] == acknowledged
    assert ids(payments) == [number for number in range(4) if acknowledged[number] or fault == "lost_commit_ack"]
    assert ids(payments, "notes") == [100]
    (pick,) = stood.picks
    assert (pick.matched_count, pick.struck_count) == (4, acknowledged.count(False))


def test_a_reset_strikes_the_statement_of_that_text_and_nothing_before_it_is_kept(payments: Target) -> None:
    with standing(payments, "connection_reset:statement=update *payments") as stood:
        with session(stood) as server:
            server.execute("insert into payments values (1)")
            with pytest.raises(psycopg.OperationalError):
                server.execute("Update  payments set id = 2")
        assert pay(stood, 3)
    assert ids(payments) == [3]
    assert stood.counts["connections reset"] == 1


@pytest.mark.parametrize("then", ["reset", "resume"])
def test_a_half_open_connection_ends_as_it_was_asked_to(payments: Target, then: str) -> None:
    with standing(payments, f"half_open:table=payments,for_s=0.1,then={then}") as stood:
        assert pay(stood, 1, autocommit=True) == (then == "resume")
        assert pay(stood, 2, "notes")
    assert ids(payments) == ([1] if then == "resume" else [])
    assert stood.counts["connections half open"] == 1


@pytest.mark.parametrize("direction", ["both", "to_server", "to_client"])
def test_a_statement_is_late_in_the_direction_that_was_asked_for_and_others_are_not(
    payments: Target, direction: str
) -> None:
    with standing(payments, f"db_latency:ms=100,direction={direction},table=payments") as stood:
        assert pay(stood, 1, "notes")
        assert pay(stood, 1)
    by_text = {cycle["statements"][0]["sql"]: cycle["duration_us"] for cycle in stood.cycles}
    on_payments = by_text["insert into payments values ($1)"]
    assert (on_payments >= 100_000) == (direction != "to_client")  # what is late on the way back is late behind the proxy
    assert ids(payments) == [1]
    assert stood.counts["statements delayed"] == 1


def test_what_passes_is_written_down_without_passwords(payments: Target) -> None:
    with standing(payments) as stood, session(stood, application_name="shop", autocommit=True) as server:
        server.execute("insert into payments values (%s), (null)", [7])
        server.execute("select id, 'x' from payments", binary=True)
        server.execute("alter role current_user password 'geheim'")
        with pytest.raises(psycopg.errors.UndefinedTable):
            server.execute("select * from nowhere")
        server.execute("begin; select 1; do $$ begin raise notice 'hello'; end $$")
        with server.cursor() as cursor, cursor.copy("copy notes from stdin") as copy:
            copy.write_row([1])
    first, last = stood.records[0], stood.records[-1]
    assert (first["event"], first["application_name"]) == ("connected", "shop")
    assert last["event"] == "ended"
    told = [
        (
            [(each["sql"], each["parameters"], each["tag"], each["row_count"]) for each in cycle["statements"]],
            cycle["error"] and cycle["error"]["sqlstate"],
            cycle["notices"],
            cycle["transaction"],
        )
        for cycle in stood.cycles
    ]
    notice = "do $$ begin raise notice 'hello'; end $$"
    assert told == [
        ([("insert into payments values ($1), (null)", ["7"], "INSERT 0 2", 0)], None, [], "idle"),
        ([("select id, 'x' from payments", [], "SELECT 2", 2)], None, [], "idle"),
        ([("alter role current_user password '***'", [], "ALTER ROLE", 0)], None, [], "idle"),
        ([("select * from nowhere", [], "", 0)], "42P01", [], "idle"),
        (
            [("begin", [], "BEGIN", 0), ("select 1", [], "SELECT 1", 1), (notice, [], "DO", 0)],
            None,
            ["hello"],
            "open",
        ),
        ([("copy notes from stdin", [], "COPY 1", 0)], None, [], "open"),
    ]
