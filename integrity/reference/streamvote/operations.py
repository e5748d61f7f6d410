"""What viewers and streamers do: buy stars, find a streamer, vote in a live event, watch the votes come in.

Sound at read committed, repeatable read and serializable. A call decides by rows that it has written to, not only locked:
at repeatable read a lock alone would let it decide by an old snapshot. Locks are taken in one order, the busiest last:
webhook event, invoice, wallet, rate window, budget, live event, tally. So the row that all votes of an event need, the
event itself, is held for its last three statements only.

A vote's key has one answer for ever, yes or no: it is stored with the vote, in the transaction that does what it says.
Services are asked outside of transactions. What a crash leaves behind, the provider's next webhook, check_invoice or
credit_invoice settles. What bugs forget stands in bugs.py, beside the same story.
"""

from collections.abc import Generator
from typing import Any
from uuid import UUID

from integrity.domain import Domain, IntegerIn, KeyOf, OneOf
from integrity.operation import (
    Begin,
    Commit,
    Declined,
    Ok,
    Operation,
    Push,
    Request,
    Rollback,
    Row,
    Rows,
    Statement,
    Step,
    Steps,
    Unavailable,
    Value,
)
from integrity.reference.patterns import as_it_stands
from integrity.reference.streamvote.voting import post, tell, vote
from integrity.systems.service import Answer, is_answered
from integrity.systems.system import Subscription

EVENT_TTL_MS = 500
"""How long the cache may answer polls of an event: half of the second that an answer may be behind."""

LISTING_TTL_MS = 30_000

UPDATES_AT_ONCE = 500

SILENCE, NOT_QUEUED = "provider_did_not_answer", "queue_did_not_answer"


def get_config(*, operation_id: UUID, wallet_id: int) -> Steps:
    """The app starts: what the viewer has, and what the rules are."""
    found: Rows = yield Statement(
        """
        select
            wallets.balance_stars,
            newest.votes_per_window,
            newest.star_price_minor
        from streamvote.wallets
        cross join (
            select rules.votes_per_window, rules.star_price_minor from streamvote.rules order by rules.id desc limit 1
        ) as newest
        where wallets.id = :wallet_id
        """,
        {"wallet_id": wallet_id},
    )
    return Ok(dict(found[0])) if found else Declined("unknown_wallet")


def list_streamers(*, operation_id: UUID, term: str) -> Steps:
    """A viewer searches: whose name begins like this, and how many of them are live."""
    key = f"streamers-{term}"
    cached: Answer = yield Request("cache", {"command": "get", "key": key})
    if cached["status"] == "hit":
        return Ok({name: cached[name] for name in ("streamer_count", "live_count")})
    found: Rows = yield Statement(
        """
        select
            count(distinct streamers.id) as streamer_count,
            count(live_events.id)        as live_count
        from streamvote.streamers
        left join streamvote.live_events on live_events.streamer_id = streamers.id and live_events.status = 'open'
        where streamers.name like :pattern
        """,
        {"pattern": f"{as_it_stands(term)}%"},
    )
    yield from keep(key, cached, found[0], LISTING_TTL_MS)
    return Ok(dict(found[0]))


def poll_event(*, operation_id: UUID, live_event_id: int) -> Steps:
    """A viewer without a stream asks how an event stands; the answer is from the cache, and so a little behind."""
    key = f"event-{live_event_id}"
    cached: Answer = yield Request("cache", {"command": "get", "key": key})
    if cached["status"] == "hit":
        return Ok({name: cached[name] for name in ("state", "sequence", "vote_count", "stars")})
    found: Rows = yield standing(live_event_id)
    if not found:
        return Declined("unknown_event")
    yield from keep(key, cached, found[0], EVENT_TTL_MS)
    return Ok(dict(found[0]))


def open_stream(*, operation_id: UUID, live_event_id: int, last_sequence: int | None) -> Steps:
    """A viewer watches an event: from now on, or from the last update that was seen before the connection broke."""
    if last_sequence is not None:
        return (
            yield from follow_event(operation_id=operation_id, live_event_id=live_event_id, last_sequence=last_sequence)
        )
    found: Rows = yield Statement(
        "select sequence from streamvote.live_events where id = :live_event_id", {"live_event_id": live_event_id}
    )
    return Ok({"last_sequence": found[0]["sequence"]}) if found else Declined("unknown_event")


