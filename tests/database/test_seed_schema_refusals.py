"""What cannot be filled is named before anything is written, with what to write instead."""

from pathlib import Path

import pytest

from integrity.cli.main import main
from integrity.engines.target import Target
from integrity.errors import AuditError, UsageError
from integrity.events import listen
from integrity.jobs.seed_schema import seed_schema
from tests.database.shop import SHOP, Fill, ask


def test_what_cannot_pass_is_named_before_anything_is_written_with_what_to_write(fill: Fill) -> None:
    with pytest.raises(UsageError) as refused:
        fill("create table codes (id int primary key, code text not null constraint odd check (md5(code) = 'x'))", codes=5)

    assert refused.value.message == (
        "public.codes (code): none of 4,600 rows that were tried passes check 'odd': (md5(code) = 'x'::text)"
    )
    assert refused.value.hint == ("Write values that pass in the seeds file: [tables.codes.columns.code] values = [...]")


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


def test_a_table_of_another_role_is_named(fill: Fill, database: Target) -> None:
    with database.connect() as connection:
        connection.execute(b"create role filler login" if not ask(database, _HAS_FILLER) else b"select")
        connection.execute("create table ledgers (id int primary key)")
    filler = Target(database.url.set(username="filler"))

    with pytest.raises(UsageError, match=r"public\.ledgers belongs to another role"):
        listen(seed_schema(filler, rows={"ledgers": 5}, seed=1, test_database=database.url.database))


_HAS_FILLER = "select 1 from pg_roles where rolname = 'filler'"


def test_a_table_that_there_is_not_is_told_before_that_the_schema_is_filled(fill: Fill) -> None:
    database, _ = fill(SHOP, customers=3)
    with pytest.raises(UsageError, match="there is no table 'custmers'") as caught:
        listen(seed_schema(database, rows={"custmers": 3}, seed=1, test_database=database.url.database))
    assert caught.value.hint == "Perhaps you meant customers."
