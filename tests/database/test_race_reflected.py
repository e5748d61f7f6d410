"""Races on schemas as the tools that people use write them, none of which this package was told about."""

from collections.abc import Mapping
from contextlib import closing
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from integrity.domain import Domain, IntegerIn, KeyOf
from integrity.engines.embedded.server import EmbeddedServer
from integrity.engines.target import Target
from integrity.errors import UsageError
from integrity.events import listen
from integrity.operation import RESTARTED, Allowed, Begin, Commit, Declined, Ok, Operation, Rollback, Statement, Steps
from integrity.race.matrix import Group, race_groups
from integrity.race.search.settings import RaceSettings, RaceSubject
from integrity.race.trial.scratch import scratch_database
from integrity.systems.reflect import Reflected
from integrity.systems.system import System
from integrity.systems.wanted_row import WantedRow
from integrity.verdict import Verdict

SCHEMAS = Path(__file__).parent.parent / "schemas"


@dataclass(frozen=True)
class Accounts:
    """Where a schema keeps its balances.

    Args:
        key: the columns of the primary key.
        ledger: what a withdrawal inserts beside it, with :key and :amount; empty: nothing.
    """

    table: str
    key: tuple[str, ...]
    balance: str
    values: Mapping[str, str]
    ledger: str = ""

    def where(self, key: Any) -> tuple[str, dict[str, Any]]:
        values = key if isinstance(key, tuple) else (key,)
        names = [f"key_{number}" for number in range(len(values))]
        condition = " and ".join(f"{column} = :{name}" for column, name in zip(self.key, names, strict=True))
        return condition, dict(zip(names, values, strict=True))

    def system(self, *, is_locked: bool, is_whole: bool = True) -> System:
        """Return the system; where its call is not whole it looks before it begins its transaction."""
        lock = " for update" if is_locked else ""

        def withdraw(*, account: Any, amount: int, operation_id: object) -> Steps:
            where, key = self.where(account)
            if is_whole:
                yield Begin()
            rows = yield Statement(f"select {self.balance} as balance from {self.table} where {where}{lock}", key)
            left = rows[0]["balance"] - amount
            if not is_whole:
                yield Begin()
            if left < 0:
                yield Rollback()
                return Declined("insufficient_balance")
            yield Statement(f"update {self.table} set {self.balance} = :left where {where}", {**key, "left": left})
            if self.ledger:
                yield Statement(self.ledger, {**key, "amount": -amount})
            yield Commit()
            return Ok({"left": left if isinstance(left, int) else Decimal(left)})

        arguments: dict[str, Domain] = {"account": KeyOf(self.table.strip('"')), "amount": IntegerIn(30, 30)}
        rows = [WantedRow("account", self.table, self.values), WantedRow("account_2", self.table, self.values)]
        operations = {"withdraw": Operation("withdraw", withdraw, arguments)}
        return System("bank", "a bank", Reflected(), operations, rows=rows, allowed=Allowed(retries=RESTARTED))


KNOWN = {
    "prisma": Accounts('"Account"', ("id",), '"balanceMinor"', {'"balanceMinor"': "100"}),
    "typeorm": Accounts('"account"', ('"tenantId"', '"number"'), '"balanceMinor"', {'"balanceMinor"': "100"}),
    "sequelize": Accounts('"Accounts"', ("id",), '"balanceMinor"', {'"balanceMinor"': "100"}),
    "django": Accounts("bank_account", ("id",), "balance_minor", {"balance_minor": "100"}),
    "rails": Accounts(
        "accounts",
        ("id",),
        "balance_minor",
        {"balance_minor": "100"},
        "insert into entries (account_id, amount_minor) values (:key_0, :amount)",
    ),
}


def race(target: Target, system: System) -> Group:
    settings = RaceSettings(choices_max=1, seconds=60)
    (group,) = listen(race_groups(target, RaceSubject(system.on(target), [], settings), [("withdraw", "withdraw")]))
    return group


@pytest.mark.parametrize("name", sorted(KNOWN))
def test_a_lost_update_is_found_and_its_sound_twin_is_quiet(name: str, database: Target) -> None:
    with database.connect() as connection:
        connection.execute((SCHEMAS / f"{name}.sql").read_bytes())

    unlocked = race(database, KNOWN[name].system(is_locked=False))
    locked = race(database, KNOWN[name].system(is_locked=True))

    assert unlocked.verdict is Verdict.VIOLATED
    assert unlocked.finding is not None
    assert unlocked.finding.anomaly == "P4"
    assert locked.verdict is Verdict.HOLDS


def test_a_schema_of_sqlite_is_raced_as_well(tmp_path: Path) -> None:
    target = Target.parse(f"sqlite:///{tmp_path / 'dev.db'}")
    with closing(target.connect_sqlite()) as connection:
        connection.executescript((SCHEMAS / "prisma_sqlite.sql").read_text())

    in_two = race(target, KNOWN["prisma"].system(is_locked=False, is_whole=False))
    whole = race(target, KNOWN["prisma"].system(is_locked=False))

    assert in_two.finding is not None
    assert "stale check" in "".join(in_two.finding.explanation)
    assert whole.verdict is Verdict.HOLDS


def test_a_user_who_may_make_no_database_is_told_which_right_is_missing_and_what_works_without(
    database: Target, server: EmbeddedServer
) -> None:
    with database.connect() as owner, server.target.connect() as admin:
        owner.execute((SCHEMAS / "sequelize.sql").read_bytes())
        admin.execute("create role reader login")
        try:
            with pytest.raises(UsageError) as refused:
                race(Target(database.url.set(username="reader")), KNOWN["sequelize"].system(is_locked=True))
        finally:
            admin.execute("drop role reader")
    assert "a race is played on a database beside this one" in refused.value.message
    assert refused.value.hint is not None
    assert "alter role ... createdb" in refused.value.hint
    assert "validate, run" in refused.value.hint


def test_what_a_database_of_a_race_lacks_is_named(database: Target) -> None:
    with database.connect() as connection:
        connection.execute((SCHEMAS / "sequelize.sql").read_bytes())
        connection.execute("create aggregate total(bigint) (sfunc = int8pl, stype = bigint, initcond = '0')")
    system = KNOWN["sequelize"].system(is_locked=True).on(database)

    with scratch_database(database, system):
        pass

    assert isinstance(system.metadata, Reflected)
    assert system.metadata.missing == ("aggregate public.total(bigint): no statement is known for it",)


def test_a_constraint_that_is_left_out_takes_what_rests_on_it_along(database: Target) -> None:
    with database.connect() as connection:
        connection.execute((SCHEMAS / "prisma.sql").read_bytes())
    system = KNOWN["prisma"].system(is_locked=True).on(database)

    with scratch_database(database, system, dropped=("User.User_pkey",)) as scratch:
        left = {each.name for each in scratch.engine.read_definitions(scratch) if each.kind == "constraint"}

    assert left == {"Account_pkey", "_AccountToUser_AB_pkey", "_AccountToUser_A_fkey"}
    with (
        pytest.raises(UsageError, match=r"no constraint or index User\.nothing"),
        scratch_database(database, system, dropped=("User.nothing",)),
    ):
        pass
