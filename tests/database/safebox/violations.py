"""For each invariant of safebox: what is done to the sound world, and exactly the rows that its query then returns."""

from collections.abc import Mapping

from tests.database.safebox.world import at
from tests.database.worlds import Violation, op, rows

ENTRY = (
    "insert into safebox.entries (id, account, wallet_id, kind, amount_minor, reference, operation_id, created_at) values"
)
PROOF = (
    "insert into safebox.proofs (id, wallet_id, secret, amount_minor, status, payment_id, operation_id, created_at) values"
)
PAYMENT = (
    "insert into safebox.payments (id, wallet_id, kind, key, invoice_id, payee_wallet_id, nfc_request_id, amount_minor,"
    " fee_reserve_minor, held_minor, fee_minor, status, operation_id, created_at, ended_at) values"
)
NOTIFICATION = (
    "insert into safebox.notifications"
    " (id, wallet_id, sequence, kind, amount_minor, invoice_id, payment_id, operation_id, notified_at) values"
)

RECEIVED = (
    "insert into integrity.received"
    " (run_id, number, operation_id, client, stream, sequence, event_id, sent_at, received_at) values"
)

VIOLATIONS: Mapping[str, Violation] = {
    "balance-equals-entries": Violation(
        (
            "update safebox.wallets set balance_minor = 54 where id = 1",
            "update safebox.wallets set balance_minor = 7 where id = 3",
        ),
        rows(
            "wallet_id balance_minor entries_total_minor operation_ids",
            (1, 54, 53, " ".join(sorted([op(2), op(5), op(5), op(6), op(9)]))),
            (3, 7, 0, None),
        ),
    ),
    "balance-equals-proofs": Violation(
        (
            "update safebox.proofs set status = 'spent', payment_id = 1 where id = 6",
            "update safebox.proofs set wallet_id = 3 where id = 4",
        ),
        rows(
            "wallet_id balance_minor unspent_total_minor pending_total_minor operation_ids",
            (1, 53, 52, 32, " ".join([op(2), op(5), op(6), op(6)])),
            (2, 28, 12, 0, f"{op(6)} {op(6)}"),
            (3, 0, 16, 0, op(4)),
        ),
    ),
    "balance-not-negative": Violation(
        ("update safebox.wallets set balance_minor = -1 where id in (1, 3)",),
        rows(
            "wallet_id balance_minor operation_ids",
            (1, -1, " ".join(sorted([op(2), op(5), op(5), op(6), op(9)]))),
            (3, -1, None),
        ),
    ),
    "entry-not-below-zero": Violation(
        ("update safebox.entries set amount_minor = -100 where id = 5",),
        rows(
            "wallet_id entry_id kind reference amount_minor balance_minor operation_id",
            (1, 5, "hold", 1, -100, -4, op(5)),  # it holds 29 again by entry 8
        ),
    ),
    "transfer-sums-to-zero": Violation(
        (
            "update safebox.entries set amount_minor = 34 where id = 8",
            "delete from safebox.entries where id = 21",
        ),
        rows(
            "kind reference wallet_id entry_count entries_total_minor operation_id",
            ("hold", 4, 1, 1, -32, op(9)),
            ("settlement", 1, 1, 4, 1, op(5)),
        ),
    ),
    "entry-has-wallet": Violation(
        ("delete from safebox.wallets where id = 2", "update safebox.entries set wallet_id = null where id = 20"),
        rows(
            "entry_id wallet_id kind reference amount_minor operation_id",
            (3, 2, "receipt", 2, 48, op(4)),
            (11, 2, "hold", 2, -32, op(6)),
            (14, 2, "settlement", 2, 12, op(6)),
            (16, 2, "hold", 3, -16, op(8)),
            (19, 2, "return", 3, 16, op(8)),
            (20, None, "hold", 4, -32, op(9)),
        ),
    ),
    "entry-has-cause": Violation(
        (
            "delete from safebox.invoices where id = 1",
            "update safebox.payments set payee_wallet_id = 3 where id = 2",
            "update safebox.payments set wallet_id = 1 where id = 3",
        ),
        rows(
            "entry_id wallet_id kind reference amount_minor cause_wallet_id operation_id",
            (1, 1, "receipt", 1, 96, None, op(2)),
            (15, 1, "settlement", 2, 20, 2, op(6)),
            (16, 2, "hold", 3, -16, 1, op(8)),
            (19, 2, "return", 3, 16, 1, op(8)),
        ),
    ),
    "proof-secret-unique": Violation(
        ("update safebox.proofs set secret = 's-4' where id = 5",),
        rows("secret wallet_id proof_count total_minor operation_ids", ("s-4", 1, 2, 48, f"{op(4)} {op(5)}")),
    ),
    "proof-spent-once": Violation(
        # payment 4 took the proof that payment 1 had spent, and its own as well
        ("update safebox.proofs set status = 'pending', payment_id = 4 where id = 1",),
        rows(
            "payment_id wallet_id status held_minor proofs_total_minor proof_count operation_id",
            (1, 1, "settled", 64, 0, 0, op(5)),
            (4, 1, "processing", 32, 96, 2, op(9)),
        ),
    ),
    "proof-matches-payment": Violation(
        (
            "update safebox.proofs set status = 'pending' where id = 1",
            "update safebox.proofs set payment_id = null where id = 2",
            "update safebox.proofs set wallet_id = 3 where id = 3",
            "update safebox.proofs set payment_id = 3 where id = 4",
        ),
        rows(
            "proof_id wallet_id amount_minor status payment_id payment_status payment_wallet_id operation_id",
            (1, 1, 64, "pending", 1, "settled", 1, op(2)),
            (2, 1, 32, "pending", None, None, None, op(2)),
            (3, 3, 32, "spent", 2, "settled", 2, op(4)),
            (4, 2, 16, "unspent", 3, "failed", 2, op(4)),
        ),
    ),
    "proof-not-pending-for-long": Violation(
        (
            "delete from integrity.runs where run_id = 'r2'",
            f"update safebox.payments set created_at = '{at('20:04:59')}' where id = 4",
        ),
        rows(
            "proof_id wallet_id amount_minor payment_id pending_since open_at operation_id",
            (2, 1, 32, 4, at("20:04:59"), at("20:05:00"), op(9)),
        ),
    ),
    "invoice-credited-once": Violation(
        (
            "delete from safebox.proofs where id = 2",
            f"{ENTRY} (30, 'wallet', 2, 'receipt', 48, 2, '{op(21)}', '{at('18:01:07')}')",
            "update safebox.invoices set status = 'credited' where id = 5",
        ),
        rows(
            "invoice_id wallet_id amount_minor credit_count credited_minor issued_minor operation_id",
            (1, 1, 96, 1, 96, 64, op(2)),
            (2, 2, 48, 2, 96, 48, op(4)),
            (5, 3, 5, 0, 0, 0, op(13)),
        ),
    ),
    "credit-has-paid-invoice": Violation(
        (
            "delete from safebox.invoices where id = 1",
            "update safebox.invoices set status = 'expired' where id = 2",
        ),
        rows(
            "entry_id wallet_id invoice_id amount_minor status operation_id",
            (1, 1, 1, 96, None, op(2)),
            (3, 2, 2, 48, "expired", op(4)),
        ),
    ),
    "invoice-not-stuck": Violation(
        (
            "delete from integrity.runs where run_id = 'r2'",
            f"update safebox.invoices set expires_at = '{at('20:04:59')}' where id = 4",
            f"update safebox.invoices set paid_at = '{at('20:04:59')}' where id = 5",
        ),
        rows(
            "invoice_id wallet_id amount_minor status stuck_since open_at operation_id",
            (4, 3, 7, "unpaid", at("20:04:59"), at("20:05:00"), op(11)),
            (5, 3, 5, "paid", at("20:04:59"), at("20:05:00"), op(13)),
        ),
    ),
    "invoice-paid-once": Violation(
        (
            f"{PAYMENT} (9, 2, 'invoice', 'invoice-4', 4, null, null, 7, 2, 16, 1, 'settled', '{op(21)}',"
            f" '{at('18:05:00')}', '{at('18:05:01')}')",
        ),
        rows(
            "invoice_id wallet_id payment_count payment_ids operation_ids",
            (4, 1, 2, "4 9", f"{op(9)} {op(21)}"),
        ),
    ),
    "payment-key-used-once": Violation(
        ("update safebox.payments set key = 'address-1' where id = 4",),
        rows(
            "wallet_id key payment_count payment_ids operation_ids",
            (1, "address-1", 2, "1 4", f"{op(5)} {op(9)}"),
        ),
    ),
    "failed-payment-returned": Violation(
        (
            f"{ENTRY} (30, 'wallet', 2, 'return', 16, 3, '{op(8)}', '{at('18:04:02')}')",
            "update safebox.payments set status = 'failed' where id = 4",
        ),
        rows(
            "payment_id wallet_id held_minor debited_minor returned_minor return_count kept_proof_count operation_id",
            (3, 2, 16, -16, 32, 2, 0, op(8)),
            (4, 1, 32, -32, 0, 0, 1, op(9)),
        ),
    ),
    "settled-payment-charged": Violation(
        (
            "update safebox.entries set amount_minor = 32 where id = 8",
            "delete from safebox.entries where id = 15",
        ),
        rows(
            "payment_id wallet_id amount_minor fee_minor held_minor payer_minor payee_wallet_id payee_minor operation_id",
            (1, 1, 30, 1, 64, -32, None, 0, op(5)),
            (2, 2, 20, 0, 32, -20, 1, 0, op(6)),
        ),
    ),
    "in-flight-equals-processing": Violation(
        ("delete from safebox.entries where id in (18, 21)",),
        rows(
            "payment_id wallet_id status held_minor in_flight_minor operation_id",
            (3, 2, "failed", 16, 16, op(8)),
            (4, 1, "processing", 32, 0, op(9)),
        ),
    ),
    "payment-not-stuck": Violation(
        (
            "delete from integrity.runs where run_id = 'r2'",
            f"update safebox.payments set created_at = '{at('20:04:59')}' where id = 4",
        ),
        rows(
            "payment_id wallet_id kind amount_minor held_minor created_at open_at operation_id",
            (4, 1, "invoice", 7, 32, at("20:04:59"), at("20:05:00"), op(9)),
        ),
    ),
    "payment-ended-by-poll": Violation(
        # the poll of wallet 2 got no answer from the mint: it accuses nobody
        ("update safebox.payments set status = 'processing' where id in (1, 2)",),
        rows(
            "payment_id wallet_id held_minor created_at asked_at poll_count first_polled_at run_id operation_id",
            (1, 1, 64, at("18:02:00"), at("18:02:00"), 1, at("18:30:00"), "r1", op(5)),
        ),
    ),
    "payment-ended-by-mint": Violation(
        (
            "update safebox.payments set fee_minor = 2 where id = 1",
            """update integrity.requests set answer = '{"status": "timeout"}' where number = 7""",
        ),
        rows(
            "payment_id wallet_id status amount_minor fee_minor request_count timeout_count run_id operation_id",
            (1, 1, "settled", 30, 2, 2, 1, "r1", op(5)),
            (3, 2, "failed", 10, None, 1, 1, "r1", op(8)),
        ),
    ),
    "card-decides-answer": Violation(
        ("update safebox.cards set status = 'revoked' where id in (1, 3)",),
        rows(
            "operation card_id wallet_id status outcome reason run_id operation_id",
            ("check_card", 3, 3, "revoked", "declined", "card_expired", "r1", op(21)),
            ("request_nfc_payment", 1, 2, "revoked", "ok", None, "r1", op(7)),
        ),
    ),
    "nfc-request-moved-money-once": Violation(
        (
            f"{PAYMENT} (9, 2, 'ecash', 'nfc-1b', null, 1, 1, 20, 0, 32, 0, 'settled', '{op(21)}',"
            f" '{at('18:05:00')}', '{at('18:05:01')}')",
            "update safebox.nfc_requests set status = 'accepted' where id = 2",
            f"{PAYMENT} (10, 2, 'ecash', 'nfc-4', null, 3, 4, 26, 0, 32, null, 'processing', '{op(22)}',"
            f" '{at('18:05:00')}', null)",
        ),
        rows(
            "nfc_request_id wallet_id card_id amount_minor status payment_count moved_minor operation_ids",
            (1, 1, 1, 20, "accepted", 2, 40, f"{op(6)} {op(21)}"),
            (2, 1, 1, 900, "accepted", 0, 0, None),
            (4, 3, 1, 26, "expired", 1, 0, op(22)),
        ),
    ),
    "nfc-payment-as-requested": Violation(
        ("update safebox.nfc_requests set amount_minor = 21, wallet_id = 3 where id = 1",),
        rows(
            "payment_id nfc_request_id wallet_id card_wallet_id payee_wallet_id requested_by_wallet_id"
            " amount_minor requested_minor operation_id",
            (2, 1, 2, 2, 1, 3, 20, 21, op(6)),
        ),
    ),
    "nfc-request-not-stuck": Violation(
        (
            "delete from integrity.runs where run_id = 'r2'",
            f"update safebox.nfc_requests set expires_at = '{at('20:04:59')}' where id = 3",
        ),
        rows(
            "nfc_request_id wallet_id card_id amount_minor expires_at answered_at open_at operation_id",
            (3, 1, 1, 25, at("20:04:59"), None, at("20:05:00"), op(15)),
        ),
    ),
    "pos-matches-invoice": Violation(
        (
            "update safebox.pos_sales set status = 'awaiting' where id = 1",
            "update safebox.invoices set status = 'credited' where id = 3",
        ),
        rows(
            "pos_sale_id wallet_id invoice_id status invoice_status invoice_wallet_id operation_id"
            " confirmed_by_operation_id",
            (1, 2, 2, "awaiting", "credited", 2, op(3), op(4)),
            (2, 3, 3, "expired", "credited", 3, op(10), None),
        ),
    ),
    "socket-misses-nothing": Violation(
        # the first one again after the second, which another listener has missed
        (
            f"{RECEIVED} ('r1', 3, '{op(22)}', 1, 2, 1, 2, '{at('18:01:06')}', '{at('18:03:04')}')",
            f"{RECEIVED} ('r1', 4, '{op(22)}', 2, 2, 1, 2, '{at('18:01:06')}', '{at('18:03:04')}')",
            f"{RECEIVED} ('r1', 5, '{op(22)}', 2, 2, 3, 4, '{at('18:03:02')}', '{at('18:03:05')}')",
        ),
        rows(
            "run_id client wallet_id sequence previous_sequence received_at operation_id",
            ("r1", 1, 2, 1, 2, at("18:03:04"), op(22)),
            ("r1", 2, 2, 3, 1, at("18:03:05"), op(22)),
        ),
    ),
    "told-is-stored": Violation(
        (
            # another wallet's, one that was taken back, and one under another number
            f"{RECEIVED} ('r1', 3, '{op(22)}', 1, 1, 2, 3, '{at('18:02:01')}', '{at('18:03:04')}')",
            f"{RECEIVED} ('r1', 4, '{op(22)}', 1, 2, 3, 99, '{at('18:03:02')}', '{at('18:03:05')}')",
            "update safebox.notifications set sequence = 9 where id = 4",
        ),
        rows(
            "run_id client wallet_id sequence notification_id stored_wallet_id stored_sequence listener_wallet_id"
            " operation_id",
            ("r1", 1, 1, 2, 3, 1, 2, 2, op(22)),
            ("r1", 1, 2, 2, 4, 2, 9, 2, op(22)),
            ("r1", 1, 2, 3, 99, None, None, 2, op(22)),
        ),
    ),
    "told-sale-is-paid": Violation(
        ("update safebox.pos_sales set status = 'awaiting' where id = 1",),
        rows(
            "run_id wallet_id notification_id pos_sale_id status received_at",
            ("r1", 2, 2, 1, "awaiting", at("18:01:07")),
        ),
    ),
    "sale-paid-once": Violation(
        (
            # taps that paid directly: a sale that was scanned, too, one that had its time, what is no sale
            *(
                f"insert into safebox.payments (id, wallet_id, kind, key, invoice_id, payee_wallet_id, amount_minor,"
                f" fee_reserve_minor, held_minor, fee_minor, status, operation_id, created_at, ended_at) values"
                f" ({number}, 1, 'ecash', 'tap-{invoice_id}', {invoice_id}, {payee}, {amount_minor}, 0, {amount_minor}, 0,"
                f" 'settled', '{op(number)}', '{at('18:05:00')}', '{at('18:05:01')}')"
                for number, invoice_id, payee, amount_minor in ((21, 2, 2, 48), (22, 3, 3, 9), (23, 5, 2, 5))
            ),
        ),
        rows(
            "pos_sale_id wallet_id invoice_id amount_minor invoice_status receipts_minor direct_minor operation_id"
            " direct_operation_ids",
            (1, 2, 2, 48, "credited", 48, 48, op(3), op(21)),
            (2, 3, 3, 9, "expired", 0, 9, op(10), op(22)),
        ),
    ),
    "notified-exactly-once": Violation(
        (
            "delete from safebox.notifications where id = 5",
            f"{NOTIFICATION} (9, 2, 3, 'SENT', 10, null, 3, '{op(8)}', '{at('18:04:01')}')",
            "update safebox.notifications set kind = 'SENT' where id = 1",
        ),
        rows(
            "wallet_id kind invoice_id payment_id due_count told_count operation_id",
            (1, "RECD", 1, None, 1, 0, op(2)),
            (1, "RECD", None, 2, 1, 0, op(6)),
            (1, "SENT", 1, None, 0, 1, op(2)),
            (2, "SENT", None, 3, 0, 1, op(8)),
        ),
    ),
    "notification-tells-the-amount": Violation(
        (
            "update safebox.notifications set amount_minor = 64 where id = 3",
            "delete from safebox.invoices where id = 2",
        ),
        rows(
            "notification_id wallet_id kind amount_minor moved_minor operation_id",
            (2, 2, "RECD", 48, None, op(4)),
            (3, 1, "SENT", 64, 30, op(5)),
        ),
    ),
    "notification-sequence-has-no-gap": Violation(
        (
            "update safebox.notifications set sequence = 4 where id = 5",
            "update safebox.notifications set sequence = 1 where id = 4",
            "update safebox.wallets set notification_count = 1 where id = 3",
        ),
        rows(
            "wallet_id notification_count stored_count sequence_least sequence_most distinct_count",
            (1, 3, 3, 1, 4, 3),
            (2, 2, 2, 1, 1, 1),
            (3, 1, 0, None, None, 0),
        ),
    ),
    "life-cycle-consistent": Violation(
        (
            "update safebox.payments set ended_at = null where id = 1",
            "update safebox.payments set fee_minor = 1 where id = 3",
            "update safebox.invoices set confirmed_by = null where id = 2",
            f"update safebox.nfc_requests set answered_at = '{at('17:05:30')}' where id = 4",
        ),
        rows(
            "thing thing_id wallet_id status operation_id",
            ("invoice", 2, 2, "credited", op(3)),
            ("payment", 1, 1, "settled", op(5)),
            ("payment", 3, 2, "failed", op(8)),
            ("request", 4, 3, "expired", op(16)),
        ),
    ),
    "acknowledged-call-is-stored": Violation(
        (
            "update safebox.payments set status = 'failed' where id = 1",
            "delete from safebox.pos_sales where id = 1",
            "update safebox.invoices set status = 'paid' where id = 2",
            "delete from safebox.nfc_requests where id = 1",
        ),
        rows(
            "run_id operation client arguments reply returned_at operation_id",
            ("r1", "create_pos_sale", 1, {}, {"invoice_id": 2, "pos_sale_id": 1}, at("18:01:00"), op(3)),
            ("r1", "confirm_invoice", 1, {"invoice_id": 2}, {"status": "credited", "invoice_id": 2}, at("18:01:06"), op(4)),
            ("r1", "pay_address", 1, {}, {"status": "settled", "payment_id": 1}, at("18:02:01"), op(5)),
            ("r1", "request_nfc_payment", 1, {"card_id": 1}, {"nfc_request_id": 1}, at("18:03:00"), op(7)),
        ),
    ),
    "failed-call-left-nothing": Violation(
        (
            f"update integrity.calls set outcome = 'failed', error = 'XX000' where operation_id = '{op(6)}'",
            "delete from safebox.entries where id = 19",
        ),
        rows(
            "wallet_id moved_minor entry_count run_id operation outcome error operation_id",
            (1, 20, 1, "r1", "answer_nfc_request", "failed", "XX000", op(6)),
            (2, -20, 2, "r1", "answer_nfc_request", "failed", "XX000", op(6)),
            (2, -16, 1, "r1", "pay_address", "declined", "", op(8)),
        ),
    ),
    "call-at-most-once": Violation(
        (
            f"{ENTRY} (30, 'mint', null, 'receipt', -48, 2, '{op(4)}', '{at('18:01:07')}')",
            f"update safebox.payments set operation_id = '{op(5)}' where id = 3",
        ),
        rows(
            "wallet_id effect effect_count run_id operation outcome operation_id",
            (None, "receipt", 2, "r1", "confirm_invoice", "ok", op(4)),
            (1, "payment", 2, "r1", "pay_address", "ok", op(5)),
        ),
    ),
    "row-was-asked-for": Violation(
        (f"delete from integrity.calls where operation_id in ('{op(3)}', '{op(6)}', '{op(7)}')",),
        rows(
            "wallet_id effect effect_id made_at run_id operation_id",
            (2, "invoice", 2, at("18:01:00"), "r1", op(3)),
            (2, "sale", 1, at("18:01:00"), "r1", op(3)),
            (1, "request", 1, at("18:03:00"), "r1", op(7)),
            (2, "entry", 11, at("18:03:01"), "r1", op(6)),
            (2, "payment", 2, at("18:03:01"), "r1", op(6)),
            (2, "entry", 14, at("18:03:02"), "r1", op(6)),
            (1, "entry", 15, at("18:03:02"), "r1", op(6)),
            (2, "notification", 4, at("18:03:02"), "r1", op(6)),
            (1, "notification", 5, at("18:03:02"), "r1", op(6)),
            (2, "proof", 7, at("18:03:02"), "r1", op(6)),
            (2, "proof", 8, at("18:03:02"), "r1", op(6)),
            (1, "proof", 9, at("18:03:02"), "r1", op(6)),
            (1, "proof", 10, at("18:03:02"), "r1", op(6)),
        ),
    ),
}
