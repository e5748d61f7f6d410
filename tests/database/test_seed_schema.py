"""Somebody's own tables are filled so that all that the server holds their rows to holds, and emptied again."""

import json
import shlex
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import MetaData

from integrity.cli.main import invoke, main
from integrity.database.namespace import drop_schemas, keep_books
from integrity.engines.target import Target
from integrity.errors import AuditError, UsageError
from integrity.events import listen
from integrity.jobs.seed_schema import seed_schema
from integrity.operation import Mark, Operation, Steps
from integrity.seeds.schema.fill import SchemaSeeded
from integrity.systems.system import System

SHOP = """
    create type status as enum ('open', 'paid', 'cancelled');
    create domain price as numeric(12, 2) check (value > 0);
    create table customers (
        id bigint generated always as identity primary key,
        email text not null unique check (email like '%@%'),
        created_at timestamptz not null default now(),
        invited_by bigint references customers
    );
    create table orders (
        id bigserial primary key,
        customer_id bigint not null references customers,
        status status not null,
        paid_at timestamptz,
        total price not null,
        constraint paid_has_a_time check ((status = 'paid') = (paid_at is not null))
    );
    create index on orders (customer_id);
    create table order_items (
        order_id bigint references orders,
        line integer check (line > 0),
        price numeric(10, 2) not null check (price >= 0),
        quantity integer not null check (quantity between 1 and 5),
        total numeric(12, 2) not null,
        primary key (order_id, line),
        constraint total_is_their_product check (total = price * quantity)
    );
"""

Fill = Callable[..., tuple[Target, SchemaSeeded]]


@pytest.fixture
def fill(database: Target) -> Fill:
    """Make tables and fill them."""

    def fill(ddl: str, seed: int = 1, file: Path | None = None, **rows: int) -> tuple[Target, SchemaSeeded]:
        with database.connect() as connection:
            connection.execute(ddl.encode())
        job = seed_schema(database, rows=rows, seed=seed, file=file, test_database=database.url.database)
        return database, listen(job)

    return fill


def ask(target: Target, query: str) -> list[tuple[Any, ...]]:
    with target.connect() as connection:
        return connection.execute(query.encode()).fetchall()


def test_tables_are_filled_and_what_is_not_named_follows_from_what_is(fill: Fill) -> None:
    target, seeded = fill(SHOP, orders=1000)

    assert dict(seeded.row_counts) == {"public.customers": 333, "public.orders": 1000, "public.order_items": 2000}
    assert ask(target, "select count(distinct order_id) > 500, max(line) > 1 from order_items") == [(True, True)]
    assert ask(target, "select array_agg(distinct status::text order by status::text) from orders") == [
        (["cancelled", "open", "paid"],)
    ]


def test_what_is_inserted_afterwards_gets_the_next_number(fill: Fill) -> None:
    target, _ = fill(SHOP, orders=10)

    assert ask(target, "insert into orders (customer_id, status, total) values (1, 'open', 1) returning id") == [(11,)]


def test_foreign_keys_and_indexes_are_as_they_were(fill: Fill, database: Target) -> None:
    held = """
        select conname::text, pg_get_constraintdef(oid), convalidated from pg_constraint
        where conrelid <> 0 and connamespace = 'public'::regnamespace
        union all select indexname, indexdef, true from pg_indexes where schemaname = 'public' order by 1, 2
    """
    with database.connect() as connection:
        connection.execute(SHOP.encode())
    before = ask(database, held)

    fill("select", orders=3000)

    assert ask(database, held) == before


def test_rollback_takes_out_what_was_added_and_leaves_the_tables_and_what_others_added(fill: Fill) -> None:
    target, _ = fill(SHOP, orders=50)
    ask(target, "insert into customers (email) values ('a@b') returning id")
    ask(target, "update orders set total = 7 returning id")

    drop_schemas(target)

    assert ask(target, "select email, (select count(*) from orders) from customers") == [("a@b", 0)]


