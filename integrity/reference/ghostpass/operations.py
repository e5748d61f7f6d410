"""What people do at a venue with a wristband: fund a wallet, come in, go out, come back for a fee, buy, get money back.

Sound under concurrency at read committed: an operation locks the one row that it decides by (wallet, presence, funding or
sale) before it reads it or as it changes it, always before any other row's lock is taken, wallet last. What a bug forgets
stands in bugs.py, beside the same story.
"""

from collections.abc import Callable, Generator, Mapping
from functools import cache
from typing import Any
from uuid import UUID

from integrity.domain import IntegerIn, KeyOf, OneOf
from integrity.operation import (
    Begin,
    Commit,
    Declined,
    Ok,
    Operation,
    Request,
    Rollback,
    Rows,
    Statement,
    Step,
    Steps,
    Unavailable,
    Value,
)
from integrity.systems.service import Answer, is_answered


def request_funding(*, operation_id: UUID, wallet_id: int, amount_minor: int) -> Steps:
    """A guest tops up: the funding is pending until the processor's webhook settles it."""
    yield Begin()
    funding: Rows = yield Statement(
        """
        insert into ghostpass.fundings (wallet_id, amount_minor, status, operation_id)
        values (:wallet_id, :amount_minor, 'pending', :operation_id)
        returning id
        """,
        {"wallet_id": wallet_id, "amount_minor": amount_minor, "operation_id": operation_id},
    )
    funding_id = funding[0]["id"]
    yield log("funding_requested", "funding", funding_id, operation_id)
    yield Commit()
    # After the commit: a webhook may arrive before the answer does, and must find its funding.
    answer: Answer = yield Request("processor", {"funding_id": funding_id, "amount_minor": amount_minor})
    if not is_answered(answer):
        # The funding is pending: should it be paid after all, it is credited.
        return Unavailable("processor_did_not_answer")
    return Ok({"funding_id": funding_id})


def receive_funding_webhook(*, operation_id: UUID, event_id: str, funding_id: int, kind: str) -> Steps:
    """The processor says how a funding ended, perhaps more than once. Each event is applied once."""
    yield Begin()
    event: Rows = yield Statement(
        """
        insert into ghostpass.webhook_events (event_id, funding_id, kind, operation_id)
        values (:event_id, :funding_id, :kind, :operation_id)
        on conflict (event_id) do nothing
        returning id
        """,
        {"event_id": event_id, "funding_id": funding_id, "kind": kind, "operation_id": operation_id},
    )
    if not event:
        yield Rollback()
        return Declined("event_already_applied")
    funding: Rows = yield Statement(
        """
        update ghostpass.fundings
        set status = :status, settled_at = current_timestamp
        where id = :funding_id and status = 'pending'
        returning wallet_id, amount_minor
        """,
        {"funding_id": funding_id, "status": "confirmed" if kind == "payment_succeeded" else "failed"},
    )
    if not funding:
        yield Rollback()
        return Declined("funding_already_settled")
    if kind == "payment_succeeded":
        wallet_id, amount_minor = funding[0]["wallet_id"], funding[0]["amount_minor"]
        yield credit(wallet_id, amount_minor)
        yield post(
            "funding",
            funding_id,
            operation_id,
            wallet_id=wallet_id,
            amount_minor=amount_minor,
            house={"processor": -amount_minor},
        )
    yield log(kind, "funding", funding_id, operation_id)
    yield Commit()
    return Ok({"funding_id": funding_id})


def name_entry(entry_number: int) -> str:
    """Return the kind under which the audit log has an entry: venues count first entries and re-entries apart."""
    return "entered" if entry_number == 1 else "reentered"


