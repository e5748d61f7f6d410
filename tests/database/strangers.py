"""A bank as a stranger would write it: its tables stand where theirs do, in `public` or in several schemas."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from uuid import UUID, uuid4

import numpy as np
from sqlalchemy import CheckConstraint, Column, ForeignKey, MetaData, Table

from integrity.domain import Domain, IntegerIn, KeyOf
from integrity.engines.columns import bigints, uuids
from integrity.operation import Begin, Commit, Declined, Ok, Operation, Rollback, Statement, Steps, Value
from integrity.sql.file import SqlFile, parse_sql_file
from integrity.systems.seeder import Batch, SeededRows, Seeder, Size, Start
from integrity.systems.stage import Ref, Stage, StagedRow
from integrity.systems.system import System
from integrity.systems.types import Key, Minor, key_column, operation_id_column

BALANCE_MINOR = 1000
PROFILE = {"model": "closed", "duration_s": 0.3, "clients": 4, "weights": {"pay_in": 1, "pay_out": 1}, "title": "test"}


def make_bank(accounts_schema: str | None, entries_schema: str | None, *, name: str = "bank") -> System:
    """Return a bank; what it pays out it reads first and writes then, so that two payments at once lose one.

    Args:
        accounts_schema, entries_schema: where its tables stand; None: wherever the database puts them.
    """
    metadata = MetaData()
    accounts = Table(
        "accounts",
        metadata,
        key_column(),
        Column("balance_minor", Minor, nullable=False),
        CheckConstraint("balance_minor < 1000000000", name="accounts_balance_sane"),
        schema=accounts_schema,
    )
    entries = Table(
        "entries",
        metadata,
        key_column(),
        Column("account_id", Key, ForeignKey(accounts.c.id), nullable=False, index=True),
        Column("amount_minor", Minor, nullable=False),
        operation_id_column(),
        schema=entries_schema,
    )
    held = accounts.fullname

    insert = f"insert into {entries.fullname} (account_id, amount_minor, operation_id)"

    def book(amount_minor: int, account_id: int, operation_id: UUID) -> Statement:
        return Statement(
            f"{insert} values (:account_id, :amount_minor, :operation_id)",
            {"account_id": account_id, "amount_minor": amount_minor, "operation_id": operation_id},
        )

    def pay_in(*, operation_id: UUID, account_id: int, amount_minor: int) -> Steps:
        yield Begin()
        yield Statement(
            f"update {held} set balance_minor = balance_minor + :amount where id = :id",
            {"amount": amount_minor, "id": account_id},
        )
        yield book(amount_minor, account_id, operation_id)
        yield Commit()
        return Ok()

    def pay_out(*, operation_id: UUID, account_id: int, amount_minor: int) -> Steps:
        yield Begin()
        rows = yield Statement(f"select balance_minor from {held} where id = :id", {"id": account_id})
        left = rows[0]["balance_minor"] - amount_minor
        if left < 0:
            yield Rollback()
            return Declined("insufficient_balance")
        yield Statement(f"update {held} set balance_minor = :left where id = :id", {"left": left, "id": account_id})
        yield book(-amount_minor, account_id, operation_id)
        yield Commit()
        return Ok()

    def stage() -> Stage:
        values: dict[str, Value | Ref] = {
            "account_id": Ref("account"),
            "amount_minor": BALANCE_MINOR,
            "operation_id": uuid4(),
        }
        rows = [
            StagedRow("account", held, {"balance_minor": BALANCE_MINOR}),
            StagedRow("entry", entries.fullname, values),
        ]
        return Stage(rows, {"accounts_1": Ref("account")})

    arguments: dict[str, Domain] = {"account_id": KeyOf("accounts"), "amount_minor": IntegerIn(1, 900)}
    return System(
        name=name,
        title="accounts and their entries",
        metadata=metadata,
        operations={name: Operation(name, steps, arguments) for name, steps in (("pay_in", pay_in), ("pay_out", pay_out))},
        services={},
        pools={"accounts": f"select id from {held} order by id"},
        stage=stage,
        seeder=Seeder("bank", (Size("accounts", 20, 1000),), {"most": f"select max(id) from {held}"}, _generate),
    )


def _generate(sizes: Mapping[str, int], seed: int, start: Start) -> Iterator[Batch]:
    count, source = sizes["accounts"], np.random.default_rng(seed)
    ids = start.next_ids["accounts"] + np.arange(count)
    balances = np.full(count, BALANCE_MINOR)
    entry_ids = start.next_ids["entries"] + np.arange(count)
    operation_ids = np.frombuffer(source.bytes(16 * count), dtype="V16")
    yield Batch(
        count,
        [
            SeededRows("accounts", [bigints("id", ids), bigints("balance_minor", balances)]),
            SeededRows(
                "entries",
                [
                    bigints("id", entry_ids),
                    bigints("account_id", ids),
                    bigints("amount_minor", balances),
                    uuids("operation_id", operation_ids),
                ],
            ),
        ],
    )


def balance_invariant(bank: System) -> SqlFile:
    """Return the invariant that an account holds what its entries say."""
    accounts, entries = (table.fullname for table in bank.metadata.sorted_tables)
    query = f"""-- title: a balance is the sum of its entries
select accounts.id, accounts.balance_minor, coalesce(sum(entries.amount_minor), 0) as entries_minor
from {accounts} as accounts
left join {entries} as entries on entries.account_id = accounts.id
group by accounts.id, accounts.balance_minor
having accounts.balance_minor <> coalesce(sum(entries.amount_minor), 0)
order by accounts.id
"""
    return parse_sql_file(query, path=Path("invariants/bank/balance.sql"), name="bank/balance")
