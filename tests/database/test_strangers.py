"""A stranger's system: its tables stand in `public`, or in several schemas, of a database that it does not own alone."""

from contextlib import closing
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import CheckConstraint, MetaData, Table, func, select

from integrity.database.constraints import find_missing, plant, restore
from integrity.database.copies import restore_copy, take_copy
from integrity.database.namespace import create_schemas, drop_schemas, drop_tables, guard, inspect_database
from integrity.engines.target import Target
from integrity.engines.transaction import transaction
from integrity.errors import SeedError, UnsafeDatabase, UsageError
from integrity.health.before import check_before
from integrity.health.check import Health
from integrity.load.profile import load_profile
from integrity.load.request import RunRequest
from integrity.load.run import run
from integrity.operation import Isolation
from integrity.project import Project, Settings
from integrity.race.judge.contest import survey
from integrity.race.play.scheduler import Scheduler
from integrity.race.search.explore import Budget, explore
from integrity.race.trial.scratch import scratch_database
from integrity.seeds.load import Mode, Seeded, seed_system
from integrity.systems.system import Bug, System
from integrity.systems.types import key_column
from integrity.verdict import Verdict
from tests.database.bank import findings
from tests.database.strangers import PROFILE, balance_invariant, make_bank

LAYOUTS = {
    "in public": make_bank("public", "public"),
    "unnamed": make_bank(None, None),
    "in two schemas": make_bank("app", "ledger"),
}


@pytest.fixture(params=LAYOUTS)
def bank(request: pytest.FixtureRequest) -> System:
    return LAYOUTS[request.param]


@pytest.fixture(params=["postgresql", "sqlite"])
def shop(request: pytest.FixtureRequest, tmp_path: Path) -> Target:
    """A database of each kind that holds something of its owner's in the default schema, as most do."""
    if request.param == "sqlite":
        target = Target.parse(f"sqlite:///{tmp_path}/shop.db")
    else:
        target = request.getfixturevalue("database")
    with transaction(target) as connection:
        connection.exec_driver_sql(f"create table {customers_in(target)} (id integer)")
        connection.exec_driver_sql(f"insert into {customers_in(target)} values (41)")
    return target


def customers_in(target: Target) -> str:
    return "main.customers" if target.dialect == "sqlite" else "public.customers"


def name_of(target: Target) -> str:
    return inspect_database(target).name


def seed(target: Target, bank: System, mode: Mode = Mode.NEW, count: int = 20) -> Seeded:
    return seed_system(target, guard(target, name_of(target)), bank, sizes={"accounts": count}, seed=1, mode=mode)


def make_by_hand(target: Target, bank: System) -> None:
    """Make the bank's tables as its owner would, with an account in them, without a note of ours."""
    with transaction(target, bank.schemas) as connection:
        for schema in bank.schemas:
            if target.dialect != "sqlite":
                connection.exec_driver_sql(f"create schema if not exists {schema}")
        bank.metadata.create_all(connection)
        accounts, entries = bank.metadata.sorted_tables
        connection.execute(accounts.insert().values(id=1, balance_minor=500))
        operation_id = "0190b1c2-0000-7000-8000-00000000002a"
        values = {"account_id": 1, "amount_minor": 500}
        connection.execute(
            entries.insert().values(
                **values, operation_id=operation_id if target.dialect == "sqlite" else UUID(operation_id)
            )
        )


def count_rows(target: Target, bank: System) -> dict[str, int]:
    with transaction(target, bank.schemas) as connection:
        return {
            table.name: connection.execute(select(func.count()).select_from(table)).scalar_one()
            for table in bank.metadata.sorted_tables
        }


def customers(target: Target) -> list[Any]:
    with transaction(target) as connection:
        return [row[0] for row in connection.exec_driver_sql(f"select id from {customers_in(target)}")]


def hammer(target: Target, bank: System, folder: Path, bug: Bug | None = None, **settings: Any) -> Any:
    return run(
        RunRequest(
            system=bank,
            profile_name="test",
            profile=load_profile(bank, "test", {"test": PROFILE | settings}),
            target=target,
            project=Project(folder, Settings()),
            seed=1,
            bug=bug,
            test_database=name_of(target),
        )
    )