def scan_in(*, operation_id: UUID, wallet_id: int, gateway_id: int, name_entry: Callable[[int], str] = name_entry) -> Steps:
    """A guest at a door. The first entry is free; each later one costs the gateway's re-entry fee.

    Args:
        name_entry: how the log names it; a bug has another.
    """
    yield Begin()
    presence: Rows = yield Statement(
        "select is_inside, entry_count from ghostpass.presences where wallet_id = :wallet_id for update",
        {"wallet_id": wallet_id},
    )
    if not presence:
        yield Rollback()
        return Declined("unknown_wallet")
    gateway: Rows = yield Statement(
        "select reentry_fee_minor from ghostpass.gateways where id = :gateway_id", {"gateway_id": gateway_id}
    )
    if not gateway:
        yield Rollback()
        return Declined("unknown_gateway")
    if presence[0]["is_inside"]:
        yield from record_scan(wallet_id, gateway_id, "in", operation_id, is_accepted=False)
        yield Commit()
        return Declined("already_inside")
    entry_number = presence[0]["entry_count"] + 1
    fee_minor = gateway[0]["reentry_fee_minor"] if entry_number > 1 else 0
    if fee_minor:
        debited: Rows = yield debit(wallet_id, fee_minor)
        if not debited:
            yield from record_scan(wallet_id, gateway_id, "in", operation_id, is_accepted=False)
            yield Commit()
            return Declined("insufficient_balance")
    scan_id = yield from record_entry(
        wallet_id, gateway_id, operation_id, entry_number=entry_number, fee_minor=fee_minor, action=name_entry(entry_number)
    )
    if fee_minor:
        yield post(
            "reentry_fee",
            scan_id,
            operation_id,
            wallet_id=wallet_id,
            amount_minor=-fee_minor,
            house={"venue": fee_minor},
        )
    yield Statement(
        "update ghostpass.presences set is_inside = true, entry_count = :entry_count where wallet_id = :wallet_id",
        {"wallet_id": wallet_id, "entry_count": entry_number},
    )
    yield Commit()
    return Ok({"entry_number": entry_number, "fee_minor": fee_minor})


def scan_out(*, operation_id: UUID, wallet_id: int, gateway_id: int) -> Steps:
    """A guest leaves, free of charge."""
    yield Begin()
    left: Rows = yield Statement(
        """
        update ghostpass.presences set is_inside = false
        where wallet_id = :wallet_id and is_inside
        returning entry_count
        """,
        {"wallet_id": wallet_id},
    )
    if not left:
        yield from record_scan(wallet_id, gateway_id, "out", operation_id, is_accepted=False)
        yield Commit()
        return Declined("not_inside")
    yield from record_scan(wallet_id, gateway_id, "out", operation_id, is_accepted=True)
    yield Commit()
    return Ok()


def sell(*, operation_id: UUID, wallet_id: int, terminal_id: int, amount_minor: int) -> Steps:
    """A guest buys: one atomic debit, the platform's fee, and the rest shared between venue and vendor."""
    yield Begin()
    terminal: Rows = yield Statement(
        "select platform_fee_bps, venue_share_bps from ghostpass.terminals where id = :terminal_id",
        {"terminal_id": terminal_id},
    )
    if not terminal:
        yield Rollback()
        return Declined("unknown_terminal")
    debited: Rows = yield debit(wallet_id, amount_minor)
    if not debited:
        yield Rollback()
        return Declined("insufficient_balance")
    shares = share(amount_minor, terminal[0])
    sale_id = yield from record_sale(wallet_id, terminal_id, amount_minor, shares, operation_id)
    yield log("sold", "sale", sale_id, operation_id)
    yield Commit()
    return Ok({"sale_id": sale_id, "balance_minor": debited[0]["balance_minor"]})


def refund_sale(*, operation_id: UUID, sale_id: int) -> Steps:
    """A vendor takes a sale back, whole, and at most once."""
    yield Begin()
    sale: Rows = yield Statement(
        """
        update ghostpass.sales set refunded_minor = amount_minor
        where id = :sale_id and refunded_minor = 0
        returning wallet_id, amount_minor
        """,
        {"sale_id": sale_id},
    )
    if not sale:
        yield Rollback()
        return Declined("already_refunded")
    splits: Rows = yield Statement(
        "select party, amount_minor from ghostpass.splits where sale_id = :sale_id", {"sale_id": sale_id}
    )
    wallet_id, amount_minor = sale[0]["wallet_id"], sale[0]["amount_minor"]
    yield credit(wallet_id, amount_minor)
    yield post(
        "refund",
        sale_id,
        operation_id,
        wallet_id=wallet_id,
        amount_minor=amount_minor,
        house={split["party"]: -split["amount_minor"] for split in splits},
    )
    yield log("refunded", "sale", sale_id, operation_id)
    yield Commit()
    return Ok({"amount_minor": amount_minor})


