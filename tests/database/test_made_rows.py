"""Rows that a race needs and nobody described are made so that the database takes them, or it is said what is missing."""

from collections.abc import Mapping
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from integrity.domain import KeyOf
from integrity.engines.target import Target
from integrity.errors import AuditError, UsageError
from integrity.operation import Ok, Operation, Steps
from integrity.race.play.scheduler import Scheduler
from integrity.race.program.program import Actor, Program
from integrity.race.program.programs import stage_of
from integrity.race.trial.scratch import emptying, scratch_database
from integrity.sql.place import WrittenAt
from integrity.systems.reflect import Reflected
from integrity.systems.stage import Ref, Stage, StagedRow
from integrity.systems.system import System
from integrity.systems.wanted_row import WantedRow


def nothing(**_arguments: object) -> Steps:
    return Ok()
    yield


def system(rows: list[WantedRow], *, keys_of: tuple[str, ...] = (), stage: Any = None) -> System:
    operation = Operation("look", nothing, {f"key_{number}": KeyOf(pool) for number, pool in enumerate(keys_of)})
    return System("shop", "", Reflected("public"), {"look": operation}, rows=rows, stage=stage)


def played(target: Target, own: System, table: str) -> tuple[list[Mapping[str, Any]], Mapping[str, Any]]:
    """Return the rows of a table when the stage is set a second time, and the stage's keys."""
    known = own.on(target)
    with (
        scratch_database(target, known) as scratch,
        Scheduler(scratch, emptying=emptying(scratch, known)) as scheduler,
    ):
        program = Program((Actor("look", lambda _keys, _id: nothing()),), stage_of(known))
        scheduler.play(program)
        run = scheduler.play(program)
        (answer,) = scheduler.engine.ask([_all_of(table)])
    return list(answer.rows), run.keys


def _all_of(table: str) -> Any:
    from integrity.operation import Statement

    return Statement(f"select * from {table} order by 1")


def make(target: Target, sql: str) -> None:
    with target.connect() as connection:
        connection.execute(sql.encode())


def test_parents_are_made_as_far_as_foreign_keys_need_them(database: Target) -> None:
    make(
        database,
        """
        create table countries (code char(2) primary key check (code = upper(code)));
        create table users (id uuid primary key default gen_random_uuid(), country char(2) not null references countries);
        create table wallets (
            id bigint generated always as identity primary key,
            user_id uuid not null unique references users,
            note_id int references wallets,
            balance int not null
        );
        """,
    )
    rows = [WantedRow("one", "wallets", {"balance": "100"}), WantedRow("two", "wallets", {"balance": "50 + 50"})]

    wallets, keys = played(database, system(rows, keys_of=("wallets", "users")), "wallets")

    assert [row["balance"] for row in wallets] == [100, 100]
    assert [row["note_id"] for row in wallets] == [None, None]
    assert len({row["user_id"] for row in wallets}) == 2  # each its own: the column is unique
    assert list(keys) == ["wallets_1", "wallets_2", "users_1", "users_2"]
    assert keys["wallets_1"] == wallets[0]["id"]


def test_required_columns_get_values_that_their_checks_and_domains_take(database: Target) -> None:
    make(
        database,
        """
        create type state as enum ('open', 'closed');
        create domain percent as int check (value between 1 and 100) check (value % 7 = 0);
        create function is_even(n int) returns boolean language sql immutable as 'select n % 2 = 0';
        create table offers (
            id int primary key,
            share percent not null,
            low int not null,
            high int not null check (is_even(high)),
            state state not null,
            currency char(3) not null check (currency ~ '^[A-Z]{3}$'),
            email varchar(12) not null unique check (email like '%@%'),
            span daterange not null,
            sent timestamptz,
            check (low < high),
            check (state <> 'closed' or sent is not null)
        );
        """,
    )
    rows = [WantedRow("one", "offers"), WantedRow("two", "offers", {"state": "'closed'", "low": "3"})]

    offers, _ = played(database, system(rows), "offers")

    assert [row["state"] for row in offers] == ["open", "closed"]
    assert offers[0]["email"] != offers[1]["email"]
    assert offers[1]["low"] == 3
    assert offers[1]["sent"] is not None


def test_a_key_of_several_columns_is_a_tuple_of_them(database: Target) -> None:
    make(
        database,
        """
        create table orders (tenant int, number int, primary key (tenant, number));
        create table lines (
            tenant int not null, number int not null, line int, amount int not null,
            primary key (tenant, number, line), foreign key (tenant, number) references orders
        );
        """,
    )
    rows = [
        WantedRow("order", "orders", {"tenant": "7"}),
        WantedRow("line", "lines", {"tenant": ":order", "line": "1", "amount": "5"}),
    ]

    lines, keys = played(database, system(rows, keys_of=("lines",)), "lines")

    assert keys == {"lines_1": (7, 1, 1), "lines_2": (7, 2, 1)}
    assert [row["amount"] for row in lines] == [5, 5]


