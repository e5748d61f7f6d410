"""What safebox's operations are called over HTTP. Paths that its scalability plan names are the plan's, word for word."""

from integrity.endpoints.endpoint import Endpoint, body, header, query, token
from integrity.endpoints.kinds import Kind
from integrity.endpoints.login import Login
from integrity.endpoints.stream import websocket
from integrity.endpoints.table import Endpoints

_OWNER = {"wallet_id": token()}
_INVOICE = {"invoice_id": body()}
_CARD = {"card_id": body()}
_AMOUNT = {"amount_minor": body(least=1, most=1_000_000)}
_KEY = {"key": body(least=1, most=2**31 - 1)}

_LISTENER = {**_OWNER, "last_sequence": query("lastSequence", is_optional=True)}

POS_PAGE = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>Point of sale</title></head>
<body><h1>Point of sale</h1><p>POST /pos/invoice asks for money, POST /pos/tap pays by card.</p></body></html>
"""

ENDPOINTS = Endpoints(
    (
        Endpoint("GET", "/safebox/access", "access", _OWNER),
        Endpoint("POST", "/safebox/invoice", "create_invoice", {**_OWNER, **_AMOUNT}, ok_status=201),
        Endpoint("POST", "/safebox/payinvoice", "pay_invoice", {**_OWNER, **_INVOICE}),
        Endpoint(
            "POST", "/safebox/payaddress", "pay_address", {**_OWNER, "address": body(kind=Kind.TEXT), **_AMOUNT, **_KEY}
        ),
        Endpoint("POST", "/safebox/checkcard", "check_card", {**_OWNER, **_CARD}),
        Endpoint(
            "POST", "/safebox/requestnfcpayment", "request_nfc_payment", {**_OWNER, **_CARD, **_AMOUNT}, ok_status=201
        ),
        Endpoint("POST", "/safebox/paytonfctag", "pay_to_nfc_tag", {**_OWNER, **_CARD, **_AMOUNT, **_KEY}),
        Endpoint("GET", "/safebox/poll", "poll_status", _OWNER),
        Endpoint(
            "GET",
            "/safebox/notifications",
            "open_notifications",
            {**_OWNER, "last_sequence": header("Last-Event-ID", is_optional=True)},
            has_events=True,
        ),
        Endpoint("POST", "/pos/invoice", "create_pos_sale", {**_OWNER, **_AMOUNT}, ok_status=201),
        Endpoint("POST", "/pos/tap", "tap_sale", {**_CARD, **_INVOICE}),
        # Of parties that are no owners: the mint, the relay, the service's own sweeper.
        Endpoint("POST", "/mint/paid", "confirm_invoice", _INVOICE, is_signed=True),
        Endpoint("POST", "/relay/request", "answer_nfc_request", {"nfc_request_id": body()}, is_signed=True),
        Endpoint("POST", "/safebox/sweep", "settle_pending", {"wallet_id": body()}),
    ),
    declines={
        "insufficient_balance": 402,
        "payment_failed": 402,
        "key_reused": 422,
        "unknown_wallet": 404,
        "unknown_invoice": 404,
        "unknown_card": 404,
        "unknown_sale": 404,
        "unknown_request": 404,
        "unknown_last_sequence": 422,
    },
    login=Login("/login", {"wallet_id": Kind.INTEGER}),
    pages={"/pos/": POS_PAGE},
    streams=(
        websocket("/pos/ws", "open_notifications", _LISTENER, event="SALE"),
        websocket("/safebox/ws/status", "open_notifications", _LISTENER, event="STATUS"),
        websocket("/safebox/ws/notify", "open_notifications", _LISTENER, event="NOTIFICATION"),
    ),
)