def follow_event(*, operation_id: UUID, live_event_id: int, last_sequence: int) -> Steps:
    """The stream goes on. Updates become visible in the order of their sequence, as each one's vote held the event."""
    updates: Rows = yield Statement(
        f"""
        select
            event_updates.live_event_id as stream,
            event_updates.sequence,
            event_updates.id            as event_id,
            event_updates.sent_at
        from streamvote.event_updates
        where event_updates.live_event_id = :live_event_id and event_updates.sequence > :last_sequence
        order by event_updates.sequence
        limit {UPDATES_AT_ONCE}
        """,
        {"live_event_id": live_event_id, "last_sequence": last_sequence},
    )
    if updates:
        yield Push(updates)
    return Ok({"last_sequence": updates[-1]["sequence"] if updates else last_sequence})


def create_invoice(*, operation_id: UUID, wallet_id: int, stars: int) -> Steps:
    """A viewer buys stars: the invoice is open until the provider's webhook says how it ended."""
    yield Begin()
    invoice: Rows = yield Statement(
        """
        insert into streamvote.invoices (wallet_id, stars, status, operation_id)
        values (:wallet_id, :stars, 'open', :operation_id)
        returning id
        """,
        {"wallet_id": wallet_id, "stars": stars, "operation_id": operation_id},
    )
    yield Commit()
    # After the commit: a webhook may arrive before the answer does, and must find its invoice. Whatever the answer is, the
    # invoice stands: the webhook ends it, or check_invoice does when the provider never heard of it.
    invoice_id = invoice[0]["id"]
    answer: Answer = yield Request("provider", {"command": "create", "invoice_id": invoice_id, "stars": stars})
    if not is_answered(answer):
        return Unavailable(SILENCE)
    return Ok({"invoice_id": invoice_id})


def receive_payment_webhook(*, operation_id: UUID, event_id: str, invoice_id: int, kind: str) -> Steps:
    """The provider says how an invoice ended, perhaps more than once. Each event is applied once; a job then credits."""
    yield Begin()
    event: Rows = yield apply_event(operation_id, event_id, invoice_id, kind)
    if not event:
        yield Rollback()
        # The delivery that applied it may have died before it queued the job; twice does no harm.
        if kind == "paid" and not (yield from queue_credit(invoice_id)):
            return Unavailable(NOT_QUEUED)
        return Declined("event_already_applied")
    invoice: Rows = yield end_invoice(invoice_id, kind)
    if not invoice:
        yield Rollback()
        return Declined("invoice_not_open")
    yield Commit()
    if kind == "paid" and not (yield from queue_credit(invoice_id)):
        return Unavailable(NOT_QUEUED)
    return Ok({"invoice_id": invoice_id})


def credit_invoice(*, operation_id: UUID, invoice_id: int) -> Steps:
    """The job behind a payment, or the sweeper that looks for lost jobs: a paid invoice's stars go to its wallet."""
    yield Begin()
    invoice: Rows = yield Statement(
        """
        update streamvote.invoices set status = 'credited', credited_at = current_timestamp
        where id = :invoice_id and status = 'paid'
        returning wallet_id, stars
        """,
        {"invoice_id": invoice_id},
    )
    if not invoice:
        yield Rollback()
        return Declined("nothing_to_credit")
    yield from credit(invoice_id, invoice[0]["wallet_id"], invoice[0]["stars"], operation_id)
    yield Commit()
    return Ok({"stars": invoice[0]["stars"]})


