"""Calls of instainstru's operations on the small world: what each answers, what it pushes and exactly the rows it makes."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from integrity.operation import Declined, Ok, Reply
from tests.database.instainstru.world import listening, sending
from tests.database.worlds import op, rows


@dataclass(frozen=True)
class Played:
    """An operation and what is expected of it.

    Args:
        changes: table -> the rows that are new or changed, without their times; this call's operation_id is "this".
        pushed: (stream, sequence, event_id) of each event.
    """

    operation: str
    arguments: Mapping[str, Any]
    reply: Reply
    changes: Mapping[str, list[dict[str, Any]]] = field(default_factory=dict)
    pushed: Sequence[tuple[int, int, int]] = ()


CONVERSATION = "id booking_id last_sequence operation_id"
MESSAGE = "id conversation_id sequence sender_id client_message_id body operation_id"
DELIVERY = "id message_id participant_id operation_id"
MARKER = "id participant_id conversation_id last_read_sequence unread_count operation_id"

PLAYED: Mapping[str, Played] = {
    "a conversation is opened that is there": Played(
        "open_conversation", {"participant_id": 5}, Ok({"conversation_id": 2})
    ),
    "a conversation is opened for the first time": Played(
        "open_conversation",
        {"participant_id": 7},
        Ok({"conversation_id": 3}),
        {
            "conversations": rows(CONVERSATION, (3, 3, 0, "this")),
            "read_markers": rows(MARKER, (6, 6, 3, 0, 0, "this"), (7, 7, 3, 0, 0, "this")),
        },
    ),
    "somebody who takes part in nothing opens a conversation": Played(
        "open_conversation", {"participant_id": 99}, Declined("unknown_participant")
    ),
    "a message to a group": Played(
        "send_message",
        sending(2, "c-2"),
        Ok({"message_id": 4, "sequence": 4}),
        {
            "conversations": rows(CONVERSATION, (1, 1, 4, op(1))),
            "messages": rows(MESSAGE, (4, 1, 4, 2, "c-2", "Hello", "this")),
            "deliveries": rows(DELIVERY, (7, 4, 1, "this"), (8, 4, 3, "this")),
            "read_markers": rows(MARKER, (1, 1, 1, 2, 2, op(7)), (3, 3, 1, 0, 3, op(1))),
        },
    ),
    "a first message, under an id that others have used": Played(
        "send_message",
        sending(5, "c-1"),
        Ok({"message_id": 4, "sequence": 1}),
        {
            "conversations": rows(CONVERSATION, (2, 2, 1, op(2))),
            "messages": rows(MESSAGE, (4, 2, 1, 5, "c-1", "Hello", "this")),
            "deliveries": rows(DELIVERY, (7, 4, 4, "this")),
            "read_markers": rows(MARKER, (4, 4, 2, 0, 1, op(2))),
        },
    ),
    "a message where no conversation was opened": Played("send_message", sending(7, "c-1"), Declined("no_conversation")),
    "a message again": Played(
        "resend_message", {**sending(2, "c-1"), "body": "Five is fine."}, Ok({"message_id": 2, "sequence": 2})
    ),
    "another message under the id of one": Played("send_message", sending(2, "c-1"), Declined("client_message_id_reused")),
    "a message again that had not come": Played(
        "resend_message",
        sending(4, "c-9"),
        Ok({"message_id": 4, "sequence": 1}),
        {
            "conversations": rows(CONVERSATION, (2, 2, 1, op(2))),
            "messages": rows(MESSAGE, (4, 2, 1, 4, "c-9", "Hello", "this")),
            "deliveries": rows(DELIVERY, (7, 4, 5, "this")),
            "read_markers": rows(MARKER, (5, 5, 2, 0, 1, op(2))),
        },
    ),
    "a message again where no conversation was opened": Played(
        "resend_message", sending(7, "c-1"), Declined("no_conversation")
    ),
    "everything is read": Played(
        "mark_read",
        {"participant_id": 1, "sequence": 3},
        Ok({"last_read_sequence": 3, "unread_count": 0}),
        {"read_markers": rows(MARKER, (1, 1, 1, 3, 0, "this"))},
    ),
    "a part is read, and one's own message after it is not unread": Played(
        "mark_read",
        {"participant_id": 3, "sequence": 1},
        Ok({"last_read_sequence": 1, "unread_count": 1}),
        {"read_markers": rows(MARKER, (3, 3, 1, 1, 1, "this"))},
    ),
    "more is read than there is": Played(
        "mark_read",
        {"participant_id": 2, "sequence": 60},
        Ok({"last_read_sequence": 3, "unread_count": 0}),
        {"read_markers": rows(MARKER, (2, 2, 1, 3, 0, "this"))},
    ),
    "less is read than before": Played(
        "mark_read", {"participant_id": 1, "sequence": 1}, Ok({"last_read_sequence": 2, "unread_count": 1})
    ),
    "an empty conversation is read": Played(
        "mark_read", {"participant_id": 4, "sequence": 60}, Ok({"last_read_sequence": 0, "unread_count": 0})
    ),
    "what was never opened is read": Played("mark_read", {"participant_id": 7, "sequence": 1}, Declined("no_conversation")),
    "an inbox": Played(
        "list_conversations",
        {"user_id": 2},
        Ok({"conversation_count": 2, "newest_conversation_id": 1, "unread_count": 1}),
    ),
    "an empty inbox": Played(
        "list_conversations",
        {"user_id": 99},
        Ok({"conversation_count": 0, "newest_conversation_id": None, "unread_count": 0}),
    ),
    "a fresh stream": Played("open_stream", listening(1, None), Ok({"last_sequence": 3})),
    "a fresh stream before there is a conversation": Played("open_stream", listening(7, None), Ok({"last_sequence": 0})),
    "a stream that was cut off": Played(
        "open_stream", listening(1, 1), Ok({"last_sequence": 3}), pushed=((1, 2, 2), (1, 3, 3))
    ),
    "a stream that was cut off and missed nothing": Played("open_stream", listening(1, 3), Ok({"last_sequence": 3})),
    "a stream that was cut off before there was a conversation": Played(
        "open_stream", listening(7, 0), Ok({"last_sequence": 0})
    ),
    "a stream that claims to have seen what was never sent": Played(
        "open_stream", listening(1, 4), Declined("unknown_last_sequence")
    ),
    "a stream of somebody who takes part in nothing": Played(
        "open_stream", listening(99, None), Declined("unknown_participant")
    ),
    "a stream of somebody who takes part in nothing comes back": Played(
        "open_stream", listening(99, 0), Declined("unknown_participant")
    ),
}
