"""What streamvote's operations are called over HTTP. Paths that the load test plan names are the plan's, word for word."""

from integrity.endpoints.endpoint import Endpoint, body, header, path, query, token
from integrity.endpoints.kinds import Kind
from integrity.endpoints.login import Login
from integrity.endpoints.stream import websocket
from integrity.endpoints.table import Act, Endpoints

_STARS = {"stars": body(least=1, most=1_000_000)}
_EVENT = {"live_event_id": path("event_id")}

ENDPOINTS = Endpoints(
    (
        Endpoint("GET", "/api/config", "get_config", {"wallet_id": token()}),
        Endpoint("GET", "/api/me", "get_config", {"wallet_id": token()}),
        Endpoint("GET", "/api/streamers", "list_streamers", {"term": query("query", Kind.TEXT)}),
        Endpoint("GET", "/api/events/live", "poll_event", {"live_event_id": query("eventId")}),
        Endpoint(
            "GET",
            "/api/events/{event_id}/updates",
            "open_stream",
            {**_EVENT, "last_sequence": header("Last-Event-ID", is_optional=True)},
            has_events=True,
        ),
        Endpoint(
            "POST",
            "/api/votes",
            "vote",
            {
                "wallet_id": token(),
                "live_event_id": body("eventId"),
                "choice": body(),
                "idempotency_key": header("Idempotency-Key", Kind.TEXT, is_filled=True),
            },
            ok_status=201,
        ),
        Endpoint(
            "POST",
            "/api/payments/stars/createInvoice",
            "create_invoice",
            {"wallet_id": token(), **_STARS},
            ok_status=201,
        ),
        Endpoint(
            "POST",
            "/api/payments/stars/webhook",
            "receive_payment_webhook",
            {
                "event_id": body("eventId", Kind.TEXT, is_filled=True),
                "invoice_id": body("invoiceId"),
                "kind": body(one_of=("paid", "failed")),
            },
            is_signed=True,
        ),
        Endpoint("POST", "/api/payments/stars/credit", "credit_invoice", {"invoice_id": body("invoiceId")}),
        Endpoint("POST", "/api/payments/stars/check", "check_invoice", {"invoice_id": body("invoiceId")}),
        Endpoint("POST", "/api/budget", "raise_budget", {"wallet_id": token(), **_STARS}),
        Endpoint(
            "POST",
            "/api/events",
            "open_event",
            {"streamer_id": body("streamerId"), "price_stars": body("priceStars", least=1, most=1_000_000)},
            ok_status=201,
        ),
        Endpoint("POST", "/api/events/{event_id}/close", "close_event", _EVENT),
    ),
    acts={"tap": Act("vote", {"idempotency_key": "tap-{operation_id}"}, is_played=True)},
    declines={
        "insufficient_stars": 402,
        "rate_limited": 429,
        "idempotency_key_reused": 422,
        "not_found": 404,
        "unknown_event": 404,
        "unknown_wallet": 404,
    },
    login=Login("/api/login", {"wallet_id": Kind.INTEGER}),
    counters={"votes_submitted_total": "vote"},
    counted={"votes_submitted_total": "streamvote/votes-held"},
    streams=(
        websocket(
            "/api/events/live",
            "open_stream",
            {"live_event_id": query("eventId"), "last_sequence": query("lastSequence", is_optional=True)},
            event="EVENT_UPDATED",
        ),
    ),
)
