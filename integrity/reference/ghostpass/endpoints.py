"""What ghostpass's operations are called over HTTP. Its plan names no paths: these say what is done to what."""

from integrity.endpoints.endpoint import Endpoint, body, path
from integrity.endpoints.kinds import Kind
from integrity.endpoints.table import Endpoints

_AMOUNT = {"amount_minor": body(least=1, most=1_000_000)}
_AT_GATEWAY = {"gateway_id": path(), "wallet_id": body()}

ENDPOINTS = Endpoints(
    (
        Endpoint(
            "POST",
            "/wallets/{wallet_id}/fundings",
            "request_funding",
            {"wallet_id": path(), **_AMOUNT},
            ok_status=201,
        ),
        Endpoint(
            "POST",
            "/webhooks/processor",
            "receive_funding_webhook",
            {
                "event_id": body(kind=Kind.TEXT, is_filled=True),
                "funding_id": body(),
                "kind": body(one_of=("payment_succeeded", "payment_failed")),
            },
            is_signed=True,
        ),
        Endpoint("POST", "/gateways/{gateway_id}/entries", "scan_in", _AT_GATEWAY, ok_status=201),
        Endpoint("POST", "/gateways/{gateway_id}/exits", "scan_out", _AT_GATEWAY),
        Endpoint(
            "POST",
            "/terminals/{terminal_id}/sales",
            "sell",
            {"terminal_id": path(), "wallet_id": body(), **_AMOUNT},
            ok_status=201,
        ),
        Endpoint("POST", "/sales/{sale_id}/refund", "refund_sale", {"sale_id": path()}),
    ),
    declines={"insufficient_balance": 402, "unknown_wallet": 404, "unknown_terminal": 404, "unknown_gateway": 404},
)
