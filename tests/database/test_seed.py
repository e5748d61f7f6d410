"""A seeded database is a consistent world, the same everywhere, and made or changed only as a whole."""

import hashlib
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from integrity.database.namespace import create_schemas, drop_schemas, guard, inspect_database
from integrity.engines.target import Target
from integrity.engines.transaction import transaction
from integrity.errors import SeedError, UsageError
from integrity.events import Event
from integrity.reference.ghostpass.schema import METADATA
from integrity.reference.ghostpass.seeds import tables
from integrity.reference.ghostpass.system import GHOSTPASS
from integrity.seeds.load import Mode, SeedAdvanced, Seeded, seed_system, seeder_of
from integrity.systems.seeder import Size

AN_ID = "0190b1c2-0000-7000-8000-00000000002a"
MakeDatabase = Callable[[str | None], Target]

TABLES = [table.name for table in METADATA.sorted_tables]

CONSISTENT = {
    "a balance is the sum of its entries": """
        select wallets.id from ghostpass.wallets
        left join ghostpass.entries on entries.wallet_id = wallets.id
        group by wallets.id, wallets.balance_minor having wallets.balance_minor <> coalesce(sum(amount_minor), 0)
    """,
    "no balance was negative at any moment": """
        select id from (
            select id, sum(amount_minor) over (partition by wallet_id order by created_at, id) as balance_then
            from ghostpass.entries where wallet_id is not null
        ) as running where balance_then < 0
    """,
    "every transfer sums to zero": """
        select operation_id from ghostpass.entries group by operation_id having sum(amount_minor) <> 0
    """,
    "who is let in was outside and who is let out was inside": """
        select id from (
            select id, direction, lag(direction, 1, 'out') over (partition by wallet_id order by scanned_at, id) as before
            from ghostpass.scans where is_accepted
        ) as turns where direction = before
    """,
    "entries are numbered from 1 without a gap, and presence agrees": """
        select presences.wallet_id from ghostpass.presences
        left join ghostpass.scans on scans.wallet_id = presences.wallet_id and entry_number is not null
        group by presences.wallet_id, presences.entry_count
        having count(scans.id) <> entry_count or coalesce(max(entry_number), 0) <> entry_count
    """,
    "who is inside was let in last": """
        select presences.wallet_id from ghostpass.presences
        left join (
            select wallet_id, sum(case direction when 'in' then 1 else -1 end) as ins_less_outs
            from ghostpass.scans where is_accepted group by wallet_id
        ) as turns on turns.wallet_id = presences.wallet_id
        where coalesce(ins_less_outs, 0) <> case when is_inside then 1 else 0 end
    """,
    "a re-entry costs its gateway's fee, once, and nothing else does": """
        select scans.id from ghostpass.scans
        join ghostpass.gateways on gateways.id = gateway_id
        left join ghostpass.entries on kind = 'reentry_fee' and reference = scans.id and account = 'wallet'
        where fee_minor <> case when entry_number > 1 then reentry_fee_minor else 0 end
           or coalesce(-amount_minor, 0) <> fee_minor
    """,
    "a confirmed funding has its event and its credit, a failed one its event only": """
        select fundings.id from ghostpass.fundings
        left join ghostpass.webhook_events on webhook_events.funding_id = fundings.id
        left join ghostpass.entries on entries.kind = 'funding' and reference = fundings.id and account = 'wallet'
        where webhook_events.kind is null
           or status <> case webhook_events.kind when 'payment_succeeded' then 'confirmed' else 'failed' end
           or settled_at <> applied_at or settled_at <= requested_at
           or coalesce(entries.amount_minor, 0) <> case status when 'confirmed' then fundings.amount_minor else 0 end
    """,
    "a sale is its splits and its debit, a refund gives it back": """
        select sales.id from ghostpass.sales
        where amount_minor <> (select sum(amount_minor) from ghostpass.splits where sale_id = sales.id)
           or 3 <> (select count(*) from ghostpass.splits where sale_id = sales.id)
           or -amount_minor <> (select amount_minor from ghostpass.entries
                                where kind = 'sale' and reference = sales.id and account = 'wallet')
           or refunded_minor <> coalesce((select amount_minor from ghostpass.entries
                                          where kind = 'refund' and reference = sales.id and account = 'wallet'), 0)
    """,
    "a house account's entry is the split's amount": """
        select splits.id from ghostpass.splits
        left join ghostpass.entries on kind = 'sale' and reference = sale_id and account = party
        where splits.amount_minor <> coalesce(entries.amount_minor, 0)
    """,
    "every operation_id with rows has one audit row of its moment": """
        select operation_id from (
            select operation_id, created_at as at from ghostpass.entries
            union select operation_id, requested_at from ghostpass.fundings
            union select operation_id, applied_at from ghostpass.webhook_events
            union select operation_id, scanned_at from ghostpass.scans
            union select operation_id, sold_at from ghostpass.sales
        ) as made
        left join ghostpass.audit_log using (operation_id)
        group by operation_id having count(distinct audit_log.id) <> 1 or min(at) <> max(at) or min(at) <> min(logged_at)
    """,
    "ids are in order of time": """
        select id from (
            select id, created_at, lag(created_at) over (order by id) as before from ghostpass.entries
        ) as ordered where created_at < before
    """,
}


