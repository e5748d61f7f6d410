"""What the guests of ghostpass did on the past day: their calls, in order of time.

The day is played in rounds: in round n every guest who has that many makes their n-th call, drawn by what they can do then
(outside: come in; inside: buy, leave, ...), and balance, presence and last sale follow, all guests at once in numpy. So
what comes out is what the system's operations would have done, call by call, and no balance is ever negative. A call that
ghostpass declines without a trace is not drawn: who cannot pay funds instead.
"""

from dataclasses import dataclass
from enum import IntEnum
from typing import Any

import numpy as np

from integrity.reference.ghostpass.seeds.settings import DaySettings
from integrity.seeds.source import Array, Source


class Kind(IntEnum):
    """Calls that leave rows."""

    REQUEST_FUNDING = 0
    SETTLE_FUNDING = 1
    SCAN_IN = 2
    SCAN_OUT = 3
    SELL = 4
    REFUND_SALE = 5


@dataclass(frozen=True, slots=True, eq=False)
class Calls:
    """Calls of a day in order of time, a place in each array a call.

    Args:
        kind: a Kind.
        time_us: since 1970, in whole milliseconds.
        wallet: the guest, from 0.
        amount_minor: of a funding, a sale or a refund; else 0.
        place: the gateway of a scan, the terminal of a sale or of a refund's sale, from 0.
        is_accepted: a scan that was let through, a funding that was (or will be) confirmed; True for others.
        entry_number: of an accepted scan in; else 0.
        fee_minor: of an accepted scan in again.
        about: the place here of the call that made the funding or sale that this one is about; its own if it made it.
    """

    kind: Array
    time_us: Array
    wallet: Array
    amount_minor: Array
    place: Array
    is_accepted: Array
    entry_number: Array
    fee_minor: Array
    about: Array


@dataclass(frozen=True, slots=True, eq=False)
class Day:
    """A day of some guests, numbered from 0 in order of arrival.

    Args:
        created_us: when each guest's wallet was made.
        balance_minor, is_inside, entry_count: each guest's at the end of the day.
    """

    calls: Calls
    created_us: Array
    balance_minor: Array
    is_inside: Array
    entry_count: Array


def play_day(
    settings: DaySettings, guest_count: int, reentry_fees_minor: Array, terminal_count: int, source: Source
) -> Day:
    """Return the day of that many guests.

    Args:
        reentry_fees_minor: of each gateway.
    """
    guests = _Guests(settings, guest_count, source)
    rounds = [
        guests.play_round(number, reentry_fees_minor, terminal_count) for number in range(int(guests.call_count.max()))
    ]
    calls = {name: np.concatenate([played[name] for played in rounds]) for name in rounds[0]}
    return Day(
        _settle(calls, settings, source), guests.created_us, guests.balance_minor, guests.is_inside, guests.entry_count
    )


