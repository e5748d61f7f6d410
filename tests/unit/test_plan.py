"""Plans: what a query's shape and the catalogue allow instead of running it, and what they do not."""

import random
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from integrity.engines.facts import Column, Facts, Table, TableName, UniqueIndex
from integrity.engines.postgresql.spelling import SPELLING as POSTGRESQL
from integrity.engines.spelling import NotPortable, Spelling
from integrity.engines.sqlite.portable import to_sqlite
from integrity.engines.sqlite.spelling import SPELLING as SQLITE
from integrity.invariants.plan import Plan, Scan, make_plan
from integrity.invariants.syntax import tables_of
from integrity.sql.file import SqlFile, parse_sql_file
from integrity.sql.query import parse_query

NOW = datetime(2026, 1, 17, tzinfo=UTC)
WALLETS = TableName("bank", "wallets")
ENTRIES = TableName("bank", "entries")
OWNERS = TableName("bank", "owners")
REQUIRED_NUMBER = Column("int8", is_not_null=True)
NUMERIC = Column("numeric", is_not_null=True)


def index(name: str, *columns: str, predicate: str = "", is_nulls_distinct: bool = True) -> UniqueIndex:
    return UniqueIndex(name, columns, predicate, is_nulls_distinct)


FACTS: Facts = {
    WALLETS: Table(
        rows_estimate=1000,
        bytes=80_000,
        columns={"id": REQUIRED_NUMBER, "balance": REQUIRED_NUMBER, "owner_id": Column("int8", is_not_null=False)},
        unique_indexes=(index("wallets_pkey", "id"),),
        is_stored=True,
    ),
    ENTRIES: Table(
        rows_estimate=10_000,
        bytes=800_000,
        columns={
            "id": REQUIRED_NUMBER,
            "wallet_id": Column("int8", is_not_null=False),
            "amount": REQUIRED_NUMBER,
            "ratio": Column("float8", is_not_null=True),
            "kind": Column("text", is_not_null=True),
            "operation_id": Column("uuid", is_not_null=True),
        },
        unique_indexes=(index("entries_pkey", "id"),),
        is_stored=True,
    ),
    OWNERS: Table(bytes=8_000, columns={"id": REQUIRED_NUMBER, "limit_minor": REQUIRED_NUMBER},
                  unique_indexes=(index("owners_pkey", "id"),)),
}  # fmt: skip

BALANCE = """
select wallets.id, wallets.balance, coalesce(sum(entries.amount), 0) as total
from bank.wallets
left join bank.entries on entries.wallet_id = wallets.id
group by wallets.id
having wallets.balance is distinct from coalesce(sum(entries.amount), 0)
order by wallets.id
"""


def file(query: str, name: str = "bank/x", header: str = "") -> SqlFile:
    return parse_sql_file(f"-- title: t\n{header}{query}", path=Path(f"invariants/{name}.sql"), name=name)


def plan(*queries: str | SqlFile, facts: Facts = FACTS, spelling: Spelling = POSTGRESQL, is_exact: bool = False) -> Plan:
    files = [query if isinstance(query, SqlFile) else file(query, f"bank/{n}") for n, query in enumerate(queries)]
    return make_plan(
        files, facts, refused={}, now=NOW, spelling=spelling, is_exact=is_exact, given={}, random_source=random.Random(1)
    )


def columns(scan: Scan, spelling: Spelling = POSTGRESQL) -> list[str]:
    return [spelling.answer(answer) for answer in scan.answers]


def only(query: str, facts: Facts = FACTS, *, is_exact: bool = False) -> tuple[str, str]:
    """Return the method and the reason of the only step."""
    made = plan(query, facts=facts, is_exact=is_exact)
    return made.steps[0].method(made.scans), made.steps[0].why


def with_columns(table: TableName, **columns: Column) -> Facts:
    return {**FACTS, table: replace(FACTS[table], columns={**FACTS[table].columns, **columns})}


def with_indexes(table: TableName, *indexes: UniqueIndex) -> Facts:
    return {**FACTS, table: replace(FACTS[table], unique_indexes=indexes)}


