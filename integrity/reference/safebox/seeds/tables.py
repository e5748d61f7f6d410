"""The rows that a past week of safebox left behind.

A payment of the past took all the proofs that its wallet had, and what it did not need came back as change, where one of
today takes the oldest that suffice: both are what a payment may do, and only the first can be told for all wallets at once.
A proof is therefore spent by the first settled payment of its wallet that was made after it; what a payment held is what
its wallet had at that moment.

Ids count up in order of time within a batch; the rows of a call have its operation_id and its times.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np

from integrity.engines.columns import bigints, labels, texts, timestamps, uuids
from integrity.project import reference_folder
from integrity.reference.safebox.seeds.settings import WeekSettings, read_settings
from integrity.reference.safebox.seeds.week import Calls, End, Kind, Week, fee_minor, fee_reserve_minor, play_week
from integrity.seeds.source import Array, Source, make_operation_ids
from integrity.systems.seeder import Batch, SeededRows, Seeder, Size, Start

WALLETS_A_BATCH = 10_000
"""A part of what the seed means: other batches, other rows. About 600,000 rows and 250 MB while they are made."""

OFFERED_BEFORE_US = 30_000_000  # an invoice was made so long before somebody here paid it
INVOICE_LASTS_US = 900_000_000
REQUEST_LASTS_US = 60_000_000
ADDRESSES = ("gone@example.org", "shop@example.org", "tips@example.org", "rent@example.org", "aid@example.org")


def generate(sizes: Mapping[str, int], seed: int, start: Start) -> Iterator[Batch]:
    """Yield the past week of that many wallets; those of a batch pay one another."""
    settings = read_settings(start.settings or reference_folder("seeds") / "safebox.toml")
    next_ids = dict(start.next_ids)
    for first in range(0, sizes["wallets"], WALLETS_A_BATCH):
        count = min(WALLETS_A_BATCH, sizes["wallets"] - first)
        # Named by the first wallet's id: wallets that are added later have a week of their own.
        tables = make_tables(settings, count, next_ids, Source(seed, next_ids["wallets"]))
        for rows in tables:
            next_ids[rows.table] += len(rows)
        yield Batch(count, tables)


SEEDER = Seeder(
    name="safebox",
    # A million wallets are about 65 million rows; ten million say nothing new.
    sizes=(Size("wallets", default=5_000, most=10_000_000),),
    reads={},
    generate=generate,
)


def make_tables(settings: WeekSettings, count: int, next_ids: Mapping[str, int], source: Source) -> list[SeededRows]:
    """Return the rows of the week of that many wallets."""
    week = play_week(settings, count, source)
    invoices = _make_invoices(week.calls, next_ids["invoices"], source)
    payments = _make_payments(week.calls, invoices, next_ids, source)
    held_minor, balance_minor = _held(week, invoices, payments)
    books = _Books(week, invoices, payments, held_minor)
    wallet_ids = next_ids["wallets"] + np.arange(count)
    notifications, notification_count = _notification_rows(books, wallet_ids, next_ids["notifications"])
    tables = [
        SeededRows(
            "wallets",
            [
                bigints("id", wallet_ids),
                texts("handle", _numbered(b"box-", wallet_ids)),
                bigints("balance_minor", balance_minor),
                bigints("notification_count", notification_count),
                timestamps("created_at", week.created_us),
            ],
        ),
        _card_rows(week, wallet_ids, next_ids["cards"]),
        _invoice_rows(invoices, wallet_ids),
        _request_rows(week, payments, wallet_ids, next_ids, source),
        _payment_rows(payments, held_minor, wallet_ids, source),
        _proof_rows(books, wallet_ids, next_ids["proofs"]),
        _entry_rows(books, wallet_ids, next_ids["entries"]),
        _sale_rows(invoices, wallet_ids, next_ids["pos_sales"]),
        notifications,
    ]
    return [rows for rows in tables if len(rows)]


@dataclass(frozen=True, slots=True, eq=False)
class _Invoices:
    """Invoices in the order in which they were made.

    Args:
        id: of each.
        call: the place of the call that it is about, among the week's calls.
        wallet: who asks, from 0.
        is_sale: made at a point of sale.
        is_paid, is_standing: the others have expired.
        of_call: the place here of each call's invoice; -1: it has none.
    """

    id: Array
    call: Array
    wallet: Array
    amount_minor: Array
    is_sale: Array
    is_paid: Array
    is_standing: Array
    created_us: Array
    paid_us: Array
    operation_id: Array
    confirmed_by: Array
    of_call: Array


def _make_invoices(calls: Calls, next_id: int, source: Source) -> _Invoices:
    is_offered = calls.kind == Kind.PAY_INVOICE  # somebody here made it, for this payment
    created_us = calls.begun_us - np.where(is_offered, OFFERED_BEFORE_US, 0)
    places = np.flatnonzero(calls.kind <= Kind.PAY_INVOICE)
    places = places[np.argsort(created_us[places], kind="stable")]
    of_call = np.full(len(calls), -1)
    of_call[places] = np.arange(len(places))
    paid_us = calls.ended_us[places]
    return _Invoices(
        id=next_id + np.arange(len(places)),
        call=places,
        wallet=calls.other[places],
        amount_minor=calls.amount_minor[places],
        is_sale=calls.kind[places] == Kind.CREATE_POS_SALE,
        is_paid=calls.end[places] == End.DONE,
        is_standing=calls.end[places] == End.STANDING,
        created_us=created_us[places],
        paid_us=paid_us,
        operation_id=make_operation_ids(created_us[places], source),
        confirmed_by=make_operation_ids(paid_us, source),
        of_call=of_call,
    )


@dataclass(frozen=True, slots=True, eq=False)
class _Payments:
    """Payments in the order in which they were made.

    Args:
        id, request_id: of each payment and of the request that it answers (0: none).
        call: the place of its call among the week's calls.
        payee: from 0; -1: nobody here.
        invoice: the place of the invoice that it pays; -1: none.
        cost_minor: amount and fee of a settled one; of a failed one nothing.
    """

    id: Array
    request_id: Array
    call: Array
    kind: Array
    wallet: Array
    payee: Array
    invoice: Array
    invoice_id: Array
    amount_minor: Array
    is_settled: Array
    fee_minor: Array
    cost_minor: Array
    held_us: Array
    ended_us: Array
    operation_id: Array


def _make_payments(calls: Calls, invoices: _Invoices, next_ids: Mapping[str, int], source: Source) -> _Payments:
    is_request = calls.kind == Kind.REQUEST_NFC_PAYMENT
    is_payment = (calls.kind >= Kind.PAY_INVOICE) & ~(is_request & (calls.end != End.DONE))
    places = np.flatnonzero(is_payment)
    places = places[np.argsort(calls.answered_us[places], kind="stable")]
    kind, amount_minor = calls.kind[places], calls.amount_minor[places]
    is_ecash = kind >= Kind.PAY_TO_NFC_TAG
    is_settled = calls.end[places] == End.DONE
    fees_minor = np.where(is_ecash, 0, fee_minor(amount_minor))
    invoice = np.where(kind == Kind.PAY_INVOICE, invoices.of_call[places], -1)
    request_number = np.cumsum(is_request) - 1
    return _Payments(
        id=next_ids["payments"] + np.arange(len(places)),
        request_id=np.where(is_request[places], next_ids["nfc_requests"] + request_number[places], 0),
        call=places,
        kind=kind,
        wallet=calls.wallet[places],
        payee=np.where(is_ecash, calls.other[places], -1),
        invoice=invoice,
        invoice_id=np.where(invoice >= 0, next_ids["invoices"] + invoice, 0),
        amount_minor=amount_minor,
        is_settled=is_settled,
        fee_minor=fees_minor,
        cost_minor=np.where(is_settled, amount_minor + fees_minor, 0),
        held_us=calls.answered_us[places],
        ended_us=calls.ended_us[places],
        operation_id=make_operation_ids(calls.answered_us[places], source),
    )


def _held(week: Week, invoices: _Invoices, payments: _Payments) -> tuple[Array, Array]:
    """Return what each payment held, all that its wallet had, and what each wallet has at the end."""
    paid = invoices.is_paid
    received = payments.is_settled & (payments.payee >= 0)
    wallet = np.concatenate([payments.wallet, invoices.wallet[paid], payments.payee[received]])
    time_us = np.concatenate([payments.held_us, invoices.paid_us[paid], payments.ended_us[received]])
    change_minor = np.concatenate([-payments.cost_minor, invoices.amount_minor[paid], payments.amount_minor[received]])
    is_credit = np.arange(len(wallet)) >= len(payments.wallet)
    order = np.lexsort((is_credit, time_us, wallet))  # what comes in at the same instant comes too late
    total = np.cumsum(change_minor[order])
    before = np.empty(len(wallet), np.int64)
    before[order] = total - change_minor[order]
    balance_minor = np.zeros(len(week.created_us), np.int64)
    np.add.at(balance_minor, wallet, change_minor)
    earlier_wallets_minor = np.cumsum(balance_minor) - balance_minor
    held_minor = before[: len(payments.wallet)] - earlier_wallets_minor[payments.wallet]
    return held_minor, balance_minor


class _Books:
    """What came into wallets, and when: receipts, change, and ecash of others, in this order one after the other.

    Args:
        held_minor: by each payment.
    """

    def __init__(self, week: Week, invoices: _Invoices, payments: _Payments, held_minor: Array) -> None:
        self.week, self.invoices, self.payments, self.held_minor = week, invoices, payments, held_minor
        self.paid = np.flatnonzero(invoices.is_paid)
        self.settled = np.flatnonzero(payments.is_settled)
        self.received = np.flatnonzero(payments.is_settled & (payments.payee >= 0))
        self.change_minor = held_minor - payments.cost_minor


def _proof_rows(books: _Books, wallet_ids: Array, next_id: int) -> SeededRows:
    invoices, payments = books.invoices, books.payments
    paid, settled, received = books.paid, books.settled, books.received
    wallet = np.concatenate([invoices.wallet[paid], payments.wallet[settled], payments.payee[received]])
    amount_minor = np.concatenate(
        [invoices.amount_minor[paid], books.change_minor[settled], payments.amount_minor[received]]
    )
    time_us = np.concatenate([invoices.paid_us[paid], payments.ended_us[settled], payments.ended_us[received]])
    operation_id = np.concatenate(
        [invoices.confirmed_by[paid], payments.operation_id[settled], payments.operation_id[received]]
    )
    spender = _spenders(wallet, time_us, payments, settled)
    order = np.argsort(time_us, kind="stable")
    bits = np.arange(int(amount_minor.max(initial=1)).bit_length())[::-1]
    group, bit = np.nonzero(amount_minor[order][:, None] >> bits & 1)
    group = order[group]
    ids = next_id + np.arange(len(group))
    return SeededRows(
        "proofs",
        [
            bigints("id", ids),
            bigints("wallet_id", wallet_ids[wallet[group]]),
            texts("secret", _numbered(b"secret-", ids)),
            bigints("amount_minor", np.int64(1) << bits[bit]),
            labels("status", ("unspent", "spent"), (spender[group] >= 0).astype(np.int64)),
            bigints("payment_id", payments.id[spender[group]] if len(payments.id) else ids, spender[group] < 0),
            uuids("operation_id", operation_id[group]),
            timestamps("created_at", time_us[group]),
        ],
    )


def _spenders(wallet: Array, time_us: Array, payments: _Payments, settled: Array) -> Array:
    """Return the place of the first settled payment of that wallet after that time; -1: there is none."""
    if not len(settled):
        return np.full(len(wallet), -1)
    start_us = int(min(time_us.min(), payments.held_us.min()))
    span_us = int(max(time_us.max(), payments.held_us.max())) - start_us + 1
    spent = payments.wallet[settled] * span_us + (payments.held_us[settled] - start_us)
    order = np.argsort(spent, kind="stable")
    place = np.searchsorted(spent[order], wallet * span_us + (time_us - start_us), side="right")
    found = settled[order][np.minimum(place, len(settled) - 1)]
    return np.where((place < len(settled)) & (payments.wallet[found] == wallet), found, -1)


_ACCOUNTS = ("wallet", "mint", "in_flight", "fees")
_WALLET, _MINT, _IN_FLIGHT, _FEES = range(len(_ACCOUNTS))
_KINDS = ("receipt", "hold", "settlement", "return")
_RECEIPT, _HOLD, _SETTLEMENT, _RETURN = range(len(_KINDS))


def _entry_rows(books: _Books, wallet_ids: Array, next_id: int) -> SeededRows:
    """Return the entries: of each transfer those legs that are not zero."""
    invoices, payments, held = books.invoices, books.payments, books.held_minor
    paid, settled, received = books.paid, books.settled, books.received
    routed, failed = np.flatnonzero(payments.is_settled & (payments.payee < 0)), np.flatnonzero(~payments.is_settled)
    every = np.arange(len(payments.id))
    # kind, account, places, wallet (-1: of nobody), signed amount
    legs: list[tuple[int, int, Array, Array, Array]] = [
        (_RECEIPT, _WALLET, paid, invoices.wallet[paid], invoices.amount_minor[paid]),
        (_RECEIPT, _MINT, paid, _nobody(paid), -invoices.amount_minor[paid]),
        (_HOLD, _WALLET, every, payments.wallet, -held),
        (_HOLD, _IN_FLIGHT, every, _nobody(every), held),
        (_SETTLEMENT, _IN_FLIGHT, settled, _nobody(settled), -held[settled]),
        (_SETTLEMENT, _WALLET, settled, payments.wallet[settled], books.change_minor[settled]),
        (_SETTLEMENT, _WALLET, received, payments.payee[received], payments.amount_minor[received]),
        (_SETTLEMENT, _MINT, routed, _nobody(routed), payments.amount_minor[routed]),
        (_SETTLEMENT, _FEES, routed, _nobody(routed), payments.fee_minor[routed]),
        (_RETURN, _IN_FLIGHT, failed, _nobody(failed), -held[failed]),
        (_RETURN, _WALLET, failed, payments.wallet[failed], held[failed]),
    ]
    is_receipt = [np.full(len(places), kind == _RECEIPT) for kind, _, places, _, _ in legs]
    times = [
        (invoices.paid_us if kind == _RECEIPT else payments.held_us if kind == _HOLD else payments.ended_us)[places]
        for kind, _, places, _, _ in legs
    ]
    calls = [
        (invoices.confirmed_by if kind == _RECEIPT else payments.operation_id)[places] for kind, _, places, _, _ in legs
    ]
    references = [(invoices.id if kind == _RECEIPT else payments.id)[places] for kind, _, places, _, _ in legs]
    kinds = np.concatenate([np.full(len(places), kind) for kind, _, places, _, _ in legs])
    accounts = np.concatenate([np.full(len(places), account) for _, account, places, _, _ in legs])
    wallet = np.concatenate([leg[3] for leg in legs])
    amount_minor = np.concatenate([leg[4] for leg in legs])
    time_us, reference = np.concatenate(times), np.concatenate(references)
    kept = np.flatnonzero(amount_minor)
    order = kept[np.lexsort((reference[kept], np.concatenate(is_receipt)[kept], time_us[kept]))]
    return SeededRows(
        "entries",
        [
            bigints("id", next_id + np.arange(len(order))),
            labels("account", _ACCOUNTS, accounts[order]),
            bigints("wallet_id", wallet_ids[wallet[order]], wallet[order] < 0),
            labels("kind", _KINDS, kinds[order]),
            bigints("amount_minor", amount_minor[order]),
            bigints("reference", reference[order]),
            uuids("operation_id", np.concatenate(calls)[order]),
            timestamps("created_at", time_us[order]),
        ],
    )


def _nobody(places: Array) -> Array:
    return np.full(len(places), -1)


def _notification_rows(books: _Books, wallet_ids: Array, next_id: int) -> tuple[SeededRows, Array]:
    """Return the notifications, and how many each wallet has."""
    invoices, payments = books.invoices, books.payments
    paid, settled, received = books.paid, books.settled, books.received
    wallet = np.concatenate([invoices.wallet[paid], payments.wallet[settled], payments.payee[received]])
    time_us = np.concatenate([invoices.paid_us[paid], payments.ended_us[settled], payments.ended_us[received]])
    about = np.concatenate([invoices.id[paid], payments.id[settled], payments.id[received]])
    amount_minor = np.concatenate(
        [invoices.amount_minor[paid], payments.amount_minor[settled], payments.amount_minor[received]]
    )
    operation_id = np.concatenate(
        [invoices.confirmed_by[paid], payments.operation_id[settled], payments.operation_id[received]]
    )
    sides = np.repeat([0, 1, 2], [len(paid), len(settled), len(received)])  # a receipt, sent, received as ecash
    counts = np.bincount(wallet, minlength=len(wallet_ids))
    by_wallet = np.lexsort((time_us, wallet))
    sequence = np.empty(len(wallet), np.int64)
    sequence[by_wallet] = 1 + np.arange(len(wallet)) - (np.cumsum(counts) - counts)[wallet[by_wallet]]
    # In order of time, and at one instant in order of the wallet's numbers.
    order = np.lexsort((sequence, time_us))
    sides = sides[order]
    rows = SeededRows(
        "notifications",
        [
            bigints("id", next_id + np.arange(len(order))),
            bigints("wallet_id", wallet_ids[wallet[order]]),
            bigints("sequence", sequence[order]),
            labels("kind", ("RECD", "SENT"), (sides == 1).astype(np.int64)),
            bigints("amount_minor", amount_minor[order]),
            bigints("invoice_id", about[order], sides > 0),
            bigints("payment_id", about[order], sides == 0),
            uuids("operation_id", operation_id[order]),
            timestamps("notified_at", time_us[order]),
        ],
    )
    return rows, counts


def _card_rows(week: Week, wallet_ids: Array, next_id: int) -> SeededRows:
    owners = np.flatnonzero(week.has_card)
    ids = next_id + np.arange(len(owners))
    return SeededRows(
        "cards",
        [
            bigints("id", ids),
            bigints("wallet_id", wallet_ids[owners]),
            texts("token", _numbered(b"card-", ids)),
            labels("status", ("active", "revoked", "expired"), (week.is_revoked + 2 * week.is_expired)[owners]),
            timestamps("issued_at", week.created_us[owners]),
        ],
    )


def _invoice_rows(invoices: _Invoices, wallet_ids: Array) -> SeededRows:
    status = np.select([invoices.is_paid, invoices.is_standing], [1, 2], 0)
    return SeededRows(
        "invoices",
        [
            bigints("id", invoices.id),
            bigints("wallet_id", wallet_ids[invoices.wallet]),
            bigints("amount_minor", invoices.amount_minor),
            labels("status", ("expired", "credited", "unpaid"), status),
            uuids("operation_id", invoices.operation_id),
            uuids("confirmed_by", invoices.confirmed_by, ~invoices.is_paid),
            timestamps("created_at", invoices.created_us),
            timestamps("expires_at", invoices.created_us + INVOICE_LASTS_US, invoices.is_standing),
            timestamps("paid_at", invoices.paid_us, ~invoices.is_paid),
        ],
    )


def _request_rows(
    week: Week, payments: _Payments, wallet_ids: Array, next_ids: Mapping[str, int], source: Source
) -> SeededRows:
    """Return the requests: of the wallet that was paid, to the card of the wallet that paid."""
    calls = week.calls.where(week.calls.kind == Kind.REQUEST_NFC_PAYMENT)
    card_number = np.cumsum(week.has_card) - 1
    return SeededRows(
        "nfc_requests",
        [
            bigints("id", next_ids["nfc_requests"] + np.arange(len(calls))),
            bigints("wallet_id", wallet_ids[calls.other]),
            bigints("card_id", next_ids["cards"] + card_number[calls.wallet]),
            bigints("amount_minor", calls.amount_minor),
            labels("status", ("accepted", "rejected", "expired"), calls.end),
            uuids("operation_id", make_operation_ids(calls.begun_us, source)),
            timestamps("requested_at", calls.begun_us),
            timestamps("expires_at", calls.begun_us + REQUEST_LASTS_US),
            timestamps("answered_at", calls.answered_us, calls.end == End.EXPIRED),
        ],
    )


def _payment_rows(payments: _Payments, held_minor: Array, wallet_ids: Array, source: Source) -> SeededRows:
    is_invoice, is_address = payments.kind == Kind.PAY_INVOICE, payments.kind == Kind.PAY_ADDRESS
    is_request = payments.request_id > 0
    # Keys of seeded payments can be no client's: they have a letter in them.
    key = np.select(
        [is_invoice, is_address, is_request],
        [
            _numbered(b"invoice-", payments.invoice_id),
            _numbered(b"address-s", payments.id),
            _numbered(b"nfc-", payments.request_id),
        ],
        _numbered(b"tag-s", payments.id),
    )
    # Nobody is reached under the first.
    address = np.where(payments.is_settled, source.integers(len(payments.id), 1, len(ADDRESSES) - 1), 0)
    kind = np.select([is_invoice, is_address], [0, 1], 2)
    return SeededRows(
        "payments",
        [
            bigints("id", payments.id),
            bigints("wallet_id", wallet_ids[payments.wallet]),
            labels("kind", ("invoice", "address", "ecash"), kind),
            texts("key", key),
            bigints("invoice_id", payments.invoice_id, ~is_invoice),
            labels("address", ADDRESSES, address, ~is_address),
            bigints("payee_wallet_id", wallet_ids[payments.payee], payments.payee < 0),
            bigints("nfc_request_id", payments.request_id, ~is_request),
            bigints("amount_minor", payments.amount_minor),
            bigints("fee_reserve_minor", np.where(kind == 2, 0, fee_reserve_minor(payments.amount_minor))),
            bigints("held_minor", held_minor),
            bigints("fee_minor", payments.fee_minor, ~payments.is_settled),
            labels("status", ("failed", "settled"), payments.is_settled.astype(np.int64)),
            uuids("operation_id", payments.operation_id),
            timestamps("created_at", payments.held_us),
            timestamps("ended_at", payments.ended_us),
        ],
    )


def _sale_rows(invoices: _Invoices, wallet_ids: Array, next_id: int) -> SeededRows:
    sales = np.flatnonzero(invoices.is_sale)
    return SeededRows(
        "pos_sales",
        [
            bigints("id", next_id + np.arange(len(sales))),
            bigints("wallet_id", wallet_ids[invoices.wallet[sales]]),
            bigints("invoice_id", invoices.id[sales]),
            labels("status", ("expired", "paid"), invoices.is_paid[sales].astype(np.int64)),
            uuids("operation_id", invoices.operation_id[sales]),
            timestamps("created_at", invoices.created_us[sales]),
        ],
    )


def _numbered(prefix: bytes, numbers: Array) -> Array:
    return np.char.add(prefix, numbers.astype("S"))