def test_a_value_of_a_foreign_key_that_is_given_makes_the_row_it_names(database: Target) -> None:
    make(
        database,
        """
        create table currencies (code text primary key, digits int not null);
        create table wallets (id serial primary key, currency text not null references currencies);
        """,
    )

    currencies, _ = played(database, system([WantedRow("w", "wallets", {"currency": "'JPY'"})]), "currencies")

    assert [row["code"] for row in currencies] == ["JPY"]


def test_two_wanted_rows_that_a_unique_key_makes_one_are_one(database: Target) -> None:
    make(database, "create table shops (id serial primary key, code text not null unique)")
    rows = [WantedRow("one", "shops", {"code": "'main'"}), WantedRow("two", "shops", {"code": "'main'"})]

    shops, keys = played(database, system(rows, keys_of=("one", "two")), "shops")

    assert [row["code"] for row in shops] == ["main"]
    assert keys["one_1"] == keys["two_1"] == shops[0]["id"]


def test_a_unique_index_of_an_expression_is_no_key_of_the_columns_beside_it(database: Target) -> None:
    make(
        database,
        """
        create table codes (tenant int not null, code text not null);
        create unique index codes_key on codes (tenant, lower(code));
        """,
    )
    rows = [
        WantedRow("one", "codes", {"tenant": "1", "code": "'a'"}),
        WantedRow("two", "codes", {"tenant": "1", "code": "'b'"}),
    ]

    codes, _ = played(database, system(rows), "codes")

    assert len(codes) == 2


def test_rows_that_python_makes_are_completed_too(database: Target) -> None:
    make(
        database,
        """
        create table users (id serial primary key, email text not null);
        create table wallets (id serial primary key, user_id int not null references users, doc jsonb not null);
        """,
    )

    def stage() -> Stage:
        return Stage([StagedRow("w", "wallets", {"doc": {"a": [1, "it's"]}})], {"wallets_1": Ref("w")})

    wallets, keys = played(database, system([], stage=stage), "wallets")

    assert [row["doc"] for row in wallets] == [{"a": [1, "it's"]}]
    assert keys["wallets_1"] == wallets[0]["id"]


def test_tables_of_sqlite_are_filled_too(tmp_path: Path) -> None:
    target = Target.parse(f"sqlite:///{tmp_path / 'shop.db'}")
    with closing(target.connect_sqlite()) as connection:
        connection.executescript("""
            create table "User" (id text primary key not null, role text not null check (role in ('admin', 'user')));
            create table "Wallet" (id integer primary key, "userId" text not null references "User", balance int not null);
        """)
    rows = [WantedRow("w", '"Wallet"', {"balance": "100"})]

    wallets, keys = played(target, system(rows, keys_of=("Wallet", "User")), '"Wallet"')

    assert [row["balance"] for row in wallets] == [100, 100]
    first, second = wallets
    owners = {"User_1": first["userId"], "User_2": second["userId"]}
    assert keys == {"Wallet_1": first["id"], "Wallet_2": second["id"], **owners}


def test_tables_that_triggers_guard_are_emptied_before_each_schedule(tmp_path: Path) -> None:
    target = Target.parse(f"sqlite:///{tmp_path / 'shop.db'}")
    with closing(target.connect_sqlite()) as connection:
        connection.executescript("""
            create table entries (id integer primary key, amount int not null);
            create trigger "entries are kept" before delete on entries begin select raise(abort, 'never'); end;
        """)

    entries, _ = played(target, system([WantedRow("one", "entries", {"amount": "5"})]), "entries")

    assert [row["amount"] for row in entries] == [5]  # the stage was set twice


def test_tables_in_a_circle_are_emptied_before_each_schedule(database: Target) -> None:
    make(
        database,
        """
        create table teams (id serial primary key, owner_id int);
        create table users (id serial primary key, team_id int not null references teams);
        alter table teams add foreign key (owner_id) references users;
        create function stop() returns trigger language plpgsql as $$ begin raise exception 'never'; end $$;
        create trigger kept before delete on users for each row execute function stop();
        """,
    )

    users, _ = played(database, system([WantedRow("one", "users")]), "users")

    assert len(users) == 1


CIRCLE = """
    create table a (id int primary key);
    create table b (id int primary key, a_id int not null references a);
    alter table a add column b_id int not null references b;
"""


