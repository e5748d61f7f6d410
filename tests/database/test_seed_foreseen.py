"""What only the thousandth row breaks is told before the first one is sent: rows are made from a seed, so all are known.

Each case is one of what grows with the row's number: counts within a group, numbers, spans, values of ever more parents.
"""

import pytest

from integrity.engines.target import Target
from integrity.errors import AuditError
from integrity.events import listen
from integrity.jobs.seed_schema import seed_schema
from integrity.seeds.schema import rehearsal

TAGS = "create table tags (tag text primary key);"
USERS = "create table users (id int primary key);"

LATE = {
    "a count within a group": (
        "create table orders (id int primary key); create table late (order_id int not null references orders, "
        "line int not null constraint odd check (line between 1 and 60), primary key (order_id, line))",
        {"orders": 12, "late": 1200},
        "public.late: 'odd' does not take all of 1,200 rows: new row for relation \"late\" violates check",
    ),
    "a number that a check leaves out": (
        "create table late (id int primary key constraint odd check (id % 1000 <> 778))",
        {"late": 2000},
        "'odd'",
    ),
    "the bounds of partitions": (
        "create table late (id int primary key constraint odd check (id <> 779)) partition by range (id); "
        "create table low partition of late for values from (0) to (778); "
        "create table high partition of late for values from (779) to (99999)",
        {"late": 2000},
        "'partitions'",
    ),
    "spans that end too late": (
        "create extension if not exists btree_gist; create table late (room int not null check (room = 1), "
        "starts_at timestamptz not null, ends_at timestamptz not null, constraint odd check (ends_at < '2025-02-20'), "
        "exclude using gist (room with =, tstzrange(starts_at, ends_at) with &&))",
        {"late": 2500},
        "'odd'",
    ),
    "spans of numbers that do not fit": (
        "create table late (starts int2 not null, ends int2 not null, "
        "exclude using gist (int4range(starts, ends) with &&))",
        {"late": 9000},
        "late.starts: 35,997 is no smallint",
    ),
    "a function of a parent's value": (
        TAGS + "create table late (tag text not null references tags constraint odd check (right(tag, 3) <> '900'))",
        {"tags": 2000, "late": 20000},
        "'odd'",
    ),
    "a unique expression": (
        "create table late (id int primary key, code text not null unique); "
        "create unique index odd on late ((right(code, 3)))",
        {"late": 1500},
        "'odd'",
    ),
    "a computed number that does not fit": (
        "create table late (id int primary key, n int not null generated always as (id * 1000000) stored)",
        {"late": 3000},
        "integer out of range",
    ),
    "a check of a computed number": (
        "create table late (id int primary key, n int not null generated always as (id * 2) stored, "
        "constraint odd check (n <> 1998))",
        {"late": 3000},
        "'odd'",
    ),
    "a parent's text that is too long": (
        "create table tags (tag text primary key check (tag = ltrim(tag, '0') and tag ~ '^[0-9]*$')); "
        "create table late (tag varchar(3) not null references tags)",
        {"tags": 1500, "late": 20000},
        "value too long for type character varying(3)",
    ),
    "a parent's number that does not fit": (
        USERS + "create table late (user_id int2 not null references users)",
        {"users": 40000, "late": 90000},
        "late.user_id: 40,000 is no smallint",
    ),
    "combinations of parents": (
        USERS
        + "create table late (a int not null references users, b int not null references users, "
        + "constraint odd primary key (a, b))",
        {"users": 30, "late": 1000},
        "late: only 900 of 1,000 rows can be made: unique constraint 'odd' refuses the others",
    ),
    "keys of tables in a circle": (
        "create type kind as enum ('a', 'b'); create table late (id int primary key, kind kind not null, "
        "other int not null, unique (kind, other)); "
        "create table others (id int primary key, late_id int not null references late); "
        "alter table late add foreign key (other) references others",
        {"others": 400, "late": 1000},
        "late: only 800 of 1,000 rows can be made",
    ),
}


@pytest.mark.parametrize("case", LATE)
def test_what_a_later_row_breaks_is_told_before_the_first_is_sent(database: Target, case: str) -> None:
    """A table that rows were sent to, and taken back from, has pages."""
    ddl, rows, said = LATE[case]

    assert said in refuse(database, ddl, rows)
    pages = (
        "select sum(pg_relation_size(oid))::int from pg_class "
        "where relkind = 'r' and relnamespace = to_regnamespace('public')"
    )
    with database.connect() as connection:
        assert connection.execute(pages.encode()).fetchall() == [(0,)]


def refuse(target: Target, ddl: str, rows: dict[str, int]) -> str:
    """Return what is said of tables that cannot be filled so."""
    with target.connect() as connection:
        connection.execute(ddl.encode())
    try:
        listen(seed_schema(target, rows=rows, seed=1, test_database=target.url.database))
    except AuditError as error:
        return f"{error.message} | {error.hint}"
    return "filled"


def test_a_parents_null_is_not_referred_to_and_what_is_not_kept_is_made_again_alike(
    database: Target, monkeypatch: pytest.MonkeyPatch
) -> None:
    with database.connect() as connection:
        connection.execute(
            b"create table people (id int primary key, code text, unique (id, code));"
            b"create table late (person int not null, code text not null,"
            b"foreign key (person, code) references people (id, code))"
        )
    seen = []
    for kept in (rehearsal.KEPT_MOST, 0):
        monkeypatch.setattr(rehearsal, "KEPT_MOST", kept)
        rows = {"people": 1000, "late": 3000}
        listen(seed_schema(database, rows=rows, seed=1, test_database=database.url.database, replaces=True))
        with database.connect() as connection:
            seen += connection.execute("select md5(string_agg(l::text, ',' order by l::text)) from late as l").fetchall()
    assert seen[0] == seen[1]
