"""Proofs on a real PostgreSQL: fingerprints, indexes and shared scans say what the queries they stand for say."""

from dataclasses import dataclass

import psycopg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from integrity.engines.target import Target
from integrity.verdict import Verdict
from tests.database.bank import BALANCE, BANK, HAS_WALLET, execute, files, findings, only


@pytest.fixture
def bank(database: Target) -> Target:
    execute(database, BANK)
    return database


@pytest.mark.parametrize("distance", [1, 2**32 - 1], ids=["neighbours", "one hash without the upper half"])
def test_fingerprints_see_a_plus_and_a_minus_that_cancel(bank: Target, distance: int) -> None:
    """The sums over all wallets agree, those of two wallets do not. 1 and 2^32 have one hash in PostgreSQL."""
    execute(bank, f"insert into bank.wallets values ({1 + distance}, 0) on conflict do nothing")
    assert only(bank, BALANCE).method == "fingerprint"
    execute(bank, "update bank.wallets set balance = balance + 1 where id = 1")
    execute(bank, f"update bank.wallets set balance = balance - 1 where id = {1 + distance}")
    found = only(bank, BALANCE)
    assert (found.verdict, found.method) == (Verdict.VIOLATED, "query, as fingerprints differ")
    assert [row["id"] for row in found.rows] == [1, 1 + distance]


# Better matches than PostgreSQL's own, which has no numeric times bigint, and what is found first where they are in front.
HOSTILE = """
create schema hostile;
create function hostile.nothing(numeric, bigint) returns numeric immutable language sql as 'select 0.0';
create operator hostile.* (function = hostile.nothing, leftarg = numeric, rightarg = bigint);
create function hostile.hashint8extended(bigint, bigint) returns bigint immutable language sql as 'select 0::bigint';
create function hostile.least_of(bigint, numeric) returns bigint immutable language sql as 'select 0::bigint';
create aggregate hostile.sum(numeric) (sfunc = hostile.least_of, stype = bigint);
create domain hostile.timestamptz as integer;
create domain hostile.text as integer;
alter table bank.wallets alter balance type numeric;
alter table bank.entries alter amount type numeric;
update bank.wallets set balance = balance + 1 where id = 1;
update bank.wallets set balance = balance - 1 where id = 2;
"""


@pytest.mark.parametrize(
    ("path", "method"),
    [("hostile", "query, as fingerprints differ"), ("hostile, pg_catalog", "query")],
    ids=["behind what PostgreSQL has", "in front"],
)
def test_no_name_of_the_databases_own_stands_in_for_one_of_a_proof(bank: Target, path: str, method: str) -> None:
    """In front, even the query's own words mean something else, as its writer may want: only the server knows."""
    execute(bank, HOSTILE + f"alter database {bank.url.database} set search_path = {path}")
    with bank.connect() as connection:
        rows = connection.execute(BALANCE.encode()).fetchall()
    found = only(bank, BALANCE)
    assert (found.verdict, found.violation_count, found.method) == (Verdict.VIOLATED, len(rows), method)


def test_entries_on_a_missing_wallet_that_cancel_are_found_by_the_reference_check(bank: Target) -> None:
    execute(bank, "insert into bank.entries (wallet_id, amount) values (999, 5), (999, -5)")
    found = findings(bank, files(balance=BALANCE, reference=HAS_WALLET))
    assert found["balance"].verdict is Verdict.HOLDS
    assert (found["reference"].verdict, found["reference"].violation_count) == (Verdict.VIOLATED, 2)


def test_entries_on_a_missing_wallet_leave_the_balance_check_to_its_query(bank: Target) -> None:
    execute(bank, "insert into bank.entries (wallet_id, amount) values (999, 5)")
    found = only(bank, BALANCE)
    assert (found.verdict, found.method) == (Verdict.HOLDS, "query, as fingerprints differ")


def test_exact_asks_every_query_as_it_is_written(bank: Target) -> None:
    """Where the plan scans, takes an index's word or a fingerprint's; whatever number of rows is shown, all are counted."""
    asked = files(
        balance=BALANCE,
        once="select id from bank.wallets group by id having count(*) > 1",
        low="select id from bank.wallets where balance < 0",
        high="select id, balance from bank.wallets where balance = 100 order by id desc",
    )
    planned = findings(bank, asked)
    assert {name: found.method for name, found in planned.items()} == {
        "balance": "fingerprint", "once": "unique index wallets_pkey", "low": "scan shared by 3", "high": "scan shared by 3"
    }  # fmt: skip
    for shown in (0, 2, 50, 51):
        exact = findings(bank, asked, is_exact=True, row_limit=shown)
        assert {found.method for found in exact.values()} == {"query"}
        assert {name: found.violation_count for name, found in exact.items()} == {
            "balance": 0,
            "once": 0,
            "low": 0,
            "high": 50,
        }
        assert [row["id"] for row in exact["high"].rows] == list(range(50, 0, -1))[:shown]