# The parts that several operations, and their bugs, are made of.


def share(amount_minor: int, terminal: Mapping[str, int]) -> dict[str, int]:
    """Return each house account's share: platform and venue rounded down, the vendor gets what is left."""
    platform = amount_minor * terminal["platform_fee_bps"] // 10_000
    venue = amount_minor * terminal["venue_share_bps"] // 10_000
    return {"platform": platform, "venue": venue, "vendor": amount_minor - platform - venue}


def debit(wallet_id: int, amount_minor: int) -> Statement:
    """Take the amount if the wallet holds it; no row comes back when it does not. Check and debit are one statement."""
    return Statement(
        """
        update ghostpass.wallets set balance_minor = balance_minor - :amount_minor
        where id = :wallet_id and balance_minor >= :amount_minor
        returning balance_minor
        """,
        {"wallet_id": wallet_id, "amount_minor": amount_minor},
    )


def credit(wallet_id: int, amount_minor: int) -> Statement:
    """Give the amount to the wallet."""
    return Statement(
        "update ghostpass.wallets set balance_minor = balance_minor + :amount_minor where id = :wallet_id",
        {"wallet_id": wallet_id, "amount_minor": amount_minor},
    )


def log(action: str, subject: str, subject_id: int, operation_id: UUID) -> Statement:
    """Write the audit row."""
    return Statement(
        """
        insert into ghostpass.audit_log (action, subject, subject_id, operation_id)
        values (:action, :subject, :subject_id, :operation_id)
        """,
        {"action": action, "subject": subject, "subject_id": subject_id, "operation_id": operation_id},
    )


def post(
    kind: str,
    reference: int,
    operation_id: UUID,
    *,
    wallet_id: int,
    amount_minor: int,
    house: Mapping[str, int],
    created_at: str = "",
) -> Statement:
    """Write a transfer's entries: the wallet's leg, and the leg of each house account that is not zero.

    Args:
        amount_minor: the wallet's leg, signed.
        house: account -> its leg, signed; together they are -amount_minor.
        created_at: the SQL of when; empty: now.
    """
    legs: list[tuple[str, int | None, int]] = [("wallet", wallet_id, amount_minor)]
    legs += [(account, None, amount) for account, amount in house.items() if amount]
    parameters: dict[str, Value] = {"kind": kind, "reference": reference, "operation_id": operation_id}
    for n, (account, leg_wallet_id, amount) in enumerate(legs):
        parameters |= {f"account_{n}": account, f"wallet_id_{n}": leg_wallet_id, f"amount_{n}": amount}
    return Statement(_insert_entries(len(legs), created_at), parameters)


@cache
def _insert_entries(count: int, created_at: str) -> str:
    column, value = (", created_at", f", {created_at}") if created_at else ("", "")
    values = ", ".join(
        f"(:account_{n}, :wallet_id_{n}, :kind, :amount_{n}, :reference, :operation_id{value})" for n in range(count)
    )
    return (
        "insert into ghostpass.entries (account, wallet_id, kind, amount_minor, reference, operation_id"
        f"{column}) values {values}"
    )


def record_scan(
    wallet_id: int, gateway_id: int, direction: str, operation_id: UUID, *, is_accepted: bool
) -> Generator[Step, Any, int]:
    """Write a scan out, or one that was rejected, and its audit row; return its id."""
    scan_id = yield from _insert_scan(wallet_id, gateway_id, direction, operation_id, is_accepted=is_accepted)
    verb = "scanned" if is_accepted else "rejected"
    yield log(f"{verb}_{direction}", "scan", scan_id, operation_id)
    return scan_id