def check_invoice(*, operation_id: UUID, invoice_id: int) -> Steps:
    """The sweeper asks about an invoice that is still open; one that nobody will pay any more expires."""
    open_invoice: Rows = yield Statement(
        "select id from streamvote.invoices where id = :invoice_id and status = 'open'", {"invoice_id": invoice_id}
    )
    if not open_invoice:
        return Declined("invoice_not_open")
    answer: Answer = yield Request("provider", {"command": "cancel", "invoice_id": invoice_id})
    if not is_answered(answer):
        return Unavailable(SILENCE)
    if answer["status"] != "cancelled":
        return Declined("payment_under_way")  # its webhook comes, and comes again until it is answered
    expired: Rows = yield Statement(
        """
        update streamvote.invoices set status = 'expired', expired_at = current_timestamp
        where id = :invoice_id and status = 'open'
        returning id
        """,
        {"invoice_id": invoice_id},
    )
    return Ok({"invoice_id": invoice_id}) if expired else Declined("invoice_not_open")


def raise_budget(*, operation_id: UUID, wallet_id: int, stars: int) -> Steps:
    """Whoever pays for a family allows it more stars."""
    raised: Rows = yield Statement(
        """
        update streamvote.budgets set limit_stars = limit_stars + :stars
        where id = (select wallets.budget_id from streamvote.wallets where wallets.id = :wallet_id)
        returning limit_stars
        """,
        {"wallet_id": wallet_id, "stars": stars},
    )
    return Ok(dict(raised[0])) if raised else Declined("no_budget")


def open_event(*, operation_id: UUID, streamer_id: int, price_stars: int) -> Steps:
    """A streamer asks the viewers to choose one of three, and says what a vote costs."""
    yield Begin()
    event: Rows = yield Statement(
        """
        insert into streamvote.live_events (streamer_id, status, price_stars, sequence, operation_id)
        values (:streamer_id, 'open', :price_stars, 1, :operation_id)
        returning id
        """,
        {"streamer_id": streamer_id, "price_stars": price_stars, "operation_id": operation_id},
    )
    live_event_id = event[0]["id"]
    yield Statement(
        """
        insert into streamvote.options (live_event_id, choice)
        values (:live_event_id, 1), (:live_event_id, 2), (:live_event_id, 3)
        """,
        {"live_event_id": live_event_id},
    )
    yield Statement(
        """
        insert into streamvote.tallies (option_id, vote_count, stars)
        select options.id, 0, 0 from streamvote.options where options.live_event_id = :live_event_id
        """,
        {"live_event_id": live_event_id},
    )
    yield tell(live_event_id, 1, "opened", operation_id)
    yield Commit()
    return Ok({"live_event_id": live_event_id})


def close_event(*, operation_id: UUID, live_event_id: int) -> Steps:
    """A streamer ends the voting. Whoever has the event's lock goes first: a vote is counted whole, or comes too late."""
    yield Begin()
    event: Rows = yield Statement(
        """
        update streamvote.live_events
        set status = 'closed', closed_at = current_timestamp, sequence = sequence + 1
        where id = :live_event_id and status = 'open'
        returning sequence
        """,
        {"live_event_id": live_event_id},
    )
    if not event:
        yield Rollback()
        return Declined("event_not_open")
    yield tell(live_event_id, event[0]["sequence"], "closed", operation_id)
    yield Commit()
    return Ok({"sequence": event[0]["sequence"]})


def tap(*, operation_id: UUID, wallet_id: int, live_event_id: int, choice: int) -> Steps:
    """A viewer taps: from here on the app sends the vote, always with the same key, until it is answered."""
    arguments: dict[str, Value] = {"wallet_id": wallet_id, "live_event_id": live_event_id, "choice": choice}
    yield Request("app", {**arguments, "idempotency_key": f"tap-{operation_id}"})
    return Ok()


# The parts that several operations, and their bugs, are made of.


def keep(key: str, cached: Answer, found: Row, ttl_ms: int | None) -> Generator[Step, Any, None]:
    """Put what was read into the cache, if that asked for it: a miss comes with a lease, trouble does not."""
    if cached["status"] == "miss":
        lease: Value = cached["lease"]
        yield Request("cache", {"command": "put", "key": key, "lease": lease, "ttl_ms": ttl_ms, **found})


