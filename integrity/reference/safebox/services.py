"""The outside services of safebox: the mint that issues and melts ecash, and the relay that NFC requests travel over."""

from collections.abc import Mapping

from integrity.operation import Value
from integrity.systems.service import Context, Delivery, Reaction, Trouble

UNREACHABLE = "gone@example.org"


def mint(payload: Mapping[str, Value], context: Context) -> Reaction:
    """Quote an invoice, issue the proofs of a paid one, melt or swap the proofs of a payment.

    A mint remembers: the same melt is done once, and ends the same way whenever it is asked for again. When an invoice is
    paid, whoever paid it, the mint says so by webhook.
    """
    trouble = context.trouble()
    if trouble in (Trouble.LOST, Trouble.REFUSED):
        return context.react({}, trouble=trouble)
    answer: Mapping[str, Value]
    deliveries: list[Delivery] = []
    match payload["do"]:
        case "quote":
            answer, deliveries = _quote(payload, context)
        case "issue":
            answer = {"status": "issued"}
        case _:
            answer, deliveries = _pay(payload, context)
    return context.react(answer, deliveries, trouble=trouble)


def relay(payload: Mapping[str, Value], context: Context) -> Reaction:
    """Pass an NFC request on to the wallet of the card; a relay passes things on twice, late, or after all."""
    heard = context.webhooks("answer_nfc_request", {"nfc_request_id": payload["nfc_request_id"]})
    return context.react({"status": "published"}, heard, trouble=context.trouble())


def _quote(payload: Mapping[str, Value], context: Context) -> tuple[Mapping[str, Value], list[Delivery]]:
    """Two of three invoices are paid by somebody outside; the third one waits for whoever pays it from a wallet here."""
    invoice_id = payload["invoice_id"]
    answer: Mapping[str, Value] = {"status": "unpaid", "payment_request": f"lnbc{payload['amount_minor']}-{invoice_id}"}
    if int(str(invoice_id)) % 3 == 0:
        return answer, []
    return answer, _take_payment(invoice_id, "outside", context)


def _pay(payload: Mapping[str, Value], context: Context) -> tuple[Mapping[str, Value], list[Delivery]]:
    payment_id, invoice_id = payload["payment_id"], payload.get("invoice_id")
    name = f"payment-{payment_id}"
    deliveries: list[Delivery] = []
    if name not in context.memory:
        is_paid = invoice_id is not None and f"invoice-{invoice_id}" in context.memory
        fails = context.is_failure() or is_paid or payload.get("address") == UNREACHABLE
        fee_minor = 0 if payload["do"] == "swap" else int(str(payload["amount_minor"])) // 200 + 1
        context.memory[name] = {"status": "failed"} if fails else {"status": "settled", "fee_minor": fee_minor}
        if invoice_id is not None and not fails:
            deliveries = _take_payment(invoice_id, name, context)
    return context.memory[name], deliveries


def _take_payment(invoice_id: Value, payer: str, context: Context) -> list[Delivery]:
    context.memory[f"invoice-{invoice_id}"] = payer
    return context.webhooks("confirm_invoice", {"invoice_id": invoice_id})


SERVICES = {"mint": mint, "relay": relay}