def test_amounts_too_large_for_a_fingerprint_are_asked_of_the_query(bank: Target) -> None:
    execute(bank, "update bank.wallets set balance = 9000000000000000000 where id = 1")
    found = only(bank, BALANCE)
    assert (found.verdict, found.violation_count, found.method) == (Verdict.VIOLATED, 1, "query")


def test_nothing_is_proved_by_sums_that_are_not_a_number(database: Target) -> None:
    execute(
        database,
        """
        create table stored (id bigint primary key, total numeric not null);
        create table part (stored_id bigint not null, amount numeric not null);
        insert into stored values (1, 'NaN'), (2, 5);
        insert into part values (1, 'NaN');
        """,
    )
    query = (
        "select stored.id from stored left join part on part.stored_id = stored.id group by stored.id "
        "having stored.total <> coalesce(sum(part.amount), 0)"
    )
    assert list(only(database, query).rows) == [{"id": 2}]


amounts = st.one_of(st.none(), st.integers(-3, 3))


@dataclass
class Pairs:
    """Parents (key, stored, flag) and parts (key, amount, flag) of any kind, with nulls, repeats and strays."""

    parents: list[tuple[int, int | None, int | None]]
    parts: list[tuple[int | None, int | None, int | None]]


keys = st.integers(1, 4)
pairs = st.builds(
    Pairs,
    st.lists(st.tuples(keys, amounts, amounts), max_size=5, unique_by=lambda parent: parent[0]),
    st.lists(st.tuples(st.one_of(st.none(), keys), amounts, amounts), max_size=8),
)
JOINED = "select parent.id from parent left join part on part.parent_id = parent.id{0} group by parent.id having {1}"
BALANCED = {
    "stored": JOINED.format("", "parent.stored is distinct from coalesce(sum(part.amount), 0)"),
    "not_null_safe": JOINED.format("", "parent.stored <> sum(part.amount)"),
    "negated": JOINED.format(" and part.flag > 0", "coalesce(parent.stored, 0) <> -coalesce(sum(part.amount), 0)"),
    "counted": JOINED.format("", "count(part.id) <> coalesce(parent.flag, 0)"),
    "counted_with_itself": JOINED.format("", "count(*) <> coalesce(parent.flag, 0)"),
    "some_parts": JOINED.format("", "coalesce(sum(part.amount) filter (where part.flag > 0), 0) <> parent.stored"),
    "at_most_one": JOINED.format(" and part.flag = 1", "count(*) > 1 or parent.stored < 0"),
    "filtered": JOINED.format(
        "", "coalesce(sum(part.amount) filter (where part.flag = parent.flag), 0) is distinct from parent.stored"
    ),
    "inner": "select parent.id from parent join part on part.parent_id = parent.id where parent.flag >= 0 "
    "group by parent.id having count(*) <> 1 or sum(part.amount) <> parent.stored",
    "zero": "select parent_id from part group by parent_id having sum(amount) <> 0",
    "zero_null_safe": "select parent_id from part where flag > 0 group by parent_id having sum(amount) is distinct from 0",
    "explained": "select parent.id, count(part.id) from parent left join part on part.parent_id = parent.id "
    "where parent.stored < parent.flag group by parent.id",
    "counts_all": "select count(*) from parent where stored < 0",
    "paired": "select parent.id from parent left join single on single.parent_id = parent.id "
    "where parent.flag > -3 and parent.stored is distinct from coalesce(single.amount, 0)",
}


@pytest.fixture
def pair_tables(database: Target) -> Target:
    execute(
        database,
        """
        create table parent (id bigint primary key, stored bigint, flag int);
        create table part (id bigint generated always as identity primary key, parent_id int, amount bigint, flag int);
        create table single (parent_id int unique, amount bigint);
        """,
    )
    return database


