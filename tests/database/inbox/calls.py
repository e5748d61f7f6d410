"""Calls of inbox's operations on the small world: what each answers and exactly the rows it makes or changes."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from integrity.operation import Declined, Ok, Reply
from tests.database.worlds import op, rows


@dataclass(frozen=True)
class Call:
    """An operation and what is expected of it.

    Args:
        before: calls that lead up to it, all of which are ok; they have the operation_ids from 100 on, and it the next.
        changes: table -> the rows that are new or changed, without times; this call's operation_id is "this".
    """

    operation: str
    arguments: Mapping[str, Any]
    reply: Reply
    changes: Mapping[str, list[dict[str, Any]]] = field(default_factory=dict)
    before: tuple[tuple[str, Mapping[str, Any]], ...] = ()


CONVERSATION = "id business_id customer_id member_id channel unread_count last_read_message_id"
WINDOW = "id business_id member_id channel admitted_count limit_count"
MESSAGE = "id business_id conversation_id direction status body provider_message_id rate_window_id sequence operation_id"
BUSINESS = "id name messages_per_hour plan_revision message_sequence"
EVENT = "id event_id message_id provider_message_id kind operation_id"
CHECKOUT = "id business_id amount_minor status session_reference operation_id"
SUBSCRIPTION = "id business_id checkout_id status operation_id"
MEDIA = "id business_id conversation_id message_id object_key size_bytes content_hash status operation_id"

HELLO: Mapping[str, Any] = {"conversation_id": 1, "body": "Hello"}
DELIVERED: Mapping[str, Any] = {
    "event_id": "email-6-delivered",
    "message_id": 6,
    "provider_message_id": "email-6",
    "kind": "delivered",
}

CALLS: Mapping[str, Call] = {
    "conversations are counted": Call("count_conversations", {"business_id": 1}, Ok({"count": 2})),
    "a dashboard is loaded": Call("load_dashboard", {"business_id": 1}, Ok({"conversation_count": 2, "unread_count": 1})),
    "a conversation is loaded": Call(
        "load_messages", {"conversation_id": 1}, Ok({"message_count": 4, "newest_message_id": 4})
    ),
    "an empty conversation is loaded": Call(
        "load_messages", {"conversation_id": 4}, Ok({"message_count": 0, "newest_message_id": None})
    ),
    "a text is looked for, in capitals or not": Call(
        "search_messages", {"business_id": 1, "term": "ORDER"}, Ok({"message_count": 2})
    ),
    "a text of another business is not found": Call(
        "search_messages", {"business_id": 2, "term": "order"}, Ok({"message_count": 0})
    ),
    "a business that has paid is told so": Call(
        "check_subscription", {"business_id": 1}, Ok({"is_active": True, "checkout_id": 1})
    ),
    "a business that has not paid is told so": Call(
        "check_subscription", {"business_id": 2}, Ok({"is_active": False, "checkout_id": None})
    ),
    "what is unread is read": Call(
        "mark_read",
        {"conversation_id": 1},
        Ok({"read_count": 1}),
        {"conversations": rows(CONVERSATION, (1, 1, 1, 1, "whatsapp", 0, 4))},
    ),
    "nothing is unread": Call("mark_read", {"conversation_id": 2}, Declined("nothing_unread")),
    "a message is sent, in a new window": Call(
        "send_whatsapp",
        HELLO,
        Ok({"message_id": 8, "status": "sent"}),
        {
            "conversations": rows(CONVERSATION, (1, 1, 1, 1, "whatsapp", 1, 3)),
            "rate_windows": rows(WINDOW, (4, 1, 1, "whatsapp", 1, 2)),
            "messages": rows(MESSAGE, (8, 1, 1, "outbound", "sent", "Hello", f"whatsapp-{op(100)}", 4, 3, "this")),
            "businesses": rows(BUSINESS, (1, "Bakery", 2, 2, 3)),
        },
    ),
    "a mail is sent, in a window that is open": Call(
        "send_email",
        {"conversation_id": 2, "body": "Hello"},
        Ok({"message_id": 9, "status": "sent"}),
        {
            "conversations": rows(CONVERSATION, (2, 1, 2, 2, "email", 0, 0)),
            "rate_windows": rows(WINDOW, (4, 1, 2, "email", 2, 2)),
            "messages": rows(MESSAGE, (9, 1, 2, "outbound", "sent", "Hello", f"email-{op(101)}", 4, 4, "this")),
            "businesses": rows(BUSINESS, (1, "Bakery", 2, 2, 4)),
        },
        before=(("send_email", {"conversation_id": 2, "body": "Hello"}),),
    ),
    "a message is sent by SMS": Call(
        "send_sms",
        {"conversation_id": 3, "body": "Hello"},
        Ok({"message_id": 8, "status": "sent"}),
        {
            "conversations": rows(CONVERSATION, (3, 2, 3, 3, "sms", 0, 0)),
            "rate_windows": rows(WINDOW, (4, 2, 3, "sms", 1, 1000)),
            "messages": rows(MESSAGE, (8, 2, 3, "outbound", "sent", "Hello", f"sms-{op(100)}", 4, 1, "this")),
            "businesses": rows(BUSINESS, (2, "Garage", 1000, 0, 1)),
        },
    ),
    "the third message in an hour is over the limit": Call(
        "send_whatsapp",
        HELLO,
        Declined("rate_limited"),
        before=(("send_whatsapp", HELLO), ("send_whatsapp", HELLO)),
    ),
    "what is queued is sent under its own key": Call(
        "resend_queued",
        {"business_id": 2},
        Ok(),
        {"messages": rows(MESSAGE, (7, 2, 3, "outbound", "sent", "Your car is ready.", f"sms-{op(7)}", 3, None, op(7)))},
    ),
    "nothing is queued": Call("resend_queued", {"business_id": 1}, Ok()),
    "a message was delivered": Call(
        "receive_provider_event",
        DELIVERED,
        Ok({"is_changed": True}),
        {
            "messages": rows(
                MESSAGE, (6, 1, 2, "outbound", "delivered", "Your invoice, once more.", "email-6", 2, None, op(6))
            ),
            "provider_events": rows(EVENT, (4, "email-6-delivered", 6, "email-6", "delivered", "this")),
        },
    ),
    "an event comes twice": Call(
        "receive_provider_event",
        DELIVERED,
        Declined("already_applied_or_unknown"),
        before=(("receive_provider_event", DELIVERED),),
    ),
    "an event comes after a later one": Call(
        "receive_provider_event",
        {"event_id": "again", "message_id": 2, "provider_message_id": "whatsapp-2", "kind": "sent"},
        Ok({"is_changed": False}),
        {"provider_events": rows(EVENT, (4, "again", 2, "whatsapp-2", "sent", "this"))},
    ),
    "an event comes before the answer": Call(
        "receive_provider_event",
        {"event_id": "early", "message_id": 7, "provider_message_id": f"sms-{op(7)}", "kind": "sent"},
        Ok({"is_changed": True}),
        {
            "messages": rows(MESSAGE, (7, 2, 3, "outbound", "sent", "Your car is ready.", f"sms-{op(7)}", 3, None, op(7))),
            "provider_events": rows(EVENT, (4, "early", 7, f"sms-{op(7)}", "sent", "this")),
        },
    ),
    "an event is about no message of ours": Call(
        "receive_provider_event",
        {"event_id": "stray", "message_id": 99, "provider_message_id": "sms-99", "kind": "sent"},
        Declined("already_applied_or_unknown"),
    ),
    "a customer writes": Call(
        "receive_message",
        {"conversation_id": 2, "provider_message_id": "email-in-8", "body": "Thank you"},
        Ok({"message_id": 8}),
        {
            "conversations": rows(CONVERSATION, (2, 1, 2, 2, "email", 1, 0)),
            "messages": rows(MESSAGE, (8, 1, 2, "inbound", "received", "Thank you", "email-in-8", None, 3, "this")),
            "businesses": rows(BUSINESS, (1, "Bakery", 2, 2, 3)),
        },
    ),
    "a customer's message comes twice": Call(
        "receive_message",
        {"conversation_id": 1, "provider_message_id": "whatsapp-in-4", "body": "When did the order leave?"},
        Declined("message_already_received"),
    ),
    "a dashboard that opens is told what was missed": Call(
        "open_changes", {"business_id": 1, "last_sequence": 1}, Ok({"last_sequence": 2})
    ),
    "a dashboard that was told what there is not": Call(
        "open_changes", {"business_id": 1, "last_sequence": 3}, Declined("unknown_last_sequence")
    ),
    "a checkout is opened": Call(
        "create_checkout",
        {"business_id": 2},
        Ok({"checkout_id": 6, "session_reference": "session-6"}),
        {"checkouts": rows(CHECKOUT, (6, 2, 4900, "open", "session-6", "this"))},
    ),
    "a first subscription is paid": Call(
        "receive_checkout_webhook",
        {"checkout_id": 3, "kind": "payment_succeeded"},
        Ok({"checkout_id": 3}),
        {
            "businesses": rows(BUSINESS, (2, "Garage", 1000, 1, 0)),
            "checkouts": rows(CHECKOUT, (3, 2, 4900, "paid", None, op(13))),
            "subscriptions": rows(SUBSCRIPTION, (3, 2, 3, "active", "this")),
        },
    ),
    "a plan is changed": Call(
        "receive_checkout_webhook",
        {"checkout_id": 6, "kind": "payment_succeeded"},
        Ok({"checkout_id": 6}),
        {
            "businesses": rows(BUSINESS, (1, "Bakery", 2, 3, 2)),
            "checkouts": rows(CHECKOUT, (6, 1, 4900, "paid", "session-6", op(100))),
            "subscriptions": rows(SUBSCRIPTION, (2, 1, 1, "ended", op(15)), (3, 1, 6, "active", "this")),
        },
        before=(("create_checkout", {"business_id": 1}),),
    ),
    "a payment fails": Call(
        "receive_checkout_webhook",
        {"checkout_id": 3, "kind": "payment_failed"},
        Ok({"checkout_id": 3}),
        {"checkouts": rows(CHECKOUT, (3, 2, 4900, "failed", None, op(13)))},
    ),
    "a payment is told twice": Call(
        "receive_checkout_webhook",
        {"checkout_id": 1, "kind": "payment_succeeded"},
        Declined("checkout_already_settled"),
    ),
    "a checkout that the processor does not know expires": Call(
        "settle_checkout",
        {"business_id": 2},
        Ok({"checkout_id": 3}),
        {"checkouts": rows(CHECKOUT, (3, 2, 4900, "expired", None, op(13)))},
    ),
    "a checkout whose webhook was lost is settled": Call(
        "settle_checkout",
        {"business_id": 1},
        Ok({"checkout_id": 6}),
        {
            "businesses": rows(BUSINESS, (1, "Bakery", 2, 3, 2)),
            "checkouts": rows(CHECKOUT, (6, 1, 4900, "paid", "session-6", op(100))),
            "subscriptions": rows(SUBSCRIPTION, (2, 1, 1, "ended", op(15)), (3, 1, 6, "active", "this")),
        },
        before=(("create_checkout", {"business_id": 1}),),
    ),
    "no checkout is open": Call("settle_checkout", {"business_id": 1}, Declined("nothing_open")),
    "a file is attached to the newest message": Call(
        "upload_media",
        {"conversation_id": 1, "size_bytes": 5_000},
        Ok({"media_id": 4, "is_stored": True, "object_key": f"conversations/1/{op(100)}"}),
        {
            "media": rows(
                MEDIA,
                (
                    4,
                    1,
                    1,
                    4,
                    f"conversations/1/{op(100)}",
                    5_000,
                    hashlib.sha256(f"{op(100)} 5000".encode()).hexdigest(),
                    "stored",
                    "this",
                ),
            )
        },
    ),
    "there is no message that a file could be attached to": Call(
        "upload_media", {"conversation_id": 4, "size_bytes": 5_000}, Declined("no_message")
    ),
    "an upload that never came is given up": Call(
        "settle_uploads",
        {"business_id": 2},
        Ok(),
        {"media": rows(MEDIA, (3, 2, 3, 7, "k3", 3000, "h3", "abandoned", op(18)))},
    ),
    "no upload is pending": Call("settle_uploads", {"business_id": 1}, Ok()),
}