def standing(live_event_id: int) -> Statement:
    """Read how an event stands; one statement, so that sequence and votes are of the same moment."""
    return Statement(
        """
        select
            live_events.status                   as state,
            live_events.sequence,
            cast(sum(tallies.vote_count) as bigint) as vote_count,
            cast(sum(tallies.stars) as bigint)      as stars
        from streamvote.live_events
        join streamvote.options on options.live_event_id = live_events.id
        join streamvote.tallies on tallies.option_id = options.id
        where live_events.id = :live_event_id
        group by live_events.id
        """,
        {"live_event_id": live_event_id},
    )


def apply_event(operation_id: UUID, event_id: str, invoice_id: int, kind: str) -> Statement:
    """Note a provider's event; no row comes back when it was applied before."""
    return Statement(
        """
        insert into streamvote.webhook_events (event_id, invoice_id, kind, operation_id)
        values (:event_id, :invoice_id, :kind, :operation_id)
        on conflict (event_id) do nothing
        returning id
        """,
        {"event_id": event_id, "invoice_id": invoice_id, "kind": kind, "operation_id": operation_id},
    )


def end_invoice(invoice_id: int, kind: str) -> Statement:
    """Let an open invoice be paid, or expire; no row comes back when it is not open."""
    if kind == "paid":
        change = "status = 'paid', paid_at = current_timestamp"
    else:
        change = "status = 'expired', expired_at = current_timestamp"
    return Statement(
        f"update streamvote.invoices set {change} where id = :invoice_id and status = 'open' returning id",
        {"invoice_id": invoice_id},
    )


def queue_credit(invoice_id: int) -> Generator[Step, Any, bool]:
    """Queue the job that credits an invoice; return whether the queue has it, and so makes it at least once.

    If not, whether it will be made is not known: the provider gets no answer, and so sends its event again.
    """
    answer: Answer = yield Request("jobs", {"job": "credit_invoice", "invoice_id": invoice_id})
    return bool(answer["status"] == "accepted")


def credit(invoice_id: int, wallet_id: int, stars: int, operation_id: UUID) -> Generator[Step, Any, None]:
    """Give an invoice's stars to its wallet."""
    yield Statement(
        "update streamvote.wallets set balance_stars = balance_stars + :stars where id = :wallet_id",
        {"wallet_id": wallet_id, "stars": stars},
    )
    yield post("purchase", invoice_id, operation_id, wallet_id=wallet_id, amount_stars=stars, other="provider")


_VOTE: dict[str, Domain] = {
    "wallet_id": KeyOf("wallets"),
    "live_event_id": KeyOf("live_events"),
    "choice": OneOf((1, 2, 3)),
}

OPERATIONS = {
    operation.name: operation
    for operation in (
        Operation("get_config", get_config, {"wallet_id": KeyOf("wallets")}),
        Operation("list_streamers", list_streamers, {"term": KeyOf("terms")}),
        Operation("poll_event", poll_event, {"live_event_id": KeyOf("live_events")}),
        Operation("open_stream", open_stream, {"live_event_id": KeyOf("live_events"), "last_sequence": OneOf((0, 1))}),
        Operation("create_invoice", create_invoice, {"wallet_id": KeyOf("wallets"), "stars": IntegerIn(10, 100, 10)}),
        Operation(
            "receive_payment_webhook",
            receive_payment_webhook,
            {"event_id": KeyOf("events"), "invoice_id": KeyOf("invoices"), "kind": OneOf(("paid", "failed"))},
        ),
        Operation("credit_invoice", credit_invoice, {"invoice_id": KeyOf("invoices")}),
        Operation("check_invoice", check_invoice, {"invoice_id": KeyOf("invoices")}),
        Operation("raise_budget", raise_budget, {"wallet_id": KeyOf("wallets"), "stars": IntegerIn(1, 5)}),
        Operation("open_event", open_event, {"streamer_id": KeyOf("streamers"), "price_stars": IntegerIn(1, 5)}),
        Operation("close_event", close_event, {"live_event_id": KeyOf("live_events")}),
        Operation("tap", tap, _VOTE),
        Operation("vote", vote, {**_VOTE, "idempotency_key": KeyOf("keys")}),
    )
}

SUBSCRIPTIONS = {
    "open_stream": Subscription("open_stream", Operation("follow_event", follow_event, OPERATIONS["open_stream"].arguments))
}
