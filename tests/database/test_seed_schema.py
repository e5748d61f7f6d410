"""Somebody's own tables are filled so that all that the server holds their rows to holds, and emptied again."""

import json
import shlex
from pathlib import Path

import pytest

from integrity.cli.main import invoke
from integrity.engines.target import Target
from integrity.errors import AuditError
from integrity.events import Event, Noted, listen
from integrity.jobs.seed_schema import seed_schema
from tests.database.shop import SHOP, Fill, ask


def test_tables_are_filled_and_what_is_not_named_follows_from_what_is(fill: Fill) -> None:
    target, seeded = fill(SHOP, orders=1000)

    assert dict(seeded.row_counts) == {"public.customers": 333, "public.orders": 1000, "public.order_items": 2000}
    assert ask(target, "select count(distinct order_id) > 500, max(line) > 1 from order_items") == [(True, True)]
    assert ask(target, "select array_agg(distinct status::text order by status::text) from orders") == [
        (["cancelled", "open", "paid"],)
    ]


def test_a_table_that_takes_fewer_rows_than_its_parents_would_have_is_told(database: Target) -> None:
    with database.connect() as connection:
        connection.execute(
            b"create table stays (id bigint generated always as identity primary key);"
            b"create table payments (id bigint generated always as identity primary key, "
            b"stay_id bigint not null unique references stays)"
        )
    told: list[str] = []

    def hear(event: Event) -> None:
        told.extend([event.text] if isinstance(event, Noted) else [])

    seeded = listen(seed_schema(database, rows={"stays": 20}, seed=1, test_database=database.url.database), hear)
    assert seeded.row_counts["public.payments"] == 20
    assert told == [
        "public.payments: 20 rows of the 40 that its parents would have: no more differ in what must be unique."
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


def test_the_same_seed_makes_the_same_rows_and_another_makes_others(fill: Fill, database: Target) -> None:
    query = "select md5(string_agg(t::text, ',' order by t::text)) from (select * from orders, customers) as t"
    fill(SHOP, orders=20)
    seen = [ask(database, query)]
    for seed in (1, 2):
        listen(seed_schema(database, rows={"orders": 20}, seed=seed, test_database=database.url.database, replaces=True))
        seen.append(ask(database, query))

    assert seen[0] == seen[1] != seen[2]


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


def test_rows_that_are_there_already_are_left_and_referred_to(fill: Fill) -> None:
    target, seeded = fill(
        "create table countries (code char(2) primary key); insert into countries values ('DE'), ('FR');"
        "create table towns (id bigserial primary key, country char(2) not null references countries)",
        towns=50,
    )

    assert dict(seeded.row_counts) == {"public.towns": 50}
    assert ask(target, "select count(distinct country) from towns") == [(2,)]


@pytest.mark.exhaustive
@pytest.mark.exhaustive
def test_a_thousand_tables_are_filled(fill: Fill) -> None:
    ddl = ";".join(
        f"create table t{number} (id bigserial primary key, up bigint references t{max(0, number - 1)}, "
        "name text check (name <> ''))"
        for number in range(1000)
    )

    _, seeded = fill(ddl, t0=10)

    assert len(seeded.row_counts) == 1000


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
    hammer = ["run", "hammer", "--duration", "1s", "--yes-this-is-a-test-database", str(database.url.database)]
    told = []
    for _ in range(2):
        capsys.readouterr()
        assert invoke(hammer) == 0
        out, err = capsys.readouterr()
        lacking = "there is no row yet of"
        told.append((f"pay is left out of this run: {lacking}" in " ".join(err.split()), f"not run: pay: {lacking}" in out))
    assert told == [(True, True), (False, False)]
