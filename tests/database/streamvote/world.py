"""Two live events, written by hand, in which every invariant of streamvote holds.

Wallets 1 and 2 are a family: they bought 100 and 50 stars and share a budget of 20, of which 10 are spent. Wallet 1 voted
twice in event 1, at 5 stars, and wallet 2 was declined once that event was closed. Wallet 3 has no stars: its vote in event
2, which is open, was declined, and sent again; of its invoices one is open, one is paid and waits for its credit, one
expired. A first run (r1, 18:00 to 19:00) made what its calls tell; a second one (r2, from 20:00) goes on, its calls not
loaded yet.
"""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from tests.database.worlds import invariant_files, op, query_files, rows

FILES = invariant_files("streamvote")
QUERIES = query_files("streamvote")

NOW = datetime(2026, 1, 17, 20, 20, tzinfo=UTC)
"""When the world is audited: to the second, the open invoice has waited 15 minutes and the paid one a minute."""


def at(time: str) -> str:
    return f"2026-01-17 {time}"


def call(
    number: int, operation: str, time: str, outcome: str = "ok", *, arguments: str = "{}", reply: str | None = "{}"
) -> tuple[Any, ...]:
    """Return a call of run r1."""
    returned = at(time) if outcome in ("ok", "declined") else None
    return ("r1", op(number), operation, arguments, 1, at(time), at(time), returned, outcome, reply, "", 1)


def voted(wallet: int, event: int, choice: int, key: str) -> str:
    """Return the arguments of a vote."""
    return f'{{"wallet_id": {wallet}, "live_event_id": {event}, "choice": {choice}, "idempotency_key": "{key}"}}'


DECLINED = '{"reason": "insufficient_stars"}'
LIMITED = '{"reason": "rate_limited"}'