@pytest.fixture(params=["postgresql", "sqlite"])
def target(request: pytest.FixtureRequest, tmp_path: Path) -> Target:
    """An empty database of each kind."""
    if request.param == "sqlite":
        return Target.parse(f"sqlite:///{tmp_path}/venue.db")
    database: Target = request.getfixturevalue("database")
    return database


def seed(target: Target, count: int = 400, *, number: int = 7, mode: Mode = Mode.NEW, **options: Any) -> Seeded:
    return seed_system(target, guard(target, None), GHOSTPASS, sizes={"wallets": count}, seed=number, mode=mode, **options)


def query(target: Target, text: str) -> list[tuple[Any, ...]]:
    with transaction(target, ("ghostpass", "integrity")) as connection:
        return [tuple(row) for row in connection.exec_driver_sql(text)]


def contents_of(target: Target) -> dict[str, str]:
    """Return a hash of each table's rows, spelled alike on both engines."""

    def spell(value: object) -> str:
        match value:
            case datetime():
                return value.strftime("%Y-%m-%d %H:%M:%S.%f")
            case bool():
                return str(int(value))
            case _:
                return str(value)

    hashes = {}
    for table in METADATA.sorted_tables:
        names = ", ".join(column.name for column in table.columns)
        rows = query(target, f"select {names} from {table.fullname} order by 1")
        text = "\n".join("|".join(map(spell, row)) for row in rows)
        hashes[table.name] = hashlib.sha256(text.encode()).hexdigest()
    return hashes


def test_every_table_is_filled_and_the_world_is_consistent(target: Target) -> None:
    seeded = seed(target, 1500)

    assert set(seeded.row_counts) == set(TABLES)
    assert all(seeded.row_counts.values())
    for table, count in seeded.row_counts.items():
        assert query(target, f"select count(*) from ghostpass.{table}") == [(count,)]
    for promise, violations in CONSISTENT.items():
        assert query(target, violations) == [], promise


@pytest.mark.parametrize(
    ("change", "promise"),
    [
        ("update ghostpass.wallets set balance_minor = balance_minor + 1 where id = 41", "a balance is"),
        ("update ghostpass.entries set created_at = '2026-01-17 09:00:00+00' where amount_minor < -500", "no balance was"),
        ("update ghostpass.entries set amount_minor = amount_minor + 1 where id = 7", "every transfer"),
        ("update ghostpass.scans set direction = 'out', entry_number = null where entry_number = 1", "who is let in"),
        ("update ghostpass.scans set entry_number = 9 where entry_number = 1", "entries are numbered"),
        ("update ghostpass.presences set is_inside = not is_inside where wallet_id = 41", "who is inside"),
        ("update ghostpass.scans set fee_minor = fee_minor + 1 where id = 41", "a re-entry"),
        ("delete from ghostpass.webhook_events where id = 7", "a confirmed funding"),
        ("update ghostpass.sales set refunded_minor = 1 where id = 7", "a sale is"),
        ("update ghostpass.splits set amount_minor = amount_minor + 1 where id = 7", "a house account"),
        ("delete from ghostpass.audit_log where id = 100", "every operation_id"),
        ("update ghostpass.entries set created_at = '2026-01-17 09:00:00+00' where id = 7", "ids are"),
    ],
)
def test_the_queries_of_this_file_see_what_is_wrong(database: Target, change: str, promise: str) -> None:
    """Each of them can fail."""
    seed(database, 100)
    with transaction(database) as connection:
        connection.exec_driver_sql(change)
    (violations,) = [text for name, text in CONSISTENT.items() if name.startswith(promise)]
    assert query(database, violations)


