"""The rows that a race of ghostpass is played on: a small world of its own, in which every invariant holds.

- wallets_1 was in and left, and bought once; it holds 3000, enough for one dear sale or one re-entry with a sale, not for
  two: where two calls spend, only one may. Its funding of 700 is pending and has two events that can settle it.
- wallets_2 is inside. wallets_3 has never been in, and spent all of its 2000 on one sale: it can buy again once that one is
  taken back.
"""

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from uuid import UUID, uuid4

from integrity.operation import Value
from integrity.reference.ghostpass.operations import name_entry
from integrity.systems.stage import Ref, Stage, StagedRow


def stage() -> Stage:
    """Return the world."""
    rows = [
        *(
            _row(name, "wallets", code=_unique(), balance_minor=balance_minor)
            for name, balance_minor in (("first", 3000), ("second", 4000), ("third", 0))
        ),
        _row("gateway", "gateways", name=_unique(), reentry_fee_minor=1500),
        _row("terminal", "terminals", name=_unique(), platform_fee_bps=250, venue_share_bps=1000),
        *_funded("first", 4000),
        *_funded("second", 4000),
        *_funded("third", 2000),
        *_pending("first"),
        *_sold("first", {"platform": 25, "venue": 100, "vendor": 875}),
        *_sold("third", {"platform": 50, "venue": 200, "vendor": 1750}),
        *_scanned("first", "in", entry_number=1),
        *_scanned("first", "out"),
        *_scanned("second", "in", entry_number=1),
        *(
            _row(f"presence {wallet}", "presences", wallet_id=Ref(wallet), is_inside=is_inside, entry_count=entry_count)
            for wallet, is_inside, entry_count in (("first", False, 1), ("second", True, 1), ("third", False, 0))
        ),
    ]
    keys: Mapping[str, Value | Ref] = {
        "wallets_1": Ref("first"),
        "wallets_2": Ref("second"),
        "wallets_3": Ref("third"),
        "gateways_1": Ref("gateway"),
        "terminals_1": Ref("terminal"),
        "fundings_1": Ref("pending"),
        "sales_1": Ref("sale first"),
        "sales_2": Ref("sale third"),
        "events_1": _unique(),
        "events_2": _unique(),
    }
    return Stage(rows, keys)


def _funded(wallet: str, amount_minor: int) -> Iterator[StagedRow]:
    """Yield the funding that filled the wallet, requested and paid."""
    funding, requested, paid = f"funding {wallet}", uuid4(), uuid4()
    settled_at = datetime.now(UTC) - timedelta(minutes=1)  # before now by the database's clock, too
    yield _row(
        funding,
        "fundings",
        wallet_id=Ref(wallet),
        amount_minor=amount_minor,
        status="confirmed",
        operation_id=requested,
        requested_at=settled_at - timedelta(minutes=1),
        settled_at=settled_at,
    )
    yield _row(
        f"event {wallet}",
        "webhook_events",
        event_id=_unique(),
        funding_id=Ref(funding),
        kind="payment_succeeded",
        operation_id=paid,
    )
    yield from _entries(
        "funding", funding, paid, {"wallet": amount_minor, "processor": -amount_minor}, wallet, created_at=settled_at
    )
    yield _logged("funding_requested", "funding", funding, requested)
    yield _logged("payment_succeeded", "funding", funding, paid)


def _pending(wallet: str) -> Iterator[StagedRow]:
    requested = uuid4()
    yield _row("pending", "fundings", wallet_id=Ref(wallet), amount_minor=700, status="pending", operation_id=requested)
    yield _logged("funding_requested", "funding", "pending", requested)


def _sold(wallet: str, shares: Mapping[str, int]) -> Iterator[StagedRow]:
    """Yield the sale of what the parties got."""
    sale, sold, amount_minor = f"sale {wallet}", uuid4(), sum(shares.values())
    sold_at = datetime.now(UTC)  # also of its entries: of one day on every engine
    yield _row(
        sale,
        "sales",
        wallet_id=Ref(wallet),
        terminal_id=Ref("terminal"),
        amount_minor=amount_minor,
        platform_fee_minor=shares["platform"],
        operation_id=sold,
        sold_at=sold_at,
    )
    for party, share_minor in shares.items():
        yield _row(f"split {party} {wallet}", "splits", sale_id=Ref(sale), party=party, amount_minor=share_minor)
    yield from _entries("sale", sale, sold, {"wallet": -amount_minor, **shares}, wallet, created_at=sold_at)
    yield _logged("sold", "sale", sale, sold)


def _scanned(wallet: str, direction: str, *, entry_number: int | None = None) -> Iterator[StagedRow]:
    scan, scanned = f"scan {direction} {wallet}", uuid4()
    yield _row(
        scan,
        "scans",
        wallet_id=Ref(wallet),
        gateway_id=Ref("gateway"),
        direction=direction,
        is_accepted=True,
        entry_number=entry_number,
        fee_minor=0,
        operation_id=scanned,
    )
    yield _logged("scanned_out" if entry_number is None else name_entry(entry_number), "scan", scan, scanned)


def _entries(
    kind: str, reference: str, operation_id: UUID, amounts: Mapping[str, int], wallet: str, *, created_at: datetime
) -> Iterator[StagedRow]:
    """Yield the entries of one transfer, by account."""
    for account, amount_minor in amounts.items():
        yield _row(
            f"entry {reference} {account}",
            "entries",
            account=account,
            wallet_id=Ref(wallet) if account == "wallet" else None,
            kind=kind,
            amount_minor=amount_minor,
            reference=Ref(reference),
            operation_id=operation_id,
            created_at=created_at,
        )


def _logged(action: str, subject: str, of: str, operation_id: UUID) -> StagedRow:
    return _row(
        f"log {action} {of}", "audit_log", action=action, subject=subject, subject_id=Ref(of), operation_id=operation_id
    )


def _row(row: str, table: str, /, **values: Value | Ref) -> StagedRow:
    return StagedRow(row, f"ghostpass.{table}", values)


def _unique() -> str:
    return f"race-{uuid4()}"