def test_rollback_refuses_when_rows_of_others_rest_on_ours_and_then_removes_nothing(fill: Fill) -> None:
    target, _ = fill(SHOP, orders=50)
    ask(target, "insert into orders (customer_id, status, total) values (1, 'open', 1) returning id")

    with pytest.raises(
        AuditError, match=r"public\.orders: 1 row that others added .*: 1 row of public\.customers"
    ) as refused:
        drop_schemas(target)

    assert ask(target, "select count(*) from orders") == [(51,)]
    hint = refused.value.hint or ""
    (_, statement) = hint.split("To see some: ")
    assert statement == f"select * from public.orders where id in ({ask(target, 'select max(id) from orders')[0][0]})"
    assert "delete from" not in hint, "which rows may go only their owner knows"
    ask(target, statement.replace("select *", "delete", 1) + " returning id")
    drop_schemas(target)
    assert ask(target, "select count(*) from orders") == [(0,)]


def test_a_row_in_which_a_calls_id_stands_stays_unless_its_operation_marks_it(fill: Fill) -> None:
    """The call may have written its id into a row of the user's."""
    target, _ = fill("create table payments (id bigserial primary key, key text not null, note text not null)", payments=5)

    def pay(**_: object) -> Steps:
        raise AssertionError("it is not called")

    operations = {
        "pay": Operation("pay", pay, {}),
        "mark": Operation("mark", pay, {}, marks=(Mark("payments", "key"),)),
    }
    with target.connect() as connection:
        keep_books(target, System("shop", "", MetaData(), operations), operations.values())
        connection.execute(
            b"insert into integrity.runs (run_id, system, profile, seed, started_at, state)"
            b"values ('r', 'shop', 'smoke', 1, now(), 'finished');"
            b"insert into integrity.calls"
            b"(run_id, operation_id, operation, arguments, client, intended_at, invoked_at, outcome)"
            b"select 'r', gen_random_uuid(), unnest(array['pay', 'mark']), '{}', 1, now(), now(), 'ok';"
            b"insert into payments (key, note) select operation_id, operation from integrity.calls;"
            b"insert into payments (key, note) select 'mine', operation_id from integrity.calls"
        )

    drop_schemas(target)

    assert ask(target, "select note = 'pay', count(*) from payments group by 1 order by 1") == [(False, 2), (True, 1)]


def test_rollback_sets_no_reference_of_others_to_null(fill: Fill) -> None:
    target, _ = fill(
        "create table users (id bigserial primary key);"
        "create table notes (id bigserial primary key, user_id bigint references users on delete set null)",
        users=5,
        notes=0,
    )
    ask(target, "insert into notes (user_id) values (1) returning id")

    with pytest.raises(AuditError, match=r"public\.notes: 1 row that others added .*: 1 row of public\.users"):
        drop_schemas(target)

    assert ask(target, "select (select count(*) from users), user_id from notes") == [(5, 1)]


def test_rollback_takes_no_row_of_others_along_by_a_cascade(fill: Fill) -> None:
    target, _ = fill(
        "create table users (id bigserial primary key);"
        "create table notes (id bigserial primary key, user_id bigint not null references users on delete cascade)",
        users=5,
        notes=5,
    )
    ask(target, "insert into notes (user_id) values (1) returning id")

    with pytest.raises(
        AuditError, match=r"public\.notes: 1 row that others added would go with those that seed or runs made"
    ):
        drop_schemas(target)

    assert ask(target, "select (select count(*) from users), count(*) from notes") == [(5, 6)]


def test_the_same_seed_makes_the_same_rows_and_another_makes_others(fill: Fill, database: Target) -> None:
    query = "select md5(string_agg(t::text, ',' order by t::text)) from (select * from orders, customers) as t"
    fill(SHOP, orders=20)
    seen = [ask(database, query)]
    for seed in (1, 2):
        listen(seed_schema(database, rows={"orders": 20}, seed=seed, test_database=database.url.database, replaces=True))
        seen.append(ask(database, query))

    assert seen[0] == seen[1] != seen[2]


def test_what_cannot_pass_is_named_before_anything_is_written_with_what_to_write(fill: Fill) -> None:
    with pytest.raises(UsageError) as refused:
        fill("create table codes (id int primary key, code text not null constraint odd check (md5(code) = 'x'))", codes=5)

    assert refused.value.message == (
        "public.codes (code): none of 4,600 rows that were tried passes check 'odd': (md5(code) = 'x'::text)"
    )
    assert refused.value.hint == ("Write values that pass in the seeds file: [tables.codes.columns.code] values = [...]")


