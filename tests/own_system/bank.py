"""A small bank: accounts, and the movements that make their balances. Its tables name no schema and stand in `public`."""

from collections.abc import Iterator, Mapping
from uuid import UUID, uuid4

import numpy as np
from sqlalchemy import CheckConstraint, Column, ForeignKey, Index, MetaData, Table, UniqueConstraint

from integrity import Bug, Operation, System
from integrity.domain import Domain, IntegerIn, KeyOf
from integrity.endpoints.endpoint import Endpoint, body, path
from integrity.endpoints.table import Endpoints
from integrity.engines.columns import bigints, uuids
from integrity.operation import (
    RESTARTED,
    Allowed,
    Begin,
    Commit,
    Declined,
    Ok,
    Rollback,
    Rows,
    Statement,
    Steps,
    Value,
)
from integrity.systems.seeder import Batch, SeededRows, Seeder, Size, Start
from integrity.systems.stage import Ref, Stage, StagedRow
from integrity.systems.system import instead
from integrity.systems.types import Key, Minor, key_column, operation_id_column

METADATA = MetaData()

accounts = Table(
    "accounts",
    METADATA,
    key_column(),
    Column("balance_minor", Minor, nullable=False),
    CheckConstraint("balance_minor >= 0", name="accounts_balance_not_negative"),
)

movements = Table(
    "movements",
    METADATA,
    key_column(),
    Column("account_id", Key, ForeignKey(accounts.c.id, name="movements_account_id_fkey"), nullable=False),
    Column("amount_minor", Minor, nullable=False),
    operation_id_column(),
    UniqueConstraint("operation_id", name="movements_operation_id_key"),
    Index("movements_account_id_idx", "account_id"),
)


def deposit(*, operation_id: UUID, account_id: int, amount_minor: int) -> Steps:
    """Add to a balance: one update, which no other call can come between."""
    yield Begin()
    yield _move(account_id, amount_minor, operation_id)
    rows: Rows = yield Statement(
        "update accounts set balance_minor = balance_minor + :amount where id = :account_id returning balance_minor",
        {"amount": amount_minor, "account_id": account_id},
    )
    yield Commit()
    return Ok({"balance_minor": rows[0]["balance_minor"]})


def withdraw(*, operation_id: UUID, account_id: int, amount_minor: int) -> Steps:
    """Look whether there is enough, with the row locked, then take it."""
    yield Begin()
    rows: Rows = yield Statement(
        "select balance_minor from accounts where id = :account_id for update", {"account_id": account_id}
    )
    left = rows[0]["balance_minor"] - amount_minor
    if left < 0:
        yield Rollback()
        return Declined("insufficient_balance")
    yield _move(account_id, -amount_minor, operation_id)
    yield _set_balance(account_id, left)
    yield Commit()
    return Ok({"balance_minor": left})


def withdraw_in_two(*, operation_id: UUID, account_id: int, amount_minor: int) -> Steps:
    """Look first, and begin the transaction afterwards: what another call wrote in between is lost."""
    rows: Rows = yield Statement("select balance_minor from accounts where id = :account_id", {"account_id": account_id})
    left = rows[0]["balance_minor"] - amount_minor
    if left < 0:
        return Declined("insufficient_balance")
    yield Begin()
    yield _move(account_id, -amount_minor, operation_id)
    yield _set_balance(account_id, left)
    yield Commit()
    return Ok({"balance_minor": left})


def deposit_without_movement(*, operation_id: UUID, account_id: int, amount_minor: int) -> Steps:
    """Add to a balance, and forget to say where it came from."""
    yield Statement(
        "update accounts set balance_minor = balance_minor + :amount where id = :account_id",
        {"amount": amount_minor, "account_id": account_id},
    )
    return Ok()


def _move(account_id: int, amount_minor: int, operation_id: UUID) -> Statement:
    return Statement(
        "insert into movements (account_id, amount_minor, operation_id) values (:account_id, :amount, :operation_id)",
        {"account_id": account_id, "amount": amount_minor, "operation_id": operation_id},
    )


def _set_balance(account_id: int, balance_minor: int) -> Statement:
    return Statement(
        "update accounts set balance_minor = :balance where id = :account_id",
        {"balance": balance_minor, "account_id": account_id},
    )


def stage() -> Stage:
    """Two accounts, one to meet on and one to stay away from it."""
    rows: list[StagedRow] = []
    for name in ("first", "second"):
        opened: dict[str, Value | Ref] = {"account_id": Ref(name), "amount_minor": 1000, "operation_id": uuid4()}
        rows.append(StagedRow(name, "accounts", {"balance_minor": 1000}))
        rows.append(StagedRow(f"{name} opening", "movements", opened))
    return Stage(rows, {"accounts_1": Ref("first"), "accounts_2": Ref("second")})


def generate(sizes: Mapping[str, int], seed: int, start: Start) -> Iterator[Batch]:
    """Yield accounts, each with the movement that opened it."""
    random = np.random.default_rng(seed)
    count = sizes["accounts"]
    account_ids = start.next_ids["accounts"] + np.arange(count)
    amounts = random.integers(10, 1_000, count) * 100
    opened = [
        SeededRows("accounts", [bigints("id", account_ids), bigints("balance_minor", amounts)]),
        SeededRows(
            "movements",
            [
                bigints("id", start.next_ids["movements"] + np.arange(count)),
                bigints("account_id", account_ids),
                bigints("amount_minor", amounts),
                uuids("operation_id", np.frombuffer(random.bytes(16 * count), "V16")),
            ],
        ),
    ]
    yield Batch(done=count, tables=opened)


ARGUMENTS: dict[str, Domain] = {"account_id": KeyOf("accounts"), "amount_minor": IntegerIn(100, 600, 100)}
OPERATIONS = {
    "deposit": Operation("deposit", deposit, ARGUMENTS),
    "withdraw": Operation("withdraw", withdraw, ARGUMENTS),
}

ON_ACCOUNT = {"account_id": path(), "amount_minor": body()}
ENDPOINTS = Endpoints(
    (
        Endpoint("POST", "/accounts/{account_id}/deposits", "deposit", ON_ACCOUNT, ok_status=201),
        Endpoint("POST", "/accounts/{account_id}/withdrawals", "withdraw", ON_ACCOUNT, ok_status=201),
    ),
    declines={"insufficient_balance": 402},
)

BANK = System(
    name="bank",
    title="a small bank: deposits and withdrawals",
    metadata=METADATA,
    operations=OPERATIONS,
    pools={"accounts": "select id from accounts order by id"},
    bugs={
        "lost_update": Bug(
            name="lost_update",
            forgotten="the balance is read before the transaction that writes it",
            operations=instead(OPERATIONS, withdraw_in_two, "withdraw"),
            violates=("bank/balance-equals-movements",),
            race=("withdraw", "withdraw"),
            schedule="AB",
        ),
        "forgotten_movement": Bug(
            name="forgotten_movement",
            forgotten="the movement of a deposit",
            operations=instead(OPERATIONS, deposit_without_movement, "deposit"),
            violates=("bank/acknowledged-call-is-stored", "bank/balance-equals-movements"),
        ),
    },
    stage=stage,
    endpoints=ENDPOINTS,
    seeder=Seeder("bank", [Size("accounts", default=100, most=1_000_000)], {}, generate),
    allowed=Allowed(retries=RESTARTED),
)
