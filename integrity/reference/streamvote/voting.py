"""A vote of streamvote, from top to bottom: looked up by its key, admitted, paid, recorded, counted and told.

The parts stand below it, in the order in which it takes them; bugs are made of the same ones.
"""

from collections.abc import Callable, Generator
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from integrity.operation import (
    Begin,
    Commit,
    Declined,
    Isolation,
    Ok,
    Reply,
    Rollback,
    Row,
    Rows,
    Statement,
    Step,
    Steps,
)


@dataclass(frozen=True, slots=True)
class Ballot:
    """What the app sends: who votes where for which of the three, under which key. The operation_id is the call's own."""

    wallet_id: int
    live_event_id: int
    choice: int
    idempotency_key: str
    operation_id: UUID


def vote(*, operation_id: UUID, wallet_id: int, live_event_id: int, choice: int, idempotency_key: str) -> Steps:
    """A viewer votes, and pays for it. The same key always gets the same answer, and has at most one effect."""
    return take(Ballot(wallet_id, live_event_id, choice, idempotency_key, operation_id), SOUND)


def take(ballot: Ballot, parts: "Parts") -> Steps:
    """Answer a ballot: as its key was answered before, or anew."""
    yield Begin(parts.isolation)
    found: Rows = yield parts.look_up(ballot)
    if not found or found[0]["vote_id"] is not None:
        yield Rollback()
        return answer_again(found)
    option = found[0]
    rate_window_id = yield from parts.admit(ballot)
    if rate_window_id is None:
        # Perhaps the same key was answered while this call waited for its wallet.
        found = yield parts.look_up(ballot)
        yield Rollback()
        return Declined("rate_limited") if found[0]["vote_id"] is None else answer_again(found)
    reason = yield from parts.pay(ballot, option)
    recorded: Rows = yield parts.record(ballot, option, rate_window_id, reason)
    if not recorded:
        yield Rollback()
        # Another call with this key came first. Asked in a transaction of its own, to see what it committed.
        found = yield parts.look_up(ballot)
        return answer_again(found)
    if reason is not None:
        yield Commit()
        return Declined(reason)
    vote_id = recorded[0]["id"]
    yield post_vote(ballot, option, vote_id)
    # The row that all votes of the event need: last, and for three statements only.
    event: Rows = yield parts.next_sequence(ballot)
    if not event:
        yield Rollback()
        return (yield from take(ballot, parts))  # closed since it was looked up: again, to be told so and remember it
    yield parts.count(option)
    yield tell(ballot.live_event_id, event[0]["sequence"], "vote", ballot.operation_id, vote_id)
    yield Commit()
    return Ok({"vote_id": vote_id})


def look_up(ballot: Ballot) -> Statement:
    """Find what a ballot is for, and the vote that was answered under its key, if there is one."""
    return Statement(
        """
        select
            wallets.budget_id,
            options.id      as option_id,
            live_events.status,
            live_events.price_stars,
            votes.id        as vote_id,
            votes.option_id as voted_option_id,
            votes.reason
        from streamvote.wallets
        join streamvote.options on options.live_event_id = :live_event_id and options.choice = :choice
        join streamvote.live_events on live_events.id = options.live_event_id
        left join streamvote.votes
            on votes.wallet_id = wallets.id and votes.idempotency_key = :idempotency_key
        where wallets.id = :wallet_id
        order by votes.id
        """,
        {
            "wallet_id": ballot.wallet_id,
            "live_event_id": ballot.live_event_id,
            "choice": ballot.choice,
            "idempotency_key": ballot.idempotency_key,
        },
    )


def answer_again(found: Rows) -> Reply:
    """Return what the vote that was found was answered."""
    if not found:
        return Declined("not_found")
    if found[0]["voted_option_id"] != found[0]["option_id"]:
        return Declined("idempotency_key_reused")
    reason = found[0]["reason"]
    return Ok({"vote_id": found[0]["vote_id"]}) if reason is None else Declined(reason)


def admit(ballot: Ballot) -> Generator[Step, Any, int | None]:
    """Count a ballot in its wallet's rate window, a new one when the last is over; None: the window is full."""
    # From here on no other vote of this wallet goes on until this one has ended.
    yield touch_wallet(ballot)
    window: Rows = yield current_window(ballot)
    return (yield from enter(ballot, window))


def touch_wallet(ballot: Ballot) -> Statement:
    """Write to the wallet: at every isolation level its votes then come one after the other."""
    return Statement(
        "update streamvote.wallets set last_vote_at = current_timestamp where id = :wallet_id",
        {"wallet_id": ballot.wallet_id},
    )


def current_window(ballot: Ballot) -> Statement:
    """Read the rate window that the wallet is in."""
    return Statement(
        """
        select id, admitted_count, limit_count
        from streamvote.rate_windows
        where wallet_id = :wallet_id and ends_at > current_timestamp
        order by id
        """,
        {"wallet_id": ballot.wallet_id},
    )


def enter(ballot: Ballot, window: Rows) -> Generator[Step, Any, int | None]:
    """Count a ballot in the window that was read; without one it begins the next, by the rules of the moment."""
    if window and window[0]["admitted_count"] >= window[0]["limit_count"]:
        return None
    if window:
        yield Statement(
            "update streamvote.rate_windows set admitted_count = admitted_count + 1 where id = :rate_window_id",
            {"rate_window_id": window[0]["id"]},
        )
    else:
        window = yield Statement(
            """
            insert into streamvote.rate_windows (wallet_id, limit_count, operation_id)
            values (
                :wallet_id,
                (select rules.votes_per_window from streamvote.rules order by rules.id desc limit 1),
                :operation_id
            )
            returning id
            """,
            {"wallet_id": ballot.wallet_id, "operation_id": ballot.operation_id},
        )
    window_id: int = window[0]["id"]
    return window_id


