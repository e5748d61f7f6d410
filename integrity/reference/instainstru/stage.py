"""The rows that a race of instainstru is played on: a small world of its own, in which every invariant holds.

- bookings_1 is a group lesson of an instructor (participants_1) and two students, whose conversation has two messages: one
  of the instructor, who has read up to there, and an answer, which only its sender has read.
- bookings_2 is a lesson of the same instructor (newcomers_1) with the first student. It has no conversation yet.
"""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from uuid import uuid4

from integrity.systems.stage import Ref, Stage, StagedRow


def stage() -> Stage:
    """Return the world, its keys by pool and number, e.g. participants_1."""
    return Stage(
        rows=[*_bookings(), *_conversation()],
        keys={
            "bookings_1": Ref("choir"),
            "bookings_2": Ref("piano"),
            "participants_1": Ref("choir instructor"),
            "participants_2": Ref("choir first student"),
            "participants_3": Ref("choir second student"),
            "newcomers_1": Ref("piano instructor"),
            "newcomers_2": Ref("piano first student"),
            "conversations_1": Ref("conversation"),
            "users_1": Ref("instructor"),
            "users_2": Ref("first student"),
        },
    )


def _bookings() -> Iterator[StagedRow]:
    """Yield the users, what they have booked, and who takes part."""
    tomorrow = datetime.now(UTC) + timedelta(days=1)
    for user in ("instructor", "first student", "second student"):
        yield StagedRow(user, "instainstru.users", {"email": f"race-{uuid4()}@example.org", "name": user})
    for lesson in ("choir", "piano"):
        yield StagedRow(lesson, "instainstru.bookings", {"lesson": lesson, "starts_at": tomorrow})
    for lesson, user in (
        ("choir", "instructor"),
        ("choir", "first student"),
        ("choir", "second student"),
        ("piano", "instructor"),
        ("piano", "first student"),
    ):
        role = "instructor" if user == "instructor" else "student"
        yield StagedRow(
            f"{lesson} {user}",
            "instainstru.participants",
            {"booking_id": Ref(lesson), "user_id": Ref(user), "role": role},
        )


def _conversation() -> Iterator[StagedRow]:
    """Yield the choir's conversation, its messages and their deliveries, and how far everybody has read."""
    now = datetime.now(UTC)
    opened, asked, answered = uuid4(), uuid4(), uuid4()
    asked_at, answered_at = now - timedelta(minutes=2), now - timedelta(minutes=1)
    yield StagedRow(
        "conversation",
        "instainstru.conversations",
        {"booking_id": Ref("choir"), "last_sequence": 2, "last_message_at": answered_at, "operation_id": opened},
    )
    for name, sequence, sender, body, operation_id, sent_at in (
        ("question", 1, "choir instructor", "Shall we start at five?", asked, asked_at),
        ("answer", 2, "choir first student", "Five is fine.", answered, answered_at),
    ):
        yield StagedRow(
            name,
            "instainstru.messages",
            {
                "conversation_id": Ref("conversation"),
                "sequence": sequence,
                "sender_id": Ref(sender),
                "client_message_id": f"race-{uuid4()}",
                "body": body,
                "operation_id": operation_id,
                "sent_at": sent_at,
            },
        )
    for message, recipient, operation_id in (
        ("question", "choir first student", asked),
        ("question", "choir second student", asked),
        ("answer", "choir instructor", answered),
        ("answer", "choir second student", answered),
    ):
        yield StagedRow(
            f"{message} to {recipient}",
            "instainstru.deliveries",
            {"message_id": Ref(message), "participant_id": Ref(recipient), "operation_id": operation_id},
        )
    for reader, last_read_sequence, unread_count in (
        ("choir instructor", 1, 1),
        ("choir first student", 2, 0),
        ("choir second student", 0, 2),
    ):
        yield StagedRow(
            f"marker of {reader}",
            "instainstru.read_markers",
            {
                "participant_id": Ref(reader),
                "conversation_id": Ref("conversation"),
                "last_read_sequence": last_read_sequence,
                "unread_count": unread_count,
                "operation_id": uuid4() if last_read_sequence else opened,
                "read_at": now if last_read_sequence else None,
            },
        )
