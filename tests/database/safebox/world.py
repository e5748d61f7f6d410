"""A small wallet service, written by hand, in which every invariant of safebox holds.

Wallet 1 received 96 and paid 30 to an address; wallet 2 sold for 48 at its point of sale, paid 20 to wallet 1 by its card,
and had a payment fail; wallet 3 has had nothing but its time: an invoice that expired, one that has just been paid and is
not credited yet, and one that wallet 1 is paying. A first run (r1, 18:00 to 19:00) made what its calls tell; a second one
(r2, from 20:00) goes on, its calls not loaded yet.
"""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from tests.database.worlds import invariant_files, op, query_files, rows

FILES = invariant_files("safebox")
QUERIES = query_files("safebox")

NOW = datetime(2026, 1, 17, 20, 20, tzinfo=UTC)
"""When the world is audited: what is under way is 15 minutes old to the second, and so not yet stuck."""


def at(time: str) -> str:
    return f"2026-01-17 {time}"


CREDITED = '{"status": "credited", "invoice_id": 2}'
SETTLED = '{"status": "settled", "payment_id": 2}'

WORLD: Mapping[str, list[dict[str, Any]]] = {
    "safebox.wallets": rows(
        "id handle balance_minor notification_count created_at",
        (1, "box-1", 53, 3, at("16:00:00")),
        (2, "box-2", 28, 2, at("16:00:00")),
        (3, "box-3", 0, 0, at("16:00:00")),
    ),
    "safebox.cards": rows(
        "id wallet_id token status issued_at",
        (1, 2, "card-1", "active", at("16:00:00")),
        (2, 3, "card-2", "revoked", at("16:00:00")),
        (3, 3, "card-3", "expired", at("16:00:00")),
    ),
    "safebox.invoices": rows(
        "id wallet_id amount_minor status operation_id confirmed_by created_at expires_at paid_at",
        (1, 1, 96, "credited", op(1), op(2), at("17:00:00"), at("17:15:00"), at("17:00:05")),
        (2, 2, 48, "credited", op(3), op(4), at("18:01:00"), at("18:16:00"), at("18:01:05")),
        (3, 3, 9, "expired", op(10), None, at("17:02:00"), at("17:17:00"), None),
        (4, 3, 7, "unpaid", op(11), None, at("17:03:00"), at("20:05:00"), None),
        (5, 3, 5, "paid", op(12), op(13), at("20:04:00"), at("20:19:00"), at("20:05:00")),
    ),
    "safebox.nfc_requests": rows(
        "id wallet_id card_id amount_minor status operation_id requested_at expires_at answered_at",
        (1, 1, 1, 20, "accepted", op(7), at("18:03:00"), at("18:04:00"), at("18:03:01")),
        (2, 1, 1, 900, "rejected", op(14), at("17:04:00"), at("17:05:00"), at("17:04:01")),
        (3, 1, 1, 25, "open", op(15), at("20:04:00"), at("20:05:00"), None),
        (4, 3, 1, 26, "expired", op(16), at("17:05:00"), at("17:06:00"), None),
    ),
    "safebox.payments": rows(
        "id wallet_id kind key invoice_id address payee_wallet_id nfc_request_id"
        " amount_minor fee_reserve_minor held_minor fee_minor status operation_id created_at ended_at",
        *(
            (*what, *how_much, *how)
            for what, how_much, how in (
                (
                    (1, 1, "address", "address-1", None, "shop@example.org", None, None),
                    (30, 2, 64, 1),
                    ("settled", op(5), at("18:02:00"), at("18:02:01")),
                ),
                (
                    (2, 2, "ecash", "nfc-1", None, None, 1, 1),
                    (20, 0, 32, 0),
                    ("settled", op(6), at("18:03:01"), at("18:03:02")),
                ),
                (
                    (3, 2, "address", "address-3", None, "gone@example.org", None, None),
                    (10, 2, 16, None),
                    ("failed", op(8), at("18:04:00"), at("18:04:01")),
                ),
                (
                    (4, 1, "invoice", "invoice-4", 4, None, None, None),
                    (7, 2, 32, None),
                    ("processing", op(9), at("20:05:00"), None),
                ),
            )
        ),
    ),
    "safebox.proofs": rows(
        "id wallet_id secret amount_minor status payment_id operation_id created_at",
        (1, 1, "s-1", 64, "spent", 1, op(2), at("17:00:06")),
        (2, 1, "s-2", 32, "pending", 4, op(2), at("17:00:06")),
        (3, 2, "s-3", 32, "spent", 2, op(4), at("18:01:06")),
        (4, 2, "s-4", 16, "unspent", None, op(4), at("18:01:06")),
        (5, 1, "s-5", 32, "unspent", None, op(5), at("18:02:01")),
        (6, 1, "s-6", 1, "unspent", None, op(5), at("18:02:01")),
        (7, 2, "s-7", 8, "unspent", None, op(6), at("18:03:02")),
        (8, 2, "s-8", 4, "unspent", None, op(6), at("18:03:02")),
        (9, 1, "s-9", 16, "unspent", None, op(6), at("18:03:02")),
        (10, 1, "s-10", 4, "unspent", None, op(6), at("18:03:02")),
    ),
    "safebox.entries": rows(
        "id account wallet_id kind amount_minor reference operation_id created_at",
        (1, "wallet", 1, "receipt", 96, 1, op(2), at("17:00:06")),
        (2, "mint", None, "receipt", -96, 1, op(2), at("17:00:06")),
        (3, "wallet", 2, "receipt", 48, 2, op(4), at("18:01:06")),
        (4, "mint", None, "receipt", -48, 2, op(4), at("18:01:06")),
        (5, "wallet", 1, "hold", -64, 1, op(5), at("18:02:00")),
        (6, "in_flight", None, "hold", 64, 1, op(5), at("18:02:00")),
        (7, "in_flight", None, "settlement", -64, 1, op(5), at("18:02:01")),
        (8, "wallet", 1, "settlement", 33, 1, op(5), at("18:02:01")),
        (9, "mint", None, "settlement", 30, 1, op(5), at("18:02:01")),
        (10, "fees", None, "settlement", 1, 1, op(5), at("18:02:01")),
        (11, "wallet", 2, "hold", -32, 2, op(6), at("18:03:01")),
        (12, "in_flight", None, "hold", 32, 2, op(6), at("18:03:01")),
        (13, "in_flight", None, "settlement", -32, 2, op(6), at("18:03:02")),
        (14, "wallet", 2, "settlement", 12, 2, op(6), at("18:03:02")),
        (15, "wallet", 1, "settlement", 20, 2, op(6), at("18:03:02")),
        (16, "wallet", 2, "hold", -16, 3, op(8), at("18:04:00")),
        (17, "in_flight", None, "hold", 16, 3, op(8), at("18:04:00")),
        (18, "in_flight", None, "return", -16, 3, op(8), at("18:04:01")),
        (19, "wallet", 2, "return", 16, 3, op(8), at("18:04:01")),
        (20, "wallet", 1, "hold", -32, 4, op(9), at("20:05:00")),
        (21, "in_flight", None, "hold", 32, 4, op(9), at("20:05:00")),
    ),
    "safebox.pos_sales": rows(
        "id wallet_id invoice_id status operation_id created_at",
        (1, 2, 2, "paid", op(3), at("18:01:00")),
        (2, 3, 3, "expired", op(10), at("17:02:00")),
    ),
    "safebox.notifications": rows(
        "id wallet_id sequence kind amount_minor invoice_id payment_id operation_id notified_at",
        (1, 1, 1, "RECD", 96, 1, None, op(2), at("17:00:06")),
        (2, 2, 1, "RECD", 48, 2, None, op(4), at("18:01:06")),
        (3, 1, 2, "SENT", 30, None, 1, op(5), at("18:02:01")),
        (4, 2, 2, "SENT", 20, None, 2, op(6), at("18:03:02")),
        (5, 1, 3, "RECD", 20, None, 2, op(6), at("18:03:02")),
    ),
    "integrity.runs": rows(
        "run_id system profile seed state started_at ended_at alive_until",
        ("r1", "safebox", "hammer", 1, "finished", at("18:00:00"), at("19:00:00"), at("19:01:00")),
        ("r2", "safebox", "hammer", 2, "running", at("20:00:00"), None, at("21:30:00")),
    ),
    "integrity.calls": rows(
        "run_id operation_id operation arguments client intended_at invoked_at returned_at outcome reply error attempts",
        *(
            ("r1", op(number), operation, arguments, 1, at(time), at(time), returned, outcome, reply, "", 1)
            for number, operation, arguments, time, returned, outcome, reply in (
                (3, "create_pos_sale", "{}", "18:01:00", at("18:01:00"), "ok", '{"invoice_id": 2, "pos_sale_id": 1}'),
                (4, "confirm_invoice", '{"invoice_id": 2}', "18:01:05", at("18:01:06"), "ok", CREDITED),
                (5, "pay_address", "{}", "18:02:00", at("18:02:01"), "ok", '{"status": "settled", "payment_id": 1}'),
                (21, "check_card", '{"card_id": 3}', "18:02:59", at("18:02:59"), "declined", '{"reason": "card_expired"}'),
                (7, "request_nfc_payment", '{"card_id": 1}', "18:03:00", at("18:03:00"), "ok", '{"nfc_request_id": 1}'),
                (6, "answer_nfc_request", '{"nfc_request_id": 1}', "18:03:01", at("18:03:02"), "ok", SETTLED),
                (8, "pay_address", "{}", "18:04:00", at("18:04:01"), "declined", '{"reason": "payment_failed"}'),
                (17, "pay_address", "{}", "18:05:00", at("18:05:00"), "failed", "{}"),
                (18, "pay_address", "{}", "18:06:00", None, "unknown", "{}"),  # it had no effect
                (19, "poll_status", '{"wallet_id": 1}', "18:30:00", at("18:30:00"), "ok", "{}"),
                (20, "poll_status", '{"wallet_id": 2}', "18:31:00", at("18:31:00"), "ok", "{}"),
                # of wallet 2, which was told of its invoice and of what it paid
                (22, "open_notifications", '{"wallet_id": 2}', "18:00:30", at("18:00:30"), "ok", '{"last_sequence": 0}'),
            )
        ),
    ),
    "integrity.requests": rows(
        "run_id number operation_id service payload answer requested_at",
        ("r1", 1, op(3), "mint", '{"do": "quote", "invoice_id": 2}', '{"status": "unpaid"}', at("18:01:00")),
        ("r1", 2, op(4), "mint", '{"do": "issue", "invoice_id": 2}', '{"status": "issued"}', at("18:01:05")),
        ("r1", 3, op(5), "mint", '{"do": "melt", "payment_id": 1}', '{"status": "timeout"}', at("18:02:00")),
        (
            "r1",
            4,
            op(5),
            "mint",
            '{"do": "melt", "payment_id": 1}',
            '{"status": "settled", "fee_minor": 1}',
            at("18:02:01"),
        ),
        ("r1", 5, op(7), "relay", '{"nfc_request_id": 1}', '{"status": "published"}', at("18:03:00")),
        (
            "r1",
            6,
            op(6),
            "mint",
            '{"do": "swap", "payment_id": 2}',
            '{"status": "settled", "fee_minor": 0}',
            at("18:03:02"),
        ),
        ("r1", 7, op(8), "mint", '{"do": "melt", "payment_id": 3}', '{"status": "failed"}', at("18:04:01")),
        # the mint did not answer this poll, so it says nothing of what it left
        ("r1", 8, op(20), "mint", '{"do": "melt", "payment_id": 99}', '{"status": "error", "code": 500}', at("18:31:00")),
    ),
    "integrity.received": rows(
        "run_id number operation_id client stream sequence event_id sent_at received_at",
        ("r1", 1, op(22), 1, 2, 1, 2, at("18:01:06"), at("18:01:07")),
        ("r1", 2, op(22), 1, 2, 2, 4, at("18:03:02"), at("18:03:03")),
    ),
}