def test_row_checks_of_one_table_share_a_scan_whatever_they_call_its_row() -> None:
    made = plan(
        "select id from bank.wallets where balance < 0",
        "select w.id from bank.wallets as w where w.balance > 5 or (w.owner_id is null and 'w.id' <> '')",
        "select entries.id from bank.entries where entries.amount = 0",
    )
    assert [(str(scan.source), scan.invariants) for scan in made.scans] == [
        ("bank.wallets as audited", ["bank/0", "bank/1"]),
        ("bank.entries as audited", ["bank/2"]),
    ]
    assert columns(made.scans[0]) == [
        "count(*) filter (where balance < 0\n)",
        "count(*) filter (where audited.balance > 5 or (audited.owner_id is null and 'w.id' <> '')\n)",
    ]
    assert [step.method(made.scans) for step in made.steps] == ["scan shared by 2", "scan shared by 2", "scan"]
    assert all(step.is_whole for step in made.steps)


def test_parameters_of_files_that_share_a_scan_do_not_mix() -> None:
    header = "-- parameter: least bigint = {}\n"
    made = plan(
        file("select id from bank.wallets where balance < :least", "bank/a", header.format(1)),
        file("select id from bank.wallets where balance > :least or id = :least", "bank/b", header.format(2)),
    )
    (scan,) = made.scans
    assert scan.parameters == {"least_1": ("bigint", 1), "least_2": ("bigint", 2)}
    assert columns(scan) == [
        "count(*) filter (where balance < :least_1\n)",
        "count(*) filter (where balance > :least_2 or id = :least_2\n)",
    ]
    written = POSTGRESQL.marked(scan.query(POSTGRESQL), {"least_1": "bigint", "least_2": "bigint"})
    assert "balance < $1::bigint\n" in written
    assert "balance > $2::bigint or id = $2::bigint\n" in written


@pytest.mark.parametrize(
    "query",
    [
        "select id from bank.wallets where balance < 0 limit 1",
        "select distinct owner_id from bank.wallets where balance < 0",
        "select id from bank.wallets where balance < (select 1)",
        "select count(*) from bank.wallets where balance < 0",
        "select count(*) from bank.wallets where balance < 0 group by ()",
        "select id, lag(id) over (order by id) from bank.wallets where balance < 0",
        "select id from bank.wallets",
        "select w.id from bank.wallets as w (id, balance) where w.balance < 0",
        "select w.id from bank.wallets as w where w is null",
        "select id from only bank.wallets where balance < 0",
        "select id from bank.wallets tablesample system (1) where balance < 0",
        "select id from bank.wallets where balance < 0 union all select id from bank.wallets where balance < 0",
        "with w as (select id, balance from bank.wallets) select id from w where balance < 0",
    ],
)
def test_what_is_more_than_a_row_check_is_asked_as_it_is(query: str) -> None:
    assert only(query)[0] == "query"


def test_a_function_that_may_return_more_rows_than_one_leaves_the_count_to_the_query() -> None:
    assert not plan("select unnest(array[1, 2]) from bank.wallets where balance < 0").steps[0].is_whole


@pytest.mark.parametrize("shown", ["100 / balance", "balance + 1", "cast(balance as int)", "wallets.size", "-balance"])
def test_what_may_fail_on_a_row_leaves_the_count_to_the_query(shown: str) -> None:
    """`wallets.size` is no column: a function of the row can be called so."""
    assert not plan(f"select id, {shown} as shown from bank.wallets where balance < 0").steps[0].is_whole


def test_what_is_calculated_when_it_is_read_leaves_the_count_to_the_query() -> None:
    facts = {**FACTS, WALLETS: replace(FACTS[WALLETS], is_stored=False)}
    assert not plan("select id, balance from bank.wallets where balance < 0", facts=facts).steps[0].is_whole