def pay(ballot: Ballot, option: Row) -> Generator[Step, Any, str | None]:
    """Debit a vote's price from its wallet, within its budget; return None, or why not."""
    if option["status"] != "open":
        return "event_closed"
    if option["budget_id"] is not None:
        # Written to, and so taken in turn by the wallets that share it: the sum is then of all that they have spent.
        budget: Rows = yield Statement(
            "update streamvote.budgets set last_spent_at = current_timestamp where id = :budget_id returning limit_stars",
            {"budget_id": option["budget_id"]},
        )
        spent: Rows = yield spent_together(option)
        if spent[0]["spent_stars"] + option["price_stars"] > budget[0]["limit_stars"]:
            return "budget_exhausted"
    debited: Rows = yield debit(ballot, option)
    return None if debited else "insufficient_stars"


def spent_together(option: Row) -> Statement:
    """Read what the wallets that share a budget have spent."""
    return Statement(
        """
        select cast(sum(wallets.spent_stars) as bigint) as spent_stars
        from streamvote.wallets
        where wallets.budget_id = :budget_id
        """,
        {"budget_id": option["budget_id"]},
    )


def debit(ballot: Ballot, option: Row) -> Statement:
    """Take the stars if the wallet holds them; no row comes back when it does not. Check and debit are one statement."""
    return Statement(
        """
        update streamvote.wallets set balance_stars = balance_stars - :stars, spent_stars = spent_stars + :stars
        where id = :wallet_id and balance_stars >= :stars
        returning balance_stars
        """,
        {"wallet_id": ballot.wallet_id, "stars": option["price_stars"]},
    )


def record(ballot: Ballot, option: Row, rate_window_id: int, reason: str | None) -> Statement:
    """Write a vote with its answer; no row comes back when its key has one already."""
    return Statement(
        """
        insert into streamvote.votes
            (wallet_id, live_event_id, option_id, rate_window_id, idempotency_key, stars, is_accepted, reason, operation_id)
        values (
            :wallet_id, :live_event_id, :option_id, :rate_window_id, :idempotency_key, :stars, :is_accepted, :reason,
            :operation_id
        )
        on conflict (wallet_id, idempotency_key) do nothing
        returning id
        """,
        {
            "wallet_id": ballot.wallet_id,
            "live_event_id": ballot.live_event_id,
            "option_id": option["option_id"],
            "rate_window_id": rate_window_id,
            "idempotency_key": ballot.idempotency_key,
            "stars": option["price_stars"],
            "is_accepted": reason is None,
            "reason": reason,
            "operation_id": ballot.operation_id,
        },
    )


def post_vote(ballot: Ballot, option: Row, vote_id: int) -> Statement:
    """Write the entries of a vote: what the wallet pays, the streamer earns."""
    return post(
        "vote",
        vote_id,
        ballot.operation_id,
        wallet_id=ballot.wallet_id,
        amount_stars=-option["price_stars"],
        other="streamer",
    )


def next_sequence(ballot: Ballot) -> Statement:
    """Take the event's next sequence number, and with it its lock; no row comes back when it is closed."""
    return Statement(
        """
        update streamvote.live_events set sequence = sequence + 1
        where id = :live_event_id and status = 'open'
        returning sequence
        """,
        {"live_event_id": ballot.live_event_id},
    )


def count(option: Row) -> Statement:
    """Add a vote to its option's tally."""
    return Statement(
        "update streamvote.tallies set vote_count = vote_count + 1, stars = stars + :stars where option_id = :option_id",
        {"option_id": option["option_id"], "stars": option["price_stars"]},
    )


def tell(live_event_id: int, sequence: int, kind: str, operation_id: UUID, vote_id: int | None = None) -> Statement:
    """Write the update that everyone who watches the event gets."""
    return Statement(
        """
        insert into streamvote.event_updates (live_event_id, sequence, kind, vote_id, operation_id)
        values (:live_event_id, :sequence, :kind, :vote_id, :operation_id)
        """,
        {
            "live_event_id": live_event_id,
            "sequence": sequence,
            "kind": kind,
            "vote_id": vote_id,
            "operation_id": operation_id,
        },
    )


def post(kind: str, reference: int, operation_id: UUID, *, wallet_id: int, amount_stars: int, other: str) -> Statement:
    """Write a transfer's two entries: the wallet's leg, signed, and the other account's."""
    return Statement(
        """
        insert into streamvote.entries (account, wallet_id, kind, amount_stars, reference, operation_id)
        values
            ('wallet', :wallet_id, :kind, :amount_stars, :reference, :operation_id),
            (:other, null, :kind, :other_stars, :reference, :operation_id)
        """,
        {
            "wallet_id": wallet_id,
            "kind": kind,
            "amount_stars": amount_stars,
            "other_stars": -amount_stars,
            "other": other,
            "reference": reference,
            "operation_id": operation_id,
        },
    )


@dataclass(frozen=True, slots=True)
class Parts:
    """What a vote is made of where developers forget something; a bug has something else in place of one of these."""

    isolation: Isolation | None = None
    look_up: Callable[[Ballot], Statement] = look_up
    admit: Callable[[Ballot], Generator[Step, Any, int | None]] = admit
    pay: Callable[[Ballot, Row], Generator[Step, Any, str | None]] = pay
    record: Callable[[Ballot, Row, int, str | None], Statement] = record
    next_sequence: Callable[[Ballot], Statement] = next_sequence
    count: Callable[[Row], Statement] = count


SOUND = Parts()
