"""A small world of inbox, written by hand, in which every invariant holds.

Business 1 answers a customer on WhatsApp, who has written again since, and another by mail; it has changed its plan once.
Business 2 has just written an SMS, opened a checkout and begun an upload. A first run (r1, 18:00 to 19:00) made what its
calls tell; a second one (r2, from 20:00) goes on, its calls not loaded yet.
"""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import orjson

from tests.database.worlds import invariant_files, op, query_files, rows

FILES = invariant_files("inbox")
QUERIES = query_files("inbox")

NOW = datetime(2026, 1, 17, 20, 20, tzinfo=UTC)
"""When the world is audited: what is queued or pending is 15 minutes old to the second, what is open an hour: not stuck."""


def at(time: str) -> str:
    return f"2026-01-17 {time}"


def json(**members: Any) -> str:
    return orjson.dumps(members).decode()


TOLD = {
    8: json(event_id="whatsapp-2-sent"),
    9: json(event_id="whatsapp-2-delivered"),
    10: json(event_id="whatsapp-3-failed"),
    25: json(business_id=1),
}
"""Arguments of calls, where a query asks for them."""

WORLD: Mapping[str, list[dict[str, Any]]] = {
    "inbox.businesses": rows(
        "id name messages_per_hour plan_revision message_sequence created_at",
        (1, "Bakery", 2, 2, 2, at("12:00:00")),
        (2, "Garage", 1000, 0, 0, at("12:00:00")),
    ),
    "inbox.members": rows(
        "id business_id email home_business_id created_at",
        (1, 1, "ann@example.com", 1, at("12:00:00")),
        (2, 1, "agency@example.com", 2, at("12:00:00")),
        (3, 2, "ben@example.com", 2, at("12:00:00")),
    ),
    "inbox.customers": rows(
        "id business_id name created_at",
        (1, 1, "Customer 1", at("12:00:00")),
        (2, 1, "Customer 2", at("12:00:00")),
        (3, 2, "Customer 3", at("12:00:00")),
    ),
    "inbox.conversations": rows(
        "id business_id customer_id member_id channel last_message_at unread_count last_read_message_id created_at",
        (1, 1, 1, 1, "whatsapp", at("18:02:00"), 1, 3, at("17:00:00")),
        (2, 1, 2, 2, "email", at("18:04:00"), 0, 0, at("17:00:00")),
        (3, 2, 3, 3, "sms", at("20:05:00"), 0, 0, at("17:00:00")),
        (4, 2, 3, 3, "whatsapp", None, 0, 0, at("17:00:00")),
    ),
    "inbox.rate_windows": rows(
        "id business_id member_id channel hour admitted_count limit_count",
        (1, 1, 1, "whatsapp", "2026-01-17 18", 2, 2),
        (2, 1, 2, "email", "2026-01-17 18", 2, 2),
        (3, 2, 3, "sms", "2026-01-17 20", 1, 1000),
    ),
    "inbox.messages": rows(
        "id business_id conversation_id direction status body provider_message_id rate_window_id sequence operation_id"
        " created_at",
        (1, 1, 1, "inbound", "received", "Where is my order?", "whatsapp-in-1", None, None, op(1), at("17:00:00")),
        (2, 1, 1, "outbound", "delivered", "It left today.", "whatsapp-2", 1, 1, op(2), at("18:00:00")),
        (3, 1, 1, "outbound", "failed", "It comes tomorrow.", "whatsapp-3", 1, 2, op(3), at("18:01:00")),
        (4, 1, 1, "inbound", "received", "When did the order leave?", "whatsapp-in-4", None, None, op(4), at("18:02:00")),
        (5, 1, 2, "outbound", "failed", "Your invoice.", None, 2, None, op(5), at("18:03:00")),
        (6, 1, 2, "outbound", "sent", "Your invoice, once more.", "email-6", 2, None, op(6), at("18:04:00")),
        (7, 2, 3, "outbound", "queued", "Your car is ready.", None, 3, None, op(7), at("20:05:00")),
    ),
    "inbox.provider_events": rows(
        "id event_id message_id provider_message_id kind operation_id applied_at",
        (1, "whatsapp-2-sent", 2, "whatsapp-2", "sent", op(8), at("18:00:01")),
        (2, "whatsapp-2-delivered", 2, "whatsapp-2", "delivered", op(9), at("18:00:02")),
        (3, "whatsapp-3-failed", 3, "whatsapp-3", "failed", op(10), at("18:01:02")),
    ),
    "inbox.checkouts": rows(
        "id business_id amount_minor status session_reference operation_id created_at settled_at",
        (1, 1, 4900, "paid", "session-1", op(11), at("18:05:00"), at("18:06:00")),
        (2, 1, 4900, "failed", "session-2", op(12), at("17:00:00"), at("17:01:00")),
        (3, 2, 4900, "open", None, op(13), at("19:20:00"), None),
        (4, 1, 4900, "expired", None, op(23), at("17:02:00"), at("17:03:00")),
        (5, 1, 4900, "paid", "session-5", op(24), at("16:00:00"), at("16:01:00")),
    ),
    "inbox.subscriptions": rows(
        "id business_id checkout_id status operation_id started_at ended_at",
        (1, 1, 5, "ended", op(14), at("16:01:00"), at("18:06:00")),
        (2, 1, 1, "active", op(15), at("18:06:00"), None),
    ),
    "inbox.media": rows(
        "id business_id conversation_id message_id object_key size_bytes content_hash status operation_id created_at",
        (1, 1, 1, 1, "k1", 1000, "h1", "stored", op(16), at("18:07:00")),
        (2, 1, 1, 1, "k2", 2000, "h2", "abandoned", op(17), at("18:08:00")),
        (3, 2, 3, 7, "k3", 3000, "h3", "pending", op(18), at("20:05:00")),
    ),
    "integrity.runs": rows(
        "run_id system profile seed state started_at ended_at alive_until",
        ("r1", "inbox", "hammer", 1, "finished", at("18:00:00"), at("19:00:00"), at("19:01:00")),
        ("r2", "inbox", "hammer", 2, "running", at("20:00:00"), None, at("21:30:00")),
    ),
    "integrity.calls": rows(
        "run_id operation_id operation arguments client intended_at invoked_at returned_at outcome reply error attempts",
        *(
            ("r1", op(number), operation, TOLD.get(number, "{}"), 1, at(time), at(time), returned, outcome, "{}", "", 1)
            for number, operation, time, returned, outcome in (
                (2, "send_whatsapp", "18:00:00", at("18:00:00"), "ok"),
                (25, "open_changes", "17:59:00", at("17:59:00"), "ok"),
                (8, "receive_provider_event", "18:00:01", at("18:00:01"), "ok"),
                (9, "receive_provider_event", "18:00:02", at("18:00:02"), "ok"),
                (3, "send_whatsapp", "18:01:00", None, "unknown"),  # it took effect, and the answer was lost
                (10, "receive_provider_event", "18:01:02", at("18:01:02"), "ok"),
                (4, "receive_message", "18:02:00", at("18:02:00"), "ok"),
                (5, "send_email", "18:03:00", at("18:03:00"), "ok"),
                (6, "send_email", "18:04:00", at("18:04:00"), "ok"),
                (11, "create_checkout", "18:05:00", at("18:05:00"), "ok"),
                (15, "receive_checkout_webhook", "18:06:00", at("18:06:00"), "ok"),
                (16, "upload_media", "18:07:00", at("18:07:00"), "ok"),
                (17, "upload_media", "18:08:00", at("18:08:30"), "declined"),  # the store had revoked it
                (22, "settle_uploads", "18:08:10", at("18:08:10"), "ok"),
                (19, "send_whatsapp", "18:09:00", at("18:09:00"), "declined"),
                (20, "send_whatsapp", "18:10:00", at("18:10:00"), "failed"),
                (21, "send_whatsapp", "18:11:00", None, "unknown"),  # it had no effect
            )
        ),
    ),
    "integrity.requests": rows(
        "run_id number operation_id service payload answer requested_at",
        *(
            ("r1", number, op(call), service, json(**payload), json(**answer), at(time))
            for number, call, service, payload, answer, time in (
                (
                    1,
                    2,
                    "whatsapp",
                    {"message_id": 2, "key": op(2)},
                    {"status": "accepted", "message_id": 2, "provider_message_id": "whatsapp-2"},
                    "18:00:00",
                ),
                (2, 3, "whatsapp", {"message_id": 3, "key": op(3)}, {"status": "timeout"}, "18:01:00"),
                (3, 5, "email", {"message_id": 5, "key": op(5)}, {"status": "rejected", "message_id": 5}, "18:03:00"),
                (
                    4,
                    6,
                    "email",
                    {"message_id": 6, "key": op(6)},
                    {"status": "accepted", "message_id": 6, "provider_message_id": "email-6"},
                    "18:04:00",
                ),
                (
                    5,
                    11,
                    "processor",
                    {"action": "create", "checkout_id": 1, "amount_minor": 4900},
                    {"status": "accepted", "checkout_id": 1, "session_reference": "session-1"},
                    "18:05:00",
                ),
                (
                    6,
                    16,
                    "store",
                    {"action": "put", "object_key": "k1", "size_bytes": 1000, "content_hash": "h1"},
                    {"status": "stored"},
                    "18:07:00",
                ),
                (7, 22, "store", {"action": "settle", "object_key": "k2"}, {"status": "revoked"}, "18:08:10"),
                (
                    8,
                    17,
                    "store",
                    {"action": "put", "object_key": "k2", "size_bytes": 2000, "content_hash": "h2"},
                    {"status": "revoked"},
                    "18:08:20",
                ),
            )
        ),
    ),
    "integrity.received": rows(
        "run_id number operation_id client stream sequence event_id sent_at received_at",
        ("r1", 1, op(25), 1, 1, 1, 2, at("18:00:00"), at("18:00:01")),
        ("r1", 2, op(25), 1, 1, 2, 3, at("18:01:00"), at("18:01:01")),
    ),
}
