"""What was written in the conversations of inbox: messages with their times, directions and fates, and what was read.

Everything is drawn at once for all conversations of some members, in numpy. A member is never divided: the hours in which
one may send so much and no more are counted over all of the member's conversations. What would have been over the limit was
not sent; a customer wrote instead.
"""

from dataclasses import dataclass
from enum import IntEnum

import numpy as np

from integrity.reference.inbox.seeds.settings import DAY_S, PastSettings
from integrity.seeds.source import Array, Source

CHANNELS = ("whatsapp", "email", "sms")
EMAIL = CHANNELS.index("email")
HOUR_US = 3_600_000_000


class Fate(IntEnum):
    """How far a message came."""

    RECEIVED = 0
    SENT = 1
    DELIVERED = 2
    FAILED = 3
    REJECTED = 4


@dataclass(frozen=True, slots=True, eq=False)
class Past:
    """Conversations and their messages. Conversations are numbered from 0, messages in order of time.

    Args:
        member: of each conversation, as it was given.
        customer: of each conversation, from 0; some have two.
        channel: of each conversation, a place in CHANNELS.
        created_us: of each conversation: no later than its first message.
        unread_count: of each conversation.
        last_read: of each conversation: the place of the message up to which it was read, or -1.
        last_us: of each conversation: the time of its newest message; where it has none, nothing is said.
        message_count: of each conversation.
        conversation: of each message.
        time_us: of each message.
        fate: of each message, a Fate.
        body: of each message: a place among the inbound bodies, or behind them among the outbound ones.
        window: of each message: a place in the windows; of an inbound one -1.
        window_member, window_channel, window_hour, window_count: of each window; hours since 1970.
    """

    member: Array
    customer: Array
    channel: Array
    created_us: Array
    unread_count: Array
    last_read: Array
    last_us: Array
    message_count: Array
    conversation: Array
    time_us: Array
    fate: Array
    body: Array
    window: Array
    window_member: Array
    window_channel: Array
    window_hour: Array
    window_count: Array


def share_out(count: int, weights: Array) -> Array:
    """Return how many of `count` each place gets, in proportion to its weight; together exactly `count` (int64)."""
    if not len(weights) or not weights.any():
        return np.zeros(len(weights), np.int64)
    # In floating point, as products of large counts and sums of weights leave 64 bits; exact at the end, which is count.
    bounds = np.floor(np.cumsum(weights) / weights.sum() * count + 1e-9).astype(np.int64)
    bounds[-1] = count
    shares: Array = np.diff(bounds, prepend=0)
    return shares


def draw_past(settings: PastSettings, member: Array, business: Array, message_count: int, source: Source) -> Past:
    """Return the past of some conversations.

    Args:
        member, business: of each conversation; conversations of one member beside one another, all that the member has.
        message_count: of all of them together.
    """
    count = len(member)
    customer, channel = _draw_customers(settings, business, source)
    weight = np.array([group.weight for group in settings.conversations])
    group = source.choices(count, [group.share for group in settings.conversations])
    weights = weight[group] * source.integers(count, 1, 20)  # no two of a group are alike
    has_all_one = message_count >= count
    message_counts = share_out(message_count - count * has_all_one, weights) + has_all_one

    # A conversation begins on some day and goes on to the end; busy ones are not always the old ones.
    # In whole seconds, and then some of one: a source's range has 31 bits.
    span_s = settings.days * DAY_S - 1
    begin_s = source.integers(count, 0, span_s - 1)
    conversation = np.repeat(np.arange(count), message_counts)
    after_s = 1 + source.below(span_s - begin_s[conversation])
    time_ms = 1_000 * (begin_s[conversation] + after_s) + source.integers(message_count, 0, 999)
    order = np.argsort(time_ms, kind="stable")
    conversation, time_us = conversation[order], settings.begins_us + time_ms[order] * 1_000
    created_us = settings.begins_us + begin_s * 1_000_000

    is_inbound = source.chances(message_count, settings.messages.inbound_share)
    window, windows = _count_windows(
        settings, member=member, channel=channel, conversation=conversation, time_us=time_us, is_inbound=is_inbound
    )
    is_inbound = window < 0
    messages = settings.messages
    fates = (Fate.DELIVERED, Fate.SENT, Fate.FAILED, Fate.REJECTED)
    drawn = source.choices(message_count, (messages.delivered, messages.sent, messages.failed, messages.rejected))
    fate = np.where(is_inbound, int(Fate.RECEIVED), np.array(fates)[drawn])
    inbound, outbound = len(settings.bodies.inbound), len(settings.bodies.outbound)
    in_body, out_body = source.integers(message_count, 0, inbound - 1), source.integers(message_count, 0, outbound - 1)

    unread_count, last_read, last_us = _draw_read(
        settings,
        source,
        message_counts=message_counts,
        conversation=conversation,
        time_us=time_us,
        is_inbound=is_inbound,
    )
    return Past(
        member=member,
        customer=customer,
        channel=channel,
        created_us=created_us,
        unread_count=unread_count,
        last_read=last_read,
        last_us=last_us,
        message_count=message_counts,
        conversation=conversation,
        time_us=time_us,
        fate=fate,
        body=np.where(is_inbound, in_body, inbound + out_body),
        window=window,
        window_member=windows[0],
        window_channel=windows[1],
        window_hour=windows[2],
        window_count=windows[3],
    )


