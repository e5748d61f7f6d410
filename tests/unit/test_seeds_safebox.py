"""A past week of safebox: its settings are checked, and its wallets have what they pay with."""

from collections import defaultdict
from pathlib import Path
from random import Random
from typing import Any

import numpy as np
import pytest

from integrity.domain import IntegerIn, OneOf
from integrity.errors import UsageError
from integrity.project import reference_folder
from integrity.reference.safebox.operations import OPERATIONS
from integrity.reference.safebox.payments import Order
from integrity.reference.safebox.schema import METADATA
from integrity.reference.safebox.seeds.settings import read_settings
from integrity.reference.safebox.seeds.tables import ADDRESSES, SEEDER
from integrity.reference.safebox.seeds.week import End, Kind, Week, play_week
from integrity.reference.safebox.services import UNREACHABLE, mint
from integrity.seeds.source import Source
from integrity.systems.seeder import SeededRows, Start
from integrity.systems.service import Context

FILE = reference_folder("seeds") / "safebox.toml"
EMPTY = Start({table.name: 1 for table in METADATA.sorted_tables}, {})


def play(count: int, seed: int = 1) -> Week:
    return play_week(read_settings(FILE), count, Source(seed))


def generate(count: int, start: Start = EMPTY) -> dict[str, dict[str, list[Any]]]:
    """Return the rows of the one batch, as table -> column -> values, None where null."""
    (batch,) = SEEDER.generate({"wallets": count}, 1, start)
    assert batch.done == count
    return {rows.table: _plain(rows) for rows in batch.tables}


def _plain(rows: SeededRows) -> dict[str, list[Any]]:
    found = {}
    for column in rows.columns:
        values = column.values if column.labels is None else column.labels[column.values]
        nulls = np.zeros(len(values), np.bool_) if column.nulls is None else column.nulls
        listed = [bytes(value) for value in values] if values.dtype.kind == "V" else values.tolist()
        found[column.name] = [None if is_null else value for value, is_null in zip(listed, nulls, strict=True)]
    return found


@pytest.mark.parametrize("count", [1, 2, 700])
def test_no_wallet_ever_pays_what_it_does_not_have(count: int) -> None:
    """Followed entry by entry, in order of time, as a ledger would; what is held is all that there is."""
    tables = generate(count)
    balance: dict[int, int] = defaultdict(int)
    entries = tables["entries"]
    assert entries["created_at"] == sorted(entries["created_at"])
    for wallet_id, kind, amount_minor in zip(entries["wallet_id"], entries["kind"], entries["amount_minor"], strict=True):
        if wallet_id is None:
            continue
        balance[wallet_id] += amount_minor
        assert balance[wallet_id] >= 0
        if kind == b"hold":
            assert balance[wallet_id] == 0
    wallets = dict(zip(tables["wallets"]["id"], tables["wallets"]["balance_minor"], strict=True))
    assert wallets == {wallet_id: balance[wallet_id] for wallet_id in wallets}


def test_every_kind_of_call_ends_in_every_way_that_it_can() -> None:
    calls = play(3000).calls
    seen = {(Kind(kind).name, End(end).name) for kind, end in zip(calls.kind, calls.end, strict=True)}
    assert seen == {
        *(("CREATE_INVOICE", end) for end in ("DONE", "EXPIRED", "STANDING")),
        *(("CREATE_POS_SALE", end) for end in ("DONE", "EXPIRED")),
        *((kind, end) for kind in ("PAY_INVOICE", "PAY_ADDRESS", "PAY_TO_NFC_TAG") for end in ("DONE", "FAILED")),
        *(("REQUEST_NFC_PAYMENT", end) for end in ("DONE", "FAILED", "EXPIRED")),
    }


def test_a_call_ends_before_its_owner_s_next_one_begins() -> None:
    calls = play(3000).calls
    last_us: dict[int, int] = {}
    for wallet, begun_us, ended_us in zip(
        calls.wallet.tolist(), calls.begun_us.tolist(), calls.ended_us.tolist(), strict=True
    ):
        assert last_us.get(wallet, 0) < begun_us < ended_us
        last_us[wallet] = ended_us


def test_wallets_are_made_before_they_are_used_and_numbered_in_that_order() -> None:
    week = play(3000)
    assert (np.diff(week.created_us) >= 0).all()
    assert int(week.created_us.max()) < int(week.calls.begun_us.min())


