"""Bugs of streamvote: what a developer forgot, each beside the sound operation that it replaces, made of the same parts.

A schedule is the shortest text that plays it (race/program/schedule.py): "AB" lets A do its first read, then B all it
does, and A goes on with what it had read.
"""

from collections.abc import Generator
from typing import Any
from uuid import UUID

from integrity.operation import (
    Begin,
    Commit,
    Declined,
    Isolation,
    Ok,
    Operation,
    Request,
    Rollback,
    Row,
    Rows,
    Statement,
    Step,
    Steps,
    Unavailable,
)
from integrity.reference.streamvote.operations import (
    NOT_QUEUED,
    OPERATIONS,
    apply_event,
    credit,
    end_invoice,
    keep,
    queue_credit,
    standing,
)
from integrity.reference.streamvote.voting import (
    Ballot,
    Parts,
    current_window,
    debit,
    enter,
    look_up,
    next_sequence,
    record,
    spent_together,
    take,
    touch_wallet,
)
from integrity.systems.service import Answer
from integrity.systems.system import Bug, instead


def credit_invoice_checked_before(*, operation_id: UUID, invoice_id: int) -> Steps:
    """Read the invoice's status, then change it whatever it has become: two jobs at once both see it paid."""
    yield Begin()
    invoice: Rows = yield Statement(
        "select wallet_id, stars, status from streamvote.invoices where id = :invoice_id", {"invoice_id": invoice_id}
    )
    if not invoice or invoice[0]["status"] != "paid":
        yield Rollback()
        return Declined("nothing_to_credit")
    yield Statement(
        "update streamvote.invoices set status = 'credited', credited_at = current_timestamp where id = :invoice_id",
        {"invoice_id": invoice_id},
    )
    yield from credit(invoice_id, invoice[0]["wallet_id"], invoice[0]["stars"], operation_id)
    yield Commit()
    return Ok({"stars": invoice[0]["stars"]})


def receive_payment_webhook_queueing_early(*, operation_id: UUID, event_id: str, invoice_id: int, kind: str) -> Steps:
    """Queue the job inside the transaction that it is about: it may run before the commit, and finds nothing to credit."""
    yield Begin()
    event: Rows = yield apply_event(operation_id, event_id, invoice_id, kind)
    if not event:
        yield Rollback()
        return Declined("event_already_applied")
    if kind == "paid" and not (yield from queue_credit(invoice_id)):
        yield Rollback()
        return Unavailable(NOT_QUEUED)
    invoice: Rows = yield end_invoice(invoice_id, kind)
    if not invoice:
        yield Rollback()
        return Declined("invoice_not_open")
    yield Commit()
    return Ok({"invoice_id": invoice_id})


def poll_event_kept_for_ever(*, operation_id: UUID, live_event_id: int) -> Steps:
    """Put the answer into the cache without a time to live: whoever polls after the first sees what the first saw."""
    key = f"event-{live_event_id}"
    cached: Answer = yield Request("cache", {"command": "get", "key": key})
    if cached["status"] == "hit":
        return Ok({name: cached[name] for name in ("state", "sequence", "vote_count", "stars")})
    found: Rows = yield standing(live_event_id)
    if not found:
        return Declined("unknown_event")
    yield from keep(key, cached, found[0], None)
    return Ok(dict(found[0]))


def record_without_conflict(ballot: Ballot, option: Row, rate_window_id: int, reason: str | None) -> Statement:
    """Insert the vote: whether its key has one already was looked up before, and two sendings at once find nothing."""
    sound = record(ballot, option, rate_window_id, reason)
    return Statement(sound.sql.replace("on conflict (wallet_id, idempotency_key) do nothing", ""), sound.parameters)


def look_up_with_tally(ballot: Ballot) -> Statement:
    """Read the option's tally along with it."""
    sound = look_up(ballot)
    columns = "tallies.vote_count as tally_votes, tallies.stars as tally_stars, wallets.budget_id"
    tallies = "join streamvote.tallies on tallies.option_id = options.id left join streamvote.votes"
    sql = sound.sql.replace("wallets.budget_id", columns).replace("left join streamvote.votes", tallies)
    return Statement(sql, sound.parameters)


def write_tally_back(option: Row) -> Statement:
    """Write back the tally that was read at the start, plus this vote: others have been counted since."""
    return Statement(
        "update streamvote.tallies set vote_count = :vote_count, stars = :stars where option_id = :option_id",
        {
            "option_id": option["option_id"],
            "vote_count": option["tally_votes"] + 1,
            "stars": option["tally_stars"] + option["price_stars"],
        },
    )