@given(pairs=pairs, mends=st.booleans())
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_a_proof_never_says_more_than_the_query_it_stands_for(pair_tables: Target, pairs: Pairs, mends: bool) -> None:
    """Mended worlds, where the stored sums are right, are where fingerprints agree and proofs decide."""
    parents = pairs.parents
    if mends:
        sums = {key: sum(amount or 0 for of, amount, _ in pairs.parts if of == key) for key, _, _ in parents}
        counts = {key: sum(of == key for of, _, _ in pairs.parts) for key, _, _ in parents}
        parents = [(key, sums[key], counts[key]) for key, _, _ in parents]
    with pair_tables.connect() as connection:
        connection.execute("truncate parent, part, single")
        with connection.cursor() as cursor:
            cursor.executemany("insert into parent values (%s, %s, %s)", parents)
            cursor.executemany("insert into part (parent_id, amount, flag) values (%s, %s, %s)", pairs.parts)
        connection.execute("insert into single select parent_id, sum(amount) from part group by parent_id")
        expected = {name: len(connection.execute(query.encode()).fetchall()) for name, query in BALANCED.items()}
    found = findings(pair_tables, files(**BALANCED))
    judged = {name: finding for name, finding in found.items() if finding.verdict is not Verdict.UNKNOWN}
    assert {name: finding.violation_count for name, finding in judged.items()} == {name: expected[name] for name in judged}
    assert all("nothing in scope" in finding.reason for name, finding in found.items() if name not in judged)


def comparison() -> st.SearchStrategy[str]:
    operand = st.sampled_from(["a", "row.b", "c", "0", "2", "null", "-a", "a + row.b"])
    operator = st.sampled_from(["=", "<>", "<", ">=", "is distinct from", "is not distinct from"])
    compared = st.tuples(operand, operator, operand).map(" ".join)
    tested = st.sampled_from(["a is null", "row.b is not null", "c in (1, null)", "a between 1 and c", "not (a = c)"])
    return st.one_of(compared, tested)


predicates = st.recursive(
    comparison(),
    lambda inner: st.tuples(inner, st.sampled_from(["and", "or"]), inner).map(lambda parts: f"({' '.join(parts)})"),
    max_leaves=4,
)


@given(
    rows=st.lists(st.tuples(amounts, amounts, amounts), min_size=1, max_size=6),
    chosen=st.lists(predicates, min_size=2, max_size=5),
)
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_fused_row_checks_count_what_each_query_counts_alone(
    pair_tables: Target, rows: list[tuple[int | None, ...]], chosen: list[str]
) -> None:
    with pair_tables.connect() as connection:
        connection.execute("create table if not exists checked (a int, b int, c int)")
        connection.execute("truncate checked")
        with connection.cursor() as cursor:
            cursor.executemany("insert into checked values (%s, %s, %s)", rows)
        queries = {f"q{n}": f"select a, row.b from checked as row where {p}" for n, p in enumerate(chosen)}
        expected = {name: len(connection.execute(query.encode()).fetchall()) for name, query in queries.items()}
    found = findings(pair_tables, files(**queries))
    assert {name: finding.violation_count for name, finding in found.items()} == expected
    assert {finding.method for finding in found.values()} == {f"scan shared by {len(chosen)}"}


DUPLICATES = "select wallet_id, amount from bank.entries group by wallet_id, amount having count(*) > 1"


REQUIRED = "alter table bank.entries alter amount set not null;"
INDEX = "create unique index proof on bank.entries (wallet_id, amount)"


@pytest.mark.parametrize(
    ("index", "method"),
    [
        (INDEX, "query"),  # two rows without amount are one group, and no duplicates to the index
        (REQUIRED + INDEX, "unique index proof"),
        (f"{REQUIRED + INDEX}; update pg_index set indisvalid = false where indexrelid = 'bank.proof'::regclass", "query"),
        (f"{REQUIRED + INDEX} where id > 1", "query"),
        (f"{REQUIRED} create unique index proof on bank.entries (wallet_id, (amount + 0))", "query"),
        (f"{REQUIRED} alter table bank.entries add constraint proof unique (wallet_id, amount) deferrable",
         "unique index proof"),
        (f"{REQUIRED} create index proof on bank.entries (wallet_id, amount)", "query"),
        (f"create table bank.more () inherits (bank.entries); {REQUIRED + INDEX}", "query"),
    ],
    ids=["nullable", "valid", "invalid", "partial", "expression", "deferrable", "not unique", "inherited"],
)  # fmt: skip
def test_only_a_valid_unique_index_proves_that_there_are_no_duplicates(bank: Target, index: str, method: str) -> None:
    execute(bank, index)
    found = only(bank, DUPLICATES)
    assert (found.verdict, found.method) == (Verdict.HOLDS, method)


def test_duplicates_that_an_invalid_index_hides_are_found(bank: Target) -> None:
    execute(bank, "insert into bank.entries (wallet_id, amount) values (1, 60)")
    with bank.connect() as connection, pytest.raises(psycopg.errors.UniqueViolation):
        connection.execute("create unique index concurrently proof on bank.entries (wallet_id, amount)")
    found = only(bank, DUPLICATES)
    assert (found.violation_count, list(found.rows)) == (1, [{"wallet_id": 1, "amount": 60}])