class _Guests:
    """The guests and their state, one place in each array a guest."""

    def __init__(self, settings: DaySettings, count: int, source: Source) -> None:
        self.settings, self.source = settings, source
        self.arrival_ms = np.sort(source.integers(count, settings.opens_ms + 60_000, settings.arrivals_end_ms))
        self.stay_ms = settings.stay_least_ms + source.below(
            settings.closes_ms - settings.stay_least_ms - self.arrival_ms + 1
        )
        # A wallet is made in the minute before its guest arrives; ids are in order of arrival, and so of making.
        self.created_us = settings.midnight_us + (self.arrival_ms - 30_000) * 1000
        least, most = np.array([group.calls for group in settings.guests]).T
        group = source.choices(count, [group.share for group in settings.guests])
        self.call_count = least[group] + source.below((most - least + 1)[group])
        self.by_activity = np.argsort(-self.call_count, kind="stable")
        self.balance_minor = np.zeros(count, np.int64)
        self.is_inside = np.zeros(count, np.bool_)
        self.entry_count = np.zeros(count, np.int64)
        self.last_sale = np.full(count, -1)  # the place of the sale's call among all played; -1: none to refund
        self.last_sale_minor = np.zeros(count, np.int64)
        self.last_terminal = np.zeros(count, np.int64)
        self.played_count = 0

    def play_round(self, number: int, reentry_fees_minor: Array, terminal_count: int) -> dict[str, Array]:
        """Play the call of that number of every guest who makes it, and return these calls."""
        settings, source = self.settings, self.source
        active_count = int(np.count_nonzero(self.call_count > number))
        who = self.by_activity[:active_count]
        slot_ms = self.stay_ms[who] // self.call_count[who]
        time_ms = self.arrival_ms[who] + slot_ms * number + source.below(slot_ms * 7 // 10)

        funding_minor = source.integers(active_count, *settings.fundings.amount_minor, step=settings.fundings.step_minor)
        is_confirmed = ~source.chances(active_count, settings.fundings.failed_share)
        sale_minor = source.integers(active_count, *settings.sales.amount_minor)
        gateway = source.integers(active_count, 0, len(reentry_fees_minor) - 1)
        terminal = source.integers(active_count, 0, terminal_count - 1)
        inside, balance, entries = self.is_inside[who], self.balance_minor[who], self.entry_count[who]
        kind = np.full(active_count, int(Kind.REQUEST_FUNDING)) if number == 0 else self._draw_kinds(inside)

        last_sale = self.last_sale[who]
        kind[(kind == Kind.REFUND_SALE) & (last_sale < 0)] = Kind.SELL
        kind[(kind == Kind.SELL) & (balance < sale_minor)] = Kind.REQUEST_FUNDING
        is_funding, is_in, is_out = kind == Kind.REQUEST_FUNDING, kind == Kind.SCAN_IN, kind == Kind.SCAN_OUT
        is_sale, is_refund = kind == Kind.SELL, kind == Kind.REFUND_SALE

        fee = np.where(is_in & (entries > 0), reentry_fees_minor[gateway], 0)
        has_entered = is_in & ~inside & (balance >= fee)
        fee = np.where(has_entered, fee, 0)
        amount = np.select([is_funding, is_sale, is_refund], [funding_minor, sale_minor, self.last_sale_minor[who]], 0)
        accepted = np.select([is_funding, is_in, is_out], [is_confirmed, has_entered, inside], default=True)
        place = np.select([is_sale, is_refund], [terminal, self.last_terminal[who]], gateway)
        here = self.played_count + np.arange(active_count)

        self.balance_minor[who] = (
            balance + np.where(is_funding & is_confirmed | is_refund, amount, 0) - np.where(is_sale, amount, 0) - fee
        )
        self.is_inside[who] = (inside | has_entered) & ~is_out
        self.entry_count[who] = entries + has_entered
        self.last_sale[who] = np.select([is_sale, is_refund], [here, -1], last_sale)
        self.last_sale_minor[who] = np.where(is_sale, amount, self.last_sale_minor[who])
        self.last_terminal[who] = np.where(is_sale, terminal, self.last_terminal[who])
        self.played_count += active_count
        return {
            "kind": kind,
            "time_us": settings.midnight_us + time_ms * 1000,
            "wallet": who,
            "amount_minor": amount,
            "place": place,
            "is_accepted": accepted,
            "entry_number": np.where(has_entered, entries + 1, 0),
            "fee_minor": fee,
            "about": np.where(is_refund, last_sale, here),
        }

    def _draw_kinds(self, inside: Array) -> Array:
        drawn = []
        for shares in (self.settings.outside, self.settings.inside):
            named = dict(shares)
            kinds = np.array([Kind[name.upper()] for name in named])
            drawn.append(kinds[self.source.choices(len(inside), list(named.values()))])
        return np.where(inside, drawn[1], drawn[0])


def _settle(played: dict[str, Array], settings: DaySettings, source: Source) -> Calls:
    """Return the calls and the processor's, which settle fundings a few seconds later, in order of time."""
    fundings = np.flatnonzero(played["kind"] == Kind.REQUEST_FUNDING)
    settling = {name: values[fundings] for name, values in played.items()}
    settling["kind"] = np.full(len(fundings), int(Kind.SETTLE_FUNDING))
    settling["time_us"] = settling["time_us"] + 1000 * source.integers(len(fundings), *settings.fundings.settles_after_ms)
    calls: dict[str, Any] = {name: np.concatenate([values, settling[name]]) for name, values in played.items()}
    order = np.argsort(calls["time_us"], kind="stable")
    place_of = np.empty(len(order), np.int64)
    place_of[order] = np.arange(len(order))
    calls["about"] = place_of[calls["about"]]
    return Calls(**{name: values[order] for name, values in calls.items()})
