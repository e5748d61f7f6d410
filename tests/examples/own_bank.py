"""A user's own system, written and put to the test from Python: python own_bank.py sqlite:///bank.db

Its invariants are in invariants/bank/ beside it.
"""

import sqlite3
import sys
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from uuid import UUID

from sqlalchemy import BigInteger, CheckConstraint, Column, Integer, MetaData, Table

from integrity import Audit, AuditError, Bug, Operation, Race, Run, System, Target, Verdict
from integrity.domain import Domain, IntegerIn, KeyOf
from integrity.operation import Begin, Commit, Declined, Ok, Rollback, Statement, Steps
from integrity.systems.stage import Ref, Stage, StagedRow

FOLDER = Path(__file__).parent
METADATA = MetaData()
Table(
    "accounts",
    METADATA,
    Column("id", BigInteger().with_variant(Integer, "sqlite"), primary_key=True),
    Column("balance_minor", BigInteger, CheckConstraint("balance_minor >= 0", name="not_negative"), nullable=False),
    Column("withdrawn_minor", BigInteger, nullable=False),
)


def withdraw(*, operation_id: UUID, account_id: int, amount_minor: int) -> Steps:
    """Take from a balance what is there: the row is locked from the look to the write."""
    yield Begin()
    rows = yield Statement(
        "select balance_minor from accounts where id = :account_id for update", {"account_id": account_id}
    )
    if rows[0]["balance_minor"] < amount_minor:
        yield Rollback()
        return Declined("insufficient_balance")
    yield _take(account_id, rows[0]["balance_minor"] - amount_minor, amount_minor)
    yield Commit()
    return Ok()


def withdraw_unlocked(*, operation_id: UUID, account_id: int, amount_minor: int) -> Steps:
    """The same with the lock forgotten."""
    rows = yield Statement("select balance_minor from accounts where id = :account_id", {"account_id": account_id})
    if rows[0]["balance_minor"] < amount_minor:
        return Declined("insufficient_balance")
    yield _take(account_id, rows[0]["balance_minor"] - amount_minor, amount_minor)
    return Ok()


def withdraw_uncounted(*, operation_id: UUID, account_id: int, amount_minor: int) -> Steps:
    """The same with the sum forgotten: nobody else is needed to see it."""
    rows = yield Statement(
        "update accounts set balance_minor = balance_minor - :amount where id = :account_id and balance_minor >= :amount "
        "returning balance_minor",
        {"amount": amount_minor, "account_id": account_id},
    )
    return Ok() if rows else Declined("insufficient_balance")


def _take(account_id: int, left_minor: int, amount_minor: int) -> Statement:
    return Statement(
        "update accounts set balance_minor = :left, withdrawn_minor = withdrawn_minor + :amount where id = :account_id",
        {"left": left_minor, "amount": amount_minor, "account_id": account_id},
    )


def stage() -> Stage:
    """One account, on which calls meet."""
    account = StagedRow("account", "accounts", {"balance_minor": 1000, "withdrawn_minor": 0})
    return Stage([account], {"accounts_1": Ref("account")})


ARGUMENTS: dict[str, Domain] = {"account_id": KeyOf("accounts"), "amount_minor": IntegerIn(100, 600, 100)}
BANK = System(
    name="bank",
    title="a bank: withdrawals",
    metadata=METADATA,
    operations={"withdraw": Operation("withdraw", withdraw, ARGUMENTS)},
    pools={"accounts": "select id from accounts order by id"},
    bugs={
        "lost_update": Bug(
            name="lost_update",
            forgotten="the balance is read without a lock",
            operations={"withdraw": Operation("withdraw", withdraw_unlocked, ARGUMENTS)},
            violates=("bank/money-is-kept",),
            race=("withdraw", "withdraw"),
        ),
        "uncounted": Bug(
            name="uncounted",
            forgotten="what is withdrawn is not counted",
            operations={"withdraw": Operation("withdraw", withdraw_uncounted, ARGUMENTS)},
            violates=("bank/money-is-kept",),
        ),
    },
    stage=stage,
)


def main(words: Sequence[str]) -> int:
    """Race both versions, then let clients loose on a database of a hundred accounts, and audit what they left."""
    target = Target.parse(words[0])
    for bug in (None, "lost_update"):
        raced = Race(BANK, target, ("withdraw",), bug=bug, folder=FOLDER)()
        orders = [found.finding.letters for found in raced.found]
        print(f"race, {bug or 'sound'}: {', '.join(orders) or 'nothing found'}")
    with closing(sqlite3.connect(target.file)) as connection:
        connection.execute("create table accounts (id integer primary key, balance_minor integer, withdrawn_minor integer)")
        connection.executemany("insert into accounts values (?, 1000, 0)", [(number,) for number in range(1, 101)])
        connection.commit()
    ended = Run(system=BANK, target=target, profile="hammer", duration_s=1, seed=1, test_database=target.file.name)()
    report = Audit(target, BANK, folder=FOLDER)()
    for judged in report.of(Verdict.VIOLATED):
        print(judged.finding.name, judged.finding.rows[0])
    print(f"{ended.loaded.call_count > 0}: {report.sentence}")
    return report.exit_code


if __name__ == "__main__":
    try:
        sys.exit(main(sys.argv[1:]))
    except AuditError as error:
        sys.exit(f"{error.message}\n  hint: {error.hint}")
