"""Bugs of ghostpass: what a developer forgot, each beside the sound operation that it replaces, made of the same parts.

A schedule is the shortest text that plays it (race/program/schedule.py): "AB" lets A do its first read, then B all it
does, and A goes on with what it had read.
"""

from collections.abc import Generator, Mapping
from datetime import UTC, datetime
from functools import partial
from typing import Any
from uuid import UUID

from integrity.operation import Begin, Commit, Declined, Ok, Rollback, Row, Rows, Statement, Step, Steps
from integrity.reference.ghostpass.operations import (
    OPERATIONS,
    credit,
    debit,
    log,
    name_entry,
    post,
    record_entry,
    record_sale,
    record_scan,
    scan_in,
    share,
)
from integrity.systems.system import Bug, instead


def receive_funding_webhook_credited_twice(*, operation_id: UUID, event_id: str, funding_id: int, kind: str) -> Steps:
    """Look the event up, then insert it: two deliveries at once both find nothing, and the funding is not asked either."""
    yield Begin()
    event: Rows = yield Statement(
        "select id from ghostpass.webhook_events where event_id = :event_id", {"event_id": event_id}
    )
    if event:
        yield Rollback()
        return Declined("event_already_applied")
    yield Statement(
        """
        insert into ghostpass.webhook_events (event_id, funding_id, kind, operation_id)
        values (:event_id, :funding_id, :kind, :operation_id)
        """,
        {"event_id": event_id, "funding_id": funding_id, "kind": kind, "operation_id": operation_id},
    )
    funding: Rows = yield Statement(
        """
        update ghostpass.fundings
        set status = :status, settled_at = current_timestamp
        where id = :funding_id
        returning wallet_id, amount_minor
        """,
        {"funding_id": funding_id, "status": "confirmed" if kind == "payment_succeeded" else "failed"},
    )
    if kind == "payment_succeeded":
        yield from _credit_funding(funding_id, funding[0], operation_id)
    yield log(kind, "funding", funding_id, operation_id)
    yield Commit()
    return Ok({"funding_id": funding_id})


def receive_funding_webhook_in_two_transactions(*, operation_id: UUID, event_id: str, funding_id: int, kind: str) -> Steps:
    """Mark the event applied and commit, then settle: who dies in between leaves an event that no retry settles."""
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
    yield log(kind, "funding", funding_id, operation_id)
    yield Commit()
    yield Begin()
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
        yield from _credit_funding(funding_id, funding[0], operation_id)
    yield Commit()
    return Ok({"funding_id": funding_id})