def test_a_file_says_sizes_values_shares_and_skew(fill: Fill, tmp_path: Path) -> None:
    file = tmp_path / "shop.toml"
    file.write_text(
        """
        schemas = ["public"]
        [tables.orders]
        rows = 400
        [tables.order_items]
        per = { orders = 3.5 }
        [tables.orders.columns.status]
        values = { open = 0.9, cancelled = 0.1 }
        [tables.orders.columns.customer_id]
        skew = 3
        """,
        encoding="utf-8",
    )

    target, seeded = fill(SHOP, file=file)

    assert seeded.row_counts["public.order_items"] == 1400
    assert ask(target, "select count(*) filter (where status = 'open') > 300, count(paid_at) from orders") == [(True, 0)]
    busiest = "select count(*) > 40 from orders group by customer_id order by count(*) desc limit 1"
    assert ask(target, busiest) == [(True,)]


def test_a_typo_in_the_file_is_told_with_its_line(fill: Fill, tmp_path: Path) -> None:
    file = tmp_path / "shop.toml"
    file.write_text("[tables.orders]\nrows = 5\n[tables.orders.columns.total]\nleats = 3\n", encoding="utf-8")

    with pytest.raises(UsageError) as refused:
        fill(SHOP, file=file)

    assert str(refused.value).startswith(f"{file}:4: tables.orders.columns.total has no setting 'leats'")


def test_a_database_that_nobody_declared_is_left_alone(database: Target, capsys: pytest.CaptureFixture[str]) -> None:
    with database.connect() as connection:
        connection.execute(SHOP.encode())

    with pytest.raises(SystemExit) as ended:
        main(["seed", "--schema", "public", "--rows", "orders=5", "--database", database.text])

    assert ended.value.code == 2
    assert "that we did not make" in capsys.readouterr().err
    assert ask(database, "select count(*) from orders") == [(0,)]


def test_every_kind_of_constraint_is_met_at_any_size(fill: Fill, database: Target) -> None:
    """The server itself is the judge: it checked every row when the tables were filled and their foreign keys put back."""
    tables = (Path(__file__).parent / "schemas" / "every_kind.sql").read_text(encoding="utf-8")
    _, seeded = fill(tables, users=1)
    few = seeded.row_count

    job = seed_schema(database, rows={"users": 2000}, seed=2, test_database=database.url.database, replaces=True)
    seeded = listen(job)

    assert few >= len(seeded.row_counts) == 20
    assert seeded.row_counts["public.users"] == 2000
    assert min(seeded.row_counts.values()) > 0


def test_odd_keys_checks_and_circles_are_met_and_the_same_seed_makes_the_same_rows(fill: Fill, database: Target) -> None:
    tables = (Path(__file__).parent / "schemas" / "odd_keys.sql").read_text(encoding="utf-8")
    names = ("nodes", "people", "homes", "flags", "rings", "staff", "baskets", "lodgers")
    query = f"select md5(concat({', '.join(f'(select string_agg(t::text, chr(10)) from {name} as t)' for name in names)}))"
    _, seeded = fill(tables, **dict.fromkeys(names, 90), empty_parents=0)
    first = ask(database, query)
    job = seed_schema(
        database,
        rows={**dict.fromkeys(names, 90), "empty_parents": 0},
        seed=1,
        test_database=database.url.database,
        replaces=True,
    )
    listen(job)

    assert seeded.row_counts == {f"public.{name}": 90 for name in names}
    assert ask(database, query) == first
    assert ask(database, "select count(parent) > 0, count(distinct org) > 1 from nodes") == [(True, True)]