def _draw_customers(settings: PastSettings, business: Array, source: Source) -> tuple[Array, Array]:
    """Return each conversation's customer and channel; who has a second conversation has it on another channel."""
    count = len(business)
    shares = dict(settings.channels)
    channel = source.choices(count, [shares[name] for name in CHANNELS])
    wants_second = source.chances(count, min(1.0, 2 * settings.customers.second_channel_share))
    place = np.arange(count)
    is_second = wants_second & (place % 2 == 1) & (business == np.roll(business, 1)) & (channel != np.roll(channel, 1))
    return np.cumsum(~is_second) - 1, channel


def _count_windows(
    settings: PastSettings, *, member: Array, channel: Array, conversation: Array, time_us: Array, is_inbound: Array
) -> tuple[Array, tuple[Array, Array, Array, Array]]:
    """Return the window of each message, -1 of those that came in, and each window's member, channel, hour and count."""
    window = np.full(len(conversation), -1, np.int64)
    places = np.flatnonzero(~is_inbound)
    if not len(places):
        nothing = np.zeros(0, np.int64)
        return window, (nothing, nothing, nothing, nothing)
    first_hour, hours = settings.begins_us // HOUR_US, settings.days * 24
    sender = (member[conversation[places]] - member[0]) * len(CHANNELS) + channel[conversation[places]]
    keys = sender * hours + (time_us[places] // HOUR_US - first_hour)
    found, of, counts = np.unique(keys, return_inverse=True, return_counts=True)
    if counts.max() > settings.messages_per_hour:
        # Those in the order of time that the limit allows; the rest was never sent.
        by_window = np.argsort(of, kind="stable")
        rank = np.empty(len(of), np.int64)
        rank[by_window] = np.arange(len(of)) - np.repeat(np.cumsum(counts) - counts, counts)
        is_admitted = rank < settings.messages_per_hour
        places, of = places[is_admitted], of[is_admitted]
        counts = np.minimum(counts, settings.messages_per_hour)
    window[places] = of
    senders = found // hours
    return window, (
        senders // len(CHANNELS) + member[0],
        senders % len(CHANNELS),
        first_hour + found % hours,
        counts,
    )


def _draw_read(
    settings: PastSettings,
    source: Source,
    *,
    message_counts: Array,
    conversation: Array,
    time_us: Array,
    is_inbound: Array,
) -> tuple[Array, Array, Array]:
    """Return each conversation's unread count, the place of the last message read, and the time of its newest message."""
    count = len(message_counts)
    is_unread = source.chances(count, settings.messages.unread_share)
    left = np.where(is_unread, source.integers(count, 1, settings.messages.unread_most), 0)
    left = np.minimum(left, message_counts)
    by_conversation = np.argsort(conversation, kind="stable")  # and by time within it
    ends = np.cumsum(message_counts)
    from_end = np.repeat(ends, message_counts) - 1 - np.arange(len(conversation))  # 0: the newest
    is_left = np.zeros(len(conversation), np.bool_)
    is_left[by_conversation] = from_end < np.repeat(left, message_counts)
    unread_count = np.bincount(conversation[is_left & is_inbound], minlength=count)
    has_messages, has_read = message_counts > 0, message_counts > left
    last_us, last_read = np.zeros(count, np.int64), np.full(count, -1, np.int64)
    last_us[has_messages] = time_us[by_conversation[ends[has_messages] - 1]]
    last_read[has_read] = by_conversation[(ends - 1 - left)[has_read]]
    return unread_count, last_read, last_us
