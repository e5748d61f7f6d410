"""Protections are taken out of an application's statements on the wire, and a test that stays green is told so."""

import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import psycopg
import pytest
from psycopg import IsolationLevel

from integrity.cli.main import main
from integrity.engines.target import Target
from integrity.jobs.calls_raced import NotHeld
from integrity.jobs.race_calls import CallRace

SCHEMA = """
create table wallets (id int primary key, balance int not null);
create table seen (key text primary key, n int not null);
insert into wallets values (1, 100);
"""
SHOP = b"""
create table stock (id int primary key, left_over int not null check (left_over >= 0));
create table orders (id bigserial primary key, item_id int not null unique references stock);
insert into stock values (1, 1);
"""


@pytest.fixture
def race(database: Target) -> Iterator[CallRace]:
    with closing(database.connect()) as connection:
        connection.execute(SCHEMA.encode())
        connection.commit()
    with CallRace(database, test_database=database.url.database) as race:
        yield race


@pytest.mark.parametrize("is_prepared", [False, True])
def test_a_lock_that_is_needed_and_one_that_is_not(race: CallRace, is_prepared: bool) -> None:
    """A pool's connections have prepared the statements before anything was taken out of them."""
    pool = [psycopg.connect(race.url) for _ in range(2)]

    def pay(*, is_guarded: bool) -> None:
        connection = pool.pop()
        try:
            with connection.transaction():
                lock = "select balance from wallets where id = %s for update"
                ((balance,),) = connection.execute(lock, (1,), prepare=is_prepared).fetchall()
                change = "balance - 10" if is_guarded else "%s"
                given = () if is_guarded else (balance - 10,)
                connection.execute(f"update wallets set balance = {change} where id = 1".encode(), given)
        finally:
            pool.append(connection)

    needed = race(lambda: pay(is_guarded=False)).each_protection_is_needed()
    (tried,) = needed.mutations()
    assert (tried.word, tried.protection.partition(":")[0]) == ("needed", "for update")
    with pytest.raises(NotHeld, match=r"nothing goes wrong without for update: select balance .* \(vacuous\)"):
        race(lambda: pay(is_guarded=True)).each_protection_is_needed()
    for connection in pool:
        connection.close()


def test_levels_and_conflicts_are_taken_out_too(race: CallRace) -> None:
    def add() -> None:
        with psycopg.connect(race.url) as connection:
            connection.isolation_level = IsolationLevel.REPEATABLE_READ
            ((balance,),) = connection.execute("select balance from wallets where id = 1").fetchall()
            connection.execute("update wallets set balance = %s where id = 1", (balance + 1,))

    def note() -> None:
        with psycopg.connect(race.url, autocommit=True) as connection:
            if not connection.execute("select from seen where key = 'a'").fetchall():
                connection.execute("insert into seen values ('a', 1) on conflict (key) do nothing")

    assert [each.word for each in race(add).each_protection_is_needed().mutations()] == ["needed"]
    assert [each.word for each in race(note).each_protection_is_needed().mutations()] == ["needed"]


def test_two_that_guard_the_same_are_redundant_and_each_is_told_with_the_other(race: CallRace) -> None:
    def pay() -> None:
        with psycopg.connect(race.url) as connection:
            connection.isolation_level = IsolationLevel.REPEATABLE_READ
            ((balance,),) = connection.execute("select balance from wallets where id = 1 for update").fetchall()
            connection.execute("update wallets set balance = %s where id = 1", (balance - 10,))

    held = race(pay).holds()
    tried = {each.protection.partition(":")[0]: each for each in held.mutations()}
    assert {name: each.word for name, each in tried.items()} == dict.fromkeys(tried, "redundant")
    assert tried["isolation level repeatable read"].partners == (tried["for update"].protection,)
    with pytest.raises(NotHeld, match=r"\(redundant: isolation level repeatable read guards the same\)"):
        held.each_protection_is_needed()


def test_what_helps_against_a_race_is_tried_on_the_wire(race: CallRace) -> None:
    def pay() -> None:
        with psycopg.connect(race.url) as connection:
            ((balance,),) = connection.execute("select balance from wallets where id = 1").fetchall()
            connection.execute("update wallets set balance = %s where id = 1", (balance - 10,))

    raced = race(pay)
    assert raced.cures() == {
        "select balance from wallets where id = 1 for update": True,
        "isolation level repeatable read": True,
        "isolation level serializable": True,
    }


def test_what_is_not_tried_in_a_database_of_the_callers_own_is_told_with_its_statement(
    database: Target,
) -> None:
    with closing(database.connect()) as connection:
        connection.execute(SCHEMA.encode())
        connection.execute(b"create table claims (id bigserial primary key, wallet_id int references wallets)")
        connection.commit()
    with CallRace(database, test_database=database.url.database) as race:

        def claim() -> None:
            with closing(psycopg.connect(race.url)) as connection, connection.transaction():
                if not connection.execute("select from claims where wallet_id = %s", (1,)).fetchall():
                    connection.execute("insert into claims (wallet_id) values (%s)", (1,))

        def claim_alone() -> None:
            with closing(psycopg.connect(race.url, autocommit=True)) as connection:
                if not connection.execute("select from claims where wallet_id = 1").fetchall():
                    connection.execute("insert into claims (wallet_id) values (1)")

        tried, alone = race(claim).cures(), race(claim_alone).cures()
    assert tried == {
        "select from claims where wallet_id = $1 for update": False,
        "lock on a row of wallets, before it is looked": True,
        "isolation level repeatable read": False,
        "isolation level serializable": True,
    }
    assert list(tried.by_hand.values()) == ["CREATE UNIQUE INDEX claims_wallet_id_key ON claims (wallet_id)"]
    said = str(tried)
    assert "isolation level serializable: all orders are right with it" in said
    assert "not tried, as neither your tables nor your transactions are changed; by hand:\n  unique index on claims" in said
    assert list(alone.by_hand.values())[1:] == ["select id from wallets where id = 1 for update"]
    assert [each for each in alone if "wallets" in each] == []


def test_a_scenario_of_requests_is_mutated_by_the_command(
    database: Target, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with closing(database.connect()) as connection:
        connection.execute(SHOP)
        connection.commit()
    (tmp_path / "integrity.toml").write_text("")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("INTEGRITY_DATABASE_URL", database.text)
    command = f"{sys.executable} {Path(__file__).parents[1] / 'race_app' / 'shop.py'}"
    cases = (
        ("buy-locked", 0, "for update: select left_over from stock where id = 1 needed"),
        ("reserve", 0, "orders: orders_item_id_key needed"),
        ("buy", 2, "the requests are racy"),
    )
    for path, code, said in cases:
        with pytest.raises(SystemExit) as ended:
            main(["race", "--mutate", "--command", command, "--curl", f"curl -X POST http://127.0.0.1:9/{path}"])
        printed = capsys.readouterr()
        assert (ended.value.code, said in " ".join((printed.out + printed.err).split())) == (code, True), printed
