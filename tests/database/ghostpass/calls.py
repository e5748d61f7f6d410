"""Calls of ghostpass's operations on the small venue: what each answers and exactly the rows it makes or changes."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from integrity.operation import Declined, Ok, Reply
from tests.database.worlds import op, rows


@dataclass(frozen=True)
class Played:
    """An operation and what is expected of it.

    Args:
        before: calls that lead up to it, all of which are ok.
        changes: table -> the rows that are new or changed, without their times; this call's operation_id is "this".
    """

    operation: str
    arguments: Mapping[str, Any]
    reply: Reply
    changes: Mapping[str, list[dict[str, Any]]] = field(default_factory=dict)
    before: tuple[tuple[str, Mapping[str, Any]], ...] = ()


PLAYED: Mapping[str, Played] = {
    "a funding is requested": Played(
        "request_funding",
        {"wallet_id": 3, "amount_minor": 700},
        Ok({"funding_id": 5}),
        {
            "audit_log": rows("id action subject subject_id operation_id", (16, "funding_requested", "funding", 5, "this")),
            "fundings": rows("id wallet_id amount_minor status operation_id", (5, 3, 700, "pending", "this")),
        },
    ),
    "a payment succeeded": Played(
        "receive_funding_webhook",
        {"event_id": "evt-4", "funding_id": 4, "kind": "payment_succeeded"},
        Ok({"funding_id": 4}),
        {
            "audit_log": rows("id action subject subject_id operation_id", (16, "payment_succeeded", "funding", 4, "this")),
            "wallets": rows("id code balance_minor", (3, "GP-3", 500)),
            "entries": rows(
                "id account wallet_id kind amount_minor reference operation_id",
                (19, "wallet", 3, "funding", 500, 4, "this"),
                (20, "processor", None, "funding", -500, 4, "this"),
            ),
            "fundings": rows("id wallet_id amount_minor status operation_id", (4, 3, 500, "confirmed", op(7))),
            "webhook_events": rows(
                "id event_id funding_id kind operation_id", (4, "evt-4", 4, "payment_succeeded", "this")
            ),
        },
    ),
    "a payment failed": Played(
        "receive_funding_webhook",
        {"event_id": "evt-4", "funding_id": 4, "kind": "payment_failed"},
        Ok({"funding_id": 4}),
        {
            "audit_log": rows("id action subject subject_id operation_id", (16, "payment_failed", "funding", 4, "this")),
            "fundings": rows("id wallet_id amount_minor status operation_id", (4, 3, 500, "failed", op(7))),
            "webhook_events": rows("id event_id funding_id kind operation_id", (4, "evt-4", 4, "payment_failed", "this")),
        },
    ),
    "an event comes again": Played(
        "receive_funding_webhook",
        {"event_id": "evt-1", "funding_id": 1, "kind": "payment_succeeded"},
        Declined("event_already_applied"),
    ),
    "another event comes for a settled funding": Played(
        "receive_funding_webhook",
        {"event_id": "evt-5", "funding_id": 2, "kind": "payment_succeeded"},
        Declined("funding_already_settled"),
    ),
    "a first entry is free": Played(
        "scan_in",
        {"wallet_id": 3, "gateway_id": 1},
        Ok({"entry_number": 1, "fee_minor": 0}),
        {
            "audit_log": rows("id action subject subject_id operation_id", (16, "entered", "scan", 6, "this")),
            "presences": rows("wallet_id is_inside entry_count", (3, True, 1)),
            "scans": rows(
                "id wallet_id gateway_id direction is_accepted entry_number fee_minor operation_id",
                (6, 3, 1, "in", True, 1, 0, "this"),
            ),
        },
    ),
    "a re-entry costs its fee": Played(
        "scan_in",
        {"wallet_id": 1, "gateway_id": 1},
        Ok({"entry_number": 3, "fee_minor": 300}),
        {
            "audit_log": rows("id action subject subject_id operation_id", (17, "reentered", "scan", 7, "this")),
            "wallets": rows("id code balance_minor", (1, "GP-1", 3401)),
            "entries": rows(
                "id account wallet_id kind amount_minor reference operation_id",
                (19, "wallet", 1, "reentry_fee", -300, 7, "this"),
                (20, "venue", None, "reentry_fee", 300, 7, "this"),
            ),
            "presences": rows("wallet_id is_inside entry_count", (1, True, 3)),
            "scans": rows(
                "id wallet_id gateway_id direction is_accepted entry_number fee_minor operation_id",
                (7, 1, 1, "in", True, 3, 300, "this"),
            ),
        },
        before=(("scan_out", {"wallet_id": 1, "gateway_id": 2}),),
    ),
    "a re-entry is free where the gateway asks for nothing": Played(
        "scan_in",
        {"wallet_id": 1, "gateway_id": 2},
        Ok({"entry_number": 3, "fee_minor": 0}),
        {
            "audit_log": rows("id action subject subject_id operation_id", (17, "reentered", "scan", 7, "this")),
            "presences": rows("wallet_id is_inside entry_count", (1, True, 3)),
            "scans": rows(
                "id wallet_id gateway_id direction is_accepted entry_number fee_minor operation_id",
                (7, 1, 2, "in", True, 3, 0, "this"),
            ),
        },
        before=(("scan_out", {"wallet_id": 1, "gateway_id": 2}),),
    ),
    "a re-entry is not let in without its fee": Played(
        "scan_in",
        {"wallet_id": 3, "gateway_id": 1},
        Declined("insufficient_balance"),
        {
            "audit_log": rows("id action subject subject_id operation_id", (18, "rejected_in", "scan", 8, "this")),
            "scans": rows(
                "id wallet_id gateway_id direction is_accepted entry_number fee_minor operation_id",
                (8, 3, 1, "in", False, None, 0, "this"),
            ),
        },
        before=(("scan_in", {"wallet_id": 3, "gateway_id": 1}), ("scan_out", {"wallet_id": 3, "gateway_id": 1})),
    ),
    "a guest who is inside is not let in": Played(
        "scan_in",
        {"wallet_id": 1, "gateway_id": 2},
        Declined("already_inside"),
        {
            "audit_log": rows("id action subject subject_id operation_id", (16, "rejected_in", "scan", 6, "this")),
            "scans": rows(
                "id wallet_id gateway_id direction is_accepted entry_number fee_minor operation_id",
                (6, 1, 2, "in", False, None, 0, "this"),
            ),
        },
    ),
    "an unknown wallet is not let in": Played("scan_in", {"wallet_id": 99, "gateway_id": 1}, Declined("unknown_wallet")),
    "a guest leaves": Played(
        "scan_out",
        {"wallet_id": 1, "gateway_id": 2},
        Ok(),
        {
            "audit_log": rows("id action subject subject_id operation_id", (16, "scanned_out", "scan", 6, "this")),
            "presences": rows("wallet_id is_inside entry_count", (1, False, 2)),
            "scans": rows(
                "id wallet_id gateway_id direction is_accepted entry_number fee_minor operation_id",
                (6, 1, 2, "out", True, None, 0, "this"),
            ),
        },
    ),
    "a guest who is outside does not leave": Played(
        "scan_out",
        {"wallet_id": 3, "gateway_id": 2},
        Declined("not_inside"),
        {
            "audit_log": rows("id action subject subject_id operation_id", (16, "rejected_out", "scan", 6, "this")),
            "scans": rows(
                "id wallet_id gateway_id direction is_accepted entry_number fee_minor operation_id",
                (6, 3, 2, "out", False, None, 0, "this"),
            ),
        },
    ),
    "a sale is shared": Played(
        "sell",
        {"wallet_id": 1, "terminal_id": 1, "amount_minor": 1019},
        Ok({"sale_id": 3, "balance_minor": 2682}),
        {
            "audit_log": rows("id action subject subject_id operation_id", (16, "sold", "sale", 3, "this")),
            "wallets": rows("id code balance_minor", (1, "GP-1", 2682)),
            "entries": rows(
                "id account wallet_id kind amount_minor reference operation_id",
                (19, "wallet", 1, "sale", -1019, 3, "this"),
                (20, "platform", None, "sale", 25, 3, "this"),
                (21, "venue", None, "sale", 101, 3, "this"),
                (22, "vendor", None, "sale", 893, 3, "this"),
            ),
            "sales": rows(
                "id wallet_id terminal_id amount_minor platform_fee_minor refunded_minor operation_id",
                (3, 1, 1, 1019, 25, 0, "this"),
            ),
            "splits": rows(
                "id sale_id party amount_minor", (7, 3, "platform", 25), (8, 3, "venue", 101), (9, 3, "vendor", 893)
            ),
        },
    ),
    "a sale may empty the wallet": Played(
        "sell",
        {"wallet_id": 2, "terminal_id": 1, "amount_minor": 2000},
        Ok({"sale_id": 3, "balance_minor": 0}),
        {
            "audit_log": rows("id action subject subject_id operation_id", (16, "sold", "sale", 3, "this")),
            "wallets": rows("id code balance_minor", (2, "GP-2", 0)),
            "entries": rows(
                "id account wallet_id kind amount_minor reference operation_id",
                (19, "wallet", 2, "sale", -2000, 3, "this"),
                (20, "platform", None, "sale", 50, 3, "this"),
                (21, "venue", None, "sale", 200, 3, "this"),
                (22, "vendor", None, "sale", 1750, 3, "this"),
            ),
            "sales": rows(
                "id wallet_id terminal_id amount_minor platform_fee_minor refunded_minor operation_id",
                (3, 2, 1, 2000, 50, 0, "this"),
            ),
            "splits": rows(
                "id sale_id party amount_minor", (7, 3, "platform", 50), (8, 3, "venue", 200), (9, 3, "vendor", 1750)
            ),
        },
    ),
    "a sale that the wallet cannot pay": Played(
        "sell", {"wallet_id": 2, "terminal_id": 1, "amount_minor": 2001}, Declined("insufficient_balance")
    ),
    "a sale at a terminal that there is not": Played(
        "sell", {"wallet_id": 2, "terminal_id": 99, "amount_minor": 100}, Declined("unknown_terminal")
    ),
    "an entry at a gateway that there is not": Played(
        "scan_in", {"wallet_id": 2, "gateway_id": 99}, Declined("unknown_gateway")
    ),
    "a sale is taken back": Played(
        "refund_sale",
        {"sale_id": 1},
        Ok({"amount_minor": 999}),
        {
            "audit_log": rows("id action subject subject_id operation_id", (16, "refunded", "sale", 1, "this")),
            "wallets": rows("id code balance_minor", (1, "GP-1", 4700)),
            "entries": rows(
                "id account wallet_id kind amount_minor reference operation_id",
                (19, "wallet", 1, "refund", 999, 1, "this"),
                (20, "platform", None, "refund", -24, 1, "this"),
                (21, "venue", None, "refund", -99, 1, "this"),
                (22, "vendor", None, "refund", -876, 1, "this"),
            ),
            "sales": rows(
                "id wallet_id terminal_id amount_minor platform_fee_minor refunded_minor operation_id",
                (1, 1, 1, 999, 24, 999, op(13)),
            ),
        },
    ),
    "a sale is taken back twice": Played("refund_sale", {"sale_id": 2}, Declined("already_refunded")),
}
