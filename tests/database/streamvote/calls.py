"""Calls of streamvote's operations on the small world: what each answers and exactly the rows it makes or changes."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from integrity.operation import Declined, Ok, Reply
from tests.database.worlds import op, rows


@dataclass(frozen=True)
class Played:
    """An operation and what is expected of it.

    Args:
        changes: table -> the rows that are new or changed, without their times; this call's operation_id is "this".
        asked: the services that it asks, with what.
        prepared: statements that are done to the world before; every invariant still holds then.
    """

    operation: str
    arguments: Mapping[str, Any]
    reply: Reply
    changes: Mapping[str, list[dict[str, Any]]] = field(default_factory=dict)
    asked: tuple[tuple[str, Mapping[str, Any]], ...] = ()
    prepared: tuple[str, ...] = ()


def voting(wallet_id: int, live_event_id: int, choice: int, key: str) -> dict[str, Any]:
    """Return the arguments of a vote."""
    return {"wallet_id": wallet_id, "live_event_id": live_event_id, "choice": choice, "idempotency_key": key}


WALLET = "id handle budget_id balance_stars spent_stars"
INVOICE = "id wallet_id stars status operation_id"
WEBHOOK_EVENT = "id event_id invoice_id kind operation_id"
ENTRY = "id account wallet_id kind amount_stars reference operation_id"
WINDOW = "id wallet_id limit_count admitted_count operation_id"
VOTE = "id wallet_id live_event_id option_id rate_window_id idempotency_key stars is_accepted reason operation_id"
UPDATE = "id live_event_id sequence kind vote_id operation_id"
EVENT = "id streamer_id status price_stars sequence operation_id"

OPEN_WINDOW = "update streamvote.rate_windows set ends_at = now() + interval '1 hour' where wallet_id ="

PLAYED: Mapping[str, Played] = {
    "the app starts": Played(
        "get_config", {"wallet_id": 1}, Ok({"balance_stars": 90, "votes_per_window": 20, "star_price_minor": 13})
    ),
    "the app of nobody starts": Played("get_config", {"wallet_id": 9}, Declined("unknown_wallet")),
    "a streamer is searched": Played(
        "list_streamers",
        {"term": "m"},
        Ok({"streamer_count": 2, "live_count": 1}),
        asked=(
            ("cache", {"command": "get", "key": "streamers-m"}),
            (
                "cache",
                {
                    "command": "put",
                    "key": "streamers-m",
                    "lease": 7,
                    "ttl_ms": 30_000,
                    "streamer_count": 2,
                    "live_count": 1,
                },
            ),
        ),
    ),
    "an event is polled": Played(
        "poll_event",
        {"live_event_id": 1},
        Ok({"state": "closed", "sequence": 4, "vote_count": 2, "stars": 10}),
        asked=(
            ("cache", {"command": "get", "key": "event-1"}),
            (
                "cache",
                {
                    "command": "put",
                    "key": "event-1",
                    "lease": 7,
                    "ttl_ms": 500,
                    "state": "closed",
                    "sequence": 4,
                    "vote_count": 2,
                    "stars": 10,
                },
            ),
        ),
    ),
    "an event that is not there is polled": Played(
        "poll_event",
        {"live_event_id": 9},
        Declined("unknown_event"),
        asked=(("cache", {"command": "get", "key": "event-9"}),),
    ),
    "a stream is opened": Played("open_stream", {"live_event_id": 1, "last_sequence": None}, Ok({"last_sequence": 4})),
    "a stream is opened again": Played("open_stream", {"live_event_id": 1, "last_sequence": 2}, Ok({"last_sequence": 4})),
    "a stream of nothing is opened": Played(
        "open_stream", {"live_event_id": 9, "last_sequence": None}, Declined("unknown_event")
    ),
    "stars are bought": Played(
        "create_invoice",
        {"wallet_id": 3, "stars": 60},
        Ok({"invoice_id": 6}),
        {"invoices": rows(INVOICE, (6, 3, 60, "open", "this"))},
        (("provider", {"command": "create", "invoice_id": 6, "stars": 60}),),
    ),
    "a payment succeeded": Played(
        "receive_payment_webhook",
        {"event_id": "evt-4", "invoice_id": 4, "kind": "paid"},
        Ok({"invoice_id": 4}),
        {
            "invoices": rows(INVOICE, (4, 3, 20, "paid", op(9))),
            "webhook_events": rows(WEBHOOK_EVENT, (5, "evt-4", 4, "paid", "this")),
        },
        (("jobs", {"job": "credit_invoice", "invoice_id": 4}),),
    ),
    "a payment failed": Played(
        "receive_payment_webhook",
        {"event_id": "evt-4", "invoice_id": 4, "kind": "failed"},
        Ok({"invoice_id": 4}),
        {
            "invoices": rows(INVOICE, (4, 3, 20, "expired", op(9))),
            "webhook_events": rows(WEBHOOK_EVENT, (5, "evt-4", 4, "failed", "this")),
        },
    ),
    "an event comes again": Played(
        "receive_payment_webhook",
        {"event_id": "evt-1", "invoice_id": 1, "kind": "paid"},
        Declined("event_already_applied"),
        asked=(("jobs", {"job": "credit_invoice", "invoice_id": 1}),),
    ),
    "another event comes for an invoice that ended": Played(
        "receive_payment_webhook",
        {"event_id": "evt-9", "invoice_id": 3, "kind": "paid"},
        Declined("invoice_not_open"),
    ),
    "a paid invoice is credited": Played(
        "credit_invoice",
        {"invoice_id": 5},
        Ok({"stars": 40}),
        {
            "invoices": rows(INVOICE, (5, 3, 40, "credited", op(10))),
            "wallets": rows(WALLET, (3, "viewer-3", None, 40, 0)),
            "entries": rows(
                ENTRY,
                (9, "wallet", 3, "purchase", 40, 5, "this"),
                (10, "provider", None, "purchase", -40, 5, "this"),
            ),
        },
    ),
    "an open invoice is not credited": Played("credit_invoice", {"invoice_id": 4}, Declined("nothing_to_credit")),
    "a credited invoice is not credited again": Played("credit_invoice", {"invoice_id": 1}, Declined("nothing_to_credit")),
    "an invoice that the provider never heard of expires": Played(
        "check_invoice",
        {"invoice_id": 4},
        Ok({"invoice_id": 4}),
        {"invoices": rows(INVOICE, (4, 3, 20, "expired", op(9)))},
        (("provider", {"command": "cancel", "invoice_id": 4}),),
    ),
    "an invoice that is paid does not expire": Played("check_invoice", {"invoice_id": 5}, Declined("invoice_not_open")),
    "a family is allowed more": Played(
        "raise_budget",
        {"wallet_id": 2, "stars": 5},
        Ok({"limit_stars": 25}),
        {"budgets": rows("id limit_stars", (1, 25))},
    ),
    "who has no budget has none to raise": Played("raise_budget", {"wallet_id": 3, "stars": 5}, Declined("no_budget")),
    "an event is opened": Played(
        "open_event",
        {"streamer_id": 1, "price_stars": 3},
        Ok({"live_event_id": 3}),
        {
            "live_events": rows(EVENT, (3, 1, "open", 3, 1, "this")),
            "options": rows("id live_event_id choice", (7, 3, 1), (8, 3, 2), (9, 3, 3)),
            "tallies": rows("option_id vote_count stars", (7, 0, 0), (8, 0, 0), (9, 0, 0)),
            "event_updates": rows(UPDATE, (6, 3, 1, "opened", None, "this")),
        },
    ),
    "an event is closed": Played(
        "close_event",
        {"live_event_id": 2},
        Ok({"sequence": 2}),
        {
            "live_events": rows(EVENT, (2, 2, "closed", 2, 2, op(13))),
            "event_updates": rows(UPDATE, (6, 2, 2, "closed", None, "this")),
        },
    ),
    "a closed event is not closed again": Played("close_event", {"live_event_id": 1}, Declined("event_not_open")),
    "a vote is cast": Played(
        "vote",
        voting(1, 2, 3, "tap-9"),
        Ok({"vote_id": 5}),
        {
            "budgets": rows("id limit_stars", (1, 20)),
            "wallets": rows(WALLET, (1, "viewer-1", 1, 88, 12)),
            "rate_windows": rows(WINDOW, (4, 1, 20, 1, "this")),
            "votes": rows(VOTE, (5, 1, 2, 6, 4, "tap-9", 2, True, None, "this")),
            "entries": rows(
                ENTRY,
                (9, "wallet", 1, "vote", -2, 5, "this"),
                (10, "streamer", None, "vote", 2, 5, "this"),
            ),
            "live_events": rows(EVENT, (2, 2, "open", 2, 2, op(13))),
            "tallies": rows("option_id vote_count stars", (6, 1, 2)),
            "event_updates": rows(UPDATE, (6, 2, 2, "vote", 5, "this")),
        },
    ),
    "a second vote is counted in the same window": Played(
        "vote",
        voting(3, 2, 1, "tap-9"),
        Declined("insufficient_stars"),
        {
            "wallets": rows(WALLET, (3, "viewer-3", None, 0, 0)),
            "rate_windows": rows(WINDOW, (3, 3, 2, 2, op(18))),
            "votes": rows(VOTE, (5, 3, 2, 4, 3, "tap-9", 2, False, "insufficient_stars", "this")),
        },
        prepared=(f"{OPEN_WINDOW} 3", "update streamvote.rate_windows set limit_count = 2 where id = 3"),
    ),
    "a vote in a full window is refused": Played(
        "vote", voting(3, 2, 1, "tap-9"), Declined("rate_limited"), prepared=(f"{OPEN_WINDOW} 3",)
    ),
    "a vote in a closed event is declined": Played(
        "vote",
        voting(2, 1, 2, "tap-9"),
        Declined("event_closed"),
        {
            "wallets": rows(WALLET, (2, "viewer-2", 1, 50, 0)),
            "rate_windows": rows(WINDOW, (4, 2, 20, 1, "this")),
            "votes": rows(VOTE, (5, 2, 1, 2, 4, "tap-9", 5, False, "event_closed", "this")),
        },
    ),
    "a vote beyond the family's budget is declined": Played(
        "vote",
        voting(2, 2, 1, "tap-9"),
        Declined("budget_exhausted"),
        {
            "budgets": rows("id limit_stars", (1, 11)),
            "wallets": rows(WALLET, (2, "viewer-2", 1, 50, 0)),
            "rate_windows": rows(WINDOW, (4, 2, 20, 1, "this")),
            "votes": rows(VOTE, (5, 2, 2, 4, 4, "tap-9", 2, False, "budget_exhausted", "this")),
        },
        prepared=("update streamvote.budgets set limit_stars = 11",),
    ),
    "a vote for what is not there is declined": Played("vote", voting(1, 9, 1, "tap-9"), Declined("not_found")),
    "a vote that comes again gets its answer": Played("vote", voting(1, 1, 2, "tap-2"), Ok({"vote_id": 2})),
    "a vote that was declined is declined again": Played("vote", voting(3, 2, 1, "tap-3"), Declined("insufficient_stars")),
    "a vote that comes again is answered in a full window too": Played(
        "vote", voting(3, 2, 1, "tap-3"), Declined("insufficient_stars"), prepared=(f"{OPEN_WINDOW} 3",)
    ),
    "a key of another vote is refused": Played("vote", voting(1, 1, 1, "tap-2"), Declined("idempotency_key_reused")),
}