@pytest.mark.parametrize(
    ("ddl", "rows", "refusal"),
    [
        (
            "create table codes (code char(2) primary key); create table pairs (a char(2) not null references codes, "
            "b char(2) not null references codes, constraint ordered check (a < b))",
            {"codes": 3, "pairs": 3},
            (
                "public.pairs: no rows are known here that 'ordered' takes: new row for relation \"pairs\" violates check "
                'constraint "ordered". Failing row contains (01, 00)',
                "--rows pairs=0",
            ),
        ),
        (
            "create table sides (side boolean primary key)",
            {"sides": 3},
            (
                "public.sides.side: 3 rows cannot all differ, as 'sides_pkey' wants: 2 values are found",
                "[tables.sides.columns.side]",
            ),
        ),
        (
            "create table users (id int primary key);create table pairs (a int not null references "
            "users, b int not null references users, primary key (a, b))",
            {"users": 3, "pairs": 10},
            (
                "public.pairs: only 9 of 10 rows can be made: unique constraint 'pairs_pkey' refuses the others",
                "--rows pairs=9",
            ),
        ),
        (
            "create table a (id int primary key); create table b (id int primary key references "
            "a);alter table a add constraint back foreign key (id) references b",
            {"a": 3},
            (
                "tables refer to each other in a circle, and none can be first: public.a, public.b; e.g. "
                "public.a, foreign key 'back' (id)",
                "--rows a=0",
            ),
        ),
        (
            "create table spots (at point not null, exclude using gist (at with ~=))",
            {"spots": 3},
            (
                "public.spots: exclusion constraint 'spots_at_excl' (at with ~=) is of a kind that is not known here",
                "--rows spots=0",
            ),
        ),
        (
            "create type pair as (a int, b int); create table pairs (pair pair not null)",
            {"pairs": 3},
            (
                "public.pairs.pair: no values are known of the type public.pair",
                "[tables.pairs.columns.pair] values = [...]",
            ),
        ),
        (
            "create table parts (id int) partition by range (id)",
            {"parts": 3},
            ("public.parts has no partition that takes rows", "Make one first"),
        ),
        (
            "create table users (id int primary key); create table notes (user_id int not null references users)",
            {"notes": 3, "users": 0},
            (
                "public.notes: foreign key 'notes_user_id_fkey' needs rows of public.users, which is to get none",
                "--rows users=N",
            ),
        ),
        (
            "create table notes (id int); insert into notes values (1)",
            {"notes": 3},
            ("public.notes holds rows already", "rollback"),
        ),
    ],
)
def test_what_cannot_be_satisfied_is_named_and_nothing_is_written(
    fill: Fill, database: Target, ddl: str, rows: dict[str, int], refusal: tuple[str, str]
) -> None:
    with pytest.raises(AuditError) as refused:
        fill(ddl, **rows)

    assert (refused.value.message, refusal[1] in str(refused.value.hint)) == (refusal[0], True)
    assert ask(database, "select count(*) from pg_namespace where nspname = 'integrity'") == [(0,)]


# What only the server can judge, as it is about columns from several places; each behind a parent with rows of its own.
UNKNOWN = {
    "texts of parents": "a text not null references tags, b text not null references tags, constraint odd check (a > b)",
    "a function of a parent's": "a text not null references tags, constraint odd check (length(md5(a)) = 31)",
    "a computed column": "a text not null references tags, n int generated always as (length(a)) stored check (n > 99)",
    "an index of no column": "a text not null references tags, n int not null); create unique index odd on pairs ((1)",
}


@pytest.mark.parametrize("columns", UNKNOWN.values(), ids=UNKNOWN)
def test_rows_that_only_the_server_can_judge_are_shown_to_it_before_anything_is_written(
    fill: Fill, database: Target, columns: str
) -> None:
    """A table that rows were sent to, and taken back from, has pages."""
    with pytest.raises(UsageError, match=r"public\.pairs: (no rows are known here that|only [01] of)") as refused:
        fill(f"create table tags (tag text primary key); create table pairs ({columns})", tags=50, pairs=50)
    assert "leave it empty: --rows pairs=0" in str(refused.value.hint) or "Ask for fewer" in str(refused.value.hint)
    assert ask(database, "select pg_relation_size('tags'), pg_relation_size('pairs')") == [(0, 0)]


def test_rows_that_are_there_already_are_left_and_referred_to(fill: Fill) -> None:
    target, seeded = fill(
        "create table countries (code char(2) primary key); insert into countries values ('DE'), ('FR');"
        "create table towns (id bigserial primary key, country char(2) not null references countries)",
        towns=50,
    )

    assert dict(seeded.row_counts) == {"public.towns": 50}
    assert ask(target, "select count(distinct country) from towns") == [(2,)]


