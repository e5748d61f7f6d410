"""Settings of the past weeks of lesson messaging: `seeds/instainstru.toml`, read and checked."""

from datetime import date
from pathlib import Path
from typing import Annotated, Self

from pydantic import Field, model_validator

from integrity.seeds.settings import DAY_MS, Share, Strict, read_past

Count = Annotated[int, Field(gt=0, le=1_000_000)]
Range = tuple[Count, Count]
Text = Annotated[str, Field(min_length=1)]

HOUR_MS = 3_600_000
MINUTE_MS = 60_000
LAST_BOOKING_BEFORE_END_MS = 6 * HOUR_MS
LAST_OPENING_BEFORE_END_MS = 2 * HOUR_MS


class Users(Strict):
    """Who there is."""

    instructor_share: Share
    registered_before_days: Annotated[int, Field(gt=0, le=10_000)]


class Bookings(Strict):
    """What they book."""

    lessons: Annotated[tuple[Text, ...], Field(min_length=1)]
    starts_after_hours: Range
    group_share: Share
    group_students: Range
    unopened_share: Share


class Activity(Strict):
    """A group of conversations: its share of all, and how many messages one has relative to the others."""

    share: Share
    weight: Annotated[int, Field(ge=1, le=10_000)]


class Conversations(Strict):
    """When they are opened, how long people write, and how much."""

    opened_after_minutes: Range
    lasts_hours: Range
    activity: Annotated[tuple[Activity, ...], Field(min_length=1)]


class Messages(Strict):
    """What they write."""

    bodies: Annotated[tuple[Text, ...], Field(min_length=1)]


class Reading(Strict):
    """How far they have read."""

    all_share: Share
    none_share: Share
    after_seconds: Range


class PastSettings(Strict):
    """instainstru.toml."""

    first_day: date
    last_day: date
    users: Users
    bookings: Bookings
    conversations: Conversations
    messages: Messages
    reading: Reading

    @model_validator(mode="after")
    def _is_a_past(self) -> Self:
        if not self.first_day < self.last_day:
            raise ValueError("last_day must come after first_day")
        ranges = [
            self.bookings.starts_after_hours,
            self.bookings.group_students,
            self.conversations.opened_after_minutes,
            self.conversations.lasts_hours,
            self.reading.after_seconds,
        ]
        for low, high in ranges:
            if low > high:
                raise ValueError(f"[{low}, {high}]: the least is more than the most")
        if self.bookings.group_students[0] < 2:
            raise ValueError("group_students: a group has at least two")
        shares = [each.share for each in self.conversations.activity]
        if abs(sum(shares) - 1) > 1e-6:
            raise ValueError(f"shares {shares} are {sum(shares):g} together, not 1")
        if self.reading.all_share + self.reading.none_share > 1:
            raise ValueError("all_share and none_share are more than 1 together")
        latest_ms = LAST_BOOKING_BEFORE_END_MS - LAST_OPENING_BEFORE_END_MS
        if self.conversations.opened_after_minutes[0] * MINUTE_MS > latest_ms:
            raise ValueError(f"opened_after_minutes: at least one in {latest_ms // MINUTE_MS} minutes must be possible")
        return self

    @property
    def start_ms(self) -> int:
        """The first day's beginning, in ms since 1970."""
        return _day_ms(self.first_day)

    @property
    def end_ms(self) -> int:
        """The last day's end, in ms since 1970."""
        return _day_ms(self.last_day) + DAY_MS


def read_settings(file: Path) -> PastSettings:
    """Return the settings of the file.

    Raises:
        UsageError: it cannot be read, or what it says cannot be.
    """
    return read_past(PastSettings, file)


def _day_ms(day: date) -> int:
    return (day - date(1970, 1, 1)).days * DAY_MS
