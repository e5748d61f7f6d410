"""Settings of a past week of live events: `seeds/streamvote.toml`, read and checked."""

from datetime import date, time
from pathlib import Path
from typing import Annotated, Self

from pydantic import Field, model_validator

from integrity.seeds.settings import Share, Strict, read_past

Stars = Annotated[int, Field(ge=1, le=1_000_000)]
Count = Annotated[int, Field(ge=0, le=1_000_000)]
Milliseconds = Annotated[int, Field(ge=1, le=9_000)]

WINDOW_S = 10
"""How long a rate window lasts: the default of the system's column, which a seeder does not know. A test compares them."""

SLOT_S = 60
"""A viewer's rounds are in different slots, and so in different rate windows."""

ROUND_START_S_MOST = 30
"""A round begins in this much of its slot; it has the rest to end, and its viewer to buy stars before the next."""

VOTE_EVERY_S = 2


class Evening(Strict):
    """When events are opened, voted in, and closed."""

    opens: tuple[time, time]
    votes: tuple[time, time]
    closes: tuple[time, time]


class Rules(Strict):
    """What the app is told."""

    votes_per_window: Annotated[int, Field(ge=1, le=1_000)]
    star_price_minor: Stars


class Viewers(Strict):
    """A group of viewers: its share of all, and in how many rounds one of them votes."""

    share: Share
    rounds: tuple[Count, Count]


class Rounds(Strict):
    """How a viewer votes in a round."""

    votes: tuple[Annotated[int, Field(ge=1)], Annotated[int, Field(le=4)]]
    early_share: Share


class Invoices(Strict):
    """What viewers buy."""

    pack_stars: Stars
    spare_packs: tuple[Count, Count]
    paid_after_ms: tuple[Milliseconds, Milliseconds]
    credited_after_ms: tuple[Milliseconds, Milliseconds]
    expired_share: Share


class Families(Strict):
    """Who shares a budget, and what is left of it."""

    wallets: Annotated[int, Field(ge=2, le=20)]
    share: Share
    room_stars: tuple[Count, Count]


class WeekSettings(Strict):
    """streamvote.toml."""

    first_day: date
    evenings: Annotated[int, Field(ge=1, le=60)]
    price_stars: Annotated[tuple[Stars, ...], Field(min_length=1)]
    evening: Evening
    rules: Rules
    viewers: Annotated[tuple[Viewers, ...], Field(min_length=1)]
    rounds: Rounds
    invoices: Invoices
    families: Families

    @model_validator(mode="after")
    def _is_a_week(self) -> Self:
        invoices = self.invoices
        ranges = [
            self.rounds.votes,
            invoices.spare_packs,
            invoices.paid_after_ms,
            invoices.credited_after_ms,
            self.families.room_stars,
        ]
        for low, high in (*ranges, *(group.rounds for group in self.viewers)):
            if low > high:
                raise ValueError(f"[{low}, {high}]: the least is more than the most")
        shares = [group.share for group in self.viewers]
        if abs(sum(shares) - 1) > 1e-6:
            raise ValueError(f"shares {shares} are {sum(shares):g} together, not 1")
        evening = self.evening
        times = [*evening.opens, *evening.votes, *evening.closes]
        if times != sorted(set(times)):
            raise ValueError("opens, votes and closes must follow one another within the evening")
        if max(group.rounds[1] for group in self.viewers) > self.slot_count:
            raise ValueError(f"rounds: a viewer has {self.slot_count} slots of {SLOT_S} s in all, one for each round")
        if self.rounds.votes[1] > self.rules.votes_per_window:
            raise ValueError("rounds.votes: more than rules.votes_per_window, in one window")
        return self

    @property
    def slots_an_evening(self) -> int:
        """How many slots the time for votes has, without the last: a round may end after its slot."""
        first, last = (seconds_of(at) for at in self.evening.votes)
        return (last - first) // SLOT_S - 1

    @property
    def slot_count(self) -> int:
        return self.evenings * self.slots_an_evening

    @property
    def midnight_us(self) -> int:
        """The first day's start, in microseconds since 1970."""
        return (self.first_day - date(1970, 1, 1)).days * 86_400_000_000


def read_settings(file: Path) -> WeekSettings:
    """Return the settings of the file.

    Raises:
        UsageError: it cannot be read, or what it says cannot be.
    """
    return read_past(WeekSettings, file, called="the week")


def seconds_of(at: time) -> int:
    """Return the seconds since midnight."""
    return (at.hour * 60 + at.minute) * 60 + at.second
