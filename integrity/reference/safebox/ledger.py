"""Statements that move money between wallets: proofs, balance, entries and notifications, always in this order.

All of them are steps of a transaction that has locked its wallets first (`lock_wallets`), so that whoever else would touch
these wallets' money waits there, and nowhere else.
"""

from collections.abc import Generator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from integrity.operation import Rows, Statement, Step, Value


def lock_wallets(*wallet_ids: int) -> Statement:
    """Lock the wallets, the one with the lower id first, against everything but references to them.

    `for update` would also wait for rows that merely refer to a wallet, such as the payment of somebody who pays it: two
    wallets that pay each other would wait for each other.
    """
    names = {f"wallet_id_{n}": wallet_id for n, wallet_id in enumerate(wallet_ids)}
    places = ", ".join(f":{name}" for name in names)
    return Statement(
        f"select id, balance_minor from safebox.wallets where id in ({places}) order by id for no key update", names
    )


def denominations(amount_minor: int) -> list[int]:
    """Return the powers of two that make up the amount, the largest first: what a mint's tokens are worth."""
    return [1 << bit for bit in reversed(range(amount_minor.bit_length())) if amount_minor >> bit & 1]


def issue_proofs(amounts_minor: Mapping[int, int], operation_id: UUID) -> Statement:
    """Write the proofs that the mint has signed.

    Args:
        amounts_minor: wallet -> what its new proofs are worth together; at least one is above zero.
        operation_id: one call has proofs issued once, so it is what makes their secrets unique.
    """
    issued = [(wallet_id, each) for wallet_id, amount in amounts_minor.items() for each in denominations(amount)]
    values = ", ".join(f"(:wallet_id_{n}, :secret_{n}, :amount_{n}, 'unspent', :operation_id)" for n in range(len(issued)))
    parameters: dict[str, Value] = {"operation_id": operation_id}
    for n, (wallet_id, amount_minor) in enumerate(issued):
        parameters |= {f"wallet_id_{n}": wallet_id, f"secret_{n}": f"{operation_id}/{n}", f"amount_{n}": amount_minor}
    return Statement(
        f"insert into safebox.proofs (wallet_id, secret, amount_minor, status, operation_id) values {values}", parameters
    )


def credit(wallet_id: int, amount_minor: int) -> Statement:
    """Give the amount to the wallet; a negative one takes it."""
    return Statement(
        "update safebox.wallets set balance_minor = balance_minor + :amount_minor where id = :wallet_id",
        {"wallet_id": wallet_id, "amount_minor": amount_minor},
    )


@dataclass(frozen=True, slots=True)
class Side:
    """One side of what happened.

    Args:
        credit_minor: what its balance gains.
        kind: RECD or SENT.
        amount_minor: what was received or sent, as it is notified.
    """

    wallet_id: int
    credit_minor: int
    kind: str
    amount_minor: int


def credit_and_notify(
    sides: Sequence[Side], operation_id: UUID, *, invoice_id: int | None = None, payment_id: int | None = None
) -> Generator[Step, Any, None]:
    """Credit each side, and write its notification under its wallet's next number.

    Args:
        invoice_id, payment_id: what it is about; one of them.
    """
    numbered = list(enumerate(sides))
    gained: dict[str, Value] = {f"wallet_id_{n}": side.wallet_id for n, side in numbered}
    gained |= {f"credit_{n}": side.credit_minor for n, side in numbered}
    gains = " ".join(f"when :wallet_id_{n} then cast(:credit_{n} as bigint)" for n, _ in numbered)
    counted: Rows = yield Statement(
        f"""
        update safebox.wallets
        set balance_minor = balance_minor + case id {gains} end, notification_count = notification_count + 1
        where id in ({", ".join(f":wallet_id_{n}" for n, _ in numbered)})
        returning id, notification_count
        """,
        gained,
    )
    count = {row["id"]: row["notification_count"] for row in counted}
    values = ", ".join(
        f"(:wallet_id_{n}, :sequence_{n}, :kind_{n}, :amount_{n}, :invoice_id, :payment_id, :operation_id)"
        for n, _ in numbered
    )
    told: dict[str, Value] = {"invoice_id": invoice_id, "payment_id": payment_id, "operation_id": operation_id}
    for n, side in numbered:
        told |= {f"wallet_id_{n}": side.wallet_id, f"sequence_{n}": count[side.wallet_id]}
        told |= {f"kind_{n}": side.kind, f"amount_{n}": side.amount_minor}
    yield Statement(
        f"""
        insert into safebox.notifications (wallet_id, sequence, kind, amount_minor, invoice_id, payment_id, operation_id)
        values {values}
        """,
        told,
    )


Leg = tuple[str, int | None, int]
"""Account, wallet (of the account wallet) and signed amount."""


def post(kind: str, reference: int, operation_id: UUID, legs: Sequence[Leg]) -> Statement:
    """Write the entries of a transfer, without those of nothing; together they are zero."""
    posted = [leg for leg in legs if leg[2]]
    values = ", ".join(
        f"(:account_{n}, :wallet_id_{n}, :kind, :amount_{n}, :reference, :operation_id)" for n in range(len(posted))
    )
    parameters: dict[str, Value] = {"kind": kind, "reference": reference, "operation_id": operation_id}
    for n, (account, wallet_id, amount_minor) in enumerate(posted):
        parameters |= {f"account_{n}": account, f"wallet_id_{n}": wallet_id, f"amount_{n}": amount_minor}
    return Statement(
        f"insert into safebox.entries (account, wallet_id, kind, amount_minor, reference, operation_id) values {values}",
        parameters,
    )
