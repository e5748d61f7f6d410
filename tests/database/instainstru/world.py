"""A few lessons, written by hand, in which every invariant of instainstru holds.

Booking 1 is a choir with two students, who have talked: the instructor asked before the run, both students answered during
it, one of them twice, as the first answer got lost. Booking 2 is a piano lesson whose conversation was opened and is empty,
booking 3 a chess lesson that nobody has opened a conversation for. In a first run (r1, 18:00 to 19:00) the instructor
listened as client 7, who was cut off and came back, and the second student as client 8; client 9 opened a stream and did
not look at it. A second run (r2, from 20:00) goes on, its calls not loaded yet; r3 is of another system.
"""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import orjson

from tests.database.worlds import invariant_files, op, query_files, rows

FILES = invariant_files("instainstru")
QUERIES = query_files("instainstru")

NOW = datetime(2026, 1, 17, 20, 20, tzinfo=UTC)


def at(time: str) -> str:
    return f"2026-01-17 {time}"


def sending(sender: int, client_message_id: str) -> dict[str, Any]:
    return {"participant_id": sender, "client_message_id": client_message_id, "body": "Hello"}


def listening(participant: int, last_sequence: int | None) -> dict[str, Any]:
    return {"participant_id": participant, "last_sequence": last_sequence}


