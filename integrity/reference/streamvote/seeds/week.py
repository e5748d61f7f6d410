"""What the viewers of streamvote did in the past week: events, rounds of votes, and what was bought for them.

A viewer takes part in rounds: a few votes in one event, within one rate window. Rounds of one viewer are in slots of their
own, in order of time, so no two of their windows meet. Who votes has bought the stars before, all that will be spent; some
try once before they buy, and are declined. So what comes out is what the system's operations would have done, and no
balance is ever negative. All viewers are drawn at once in numpy.
"""

from dataclasses import dataclass, replace
from datetime import time

import numpy as np

from integrity.reference.streamvote.seeds.settings import ROUND_START_S_MOST, SLOT_S, VOTE_EVERY_S, WeekSettings, seconds_of
from integrity.seeds.source import Array, Source

CHOICES = 3
SECOND_US = 1_000_000
DAY_US = 86_400 * SECOND_US
MINUTE_MS = 60_000
BUY_BEFORE_S = 20
"""Before a round: longer than the slowest payment of the settings and its credit."""


@dataclass(frozen=True, slots=True, eq=False)
class Events:
    """Live events in order of time, a place in each array one of them.

    Args:
        streamer: from 0.
        closed_us: of an event that is still open anything.
        at: the place of the event of each evening (row) and streamer (column).
    """

    streamer: Array
    price_stars: Array
    opened_us: Array
    closed_us: Array
    is_closed: Array
    at: Array


@dataclass(frozen=True, slots=True, eq=False)
class Votes:
    """Votes in order of time.

    Args:
        viewer: from 0.
        window: the rate window, from 0 in order of time.
        event: the place of its event.
        choice: from 0.
        is_accepted: it was paid and counts; else there were no stars for it.
    """

    viewer: Array
    window: Array
    event: Array
    choice: Array
    stars: Array
    is_accepted: Array
    time_us: Array


@dataclass(frozen=True, slots=True, eq=False)
class Invoices:
    """Invoices in order of time.

    Args:
        is_credited: else it expired.
        paid_us: of those that were credited.
        ended_us: when it was credited, or expired.
        has_event: the provider said so; else the sweeper found out.
    """

    viewer: Array
    stars: Array
    is_credited: Array
    created_us: Array
    paid_us: Array
    ended_us: Array
    has_event: Array


@dataclass(frozen=True, slots=True, eq=False)
class Week:
    """A week of some viewers, numbered from 0 in the order in which their wallets were made.

    Args:
        budget: each viewer's, from 0; -1: none.
        room_stars: of each budget, what is left of it.
        window_us: when each rate window began, in order of time.
        window_viewer: whose each window is.
    """

    events: Events
    votes: Votes
    invoices: Invoices
    created_us: Array
    budget: Array
    room_stars: Array
    window_us: Array
    window_viewer: Array