def record_entry(
    wallet_id: int, gateway_id: int, operation_id: UUID, *, entry_number: int, fee_minor: int, action: str
) -> Generator[Step, Any, int]:
    """Write a scan that let somebody in, and its audit row; return its id."""
    scan_id = yield from _insert_scan(
        wallet_id, gateway_id, "in", operation_id, is_accepted=True, entry_number=entry_number, fee_minor=fee_minor
    )
    yield log(action, "scan", scan_id, operation_id)
    return scan_id


def _insert_scan(
    wallet_id: int,
    gateway_id: int,
    direction: str,
    operation_id: UUID,
    *,
    is_accepted: bool,
    entry_number: int | None = None,
    fee_minor: int = 0,
) -> Generator[Step, Any, int]:
    scan: Rows = yield Statement(
        """
        insert into ghostpass.scans
            (wallet_id, gateway_id, direction, is_accepted, entry_number, fee_minor, operation_id)
        values (:wallet_id, :gateway_id, :direction, :is_accepted, :entry_number, :fee_minor, :operation_id)
        returning id
        """,
        {
            "wallet_id": wallet_id,
            "gateway_id": gateway_id,
            "direction": direction,
            "is_accepted": is_accepted,
            "entry_number": entry_number,
            "fee_minor": fee_minor,
            "operation_id": operation_id,
        },
    )
    scan_id: int = scan[0]["id"]
    return scan_id


SALE_TIME = "(select sold_at from ghostpass.sales where id = :reference)"
"""A sale's entries are of its day, also on SQLite, where each statement of a transaction has a time of its own."""


def record_sale(
    wallet_id: int, terminal_id: int, amount_minor: int, shares: Mapping[str, int], operation_id: UUID
) -> Generator[Step, Any, int]:
    """Write a sale, its splits and its entries; return its id."""
    sale: Rows = yield Statement(
        """
        insert into ghostpass.sales (wallet_id, terminal_id, amount_minor, platform_fee_minor, operation_id)
        values (:wallet_id, :terminal_id, :amount_minor, :platform_fee_minor, :operation_id)
        returning id
        """,
        {
            "wallet_id": wallet_id,
            "terminal_id": terminal_id,
            "amount_minor": amount_minor,
            "platform_fee_minor": shares["platform"],
            "operation_id": operation_id,
        },
    )
    sale_id: int = sale[0]["id"]
    yield Statement(
        """
        insert into ghostpass.splits (sale_id, party, amount_minor)
        values (:sale_id, 'platform', :platform), (:sale_id, 'venue', :venue), (:sale_id, 'vendor', :vendor)
        """,
        {"sale_id": sale_id, **shares},
    )
    yield post(
        "sale",
        sale_id,
        operation_id,
        wallet_id=wallet_id,
        amount_minor=-amount_minor,
        house=shares,
        created_at=SALE_TIME,
    )
    return sale_id


OPERATIONS = {
    operation.name: operation
    for operation in (
        Operation(
            "request_funding",
            request_funding,
            {"wallet_id": KeyOf("wallets"), "amount_minor": IntegerIn(500, 10_000, 500)},
        ),
        Operation(
            "receive_funding_webhook",
            receive_funding_webhook,
            {
                "event_id": KeyOf("events"),
                "funding_id": KeyOf("fundings"),
                "kind": OneOf(("payment_succeeded", "payment_failed")),
            },
        ),
        Operation("scan_in", scan_in, {"wallet_id": KeyOf("wallets"), "gateway_id": KeyOf("gateways")}),
        Operation("scan_out", scan_out, {"wallet_id": KeyOf("wallets"), "gateway_id": KeyOf("gateways")}),
        Operation(
            "sell",
            sell,
            {
                "wallet_id": KeyOf("wallets"),
                "terminal_id": KeyOf("terminals"),
                "amount_minor": IntegerIn(150, 1_999),
            },
        ),
        Operation("refund_sale", refund_sale, {"sale_id": KeyOf("sales")}),
    )
}
