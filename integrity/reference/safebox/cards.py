"""What is done with NFC cards: one is asked for beforehand, tapped for money or for a sale, paid to; its wallet answers.

A card is refused for its state wherever it is used, and by the same name; what it is tapped for is asked afterwards. Its
wallet pays as any other does (payments.py): where an operation takes `pay` or `refuse`, that is for a bug to put its own.
"""

from collections.abc import Callable, Mapping
from functools import partial
from uuid import UUID

from integrity.operation import Declined, Ok, Request, Rows, Statement, Steps, Unavailable, Value
from integrity.reference.safebox.payments import Order, Pay, answer_request, pay_once
from integrity.systems.repeating import alone, keep_trying

Refuse = Callable[[Rows, int], str | None]
"""Of a card and the wallet that is to be paid by it, or that pays to it: why it cannot be used, if it cannot."""


def check_card(*, operation_id: UUID, wallet_id: int, card_id: int, refuse: Refuse | None = None) -> Steps:
    """A till asks, before it asks for money, whether a card can be used: it is told what the tap would be told."""
    card: Rows = yield read_card(card_id)
    refusal = (refuse or refuse_card)(card, wallet_id)
    return Declined(refusal) if refusal else Ok({"card_id": card_id})


def request_nfc_payment(
    *, operation_id: UUID, wallet_id: int, card_id: int, amount_minor: int, refuse: Refuse | None = None
) -> Steps:
    """A customer taps a card: its wallet is asked, over a relay, for the money."""
    card: Rows = yield read_card(card_id)
    refusal = (refuse or refuse_card)(card, wallet_id)
    if refusal:
        return Declined(refusal)
    made = Statement(
        """
        insert into safebox.nfc_requests (wallet_id, card_id, amount_minor, status, operation_id)
        values (:wallet_id, :card_id, :amount_minor, 'open', :operation_id)
        returning id
        """,
        {"wallet_id": wallet_id, "card_id": card_id, "amount_minor": amount_minor, "operation_id": operation_id},
    )
    request: Rows = yield from keep_trying(partial(alone, made))
    nfc_request_id = request[0]["id"]
    answer: Mapping[str, Value] = yield Request("relay", {"nfc_request_id": nfc_request_id})
    if answer["status"] != "published":
        return Unavailable("relay_did_not_answer")  # it may have passed the request on; if not, that one expires
    return Ok({"nfc_request_id": nfc_request_id})


def answer_nfc_request(*, operation_id: UUID, nfc_request_id: int, pay: Pay = pay_once) -> Steps:
    """The card's wallet hears of a request, perhaps more than once: it pays in ecash, or says no."""
    request: Rows = yield read_request(nfc_request_id)
    if not request:
        return Declined("unknown_request")
    order = Order(
        request[0]["card_wallet_id"],
        "ecash",
        f"nfc-{nfc_request_id}",
        request[0]["amount_minor"],
        payee_wallet_id=request[0]["wallet_id"],
        nfc_request_id=nfc_request_id,
    )
    card_status = request[0]["card_status"]
    refusal = None if card_status == "active" else f"card_{card_status}"
    reply = yield from pay(order, operation_id, refusal="request_closed" if request[0]["status"] != "open" else refusal)
    if isinstance(reply, Declined) and reply.reason in ("card_revoked", "card_expired", "insufficient_balance"):
        rejected: Rows = yield from keep_trying(partial(alone, answer_request(nfc_request_id, "rejected")))
        if not rejected:
            return Declined("request_closed")
    return reply


def pay_to_nfc_tag(
    *,
    operation_id: UUID,
    wallet_id: int,
    card_id: int,
    amount_minor: int,
    key: int,
    pay: Pay = pay_once,
    refuse: Refuse | None = None,
) -> Steps:
    """Pay in ecash to the wallet behind a tag; the client's key makes its retries one payment."""
    card: Rows = yield read_card(card_id)
    refusal = (refuse or refuse_card)(card, wallet_id)
    if refusal:
        return Declined(refusal)
    order = Order(wallet_id, "ecash", f"tag-{key}", amount_minor, payee_wallet_id=card[0]["wallet_id"])
    return (yield from pay(order, operation_id))


def tap_sale(
    *, operation_id: UUID, card_id: int, invoice_id: int, pay: Pay = pay_once, refuse: Refuse | None = None
) -> Steps:
    """A customer taps a card at the till: its wallet pays the sale's invoice, as if it had been scanned.

    So that the mint decides who was first of all who pay the sale, and its word marks it.
    """
    card: Rows = yield read_card(card_id)
    sale: Rows = yield read_sale(invoice_id)
    refusal = refuse_tap(card, sale, refuse or refuse_card)
    if refusal:
        return Declined(refusal)
    order = Order(card[0]["wallet_id"], "invoice", f"invoice-{invoice_id}", sale[0]["amount_minor"], invoice_id=invoice_id)
    return (yield from pay(order, operation_id))


# The parts that several of them, and their bugs, are made of.


def read_card(card_id: int) -> Statement:
    return Statement("select wallet_id, status from safebox.cards where id = :card_id", {"card_id": card_id})


def refuse_card(card: Rows, wallet_id: int) -> str | None:
    """Return why this card cannot be used by this wallet, if it cannot."""
    if not card:
        return "unknown_card"
    if card[0]["status"] != "active":
        return f"card_{card[0]['status']}"
    return "own_card" if card[0]["wallet_id"] == wallet_id else None


def read_sale(invoice_id: int) -> Statement:
    """Read what is to be paid, and to whom, of the sale that the invoice belongs to."""
    return Statement(
        """
        select pos_sales.wallet_id, invoices.amount_minor
        from safebox.pos_sales
        join safebox.invoices on invoices.id = pos_sales.invoice_id
        where pos_sales.invoice_id = :invoice_id
        """,
        {"invoice_id": invoice_id},
    )


def refuse_tap(card: Rows, sale: Rows, refuse: Refuse) -> str | None:
    """Return why this card cannot pay this sale, if it cannot: for the card's state first, whatever was tapped for."""
    if not sale:
        return refuse(card, 0) or "unknown_sale"
    return refuse(card, sale[0]["wallet_id"])


def read_request(nfc_request_id: int) -> Statement:
    return Statement(
        """
        select
            nfc_requests.wallet_id,
            nfc_requests.amount_minor,
            nfc_requests.status,
            cards.wallet_id as card_wallet_id,
            cards.status as card_status
        from safebox.nfc_requests
        join safebox.cards on cards.id = nfc_requests.card_id
        where nfc_requests.id = :nfc_request_id
        """,
        {"nfc_request_id": nfc_request_id},
    )
