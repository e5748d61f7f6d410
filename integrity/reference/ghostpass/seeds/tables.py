"""The rows that a past day of ghostpass left behind: what its operations write, call by call.

Ids count up in order of time, batch after batch; rows of a call have its operation_id and its time, as rows of one
transaction have. A test plays the same calls through the operations themselves and compares every table.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

import numpy as np

from integrity.engines.columns import bigints, booleans, integers, labels, texts, timestamps, uuids
from integrity.project import reference_folder
from integrity.reference.ghostpass.seeds.day import Calls, Day, Kind, play_day
from integrity.reference.ghostpass.seeds.settings import DaySettings, read_settings
from integrity.seeds.source import Array, Source, make_operation_ids
from integrity.systems.seeder import Batch, SeededRows, Seeder, Size, Start

WALLETS_A_BATCH = 25_000
"""A part of what the seed means: other batches, other rows. About 250,000 entries and 200 MB while they are made."""

ACCOUNTS = ("wallet", "processor", "platform", "venue", "vendor")
WALLET, PROCESSOR, PLATFORM, VENUE, VENDOR = range(len(ACCOUNTS))
HOUSE_OF_SALES = (PLATFORM, VENUE, VENDOR)  # in the order in which a sale writes its splits and entries


@dataclass(frozen=True, slots=True, eq=False)
class Venue:
    """Gateways and terminals, a place in each array one of them."""

    gateway_ids: Array
    reentry_fees_minor: Array
    terminal_ids: Array
    platform_fees_bps: Array
    venue_shares_bps: Array


def generate(sizes: Mapping[str, int], seed: int, start: Start) -> Iterator[Batch]:
    """Yield the past day of as many guests as there are wallets, with the venue first if it is not there."""
    wallet_count = sizes["wallets"]
    settings = read_settings(start.settings or reference_folder("seeds") / "ghostpass.toml")
    next_ids = dict(start.next_ids)
    if start.found:
        venue = _found_venue(start)
    else:
        venue = _declared_venue(settings)
        yield Batch(0, _venue_rows(settings, venue))
    for first in range(0, wallet_count, WALLETS_A_BATCH):
        count = min(WALLETS_A_BATCH, wallet_count - first)
        # Named by the first wallet's id: wallets that are added later have a day of their own.
        source = Source(seed, next_ids["wallets"])
        day = play_day(settings, count, venue.reentry_fees_minor, len(venue.terminal_ids), source)
        tables = _day_rows(day, venue, next_ids, source)
        for rows in tables:
            if rows.table in next_ids:
                next_ids[rows.table] += len(rows)
        yield Batch(count, tables)


SEEDER = Seeder(
    name="ghostpass",
    # Ten million wallets are 110 million entries and about 55 GB (measured: a million are 5.5 GB). More says nothing new.
    sizes=(Size("wallets", default=5_000, most=10_000_000),),
    reads={
        "gateways": "select id, reentry_fee_minor from ghostpass.gateways order by id",
        "terminals": "select id, platform_fee_bps, venue_share_bps from ghostpass.terminals order by id",
    },
    generate=generate,
)


def _declared_venue(settings: DaySettings) -> Venue:
    return Venue(
        gateway_ids=1 + np.arange(len(settings.gateways)),
        reentry_fees_minor=np.array([gateway.reentry_fee_minor for gateway in settings.gateways]),
        terminal_ids=1 + np.arange(len(settings.terminals)),
        platform_fees_bps=np.array([terminal.platform_fee_bps for terminal in settings.terminals]),
        venue_shares_bps=np.array([terminal.venue_share_bps for terminal in settings.terminals]),
    )


def _found_venue(start: Start) -> Venue:
    gateways, terminals = np.array(start.found["gateways"]).T, np.array(start.found["terminals"]).T
    return Venue(gateways[0], gateways[1], *terminals)


def _venue_rows(settings: DaySettings, venue: Venue) -> list[SeededRows]:
    return [
        SeededRows(
            "gateways",
            [
                bigints("id", venue.gateway_ids),
                texts("name", [gateway.name for gateway in settings.gateways]),
                bigints("reentry_fee_minor", venue.reentry_fees_minor),
            ],
        ),
        SeededRows(
            "terminals",
            [
                bigints("id", venue.terminal_ids),
                texts("name", [terminal.name for terminal in settings.terminals]),
                integers("platform_fee_bps", venue.platform_fees_bps),
                integers("venue_share_bps", venue.venue_shares_bps),
            ],
        ),
    ]


@dataclass(frozen=True, slots=True, eq=False)
class _Made:
    """Calls with what they made.

    Args:
        operation_id: of each call.
        wallet_id: of each call's guest.
        subject_id: the funding, scan or sale that each call is about, by its kind.
    """

    calls: Calls
    operation_id: Array
    wallet_id: Array
    subject_id: Array

    def where(self, *kinds: Kind) -> "_Made":
        """Return the calls of these kinds."""
        places = np.flatnonzero(np.isin(self.calls.kind, kinds))
        calls = Calls(**{name: getattr(self.calls, name)[places] for name in Calls.__slots__})
        return replace(
            self,
            calls=calls,
            operation_id=self.operation_id[places],
            wallet_id=self.wallet_id[places],
            subject_id=self.subject_id[places],
        )


def _day_rows(day: Day, venue: Venue, next_ids: dict[str, int], source: Source) -> list[SeededRows]:
    calls = day.calls
    wallet_ids = next_ids["wallets"] + np.arange(len(day.balance_minor))
    subject_id = np.empty(len(calls.kind), np.int64)
    for table, kinds in (
        ("fundings", [Kind.REQUEST_FUNDING]),
        ("scans", [Kind.SCAN_IN, Kind.SCAN_OUT]),
        ("sales", [Kind.SELL]),
    ):
        places = np.flatnonzero(np.isin(calls.kind, kinds))
        subject_id[places] = next_ids[table] + np.arange(len(places))
    made = _Made(calls, make_operation_ids(calls.time_us, source), wallet_ids[calls.wallet], subject_id[calls.about])
    sales = made.where(Kind.SELL)
    return [
        _wallet_rows(day, wallet_ids),
        SeededRows(
            "presences",
            [
                bigints("wallet_id", wallet_ids),
                booleans("is_inside", day.is_inside),
                integers("entry_count", day.entry_count),
            ],
        ),
        _funding_rows(made.where(Kind.REQUEST_FUNDING), made.where(Kind.SETTLE_FUNDING)),
        _webhook_event_rows(made.where(Kind.SETTLE_FUNDING), next_ids),
        _scan_rows(made.where(Kind.SCAN_IN, Kind.SCAN_OUT), venue),
        _sale_rows(sales, made.where(Kind.REFUND_SALE), venue),
        _split_rows(sales, venue, next_ids),
        _entry_rows(made, venue, next_ids),
        _audit_rows(made, next_ids),
    ]


def _wallet_rows(day: Day, wallet_ids: Array) -> SeededRows:
    codes = np.char.add(b"GP-", np.char.zfill(wallet_ids.astype("S"), 8))
    return SeededRows(
        "wallets",
        [
            bigints("id", wallet_ids),
            texts("code", codes),
            bigints("balance_minor", day.balance_minor),
            timestamps("created_at", day.created_us),
        ],
    )


def _funding_rows(requested: _Made, settled: _Made) -> SeededRows:
    settled_us = np.empty(len(requested.subject_id), np.int64)
    settled_us[settled.subject_id - requested.subject_id[0]] = settled.calls.time_us
    return SeededRows(
        "fundings",
        [
            bigints("id", requested.subject_id),
            bigints("wallet_id", requested.wallet_id),
            bigints("amount_minor", requested.calls.amount_minor),
            labels("status", ("failed", "confirmed"), requested.calls.is_accepted.astype(np.int64)),
            uuids("operation_id", requested.operation_id),
            timestamps("requested_at", requested.calls.time_us),
            timestamps("settled_at", settled_us),
        ],
    )


def _webhook_event_rows(settled: _Made, next_ids: dict[str, int]) -> SeededRows:
    return SeededRows(
        "webhook_events",
        [
            bigints("id", next_ids["webhook_events"] + np.arange(len(settled.subject_id))),
            texts("event_id", np.char.add(b"evt-", settled.subject_id.astype("S"))),
            bigints("funding_id", settled.subject_id),
            labels("kind", ("payment_failed", "payment_succeeded"), settled.calls.is_accepted.astype(np.int64)),
            uuids("operation_id", settled.operation_id),
            timestamps("applied_at", settled.calls.time_us),
        ],
    )


def _scan_rows(scans: _Made, venue: Venue) -> SeededRows:
    calls = scans.calls
    return SeededRows(
        "scans",
        [
            bigints("id", scans.subject_id),
            bigints("wallet_id", scans.wallet_id),
            bigints("gateway_id", venue.gateway_ids[calls.place]),
            labels("direction", ("in", "out"), (calls.kind == Kind.SCAN_OUT).astype(np.int64)),
            booleans("is_accepted", calls.is_accepted),
            integers("entry_number", calls.entry_number, calls.entry_number == 0),
            bigints("fee_minor", calls.fee_minor),
            uuids("operation_id", scans.operation_id),
            timestamps("scanned_at", calls.time_us),
        ],
    )


def _sale_rows(sales: _Made, refunds: _Made, venue: Venue) -> SeededRows:
    amounts = sales.calls.amount_minor
    refunded = np.where(np.isin(sales.subject_id, refunds.subject_id), amounts, 0)
    return SeededRows(
        "sales",
        [
            bigints("id", sales.subject_id),
            bigints("wallet_id", sales.wallet_id),
            bigints("terminal_id", venue.terminal_ids[sales.calls.place]),
            bigints("amount_minor", amounts),
            bigints("platform_fee_minor", _shares(sales.calls, venue)[:, 0]),
            bigints("refunded_minor", refunded),
            uuids("operation_id", sales.operation_id),
            timestamps("sold_at", sales.calls.time_us),
        ],
    )


def _split_rows(sales: _Made, venue: Venue, next_ids: dict[str, int]) -> SeededRows:
    shares = _shares(sales.calls, venue)
    return SeededRows(
        "splits",
        [
            bigints("id", next_ids["splits"] + np.arange(shares.size)),
            bigints("sale_id", np.repeat(sales.subject_id, len(HOUSE_OF_SALES))),
            labels("party", ACCOUNTS, np.tile(HOUSE_OF_SALES, len(shares))),
            bigints("amount_minor", shares.ravel()),
        ],
    )


def _entry_rows(made: _Made, venue: Venue, next_ids: dict[str, int]) -> SeededRows:
    """Return each transfer's entries: the wallet's leg, then those of the house accounts that are not zero."""
    calls = made.calls
    is_funding = (calls.kind == Kind.SETTLE_FUNDING) & calls.is_accepted
    is_sale, is_refund, is_fee = calls.kind == Kind.SELL, calls.kind == Kind.REFUND_SALE, calls.fee_minor > 0
    places = np.flatnonzero(is_funding | is_sale | is_refund | is_fee)
    kind = np.select([is_funding, is_sale, is_refund], [0, 1, 2], 3)[places]
    amounts = np.where(is_fee, calls.fee_minor, calls.amount_minor)[places]
    sign = np.where(is_funding | is_refund, 1, -1)[places]  # of the wallet's leg
    is_shared = (is_sale | is_refund)[places]

    legs = np.zeros((len(places), 1 + len(HOUSE_OF_SALES)), np.int64)
    legs[:, 0] = sign * amounts
    legs[:, 1] = -sign * amounts
    legs[is_shared, 1:] = -sign[is_shared, None] * _shares(calls, venue)[places[is_shared]]
    accounts = np.tile(np.array((WALLET, *HOUSE_OF_SALES)), (len(places), 1))
    accounts[~is_shared, 1] = np.where(kind == 0, PROCESSOR, VENUE)[~is_shared]

    transfer, leg = np.nonzero(legs)
    call = places[transfer]
    return SeededRows(
        "entries",
        [
            bigints("id", next_ids["entries"] + np.arange(len(call))),
            labels("account", ACCOUNTS, accounts[transfer, leg]),
            bigints("wallet_id", made.wallet_id[call], leg > 0),
            labels("kind", ("funding", "sale", "refund", "reentry_fee"), kind[transfer]),
            bigints("amount_minor", legs[transfer, leg]),
            bigints("reference", made.subject_id[call]),
            uuids("operation_id", made.operation_id[call]),
            timestamps("created_at", calls.time_us[call]),
        ],
    )


_ACTIONS = (
    "funding_requested", "payment_failed", "payment_succeeded", "rejected_in", "entered", "rejected_out", "scanned_out",
    "sold", "refunded", "reentered",
)  # fmt: skip
_REENTERED = _ACTIONS.index("reentered")
_FIRST_ACTION = np.array(
    [0, 1, 3, 5, 7, 8]
)  # of each kind of call; the next one when it was accepted, of those that differ
_SUBJECT = np.array([0, 0, 1, 1, 2, 2])  # of each kind of call


def _audit_rows(made: _Made, next_ids: dict[str, int]) -> SeededRows:
    kind = made.calls.kind
    is_verdict = np.isin(kind, [Kind.SETTLE_FUNDING, Kind.SCAN_IN, Kind.SCAN_OUT])
    action = _FIRST_ACTION[kind] + (is_verdict & made.calls.is_accepted)
    return SeededRows(
        "audit_log",
        [
            bigints("id", next_ids["audit_log"] + np.arange(len(kind))),
            labels("action", _ACTIONS, np.where(made.calls.entry_number > 1, _REENTERED, action)),
            labels("subject", ("funding", "scan", "sale"), _SUBJECT[kind]),
            bigints("subject_id", made.subject_id),
            uuids("operation_id", made.operation_id),
            timestamps("logged_at", made.calls.time_us),
        ],
    )


def _shares(calls: Calls, venue: Venue) -> Array:
    """Return platform's, venue's and vendor's share of each call's amount: two rounded down, the vendor gets the rest.

    Of calls that are no sale or refund the numbers mean nothing.
    """
    terminal = calls.place % len(venue.terminal_ids)
    platform = calls.amount_minor * venue.platform_fees_bps[terminal] // 10_000
    share = calls.amount_minor * venue.venue_shares_bps[terminal] // 10_000
    return np.stack([platform, share, calls.amount_minor - platform - share], axis=1)
