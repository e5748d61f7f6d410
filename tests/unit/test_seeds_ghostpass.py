"""A past day of ghostpass: its settings are checked, and its guests do what guests can do."""

from pathlib import Path

import numpy as np
import pytest

from integrity.domain import IntegerIn
from integrity.errors import UsageError
from integrity.project import reference_folder
from integrity.reference.ghostpass.operations import OPERATIONS
from integrity.reference.ghostpass.seeds.day import Day, Kind, play_day
from integrity.reference.ghostpass.seeds.settings import DaySettings, read_settings
from integrity.seeds.source import Source

FILE = reference_folder("seeds") / "ghostpass.toml"
FEES = np.array([300, 500])


def play(count: int, seed: int = 1, settings: DaySettings | None = None) -> Day:
    return play_day(settings or read_settings(FILE), count, FEES, 4, Source(seed))


@pytest.mark.parametrize("count", [1, 2, 3000])
def test_no_balance_is_negative_at_any_moment(count: int) -> None:
    """Followed call by call, in order of time, as a ledger would."""
    day = play(count)
    balance, sales = [0] * count, {}
    for place, (kind, wallet, amount, accepted, fee, about) in enumerate(
        zip(
            day.calls.kind.tolist(),
            day.calls.wallet.tolist(),
            day.calls.amount_minor.tolist(),
            day.calls.is_accepted.tolist(),
            day.calls.fee_minor.tolist(),
            day.calls.about.tolist(),
            strict=True,
        )
    ):
        if kind == Kind.SETTLE_FUNDING and accepted:
            balance[wallet] += amount
        elif kind == Kind.SELL:
            balance[wallet] -= amount
            sales[place] = (wallet, amount)
        elif kind == Kind.REFUND_SALE:
            assert sales.pop(about) == (wallet, amount)  # a sale of the same guest, whole, and not refunded before
            balance[wallet] += amount
        balance[wallet] -= fee
        assert balance[wallet] >= 0
    assert balance == day.balance_minor.tolist()


def test_calls_are_in_order_of_time_and_a_funding_settles_before_its_guests_next_call() -> None:
    """With a processor as slow as the settings allow: 40 calls in an hour are slots of 90 s, of which 27 s are left."""
    settings = read_settings(FILE)
    slow = settings.fundings.model_copy(update={"settles_after_ms": (26_000, 26_999)})
    day = play(3000, settings=DaySettings.model_validate(settings.model_dump() | {"fundings": slow.model_dump()}))
    assert (np.diff(day.calls.time_us) >= 0).all()
    order = np.argsort(day.calls.wallet, kind="stable")
    kinds, wallets = day.calls.kind[order], day.calls.wallet[order]
    requested = np.flatnonzero(kinds == Kind.REQUEST_FUNDING)
    assert (kinds[requested + 1] == Kind.SETTLE_FUNDING).all()
    assert (wallets[requested + 1] == wallets[requested]).all()
    assert (day.calls.about[order][requested + 1] == order[requested]).all()


def test_every_kind_of_call_happens_accepted_and_rejected() -> None:
    calls = play(3000).calls
    seen = {(Kind(kind).name, bool(accepted)) for kind, accepted in zip(calls.kind, calls.is_accepted, strict=True)}
    assert seen == {
        ("REQUEST_FUNDING", True),
        ("REQUEST_FUNDING", False),
        ("SETTLE_FUNDING", True),
        ("SETTLE_FUNDING", False),
        ("SCAN_IN", True),
        ("SCAN_IN", False),
        ("SCAN_OUT", True),
        ("SCAN_OUT", False),
        ("SELL", True),
        ("REFUND_SALE", True),
    }


def test_wallets_are_made_before_they_are_used_and_numbered_in_that_order() -> None:
    day = play(3000)
    assert (np.diff(day.created_us) >= 0).all()
    first_us = np.full(3000, np.iinfo(np.int64).max)
    np.minimum.at(first_us, day.calls.wallet, day.calls.time_us)
    assert (day.created_us < first_us).all()


def test_amounts_are_those_that_the_operations_may_be_asked_for() -> None:
    settings = read_settings(FILE)
    funding, sale = (OPERATIONS[name].arguments["amount_minor"] for name in ("request_funding", "sell"))
    assert isinstance(funding, IntegerIn)
    assert isinstance(sale, IntegerIn)
    assert (*settings.fundings.amount_minor, settings.fundings.step_minor) == (funding.least, funding.most, funding.step)
    assert (*settings.sales.amount_minor, 1) == (sale.least, sale.most, sale.step)


@pytest.mark.parametrize(
    ("old", "new", "complaint"),
    [
        ("share = 0.05", "share = 0.5", "shares .* together, not 1"),
        ("scan_in = 0.88", "scan_in = 0.5", "shares .* together, not 1"),
        ("sell = 0.68", "sell = 1.68", "inside.sell: .*less than or equal to 1"),
        ("closes = 23:00:00", "closes = 20:30:00", "cannot stay"),
        ("opens = 10:00:00", "opens = 21:00:00", "must follow one another"),
        ("stay_least_minutes = 60", "stay_least_minutes = 2", "too short for that many calls"),
        ("[150, 1_999]", "[1_999, 150]", "the least is more than the most"),
        ("venue_share_bps = 1500", "venue_share_bps = 9900", "more than the whole sale"),
        ("reentry_fee_minor = 300", "reentry_fee_minor = -1", "gateways.0.reentry_fee_minor"),
        ("calls = [2, 5]", "calls = [0, 5]", "guests.0.calls"),
        ("calls = [2, 5]", "calls = [5, 2]", "the least is more than the most"),
        ("day = ", "date = ", "day: Field required"),
        ("[inside]", "[inside", "cannot be read"),
    ],
)
def test_settings_that_cannot_be_are_refused_with_file_and_place(
    tmp_path: Path, old: str, new: str, complaint: str
) -> None:
    text = FILE.read_text(encoding="utf-8")
    assert old in text
    file = tmp_path / "ghostpass.toml"
    file.write_text(text.replace(old, new, 1), encoding="utf-8")
    with pytest.raises(UsageError, match=complaint) as refused:
        read_settings(file)
    assert refused.value.message.startswith(f"{file}: ")


def test_a_settings_file_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="cannot be read"):
        read_settings(tmp_path / "ghostpass.toml")
