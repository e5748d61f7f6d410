"""A look at a table is read from a statement's text, with the index and the lock that would guard it."""

import pytest
from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    ForeignKey,
    ForeignKeyConstraint,
    Integer,
    MetaData,
    Table,
    Text,
    UniqueConstraint,
)

from integrity.race.trial.looks import find_looks, parent_locks, unique_index

METADATA = MetaData()
Table("coupons", METADATA, Column("id", BigInteger, primary_key=True))
Table(
    "seats",
    METADATA,
    Column("eventId", BigInteger, primary_key=True),
    Column("number", Integer, primary_key=True),
    schema="hall",
)
Table(
    "uses",
    METADATA,
    Column("id", BigInteger, primary_key=True),
    Column("coupon_id", ForeignKey("coupons.id")),
    Column("status", Text),
    Column("is_void", Boolean),
    Column("n", Integer),
    Column("token", Text),
    Column("eventId", BigInteger),
    Column("number", Integer),
    UniqueConstraint("token", "status"),
    ForeignKeyConstraint(["eventId", "number"], ["hall.seats.eventId", "hall.seats.number"], name="uses_seat"),
)
INDEX = "CREATE UNIQUE INDEX uses_coupon_id_key ON uses (coupon_id)"
LOCK = "select id from coupons where id = :c for update"


@pytest.mark.parametrize(
    ("sql", "index", "locks"),
    [
        ("select count(*) from uses where coupon_id = :c", INDEX, [LOCK]),
        ("select 1 from uses where (:c = coupon_id)", INDEX, [LOCK]),
        ("select exists (select from uses as u where u.coupon_id = cast(:c as bigint))", INDEX, [LOCK]),
        ("insert into uses (coupon_id) select :c where not exists (select from uses where coupon_id = :c)", INDEX, [LOCK]),
        (
            "select id from uses u where u.coupon_id = :c and u.status in ('new', 'old') and not u.is_void",
            f"{INDEX} WHERE status IN ('new', 'old') AND NOT is_void",
            [LOCK],
        ),
        (
            "select coalesce(max(n), 0) + 1 from uses where coupon_id = :c",
            "CREATE UNIQUE INDEX uses_coupon_id_n_key ON uses (coupon_id, n)",
            [LOCK],
        ),
        ("select sum(n) from uses where coupon_id = :c", "", [LOCK]),
        ("select 1 from uses where coupon_id = :c and n > :n", "", [LOCK]),
        ("select 1 from uses where coupon_id = :c or is_void", "", []),
        ("select 1 from uses where id = :id", "", []),
        ("select 1 from uses where token = :t and status = 'new'", "", []),
        ("select 1 from uses where is_void", "", []),
        (
            'select 1 from uses where number = :n and "eventId" = :e',
            'CREATE UNIQUE INDEX "uses_number_eventId_key" ON uses (number, "eventId")',
            ['select "eventId", number from hall.seats where "eventId" = :e and number = :n for update'],
        ),
        ("select 1 from uses where number = :n and eventId = :e", "", []),
    ],
)
def test_an_index_and_a_lock_guard_what_is_looked_for(sql: str, index: str, locks: list[str]) -> None:
    (look,) = find_looks(sql, METADATA)
    assert unique_index(look, dialect="postgresql") == index
    assert [lock for _, lock in parent_locks(look)] == locks


@pytest.mark.parametrize(
    "sql",
    [
        "select 1 from coupons join uses on uses.coupon_id = coupons.id where coupons.id = :c",
        "select 1 from strangers where id = :id",
        "select 1 from uses",
        "insert into uses (coupon_id) values (:c)",
        "fetch next from c",
    ],
)
def test_what_is_no_look_at_one_known_table_is_passed_over(sql: str) -> None:
    assert list(find_looks(sql, METADATA)) == []


@pytest.mark.parametrize(
    ("condition", "index", "locks"),
    [
        ("coupon_id = k.id", INDEX, [LOCK]),
        ("k.id = uses.coupon_id and n = k.n", "", [LOCK]),
        ("coupon_id = k.n", "", []),
        ("coupon_id = id", "", []),
    ],
)
def test_a_subselect_looks_for_what_the_statement_around_it_is_given(condition: str, index: str, locks: list[str]) -> None:
    sql = f"select (select count(*) from uses where {condition}) from coupons as k where id = :c"
    (look,) = (each for each in find_looks(sql, METADATA) if each.table.name == "uses")
    assert unique_index(look, dialect="postgresql") == index
    assert [lock for _, lock in parent_locks(look)] == locks
