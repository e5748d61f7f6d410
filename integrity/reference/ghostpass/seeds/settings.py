"""Settings of a venue's past day: `seeds/ghostpass.toml`, read and checked."""

from datetime import date, time
from pathlib import Path
from typing import Annotated, Self

from pydantic import Field, model_validator

from integrity.seeds.settings import Share, Strict, read_past

Minor = Annotated[int, Field(ge=0, le=1_000_000_000)]
Basis = Annotated[int, Field(ge=0, le=10_000)]


class Guests(Strict):
    """A group of guests: its share of all, and the least and most calls one of them makes."""

    share: Share
    calls: tuple[Annotated[int, Field(ge=1)], Annotated[int, Field(le=1000)]]


class Gateway(Strict):
    """A door."""

    name: str
    reentry_fee_minor: Minor


class Terminal(Strict):
    """A point of sale and how its sales are shared."""

    name: str
    platform_fee_bps: Basis
    venue_share_bps: Basis

    @model_validator(mode="after")
    def _shares_at_most_all(self) -> Self:
        if self.platform_fee_bps + self.venue_share_bps > 10_000:
            raise ValueError("platform_fee_bps and venue_share_bps are more than the whole sale")
        return self


class Fundings(Strict):
    """What guests pay in: amounts in steps, and how the processor answers."""

    amount_minor: tuple[Annotated[int, Field(gt=0)], Minor]
    step_minor: Annotated[int, Field(gt=0)]
    failed_share: Share
    settles_after_ms: tuple[Annotated[int, Field(gt=0)], int]


class Sales(Strict):
    """What guests pay at a terminal."""

    amount_minor: tuple[Annotated[int, Field(gt=0)], Minor]


class Outside(Strict):
    """What a guest outside does next."""

    scan_in: Share
    request_funding: Share
    scan_out: Share


class Inside(Strict):
    """What a guest inside does next."""

    sell: Share
    scan_out: Share
    request_funding: Share
    scan_in: Share
    refund_sale: Share


class DaySettings(Strict):
    """ghostpass.toml."""

    day: date
    opens: time
    closes: time
    arrivals_end: time
    stay_least_minutes: Annotated[int, Field(gt=0)]
    guests: Annotated[tuple[Guests, ...], Field(min_length=1)]
    gateways: Annotated[tuple[Gateway, ...], Field(min_length=1)]
    terminals: Annotated[tuple[Terminal, ...], Field(min_length=1)]
    fundings: Fundings
    sales: Sales
    outside: Outside
    inside: Inside

    @model_validator(mode="after")
    def _is_a_day(self) -> Self:
        ranges = [self.fundings.amount_minor, self.fundings.settles_after_ms, self.sales.amount_minor]
        for low, high in (*ranges, *(group.calls for group in self.guests)):
            if low > high:
                raise ValueError(f"[{low}, {high}]: the least is more than the most")
        groups = [[group.share for group in self.guests], *(list(dict(of).values()) for of in (self.outside, self.inside))]
        for shares in groups:
            if abs(sum(shares) - 1) > 1e-6:
                raise ValueError(f"shares {shares} are {sum(shares):g} together, not 1")
        if not self.opens < self.arrivals_end < self.closes:
            raise ValueError("opens, arrivals_end and closes must follow one another within the day")
        if self.arrivals_end_ms + self.stay_least_ms > self.closes_ms:
            raise ValueError("who arrives at arrivals_end cannot stay stay_least_minutes before the venue closes")
        # A call falls into the first 7 tenths of its slot of the stay; a funding settles before the next slot.
        if (
            self.stay_least_ms // max(group.calls[1] for group in self.guests) * 3 // 10
            <= self.fundings.settles_after_ms[1]
        ):
            raise ValueError("stay_least_minutes is too short for that many calls: a funding could settle after the next")
        return self

    @property
    def opens_ms(self) -> int:
        return _ms(self.opens)

    @property
    def closes_ms(self) -> int:
        return _ms(self.closes)

    @property
    def arrivals_end_ms(self) -> int:
        return _ms(self.arrivals_end)

    @property
    def stay_least_ms(self) -> int:
        return self.stay_least_minutes * 60_000

    @property
    def midnight_us(self) -> int:
        """The day's start, in microseconds since 1970."""
        return (self.day - date(1970, 1, 1)).days * 86_400_000_000


def read_settings(file: Path) -> DaySettings:
    """Return the settings of the file.

    Raises:
        UsageError: it cannot be read, or what it says cannot be.
    """
    return read_past(DaySettings, file, called="the day")


def _ms(at: time) -> int:
    return ((at.hour * 60 + at.minute) * 60 + at.second) * 1000