def scan_in_without_lock(*, operation_id: UUID, wallet_id: int, gateway_id: int) -> Steps:
    """Read the presence without locking it: two doors both read "outside" and both let the wristband in.

    The presence is written before the scan, so that its lock orders the scans' ids and the last scan still matches it.
    """
    yield Begin()
    presence: Rows = yield Statement(
        "select is_inside, entry_count from ghostpass.presences where wallet_id = :wallet_id", {"wallet_id": wallet_id}
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
    yield Statement(
        "update ghostpass.presences set is_inside = true, entry_count = :entry_count where wallet_id = :wallet_id",
        {"wallet_id": wallet_id, "entry_count": entry_number},
    )
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
    yield Commit()
    return Ok({"entry_number": entry_number, "fee_minor": fee_minor})


def sell_from_stale_balance(*, operation_id: UUID, wallet_id: int, terminal_id: int, amount_minor: int) -> Steps:
    """Read the balance, subtract in the client, write the result back over whatever happened since."""
    yield Begin()
    wallet: Rows = yield _balance(wallet_id)
    balance_minor = wallet[0]["balance_minor"] - amount_minor if wallet else -1
    if balance_minor < 0:
        yield Rollback()
        return Declined("insufficient_balance")
    terminal: Rows = yield _terminal(terminal_id)
    if not terminal:
        yield Rollback()
        return Declined("unknown_terminal")
    sale_id = yield from record_sale(wallet_id, terminal_id, amount_minor, share(amount_minor, terminal[0]), operation_id)
    yield Statement(
        "update ghostpass.wallets set balance_minor = :balance_minor where id = :wallet_id",
        {"balance_minor": balance_minor, "wallet_id": wallet_id},
    )
    yield log("sold", "sale", sale_id, operation_id)
    yield Commit()
    return Ok({"sale_id": sale_id, "balance_minor": balance_minor})


def sell_after_checking(*, operation_id: UUID, wallet_id: int, terminal_id: int, amount_minor: int) -> Steps:
    """Check the balance in one transaction and debit it in the next, whatever it has become."""
    wallet: Rows = yield _balance(wallet_id)
    if not wallet or wallet[0]["balance_minor"] < amount_minor:
        return Declined("insufficient_balance")
    yield Begin()
    terminal: Rows = yield _terminal(terminal_id)
    if not terminal:
        yield Rollback()
        return Declined("unknown_terminal")
    sale_id = yield from record_sale(wallet_id, terminal_id, amount_minor, share(amount_minor, terminal[0]), operation_id)
    debited: Rows = yield Statement(
        """
        update ghostpass.wallets set balance_minor = balance_minor - :amount_minor
        where id = :wallet_id
        returning balance_minor
        """,
        {"wallet_id": wallet_id, "amount_minor": amount_minor},
    )
    yield log("sold", "sale", sale_id, operation_id)
    yield Commit()
    return Ok({"sale_id": sale_id, "balance_minor": debited[0]["balance_minor"]})


def sell_posted_first(*, operation_id: UUID, wallet_id: int, terminal_id: int, amount_minor: int) -> Steps:
    """Write the sale and its entries before the wallet is debited, and locked: who pays in meanwhile stands behind them."""
    yield Begin()
    terminal: Rows = yield _terminal(terminal_id)
    if not terminal:
        yield Rollback()
        return Declined("unknown_terminal")
    sale_id = yield from record_sale(wallet_id, terminal_id, amount_minor, share(amount_minor, terminal[0]), operation_id)
    debited: Rows = yield debit(wallet_id, amount_minor)
    if not debited:
        yield Rollback()
        return Declined("insufficient_balance")
    yield log("sold", "sale", sale_id, operation_id)
    yield Commit()
    return Ok({"sale_id": sale_id, "balance_minor": debited[0]["balance_minor"]})


def sell_logged_afterwards(*, operation_id: UUID, wallet_id: int, terminal_id: int, amount_minor: int) -> Steps:
    """Commit the sale, then write its audit row in a transaction of its own: who dies in between leaves it unlogged."""
    yield Begin()
    terminal: Rows = yield _terminal(terminal_id)
    if not terminal:
        yield Rollback()
        return Declined("unknown_terminal")
    debited: Rows = yield debit(wallet_id, amount_minor)
    if not debited:
        yield Rollback()
        return Declined("insufficient_balance")
    sale_id = yield from record_sale(wallet_id, terminal_id, amount_minor, share(amount_minor, terminal[0]), operation_id)
    yield Commit()
    yield log("sold", "sale", sale_id, operation_id)
    return Ok({"sale_id": sale_id, "balance_minor": debited[0]["balance_minor"]})


def sell_with_rounded_splits(*, operation_id: UUID, wallet_id: int, terminal_id: int, amount_minor: int) -> Steps:
    """Round each share to the nearest by itself: together they are now and then a minor unit more or less than the sale."""
    yield Begin()
    terminal: Rows = yield _terminal(terminal_id)
    if not terminal:
        yield Rollback()
        return Declined("unknown_terminal")
    debited: Rows = yield debit(wallet_id, amount_minor)
    if not debited:
        yield Rollback()
        return Declined("insufficient_balance")
    shares = _round_each(amount_minor, terminal[0])
    sale_id = yield from record_sale(wallet_id, terminal_id, amount_minor, shares, operation_id)
    yield log("sold", "sale", sale_id, operation_id)
    yield Commit()
    return Ok({"sale_id": sale_id, "balance_minor": debited[0]["balance_minor"]})


TERMINAL_CLOCK = datetime(2000, 1, 1, 12, tzinfo=UTC)
"""What a terminal shows that has been without power and that nobody has set since."""


def sell_by_the_terminal_s_clock(*, operation_id: UUID, wallet_id: int, terminal_id: int, amount_minor: int) -> Steps:
    """Date the sale as the terminal says, and its entries as the database does: they are of different days."""
    yield Begin()
    terminal: Rows = yield _terminal(terminal_id)
    if not terminal:
        yield Rollback()
        return Declined("unknown_terminal")
    debited: Rows = yield debit(wallet_id, amount_minor)
    if not debited:
        yield Rollback()
        return Declined("insufficient_balance")
    sale_id = yield from record_sale(wallet_id, terminal_id, amount_minor, share(amount_minor, terminal[0]), operation_id)
    yield Statement(
        "update ghostpass.sales set sold_at = :sold_at where id = :sale_id", {"sold_at": TERMINAL_CLOCK, "sale_id": sale_id}
    )
    yield log("sold", "sale", sale_id, operation_id)
    yield Commit()
    return Ok({"sale_id": sale_id, "balance_minor": debited[0]["balance_minor"]})


def _credit_funding(funding_id: int, funding: Row, operation_id: UUID) -> Generator[Step, Any, None]:
    wallet_id, amount_minor = funding["wallet_id"], funding["amount_minor"]
    house = {"processor": -amount_minor}
    yield credit(wallet_id, amount_minor)
    yield post("funding", funding_id, operation_id, wallet_id=wallet_id, amount_minor=amount_minor, house=house)


def _balance(wallet_id: int) -> Statement:
    return Statement("select balance_minor from ghostpass.wallets where id = :wallet_id", {"wallet_id": wallet_id})


def _terminal(terminal_id: int) -> Statement:
    return Statement(
        "select platform_fee_bps, venue_share_bps from ghostpass.terminals where id = :terminal_id",
        {"terminal_id": terminal_id},
    )


def _round_each(amount_minor: int, terminal: Mapping[str, int]) -> dict[str, int]:
    bps = {"platform": terminal["platform_fee_bps"], "venue": terminal["venue_share_bps"]}
    bps["vendor"] = 10_000 - bps["platform"] - bps["venue"]
    return {party: (amount_minor * share_bps + 5_000) // 10_000 for party, share_bps in bps.items()}


BUGS: dict[str, Bug] = {
    bug.name: bug
    for bug in (
        Bug(
            name="double_credit",
            forgotten="The webhook looks its event up and then inserts it; no unique constraint stops the second delivery.",
            operations=instead(OPERATIONS, receive_funding_webhook_credited_twice, "receive_funding_webhook"),
            dropped=("webhook_events.webhook_events_event_id_key", "entries.entries_one_leg_per_reference"),
            violates=("ghostpass/event-applied-once", "ghostpass/funding-credited-once"),
            race=("receive_funding_webhook", "receive_funding_webhook"),
            schedule="AB",
        ),
        Bug(
            name="lost_update",
            forgotten="The sale reads the balance, computes the new one in the client and writes it back.",
            operations=instead(OPERATIONS, sell_from_stale_balance, "sell"),
            violates=("ghostpass/balance-equals-entries", "ghostpass/entry-not-below-zero"),
            race=("sell", "sell"),
            schedule="AB",
        ),
        Bug(
            name="overdraw",
            forgotten="The sale checks the balance in one transaction and debits it in the next; no constraint is left.",
            operations=instead(OPERATIONS, sell_after_checking, "sell"),
            dropped=("wallets.wallets_balance_not_negative",),
            violates=("ghostpass/balance-not-negative", "ghostpass/entry-not-below-zero"),
            race=("sell", "sell"),
            schedule="AB",
        ),
        Bug(
            name="posted_first",
            forgotten="The sale writes its entries before it locks its wallet; what comes in meanwhile stands behind them.",
            operations=instead(OPERATIONS, sell_posted_first, "sell"),
            violates=("ghostpass/entry-not-below-zero",),
            race=("sell", "refund_sale"),
            schedule="AAAAB",
        ),
        Bug(
            name="duplicate_entry",
            forgotten="The door reads the presence without locking it; no unique index stops the second entry.",
            operations=instead(OPERATIONS, scan_in_without_lock, "scan_in"),
            dropped=("scans.scans_one_per_entry_number",),
            violates=(
                "ghostpass/entry-count-equals-scans",
                "ghostpass/entry-number-unique",
                "ghostpass/scans-alternate",
            ),
            race=("scan_in", "scan_in"),
            schedule="AB",
        ),
        Bug(
            name="reentry_as_entry",
            forgotten="The door logs every entry under one kind: first entries and re-entries cannot be told apart.",
            operations=instead(OPERATIONS, partial(scan_in, name_entry=lambda _: "entered"), "scan_in"),
            violates=("ghostpass/scan-logged-as-it-was",),
        ),
        Bug(
            name="unlogged_sale",
            forgotten="The audit row of a sale is written after its commit; a client that dies in between leaves none.",
            operations=instead(OPERATIONS, sell_logged_afterwards, "sell"),
            violates=("ghostpass/entry-is-logged", "ghostpass/sale-is-logged"),
        ),
        Bug(
            name="split_rounding",
            forgotten="Each split of a sale is rounded by itself, so that together they are not always the sale.",
            operations=instead(OPERATIONS, sell_with_rounded_splits, "sell"),
            violates=(
                "ghostpass/fee-as-configured",
                "ghostpass/sale-equals-splits",
                "ghostpass/splits-equal-entries-by-day",
                "ghostpass/transfer-sums-to-zero",
            ),
        ),
        Bug(
            name="terminal_clock",
            forgotten="A sale is dated by its terminal's clock, which nobody has set, and its entries by the database's.",
            operations=instead(OPERATIONS, sell_by_the_terminal_s_clock, "sell"),
            violates=("ghostpass/splits-equal-entries-by-day",),
        ),
        Bug(
            name="orphaned_funding",
            forgotten="The webhook marks its event applied in one transaction and credits the wallet in the next.",
            operations=instead(OPERATIONS, receive_funding_webhook_in_two_transactions, "receive_funding_webhook"),
            violates=("ghostpass/event-settles-funding", "ghostpass/funding-not-stuck"),
        ),
    )
}
