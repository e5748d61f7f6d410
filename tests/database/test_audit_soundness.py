"""No proof claims what its query refutes: schemas and data on which a careless one would say that all is well.

Each case was a false "holds" once, or would be if one rule of the planner were left out.
"""

import pytest

from integrity.audit import AuditSettings, plan_audit
from integrity.engines.target import Target
from integrity.verdict import Verdict
from tests.database.bank import execute, file, files, findings, only

SUBSCRIPTIONS = """
create table customer (id int primary key, region text not null, is_gone boolean not null, deleted_at timestamptz);
create table subscription (
    id serial primary key, customer_id int not null, region text not null, is_gone boolean not null, deleted_at timestamptz
);
insert into customer values (1, 'eu', false, null), (2, 'us', true, '2024-01-01');
insert into subscription (customer_id, region, is_gone, deleted_at) values
    (1, 'us', true, null), (1, 'eu', true, '2024-01-01'), (2, 'us', false, '2024-01-01');
"""
SUBSCRIBED = (
    "select s.customer_id, count(*) from subscription s left join customer c on c.id = s.customer_id "
    "where {} group by s.customer_id having {} > 1"
)


@pytest.mark.parametrize(
    ("index", "condition", "counted"),
    [
        ("(customer_id) where deleted_at is null", "c.deleted_at is null", "count(*)"),
        ("(customer_id, region)", "c.region = 'eu'", "count(*)"),
        ("(customer_id) where not is_gone", "not c.is_gone", "count(*)"),
        ("(customer_id) where deleted_at is null", "c.deleted_at is null", "count(s.id)"),
    ],
    ids=["partial", "fixed", "boolean", "count of a column"],
)
def test_a_condition_on_a_joined_table_says_nothing_of_the_first(
    database: Target, index: str, condition: str, counted: str
) -> None:
    """Soft delete on both tables: the live subscriptions are unique, those of a live customer are not."""
    execute(database, SUBSCRIPTIONS)
    execute(database, f"create unique index one on subscription {index}")
    found = only(database, SUBSCRIBED.format(condition, counted))
    assert (found.verdict, [row["customer_id"] for row in found.rows]) == (Verdict.VIOLATED, [1])


@pytest.mark.parametrize(
    ("index", "condition"),
    [
        ("(customer_id) where deleted_at is null", "s.deleted_at is null and c.deleted_at is null"),
        ("(customer_id, region)", "s.region = 'eu'"),
        ("(customer_id) where not is_gone", "not s.is_gone and c.region = 'eu'"),
    ],
)
def test_a_condition_on_its_own_table_still_lets_an_index_prove(database: Target, index: str, condition: str) -> None:
    execute(database, "create table customer (id int primary key, region text, deleted_at timestamptz)")
    execute(
        database,
        "create table subscription (customer_id int not null, region text, is_gone boolean, deleted_at timestamptz);"
        f"create unique index one on subscription {index}; insert into subscription values (1, 'eu', false, null)",
    )
    found = only(database, SUBSCRIBED.format(condition, "count(*)"))
    assert (found.verdict, found.method) == (Verdict.HOLDS, "unique index one")