def test_it_is_seeded_beside_what_others_have_and_rollback_takes_its_own_tables_alone(shop: Target, bank: System) -> None:
    with pytest.raises(UnsafeDatabase, match="customers"):
        guard(shop, None)

    seeded = seed(shop, bank)

    assert seeded.row_counts == {"accounts": 20, "entries": 20}
    assert list(seeded.places.values()) == [f"{bank.schemas[0]}.accounts", f"{bank.schemas[-1]}.entries"]
    contents = inspect_database(shop)
    assert contents.systems == ("bank",)
    assert set(contents.ours) == {*bank.schemas, "integrity"}
    drop_schemas(shop)
    assert not inspect_database(shop).is_ours
    assert customers(shop) == [41]
    assert inspect_database(shop).foreign == (customers_in(shop),)


def test_what_is_seeded_is_sound_and_can_be_replaced_and_added_to(shop: Target, bank: System) -> None:
    seed(shop, bank)
    seed(shop, bank, Mode.REPLACE, 30)
    seed(shop, bank, Mode.APPEND, 5)

    assert count_rows(shop, bank) == {"accounts": 35, "entries": 35}
    finding = findings(shop, [balance_invariant(bank)])["balance"]
    assert finding.verdict is Verdict.HOLDS, finding
    with pytest.raises(SeedError, match=r"already holds bank \(35 accounts, seed 1\)"):
        seed(shop, bank)


def test_a_run_beside_others_finds_what_its_race_breaks(shop: Target, bank: System, tmp_path: Path) -> None:
    seed(shop, bank, count=2)

    result = hammer(shop, bank, tmp_path / "project")

    assert result.loaded.call_count == count_calls(shop) > 0
    assert findings(shop, [balance_invariant(bank)])["balance"].verdict in (Verdict.HOLDS, Verdict.VIOLATED)
    assert customers(shop) == [41]


def test_what_became_of_calls_without_an_answer_is_looked_up_in_its_tables(
    shop: Target, bank: System, tmp_path: Path
) -> None:
    seed(shop, bank, count=2)
    # So many calls, however long a busy machine takes for them.
    dying: dict[str, Any] = {"abandon": {"default": 0.5}, "duration_s": 60, "calls_most": 200}
    settled = hammer(shop, bank, tmp_path / "project", **dying).result.unknown_outcomes
    assert settled.unknown == settled.committed + settled.absent + settled.untraceable > 0
    assert settled.twice is None
    assert settled.reason == "bank has no invariant call-at-most-once"


def count_calls(target: Target) -> int:
    with transaction(target, ("integrity",)) as connection:
        return int(connection.exec_driver_sql("select count(*) from integrity.bank_calls").scalar_one())


def test_a_race_is_found_on_a_scratch_database(shop: Target, bank: System) -> None:
    with scratch_database(shop, bank) as scratch, Scheduler(scratch) as scheduler:
        ground = survey(scheduler, bank, [balance_invariant(bank)])
        contest = next(ground.vary(("pay_in", "pay_out"), isolation=Isolation.READ_COMMITTED))
        found = explore(scheduler, contest.program(), budget=Budget())
    # SQLite's transactions take the write lock as they begin, so that there is none.
    assert found.verdict is (Verdict.HOLDS if shop.dialect == "sqlite" else Verdict.VIOLATED)


def test_a_copy_is_put_back_with_all_schemas(shop: Target, bank: System) -> None:
    seed(shop, bank)
    name = name_of(shop)
    take_copy(shop, "before", test_database=name, may_end_sessions=False)
    seed(shop, bank, Mode.REPLACE, 3)

    restore_copy(shop, "before", test_database=name, may_end_sessions=False)

    assert count_rows(shop, bank) == {"accounts": 20, "entries": 20}
    assert customers(shop) == [41]


