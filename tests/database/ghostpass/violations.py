"""For each invariant of ghostpass: what is done to the sound world, and exactly the rows that its query then returns."""

from collections.abc import Mapping

from tests.database.ghostpass.world import at
from tests.database.worlds import Violation, op, rows

ENTRY = (
    "insert into ghostpass.entries (id, account, wallet_id, kind, amount_minor, reference, operation_id, created_at) values"
)
TOPPED_UP = f"(20, 'wallet', 1, 'funding', 1000, 9, '{op(20)}', '{at('18:10:00')}')"

VIOLATIONS: Mapping[str, Violation] = {
    "balance-not-negative": Violation(
        ("update ghostpass.wallets set balance_minor = -1 where id in (2, 3)",),
        rows("wallet_id balance_minor operation_ids", (2, -1, f"{op(6)} {op(14)} {op(15)}"), (3, -1, None)),
    ),
    "entry-not-below-zero": Violation(
        ("update ghostpass.entries set amount_minor = -5500 where id = 7", f"{ENTRY} {TOPPED_UP}"),
        rows(
            "wallet_id entry_id kind reference amount_minor balance_minor operation_id",
            (1, 7, "sale", 1, -5500, -800, op(13)),  # it holds 200 again by entry 20
        ),
    ),
    "balance-equals-entries": Violation(
        (
            "update ghostpass.wallets set balance_minor = 1999 where id = 2",
            "update ghostpass.wallets set balance_minor = 7 where id = 3",
        ),
        rows(
            "wallet_id balance_minor entries_total_minor operation_ids",
            (2, 1999, 2000, f"{op(6)} {op(14)} {op(15)}"),
            (3, 7, 0, None),
        ),
    ),
    "transfer-sums-to-zero": Violation(
        ("update ghostpass.entries set amount_minor = 877 where id = 10",),
        rows("operation_id wallet_id kind reference entry_count entries_total_minor", (op(13), 1, "sale", 1, 4, 1)),
    ),
    "entry-has-wallet": Violation(
        ("delete from ghostpass.wallets where id = 1", "update ghostpass.entries set wallet_id = null where id = 15"),
        rows(
            "entry_id wallet_id kind reference amount_minor operation_id",
            (1, 1, "funding", 1, 5000, op(2)),
            (5, 1, "reentry_fee", 4, -300, op(11)),
            (7, 1, "sale", 1, -999, op(13)),
            (15, None, "refund", 2, 1000, op(15)),
        ),
    ),
    "entry-has-cause": Violation(
        (
            "delete from ghostpass.sales where id = 1",
            "update ghostpass.scans set wallet_id = 2 where id = 4",
        ),
        rows(
            "entry_id wallet_id kind reference amount_minor cause_wallet_id operation_id",
            (5, 1, "reentry_fee", 4, -300, 2, op(11)),
            (7, 1, "sale", 1, -999, None, op(13)),
        ),
    ),
    "scans-alternate": Violation(
        (
            "update ghostpass.scans set is_accepted = true, entry_number = 2 where id = 2",
            "update ghostpass.scans set direction = 'out', entry_number = null where id = 5",
        ),
        rows(
            "wallet_id scan_id direction previous_scan_id previous_direction scanned_at operation_ids",
            (1, 2, "in", 1, "in", at("18:03:00"), f"{op(8)} {op(9)}"),
            (2, 5, "out", None, None, at("18:06:00"), op(12)),
        ),
    ),
    "entry-number-unique": Violation(
        ("update ghostpass.scans set entry_number = 1 where id = 4",),
        rows("wallet_id entry_number scan_count scan_ids operation_ids", (1, 1, 2, "1 4", f"{op(8)} {op(11)}")),
    ),
    "entry-numbers-have-no-gap": Violation(
        (
            "update ghostpass.scans set entry_number = 3 where id = 4",
            "update ghostpass.scans set entry_number = 0 where id = 5",
        ),
        rows(
            "wallet_id scan_count entry_number_least entry_number_most operation_ids",
            (1, 2, 1, 3, f"{op(8)} {op(11)}"),
            (2, 1, 0, 0, op(12)),
        ),
    ),
    "entry-count-equals-scans": Violation(
        (
            "update ghostpass.presences set entry_count = 3 where wallet_id = 1",
            "delete from ghostpass.presences where wallet_id = 2",
            "update ghostpass.presences set entry_count = 1 where wallet_id = 3",
        ),
        rows(
            "wallet_id entry_count scan_count operation_ids",
            (1, 3, 2, f"{op(8)} {op(11)}"),
            (2, None, 1, op(12)),
            (3, 1, 0, None),
        ),
    ),
    "presence-matches-last-scan": Violation(
        (
            "update ghostpass.presences set is_inside = false where wallet_id = 1",
            "delete from ghostpass.presences where wallet_id = 2",
            "update ghostpass.presences set is_inside = true where wallet_id = 3",
        ),
        rows(
            "wallet_id is_inside last_direction last_scan_id last_scanned_at operation_id",
            (1, False, "in", 4, at("18:05:00"), op(11)),
            (2, None, "in", 5, at("18:06:00"), op(12)),
            (3, True, None, None, None, None),
        ),
    ),
    "reentry-fee-as-configured": Violation(
        (
            "update ghostpass.scans set fee_minor = 300 where id = 1",
            "update ghostpass.scans set fee_minor = 0 where id = 4",
        ),
        rows(
            "wallet_id scan_id gateway_id entry_number fee_minor reentry_fee_minor operation_id",
            (1, 1, 1, 1, 300, 300, op(8)),
            (1, 4, 1, 2, 0, 300, op(11)),
        ),
    ),
    "reentry-fee-charged-once": Violation(
        (
            f"{ENTRY} (20, 'wallet', 1, 'reentry_fee', -300, 1, '{op(8)}', '{at('18:02:00')}')",
            "update ghostpass.entries set wallet_id = 2 where id = 5",
        ),
        rows(
            "wallet_id scan_id entry_number fee_minor debit_count debited_minor operation_id",
            (1, 1, 1, 0, 1, -300, op(8)),
            (1, 4, 2, 300, 1, 0, op(11)),
        ),
    ),
    "funding-credited-once": Violation(
        (
            f"{ENTRY} (20, 'wallet', 1, 'funding', 5000, 1, '{op(20)}', '{at('18:02:00')}')",
            "delete from ghostpass.entries where id = 3",
        ),
        rows(
            "funding_id wallet_id amount_minor credit_count credited_minor operation_ids",
            (1, 1, 5000, 2, 10000, f"{op(2)} {op(20)}"),
            (3, 2, 2000, 0, 0, None),
        ),
    ),
    "credit-has-confirmed-funding": Violation(
        (
            "delete from ghostpass.fundings where id = 1",
            "update ghostpass.fundings set status = 'failed' where id = 3",
        ),
        rows(
            "entry_id wallet_id funding_id amount_minor status operation_id",
            (1, 1, 1, 5000, None, op(2)),
            (3, 2, 3, 2000, "failed", op(6)),
        ),
    ),
    "funding-not-stuck": Violation(
        (
            "delete from integrity.runs where run_id = 'r2'",
            f"update ghostpass.fundings set requested_at = '{at('20:04:59')}' where id = 4",
        ),
        rows(
            "funding_id wallet_id amount_minor requested_at open_at operation_id",
            (4, 3, 500, at("20:04:59"), at("20:05:00"), op(7)),
        ),
    ),
    "event-applied-once": Violation(
        (
            "insert into ghostpass.webhook_events (id, event_id, funding_id, kind, operation_id, applied_at)"
            f" values (4, 'evt-1', 1, 'payment_succeeded', '{op(20)}', '{at('17:00:03')}')",
        ),
        rows("event_id funding_id wallet_id applied_count operation_ids", ("evt-1", 1, 1, 2, f"{op(2)} {op(20)}")),
    ),
    "event-settles-funding": Violation(
        (
            "delete from ghostpass.fundings where id = 1",
            "update ghostpass.fundings set status = 'confirmed' where id = 2",
            "update ghostpass.fundings set status = 'pending' where id = 3",
        ),
        rows(
            "event_id kind funding_id wallet_id status applied_at operation_id",
            ("evt-1", "payment_succeeded", 1, None, None, at("17:00:03"), op(2)),
            ("evt-2", "payment_failed", 2, 2, "confirmed", at("17:01:03"), op(4)),
            ("evt-3", "payment_succeeded", 3, 2, "pending", at("18:01:03"), op(6)),
        ),
    ),
    "settled-funding-has-event": Violation(
        ("delete from ghostpass.webhook_events where id = 2",),
        rows(
            "funding_id wallet_id amount_minor status settled_at operation_id",
            (2, 2, 1000, "failed", at("17:01:03"), op(3)),
        ),
    ),
    "sale-equals-splits": Violation(
        (
            "update ghostpass.splits set amount_minor = 877 where id = 3",
            "delete from ghostpass.splits where sale_id = 2",
        ),
        rows(
            "sale_id wallet_id amount_minor splits_total_minor split_count operation_id",
            (1, 1, 999, 1000, 3, op(13)),
            (2, 2, 1000, 0, 0, op(14)),
        ),
    ),
    "sale-equals-debit": Violation(
        (
            "delete from ghostpass.entries where id = 7",
            "update ghostpass.entries set wallet_id = 3 where id = 11",
        ),
        rows(
            "sale_id wallet_id amount_minor debit_count debited_minor operation_id",
            (1, 1, 999, 0, 0, op(13)),
            (2, 2, 1000, 1, 0, op(14)),
        ),
    ),
    "fee-as-configured": Violation(
        (
            "update ghostpass.sales set platform_fee_minor = 25 where id = 1",
            "update ghostpass.splits set amount_minor = 25 where id = 1",
            "update ghostpass.splits set amount_minor = 101 where id = 5",
        ),
        rows(
            "sale_id wallet_id terminal_id amount_minor platform_fee_minor "
            "platform_split_minor platform_due_minor venue_split_minor venue_due_minor operation_id",
            (1, 1, 1, 999, 25, 25, 24, 99, 99, op(13)),
            (2, 2, 1, 1000, 25, 25, 25, 101, 100, op(14)),
        ),
    ),
    "splits-equal-entries": Violation(
        (
            "delete from ghostpass.entries where id = 9",
            "update ghostpass.entries set amount_minor = 874 where id = 14",
        ),
        rows(
            "split_id sale_id wallet_id party amount_minor posted_minor operation_id",
            (2, 1, 1, "venue", 99, 0, op(13)),
            (6, 2, 2, "vendor", 875, 874, op(14)),
        ),
    ),
    "splits-equal-entries-by-day": Violation(
        (
            "update ghostpass.sales set sold_at = '2026-01-18 00:08:00' where id = 2",
            "update ghostpass.splits set amount_minor = 98 where id = 2",
        ),
        rows(
            "terminal_id day account splits_total_minor posted_total_minor",
            (1, "2026-01-17", "platform", 24, 49),
            (1, "2026-01-17", "vendor", 876, 1751),
            (1, "2026-01-17", "venue", 98, 199),
            (1, "2026-01-17", "wallet", -998, -1999),
            (1, "2026-01-18", "platform", 25, 0),
            (1, "2026-01-18", "vendor", 875, 0),
            (1, "2026-01-18", "venue", 100, 0),
            (1, "2026-01-18", "wallet", -1000, 0),
        ),
    ),
    "refund-at-most-once": Violation(
        (
            "update ghostpass.sales set refunded_minor = 999 where id = 1",
            f"{ENTRY} (20, 'wallet', 2, 'refund', 1000, 2, '{op(20)}', '{at('18:10:00')}')",
        ),
        rows(
            "sale_id wallet_id amount_minor refunded_minor refund_count credited_minor operation_ids",
            (1, 1, 999, 999, 0, 0, None),
            (2, 2, 1000, 1000, 2, 2000, f"{op(15)} {op(20)}"),
        ),
    ),
    "entry-is-logged": Violation(
        ("delete from ghostpass.audit_log where id in (6, 11, 13, 15)",),
        rows(
            "entry_id wallet_id kind reference amount_minor created_at operation_id",
            (3, 2, "funding", 3, 2000, at("18:01:03"), op(6)),
            (5, 1, "reentry_fee", 4, -300, at("18:05:00"), op(11)),
            (7, 1, "sale", 1, -999, at("18:07:00"), op(13)),
            (15, 2, "refund", 2, 1000, at("18:09:00"), op(15)),
        ),
    ),
    "scan-is-logged": Violation(
        ("delete from ghostpass.audit_log where id in (9, 10)",),
        rows(
            "wallet_id scan_id gateway_id direction is_accepted scanned_at operation_id",
            (1, 2, 2, "in", False, at("18:03:00"), op(9)),
            (1, 3, 2, "out", True, at("18:04:00"), op(10)),
        ),
    ),
    "scan-logged-as-it-was": Violation(
        (
            "update ghostpass.audit_log set action = 'reentered' where id in (8, 9)",
            "update ghostpass.audit_log set action = 'entered' where id in (10, 11)",
        ),
        rows(
            "wallet_id scan_id gateway_id direction is_accepted entry_number action scanned_at operation_id",
            (1, 1, 1, "in", True, 1, "reentered", at("18:02:00"), op(8)),
            (1, 2, 2, "in", False, None, "reentered", at("18:03:00"), op(9)),
            (1, 3, 2, "out", True, None, "entered", at("18:04:00"), op(10)),
            (1, 4, 1, "in", True, 2, "entered", at("18:05:00"), op(11)),
        ),
    ),
    "funding-is-logged": Violation(
        ("delete from ghostpass.audit_log where id in (3, 4)",),
        rows(
            "funding_id wallet_id step happened_at operation_id",
            (2, 2, "requested", at("17:01:00"), op(3)),
            (2, 2, "payment_failed", at("17:01:03"), op(4)),
        ),
    ),
    "sale-is-logged": Violation(
        ("delete from ghostpass.audit_log where id in (13, 15)",),
        rows("sale_id wallet_id terminal_id amount_minor sold_at operation_id", (1, 1, 1, 999, at("18:07:00"), op(13))),
    ),
    "audit-has-subject": Violation(
        (
            "delete from ghostpass.entries where kind = 'refund'",
            f"update ghostpass.audit_log set operation_id = '{op(20)}' where id = 8",
            "update ghostpass.audit_log set subject_id = 99 where id = 13",
        ),
        rows(
            "audit_id action subject subject_id logged_at operation_id",
            (8, "entered", "scan", 1, at("18:02:00"), op(20)),
            (13, "sold", "sale", 99, at("18:07:00"), op(13)),
            (15, "refunded", "sale", 2, at("18:09:00"), op(15)),
        ),
    ),
    "acknowledged-call-is-stored": Violation(
        (
            "delete from ghostpass.sales",
            "update ghostpass.scans set is_accepted = false where id = 4",
        ),
        rows(
            "run_id operation client arguments reply returned_at operation_id",
            ("r1", "scan_in", 1, {}, {}, at("18:05:00"), op(11)),
            ("r1", "sell", 1, {}, {}, at("18:07:00"), op(13)),
        ),
    ),
    "failed-call-left-nothing": Violation(
        (
            f"update integrity.calls set outcome = 'declined' where operation_id = '{op(13)}'",
            f"update integrity.calls set outcome = 'failed', error = 'XX000' where operation_id = '{op(12)}'",
        ),
        rows(
            "wallet_id effect effect_id run_id operation outcome error operation_id",
            (1, "sale", 7, "r1", "sell", "declined", "", op(13)),
            (2, "scanned_in", 5, "r1", "scan_in", "failed", "XX000", op(12)),
        ),
    ),
    "call-at-most-once": Violation(
        (
            f"{ENTRY} (20, 'wallet', 2, 'sale', -1000, 2, '{op(14)}', '{at('18:08:01')}')",
            "insert into ghostpass.webhook_events (id, event_id, funding_id, kind, operation_id, applied_at)"
            f" values (4, 'evt-3', 3, 'payment_succeeded', '{op(6)}', '{at('18:01:03')}')",
        ),
        rows(
            "wallet_id effect effect_count run_id operation outcome operation_id",
            (None, "event", 2, "r1", "receive_funding_webhook", "ok", op(6)),
            (2, "entry", 2, "r1", "sell", "unknown", op(14)),
        ),
    ),
    "row-was-asked-for": Violation(
        (f"delete from integrity.calls where operation_id in ('{op(6)}', '{op(12)}')",),
        rows(
            "wallet_id effect effect_id made_at run_id operation_id",
            (2, "entry", 3, at("18:01:03"), "r1", op(6)),
            (None, "event", 3, at("18:01:03"), "r1", op(6)),
            (2, "scan", 5, at("18:06:00"), "r1", op(12)),
        ),
    ),
}