WORLD: Mapping[str, list[dict[str, Any]]] = {
    "streamvote.rules": rows("id votes_per_window star_price_minor", (1, 20, 13)),
    "streamvote.budgets": rows("id limit_stars last_spent_at", (1, 20, at("18:06:00"))),
    "streamvote.wallets": rows(
        "id handle budget_id balance_stars spent_stars last_vote_at created_at",
        (1, "viewer-1", 1, 90, 10, at("18:05:02"), at("16:00:00")),
        (2, "viewer-2", 1, 50, 0, at("18:08:00"), at("16:00:00")),
        (3, "viewer-3", None, 0, 0, at("18:09:00"), at("16:00:00")),
    ),
    "streamvote.invoices": rows(
        "id wallet_id stars status operation_id created_at paid_at credited_at expired_at",
        (1, 1, 100, "credited", op(1), at("17:00:00"), at("17:00:03"), at("17:00:04"), None),
        (2, 2, 50, "credited", op(4), at("18:01:00"), at("18:01:03"), at("18:01:04"), None),
        (3, 3, 30, "expired", op(7), at("18:02:00"), None, None, at("18:02:03")),
        (4, 3, 20, "open", op(9), at("20:05:00"), None, None, None),
        (5, 3, 40, "paid", op(10), at("20:18:50"), at("20:19:00"), None, None),
    ),
    "streamvote.webhook_events": rows(
        "id event_id invoice_id kind operation_id applied_at",
        (1, "evt-1", 1, "paid", op(2), at("17:00:03")),
        (2, "evt-2", 2, "paid", op(5), at("18:01:03")),
        (3, "evt-3", 3, "failed", op(8), at("18:02:03")),
        (4, "evt-5", 5, "paid", op(11), at("20:19:00")),
    ),
    "streamvote.streamers": rows("id name created_at", (1, "misty", at("16:00:00")), (2, "mellow", at("16:00:00"))),
    "streamvote.live_events": rows(
        "id streamer_id status price_stars sequence operation_id opened_at closed_at",
        (1, 1, "closed", 5, 4, op(12), at("18:03:00"), at("18:07:00")),
        (2, 2, "open", 2, 1, op(13), at("18:04:00"), None),
    ),
    "streamvote.options": rows("id live_event_id choice", (1, 1, 1), (2, 1, 2), (3, 1, 3), (4, 2, 1), (5, 2, 2), (6, 2, 3)),
    "streamvote.rate_windows": rows(
        "id wallet_id limit_count admitted_count started_at ends_at operation_id",
        (1, 1, 20, 2, at("18:05:00"), at("18:05:10"), op(14)),
        (2, 2, 20, 1, at("18:08:00"), at("18:08:10"), op(17)),
        (3, 3, 1, 1, at("18:09:00"), at("18:09:10"), op(18)),
    ),
    "streamvote.votes": rows(
        "id wallet_id live_event_id option_id rate_window_id idempotency_key stars is_accepted reason "
        "operation_id voted_at",
        (1, 1, 1, 1, 1, "tap-1", 5, True, None, op(14), at("18:05:00")),
        (2, 1, 1, 2, 1, "tap-2", 5, True, None, op(15), at("18:05:02")),
        (3, 2, 1, 1, 2, "tap-1", 5, False, "event_closed", op(17), at("18:08:00")),
        (4, 3, 2, 4, 3, "tap-3", 2, False, "insufficient_stars", op(18), at("18:09:00")),
    ),
    "streamvote.tallies": rows(
        "option_id vote_count stars", (1, 1, 5), (2, 1, 5), (3, 0, 0), (4, 0, 0), (5, 0, 0), (6, 0, 0)
    ),
    "streamvote.event_updates": rows(
        "id live_event_id sequence kind vote_id operation_id sent_at",
        (1, 1, 1, "opened", None, op(12), at("18:03:00")),
        (2, 2, 1, "opened", None, op(13), at("18:04:00")),
        (3, 1, 2, "vote", 1, op(14), at("18:05:00")),
        (4, 1, 3, "vote", 2, op(15), at("18:05:02")),
        (5, 1, 4, "closed", None, op(16), at("18:07:00")),
    ),
    "streamvote.entries": rows(
        "id account wallet_id kind amount_stars reference operation_id created_at",
        (1, "wallet", 1, "purchase", 100, 1, op(3), at("17:00:04")),
        (2, "provider", None, "purchase", -100, 1, op(3), at("17:00:04")),
        (3, "wallet", 2, "purchase", 50, 2, op(6), at("18:01:04")),
        (4, "provider", None, "purchase", -50, 2, op(6), at("18:01:04")),
        (5, "wallet", 1, "vote", -5, 1, op(14), at("18:05:00")),
        (6, "streamer", None, "vote", 5, 1, op(14), at("18:05:00")),
        (7, "wallet", 1, "vote", -5, 2, op(15), at("18:05:02")),
        (8, "streamer", None, "vote", 5, 2, op(15), at("18:05:02")),
    ),
    "integrity.runs": rows(
        "run_id system profile seed state started_at ended_at alive_until",
        ("r1", "streamvote", "votes", 1, "finished", at("18:00:00"), at("19:00:00"), at("19:01:00")),
        ("r2", "streamvote", "votes", 2, "running", at("20:00:00"), None, at("21:30:00")),
    ),
    "integrity.calls": rows(
        "run_id operation_id operation arguments client intended_at invoked_at returned_at outcome reply error attempts",
        call(4, "create_invoice", "18:01:00", reply='{"invoice_id": 2}'),
        call(
            5,
            "receive_payment_webhook",
            "18:01:03",
            arguments='{"invoice_id": 2, "kind": "paid"}',
            reply='{"invoice_id": 2}',
        ),
        call(6, "credit_invoice", "18:01:04", arguments='{"invoice_id": 2}', reply='{"stars": 50}'),
        call(7, "create_invoice", "18:02:00", reply='{"invoice_id": 3}'),
        call(8, "receive_payment_webhook", "18:02:03", reply='{"invoice_id": 3}'),
        call(12, "open_event", "18:03:00", reply='{"live_event_id": 1}'),
        call(13, "open_event", "18:04:00", reply='{"live_event_id": 2}'),
        call(14, "vote", "18:05:00", arguments=voted(1, 1, 1, "tap-1"), reply='{"vote_id": 1}'),
        call(
            15, "vote", "18:05:02", "unknown", arguments=voted(1, 1, 2, "tap-2"), reply=None
        ),  # it took effect, the answer was lost
        call(21, "vote", "18:05:04", arguments=voted(1, 1, 2, "tap-2"), reply='{"vote_id": 2}'),  # so it was sent again
        call(16, "close_event", "18:07:00", reply='{"sequence": 4}'),
        call(17, "vote", "18:08:00", "declined", arguments=voted(2, 1, 1, "tap-1"), reply='{"reason": "event_closed"}'),
        call(18, "vote", "18:09:00", "declined", arguments=voted(3, 2, 1, "tap-3"), reply=DECLINED),
        call(19, "vote", "18:09:01", "declined", arguments=voted(3, 2, 1, "tap-3"), reply=DECLINED),
        call(20, "vote", "18:09:02", "declined", arguments=voted(3, 2, 2, "tap-4"), reply=LIMITED),
        call(22, "poll_event", "18:06:00", arguments='{"live_event_id": 1}', reply='{"sequence": 3}'),
        call(23, "poll_event", "18:07:00", arguments='{"live_event_id": 1}', reply='{"sequence": 3}'),
        call(24, "open_stream", "18:04:30", arguments='{"live_event_id": 1}', reply='{"last_sequence": 1}'),
        call(25, "list_streamers", "18:04:00", arguments='{"term": "mis"}', reply='{"streamer_count": 1}'),
        call(26, "list_streamers", "18:04:10", arguments='{"term": "mis"}', reply='{"streamer_count": 1}'),
        call(27, "list_streamers", "18:04:50", arguments='{"term": "mis"}', reply='{"streamer_count": 1}'),
    ),
    "integrity.requests": rows(
        "run_id number operation_id service payload answer requested_at",
        ("r1", 1, op(22), "cache", '{"command": "get"}', '{"status": "miss", "lease": 1}', at("18:06:00")),
        ("r1", 2, op(22), "cache", '{"command": "put"}', '{"status": "stored"}', at("18:06:00")),
        ("r1", 3, op(23), "cache", '{"command": "get"}', '{"status": "hit", "age_ms": 1000}', at("18:07:00")),
        ("r1", 4, op(25), "cache", '{"command": "get"}', '{"status": "hit", "age_ms": 9000}', at("18:04:00")),
        ("r1", 5, op(26), "cache", '{"command": "get"}', '{"status": "hit", "age_ms": 19000}', at("18:04:10")),
        ("r1", 6, op(27), "cache", '{"command": "get"}', '{"status": "miss", "lease": 1}', at("18:04:50")),
    ),
    "integrity.received": rows(
        "run_id number operation_id client stream sequence event_id sent_at received_at",
        ("r1", 1, op(24), 7, 1, 2, 3, at("18:05:00"), at("18:05:01")),
        ("r1", 2, op(24), 8, 1, 3, 4, at("18:05:02"), at("18:05:03")),
        ("r1", 3, op(24), 7, 1, 3, 4, at("18:05:02"), at("18:05:03")),
        ("r1", 4, op(24), 7, 1, 4, 5, at("18:07:00"), at("18:07:01")),
    ),
}
