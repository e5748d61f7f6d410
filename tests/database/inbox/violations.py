"""For each invariant of inbox: what is done to the sound world, and exactly the rows that its query then returns."""

from collections.abc import Mapping

from tests.database.inbox.world import at, json
from tests.database.worlds import Violation, op, rows

HOUR_18, HOUR_20 = "2026-01-17 18", "2026-01-17 20"


RECEIVED = (
    "insert into integrity.received"
    " (run_id, number, operation_id, client, stream, sequence, event_id, sent_at, received_at) values"
)


def request(number: int, call: int, service: str, payload: str, answer: str) -> str:
    """Return the statement that adds a request to the first run."""
    return (
        "insert into integrity.requests (run_id, number, operation_id, service, payload, answer, requested_at) values"
        f" ('r1', {number}, '{op(call)}', '{service}', '{payload}', '{answer}', '{at('18:20:00')}')"
    )


VIOLATIONS: Mapping[str, Violation] = {
    "conversation-in-its-business": Violation(
        (
            "update inbox.conversations set customer_id = 3 where id = 1",
            "update inbox.members set business_id = 2 where id = 2",
        ),
        rows(
            "conversation_id business_id customer_id customer_business_id member_id member_business_id",
            (1, 1, 3, 2, 1, 1),
            (2, 1, 2, 1, 2, 2),
        ),
    ),
    "message-in-its-business": Violation(
        (
            "update inbox.messages set business_id = 2 where id = 2",
            "delete from inbox.conversations where id = 3",
        ),
        rows(
            "message_id business_id conversation_id conversation_business_id direction operation_id",
            (2, 2, 1, 1, "outbound", op(2)),
            (7, 2, 3, None, "outbound", op(7)),
        ),
    ),
    "media-in-its-business": Violation(
        (
            "update inbox.media set business_id = 2 where id = 1",
            "update inbox.media set message_id = 5 where id = 2",
        ),
        rows(
            "media_id business_id conversation_id conversation_business_id message_id message_conversation_id operation_id",
            (1, 2, 1, 1, 1, 1, op(16)),
            (2, 1, 1, 1, 5, 2, op(17)),
        ),
    ),
    "subscription-in-its-business": Violation(
        ("update inbox.subscriptions set business_id = 2 where id = 2",),
        rows("subscription_id business_id checkout_id checkout_business_id operation_id", (2, 2, 1, 1, op(15))),
    ),
    "rate-window-in-its-business": Violation(
        ("update inbox.rate_windows set business_id = 2 where id = 1",),
        rows("rate_window_id business_id member_id member_business_id", (1, 2, 1, 1)),
    ),
    "last-message-at-equals-messages": Violation(
        (
            f"update inbox.conversations set last_message_at = '{at('17:00:00')}' where id = 1",
            f"update inbox.conversations set last_message_at = '{at('17:00:00')}' where id = 4",
        ),
        rows(
            "conversation_id business_id last_message_at newest_message_at message_count",
            (1, 1, at("17:00:00"), at("18:02:00"), 4),
            (4, 2, at("17:00:00"), None, 0),
        ),
    ),
    "unread-count-equals-messages": Violation(
        (
            "update inbox.conversations set unread_count = 0 where id = 1",
            "update inbox.conversations set unread_count = 3 where id = 4",
        ),
        rows(
            "conversation_id business_id unread_count unread_messages last_read_message_id operation_ids",
            (1, 1, 0, 1, 3, op(4)),
            (4, 2, 3, 0, 0, None),
        ),
    ),
    "message-state-is-legal": Violation(
        (
            "update inbox.messages set status = 'delivered' where id = 1",
            "update inbox.messages set status = 'queued' where id = 2",
            "update inbox.messages set rate_window_id = null where id = 3",
            "update inbox.messages set provider_message_id = null where id = 6",
        ),
        rows(
            "message_id conversation_id direction status provider_message_id rate_window_id operation_id",
            (1, 1, "inbound", "delivered", "whatsapp-in-1", None, op(1)),
            (2, 1, "outbound", "queued", "whatsapp-2", 1, op(2)),
            (3, 1, "outbound", "failed", "whatsapp-3", None, op(3)),
            (6, 2, "outbound", "sent", None, 2, op(6)),
        ),
    ),
    "message-sequence-has-no-gap": Violation(
        (
            "update inbox.messages set sequence = 5 where id = 3",
            "update inbox.businesses set message_sequence = 1 where id = 2",
        ),
        rows(
            "business_id message_sequence message_count newest_sequence",
            (1, 2, 2, 5),
            (2, 1, 0, None),
        ),
    ),
    "dashboard-misses-nothing": Violation(
        # the first one again after the second, which another dashboard has missed
        (
            f"{RECEIVED} ('r1', 3, '{op(25)}', 1, 1, 1, 2, '{at('18:00:00')}', '{at('18:03:04')}')",
            f"{RECEIVED} ('r1', 4, '{op(25)}', 2, 1, 1, 2, '{at('18:00:00')}', '{at('18:03:04')}')",
            f"{RECEIVED} ('r1', 5, '{op(25)}', 2, 1, 3, 3, '{at('18:01:00')}', '{at('18:03:05')}')",
        ),
        rows(
            "run_id client business_id sequence previous_sequence received_at operation_id",
            ("r1", 1, 1, 1, 2, at("18:03:04"), op(25)),
            ("r1", 2, 1, 3, 1, at("18:03:05"), op(25)),
        ),
    ),
    "told-in-its-business": Violation(
        (
            # another business's, what was taken back, and what stands under another number
            f"{RECEIVED} ('r1', 3, '{op(25)}', 1, 2, 1, 7, '{at('20:05:00')}', '{at('20:05:01')}')",
            f"{RECEIVED} ('r1', 4, '{op(25)}', 1, 1, 3, 99, '{at('18:03:02')}', '{at('18:03:05')}')",
            "update inbox.messages set sequence = 9 where id = 3",
        ),
        rows(
            "run_id client business_id sequence message_id stored_business_id stored_sequence conversation_business_id"
            " listener_business_id operation_id",
            ("r1", 1, 2, 1, 7, 2, None, 2, 1, op(25)),
            ("r1", 1, 1, 2, 3, 1, 9, 1, 1, op(25)),
            ("r1", 1, 1, 3, 99, None, None, None, 1, op(25)),
        ),
    ),
    "message-has-conversation": Violation(
        ("delete from inbox.conversations where id = 3",),
        rows(
            "message_id conversation_id business_id direction status operation_id",
            (7, 3, 2, "outbound", "queued", op(7)),
        ),
    ),
    "status-not-behind-events": Violation(
        (
            "update inbox.messages set status = 'sent' where id = 2",
            "update inbox.messages set status = 'queued' where id = 3",
        ),
        rows(
            "message_id conversation_id status kind event_id applied_at operation_id",
            (2, 1, "sent", "delivered", "whatsapp-2-delivered", at("18:00:02"), op(9)),
            (3, 1, "queued", "failed", "whatsapp-3-failed", at("18:01:02"), op(10)),
        ),
    ),
    "status-has-event": Violation(
        (
            "delete from inbox.provider_events where id = 2",
            "update inbox.messages set status = 'delivered' where id = 3",
        ),
        rows(
            "message_id conversation_id status provider_message_id operation_id",
            (2, 1, "delivered", "whatsapp-2", op(2)),
            (3, 1, "delivered", "whatsapp-3", op(3)),
        ),
    ),
    "message-not-stuck": Violation(
        (
            "delete from integrity.runs where run_id = 'r2'",
            f"update inbox.messages set created_at = '{at('20:04:59')}' where id = 7",
        ),
        rows(
            "message_id conversation_id business_id created_at open_at operation_id",
            (7, 3, 2, at("20:04:59"), at("20:05:00"), op(7)),
        ),
    ),
    "provider-id-names-one-message": Violation(
        ("update inbox.messages set provider_message_id = 'whatsapp-2' where id = 3",),
        rows(
            "provider_message_id message_id conversation_id message_count operation_ids",
            ("whatsapp-2", 2, 1, 2, f"{op(2)} {op(3)}"),
        ),
    ),
    "event-applied-once": Violation(
        ("update inbox.provider_events set event_id = 'whatsapp-2-sent' where id = 2",),
        rows("event_id message_id applied_count operation_ids", ("whatsapp-2-sent", 2, 2, f"{op(8)} {op(9)}")),
    ),
    "event-has-message": Violation(
        (
            "update inbox.provider_events set message_id = 1 where id = 1",
            "delete from inbox.messages where id = 3",
        ),
        rows(
            "provider_event_id event_id message_id direction operation_id",
            (1, "whatsapp-2-sent", 1, "inbound", op(8)),
            (3, "whatsapp-3-failed", 3, None, op(10)),
        ),
    ),
    "message-sent-once": Violation(
        (
            "update inbox.provider_events set provider_message_id = 'whatsapp-2-again' where id = 2",
            "update inbox.messages set provider_message_id = null where id = 3",
        ),
        rows(
            "message_id conversation_id provider_message_id event_provider_message_id event_id kind operation_id",
            (2, 1, "whatsapp-2", "whatsapp-2-again", "whatsapp-2-delivered", "delivered", op(2)),
            (3, 1, None, "whatsapp-3", "whatsapp-3-failed", "failed", op(3)),
        ),
    ),
    "message-accepted-once": Violation(
        (
            request(
                20,
                22,
                "whatsapp",
                json(message_id=2, key=op(22)),
                json(status="accepted", message_id=2, provider_message_id="whatsapp-2-again"),
            ),
        ),
        rows(
            "message_id conversation_id accepted_count first_id last_id operation_ids",
            (2, 1, 2, "whatsapp-2", "whatsapp-2-again", f"{op(2)} {op(22)}"),
        ),
    ),
    "accepted-message-is-stored": Violation(
        ("delete from inbox.messages where id = 6",),
        rows(
            "run_id service message_id provider_message_id requested_at operation_id",
            ("r1", "email", 6, "email-6", at("18:04:00"), op(6)),
        ),
    ),
    "rate-window-within-limit": Violation(
        ("update inbox.rate_windows set limit_count = 1 where id = 1",),
        rows(
            "rate_window_id business_id member_id channel hour admitted_count limit_count",
            (1, 1, 1, "whatsapp", HOUR_18, 2, 1),
        ),
    ),
    "rate-window-counts-messages": Violation(
        (
            "update inbox.rate_windows set admitted_count = 1 where id = 1",
            "update inbox.messages set rate_window_id = 3 where id = 6",
        ),
        rows(
            "rate_window_id business_id member_id channel hour admitted_count message_count",
            (1, 1, 1, "whatsapp", HOUR_18, 1, 2),
            (2, 1, 2, "email", HOUR_18, 2, 1),
            (3, 2, 3, "sms", HOUR_20, 1, 2),
        ),
    ),
    "rate-window-is-its-senders": Violation(
        (
            "update inbox.messages set rate_window_id = 3 where id = 6",
            "update inbox.rate_windows set channel = 'sms' where id = 1",
        ),
        rows(
            "message_id conversation_id rate_window_id member_id conversation_member_id channel conversation_channel"
            " operation_id",
            (2, 1, 1, 1, 1, "sms", "whatsapp", op(2)),
            (3, 1, 1, 1, 1, "sms", "whatsapp", op(3)),
            (6, 2, 3, 3, 2, "sms", "email", op(6)),
        ),
    ),
    "subscription-active-once": Violation(
        ("update inbox.subscriptions set status = 'active', ended_at = null where id = 1",),
        rows(
            "business_id active_count first_subscription_id last_subscription_id operation_ids",
            (1, 2, 1, 2, f"{op(14)} {op(15)}"),
        ),
    ),
    "subscription-once-per-checkout": Violation(
        ("update inbox.subscriptions set checkout_id = 1 where id = 1",),
        rows(
            "checkout_id business_id subscription_count first_subscription_id last_subscription_id operation_ids",
            (1, 1, 2, 1, 2, f"{op(14)} {op(15)}"),
        ),
    ),
    "paid-checkout-has-subscription": Violation(
        ("delete from inbox.subscriptions where id = 2",),
        rows("checkout_id business_id status settled_at operation_id", (1, 1, "paid", at("18:06:00"), op(11))),
    ),
    "subscription-was-paid": Violation(
        (
            "delete from inbox.checkouts where id = 5",
            "update inbox.checkouts set status = 'failed' where id = 1",
        ),
        rows(
            "subscription_id business_id checkout_id checkout_status operation_id",
            (1, 1, 5, None, op(14)),
            (2, 1, 1, "failed", op(15)),
        ),
    ),
    "checkout-state-is-legal": Violation(
        (
            "update inbox.checkouts set settled_at = null where id = 2",
            f"update inbox.checkouts set settled_at = '{at('19:30:00')}' where id = 3",
            f"update inbox.subscriptions set ended_at = '{at('19:30:00')}' where id = 2",
        ),
        rows(
            "subject subject_id business_id status ended_at operation_id",
            ("checkout", 2, 1, "failed", None, op(12)),
            ("checkout", 3, 2, "open", at("19:30:00"), op(13)),
            ("subscription", 2, 1, "active", at("19:30:00"), op(15)),
        ),
    ),
    "checkout-not-stuck": Violation(
        (
            "delete from integrity.runs where run_id = 'r2'",
            f"update inbox.checkouts set created_at = '{at('19:19:59')}' where id = 3",
        ),
        rows(
            "checkout_id business_id amount_minor created_at open_at operation_id",
            (3, 2, 4900, at("19:19:59"), at("19:20:00"), op(13)),
        ),
    ),
    "session-has-checkout": Violation(
        (
            "update inbox.checkouts set session_reference = 'session-9' where id = 1",
            request(
                20,
                22,
                "processor",
                json(action="create", checkout_id=99),
                json(status="accepted", checkout_id=99, session_reference="session-99"),
            ),
        ),
        rows(
            "run_id checkout_id session_reference checkout_session_reference operation_id",
            ("r1", 1, "session-1", "session-9", op(11)),
            ("r1", 99, "session-99", None, op(22)),
        ),
    ),
    "object-has-media": Violation(
        (
            "delete from inbox.media where id = 1",
            "update inbox.media set status = 'abandoned' where id = 3",
            request(20, 22, "store", json(action="put", object_key="k3"), json(status="stored")),
        ),
        rows(
            "run_id object_key media_id status stored_at operation_id",
            ("r1", "k1", None, None, at("18:07:00"), op(16)),
            ("r1", "k3", 3, "abandoned", at("18:20:00"), op(22)),
        ),
    ),
    "media-has-object": Violation(
        ("delete from integrity.requests where number = 6",),
        rows("media_id conversation_id object_key run_id operation_id", (1, 1, "k1", "r1", op(16))),
    ),
    "object-is-as-sent": Violation(
        (
            "update inbox.media set size_bytes = 999 where id = 1",
            "update inbox.media set content_hash = 'h3' where id = 2",
        ),
        rows(
            "media_id conversation_id object_key size_bytes object_size_bytes content_hash object_content_hash"
            " operation_id",
            (1, 1, "k1", 999, 1000, "h1", "h1", op(16)),
            (2, 1, "k2", 2000, 2000, "h3", "h2", op(17)),
        ),
    ),
    "object-key-used-once": Violation(
        ("update inbox.media set object_key = 'k1' where id = 2",),
        rows("object_key media_id conversation_id media_count operation_ids", ("k1", 1, 1, 2, f"{op(16)} {op(17)}")),
    ),
    "upload-not-stuck": Violation(
        (
            "delete from integrity.runs where run_id = 'r2'",
            f"update inbox.media set created_at = '{at('20:04:59')}' where id = 3",
        ),
        rows(
            "media_id conversation_id object_key created_at open_at operation_id",
            (3, 3, "k3", at("20:04:59"), at("20:05:00"), op(18)),
        ),
    ),
    "acknowledged-call-is-stored": Violation(
        (
            "delete from inbox.messages where id = 6",
            "update inbox.conversations set channel = 'sms' where id = 1",
            "delete from inbox.provider_events where id = 1",
            "delete from inbox.checkouts where id = 1",
            "delete from inbox.media where id = 1",
        ),
        rows(
            "run_id operation client arguments reply returned_at operation_id",
            ("r1", "send_whatsapp", 1, {}, {}, at("18:00:00"), op(2)),
            ("r1", "receive_provider_event", 1, {"event_id": "whatsapp-2-sent"}, {}, at("18:00:01"), op(8)),
            ("r1", "send_email", 1, {}, {}, at("18:04:00"), op(6)),
            ("r1", "create_checkout", 1, {}, {}, at("18:05:00"), op(11)),
            ("r1", "upload_media", 1, {}, {}, at("18:07:00"), op(16)),
        ),
    ),
    "failed-call-left-nothing": Violation(
        (
            f"update integrity.calls set outcome = 'declined' where operation_id = '{op(2)}'",
            f"update integrity.calls set outcome = 'failed' where operation_id in ('{op(8)}', '{op(15)}')",
            "update inbox.media set status = 'stored' where id = 2",
        ),
        rows(
            "business_id effect effect_id run_id operation outcome error operation_id",
            (None, "event", 1, "r1", "receive_provider_event", "failed", "", op(8)),
            (1, "media", 2, "r1", "upload_media", "declined", "", op(17)),
            (1, "message", 2, "r1", "send_whatsapp", "declined", "", op(2)),
            (1, "subscription", 2, "r1", "receive_checkout_webhook", "failed", "", op(15)),
        ),
    ),
    "call-at-most-once": Violation(
        (f"update inbox.messages set operation_id = '{op(2)}' where id = 3",),
        rows(
            "business_id effect effect_count run_id operation outcome operation_id",
            (1, "message", 2, "r1", "send_whatsapp", "ok", op(2)),
        ),
    ),
    "row-was-asked-for": Violation(
        (f"delete from integrity.calls where operation_id in ('{op(4)}', '{op(9)}', '{op(11)}', '{op(15)}', '{op(16)}')",),
        rows(
            "business_id effect effect_id made_at run_id operation_id",
            (None, "event", 2, at("18:00:02"), "r1", op(9)),
            (1, "message", 4, at("18:02:00"), "r1", op(4)),
            (1, "checkout", 1, at("18:05:00"), "r1", op(11)),
            (1, "subscription", 2, at("18:06:00"), "r1", op(15)),
            (1, "media", 1, at("18:07:00"), "r1", op(16)),
        ),
    ),
}