def test_a_table_of_another_role_is_named(fill: Fill, database: Target) -> None:
    with database.connect() as connection:
        connection.execute(b"create role filler login" if not ask(database, _HAS_FILLER) else b"select")
        connection.execute("create table ledgers (id int primary key)")
    filler = Target(database.url.set(username="filler"))

    with pytest.raises(UsageError, match=r"public\.ledgers belongs to another role"):
        listen(seed_schema(filler, rows={"ledgers": 5}, seed=1, test_database=database.url.database))


_HAS_FILLER = "select 1 from pg_roles where rolname = 'filler'"


@pytest.mark.exhaustive
def test_a_thousand_tables_are_filled(fill: Fill) -> None:
    ddl = ";".join(
        f"create table t{number} (id bigserial primary key, up bigint references t{max(0, number - 1)}, "
        "name text check (name <> ''))"
        for number in range(1000)
    )

    _, seeded = fill(ddl, t0=10)

    assert len(seeded.row_counts) == 1000


def test_a_table_that_there_is_not_is_told_before_that_the_schema_is_filled(fill: Fill) -> None:
    database, _ = fill(SHOP, customers=3)
    with pytest.raises(UsageError, match="there is no table 'custmers'") as caught:
        listen(seed_schema(database, rows={"custmers": 3}, seed=1, test_database=database.url.database))
    assert caught.value.hint == "Perhaps you meant customers."


def test_invariants_of_the_project_that_the_rows_break_are_told_at_once_and_a_sound_world_is_silent(
    database: Target, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("INTEGRITY_DATABASE_URL", database.text)
    Path("integrity.toml").write_text(f'[database]\ntest = "{database.url.database}"\n', encoding="utf-8")
    Path("invariants").mkdir()
    asked = {
        "paid-is-one": "select id from orders where status = 'paid' and total <> 1 order by id",
        "not-free": "select id from orders where total <= 0 order by id",
        "broken": "select id from ordrs",
    }
    for name, query in asked.items():
        Path(f"invariants/{name}.sql").write_text(f"-- title: {name}\n{query}\n", encoding="utf-8")
    with database.connect() as connection:
        connection.execute(SHOP.encode())

    code = invoke(["seed", "--schema", "public", "--rows", "orders=50"])

    wrong = ask(database, f"select count(*) from ({asked['paid-is-one']}) as t")[0][0]
    told = capsys.readouterr().out
    assert (code, wrong > 1, "not-free" in told) == (0, True, False)
    assert f"break invariants of the project:\n  paid-is-one: {wrong} rows\n" in told
    assert "Not asked to the end of these rows: broken\n" in told
    for name in ("paid-is-one", "broken"):
        Path(f"invariants/{name}.sql").unlink()
    invoke(["seed", "--schema", "public", "--rows", "orders=50", "--replace", "--json"])
    seeded = json.loads(capsys.readouterr().out)
    assert (seeded["violated"], seeded["unjudged"]) == ({}, [])
    assert seeded["removed"] == seeded["rows"]


def test_what_a_run_misses_is_made_by_the_command_that_it_tells(
    database: Target, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("INTEGRITY_DATABASE_URL", database.text)
    Path("operations").mkdir()
    text = (
        '-- parameter account_id: key of shop."Accounts"\nupdate shop."Accounts" set balance = 1 where id = :account_id;\n'
    )
    Path("operations/pay.sql").write_text(text, encoding="utf-8")
    with database.connect() as connection:
        connection.execute('create schema shop; create table shop."Accounts" (id bigserial primary key, balance int)')

    with pytest.raises(AuditError) as refused:
        invoke(["run", "smoke", "--yes-this-is-a-test-database", str(database.url.database)])
    (_, command) = str(refused.value.hint).split("Fill it: integrity ")
    assert invoke(shlex.split(command)) == 0
    assert ask(database, 'select count(*) from shop."Accounts"') == [(50,)]
    Path("operations/enrol.sql").write_text(
        '-- parameter balance: integer 1..9\ninsert into shop."Accounts" (balance) values (:balance);\n', encoding="utf-8"
    )
    with database.connect() as connection:
        connection.execute('delete from shop."Accounts"')
    hammer = ["run", "hammer", "--duration", "300ms", "--yes-this-is-a-test-database", str(database.url.database)]
    told = []
    for _ in range(2):
        capsys.readouterr()
        assert invoke(hammer) == 0
        told.append("pay is left out of this run: there is no row yet of" in " ".join(capsys.readouterr().err.split()))
    assert told == [True, False]