@pytest.mark.parametrize(
    ("shown", "reason"),
    [
        ("max(100 / entries.amount)", "an aggregate that may fail"),
        ("sum(100 / entries.amount)", "an aggregate that may fail"),
        ("sum(entries.ratio)", "an aggregate that may fail"),
        ("count(*) filter (where 100 / entries.amount > 1)", "an aggregate that may fail"),
        ("string_agg(cast(cast(entries.kind as int) as text), ' ')", "an aggregate that may fail"),
        ("total_of(entries.amount)", "what may be an aggregate that fails"),
    ],
)
def test_an_aggregate_that_only_explains_and_may_fail_is_asked_for(shown: str, reason: str) -> None:
    """It is of every group, and fails the query also where the having clause leaves all of them out."""
    assert only(BALANCE.replace("as total", f"as total, {shown} as shown")) == ("query", reason)


@pytest.mark.parametrize(
    "shown",
    [
        "string_agg(entries.id::text, ' ' order by entries.id)",
        "max(entries.kind)",
        "count(*) filter (where entries.kind = 'fee')",
        "100 / coalesce(sum(entries.amount), 0)",
    ],
)
def test_an_aggregate_that_cannot_fail_explains_beside_a_proof(shown: str) -> None:
    assert only(BALANCE.replace("as total", f"as total, {shown} as shown"))[0] == "fingerprint"


def test_a_row_check_that_joins_to_explain_its_rows_is_proved_by_the_scan() -> None:
    made = plan(
        "select wallets.id, string_agg(entries.kind, ' ') from bank.wallets left join bank.entries "
        "on entries.wallet_id = wallets.id where wallets.balance < 0 group by wallets.id"
    )
    assert columns(made.scans[0]) == ["count(*) filter (where audited.balance < 0\n)"]
    assert not made.steps[0].is_whole


def test_a_stored_sum_is_proved_by_fingerprints_of_both_sides() -> None:
    made = plan(BALANCE)
    assert made.steps[0].method(made.scans) == "fingerprint"
    assert [(str(scan.source), len(scan.answers)) for scan in made.scans] == [
        ("bank.wallets as audited", 2),
        ("bank.entries as audited", 2),
    ]
    assert only(BALANCE, is_exact=True) == ("query", "exact, as it is written")


def test_answers_that_differ_in_the_case_of_a_text_or_a_name_alone_are_no_one_answer() -> None:
    def balance(kind: str) -> str:
        return BALANCE.replace(
            "on entries.wallet_id = wallets.id", f"on entries.wallet_id = wallets.id and kind = '{kind}'"
        )

    parts = plan(balance("fee"), balance("Fee"), balance("fee")).scans[1]
    assert [text.rpartition("filter ")[2] for text in columns(parts)] == [
        *2 * ["(where audited.kind = 'fee')"],
        *2 * ["(where audited.kind = 'Fee')"],
    ]


def test_two_audits_weigh_with_different_seeds() -> None:
    plans = [
        make_plan(
            [file(BALANCE)], FACTS, refused={}, now=NOW, spelling=POSTGRESQL, is_exact=False, given={}, random_source=source
        )
        for source in (random.Random(1), random.Random(2))
    ]
    one, other = (columns(made.scans[0]) for made in plans)
    assert set(one).isdisjoint(other)


def test_a_stored_value_that_may_be_null_is_looked_at() -> None:
    made = plan(BALANCE, facts=with_columns(WALLETS, balance=Column("int8", is_not_null=False)))
    assert columns(made.scans[0])[-1] == "pg_catalog.count(*) filter (where (audited.balance) is null)"