def test_few_wallets_are_busy_and_many_are_quiet() -> None:
    counts = np.sort(np.bincount(play(3000).calls.wallet, minlength=3000))
    assert counts[-150:].sum() > 0.2 * counts.sum(), "the busiest 5% make more than 20% of the calls"
    assert counts[1500] <= 5


def test_only_cards_that_can_be_used_are_asked() -> None:
    week = play(3000)
    asked = week.calls.where(week.calls.kind == Kind.REQUEST_NFC_PAYMENT).wallet
    assert (week.has_card & ~week.is_revoked)[asked].all()
    assert week.is_revoked.any()


def test_wallets_that_are_added_go_on_counting() -> None:
    first = generate(300)
    start = Start({table: max(first[table]["id"]) + 1 for table in EMPTY.next_ids}, {})
    more = generate(300, start)
    for table, columns in more.items():
        assert min(columns["id"]) == start.next_ids[table]
    for table, column in (("wallets", "handle"), ("proofs", "secret"), ("cards", "token"), ("payments", "operation_id")):
        assert not set(first[table][column]) & set(more[table][column])
    assert more["wallets"]["balance_minor"] != first["wallets"]["balance_minor"], "a week of their own"


def test_amounts_fees_and_addresses_are_those_of_the_operations() -> None:
    settings = read_settings(FILE)
    invoice, paid, tapped = (
        OPERATIONS[name].arguments["amount_minor"] for name in ("create_invoice", "pay_address", "request_nfc_payment")
    )
    assert isinstance(invoice, IntegerIn)
    assert isinstance(paid, IntegerIn)
    assert isinstance(tapped, IntegerIn)
    assert settings.invoices.amount_minor == (invoice.least, invoice.most)
    assert settings.payments.amount_minor == (paid.least, paid.most)
    assert settings.requests.amount_minor == (tapped.least, tapped.most)
    addresses = OPERATIONS["pay_address"].arguments["address"]
    assert isinstance(addresses, OneOf)
    assert addresses.values == ADDRESSES
    assert ADDRESSES[0] == UNREACHABLE
    payments = generate(300)["payments"]
    routed = 0
    for number, (kind, amount_minor, reserve_minor, fee_minor) in enumerate(
        zip(payments["kind"], payments["amount_minor"], payments["fee_reserve_minor"], payments["fee_minor"], strict=True)
    ):
        order = Order(1, kind.decode(), "key", amount_minor)
        assert reserve_minor == order.fee_reserve_minor
        if fee_minor is not None:
            asked = {"do": "swap" if kind == b"ecash" else "melt", "payment_id": number, "amount_minor": amount_minor}
            answer = mint(asked, Context(Random(0))).answer
            assert answer == {"status": "settled", "fee_minor": fee_minor}
            routed += fee_minor > 0
    assert routed


@pytest.mark.parametrize(
    ("old", "new", "complaint"),
    [
        ("share = 0.05", "share = 0.5", "shares .* together, not 1"),
        ("create_invoice = 0.3", "create_invoice = 0.5", "shares .* together, not 1"),
        ("pay_address = 0.15", "pay_address = 1.15", "calls.pay_address: .*less than or equal to 1"),
        ("days = 7", "days = 0", "days: .*greater than or equal to 1"),
        ("calls = [15, 40]", "calls = [15, 900]", "days are too few for that many calls"),
        ("calls = [2, 5]", "calls = [5, 2]", "the least is more than the most"),
        ("amount_minor = [10, 500]", "amount_minor = [500, 10]", "the least is more than the most"),
        ("standing_share = 0.1", "standing_share = 0.9", "invoices: the shares of their ends are 1.05"),
        ("amount_minor = [100, 5_000]", "amount_minor = [0, 5_000]", "invoices.amount_minor.0"),
        ("first_day = ", "day = ", "first_day: Field required"),
        ("[calls]", "[calls", "cannot be read"),
    ],
)
def test_settings_that_cannot_be_are_refused_with_file_and_place(
    tmp_path: Path, old: str, new: str, complaint: str
) -> None:
    text = FILE.read_text(encoding="utf-8")
    assert old in text
    file = tmp_path / "safebox.toml"
    file.write_text(text.replace(old, new, 1), encoding="utf-8")
    with pytest.raises(UsageError, match=complaint) as refused:
        read_settings(file)
    assert refused.value.message.startswith(f"{file}: ")