def next_sequence_of_any(ballot: Ballot) -> Statement:
    """Take the event's next number whether it is open or not: it was open when the vote began."""
    sound = next_sequence(ballot)
    return Statement(sound.sql.replace("and status = 'open'", ""), sound.parameters)


def pay_by_snapshot(ballot: Ballot, option: Row) -> Generator[Step, Any, str | None]:
    """Hold the sum against the budget, and debit the own wallet: no row is written by both wallets of a family.

    Repeatable read, which the vote asks for, has each see a snapshot in which the other has not spent yet.
    """
    if option["status"] != "open":
        return "event_closed"
    if option["budget_id"] is not None:
        budget: Rows = yield Statement(
            "select limit_stars from streamvote.budgets where id = :budget_id", {"budget_id": option["budget_id"]}
        )
        spent: Rows = yield spent_together(option)
        if spent[0]["spent_stars"] + option["price_stars"] > budget[0]["limit_stars"]:
            return "budget_exhausted"
    debited: Rows = yield debit(ballot, option)
    return None if debited else "insufficient_stars"


def admit_by_count_before(ballot: Ballot) -> Generator[Step, Any, int | None]:
    """Read the window's count before the wallet is touched: votes at once all read the same, and all go in."""
    window: Rows = yield current_window(ballot)
    yield touch_wallet(ballot)
    return (yield from enter(ballot, window))


def _voting(parts: Parts) -> dict[str, Operation]:
    """Return the vote with these parts."""

    def vote(*, operation_id: UUID, wallet_id: int, live_event_id: int, choice: int, idempotency_key: str) -> Steps:
        return take(Ballot(wallet_id, live_event_id, choice, idempotency_key, operation_id), parts)

    return instead(OPERATIONS, vote, "vote")


BUGS: dict[str, Bug] = {
    bug.name: bug
    for bug in (
        Bug(
            name="double_credit",
            forgotten="The credit job reads whether the invoice is paid, and then changes it whatever it has become.",
            operations=instead(OPERATIONS, credit_invoice_checked_before, "credit_invoice"),
            dropped=("entries.entries_one_leg_per_reference",),
            violates=("streamvote/invoice-credited-once",),
            race=("credit_invoice", "credit_invoice"),
            schedule="AB",
        ),
        Bug(
            name="double_vote",
            forgotten="The vote looks its key up and then inserts it; no unique constraint stops the second sending.",
            operations=_voting(Parts(record=record_without_conflict)),
            dropped=("votes.votes_wallet_id_idempotency_key_key",),
            violates=("streamvote/key-has-one-effect", "streamvote/same-key-same-answer"),
            race=("vote", "vote"),
            schedule="AB",
        ),
        Bug(
            name="tally_drift",
            forgotten="The vote reads its option's tally at the start and writes it back, plus one, at the end.",
            operations=_voting(Parts(look_up=look_up_with_tally, count=write_tally_back)),
            violates=("streamvote/tally-equals-votes",),
            race=("vote", "vote"),
            schedule="AB",
        ),
        Bug(
            name="late_vote",
            forgotten="The vote sees that its event is open before it has the lock that closing the event takes.",
            operations=_voting(Parts(next_sequence=next_sequence_of_any)),
            violates=("streamvote/no-vote-after-close",),
            race=("vote", "close_event"),
            schedule="AB",
        ),
        Bug(
            name="write_skew",
            forgotten="Two wallets hold their sum against the budget, at repeatable read, and each debits its own row.",
            operations=_voting(Parts(isolation=Isolation.REPEATABLE_READ, pay=pay_by_snapshot)),
            violates=("streamvote/budget-not-overspent",),
            race=("vote", "vote"),
            schedule="AB",
        ),
        Bug(
            name="rate_limit_race",
            forgotten="The vote reads its window's count before its wallet is locked, and counts itself afterwards.",
            operations=_voting(Parts(admit=admit_by_count_before)),
            dropped=("rate_windows.rate_windows_limit_kept",),
            violates=("streamvote/rate-limit-kept", "streamvote/rate-windows-apart"),
            race=("vote", "vote"),
            schedule="AAB",
        ),
        Bug(
            name="stale_poll",
            forgotten="What a poll read is put into the cache without a time to live.",
            operations=instead(OPERATIONS, poll_event_kept_for_ever, "poll_event"),
            violates=("streamvote/poll-is-fresh",),
        ),
        Bug(
            name="job_before_commit",
            forgotten="The webhook queues the credit before it commits that the invoice is paid; the job comes too early.",
            operations=instead(OPERATIONS, receive_payment_webhook_queueing_early, "receive_payment_webhook"),
            violates=("streamvote/credit-job-credits", "streamvote/paid-invoice-is-credited"),
        ),
    )
}
