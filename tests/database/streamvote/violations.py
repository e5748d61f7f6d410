"""For each invariant of streamvote: what is done to the sound world, and exactly the rows that its query then returns."""

from collections.abc import Mapping

from tests.database.streamvote.world import at, voted
from tests.database.worlds import Violation, op, rows

ENTRY = (
    "insert into streamvote.entries (id, account, wallet_id, kind, amount_stars, reference, operation_id, created_at)"
    " values"
)
UPDATE = "insert into streamvote.event_updates (id, live_event_id, sequence, kind, vote_id, operation_id, sent_at) values"
VOTE = (
    "insert into streamvote.votes (id, wallet_id, live_event_id, option_id, rate_window_id, idempotency_key, stars,"
    " is_accepted, reason, operation_id, voted_at) values"
)
CALL = (
    "insert into integrity.calls (run_id, operation_id, operation, arguments, client, intended_at, invoked_at, returned_at,"
    " outcome, reply, error, attempts) values"
)
RECEIVED = (
    "insert into integrity.received (run_id, number, operation_id, client, stream, sequence, event_id, sent_at,"
    " received_at) values"
)

VIOLATIONS: Mapping[str, Violation] = {
    "balance-not-negative": Violation(
        ("update streamvote.wallets set balance_stars = -1 where id in (2, 3)",),
        rows("wallet_id balance_stars operation_ids", (2, -1, op(6)), (3, -1, None)),
    ),
    "entry-not-below-zero": Violation(
        (
            "update streamvote.entries set id = 9 where id = 3",
            "update streamvote.entries set amount_stars = -5, wallet_id = 2 where id = 7",
        ),
        rows(
            "wallet_id entry_id kind reference amount_stars balance_stars operation_id",
            (2, 7, "vote", 2, -5, -5, op(15)),  # it holds 45 by entry 9, which came too late
        ),
    ),
    "balance-equals-entries": Violation(
        (
            "update streamvote.wallets set balance_stars = 49 where id = 2",
            "update streamvote.wallets set balance_stars = 7 where id = 3",
        ),
        rows("wallet_id balance_stars entries_total_stars operation_ids", (2, 49, 50, op(6)), (3, 7, 0, None)),
    ),
    "transfer-sums-to-zero": Violation(
        ("update streamvote.entries set amount_stars = 6 where id = 6", "delete from streamvote.entries where id = 4"),
        rows(
            "operation_id wallet_id kind reference entry_count entries_total_stars",
            (op(6), 2, "purchase", 2, 1, 50),
            (op(14), 1, "vote", 1, 2, 1),
        ),
    ),
    "entry-has-wallet": Violation(
        ("delete from streamvote.wallets where id = 2", "update streamvote.entries set wallet_id = null where id = 7"),
        rows(
            "entry_id wallet_id kind reference amount_stars operation_id",
            (3, 2, "purchase", 2, 50, op(6)),
            (7, None, "vote", 2, -5, op(15)),
        ),
    ),
    "entry-has-cause": Violation(
        (
            "delete from streamvote.invoices where id = 2",
            "update streamvote.votes set wallet_id = 2 where id = 1",
        ),
        rows(
            "entry_id wallet_id kind reference amount_stars cause_wallet_id operation_id",
            (3, 2, "purchase", 2, 50, None, op(6)),
            (5, 1, "vote", 1, -5, 2, op(14)),
        ),
    ),
    "invoice-credited-once": Violation(
        (
            f"{ENTRY} (20, 'wallet', 1, 'purchase', 100, 1, '{op(30)}', '{at('18:02:00')}')",
            "delete from streamvote.entries where id = 3",
        ),
        rows(
            "invoice_id wallet_id stars credit_count credited_stars operation_ids",
            (1, 1, 100, 2, 200, f"{op(3)} {op(30)}"),
            (2, 2, 50, 0, 0, None),
        ),
    ),
    "credit-has-paid-invoice": Violation(
        (
            "delete from streamvote.invoices where id = 1",
            "update streamvote.invoices set status = 'paid' where id = 2",
        ),
        rows(
            "entry_id wallet_id invoice_id amount_stars status operation_id",
            (1, 1, 1, 100, None, op(3)),
            (3, 2, 2, 50, "paid", op(6)),
        ),
    ),
    "event-applied-once": Violation(
        (
            "insert into streamvote.webhook_events (id, event_id, invoice_id, kind, operation_id, applied_at)"
            f" values (9, 'evt-1', 1, 'paid', '{op(30)}', '{at('17:00:03')}')",
        ),
        rows("event_id invoice_id applied_count operation_ids", ("evt-1", 1, 2, f"{op(2)} {op(30)}")),
    ),
    "event-ends-invoice": Violation(
        (
            "delete from streamvote.invoices where id = 1",
            "update streamvote.invoices set status = 'open' where id = 2",
            "update streamvote.invoices set status = 'credited' where id = 3",
        ),
        rows(
            "event_id kind invoice_id wallet_id status applied_at operation_id",
            ("evt-1", "paid", 1, None, None, at("17:00:03"), op(2)),
            ("evt-2", "paid", 2, 2, "open", at("18:01:03"), op(5)),
            ("evt-3", "failed", 3, 3, "credited", at("18:02:03"), op(8)),
        ),
    ),
    "paid-invoice-has-event": Violation(
        (
            "delete from streamvote.webhook_events where id = 1",
            "update streamvote.webhook_events set kind = 'failed' where id = 4",
        ),
        rows(
            "invoice_id wallet_id stars status paid_at operation_id",
            (1, 1, 100, "credited", at("17:00:03"), op(1)),
            (5, 3, 40, "paid", at("20:19:00"), op(10)),
        ),
    ),
    "invoice-state-legal": Violation(
        (
            f"update streamvote.invoices set credited_at = '{at('17:00:02')}' where id = 1",
            f"update streamvote.invoices set expired_at = '{at('18:02:00')}' where id = 2",
            "update streamvote.invoices set status = 'lost' where id = 3",
            "update streamvote.invoices set paid_at = null where id = 5",
        ),
        rows(
            "invoice_id wallet_id status created_at paid_at credited_at expired_at operation_id",
            (1, 1, "credited", at("17:00:00"), at("17:00:03"), at("17:00:02"), None, op(1)),
            (2, 2, "credited", at("18:01:00"), at("18:01:03"), at("18:01:04"), at("18:02:00"), op(4)),
            (3, 3, "lost", at("18:02:00"), None, None, at("18:02:03"), op(7)),
            (5, 3, "paid", at("20:18:50"), None, None, None, op(10)),
        ),
    ),
    "invoice-not-stuck": Violation(
        (
            "delete from integrity.runs where run_id = 'r2'",
            f"update streamvote.invoices set created_at = '{at('20:04:59')}' where id = 4",
        ),
        rows(
            "invoice_id wallet_id stars created_at open_at operation_id", (4, 3, 20, at("20:04:59"), at("20:05:00"), op(9))
        ),
    ),
    "paid-invoice-is-credited": Violation(
        (
            "delete from integrity.runs where run_id = 'r2'",
            f"update streamvote.invoices set paid_at = '{at('20:18:59')}' where id = 5",
        ),
        rows("invoice_id wallet_id stars paid_at open_at operation_id", (5, 3, 40, at("20:18:59"), at("20:19:00"), op(10))),
    ),
    "credit-job-credits": Violation(
        ("update streamvote.invoices set status = 'paid', credited_at = null where id = 2",),
        rows(
            "invoice_id wallet_id stars paid_at run_id call_count operation_id",
            (2, 2, 50, at("18:01:03"), "r1", 1, op(4)),
        ),
    ),
    "vote-debited-once": Violation(
        (
            "delete from streamvote.entries where id = 7",
            f"{ENTRY} (20, 'wallet', 2, 'vote', -5, 3, '{op(17)}', '{at('18:08:00')}')",
            "update streamvote.entries set wallet_id = 3 where id = 5",
        ),
        rows(
            "vote_id wallet_id is_accepted stars debit_count debited_stars operation_id",
            (1, 1, True, 5, 1, 0, op(14)),
            (2, 1, True, 5, 0, 0, op(15)),
            (3, 2, False, 5, 1, -5, op(17)),
        ),
    ),
    "vote-costs-the-price": Violation(
        (
            "update streamvote.votes set stars = 1 where id = 2",
            "update streamvote.votes set live_event_id = 9 where id = 4",
        ),
        rows(
            "vote_id wallet_id live_event_id stars price_stars operation_id",
            (2, 1, 1, 1, 5, op(15)),
            (4, 3, 9, 2, None, op(18)),
        ),
    ),
    "vote-option-in-event": Violation(
        (
            "update streamvote.votes set option_id = 4 where id = 1",
            "delete from streamvote.options where id = 2",
        ),
        rows(
            "vote_id wallet_id live_event_id option_id option_live_event_id operation_id",
            (1, 1, 1, 4, 2, op(14)),
            (2, 1, 1, 2, None, op(15)),
        ),
    ),
    "key-has-one-effect": Violation(
        ("update streamvote.votes set idempotency_key = 'tap-1' where id = 2",),
        rows("wallet_id idempotency_key vote_count vote_ids operation_ids", (1, "tap-1", 2, "1 2", f"{op(14)} {op(15)}")),
    ),
    "same-key-same-answer": Violation(
        (
            f"update integrity.calls set reply = '{{\"reason\": \"event_closed\"}}' where operation_id = '{op(19)}'",
            f"{CALL} ('r1', '{op(30)}', 'vote', '{voted(1, 1, 1, 'tap-1')}', 1, '{at('18:10:00')}', '{at('18:10:00')}',"
            f" '{at('18:10:00')}', 'ok', '{{\"vote_id\": 9}}', '', 1)",
            # another vote under the same key has an answer of its own, and so has one that was not looked at
            f"{CALL} ('r1', '{op(31)}', 'vote', '{voted(1, 1, 3, 'tap-2')}', 1, '{at('18:10:00')}', '{at('18:10:00')}',"
            f" '{at('18:10:00')}', 'declined', '{{\"reason\": \"idempotency_key_reused\"}}', '', 1)",
            f"{CALL} ('r1', '{op(32)}', 'vote', '{voted(1, 1, 2, 'tap-2')}', 1, '{at('18:10:00')}', '{at('18:10:00')}',"
            f" '{at('18:10:00')}', 'declined', '{{\"reason\": \"rate_limited\"}}', '', 1)",
        ),
        rows(
            "wallet_id live_event_id choice idempotency_key answer_count one_answer another_answer",
            (1, 1, 1, "tap-1", 2, "vote 1", "vote 9"),
            (3, 2, 1, "tap-3", 2, "event_closed", "insufficient_stars"),
        ),
    ),
    "tally-equals-votes": Violation(
        (
            "update streamvote.tallies set vote_count = 2 where option_id = 1",
            "update streamvote.tallies set stars = 6 where option_id = 2",
            "delete from streamvote.tallies where option_id = 3",
        ),
        rows(
            "option_id live_event_id vote_count votes_counted stars votes_total_stars operation_ids",
            (1, 1, 2, 1, 5, 5, op(14)),
            (2, 1, 1, 1, 6, 5, op(15)),
            (3, 1, None, 0, None, 0, None),
        ),
    ),
    "update-sequence-has-no-gap": Violation(
        (
            "delete from streamvote.event_updates where id = 3",
            "update streamvote.live_events set sequence = 2 where id = 2",
        ),
        rows(
            "live_event_id sequence update_count sequence_least sequence_most operation_id",
            (1, 4, 3, 1, 4, op(12)),
            (2, 2, 1, 1, 1, op(13)),
        ),
    ),
    "update-sequence-unique": Violation(
        ("update streamvote.event_updates set sequence = 2 where id = 4",),
        rows("live_event_id sequence update_count update_ids operation_ids", (1, 2, 2, "3 4", f"{op(14)} {op(15)}")),
    ),
    "vote-has-update": Violation(
        (
            "update streamvote.event_updates set live_event_id = 2 where id = 3",
            "delete from streamvote.event_updates where id = 4",
            f"{UPDATE} (9, 1, 5, 'vote', 3, '{op(17)}', '{at('18:08:00')}')",
        ),
        rows(
            "vote_id wallet_id live_event_id is_accepted update_count update_live_event_id operation_id",
            (1, 1, 1, True, 1, 2, op(14)),
            (2, 1, 1, True, 0, None, op(15)),
            (3, 2, 1, False, 1, 1, op(17)),
        ),
    ),
    "update-has-vote": Violation(
        ("delete from streamvote.votes where id = 1", "update streamvote.event_updates set vote_id = null where id = 4"),
        rows(
            "event_update_id live_event_id sequence vote_id operation_id",
            (3, 1, 2, 1, op(14)),
            (4, 1, 3, None, op(15)),
        ),
    ),
    "no-vote-after-close": Violation(
        (f"{UPDATE} (9, 1, 5, 'vote', 3, '{op(17)}', '{at('18:08:00')}')",),
        rows(
            "event_update_id live_event_id sequence closed_sequence vote_id closed_at operation_id",
            (9, 1, 5, 4, 3, at("18:07:00"), op(17)),
        ),
    ),
    "event-state-legal": Violation(
        (
            "update streamvote.live_events set status = 'open' where id = 1",
            "delete from streamvote.event_updates where id = 2",
        ),
        rows(
            "live_event_id streamer_id status closed_at opened_count closed_count operation_id",
            (1, 1, "open", at("18:07:00"), 1, 1, op(12)),
            (2, 2, "open", None, 0, 0, op(13)),
        ),
    ),
    "spent-equals-votes": Violation(
        (
            "update streamvote.wallets set spent_stars = 5 where id = 1",
            "update streamvote.wallets set spent_stars = 2 where id = 3",
        ),
        rows(
            "wallet_id budget_id spent_stars votes_total_stars operation_ids",
            (1, 1, 5, 10, f"{op(14)} {op(15)}"),
            (3, None, 2, 0, None),
        ),
    ),
    "budget-not-overspent": Violation(
        ("update streamvote.wallets set spent_stars = 11 where id = 2",),
        rows("budget_id limit_stars spent_stars wallet_ids", (1, 20, 21, "1 2")),
    ),
    "rate-window-counts-votes": Violation(
        (
            "update streamvote.rate_windows set admitted_count = 1 where id = 1",
            "delete from streamvote.votes where id = 4",
        ),
        rows(
            "rate_window_id wallet_id limit_count admitted_count vote_count started_at operation_ids",
            (1, 1, 20, 1, 2, at("18:05:00"), f"{op(14)} {op(15)}"),
            (3, 3, 1, 1, 0, at("18:09:00"), None),
        ),
    ),
    "rate-limit-kept": Violation(
        ("update streamvote.rate_windows set limit_count = 1 where id = 1",),
        rows(
            "wallet_id rate_window_id limit_count vote_count started_at ends_at operation_ids",
            (1, 1, 1, 2, at("18:05:00"), at("18:05:10"), f"{op(14)} {op(15)}"),
        ),
    ),
    "rate-windows-apart": Violation(
        (f"update streamvote.rate_windows set wallet_id = 1, started_at = '{at('18:05:09')}' where id = 2",),
        rows(
            "wallet_id rate_window_id started_at previous_rate_window_id previous_ends_at operation_id",
            (1, 2, at("18:05:09"), 1, at("18:05:10"), op(17)),
        ),
    ),
    "limited-only-when-full": Violation(
        ("update streamvote.rate_windows set limit_count = 2 where id = 3",),
        rows(
            "wallet_id run_id client invoked_at returned_at operation_id",
            (3, "r1", 1, at("18:09:02"), at("18:09:02"), op(20)),
        ),
    ),
    "poll-is-fresh": Violation(
        ('update integrity.requests set answer = \'{"status": "hit", "age_ms": 1001}\' where number = 3',),
        rows(
            "live_event_id run_id age_ms sequence returned_at operation_id",
            (1, "r1", 1001, 3, at("18:07:00"), op(23)),
        ),
    ),
    "poll-saw-acknowledged": Violation(
        (
            f"update integrity.calls set outcome = 'ok', returned_at = '{at('18:05:59')}' where operation_id = '{op(15)}'",
            f"update integrity.calls set reply = '{{\"sequence\": 2}}' where operation_id = '{op(22)}'",
        ),
        rows(
            "live_event_id run_id sequence unseen_sequence invoked_at known_at operation_id",
            (1, "r1", 2, 3, at("18:06:00"), at("18:05:59"), op(22)),
        ),
    ),
    "stream-has-no-gap": Violation(
        (
            "delete from integrity.received where number = 3",
            f"{RECEIVED} ('r1', 5, '{op(24)}', 8, 1, 3, 4, '{at('18:05:02')}', '{at('18:05:04')}')",
        ),
        rows(
            "live_event_id run_id client sequence previous_sequence received_at operation_id",
            (1, "r1", 7, 4, 2, at("18:07:01"), op(24)),
            (1, "r1", 8, 3, 3, at("18:05:04"), op(24)),
        ),
    ),
    "received-is-stored": Violation(
        (
            "update streamvote.event_updates set sequence = 9 where id = 3",
            "update integrity.received set event_id = 99 where number = 4",
        ),
        rows(
            "live_event_id run_id client sequence event_update_id stored_live_event_id stored_sequence operation_id",
            (1, "r1", 7, 2, 3, 1, 9, op(24)),
            (1, "r1", 7, 4, 99, None, None, op(24)),
        ),
    ),
    "acknowledged-call-is-stored": Violation(
        (
            "delete from streamvote.entries where id = 3",
            "delete from streamvote.votes where id = 2",
            "delete from streamvote.event_updates where id = 5",
        ),
        rows(
            "run_id operation client arguments reply returned_at operation_id",
            ("r1", "credit_invoice", 1, {"invoice_id": 2}, {"stars": 50}, at("18:01:04"), op(6)),
            (
                "r1",
                "vote",
                1,
                {"wallet_id": 1, "live_event_id": 1, "choice": 2, "idempotency_key": "tap-2"},
                {"vote_id": 2},
                at("18:05:04"),
                op(21),
            ),
            ("r1", "close_event", 1, {}, {"sequence": 4}, at("18:07:00"), op(16)),
        ),
    ),
    "failed-call-left-nothing": Violation(
        (
            f"update integrity.calls set outcome = 'failed', error = 'XX000' where operation_id = '{op(15)}'",
            f"update integrity.calls set outcome = 'declined' where operation_id = '{op(6)}'",
        ),
        rows(
            "wallet_id effect effect_id run_id operation outcome error operation_id",
            (2, "purchase", 3, "r1", "credit_invoice", "declined", "", op(6)),
            (1, "vote", 7, "r1", "vote", "failed", "XX000", op(15)),
            (None, "vote update", 4, "r1", "vote", "failed", "XX000", op(15)),
        ),
    ),
    "call-at-most-once": Violation(
        (
            f"{ENTRY} (20, 'wallet', 1, 'vote', -5, 2, '{op(15)}', '{at('18:05:03')}')",
            f"{VOTE} (9, 3, 2, 4, 3, 'tap-9', 2, false, 'event_closed', '{op(18)}', '{at('18:09:00')}')",
        ),
        rows(
            "wallet_id effect effect_count run_id operation outcome operation_id",
            (1, "entry", 2, "r1", "vote", "unknown", op(15)),
            (3, "vote", 2, "r1", "vote", "declined", op(18)),
        ),
    ),
    "row-was-asked-for": Violation(
        (f"delete from integrity.calls where operation_id in ('{op(5)}', '{op(14)}')",),
        rows(
            "wallet_id effect effect_id made_at run_id operation_id",
            (None, "event", 2, at("18:01:03"), "r1", op(5)),
            (1, "entry", 5, at("18:05:00"), "r1", op(14)),
            (None, "update", 3, at("18:05:00"), "r1", op(14)),
            (1, "vote", 1, at("18:05:00"), "r1", op(14)),
            (1, "window", 1, at("18:05:00"), "r1", op(14)),
        ),
    ),
}
