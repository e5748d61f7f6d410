"""Somebody's own tables are filled so that all that the server holds their rows to holds, and emptied again."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from integrity.cli.main import main
from integrity.database.namespace import drop_schemas
from integrity.engines.target import Target
from integrity.errors import AuditError, UsageError
from integrity.events import listen
from integrity.jobs.seed_schema import seed_schema
from integrity.seeds.schema.fill import SchemaSeeded

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

    with pytest.raises(AuditError, match="orders"):
        drop_schemas(target)

    assert ask(target, "select count(*) from orders") == [(51,)]


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
