"""Settings of a wallet service's past week: `seeds/safebox.toml`, read and checked."""

from datetime import date
from pathlib import Path
from typing import Annotated, Self

from pydantic import Field, model_validator

from integrity.seeds.settings import DAY_MS, Share, Strict, read_past

# A wallet's proofs are counted out bit by bit: its money stays far below what 40 calls of the most can bring.
Sats = Annotated[int, Field(gt=0, le=10_000_000)]
Milliseconds = Annotated[int, Field(gt=0, le=600_000)]


class Owners(Strict):
    """A group of owners: its share of all, and the least and most calls one of them makes."""

    share: Share
    calls: tuple[Annotated[int, Field(ge=1)], Annotated[int, Field(le=1000)]]


class Cards(Strict):
    """Who has a card, and whose was revoked or has expired."""

    share: Share
    revoked_share: Share
    expired_share: Share


class Invoices(Strict):
    """What owners ask for, and what becomes of it."""

    amount_minor: tuple[Sats, Sats]
    first_amount_minor: tuple[Sats, Sats]
    expired_share: Share
    standing_share: Share
    paid_after_ms: tuple[Milliseconds, Milliseconds]


class Payments(Strict):
    """What owners pay, and how the mint answers."""

    amount_minor: tuple[Sats, Sats]
    failed_share: Share
    ends_after_ms: tuple[Milliseconds, Milliseconds]


class Requests(Strict):
    """What cards are asked for, and how their wallets answer."""

    amount_minor: tuple[Sats, Sats]
    rejected_share: Share
    expired_share: Share
    answered_after_ms: tuple[Milliseconds, Milliseconds]


class Calls(Strict):
    """What an owner does next."""

    create_invoice: Share
    create_pos_sale: Share
    pay_invoice: Share
    pay_address: Share
    pay_to_nfc_tag: Share
    request_nfc_payment: Share


class WeekSettings(Strict):
    """safebox.toml."""

    first_day: date
    days: Annotated[int, Field(ge=1, le=366)]
    owners: Annotated[tuple[Owners, ...], Field(min_length=1)]
    cards: Cards
    invoices: Invoices
    payments: Payments
    requests: Requests
    calls: Calls

    @model_validator(mode="after")
    def _is_a_week(self) -> Self:
        ranges = [
            self.invoices.amount_minor,
            self.invoices.first_amount_minor,
            self.invoices.paid_after_ms,
            self.payments.amount_minor,
            self.payments.ends_after_ms,
            self.requests.amount_minor,
            self.requests.answered_after_ms,
            *(group.calls for group in self.owners),
        ]
        for low, high in ranges:
            if low > high:
                raise ValueError(f"[{low}, {high}]: the least is more than the most")
        for shares in ([group.share for group in self.owners], list(dict(self.calls).values())):
            if abs(sum(shares) - 1) > 1e-6:
                raise ValueError(f"shares {shares} are {sum(shares):g} together, not 1")
        for name, ends in (
            ("invoices", self.invoices.expired_share + self.invoices.standing_share),
            ("requests", self.requests.rejected_share + self.requests.expired_share),
        ):
            if ends > 1:
                raise ValueError(f"{name}: the shares of their ends are {ends:g} together, more than 1")
        # A call falls into the first 7 tenths of its slot of the week; what it began ends before the next slot.
        if self.slot_least_ms * 3 // 10 <= self.longest_ms:
            raise ValueError("days are too few for that many calls: a call could end after the next one begins")
        return self

    @property
    def slot_least_ms(self) -> int:
        return self.days * DAY_MS // max(group.calls[1] for group in self.owners)

    @property
    def longest_ms(self) -> int:
        """From a call to its end at most: an invoice that is paid late, or a request, its answer and its payment."""
        payment_ms = self.requests.answered_after_ms[1] + self.payments.ends_after_ms[1]
        return max(self.invoices.paid_after_ms[1], payment_ms)

    @property
    def start_ms(self) -> int:
        """The week's start, in milliseconds since 1970."""
        return (self.first_day - date(1970, 1, 1)).days * DAY_MS


def read_settings(file: Path) -> WeekSettings:
    """Return the settings of the file.

    Raises:
        UsageError: it cannot be read, or what it says cannot be.
    """
    return read_past(WeekSettings, file, called="the week")
