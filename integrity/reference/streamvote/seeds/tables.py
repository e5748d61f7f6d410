"""The rows that a past week leaves behind: what the operations of streamvote write, call by call.

Ids count up in order of time within a batch; rows of a call have its operation_id and its time, as rows of one transaction
have. What a tally, an event's sequence, a balance or a budget holds is summed up from the same votes.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np

from integrity.engines.columns import bigints, booleans, integers, labels, texts, timestamps, uuids
from integrity.project import reference_folder
from integrity.reference.streamvote.seeds.settings import WINDOW_S, WeekSettings, read_settings
from integrity.reference.streamvote.seeds.week import CHOICES, DAY_US, Week, play_week
from integrity.seeds.source import Array, Source, make_operation_ids
from integrity.systems.seeder import Batch, SeededRows, Seeder, Size, Start

WALLETS_A_BATCH = 25_000
"""A part of what the seed means: other batches, other rows. About 170,000 votes while they are made."""

FIRST_NAMES = (
    "amber", "blue", "brisk", "calm", "cozy", "daring", "dusty", "early", "epic", "fancy", "feral", "gentle", "golden",
    "happy", "humble", "icy", "jolly", "keen", "late", "lucky", "mellow", "misty", "nimble", "noisy", "odd", "pixel",
    "proud", "quiet", "rapid", "royal", "salty", "silver", "sleepy", "sunny", "tiny", "urban", "velvet", "wild", "witty",
    "zesty",
)  # fmt: skip
LAST_NAMES = ("badger", "comet", "falcon", "fox", "harbor", "lynx", "meadow", "otter", "panda", "raven", "robot", "wolf")


@dataclass(frozen=True, slots=True, eq=False)
class _Made:
    """A week with the ids that its rows and calls got.

    Args:
        streamer_ids, wallet_ids, event_ids, vote_ids, window_ids, invoice_ids, budget_ids: of each, in their order.
        option_ids: of each event (row) and choice (column).
        vote_calls: the operation_id of each vote's call; of others likewise.
        sequence: of each accepted vote, in its event.
        accepted: the places of the accepted votes.
    """

    week: Week
    streamer_ids: Array
    wallet_ids: Array
    budget_ids: Array
    event_ids: Array
    option_ids: Array
    vote_ids: Array
    window_ids: Array
    invoice_ids: Array
    opening_calls: Array
    closing_calls: Array
    vote_calls: Array
    invoice_calls: Array
    webhook_calls: Array
    credit_calls: Array
    accepted: Array
    sequence: Array


def generate(sizes: Mapping[str, int], seed: int, start: Start) -> Iterator[Batch]:
    """Yield the streamers, and the past week of as many viewers as there are wallets."""
    settings = read_settings(start.settings or reference_folder("seeds") / "streamvote.toml")
    wallet_count, streamer_count = sizes["wallets"], sizes["streamers"]
    next_ids = dict(start.next_ids)
    votes_per_window = start.found["rules"][-1][1] if start.found.get("rules") else settings.rules.votes_per_window
    streamer_ids = next_ids["streamers"] + np.arange(streamer_count)
    first = [_streamer_rows(settings, streamer_ids)]
    if not start.found.get("rules"):
        first.insert(0, _rule_rows(settings))
    yield Batch(0, first)
    for done in range(0, wallet_count, WALLETS_A_BATCH):
        count = min(WALLETS_A_BATCH, wallet_count - done)
        # Named by the first wallet's id: wallets that are added later have a week of their own.
        source = Source(seed, next_ids["wallets"])
        week = play_week(settings, count, streamer_count, source)
        tables = _week_rows(_number(week, streamer_ids, next_ids, source), next_ids, votes_per_window)
        for rows in tables:
            if rows.table in next_ids:
                next_ids[rows.table] += len(rows)
        yield Batch(count, tables)


SEEDER = Seeder(
    name="streamvote",
    # A million wallets are about 7 million votes and 15 million entries. More says nothing new.
    sizes=(Size("wallets", default=5_000, most=10_000_000), Size("streamers", default=200, most=10_000)),
    reads={"rules": "select id, votes_per_window from streamvote.rules order by id"},
    generate=generate,
)


def _rule_rows(settings: WeekSettings) -> SeededRows:
    return SeededRows(
        "rules",
        [
            bigints("id", np.array([1])),
            integers("votes_per_window", np.array([settings.rules.votes_per_window])),
            bigints("star_price_minor", np.array([settings.rules.star_price_minor])),
        ],
    )


def _streamer_rows(settings: WeekSettings, streamer_ids: Array) -> SeededRows:
    firsts, lasts = np.array(FIRST_NAMES, "S"), np.array(LAST_NAMES, "S")
    first = firsts[streamer_ids % len(firsts)]
    last = lasts[streamer_ids // len(firsts) % len(lasts)]  # the next one when all first names have been used
    names = np.char.add(np.char.add(first, last), streamer_ids.astype("S"))
    return SeededRows(
        "streamers",
        [
            bigints("id", streamer_ids),
            texts("name", names),
            timestamps("created_at", settings.midnight_us - 90 * DAY_US + streamer_ids * 1_000_000),
        ],
    )


def _number(week: Week, streamer_ids: Array, next_ids: Mapping[str, int], source: Source) -> _Made:
    def ids(table: str, count: int) -> Array:
        return next_ids[table] + np.arange(count)

    events, votes, invoices = week.events, week.votes, week.invoices
    event_count = len(events.streamer)
    accepted = np.flatnonzero(votes.is_accepted)
    # The how-manieth of its event a vote is: its place among the votes sorted by event, less that of the event's first.
    by_event = np.argsort(votes.event[accepted], kind="stable")
    counts = np.bincount(votes.event[accepted], minlength=event_count)
    sequence = np.empty(len(accepted), np.int64)
    sequence[by_event] = np.arange(len(accepted)) - np.repeat(np.cumsum(counts) - counts, counts) + 2
    return _Made(
        week=week,
        streamer_ids=streamer_ids,
        wallet_ids=ids("wallets", len(week.created_us)),
        budget_ids=ids("budgets", len(week.room_stars)),
        event_ids=ids("live_events", event_count),
        option_ids=ids("options", event_count * CHOICES).reshape(event_count, CHOICES),
        vote_ids=ids("votes", len(votes.viewer)),
        window_ids=ids("rate_windows", len(week.window_us)),
        invoice_ids=ids("invoices", len(invoices.viewer)),
        opening_calls=make_operation_ids(events.opened_us, source),
        closing_calls=make_operation_ids(events.closed_us, source),
        vote_calls=make_operation_ids(votes.time_us, source),
        invoice_calls=make_operation_ids(invoices.created_us, source),
        webhook_calls=make_operation_ids(invoices.paid_us, source),
        credit_calls=make_operation_ids(invoices.ended_us, source),
        accepted=accepted,
        sequence=sequence,
    )


def _week_rows(made: _Made, next_ids: Mapping[str, int], votes_per_window: int) -> list[SeededRows]:
    spent, bought = _spent(made), _bought(made)
    return [
        _budget_rows(made, spent),
        _wallet_rows(made, spent, bought),
        _invoice_rows(made),
        _webhook_event_rows(made, next_ids),
        _live_event_rows(made),
        _option_rows(made),
        _tally_rows(made),
        _rate_window_rows(made, votes_per_window),
        _vote_rows(made),
        _event_update_rows(made, next_ids),
        _entry_rows(made, next_ids),
    ]


def _spent(made: _Made) -> Array:
    """Return what each wallet spent."""
    votes = made.week.votes
    spent = np.zeros(len(made.wallet_ids), np.int64)
    np.add.at(spent, votes.viewer[made.accepted], votes.stars[made.accepted])
    return spent


def _bought(made: _Made) -> Array:
    """Return what each wallet bought."""
    invoices = made.week.invoices
    bought = np.zeros(len(made.wallet_ids), np.int64)
    np.add.at(bought, invoices.viewer, np.where(invoices.is_credited, invoices.stars, 0))
    return bought


def _last_vote_us(made: _Made) -> Array:
    """Return when each wallet voted last; 0: never."""
    last_us = np.zeros(len(made.wallet_ids), np.int64)
    np.maximum.at(last_us, made.week.votes.viewer, made.week.votes.time_us)
    return last_us


def _budget_rows(made: _Made, spent: Array) -> SeededRows:
    members = np.flatnonzero(made.week.budget >= 0)
    budget = made.week.budget[members]
    together, last_us = np.zeros(len(made.budget_ids), np.int64), np.zeros(len(made.budget_ids), np.int64)
    np.add.at(together, budget, spent[members])
    np.maximum.at(last_us, budget, _last_vote_us(made)[members])
    return SeededRows(
        "budgets",
        [
            bigints("id", made.budget_ids),
            bigints("limit_stars", together + made.week.room_stars),
            timestamps("last_spent_at", last_us, last_us == 0),
        ],
    )


def _wallet_rows(made: _Made, spent: Array, bought: Array) -> SeededRows:
    budget, last_us = made.week.budget, _last_vote_us(made)
    has_none = budget < 0
    budget_ids = np.where(has_none, 0, budget) + (made.budget_ids[0] if len(made.budget_ids) else 0)
    return SeededRows(
        "wallets",
        [
            bigints("id", made.wallet_ids),
            texts("handle", np.char.add(b"viewer-", np.char.zfill(made.wallet_ids.astype("S"), 8))),
            bigints("budget_id", budget_ids, has_none),
            bigints("balance_stars", bought - spent),
            bigints("spent_stars", spent),
            timestamps("last_vote_at", last_us, last_us == 0),
            timestamps("created_at", made.week.created_us),
        ],
    )


def _invoice_rows(made: _Made) -> SeededRows:
    invoices = made.week.invoices
    return SeededRows(
        "invoices",
        [
            bigints("id", made.invoice_ids),
            bigints("wallet_id", made.wallet_ids[invoices.viewer]),
            bigints("stars", invoices.stars),
            labels("status", ("expired", "credited"), invoices.is_credited.astype(np.int64)),
            uuids("operation_id", made.invoice_calls),
            timestamps("created_at", invoices.created_us),
            timestamps("paid_at", invoices.paid_us, ~invoices.is_credited),
            timestamps("credited_at", invoices.ended_us, ~invoices.is_credited),
            timestamps("expired_at", invoices.ended_us, invoices.is_credited),
        ],
    )


def _webhook_event_rows(made: _Made, next_ids: Mapping[str, int]) -> SeededRows:
    invoices = made.week.invoices
    told = np.flatnonzero(invoices.has_event)
    told = told[np.argsort(invoices.paid_us[told], kind="stable")]
    return SeededRows(
        "webhook_events",
        [
            bigints("id", next_ids["webhook_events"] + np.arange(len(told))),
            texts("event_id", np.char.add(b"evt-", made.invoice_ids[told].astype("S"))),
            bigints("invoice_id", made.invoice_ids[told]),
            labels("kind", ("failed", "paid"), invoices.is_credited[told].astype(np.int64)),
            uuids("operation_id", made.webhook_calls[told]),
            timestamps("applied_at", invoices.paid_us[told]),
        ],
    )


def _live_event_rows(made: _Made) -> SeededRows:
    events = made.week.events
    votes = np.bincount(made.week.votes.event[made.accepted], minlength=len(made.event_ids))
    return SeededRows(
        "live_events",
        [
            bigints("id", made.event_ids),
            bigints("streamer_id", made.streamer_ids[events.streamer]),
            labels("status", ("open", "closed"), events.is_closed.astype(np.int64)),
            bigints("price_stars", events.price_stars),
            integers("sequence", 1 + votes + events.is_closed),
            uuids("operation_id", made.opening_calls),
            timestamps("opened_at", events.opened_us),
            timestamps("closed_at", events.closed_us, ~events.is_closed),
        ],
    )


def _option_rows(made: _Made) -> SeededRows:
    return SeededRows(
        "options",
        [
            bigints("id", made.option_ids.ravel()),
            bigints("live_event_id", np.repeat(made.event_ids, CHOICES)),
            integers("choice", np.tile(1 + np.arange(CHOICES), len(made.event_ids))),
        ],
    )


def _tally_rows(made: _Made) -> SeededRows:
    votes, accepted = made.week.votes, made.accepted
    option = votes.event[accepted] * CHOICES + votes.choice[accepted]
    counts = np.bincount(option, minlength=made.option_ids.size)
    return SeededRows(
        "tallies",
        [
            bigints("option_id", made.option_ids.ravel()),
            integers("vote_count", counts),
            bigints("stars", counts * np.repeat(made.week.events.price_stars, CHOICES)),
        ],
    )


def _rate_window_rows(made: _Made, votes_per_window: int) -> SeededRows:
    count, week = len(made.window_ids), made.week
    admitted = np.bincount(week.votes.window, minlength=count)
    # Votes are in order of time, so of those of a window the first place is the vote that began it.
    first = np.full(count, len(made.vote_ids))
    np.minimum.at(first, week.votes.window, np.arange(len(made.vote_ids)))
    return SeededRows(
        "rate_windows",
        [
            bigints("id", made.window_ids),
            bigints("wallet_id", made.wallet_ids[week.window_viewer]),
            integers("limit_count", np.full(count, votes_per_window)),
            integers("admitted_count", admitted),
            timestamps("started_at", week.window_us),
            timestamps("ends_at", week.window_us + WINDOW_S * 1_000_000),
            uuids("operation_id", made.vote_calls[first]),
        ],
    )


def _vote_rows(made: _Made) -> SeededRows:
    votes = made.week.votes
    return SeededRows(
        "votes",
        [
            bigints("id", made.vote_ids),
            bigints("wallet_id", made.wallet_ids[votes.viewer]),
            bigints("live_event_id", made.event_ids[votes.event]),
            bigints("option_id", made.option_ids[votes.event, votes.choice]),
            bigints("rate_window_id", made.window_ids[votes.window]),
            texts("idempotency_key", np.char.add(b"tap-", made.vote_ids.astype("S"))),
            bigints("stars", votes.stars),
            booleans("is_accepted", votes.is_accepted),
            labels("reason", ("insufficient_stars",), np.zeros(len(made.vote_ids), np.int64), votes.is_accepted),
            uuids("operation_id", made.vote_calls),
            timestamps("voted_at", votes.time_us),
        ],
    )


def _event_update_rows(made: _Made, next_ids: Mapping[str, int]) -> SeededRows:
    """Return the updates of openings, votes and closings, in order of time."""
    events, votes, accepted = made.week.events, made.week.votes, made.accepted
    closed = np.flatnonzero(events.is_closed)
    last = 1 + np.bincount(votes.event[accepted], minlength=len(made.event_ids))
    opened = np.arange(len(made.event_ids))
    time_us = np.concatenate([events.opened_us, votes.time_us[accepted], events.closed_us[closed]])
    order = np.argsort(time_us, kind="stable")
    kind = np.repeat([0, 1, 2], [len(opened), len(accepted), len(closed)])[order]
    no_vote = np.zeros(len(opened), np.int64)
    return SeededRows(
        "event_updates",
        [
            bigints("id", next_ids["event_updates"] + np.arange(len(order))),
            bigints("live_event_id", made.event_ids[np.concatenate([opened, votes.event[accepted], closed])[order]]),
            integers("sequence", np.concatenate([no_vote + 1, made.sequence, last[closed] + 1])[order]),
            labels("kind", ("opened", "vote", "closed"), kind),
            bigints("vote_id", np.concatenate([no_vote, made.vote_ids[accepted], no_vote[closed]])[order], kind != 1),
            uuids(
                "operation_id",
                np.concatenate([made.opening_calls, made.vote_calls[accepted], made.closing_calls[closed]])[order],
            ),
            timestamps("sent_at", time_us[order]),
        ],
    )


def _entry_rows(made: _Made, next_ids: Mapping[str, int]) -> SeededRows:
    """Return both legs of each purchase and each vote, in order of time."""
    invoices, votes, accepted = made.week.invoices, made.week.votes, made.accepted
    credited = np.flatnonzero(invoices.is_credited)
    time_us = np.concatenate([invoices.ended_us[credited], votes.time_us[accepted]])
    order = np.argsort(time_us, kind="stable")
    kind = np.repeat([0, 1], [len(credited), len(accepted)])[order]
    amount = np.concatenate([invoices.stars[credited], -votes.stars[accepted]])[order]
    viewer = np.concatenate([invoices.viewer[credited], votes.viewer[accepted]])[order]
    reference = np.concatenate([made.invoice_ids[credited], made.vote_ids[accepted]])[order]
    calls = np.concatenate([made.credit_calls[credited], made.vote_calls[accepted]])[order]
    transfer = np.repeat(np.arange(len(order)), 2)
    is_other = np.tile([False, True], len(order))
    return SeededRows(
        "entries",
        [
            bigints("id", next_ids["entries"] + np.arange(len(transfer))),
            labels("account", ("wallet", "provider", "streamer"), np.where(is_other, 1 + kind[transfer], 0)),
            bigints("wallet_id", made.wallet_ids[viewer[transfer]], is_other),
            labels("kind", ("purchase", "vote"), kind[transfer]),
            bigints("amount_stars", np.where(is_other, -1, 1) * amount[transfer]),
            bigints("reference", reference[transfer]),
            uuids("operation_id", calls[transfer]),
            timestamps("created_at", time_us[order][transfer]),
        ],
    )