WORLD: Mapping[str, list[dict[str, Any]]] = {
    "instainstru.users": rows(
        "id email name created_at",
        *((number, f"user-{number}@example.org", f"User {number}", at("08:00:00")) for number in (1, 2, 3)),
    ),
    "instainstru.bookings": rows(
        "id lesson booked_at starts_at",
        (1, "Choir", at("16:00:00"), "2026-01-20 17:00:00"),
        (2, "Piano", at("16:10:00"), "2026-01-21 17:00:00"),
        (3, "Chess", at("16:20:00"), "2026-01-22 17:00:00"),
    ),
    "instainstru.participants": rows(
        "id booking_id user_id role",
        (1, 1, 1, "instructor"),
        (2, 1, 2, "student"),
        (3, 1, 3, "student"),
        (4, 2, 1, "instructor"),
        (5, 2, 2, "student"),
        (6, 3, 2, "instructor"),
        (7, 3, 3, "student"),
    ),
    "instainstru.conversations": rows(
        "id booking_id last_sequence last_message_at operation_id opened_at",
        (1, 1, 3, at("18:05:00"), op(1), at("16:59:00")),
        (2, 2, 0, None, op(2), at("18:01:00")),
    ),
    "instainstru.messages": rows(
        "id conversation_id sequence sender_id client_message_id body operation_id sent_at",
        (1, 1, 1, 1, "c-1", "Shall we start at five?", op(3), at("17:00:00")),
        (2, 1, 2, 2, "c-1", "Five is fine.", op(4), at("18:02:00")),
        (3, 1, 3, 3, "c-1", "For me too.", op(6), at("18:05:00")),
    ),
    "instainstru.deliveries": rows(
        "id message_id participant_id operation_id delivered_at",
        (1, 1, 2, op(3), at("17:00:00")),
        (2, 1, 3, op(3), at("17:00:00")),
        (3, 2, 1, op(4), at("18:02:00")),
        (4, 2, 3, op(4), at("18:02:00")),
        (5, 3, 1, op(6), at("18:05:00")),
        (6, 3, 2, op(6), at("18:05:00")),
    ),
    "instainstru.read_markers": rows(
        "id participant_id conversation_id last_read_sequence unread_count operation_id read_at",
        (1, 1, 1, 2, 1, op(7), at("18:03:00")),
        (2, 2, 1, 1, 1, op(8), at("17:30:00")),
        (3, 3, 1, 0, 2, op(1), None),
        (4, 4, 2, 0, 0, op(2), None),
        (5, 5, 2, 0, 0, op(2), None),
    ),
    "integrity.runs": rows(
        "run_id system profile seed state started_at ended_at alive_until",
        ("r1", "instainstru", "hammer", 1, "finished", at("18:00:00"), at("19:00:00"), at("19:01:00")),
        ("r2", "instainstru", "hammer", 2, "running", at("20:00:00"), None, at("21:30:00")),
        ("r3", "streamvote", "hammer", 1, "finished", at("18:00:00"), at("19:00:00"), at("19:01:00")),
    ),
    "integrity.calls": rows(
        "run_id operation_id operation arguments client intended_at invoked_at returned_at outcome reply error attempts",
        *(
            (
                run_id,
                op(number),
                operation,
                orjson.dumps(arguments).decode(),
                client,
                at(time),
                at(time),
                None if reply is None else at(time),
                outcome,
                None if reply is None else orjson.dumps(reply).decode(),
                "",
                1,
            )
            for run_id, number, operation, arguments, client, time, outcome, reply in (
                ("r1", 2, "open_conversation", {"participant_id": 5}, 1, "18:01:00", "ok", {"conversation_id": 2}),
                ("r1", 20, "open_stream", listening(1, None), 7, "18:01:30", "ok", {"last_sequence": 1}),
                ("r1", 21, "open_stream", listening(3, 0), 8, "18:01:30", "ok", {"last_sequence": 1}),
                ("r1", 22, "open_stream", listening(2, 0), 9, "18:01:30", "ok", {"last_sequence": 1}),
                ("r1", 4, "send_message", sending(2, "c-1"), 1, "18:02:00", "ok", {"message_id": 2, "sequence": 2}),
                ("r1", 5, "resend_message", sending(2, "c-1"), 1, "18:02:30", "ok", {"message_id": 2, "sequence": 2}),
                (
                    "r1",
                    7,
                    "mark_read",
                    {"participant_id": 1, "sequence": 9},
                    2,
                    "18:03:00",
                    "ok",
                    {"last_read_sequence": 2, "unread_count": 0},
                ),
                ("r1", 23, "open_stream", listening(1, 2), 7, "18:04:00", "ok", {"last_sequence": 2}),
                ("r1", 6, "send_message", sending(3, "c-1"), 3, "18:05:00", "unknown", None),  # it took effect
                ("r1", 9, "send_message", sending(3, "c-2"), 4, "18:06:00", "unknown", None),  # it did not
                ("r1", 10, "send_message", sending(1, "c-2"), 1, "18:07:00", "failed", None),
                ("r1", 11, "send_message", sending(7, "c-1"), 1, "18:08:00", "declined", {"reason": "no_conversation"}),
                ("r1", 12, "list_conversations", {"user_id": 1}, 1, "18:09:00", "ok", {"conversation_count": 2}),
                # Of another system, with the same names for other things.
                ("r3", 30, "send_message", {"to": "somebody"}, 1, "18:10:00", "ok", {"message_id": 99}),
                ("r3", 31, "open_stream", {"event_id": 1, "last_sequence": 0}, 1, "18:10:00", "ok", {"last_sequence": 8}),
            )
        ),
    ),
    "integrity.received": rows(
        "run_id number operation_id client stream sequence event_id sent_at received_at",
        ("r1", 1, op(21), 8, 1, 1, 1, at("17:00:00"), at("18:01:30")),
        ("r1", 2, op(20), 7, 1, 2, 2, at("18:02:00"), at("18:02:00")),
        ("r1", 3, op(21), 8, 1, 2, 2, at("18:02:00"), at("18:02:00")),
        ("r1", 4, op(23), 7, 1, 3, 3, at("18:05:00"), at("18:05:00")),
        ("r1", 5, op(21), 8, 1, 3, 3, at("18:05:00"), at("18:05:00")),
        ("r3", 1, op(31), 1, 1, 8, 8, at("18:10:00"), at("18:10:00")),
        ("r3", 2, op(31), 1, 1, 8, 8, at("18:10:00"), at("18:10:00")),
        ("r3", 3, op(31), 1, 1, 7, 7, at("18:10:00"), at("18:10:00")),
    ),
}