def test_many_guests_are_quiet_and_a_few_are_busy(database: Target) -> None:
    seed(database, 5000)
    counts = [
        row[0]
        for row in query(
            database, "select count(*) from ghostpass.entries where wallet_id is not null group by wallet_id order by 1"
        )
    ]
    assert 40_000 < query(database, "select count(*) from ghostpass.entries")[0][0] < 70_000
    assert counts[len(counts) // 2] <= 4
    assert counts[-50] >= 20


def test_everything_happens_on_the_declared_day_within_opening_hours(database: Target) -> None:
    seed(database, 2000)
    least, most = query(database, "select min(logged_at), max(logged_at) from ghostpass.audit_log")[0]
    assert least.isoformat() >= "2026-01-17T10:00:00+00:00"
    assert most.isoformat() <= "2026-01-17T23:00:00+00:00"


def test_the_same_seed_makes_the_same_rows_on_every_engine(database: Target, tmp_path: Path) -> None:
    sqlite = Target.parse(f"sqlite:///{tmp_path}/venue.db")
    for each in (database, sqlite):
        seed(each, 300)
        seed(each, 100, number=8, mode=Mode.APPEND)
    assert contents_of(database) == contents_of(sqlite)


def test_another_seed_makes_other_rows(target: Target) -> None:
    seed(target, 100, number=1)
    first = contents_of(target)
    seed(target, 100, number=2, mode=Mode.REPLACE)
    second = contents_of(target)
    assert {table for table in TABLES if first[table] == second[table]} == {"gateways", "terminals"}
    seed(target, 100, number=1, mode=Mode.REPLACE)
    assert contents_of(target) == first


def test_several_batches_are_as_consistent_as_one(database: Target, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tables, "WALLETS_A_BATCH", 100)
    heard: list[Event] = []
    seeded = seed(database, 350, listeners=[heard.append])
    assert [event.done for event in heard if isinstance(event, SeedAdvanced)] == [0, 100, 200, 300, 350, 350]
    assert seeded.row_counts["wallets"] == 350
    for promise, violations in CONSISTENT.items():
        if promise != "ids are in order of time":  # within a batch they are
            assert query(database, violations) == [], promise


def test_seeding_again_names_replace_and_append(target: Target) -> None:
    seed(target, 50)
    before = contents_of(target)
    with pytest.raises(SeedError, match=r"already holds ghostpass \(50 wallets, seed 7\)") as refused:
        seed(target, 50)
    assert "--replace" in str(refused.value)
    assert "--append" in str(refused.value)
    assert contents_of(target) == before


def test_there_must_be_something_to_append_to(target: Target) -> None:
    with pytest.raises(SeedError, match="holds no ghostpass") as refused:
        seed(target, 50, mode=Mode.APPEND)
    assert refused.value.hint == "Leave --append out."


def test_appending_goes_on_with_the_ids_and_leaves_what_is_there(target: Target) -> None:
    seed(target, 300)
    before = query(target, "select * from ghostpass.wallets order by id")
    # What a run leaves: rows with ids and times of its own.
    with transaction(target, ("ghostpass",)) as connection:
        connection.exec_driver_sql("insert into ghostpass.wallets (code) values ('new')")
        connection.exec_driver_sql(
            "insert into ghostpass.presences (wallet_id, is_inside, entry_count) values (301, false, 0)"
        )

    for _ in range(2):
        seed(target, 100, mode=Mode.APPEND)

    assert query(target, "select count(*), max(id) from ghostpass.wallets") == [(501, 501)]
    assert query(target, "select * from ghostpass.wallets where id <= 300 order by id") == before
    assert inspect_database(target).notes["wallets:ghostpass"] == "500"
    for promise, violations in CONSISTENT.items():
        if promise != "ids are in order of time":
            assert query(target, violations) == [], promise


def test_wallets_that_are_appended_have_days_of_their_own(target: Target) -> None:
    seed(target, 100)
    seed(target, 100, mode=Mode.APPEND)
    both = query(target, "select balance_minor from ghostpass.wallets order by id")
    assert both[:100] != both[100:]


def test_appending_takes_fees_from_the_database_not_from_the_settings(target: Target) -> None:
    seed(target, 50)
    with transaction(target, ("ghostpass",)) as connection:
        connection.exec_driver_sql("update ghostpass.gateways set reentry_fee_minor = 777")
    seed(target, 500, mode=Mode.APPEND)
    assert query(target, "select distinct fee_minor from ghostpass.scans where wallet_id > 50 and fee_minor <> 0") == [
        (777,)
    ]


def test_the_next_rows_get_the_next_ids(target: Target) -> None:
    seeded = seed(target, 50)
    with transaction(target, ("ghostpass",)) as connection:
        made = connection.exec_driver_sql("insert into ghostpass.wallets (code) values ('new') returning id").fetchall()
        assert [tuple(row) for row in made] == [(51,)]
        entry = connection.exec_driver_sql(
            "insert into ghostpass.audit_log (action, subject, subject_id, operation_id) "
            f"values ('sold', 'sale', 1, '{AN_ID}') returning id"
        ).fetchall()
    assert [tuple(row) for row in entry] == [(seeded.row_counts["audit_log"] + 1,)]


def test_replacing_forgets_the_runs_of_the_system_and_no_others(target: Target) -> None:
    seed(target, 50)
    with transaction(target, ("integrity",)) as connection:
        for run, system in (("r1", "ghostpass"), ("r2", "another")):
            connection.exec_driver_sql(
                "insert into integrity.runs (run_id, system, profile, seed, started_at, state) "
                f"values ('{run}', '{system}', 'smoke', 1, '2026-01-18', 'running')"
            )
            connection.exec_driver_sql(
                "insert into integrity.calls values "
                f"('{run}', '{AN_ID}', 'sell', '{{}}', 1, '2026-01-18', '2026-01-18', null, 'unknown', null, '', 1)"
            )

    seed(target, 60, mode=Mode.REPLACE)

    assert query(target, "select run_id from integrity.runs") == [("r2",)]
    assert query(target, "select run_id from integrity.calls") == [("r2",)]
    assert query(target, "select count(*) from ghostpass.wallets") == [(60,)]


def test_seeded_tables_have_every_constraint_and_index_that_created_ones_have(make_database: MakeDatabase) -> None:
    """They are left out while rows are loaded, and made afterwards."""
    created, seeded = make_database(None), make_database(None)
    create_schemas(created, [GHOSTPASS])
    seed(seeded, 50)
    definitions = """
        select conrelid::regclass::text, pg_get_constraintdef(oid), conname from pg_constraint
        where connamespace = 'ghostpass'::regnamespace
        union all select tablename, indexdef, indexname from pg_indexes where schemaname = 'ghostpass' order by 1, 2
    """
    assert query(seeded, definitions) == query(created, definitions)


@pytest.mark.parametrize("mode", [Mode.NEW, Mode.REPLACE, Mode.APPEND])
def test_what_is_interrupted_never_happened(target: Target, mode: Mode) -> None:
    if mode is not Mode.NEW:
        seed(target, 80, number=3)
    before = inspect_database(target), (contents_of(target) if mode is not Mode.NEW else None)

    def stop(event: Event) -> None:
        if isinstance(event, SeedAdvanced) and event.done == 100:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        seed(target, 100, mode=mode, listeners=[stop])

    assert (inspect_database(target), contents_of(target) if mode is not Mode.NEW else None) == before


def test_rollback_after_seeding_leaves_the_database_as_it_was(target: Target) -> None:
    schema = "main" if target.dialect == "sqlite" else "public"
    with transaction(target) as connection:
        connection.exec_driver_sql(f"create table {schema}.customers (id integer)")
        connection.exec_driver_sql(f"insert into {schema}.customers values (41)")
    name = inspect_database(target).name
    seed_system(target, guard(target, name), GHOSTPASS, sizes={"wallets": 20}, seed=1, mode=Mode.NEW)

    drop_schemas(target)

    assert inspect_database(target).foreign == (f"{schema}.customers",)
    assert not inspect_database(target).is_ours
    assert query(target, f"select id from {schema}.customers") == [(41,)]


@pytest.mark.parametrize(("count", "number"), [(0, 1), (-5, 1), (10_000_001, 1), (5, -1), (5, 2**63)])
def test_numbers_that_make_no_sense_are_refused(database: Target, count: int, number: int) -> None:
    with pytest.raises(UsageError, match=r"--(wallets|seed)"):
        seed(database, count, number=number)


def test_appending_stops_at_the_limit(database: Target) -> None:
    small = replace(GHOSTPASS, seeder=replace(seeder_of(GHOSTPASS), sizes=(Size("wallets", default=50, most=60),)))
    seed(database, 50)
    with pytest.raises(UsageError, match="50 wallets and 11 more are over the limit of 60"):
        seed_system(database, guard(database, None), small, sizes={"wallets": 11}, seed=1, mode=Mode.APPEND)