@pytest.mark.parametrize(
    ("sql", "row", "message"),
    [
        ("create table t (n int not null check (n * n = 2))", WantedRow("r", "t"), "no value was found for t.n"),
        ("create table t (at point not null)", WantedRow("r", "t"), "t.at must have a value"),
        (
            "create table t (n int)",
            WantedRow("r", "tt", written_at=WrittenAt("x.sql", 3, "-- row r: tt")),
            "x.sql:3: the database has no table tt",
        ),
        ("create table t (n int)", WantedRow("r", "t", {"m": "1"}), "table t has no column m"),
        ("create table t (n int)", WantedRow("r", "t", {"n": ":s"}), "n refers to row s, and no row before it"),
        (CIRCLE, WantedRow("r", "a"), "a -> b -> a"),
        ("create table t (n int check (n > 0))", WantedRow("r", "t", {"n": "-1"}), "refused by a check of t: t_n_check"),
        (
            "create table t (n int primary key)",
            WantedRow("r", "t", {"n": "1/0"}),
            "row 'r' of t was refused",
        ),
    ],
)
def test_what_cannot_be_made_is_named_with_its_table_and_column(
    sql: str, row: WantedRow, message: str, database: Target
) -> None:
    make(database, sql)

    with pytest.raises(AuditError, match=message):
        played(database, system([row]), "t")


def test_a_pool_of_no_table_and_no_row_is_named_with_who_draws_it_and_what_is_meant(database: Target) -> None:
    make(database, "create table wallets (n int)")

    with pytest.raises(
        UsageError, match=r"an argument of 'look'.* there is no table, row or pool 'walets' to race on"
    ) as told:
        played(database, system([WantedRow("r", "wallets")], keys_of=("walets",)), "wallets")
    assert told.value.hint == "Perhaps you meant wallets."


def test_a_row_in_python_that_cannot_be_made_is_told_at_its_line(database: Target) -> None:
    make(database, "create table t (n int)")
    rows = [
        WantedRow("r", "t", {"m": "1"}),
    ]

    with pytest.raises(UsageError, match=r"test_made_rows\.py:\d+: row 'r': table t has no column m") as told:
        played(database, system(rows), "t")
    assert 'WantedRow("r", "t", {"m": "1"})' in told.value.message


def test_of_a_table_that_keys_are_drawn_of_a_single_row_gets_a_second_with_its_world_and_keys_of_its_own(
    database: Target,
) -> None:
    make(
        database,
        """
        create table countries (code text primary key);
        create table users (id int primary key, name text not null, country text not null references countries);
        create table wallets (
            id int primary key, user_id int not null unique references users, code text unique, balance int not null
        );
        create unique index one_name on users (lower(name));
        create table entries (wallet_id int not null references wallets, amount int not null);
        """,
    )
    rows = [
        WantedRow("user", "users", {"name": "'Ada'"}),
        WantedRow("wallet", "wallets", {"id": "1", "user_id": ":user", "code": "'A'", "balance": "100"}),
        WantedRow("opening", "entries", {"wallet_id": ":wallet", "amount": ":wallet.balance"}),
    ]

    wallets, keys = played(database, system(rows, keys_of=("wallets",)), "wallets")
    entries, _ = played(database, system(rows, keys_of=("wallets",)), "entries")
    users, _ = played(database, system(rows, keys_of=("wallets",)), "users")
    countries, _ = played(database, system(rows, keys_of=("wallets",)), "countries")

    assert [(row["id"], row["code"], row["balance"]) for row in wallets] == [(1, "A", 100), (2, "code-2", 100)]
    assert keys == {"wallets_1": 1, "wallets_2": 2}
    assert entries == [{"wallet_id": 1, "amount": 100}, {"wallet_id": 2, "amount": 100}]
    assert [row["name"] for row in users] == ["Ada", "name-2"]
    assert len(countries) == 1  # nobody wanted it: it is shared


def test_a_table_that_can_have_one_row_only_keeps_it_and_what_is_left_is_doubled(database: Target) -> None:
    make(
        database,
        """
        create table settings (is_here boolean primary key default true check (is_here), fee int not null);
        create table wallets (id int primary key, settings boolean not null references settings, balance int not null);
        """,
    )
    rows = [
        WantedRow("settings", "settings", {"is_here": "true", "fee": "1"}),
        WantedRow("wallet", "wallets", {"settings": ":settings", "balance": "100"}),
    ]

    wallets, keys = played(database, system(rows, keys_of=("wallets", "settings")), "wallets")

    assert [row["balance"] for row in wallets] == [100, 100]
    assert keys == {"wallets_1": 1, "wallets_2": 2, "settings_1": True}
