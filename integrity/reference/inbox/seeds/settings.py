"""Settings of a past of inbox: `seeds/inbox.toml`, read and checked."""

from datetime import date
from pathlib import Path
from typing import Annotated, Self

from pydantic import Field, model_validator

from integrity.seeds.settings import Share, Strict, read_past

Positive = Annotated[int, Field(ge=1, le=1_000_000_000)]
Range = tuple[Positive, Positive]
Bodies = Annotated[tuple[Annotated[str, Field(min_length=1)], ...], Field(min_length=1)]

DAY_S = 86_400
DAY_US = DAY_S * 1_000_000


class Group(Strict):
    """Some of all, and how much there is to do for each of them, relative to the others."""

    share: Share
    weight: Annotated[int, Field(ge=1, le=1_000)]


class Channels(Strict):
    """The share of each channel in the conversations."""

    whatsapp: Share
    email: Share
    sms: Share


class Customers(Strict):
    """Who writes."""

    second_channel_share: Share


class Messages(Strict):
    """What is written, how far it came, and what of it was read."""

    inbound_share: Share
    delivered: Share
    sent: Share
    failed: Share
    rejected: Share
    unread_share: Share
    unread_most: Positive
    reported_after_ms: Range
    ended_after_ms: Range


class Media(Strict):
    """The files that came with messages."""

    share: Share
    abandoned_share: Share
    size_bytes: Range


class Checkouts(Strict):
    """How businesses paid."""

    of_a_business: Range
    amount_minor: Positive
    failed_share: Share
    expired_share: Share
    settled_after_s: Range


class BodySettings(Strict):
    """What messages say."""

    inbound: Bodies
    outbound: Bodies


class PastSettings(Strict):
    """inbox.toml."""

    ends: date
    days: Annotated[int, Field(ge=1, le=3_650)]
    messages_per_hour: Positive
    agency_share: Share
    businesses: Annotated[tuple[Group, ...], Field(min_length=1)]
    conversations: Annotated[tuple[Group, ...], Field(min_length=1)]
    channels: Channels
    customers: Customers
    messages: Messages
    media: Media
    checkouts: Checkouts
    bodies: BodySettings

    @model_validator(mode="after")
    def _is_a_past(self) -> Self:
        messages, checkouts = self.messages, self.checkouts
        ranges = [messages.reported_after_ms, messages.ended_after_ms, self.media.size_bytes]
        for low, high in (*ranges, checkouts.of_a_business, checkouts.settled_after_s):
            if low > high:
                raise ValueError(f"[{low}, {high}]: the least is more than the most")
        shares = [
            [group.share for group in self.businesses],
            [group.share for group in self.conversations],
            list(dict(self.channels).values()),
            [messages.delivered, messages.sent, messages.failed, messages.rejected],
        ]
        for group in shares:
            if abs(sum(group) - 1) > 1e-6:
                raise ValueError(f"shares {group} are {sum(group):g} together, not 1")
        if checkouts.failed_share + checkouts.expired_share > 1:
            raise ValueError("failed_share and expired_share of the checkouts are more than all of them")
        # Each checkout has a part of the days to itself, and is settled in it.
        if self.days * DAY_S // checkouts.of_a_business[1] <= 2 * checkouts.settled_after_s[1]:
            raise ValueError("days are too few for that many checkouts: one could be settled after the next was begun")
        return self

    @property
    def ends_us(self) -> int:
        """The first moment after the past, in microseconds since 1970."""
        return ((self.ends - date(1970, 1, 1)).days + 1) * DAY_US

    @property
    def begins_us(self) -> int:
        """Its first moment."""
        return self.ends_us - self.days * DAY_US


def read_settings(file: Path) -> PastSettings:
    """Return the settings of the file.

    Raises:
        UsageError: it cannot be read, or what it says cannot be.
    """
    return read_past(PastSettings, file)
