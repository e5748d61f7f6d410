"""What inbox's operations are called over HTTP: as its load test plan calls them, which asks a Supabase."""

from integrity.endpoints.endpoint import Argument, Endpoint, body, header, length, path, query, token
from integrity.endpoints.kinds import Kind
from integrity.endpoints.login import Login
from integrity.endpoints.phoenix import Channel
from integrity.endpoints.stream import realtime
from integrity.endpoints.table import Endpoints, Limit
from integrity.reference.inbox.parts import SETTLED

_BUSINESS = {"business_id": token()}
_OF_ANY = {"business_id": body()}
_CONVERSATION = {"conversation_id": body()}
_NEWEST = {"order": "created_at.desc", "limit": "50"}
_TEXT = body(kind=Kind.TEXT)
_FILLED = body(kind=Kind.TEXT, is_filled=True)


def _function(name: str, operation: str, arguments: dict[str, Argument], **extra: str | int) -> Endpoint:
    return Endpoint("POST", f"/functions/v1/{name}", operation, arguments, extra=extra, needs_token=True)


ENDPOINTS = Endpoints(
    (
        Endpoint(
            "GET",
            "/rest/v1/conversations",
            "load_dashboard",
            _BUSINESS,
            query={"select": "*", "order": "last_message_at.desc", "limit": "50"},
            has_rows=True,
            counted_by="count_conversations",
        ),
        Endpoint(
            "GET", "/rest/v1/conversations", "count_conversations", _BUSINESS, query={"select": "count"}, has_rows=True
        ),
        # As it comes with HEAD, for the count alone.
        Endpoint(
            "GET",
            "/rest/v1/conversations",
            "load_dashboard",
            _BUSINESS,
            query={"select": "*"},
            has_rows=True,
            counted_by="count_conversations",
        ),
        Endpoint(
            "GET",
            "/rest/v1/messages",
            "load_messages",
            {"conversation_id": query(before="eq.")},
            query=_NEWEST,
            needs_token=True,
            has_rows=True,
        ),
        Endpoint(
            "GET",
            "/rest/v1/messages",
            "search_messages",
            {**_BUSINESS, "term": query("body", Kind.TEXT, before="ilike.*", after="*")},
            query=_NEWEST,
            has_rows=True,
        ),
        Endpoint(
            "PATCH",
            "/rest/v1/conversations",
            "mark_read",
            {"conversation_id": query("id", before="eq.")},
            extra={"unread_count": 0},
            needs_token=True,
        ),
        _function(
            "whatsapp-send",
            "send_whatsapp",
            {**_CONVERSATION, "body": body("message", Kind.TEXT, is_filled=True)},
            to="+15550100",
        ),
        _function(
            "email-send-smtp",
            "send_email",
            {**_CONVERSATION, "body": body("content", Kind.TEXT, is_filled=True)},
            to="customer@example.org",
            subject="Your message",
            account_id="1",
        ),
        _function("sms-send", "send_sms", {**_CONVERSATION, "body": _FILLED}, to="+15550100"),
        _function("create-checkout", "create_checkout", _BUSINESS, priceId="price_test", quantity=1),
        _function("check-subscription", "check_subscription", _BUSINESS),
        Endpoint(
            "POST",
            "/storage/v1/object/customer_media/{conversation_id}/file",
            "upload_media",
            {"conversation_id": path(), "size_bytes": length()},
            needs_token=True,
            also={"Id": "media_id", "Key": "object_key"},
        ),
        Endpoint(
            "GET",
            "/realtime/v1/changes",
            "open_changes",
            {**_BUSINESS, "last_sequence": header("Last-Event-ID", is_optional=True)},
            has_events=True,
        ),
        # What the service does by itself, a business at a time, and what the outside parties tell it.
        _function("resend-queued", "resend_queued", _OF_ANY),
        _function("settle-checkout", "settle_checkout", _OF_ANY),
        _function("settle-uploads", "settle_uploads", _OF_ANY),
        Endpoint(
            "POST",
            "/webhooks/providers",
            "receive_provider_event",
            {
                "event_id": _FILLED,
                "message_id": body(),
                "provider_message_id": _FILLED,
                "kind": body(one_of=("sent", "delivered", "failed")),
            },
            is_signed=True,
        ),
        Endpoint(
            "POST",
            "/webhooks/messages",
            "receive_message",
            {**_CONVERSATION, "provider_message_id": _FILLED, "body": _TEXT},
            is_signed=True,
        ),
        Endpoint(
            "POST",
            "/webhooks/checkouts",
            "receive_checkout_webhook",
            {"checkout_id": body(), "kind": body(one_of=SETTLED)},
            is_signed=True,
        ),
    ),
    declines={
        "rate_limited": 429,
        "no_message": 404,
        "unknown_conversation": 404,
        "upload_took_too_long": 408,
        "unknown_business": 404,
        "unknown_last_sequence": 422,
    },
    login=Login("/auth/v1/token", {"business_id": Kind.INTEGER}, query={"grant_type": "password"}),
    api_key="apikey",
    limit=Limit("/rest/v1/", 1_000, 3_600),
    streams=(
        realtime(
            "/realtime/v1/websocket",
            "open_changes",
            {**_BUSINESS, "last_sequence": query("lastSequence", is_optional=True)},
            (
                Channel(
                    "messages",
                    "INSERT",
                    {
                        "id": "event_id",
                        "business_id": "stream",
                        "conversation_id": "conversation_id",
                        "direction": "direction",
                        "status": "status",
                        "body": "body",
                        "sequence": "sequence",
                        "created_at": "sent_at",
                    },
                ),
                Channel(
                    "conversations",
                    "UPDATE",
                    {
                        "id": "conversation_id",
                        "business_id": "stream",
                        "channel": "channel",
                        "last_message_at": "last_message_at",
                        "unread_count": "unread_count",
                    },
                ),
            ),
        ),
    ),
)