def test_health_looks_at_its_tables_wherever_they_stand(shop: Target, bank: System) -> None:
    seed(shop, bank)
    checks = {check.name: check for check in check_before(shop, [bank], {}, is_required=True)}
    assert checks["bank: tables"].found == "all 2"
    assert checks["bank: indexes"].state is Health.OK, checks["bank: indexes"]
    assert checks["bank: rows"].found == "20 accounts"


def test_a_bug_leaves_its_constraint_out_and_it_is_made_again(shop: Target, bank: System) -> None:
    seed(shop, bank)
    plant(shop, bank, ("accounts.accounts_balance_sane",), bug="careless")
    assert find_missing(shop, bank.metadata) == ["accounts.accounts_balance_sane"]
    restore(shop, bank)
    assert find_missing(shop, bank.metadata) == []
    assert inspect_database(shop).systems == ("bank",)
    assert guard(shop, name_of(shop)).made["bank"] == ((bank.schemas[0], "accounts"), (bank.schemas[-1], "entries"))


def test_tables_that_its_owner_made_are_hammered_only_where_the_database_is_declared(
    shop: Target, bank: System, tmp_path: Path
) -> None:
    make_by_hand(shop, bank)
    with pytest.raises(SeedError, match="accounts, which we did not make"):
        seed(shop, bank)

    result = hammer(shop, bank, tmp_path / "project")

    assert result.loaded.call_count == count_calls(shop) > 0
    drop_schemas(shop)
    assert count_rows(shop, bank)["accounts"] == 1
    assert not inspect_database(shop).is_ours


def test_no_bug_alters_tables_that_its_owner_made(shop: Target, bank: System, tmp_path: Path) -> None:
    make_by_hand(shop, bank)
    bug = Bug("careless", "a check", {}, violates=(), dropped=("accounts.accounts_balance_sane",))
    with pytest.raises(UsageError, match="tables of bank are not ours"):
        hammer(shop, bank, tmp_path, bug)
    assert find_missing(shop, bank.metadata) == []


def test_health_says_what_is_missing_of_tables_that_its_owner_made(shop: Target, bank: System) -> None:
    make_by_hand(shop, bank)
    _, entries = bank.metadata.sorted_tables
    with transaction(shop, bank.schemas) as connection:
        entries.drop(connection)
    checks = {check.name: check for check in check_before(shop, [bank], {}, is_required=True)}
    assert checks["bank: tables"].found == "1 of 2 are missing: entries"


def test_systems_that_share_a_schema_go_one_by_one_and_the_schema_with_the_last(database: Target) -> None:
    first, last = make_bank("app", "app"), make_savings("app")
    create_schemas(database, [first, last])

    with transaction(database) as connection:
        drop_tables(connection, "bank", inspect_database(database))
    assert inspect_database(database).ours["app"] == ("savings",)

    drop_schemas(database)
    assert schemas(database) == ["public"]


def test_a_schema_that_systems_share_goes_with_both(database: Target) -> None:
    create_schemas(database, [make_bank("app", "app"), make_savings("app")])
    drop_schemas(database)
    assert schemas(database) == ["public"]


def make_savings(schema: str) -> System:
    metadata = MetaData()
    Table("savings", metadata, key_column(), schema=schema)
    return System(name="savings", title="", metadata=metadata, operations={}, services={}, pools={})


def schemas(target: Target) -> list[str]:
    with closing(target.connect()) as connection:
        rows = connection.execute(
            "select nspname from pg_namespace where nspname !~ '^(pg_|information_schema)' order by 1"
        )
        return [row[0] for row in rows]


def test_tables_of_one_name_in_two_schemas_are_told_apart(shop: Target) -> None:
    metadata = MetaData()
    for schema in ("app", "ledger"):
        checked = CheckConstraint("id > 0", name="entries_id_positive")
        Table("entries", metadata, key_column(), checked, schema=schema)
    system = System(name="twins", title="", metadata=metadata, operations={}, services={}, pools={})
    create_schemas(shop, [system])

    plant(shop, system, ("ledger.entries.entries_id_positive",), bug="one")

    assert find_missing(shop, metadata) == ["ledger.entries.entries_id_positive"]