CASES = {
    "a value in a joined table's column is none in the first's": (
        "create table a (id int primary key, code int); create table b (a_id int not null, code int unique);"
        "insert into a values (1, 1); insert into b values (1, null), (1, null)",
        "select b.code from b left join a on a.id = b.a_id where a.code is not null group by b.code having count(*) > 1",
    ),
    "an aggregate that the parser does not know is a row without rows": (
        "create table t (id int, x int); insert into t values (1, 1)",
        "select range_agg(int4range(id, id + 1)) from t where x < 0",
    ),
    "an aggregate of the user's own": (
        "create table t (id int, x int); insert into t values (1, 1);"
        "create aggregate summed (int) (sfunc = int4pl, stype = int, initcond = '0')",
        "select 1 as one from t where x < 0 order by summed(x)",
    ),
    "an aggregate to sort by": (
        "create table t (id int, x int); insert into t values (1, 1)",
        "select 1 as one from t where x < 0 order by count(*)",
    ),
    "a grand total is a row without rows": (
        "create table t (id int primary key, x int); insert into t values (1, 1)",
        "select t.id from t left join t as u on u.id = t.id where t.x < 0 group by rollup (t.id)",
    ),
    "the group of all": (
        "create table t (id int primary key, x int); insert into t values (1, 1)",
        "select 1 as one from t left join t as u on u.id = t.id where t.x < 0 group by ()",
    ),
    "null is one group of many parents without parts": (
        "create table parent (id int primary key, k int unique); create table part (parent_id int unique);"
        "insert into parent values (1, null), (2, null), (3, 3); insert into part values (3)",
        "select parent.k from parent left join part on part.parent_id = parent.id group by parent.k "
        "having count(*) > 1 or count(part.parent_id) > 1",
    ),
    "null is one group of many parents that balance": (
        "create table parent (id int primary key, k int unique, stored int not null);"
        "create table part (parent_id int not null, amount int not null);"
        "insert into parent values (1, null, 5), (2, null, 5); insert into part values (1, 5), (2, 5)",
        "select parent.k from parent left join part on part.parent_id = parent.id "
        "group by parent.k, parent.stored having parent.stored <> coalesce(sum(part.amount), 0)",
    ),
    "two bigints are one double precision": (
        "create table big (id bigint primary key); insert into big values (9007199254740992), (9007199254740993);"
        "create table parent (id int primary key, stored int not null, approximate double precision not null);"
        "insert into parent values (1, 5, 9007199254740992);"
        "create table part (parent_id int not null, amount int not null); insert into part values (1, 5)",
        "select parent.id from parent left join big on big.id = parent.approximate "
        "left join part on part.parent_id = parent.id "
        "group by parent.id having parent.stored <> coalesce(sum(part.amount), 0)",
    ),
    "an index's 1.55 of one digit is 1.6": (
        "create table t (id int not null, amount numeric not null); insert into t values (1, 1.55), (1, 1.55);"
        "create unique index one on t (id) where amount = 1.55::numeric(3, 1)",
        "select id from t where amount = 1.55 group by id having count(*) > 1",
    ),
    "an index's noon is no day": (
        "create table t (id int not null, day date not null); insert into t values (1, '2024-01-01'), (1, '2024-01-01');"
        "create unique index one on t (id) where day >= timestamp '2024-01-01 12:00:00'",
        "select id from t where day >= '2024-01-01 12:00:00' group by id having count(*) > 1",
    ),
    "an index with a predicate that the parser does not know": (
        "create table t (id int not null, path text not null); insert into t values (1, 'a'), (1, 'a');"
        "create unique index one on t (id) where path ~<~ 'a'",
        "select id from t where path = 'a' group by id having count(*) > 1",
    ),
    "null in a heir's column that its parent forbids": (
        "create table entry (k int, amount int not null, constraint known not null k no inherit);"
        "create table heir () inherits (entry); insert into entry values (1, 5), (1, -5);"
        "insert into heir values (null, 5)",
        "select k from entry group by k having sum(amount) <> 0",
    ),
    "a quoted alias beside the same one without quotes": (
        "create table live (id int primary key, deleted_at timestamptz, is_gone boolean);"
        "create table sub (live_id int not null, deleted_at timestamptz);"
        "create unique index one on sub (live_id) where deleted_at is null;"
        "insert into live values (1, null, false); insert into sub values (1, null), (1, '2024-01-01')",
        'select "T".live_id from sub as "T" left join live as t on t.id = "T".live_id '
        'where T.deleted_at is null group by "T".live_id having count(*) > 1',
    ),
    "an alias that is the other table's name": (
        "create table a (id int primary key, deleted_at timestamptz);"
        "create table b (a_id int not null, deleted_at timestamptz);"
        "create unique index one on b (a_id) where deleted_at is null;"
        "insert into a values (1, null); insert into b values (1, null), (1, '2024-01-01')",
        "select a.a_id from b as a left join a as b on b.id = a.a_id where b.deleted_at is null "
        "group by a.a_id having count(*) > 1",
    ),
    "the same table twice": (
        "create table node (id int primary key, up int not null, deleted_at timestamptz);"
        "create unique index one on node (up) where deleted_at is null;"
        "insert into node values (1, 0, null), (2, 1, null), (3, 1, '2024-01-01')",
        "select child.up from node as child left join node as parent on parent.id = child.up "
        "where parent.deleted_at is null and child.up > 0 group by child.up having count(*) > 1",
    ),
}  # fmt: skip


@pytest.mark.parametrize(("schema", "query"), CASES.values(), ids=CASES)
def test_what_the_query_finds_no_proof_hides(database: Target, schema: str, query: str) -> None:
    """The data violates; what the server's own answer to the query is, ours is."""
    execute(database, schema)
    with database.connect() as connection:
        expected = len(connection.execute(query.encode()).fetchall())
    assert (only(database, query).violation_count, expected > 0) == (expected, True)


