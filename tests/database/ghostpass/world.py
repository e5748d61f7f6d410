"""A small venue, written by hand, in which every invariant of ghostpass holds.

Wallet 1 paid in 50.00, came in, tried to come in again, left, came back for a fee and bought for 9.99; wallet 2
had one payment fail and one succeed, came in and had a sale refunded; wallet 3 has just asked for a funding. A first run
(r1, 18:00 to 19:00) made what its calls tell; a second one (r2, from 20:00) goes on, its calls not loaded yet.
"""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from tests.database.worlds import invariant_files, op, query_files, rows

FILES = invariant_files("ghostpass")
QUERIES = query_files("ghostpass", "history")

NOW = datetime(2026, 1, 17, 20, 20, tzinfo=UTC)
"""When the world is audited: the pending funding of wallet 3 is 15 minutes old to the second, and so not yet stuck."""


def at(time: str) -> str:
    return f"2026-01-17 {time}"


TOLD = {6: '{"event_id": "evt-3"}'}
"""Arguments of calls, where a query asks for them."""

WORLD: Mapping[str, list[dict[str, Any]]] = {
    "ghostpass.wallets": rows(
        "id code balance_minor created_at",
        (1, "GP-1", 3701, at("16:00:00")),
        (2, "GP-2", 2000, at("16:00:00")),
        (3, "GP-3", 0, at("16:00:00")),
    ),
    "ghostpass.gateways": rows("id name reentry_fee_minor", (1, "east", 300), (2, "west", 0)),
    "ghostpass.terminals": rows("id name platform_fee_bps venue_share_bps", (1, "bar", 250, 1000)),
    "ghostpass.fundings": rows(
        "id wallet_id amount_minor status operation_id requested_at settled_at",
        (1, 1, 5000, "confirmed", op(1), at("17:00:00"), at("17:00:03")),
        (2, 2, 1000, "failed", op(3), at("17:01:00"), at("17:01:03")),
        (3, 2, 2000, "confirmed", op(5), at("18:01:00"), at("18:01:03")),
        (4, 3, 500, "pending", op(7), at("20:05:00"), None),
    ),
    "ghostpass.webhook_events": rows(
        "id event_id funding_id kind operation_id applied_at",
        (1, "evt-1", 1, "payment_succeeded", op(2), at("17:00:03")),
        (2, "evt-2", 2, "payment_failed", op(4), at("17:01:03")),
        (3, "evt-3", 3, "payment_succeeded", op(6), at("18:01:03")),
    ),
    "ghostpass.scans": rows(
        "id wallet_id gateway_id direction is_accepted entry_number fee_minor operation_id scanned_at",
        (1, 1, 1, "in", True, 1, 0, op(8), at("18:02:00")),
        (2, 1, 2, "in", False, None, 0, op(9), at("18:03:00")),
        (3, 1, 2, "out", True, None, 0, op(10), at("18:04:00")),
        (4, 1, 1, "in", True, 2, 300, op(11), at("18:05:00")),
        (5, 2, 2, "in", True, 1, 0, op(12), at("18:06:00")),
    ),
    "ghostpass.presences": rows(
        "wallet_id is_inside entry_count",
        (1, True, 2),
        (2, True, 1),
        (3, False, 0),
    ),
    "ghostpass.sales": rows(
        "id wallet_id terminal_id amount_minor platform_fee_minor refunded_minor operation_id sold_at",
        (1, 1, 1, 999, 24, 0, op(13), at("18:07:00")),
        (2, 2, 1, 1000, 25, 1000, op(14), at("18:08:00")),
    ),
    "ghostpass.splits": rows(
        "id sale_id party amount_minor",
        (1, 1, "platform", 24),
        (2, 1, "venue", 99),
        (3, 1, "vendor", 876),
        (4, 2, "platform", 25),
        (5, 2, "venue", 100),
        (6, 2, "vendor", 875),
    ),
    "ghostpass.entries": rows(
        "id account wallet_id kind amount_minor reference operation_id created_at",
        (1, "wallet", 1, "funding", 5000, 1, op(2), at("17:00:03")),
        (2, "processor", None, "funding", -5000, 1, op(2), at("17:00:03")),
        (3, "wallet", 2, "funding", 2000, 3, op(6), at("18:01:03")),
        (4, "processor", None, "funding", -2000, 3, op(6), at("18:01:03")),
        (5, "wallet", 1, "reentry_fee", -300, 4, op(11), at("18:05:00")),
        (6, "venue", None, "reentry_fee", 300, 4, op(11), at("18:05:00")),
        (7, "wallet", 1, "sale", -999, 1, op(13), at("18:07:00")),
        (8, "platform", None, "sale", 24, 1, op(13), at("18:07:00")),
        (9, "venue", None, "sale", 99, 1, op(13), at("18:07:00")),
        (10, "vendor", None, "sale", 876, 1, op(13), at("18:07:00")),
        (11, "wallet", 2, "sale", -1000, 2, op(14), at("18:08:00")),
        (12, "platform", None, "sale", 25, 2, op(14), at("18:08:00")),
        (13, "venue", None, "sale", 100, 2, op(14), at("18:08:00")),
        (14, "vendor", None, "sale", 875, 2, op(14), at("18:08:00")),
        (15, "wallet", 2, "refund", 1000, 2, op(15), at("18:09:00")),
        (16, "platform", None, "refund", -25, 2, op(15), at("18:09:00")),
        (17, "venue", None, "refund", -100, 2, op(15), at("18:09:00")),
        (18, "vendor", None, "refund", -875, 2, op(15), at("18:09:00")),
    ),
    "ghostpass.audit_log": rows(
        "id action subject subject_id operation_id logged_at",
        (1, "funding_requested", "funding", 1, op(1), at("17:00:00")),
        (2, "payment_succeeded", "funding", 1, op(2), at("17:00:03")),
        (3, "funding_requested", "funding", 2, op(3), at("17:01:00")),
        (4, "payment_failed", "funding", 2, op(4), at("17:01:03")),
        (5, "funding_requested", "funding", 3, op(5), at("18:01:00")),
        (6, "payment_succeeded", "funding", 3, op(6), at("18:01:03")),
        (7, "funding_requested", "funding", 4, op(7), at("20:05:00")),
        (8, "entered", "scan", 1, op(8), at("18:02:00")),
        (9, "rejected_in", "scan", 2, op(9), at("18:03:00")),
        (10, "scanned_out", "scan", 3, op(10), at("18:04:00")),
        (11, "reentered", "scan", 4, op(11), at("18:05:00")),
        (12, "entered", "scan", 5, op(12), at("18:06:00")),
        (13, "sold", "sale", 1, op(13), at("18:07:00")),
        (14, "sold", "sale", 2, op(14), at("18:08:00")),
        (15, "refunded", "sale", 2, op(15), at("18:09:00")),
    ),
    "integrity.runs": rows(
        "run_id system profile seed state started_at ended_at alive_until",
        ("r1", "ghostpass", "hammer", 1, "finished", at("18:00:00"), at("19:00:00"), at("19:01:00")),
        ("r2", "ghostpass", "hammer", 2, "running", at("20:00:00"), None, at("21:30:00")),
    ),
    "integrity.calls": rows(
        "run_id operation_id operation arguments client intended_at invoked_at returned_at outcome reply error attempts",
        *(
            ("r1", op(number), operation, TOLD.get(number, "{}"), 1, at(time), at(time), returned, outcome, "{}", "", 1)
            for number, operation, time, returned, outcome in (
                (5, "request_funding", "18:01:00", at("18:01:00"), "ok"),
                (6, "receive_funding_webhook", "18:01:03", at("18:01:03"), "ok"),
                (8, "scan_in", "18:02:00", at("18:02:00"), "ok"),
                (9, "scan_in", "18:03:00", at("18:03:00"), "declined"),
                (10, "scan_out", "18:04:00", at("18:04:00"), "ok"),
                (11, "scan_in", "18:05:00", at("18:05:00"), "ok"),
                (12, "scan_in", "18:06:00", at("18:06:00"), "ok"),
                (13, "sell", "18:07:00", at("18:07:00"), "ok"),
                (14, "sell", "18:08:00", None, "unknown"),  # it took effect, and the answer was lost
                (15, "refund_sale", "18:09:00", at("18:09:00"), "ok"),
                (16, "sell", "18:10:00", at("18:10:00"), "failed"),
                (17, "sell", "18:11:00", None, "unknown"),  # it had no effect
            )
        ),
    ),
}