def play_week(settings: WeekSettings, viewer_count: int, streamer_count: int, source: Source) -> Week:
    """Return the week of that many viewers and streamers."""
    events = _draw_events(settings, streamer_count, source)
    rounds = _draw_rounds(settings, viewer_count, events, source)
    votes = _draw_votes(settings, rounds, events, source)
    invoices, created_us = _draw_invoices(settings, rounds, votes, source)
    # Wallets are numbered in the order in which they were made; families are some that follow one another.
    order = np.argsort(created_us, kind="stable")
    number = np.empty(viewer_count, np.int64)
    number[order] = np.arange(viewer_count)
    size = settings.families.wallets
    is_family = source.chances(viewer_count // size, settings.families.share)
    budget = np.full(viewer_count, -1)
    budget[: size * len(is_family)] = np.repeat(np.where(is_family, np.cumsum(is_family) - 1, -1), size)
    return Week(
        events=events,
        votes=replace(votes, viewer=number[votes.viewer]),
        invoices=replace(invoices, viewer=number[invoices.viewer]),
        created_us=created_us[order],
        budget=budget,
        room_stars=source.integers(int(is_family.sum()), *settings.families.room_stars),
        window_us=rounds.start_us,
        window_viewer=number[rounds.viewer],
    )


def _draw_events(settings: WeekSettings, streamer_count: int, source: Source) -> Events:
    """Return an event of each streamer on each evening."""
    count = settings.evenings * streamer_count
    evening, streamer = np.divmod(np.arange(count), streamer_count)
    opened_us = settings.midnight_us + evening * DAY_US + _moments(settings.evening.opens, count, source)
    closed_us = settings.midnight_us + evening * DAY_US + _moments(settings.evening.closes, count, source)
    price_stars = np.array(settings.price_stars)[source.integers(count, 0, len(settings.price_stars) - 1)]
    order = np.argsort(opened_us, kind="stable")
    at = np.empty(count, np.int64)
    at[order] = np.arange(count)
    return Events(
        streamer=streamer[order],
        price_stars=price_stars[order],
        opened_us=opened_us[order],
        closed_us=closed_us[order],
        is_closed=evening[order] < settings.evenings - 1,
        at=at.reshape(settings.evenings, streamer_count),
    )


def _moments(between: tuple[time, time], count: int, source: Source) -> Array:
    """Return moments of a day between two times, in microseconds since midnight."""
    least, most = (seconds_of(at) * 1000 for at in between)
    return source.integers(count, least, most) * 1000


@dataclass(frozen=True, slots=True, eq=False)
class _Rounds:
    """Rounds of votes in order of time; each is a rate window.

    Args:
        viewer: from 0, not yet in the order in which their wallets were made.
        is_early: tried without stars, and declined.
        is_paid_first: the first that its viewer needs stars for.
        viewer_count: of all, also those without rounds.
    """

    viewer: Array
    event: Array
    start_us: Array
    vote_count: Array
    is_early: Array
    is_paid_first: Array
    viewer_count: int


def _draw_rounds(settings: WeekSettings, viewer_count: int, events: Events, source: Source) -> _Rounds:
    least, most = np.array([group.rounds for group in settings.viewers]).T
    group = source.choices(viewer_count, [group.share for group in settings.viewers])
    rounds = least[group] + source.below((most - least + 1)[group])
    viewer = np.repeat(np.arange(viewer_count), rounds)
    number = _places(rounds)  # of its viewer's
    width = settings.slot_count // rounds[viewer]
    evening, slot = np.divmod(number * width + source.below(width), settings.slots_an_evening)
    start_us = (
        settings.midnight_us
        + evening * DAY_US
        + (seconds_of(settings.evening.votes[0]) + slot * SLOT_S) * SECOND_US
        + source.integers(len(viewer), 0, ROUND_START_S_MOST * 1000) * 1000
    )
    # The square of an even draw: the first streamers are watched by many, the last by few.
    drawn = source.integers(len(viewer), 0, 2**16 - 1)
    streamer = drawn * drawn * events.at.shape[1] >> 32
    tries_early = (rounds >= 2) & source.chances(viewer_count, settings.rounds.early_share)
    is_early = tries_early[viewer] & (number == 0)
    order = np.argsort(start_us, kind="stable")
    return _Rounds(
        viewer=viewer[order],
        event=events.at[evening, streamer][order],
        start_us=start_us[order],
        vote_count=np.where(is_early, 1, source.integers(len(viewer), *settings.rounds.votes))[order],
        is_early=is_early[order],
        is_paid_first=(number == tries_early[viewer])[order],
        viewer_count=viewer_count,
    )


def _draw_votes(settings: WeekSettings, rounds: _Rounds, events: Events, source: Source) -> Votes:
    window = np.repeat(np.arange(len(rounds.viewer)), rounds.vote_count)
    time_us = rounds.start_us[window] + _places(rounds.vote_count) * VOTE_EVERY_S * SECOND_US
    order = np.argsort(time_us, kind="stable")
    window = window[order]
    event = rounds.event[window]
    return Votes(
        viewer=rounds.viewer[window],
        window=window,
        event=event,
        choice=source.integers(len(window), 0, CHOICES - 1),
        stars=events.price_stars[event],
        is_accepted=~rounds.is_early[window],
        time_us=time_us[order],
    )


def _draw_invoices(settings: WeekSettings, rounds: _Rounds, votes: Votes, source: Source) -> tuple[Invoices, Array]:
    """Return the invoices, and when each viewer's wallet was made: before anything else of that viewer."""
    count = rounds.viewer_count
    spent = np.zeros(count, np.int64)
    np.add.at(spent, votes.viewer, np.where(votes.is_accepted, votes.stars, 0))
    paid_from_us = np.zeros(count, np.int64)
    paid_from_us[rounds.viewer[rounds.is_paid_first]] = rounds.start_us[rounds.is_paid_first]
    early_us = np.zeros(count, np.int64)
    early_us[rounds.viewer[rounds.is_early]] = rounds.start_us[rounds.is_early]
    # Who was declined buys in what is left of that slot; others some minutes before they vote.
    bought_us = paid_from_us - BUY_BEFORE_S * SECOND_US - source.integers(count, 0, 10 * MINUTE_MS) * 1000 * (early_us == 0)
    somewhen_us = settings.midnight_us + source.integers(count, 0, settings.evenings * DAY_US // 1000) * 1000
    earliest_us = np.where(spent > 0, np.where(early_us > 0, early_us, bought_us), somewhen_us)
    created_us = earliest_us - source.integers(count, 30 * MINUTE_MS, 48 * 60 * MINUTE_MS) * 1000

    chosen = settings.invoices
    buyers = np.flatnonzero(spent)
    packs = -(-spent[buyers] // chosen.pack_stars) + source.integers(len(buyers), *chosen.spare_packs)
    paid_us = bought_us[buyers] + source.integers(len(buyers), *chosen.paid_after_ms) * 1000
    credited_us = paid_us + source.integers(len(buyers), *chosen.credited_after_ms) * 1000

    others = np.flatnonzero(source.chances(count, chosen.expired_share))
    tried_us = created_us[others] + source.integers(len(others), MINUTE_MS, 2 * MINUTE_MS) * 1000
    expired_us = tried_us + source.integers(len(others), MINUTE_MS, 14 * MINUTE_MS) * 1000
    tried_packs = source.integers(len(others), 1, 3)

    created = np.concatenate([bought_us[buyers], tried_us])
    order = np.argsort(created, kind="stable")
    is_credited = np.arange(len(created)) < len(buyers)
    invoices = Invoices(
        viewer=np.concatenate([buyers, others])[order],
        stars=chosen.pack_stars * np.concatenate([packs, tried_packs])[order],
        is_credited=is_credited[order],
        created_us=created[order],
        paid_us=np.concatenate([paid_us, expired_us])[order],
        ended_us=np.concatenate([credited_us, expired_us])[order],
        has_event=(is_credited | source.chances(len(created), 0.5))[order],
    )
    return invoices, created_us


def _places(counts: Array) -> Array:
    """Return 0, 1, ... for each of the counts, one after the other: [2, 3] is 0 1 0 1 2."""
    places: Array = np.arange(int(counts.sum())) - np.repeat(np.cumsum(counts) - counts, counts)
    return places
