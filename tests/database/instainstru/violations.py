"""For each invariant of instainstru: what is done to the sound world, and exactly the rows that its query then returns."""

from collections.abc import Mapping

from tests.database.instainstru.world import at, sending
from tests.database.worlds import Violation, op, rows

CONVERSATION = "insert into instainstru.conversations (id, booking_id, operation_id, opened_at) values"
MESSAGE = (
    "insert into instainstru.messages"
    " (id, conversation_id, sequence, sender_id, client_message_id, body, operation_id, sent_at) values"
)
DELIVERY = "insert into instainstru.deliveries (id, message_id, participant_id, operation_id, delivered_at) values"
MARKER = "insert into instainstru.read_markers (id, participant_id, conversation_id, operation_id) values"
RECEIVED = (
    "insert into integrity.received"
    " (run_id, number, operation_id, client, stream, sequence, event_id, sent_at, received_at) values"
)

VIOLATIONS: Mapping[str, Violation] = {
    "one-conversation-per-booking": Violation(
        (f"{CONVERSATION} (3, 1, '{op(40)}', '{at('18:10:00')}')",),
        rows(
            "booking_id conversation_count conversation_ids operation_ids",
            (1, 2, "1 3", f"{op(1)} {op(40)}"),
        ),
    ),
    "conversation-has-both-sides": Violation(
        (
            "update instainstru.participants set role = 'instructor' where id = 2",
            "delete from instainstru.participants where id = 5",
        ),
        rows(
            "booking_id conversation_id instructor_count student_count operation_id",
            (1, 1, 2, 1, op(1)),
            (2, 2, 1, 0, op(2)),
        ),
    ),
    "message-sequence-unique": Violation(
        ("update instainstru.messages set sequence = 2 where id = 3",),
        rows(
            "conversation_id sequence message_count message_ids operation_ids",
            (1, 2, 2, "2 3", f"{op(4)} {op(6)}"),
        ),
    ),
    "message-sequence-has-no-gap": Violation(
        (
            "update instainstru.messages set sequence = 4 where id = 3",
            f"{MESSAGE} (4, 2, 2, 4, 'c-1', 'Hello', '{op(40)}', '{at('18:10:00')}')",
        ),
        rows(
            "conversation_id message_count sequence_least sequence_most operation_ids",
            (1, 3, 1, 4, f"{op(3)} {op(4)} {op(6)}"),
            (2, 1, 2, 2, op(40)),
        ),
    ),
    "last-sequence-is-newest": Violation(
        (
            "update instainstru.conversations set last_sequence = 2 where id = 1",
            "update instainstru.conversations set last_sequence = 1 where id = 2",
        ),
        rows(
            "conversation_id booking_id last_sequence newest_sequence operation_ids",
            (1, 1, 2, 3, f"{op(3)} {op(4)} {op(6)}"),
            (2, 2, 1, 0, None),
        ),
    ),
    "last-message-at-is-newest": Violation(
        (
            f"update instainstru.conversations set last_message_at = '{at('18:02:00')}' where id = 1",
            f"update instainstru.conversations set last_message_at = '{at('18:01:00')}' where id = 2",
        ),
        rows(
            "conversation_id booking_id last_message_at newest_sent_at operation_ids",
            (1, 1, at("18:02:00"), at("18:05:00"), f"{op(3)} {op(4)} {op(6)}"),
            (2, 2, at("18:01:00"), None, None),
        ),
    ),
    "message-sent-once": Violation(
        (f"{MESSAGE} (4, 1, 4, 2, 'c-1', 'Five is fine.', '{op(5)}', '{at('18:02:30')}')",),
        rows(
            "sender_id client_message_id conversation_id message_count message_ids operation_ids",
            (2, "c-1", 1, 2, "2 4", f"{op(4)} {op(5)}"),
        ),
    ),
    "message-sender-takes-part": Violation(
        (
            "update instainstru.messages set sender_id = 5 where id = 2",
            "update instainstru.messages set conversation_id = 9 where id = 3",
        ),
        rows(
            "message_id conversation_id sequence sender_id sender_booking_id booking_id operation_id",
            (2, 1, 2, 5, 2, 1, op(4)),
            (3, 9, 3, 3, 1, None, op(6)),
        ),
    ),
    "message-delivered-once": Violation(
        (
            "delete from instainstru.deliveries where id = 2",
            f"{DELIVERY} (7, 2, 1, '{op(4)}', '{at('18:02:00')}')",
        ),
        rows(
            "message_id conversation_id sequence sender_id participant_id delivery_count operation_id",
            (1, 1, 1, 1, 3, 0, op(3)),
            (2, 1, 2, 2, 1, 2, op(4)),
        ),
    ),
    "delivery-recipient-takes-part": Violation(
        (
            "update instainstru.deliveries set participant_id = 5 where id = 1",
            "update instainstru.deliveries set participant_id = 2 where id = 4",
            "update instainstru.deliveries set message_id = 9 where id = 6",
        ),
        rows(
            "delivery_id message_id participant_id conversation_id sender_id recipient_booking_id booking_id operation_id",
            (1, 1, 5, 1, 1, 2, 1, op(3)),
            (4, 2, 2, 1, 2, 1, 1, op(4)),
            (6, 9, 2, None, None, 1, None, op(6)),
        ),
    ),
    "participant-has-read-marker": Violation(
        (
            "delete from instainstru.read_markers where id = 5",
            f"{MARKER} (6, 3, 1, '{op(1)}')",
        ),
        rows(
            "booking_id conversation_id participant_id role marker_count operation_id",
            (1, 1, 3, "student", 2, op(1)),
            (2, 2, 5, "student", 0, op(2)),
        ),
    ),
    "read-marker-of-participant": Violation(
        (
            "update instainstru.read_markers set conversation_id = 1 where id = 5",
            "update instainstru.read_markers set participant_id = 99 where id = 4",
        ),
        rows(
            "participant_id conversation_id participant_booking_id booking_id operation_id",
            (99, 2, None, 2, op(2)),
            (5, 1, 2, 1, op(2)),
        ),
    ),
    "unread-count-equals-messages": Violation(
        (
            "update instainstru.read_markers set unread_count = 0 where id = 1",
            "update instainstru.read_markers set unread_count = 1 where id = 4",
        ),
        rows(
            "participant_id conversation_id last_read_sequence unread_count message_count operation_ids",
            (1, 1, 2, 0, 1, op(6)),
            (4, 2, 0, 1, 0, None),
        ),
    ),
    "read-marker-not-ahead": Violation(
        ("update instainstru.read_markers set last_read_sequence = 4 where id = 1",),
        rows("participant_id conversation_id last_read_sequence last_sequence operation_id", (1, 1, 4, 3, op(7))),
    ),
    "acknowledged-call-is-stored": Violation(
        (
            "update instainstru.conversations set booking_id = 3 where id = 2",
            # the retry was answered with another message than the first one
            f"""update integrity.calls set reply = '{{"message_id": 3, "sequence": 2}}' where operation_id = '{op(5)}'""",
            "update instainstru.read_markers set last_read_sequence = 1 where id = 1",
        ),
        rows(
            "run_id operation client arguments reply returned_at participant_id operation_id",
            ("r1", "open_conversation", 1, {"participant_id": 5}, {"conversation_id": 2}, at("18:01:00"), 5, op(2)),
            (
                "r1",
                "resend_message",
                1,
                sending(2, "c-1"),
                {"message_id": 3, "sequence": 2},
                at("18:02:30"),
                2,
                op(5),
            ),
            (
                "r1",
                "mark_read",
                2,
                {"participant_id": 1, "sequence": 9},
                {"last_read_sequence": 2, "unread_count": 0},
                at("18:03:00"),
                1,
                op(7),
            ),
        ),
    ),
    "failed-call-left-nothing": Violation(
        (
            f"update integrity.calls set outcome = 'declined' where operation_id in ('{op(2)}', '{op(7)}')",
            f"update integrity.calls set outcome = 'failed', error = 'XX000' where operation_id = '{op(6)}'",
        ),
        rows(
            "conversation_id effect effect_id run_id operation outcome error operation_id",
            (2, "conversation", 2, "r1", "open_conversation", "declined", "", op(2)),
            (1, "marker", 1, "r1", "mark_read", "declined", "", op(7)),
            (2, "marker", 4, "r1", "open_conversation", "declined", "", op(2)),
            (2, "marker", 5, "r1", "open_conversation", "declined", "", op(2)),
            (1, "message", 3, "r1", "send_message", "failed", "XX000", op(6)),
        ),
    ),
    "call-at-most-once": Violation(
        (
            f"{CONVERSATION} (3, 3, '{op(2)}', '{at('18:01:01')}')",
            f"{MESSAGE} (4, 1, 4, 3, 'c-9', 'For me too.', '{op(6)}', '{at('18:05:01')}')",
        ),
        rows(
            "conversation_id effect effect_count run_id operation outcome operation_id",
            (2, "conversation", 2, "r1", "open_conversation", "ok", op(2)),
            (1, "message", 2, "r1", "send_message", "unknown", op(6)),
        ),
    ),
    "row-was-asked-for": Violation(
        (f"delete from integrity.calls where operation_id in ('{op(2)}', '{op(6)}', '{op(7)}')",),
        rows(
            "conversation_id effect effect_id made_at run_id operation_id",
            (2, "conversation", 2, at("18:01:00"), "r1", op(2)),
            (1, "marker", 1, at("18:03:00"), "r1", op(7)),
            (None, "delivery", 5, at("18:05:00"), "r1", op(6)),
            (None, "delivery", 6, at("18:05:00"), "r1", op(6)),
            (1, "message", 3, at("18:05:00"), "r1", op(6)),
        ),
    ),
    "stream-misses-nothing": Violation(
        (
            # in the middle; and what a client that came back was told it had seen
            "delete from integrity.received where run_id = 'r1' and number in (2, 3)",
        ),
        rows(
            "run_id client participant_id conversation_id message_id sequence sent_at operation_id",
            ("r1", 7, 1, 1, 2, 2, at("18:02:00"), op(4)),
            ("r1", 8, 3, 1, 2, 2, at("18:02:00"), op(4)),
        ),
    ),
    "stream-shows-each-message-once": Violation(
        (f"{RECEIVED} ('r1', 6, '{op(23)}', 7, 1, 2, 2, '{at('18:02:00')}', '{at('18:06:00')}')",),
        rows(
            "run_id client conversation_id message_id sequence shown_count operation_ids",
            ("r1", 7, 1, 2, 2, 2, f"{op(20)} {op(23)}"),
        ),
    ),
    "stream-keeps-order": Violation(
        ("update integrity.received set number = 9 where run_id = 'r1' and number = 1",),
        rows(
            "run_id client conversation_id message_id sequence previous_sequence received_at operation_id",
            ("r1", 8, 1, 1, 1, 3, at("18:01:30"), op(21)),
        ),
    ),
    "stream-shows-what-was-sent": Violation(
        (
            # never stored, shown under another number, in another conversation's stream, and to a stranger
            f"{RECEIVED} ('r1', 6, '{op(23)}', 7, 1, 4, 44, '{at('18:06:00')}', '{at('18:06:00')}')",
            "update integrity.received set sequence = 1 where run_id = 'r1' and number = 2",
            "update integrity.received set stream = 2 where run_id = 'r1' and number = 3",
            f"{RECEIVED} ('r1', 7, '{op(24)}', 6, 1, 3, 3, '{at('18:05:00')}', '{at('18:07:00')}')",
            "insert into integrity.calls"
            " (run_id, operation_id, operation, arguments, client, intended_at, invoked_at, outcome) values"
            f""" ('r1', '{op(24)}', 'open_stream', '{{"participant_id": 5}}', 6,"""
            f" '{at('18:07:00')}', '{at('18:07:00')}', 'ok')",
        ),
        rows(
            "run_id client conversation_id message_id sequence "
            "stored_conversation_id stored_sequence listener_booking_id booking_id operation_id",
            ("r1", 7, 1, 2, 1, 1, 2, 1, 1, op(20)),
            ("r1", 8, 2, 2, 2, 1, 2, 1, 1, op(21)),
            ("r1", 7, 1, 44, 4, None, None, 1, None, op(23)),
            ("r1", 6, 1, 3, 3, 1, 3, 2, 1, op(24)),
        ),
    ),
}

MISSED_BY_ONE_THAT_CAME_BACK = Violation(
    (
        # the stream went on after 3 for a client that had seen 2
        f"""update integrity.calls set reply = '{{"last_sequence": 3}}' where operation_id = '{op(23)}'""",
        "delete from integrity.received where run_id = 'r1' and number = 4",
    ),
    rows(
        "run_id client participant_id conversation_id message_id sequence sent_at operation_id",
        ("r1", 7, 1, 1, 3, 3, at("18:05:00"), op(6)),
    ),
)
"""Nothing was shown after the gap; that something is missing is known only from what the client was told."""