@pytest.mark.parametrize(
    ("old", "new", "reason"),
    [
        ("coalesce(sum(entries.amount), 0)\norder", "sum(entries.amount)\norder", "a sum that is null"),
        ("sum(entries.amount), 0)\norder", "sum(entries.amount), 1)\norder", "coalesce to something else than 0"),
        ("sum(entries.amount), 0)\norder", "sum(entries.ratio), 0)\norder", "a column of type float8"),
        ("sum(entries.amount), 0)\norder", "max(entries.amount), 0)\norder", "an aggregate other than sum and count"),
        ("sum(entries.amount), 0)\norder", "sum(distinct entries.amount), 0)\norder", "an aggregate other than sum"),
        ("sum(entries.amount), 0)\norder", "sum(wallets.balance), 0)\norder", "a sum over more than the parts"),
        (
            "is distinct from coalesce(sum(entries.amount), 0)",
            "<> count(*)",
            "count(*), which counts a parent without parts",
        ),
        ("is distinct from", "<", "a comparison other than <> and is distinct from"),
        ("= wallets.id", "<= wallets.id", "a join condition that is no key"),
        ("= wallets.id\n", "= wallets.id and wallets.balance > 0\n", "a join condition that is no key"),
        ("group by wallets.id", "group by wallets.owner_id", "groups that are not the rows of the first table"),
        ("group by wallets.id", "group by cube (wallets.id)", "groups of another kind"),
        ("left join", "full join", "a join of another kind"),
    ],
)
def test_a_query_that_is_nearly_a_stored_sum_is_asked_as_it_is(old: str, new: str, reason: str) -> None:
    assert old in BALANCE
    method, why = only(BALANCE.replace(old, new))
    assert (method, why[: len(reason)]) == ("query", reason)


@pytest.mark.parametrize(
    ("facts", "reason"),
    [
        (with_indexes(WALLETS), "groups that are not the rows of the first table"),
        (with_indexes(WALLETS, index("i", "id", predicate="balance > 0")), "groups that are not the rows"),
        (
            {**with_columns(WALLETS, id=NUMERIC), ENTRIES: with_columns(ENTRIES, wallet_id=NUMERIC)[ENTRIES]},
            "a key of type numeric",
        ),
        (with_columns(WALLETS, id=NUMERIC), "keys of different types"),
        (with_columns(WALLETS, id=Column("int8", is_not_null=True, collation=12345)), "keys of different types"),
        (with_columns(ENTRIES, wallet_id=Column("text", is_not_null=True)), "keys of different types"),
        (with_columns(ENTRIES, amount=Column("float8", is_not_null=True)), "a column of type float8"),
    ],
)
def test_a_stored_sum_that_the_catalogue_does_not_bear_out_is_asked_as_it_is(facts: Facts, reason: str) -> None:
    method, why = only(BALANCE, facts)
    assert (method, why[: len(reason)]) == ("query", reason)


def test_conditions_filters_and_lookups_stay_with_their_side_of_the_balance() -> None:
    made = plan(
        "select wallets.id from bank.wallets left join bank.owners on owners.id = wallets.owner_id "
        "left join bank.entries on entries.wallet_id = wallets.id and entries.kind = 'fee' "
        "where wallets.balance > 0 group by wallets.id, owners.id "
        "having owners.limit_minor <> -coalesce(sum(entries.amount) filter (where entries.id = wallets.owner_id), 0)"
    )
    parents, parts = made.scans
    looked_up = 'left join bank.owners as "owners" on "owners".id = audited.owner_id'
    assert str(parents.source) == f"bank.wallets as audited {looked_up}"
    assert columns(parents)[0].endswith("filter (where audited.balance > 0)")
    assert columns(parents)[2] == (
        "pg_catalog.count(*) filter "
        '(where (audited.balance > 0) and (("owners".limit_minor) is null or (audited.owner_id) is null))'
    )
    assert columns(parts)[0].startswith(
        "pg_catalog.sum((-(audited.amount)) operator(pg_catalog.*) "
        "(pg_catalog.hashint8extended(cast(audited.id as bigint), "
    )
    assert columns(parts)[0].endswith("filter (where audited.kind = 'fee')")


def test_each_alternative_of_a_having_clause_is_proved_apart() -> None:
    facts = with_indexes(ENTRIES, index("entries_one", "kind", "wallet_id"))
    method, why = only(
        "select wallets.id from bank.wallets left join bank.entries on entries.wallet_id = wallets.id "
        "and entries.kind = 'fee' group by wallets.id having count(entries.id) > 1 or wallets.balance < 0 "
        "or coalesce(sum(entries.amount), 0) <> wallets.balance",
        facts,
    )
    assert (method, why) == (
        "unique index entries_one + scan + fingerprint",
        "no duplicates, row check, sums by key",
    )


