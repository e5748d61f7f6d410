"""Races on schemas as the tools that people use write them, none of which this package was told about."""

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from integrity.domain import Domain, IntegerIn, KeyOf
from integrity.engines.target import Target
from integrity.events import listen
from integrity.operation import RESTARTED, Allowed, Begin, Commit, Declined, Ok, Operation, Rollback, Statement, Steps
from integrity.race.matrix import Group, race_groups
from integrity.race.search.settings import RaceSettings, RaceSubject
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

    def system(self, *, is_locked: bool) -> System:
        lock = " for update" if is_locked else ""

        def withdraw(*, account: Any, amount: int, operation_id: object) -> Steps:
            where, key = self.where(account)
            yield Begin()
            rows = yield Statement(f"select {self.balance} as balance from {self.table} where {where}{lock}", key)
            left = rows[0]["balance"] - amount
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
