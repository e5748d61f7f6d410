"""Calls of safebox's operations on the small wallet service: what each answers and exactly the rows it makes or changes."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from integrity.operation import Declined, Ok, Reply, Unavailable
from integrity.systems.service import ServiceSettings
from tests.database.worlds import op, rows

SILENT = ServiceSettings(timeout_share=1.0)
REFUSING = ServiceSettings(error_share=1.0)


@dataclass(frozen=True)
class Played:
    """An operation and what is expected of it.

    Args:
        before: calls that lead up to it, all of which are ok.
        changes: table -> the rows that are new or changed, without their times; this call's operation_id is "this".
        mint: how the mint behaves.
    """

    operation: str
    arguments: Mapping[str, Any]
    reply: Reply
    changes: Mapping[str, list[dict[str, Any]]] = field(default_factory=dict)
    before: tuple[tuple[str, Mapping[str, Any]], ...] = ()
    mint: ServiceSettings = field(default_factory=ServiceSettings)


def wallets(*values: Sequence[Any]) -> list[dict[str, Any]]:
    return rows("id handle balance_minor notification_count", *values)


def invoices(*values: Sequence[Any]) -> list[dict[str, Any]]:
    return rows("id wallet_id amount_minor status operation_id confirmed_by", *values)


def requests(*values: Sequence[Any]) -> list[dict[str, Any]]:
    return rows("id wallet_id card_id amount_minor status operation_id", *values)


def payments(*values: Sequence[Any]) -> list[dict[str, Any]]:
    return rows(
        "id wallet_id kind key invoice_id address payee_wallet_id nfc_request_id"
        " amount_minor fee_reserve_minor held_minor fee_minor status operation_id",
        *values,
    )


def proofs(*values: Sequence[Any]) -> list[dict[str, Any]]:
    return rows("id wallet_id amount_minor status payment_id operation_id", *values)


def entries(*values: Sequence[Any]) -> list[dict[str, Any]]:
    return rows("id account wallet_id kind amount_minor reference operation_id", *values)


def sales(*values: Sequence[Any]) -> list[dict[str, Any]]:
    return rows("id wallet_id invoice_id status operation_id", *values)


def notifications(*values: Sequence[Any]) -> list[dict[str, Any]]:
    return rows("id wallet_id sequence kind amount_minor invoice_id payment_id operation_id", *values)


ADDRESS = {"wallet_id": 2, "address": "shop@example.org", "amount_minor": 10, "key": 7}
ADDRESSED = (5, 2, "address", "address-7", None, "shop@example.org", None, None, 10, 2, 16)
SALE_OF_20 = ("create_pos_sale", {"wallet_id": 3, "amount_minor": 20})
TAP = {"card_id": 1, "invoice_id": 6}
INVOICED = (4, 1, "invoice", "invoice-4", 4, None, None, None, 7, 2, 32)
SETTLED_4 = entries(
    (22, "in_flight", None, "settlement", -32, 4, op(9)),
    (23, "wallet", 1, "settlement", 24, 4, op(9)),
    (24, "mint", None, "settlement", 7, 4, op(9)),
    (25, "fees", None, "settlement", 1, 4, op(9)),
)

PLAYED: Mapping[str, Played] = {
    "a wallet is opened; what is pending counts": Played(
        "access", {"wallet_id": 1}, Ok({"handle": "box-1", "worth_minor": 85})
    ),
    "a wallet that does not exist is opened": Played("access", {"wallet_id": 99}, Declined("unknown_wallet")),
    "an invoice is made": Played(
        "create_invoice",
        {"wallet_id": 3, "amount_minor": 50},
        Ok({"invoice_id": 6, "payment_request": "lnbc50-6"}),
        {"invoices": invoices((6, 3, 50, "unpaid", "this", None))},
    ),
    "an invoice that the mint does not quote expires some day": Played(
        "create_invoice",
        {"wallet_id": 3, "amount_minor": 50},
        Unavailable("mint_did_not_answer"),
        {"invoices": invoices((6, 3, 50, "unpaid", "this", None))},
        mint=REFUSING,
    ),
    "a sale is shown": Played(
        "create_pos_sale",
        {"wallet_id": 3, "amount_minor": 50},
        Ok({"pos_sale_id": 3, "invoice_id": 6, "payment_request": "lnbc50-6"}),
        {
            "invoices": invoices((6, 3, 50, "unpaid", "this", None)),
            "pos_sales": sales((3, 3, 6, "awaiting", "this")),
        },
    ),
    "a sale that the mint does not quote": Played(
        "create_pos_sale",
        {"wallet_id": 3, "amount_minor": 50},
        Unavailable("mint_did_not_answer"),
        {
            "invoices": invoices((6, 3, 50, "unpaid", "this", None)),
            "pos_sales": sales((3, 3, 6, "awaiting", "this")),
        },
        mint=SILENT,
    ),
    "an expired invoice was paid in time, and its sale with it": Played(
        "confirm_invoice",
        {"invoice_id": 3},
        Ok({"invoice_id": 3, "status": "credited"}),
        {
            "invoices": invoices((3, 3, 9, "credited", op(10), "this")),
            "pos_sales": sales((2, 3, 3, "paid", op(10))),
            "wallets": wallets((3, "box-3", 9, 1)),
            "proofs": proofs((11, 3, 8, "unspent", None, "this"), (12, 3, 1, "unspent", None, "this")),
            "entries": entries(
                (22, "wallet", 3, "receipt", 9, 3, "this"),
                (23, "mint", None, "receipt", -9, 3, "this"),
            ),
            "notifications": notifications((6, 3, 1, "RECD", 9, 3, None, "this")),
        },
    ),
    "an invoice is paid, and the mint does not issue its proofs yet": Played(
        "confirm_invoice",
        {"invoice_id": 3},
        Unavailable("mint_did_not_answer"),
        {
            "invoices": invoices((3, 3, 9, "paid", op(10), "this")),
            "pos_sales": sales((2, 3, 3, "paid", op(10))),
        },
        mint=SILENT,
    ),
    "a confirmation comes again, and does what the first one left": Played(
        "confirm_invoice",
        {"invoice_id": 5},
        Declined("already_confirmed"),
        {
            "invoices": invoices((5, 3, 5, "credited", op(12), op(13))),
            "wallets": wallets((3, "box-3", 5, 1)),
            "proofs": proofs((11, 3, 4, "unspent", None, op(13)), (12, 3, 1, "unspent", None, op(13))),
            "entries": entries(
                (22, "wallet", 3, "receipt", 5, 5, op(13)),
                (23, "mint", None, "receipt", -5, 5, op(13)),
            ),
            "notifications": notifications((6, 3, 1, "RECD", 5, 5, None, op(13))),
        },
    ),
    "a confirmation comes again, and nothing is left to do": Played(
        "confirm_invoice", {"invoice_id": 1}, Declined("already_confirmed")
    ),
    "an address is paid, and the change comes back": Played(
        "pay_address",
        ADDRESS,
        Ok({"payment_id": 5, "status": "settled"}),
        {
            "payments": payments((*ADDRESSED, 1, "settled", "this")),
            "proofs": proofs(
                (4, 2, 16, "spent", 5, op(4)),
                (11, 2, 4, "unspent", None, "this"),
                (12, 2, 1, "unspent", None, "this"),
            ),
            "wallets": wallets((2, "box-2", 17, 3)),
            "entries": entries(
                (22, "wallet", 2, "hold", -16, 5, "this"),
                (23, "in_flight", None, "hold", 16, 5, "this"),
                (24, "in_flight", None, "settlement", -16, 5, "this"),
                (25, "wallet", 2, "settlement", 5, 5, "this"),
                (26, "mint", None, "settlement", 10, 5, "this"),
                (27, "fees", None, "settlement", 1, 5, "this"),
            ),
            "notifications": notifications((6, 2, 3, "SENT", 10, None, 5, "this")),
        },
    ),
    "an address is paid once under a key": Played(
        "pay_address", ADDRESS, Ok({"payment_id": 5, "status": "settled"}), before=(("pay_address", ADDRESS),)
    ),
    "a key is used for something else": Played(
        "pay_address", {**ADDRESS, "amount_minor": 9}, Declined("key_reused"), before=(("pay_address", ADDRESS),)
    ),
    "an address cannot be reached, and everything comes back": Played(
        "pay_address",
        {**ADDRESS, "address": "gone@example.org"},
        Declined("payment_failed"),
        {
            "payments": payments(
                (5, 2, "address", "address-7", None, "gone@example.org", None, None, 10, 2, 16, None, "failed", "this")
            ),
            "entries": entries(
                (22, "wallet", 2, "hold", -16, 5, "this"),
                (23, "in_flight", None, "hold", 16, 5, "this"),
                (24, "in_flight", None, "return", -16, 5, "this"),
                (25, "wallet", 2, "return", 16, 5, "this"),
            ),
        },
    ),
    "the mint does not answer": Played(
        "pay_address",
        ADDRESS,
        Unavailable("mint_did_not_answer"),
        {
            "payments": payments((*ADDRESSED, None, "processing", "this")),
            "proofs": proofs((4, 2, 16, "pending", 5, op(4))),
            "wallets": wallets((2, "box-2", 12, 2)),
            "entries": entries(
                (22, "wallet", 2, "hold", -16, 5, "this"),
                (23, "in_flight", None, "hold", 16, 5, "this"),
            ),
        },
        mint=SILENT,
    ),
    "a wallet whose payment the mint does not answer cannot begin another": Played(
        "pay_address", {**ADDRESS, "wallet_id": 1}, Unavailable("mint_did_not_answer"), mint=SILENT
    ),
    "more than the wallet has": Played("pay_address", {**ADDRESS, "amount_minor": 27}, Declined("insufficient_balance")),
    "an invoice that is being paid from the wallet is paid": Played(
        "pay_invoice",
        {"wallet_id": 1, "invoice_id": 4},
        Ok({"payment_id": 4, "status": "settled"}),
        {
            "payments": payments((*INVOICED, 1, "settled", op(9))),
            "proofs": proofs(
                (2, 1, 32, "spent", 4, op(2)),
                (11, 1, 16, "unspent", None, op(9)),
                (12, 1, 8, "unspent", None, op(9)),
            ),
            "wallets": wallets((1, "box-1", 77, 4)),
            "entries": SETTLED_4,
            "notifications": notifications((6, 1, 4, "SENT", 7, None, 4, op(9))),
        },
    ),
    "an invoice that is being paid from another wallet": Played(
        "pay_invoice", {"wallet_id": 2, "invoice_id": 4}, Declined("invoice_closed")
    ),
    "an invoice that was paid": Played("pay_invoice", {"wallet_id": 2, "invoice_id": 5}, Declined("invoice_closed")),
    "a card is tapped": Played(
        "request_nfc_payment",
        {"wallet_id": 1, "card_id": 1, "amount_minor": 30},
        Ok({"nfc_request_id": 5}),
        {"nfc_requests": requests((5, 1, 1, 30, "open", "this"))},
    ),
    "a revoked card is tapped": Played(
        "request_nfc_payment", {"wallet_id": 1, "card_id": 2, "amount_minor": 30}, Declined("card_revoked")
    ),
    "a card that has expired is tapped": Played(
        "request_nfc_payment", {"wallet_id": 1, "card_id": 3, "amount_minor": 30}, Declined("card_expired")
    ),
    "a card is asked for beforehand": Played("check_card", {"wallet_id": 1, "card_id": 1}, Ok({"card_id": 1})),
    "a card that has expired is asked for beforehand": Played(
        "check_card", {"wallet_id": 1, "card_id": 3}, Declined("card_expired")
    ),
    "one's own card is tapped": Played(
        "request_nfc_payment", {"wallet_id": 2, "card_id": 1, "amount_minor": 30}, Declined("own_card")
    ),
    "a sale's invoice is paid by a tap, and it awaits the mint's word": Played(
        "tap_sale",
        TAP,
        Ok({"payment_id": 5, "status": "settled"}),
        {
            "payments": payments((5, 2, "invoice", "invoice-6", 6, None, None, None, 20, 2, 24, 1, "settled", "this")),
            "proofs": proofs(
                (4, 2, 16, "spent", 5, op(4)),
                (7, 2, 8, "spent", 5, op(6)),
                (11, 2, 2, "unspent", None, "this"),
                (12, 2, 1, "unspent", None, "this"),
            ),
            "wallets": wallets((2, "box-2", 7, 3)),
            "entries": entries(
                (22, "wallet", 2, "hold", -24, 5, "this"),
                (23, "in_flight", None, "hold", 24, 5, "this"),
                (24, "in_flight", None, "settlement", -24, 5, "this"),
                (25, "wallet", 2, "settlement", 3, 5, "this"),
                (26, "mint", None, "settlement", 20, 5, "this"),
                (27, "fees", None, "settlement", 1, 5, "this"),
            ),
            "notifications": notifications((6, 2, 3, "SENT", 20, None, 5, "this")),
        },
        before=(SALE_OF_20,),
    ),
    "a sale is tapped twice": Played(
        "tap_sale", TAP, Ok({"payment_id": 5, "status": "settled"}), before=(SALE_OF_20, ("tap_sale", TAP))
    ),
    "a sale that was tapped is scanned from the same wallet": Played(
        "pay_invoice",
        {"wallet_id": 2, "invoice_id": 6},
        Ok({"payment_id": 5, "status": "settled"}),
        before=(SALE_OF_20, ("tap_sale", TAP)),
    ),
    "a sale that was tapped is scanned from another wallet": Played(
        "pay_invoice",
        {"wallet_id": 1, "invoice_id": 6},
        Declined("invoice_closed"),
        before=(SALE_OF_20, ("tap_sale", TAP), ("pay_invoice", {"wallet_id": 1, "invoice_id": 4})),
    ),
    "a sale that has had its time is tapped": Played(
        "tap_sale", {"card_id": 1, "invoice_id": 3}, Declined("invoice_closed")
    ),
    "what is no sale is tapped": Played("tap_sale", {"card_id": 1, "invoice_id": 4}, Declined("unknown_sale")),
    "what is no sale is tapped with a card that has expired": Played(
        "tap_sale", {"card_id": 3, "invoice_id": 4}, Declined("card_expired")
    ),
    "a merchant taps its own card": Played("tap_sale", {"card_id": 1, "invoice_id": 2}, Declined("own_card")),
    "a card's wallet pays": Played(
        "answer_nfc_request",
        {"nfc_request_id": 3},
        Ok({"payment_id": 5, "status": "settled"}),
        {
            "nfc_requests": requests((3, 1, 1, 25, "accepted", op(15))),
            "payments": payments((5, 2, "ecash", "nfc-3", None, None, 1, 3, 25, 0, 28, 0, "settled", "this")),
            "proofs": proofs(
                (4, 2, 16, "spent", 5, op(4)),
                (7, 2, 8, "spent", 5, op(6)),
                (8, 2, 4, "spent", 5, op(6)),
                (11, 2, 2, "unspent", None, "this"),
                (12, 2, 1, "unspent", None, "this"),
                (13, 1, 16, "unspent", None, "this"),
                (14, 1, 8, "unspent", None, "this"),
                (15, 1, 1, "unspent", None, "this"),
            ),
            "wallets": wallets((1, "box-1", 78, 4), (2, "box-2", 3, 3)),
            "entries": entries(
                (22, "wallet", 2, "hold", -28, 5, "this"),
                (23, "in_flight", None, "hold", 28, 5, "this"),
                (24, "in_flight", None, "settlement", -28, 5, "this"),
                (25, "wallet", 2, "settlement", 3, 5, "this"),
                (26, "wallet", 1, "settlement", 25, 5, "this"),
            ),
            "notifications": notifications((6, 2, 3, "SENT", 25, None, 5, "this"), (7, 1, 4, "RECD", 25, None, 5, "this")),
        },
    ),
    "a card's wallet hears of a request again": Played(
        "answer_nfc_request",
        {"nfc_request_id": 3},
        Ok({"payment_id": 5, "status": "settled"}),
        before=(("answer_nfc_request", {"nfc_request_id": 3}),),
    ),
    "a card's wallet cannot pay": Played(
        "answer_nfc_request",
        {"nfc_request_id": 3},
        Declined("insufficient_balance"),
        {"nfc_requests": requests((3, 1, 1, 25, "rejected", op(15)))},
        before=(("pay_address", ADDRESS),),
    ),
    "a card's wallet hears of a request too late": Played(
        "answer_nfc_request", {"nfc_request_id": 4}, Declined("request_closed")
    ),
    "a tag is paid": Played(
        "pay_to_nfc_tag",
        {"wallet_id": 1, "card_id": 1, "amount_minor": 20, "key": 1},
        Ok({"payment_id": 5, "status": "settled"}),
        {
            "payments": payments((5, 1, "ecash", "tag-1", None, None, 2, None, 20, 0, 32, 0, "settled", "this")),
            "proofs": proofs(
                (5, 1, 32, "spent", 5, op(5)),
                (13, 1, 8, "unspent", None, "this"),
                (14, 1, 4, "unspent", None, "this"),
                (15, 2, 16, "unspent", None, "this"),
                (16, 2, 4, "unspent", None, "this"),
            ),
            "wallets": wallets((1, "box-1", 57, 5), (2, "box-2", 48, 3)),
            "entries": entries(
                (26, "wallet", 1, "hold", -32, 5, "this"),
                (27, "in_flight", None, "hold", 32, 5, "this"),
                (28, "in_flight", None, "settlement", -32, 5, "this"),
                (29, "wallet", 1, "settlement", 12, 5, "this"),
                (30, "wallet", 2, "settlement", 20, 5, "this"),
            ),
            "notifications": notifications((7, 1, 5, "SENT", 20, None, 5, "this"), (8, 2, 3, "RECD", 20, None, 5, "this")),
        },
        before=(("pay_invoice", {"wallet_id": 1, "invoice_id": 4}),),
    ),
    "a tag is paid with nothing": Played(
        "pay_to_nfc_tag",
        {"wallet_id": 3, "card_id": 1, "amount_minor": 20, "key": 1},
        Declined("insufficient_balance"),
    ),
    "a poll carries on what is under way in its wallet": Played(
        "poll_status",
        {"wallet_id": 1},
        Ok({"notification_count": 4, "worth_minor": 77}),
        {
            "nfc_requests": requests((3, 1, 1, 25, "expired", op(15))),
            "payments": payments((*INVOICED, 1, "settled", op(9))),
            "proofs": proofs(
                (2, 1, 32, "spent", 4, op(2)),
                (11, 1, 16, "unspent", None, op(9)),
                (12, 1, 8, "unspent", None, op(9)),
            ),
            "wallets": wallets((1, "box-1", 77, 4)),
            "entries": SETTLED_4,
            "notifications": notifications((6, 1, 4, "SENT", 7, None, 4, op(9))),
        },
    ),
    "a poll that the mint does not answer": Played(
        "poll_status",
        {"wallet_id": 1},
        Ok({"notification_count": 3, "worth_minor": 85}),
        {"nfc_requests": requests((3, 1, 1, 25, "expired", op(15)))},
        mint=SILENT,
    ),
    "a socket that opens tells what was missed": Played(
        "open_notifications", {"wallet_id": 1, "last_sequence": 2}, Ok({"last_sequence": 3}), {}
    ),
    "a socket that was told what there is not": Played(
        "open_notifications", {"wallet_id": 1, "last_sequence": 4}, Declined("unknown_last_sequence"), {}
    ),
    "a poll of a wallet that does not exist": Played("poll_status", {"wallet_id": 99}, Declined("unknown_wallet")),
    "a sweep carries on what is under way in any wallet": Played(
        "settle_pending",
        {"wallet_id": 1},
        Ok(),
        {
            "invoices": invoices((4, 3, 7, "expired", op(11), None), (5, 3, 5, "credited", op(12), op(13))),
            "nfc_requests": requests((3, 1, 1, 25, "expired", op(15))),
            "payments": payments((*INVOICED, 1, "settled", op(9))),
            "proofs": proofs(
                (2, 1, 32, "spent", 4, op(2)),
                (11, 3, 4, "unspent", None, op(13)),
                (12, 3, 1, "unspent", None, op(13)),
                (13, 1, 16, "unspent", None, op(9)),
                (14, 1, 8, "unspent", None, op(9)),
            ),
            "wallets": wallets((1, "box-1", 77, 4), (3, "box-3", 5, 1)),
            "entries": entries(
                (22, "wallet", 3, "receipt", 5, 5, op(13)),
                (23, "mint", None, "receipt", -5, 5, op(13)),
                *([entry["id"] + 2, *list(entry.values())[1:]] for entry in SETTLED_4),
            ),
            "notifications": notifications((6, 3, 1, "RECD", 5, 5, None, op(13)), (7, 1, 4, "SENT", 7, None, 4, op(9))),
        },
    ),
}