PAIRED = (
    "select wallets.id from bank.wallets left join bank.entries on entries.wallet_id = wallets.id "
    "where wallets.balance <> coalesce(entries.amount, 0)"
)


def test_a_parent_with_one_part_at_most_is_compared_as_a_sum_of_one() -> None:
    facts = with_indexes(ENTRIES, index("entries_one", "wallet_id"))
    assert only(PAIRED, facts) == ("fingerprint", "sums by key")
    assert only(PAIRED) == ("query", "a where clause over more than the first table")
    assert only(PAIRED.replace("coalesce(entries.amount, 0)", "entries.amount"), facts)[0] == "query"
    assert only(PAIRED.replace("amount, 0)", "amount, 1)"), facts)[0] == "query"


def test_groups_that_sum_to_zero_are_proved_by_one_fingerprint() -> None:
    query = "select operation_id, sum(amount) from bank.entries group by operation_id having sum(amount) <> 0"
    made = plan(query, "select wallet_id from bank.entries group by wallet_id having sum(amount) <> 0")
    assert [step.method(made.scans) for step in made.steps] == ["fingerprint", "fingerprint"]
    # The nulls are a group, too.
    assert columns(made.scans[0])[-1] == "pg_catalog.count(*) filter (where (audited.wallet_id) is null)"
    assert only(query.replace("<> 0", "<> 1"))[0] == "query"


DUPLICATES = "select {0} from bank.entries where {1} group by {0} having count(*) > 1"


@pytest.mark.parametrize(
    ("columns", "where", "proving"),
    [
        ("kind", "true", index("i", "kind")),
        ("kind, amount", "true", index("i", "amount")),
        ("kind", "amount > 0", index("i", "kind")),
        ("kind", "entries.amount > 0", index("i", "kind", predicate="(amount > 0)")),
        ("kind", "kind = 'a'", index("i", "kind", predicate="(kind = 'a'::text)")),
        ("wallet_id", "wallet_id is not null", index("i", "wallet_id")),
        ("wallet_id", "true", index("i", "wallet_id", is_nulls_distinct=False)),
        ("amount", "kind = 'fee'", index("i", "kind", "amount")),
    ],
)
def test_a_unique_index_proves_that_there_are_no_duplicates(columns: str, where: str, proving: UniqueIndex) -> None:
    method, _ = only(DUPLICATES.format(columns, where), with_indexes(ENTRIES, proving))
    assert method == "unique index i"


@pytest.mark.parametrize(
    ("columns", "where", "lacking"),
    [
        ("kind", "true", index("i", "kind", "amount")),
        ("kind", "true", index("i", "kind", predicate="(amount > 0)")),
        ("kind", "amount > 1", index("i", "kind", predicate="(amount > 0)")),
        ("kind", "amount > 0 or id > 0", index("i", "kind", predicate="(amount > 0)")),
        ("wallet_id", "true", index("i", "wallet_id")),
        ("amount", "kind <> 'fee'", index("i", "kind", "amount")),
    ],
)
def test_an_index_that_leaves_rows_out_or_asks_for_more_proves_nothing(
    columns: str, where: str, lacking: UniqueIndex
) -> None:
    method, why = only(DUPLICATES.format(columns, where), with_indexes(ENTRIES, lacking))
    assert (method, why) == ("query", "no valid unique index on the group's columns")


def test_a_reference_is_never_proved_by_anything_but_its_query() -> None:
    join = "left join bank.wallets on wallets.id = entries.wallet_id"
    query = f"select entries.id from bank.entries {join} where wallets.id is null"
    assert only(query)[0] == "query"


def test_a_table_that_the_catalogue_does_not_know_is_no_verdict_but_the_reason_if_its_query_fails() -> None:
    step = plan("select id from bank.gone where id = 1").steps[0]
    assert (step.unjudged, step.missing, step.why) == ("", "there is no table bank.gone", "there is no table bank.gone")


