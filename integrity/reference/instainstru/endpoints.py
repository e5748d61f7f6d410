"""What instainstru's operations are called over HTTP. Its plan names login, sending and the stream, not their paths."""

from integrity.endpoints.endpoint import Endpoint, body, header, token
from integrity.endpoints.kinds import Kind
from integrity.endpoints.login import Login
from integrity.endpoints.stream import event_stream
from integrity.endpoints.table import Act, Endpoints

_SENDER = {"participant_id": token()}

ENDPOINTS = Endpoints(
    (
        Endpoint("GET", "/api/conversations", "list_conversations", {"user_id": token()}),
        Endpoint("POST", "/api/conversations", "open_conversation", _SENDER),
        Endpoint(
            "POST",
            "/api/messages",
            "send_message",
            {**_SENDER, "client_message_id": body(kind=Kind.TEXT, is_filled=True), "body": body(kind=Kind.TEXT)},
            ok_status=201,
        ),
        Endpoint("POST", "/api/messages/read", "mark_read", {**_SENDER, "sequence": body(least=0, most=2**31 - 1)}),
        Endpoint(
            "GET",
            "/api/messages",
            "open_stream",
            {**_SENDER, "last_sequence": header("Last-Event-ID", is_optional=True)},
            has_events=True,
        ),
    ),
    acts={"resend_message": Act("send_message")},  # a phone that sends again asks for the same
    declines={
        "unknown_participant": 404,
        "no_conversation": 404,
        "unknown_last_sequence": 422,
        "client_message_id_reused": 422,
    },
    login=Login("/api/login", {"participant_id": Kind.INTEGER, "user_id": Kind.INTEGER}),
    streams=(
        event_stream(
            "/api/messages/events",
            "open_stream",
            {**_SENDER, "last_sequence": header("Last-Event-ID", is_optional=True)},
            event="new_message",
        ),
    ),
)