@pytest.mark.parametrize(
    "query",
    [
        "select nosuch from t where x < 0",
        "select t.id, t.x from t group by t.id having count(*) > 1",
        "select t.id, u.nosuch from t left join t as u on u.id = t.id where t.x < 0",
        "select t.id, lower(t.id) as name from t group by t.id having count(*) > 1",
    ],
    ids=["row check", "unique index", "lookup", "no such function"],
)
def test_a_query_that_the_server_refuses_is_never_proved(database: Target, query: str) -> None:
    execute(database, "create table t (id int unique not null, x int); insert into t values (1, 1)")
    found = only(database, query)
    assert (found.verdict, "does not exist" in found.reason or "must appear" in found.reason) == (Verdict.UNKNOWN, True)


def test_what_a_role_may_not_read_is_not_proved_to_it(database: Target) -> None:
    """The index shows it to anybody who may see the catalogue; the query is of those who may read the table."""
    execute(
        database,
        "create table t (id int primary key, secret int); insert into t values (1, 1);"
        f"create role reader_{database.url.database} login; grant select (id) on t to reader_{database.url.database}",
    )
    reader = Target(database.url.set(username=f"reader_{database.url.database}"))
    try:
        found = findings(
            reader,
            [
                file("select id, sum(secret) as secrets from t group by id having count(*) > 1", "bank/secrets"),
                file("select id from t group by id having count(*) > 1", "bank/ids"),
            ],
        )
    finally:
        execute(database, f"drop owned by reader_{database.url.database}; drop role reader_{database.url.database}")
    assert {name: (one.verdict, one.reason) for name, one in found.items()} == {
        "secrets": (
            Verdict.UNKNOWN,
            "invariants/bank/secrets.sql: permission denied for table t\n  hint: Let the role that asks read it: "
            "grant select on the table, usage on its schema, or pg_read_all_data.",
        ),
        "ids": (Verdict.HOLDS, ""),
    }


def test_no_aggregate_of_the_server_passes_for_a_value(database: Target) -> None:
    """Over no rows an aggregate is one row: a row check with one in its select list would prove the contrary."""
    execute(database, "create table t (id int, x int); insert into t values (1, 1)")
    with database.connect() as connection:
        found = connection.execute(
            "select distinct proname, pronargs, aggkind from pg_proc join pg_aggregate on aggfnoid = pg_proc.oid"
        )
        calls = {f"{name}({', '.join(['id'] * count)})" for name, count, kind in found.fetchall() if kind == "n"}
    made = plan_audit(database, [file(f"select {call} from t where x < 0", call) for call in calls], AuditSettings())
    assert len(calls) > 40
    assert {step.name for step in made.steps if step.proofs} == set()


QUOTED = """
create table "Booking" (id serial, uid text not null, "startTime" timestamp not null, "endTime" timestamp not null);
insert into "Booking" (uid, "startTime", "endTime") values ('a', '2026-09-14 08:00', '2026-09-14 09:00'),
    ('b', '2026-09-14 10:00', '2026-09-14 09:00')
"""


def test_row_checks_with_quoted_names_share_the_scan_that_the_plan_promises(database: Target) -> None:
    execute(database, QUOTED)
    found = findings(
        database,
        files(
            ends='select "Booking".id from "Booking" where "Booking"."endTime" <= "Booking"."startTime"',
            folded='select B.id from "Booking" as b where b."endTime" <= B."startTime"',
            uid='select "Booking"."uid" from "Booking" where "Booking"."uid" !~ \'^[a-z]$\'',
            alias='select "B b".id from "Booking" as "B b" where "B b".uid = \'"B b".uid\' or "B b".uid = \'b\'',
        ),
    )
    assert {name: (one.violation_count, one.method) for name, one in found.items()} == {
        "ends": (1, "scan shared by 4"),
        "folded": (1, "scan shared by 4"),
        "uid": (0, "scan shared by 4"),
        "alias": (1, "scan shared by 4"),
    }


def test_groups_with_quoted_names_are_proved_as_those_without_are(database: Target) -> None:
    execute(
        database,
        'create table "Users" (id serial, email text not null, "deletedAt" timestamptz);'
        'create unique index live on "Users" (email) where "deletedAt" is null;'
        "insert into \"Users\" (email, \"deletedAt\") values ('a', null), ('a', '2024-01-01')",
    )
    query = 'select "Users".email from "Users" where "Users"."deletedAt" is null group by "Users".email having count(*) > 1'
    found = findings(database, files(quoted=query, every=query.replace('where "Users"."deletedAt" is null', "")))
    assert {name: (one.violation_count, one.method) for name, one in found.items()} == {
        "quoted": (0, "unique index live"),
        "every": (1, "query"),
    }