def test_without_a_catalogue_each_is_asked_as_it_is() -> None:
    made = make_plan(
        [file(BALANCE)], None, refused={}, now=NOW, spelling=POSTGRESQL, is_exact=False, given={},
        random_source=random.Random(1),
    )  # fmt: skip
    step = made.steps[0]
    assert (step.method(made.scans), step.why, step.missing) == ("query", "the catalogue cannot be read", "")


def test_what_is_refused_is_not_asked_and_the_others_are() -> None:
    files = [file(BALANCE, "bank/a"), file(BALANCE, "bank/b")]
    made = make_plan(
        files, FACTS, refused={"bank/a": "it reaches past the transaction"}, now=NOW, spelling=POSTGRESQL, is_exact=False,
        given={}, random_source=random.Random(1),
    )  # fmt: skip
    assert [step.unjudged for step in made.steps] == ["it reaches past the transaction", ""]


def test_on_sqlite_row_checks_share_a_scan_and_the_rest_is_asked() -> None:
    header = "-- parameter: least bigint = 1\n"
    made = plan(
        file("select w.id from bank.wallets as w where w.balance < :least", header=header), BALANCE, spelling=SQLITE
    )
    assert columns(made.scans[0], SQLITE) == ["count(*) filter (where audited.balance < :least_1\n)"]
    assert SQLITE.marked(made.scans[0].query(SQLITE), {"least_1": "bigint"}) == (
        "SELECT COUNT(*) AS rows_read, COUNT(*) FILTER(WHERE audited.balance < ?1) AS answer_0 FROM bank.wallets AS audited"
    )
    assert [step.method(made.scans) for step in made.steps] == ["scan", "query"]


@pytest.mark.parametrize(
    ("query", "construct"),
    [
        ("select a from b where c < now() - interval '1 day'", "now()"),
        ("select extract(epoch from a) from b", "extract()"),
        ("select array_agg(a order by a) from b", "array_agg()"),
        ("select a from b where a = any(array[1])", "= any()"),
        ("select a from b where a !~ 'x'", "regular expressions"),
        ("select a from b where a like 'x%'", "like, which ignores case"),
        ("select a from b where c #>> '{d}' = 'e'", "#>>"),
        ("select sum(a) / count(*) from b", "a division of sums"),
        ("select a::timestamptz from b", "a cast to timestamptz"),
        ("select a::numeric from b", "a cast to decimal"),
        ("select a from b, generate_series(1, 2)", "generate_series()"),
        ("select string_agg(a, ' ' order by a) from b", "string_agg() in an order"),
    ],
)
def test_what_would_break_or_change_its_meaning_on_sqlite_is_refused_by_name(query: str, construct: str) -> None:
    with pytest.raises(NotPortable) as caught:
        to_sqlite(query)
    assert str(caught.value).startswith(construct)


def test_whole_number_division_and_null_safe_comparison_are_written_for_sqlite() -> None:
    assert to_sqlite("select a * 250 / 10000 from b where c is distinct from :d and e <> :d") == (
        "SELECT a * 250 / 10000 FROM b WHERE c IS NOT ?1 AND e <> ?1"
    )


@pytest.mark.parametrize(
    ("query", "tables"),
    [
        ("with t as (select 1 as a) select a from t", ""),
        ("with t as (select a from t) select a from t", "t"),
        ("with recursive t as (select 1 as a union all select a from t) select a from t", ""),
        ("with t as (select 1 as a), u as (select a from t) select a from u, v", "v"),
        ("with u as (select a from t), t as (select 1 as a) select a from u, t", "t"),
        ("select a from t where a in (with t as (select 1 as a) select a from t)", "t"),
        ("select a from (with t as (select 1 as a) select a from t) as u, v", "v"),
        ('with "T" as (select 1 as a) select a from t, "T"', "t"),
        ("with T as (select 1 as a) select a from s.t, t", "s.t"),
        ("with t as (select 1 as a) select a from u union select a from t", "u"),
    ],
)
def test_a_table_is_none_only_where_a_with_stands_before_it(query: str, tables: str) -> None:
    assert " ".join(sorted(map(str, tables_of(parse_query(query))))) == tables
