"""What people who share a lesson do: open its conversation, send, read, look at their inbox, and listen as messages come.

Sound at every isolation level, by three rules:
- A message is sent under the lock of its conversation, taken first and held to the commit. So numbers are given without
  a gap or a repeat, and become visible in their order: after number n nobody is ever shown a smaller one that is new. A
  stream's cursor relies on that. Ids of messages would not do: over all conversations they become visible in any order.
- A read marker's unread_count is written under the marker's lock: by who sends, one more; by who reads, counted afresh. A
  sender locks the conversation and then markers, a reader one marker and nothing else, so nobody waits in a circle.
- What is only read (inbox, stream) is read in one statement, and so at one instant.
"""

from collections.abc import Generator
from dataclasses import dataclass
from random import Random
from typing import TYPE_CHECKING, Any
from uuid import UUID

from integrity.domain import IntegerIn, KeyOf, OneOf, World
from integrity.operation import (
    Begin,
    Commit,
    Declined,
    Ok,
    Operation,
    Push,
    Reply,
    Rollback,
    Row,
    Rows,
    Statement,
    Step,
    Steps,
)
from integrity.systems.system import Subscription

if TYPE_CHECKING:
    from hypothesis.strategies import SearchStrategy

INBOX_MOST = 50
PAGE_MOST = 500
"""Of messages that a stream brings at once; what is left comes when it is looked at again."""


def open_conversation(*, operation_id: UUID, participant_id: int) -> Steps:
    """A participant opens the chat of a booking: the first one makes the conversation, whoever comes later finds it."""
    yield Begin()
    booking: Rows = yield find_conversation(participant_id)
    if not booking:
        yield Rollback()
        return Declined("unknown_participant")
    conversation_id = booking[0]["conversation_id"]
    if conversation_id is not None:
        yield Rollback()
        return Ok({"conversation_id": conversation_id})
    booking_id = booking[0]["booking_id"]
    made: Rows = yield Statement(
        """
        insert into instainstru.conversations (booking_id, operation_id)
        values (:booking_id, :operation_id)
        on conflict (booking_id) do nothing
        returning id
        """,
        {"booking_id": booking_id, "operation_id": operation_id},
    )
    if not made:
        # Somebody else made it since we looked; the insert waited for that commit, so now it can be seen.
        yield Rollback()
        found: Rows = yield find_conversation(participant_id)
        return Ok({"conversation_id": found[0]["conversation_id"]})
    conversation_id = made[0]["id"]
    yield make_read_markers(conversation_id)
    yield Commit()
    return Ok({"conversation_id": conversation_id})


def send_message(*, operation_id: UUID, participant_id: int, client_message_id: str, body: str) -> Steps:
    """A participant writes: the message gets the next number, and a delivery and an unread mark for everybody else.

    A phone that got no answer sends again with the same client_message_id, and gets the answer that it has missed. Another
    text under it is another message, and would be lost: it is declined.
    """
    yield Begin()
    conversation: Rows = yield lock_conversation(participant_id)
    if not conversation:
        yield Rollback()
        return Declined("no_conversation")
    # Under the lock, which every send of this sender takes: what is not found here cannot be sent beside us.
    sent: Rows = yield find_sent(participant_id, client_message_id)
    if sent:
        yield Rollback()
        return answer_again(sent[0], body)
    conversation_id, booking_id = conversation[0]["id"], conversation[0]["booking_id"]
    numbered: Rows = yield take_number(conversation_id)
    message = yield from record_message(
        conversation_id,
        numbered[0],
        participant_id,
        client_message_id=client_message_id,
        body=body,
        operation_id=operation_id,
    )
    yield deliver(message["message_id"], booking_id)
    yield count_unread(conversation_id, participant_id)
    yield Commit()
    return answer(message)


def mark_read(*, operation_id: UUID, participant_id: int, sequence: int) -> Steps:
    """A participant has read up to a number; beyond the newest message it is the newest. A marker never goes back."""
    yield Begin()
    marker: Rows = yield Statement(
        """
        select id, conversation_id, last_read_sequence, unread_count
        from instainstru.read_markers
        where participant_id = :participant_id
        for update
        """,
        {"participant_id": participant_id},
    )
    if not marker:
        yield Rollback()
        return Declined("no_conversation")
    # Who sends counts up our marker, and so waits for it: what is counted here is right until we have committed.
    newest: Rows = yield Statement(
        """
        select
            conversations.last_sequence,
            count(messages.id) as unread_count
        from instainstru.conversations
        left join instainstru.messages
            on
                messages.conversation_id = conversations.id
                and messages.sequence > :last_read_sequence
                and messages.sequence > :sequence
                and messages.sender_id <> :participant_id
        where conversations.id = :conversation_id
        group by conversations.id, conversations.last_sequence
        """,
        {
            "last_read_sequence": marker[0]["last_read_sequence"],
            "sequence": sequence,
            "participant_id": participant_id,
            "conversation_id": marker[0]["conversation_id"],
        },
    )
    read_sequence = min(sequence, newest[0]["last_sequence"])
    if read_sequence <= marker[0]["last_read_sequence"]:
        yield Rollback()
        return Ok({"last_read_sequence": marker[0]["last_read_sequence"], "unread_count": marker[0]["unread_count"]})
    unread_count = newest[0]["unread_count"]
    yield Statement(
        """
        update instainstru.read_markers
        set
            last_read_sequence = :last_read_sequence,
            unread_count = :unread_count,
            operation_id = :operation_id,
            read_at = current_timestamp
        where id = :marker_id
        """,
        {
            "last_read_sequence": read_sequence,
            "unread_count": unread_count,
            "operation_id": operation_id,
            "marker_id": marker[0]["id"],
        },
    )
    yield Commit()
    return Ok({"last_read_sequence": read_sequence, "unread_count": unread_count})


def list_conversations(*, operation_id: UUID, user_id: int) -> Steps:
    """A user's inbox: the conversations with the newest messages, and how much in them is unread."""
    inbox: Rows = yield Statement(
        """
        select conversations.id, conversations.last_message_at, read_markers.unread_count
        from instainstru.participants
        join instainstru.conversations on conversations.booking_id = participants.booking_id
        join instainstru.read_markers
            on read_markers.conversation_id = conversations.id and read_markers.participant_id = participants.id
        where participants.user_id = :user_id
        order by conversations.last_message_at desc nulls last, conversations.id desc
        limit :inbox_most
        """,
        {"user_id": user_id, "inbox_most": INBOX_MOST},
    )
    return Ok(
        {
            "conversation_count": len(inbox),
            "newest_conversation_id": inbox[0]["id"] if inbox else None,
            "unread_count": sum(row["unread_count"] for row in inbox),
        }
    )


def open_stream(*, operation_id: UUID, participant_id: int, last_sequence: int | None) -> Steps:
    """A participant listens to a conversation: fresh, from now on; come back, from after the Last-Event-ID it has seen.

    A stream brings everything in its conversation, what the listener has sent itself as well: so its numbers have no gap,
    and a listener who is shown one knows what is missing.
    """
    if last_sequence is not None:
        return (yield from push_after(participant_id, last_sequence))
    newest: Rows = yield Statement(
        """
        select conversations.last_sequence
        from instainstru.participants
        left join instainstru.conversations on conversations.booking_id = participants.booking_id
        where participants.id = :participant_id
        """,
        {"participant_id": participant_id},
    )
    if not newest:
        return Declined("unknown_participant")
    return Ok({"last_sequence": newest[0]["last_sequence"] or 0})


def follow_stream(*, operation_id: UUID, participant_id: int, last_sequence: int) -> Steps:
    """What came since: an open stream asks for it again and again."""
    return (yield from push_after(participant_id, last_sequence))


# The parts that several operations, and their bugs, are made of.


def push_after(participant_id: int, last_sequence: int) -> Generator[Step, Any, Reply]:
    """Push the messages after a number, and answer with the last one's: who comes back with it misses and repeats nothing.

    Messages and the conversation's own last number are read in one statement: a client that claims to have seen what was
    never sent (it talks about another conversation, or we have lost messages) is told so, and does not wait for it.
    """
    found: Rows = yield Statement(
        """
        select
            conversations.last_sequence,
            messages.id as event_id,
            messages.conversation_id as stream,
            messages.sequence,
            messages.sent_at
        from instainstru.participants
        left join instainstru.conversations on conversations.booking_id = participants.booking_id
        left join instainstru.messages
            on messages.conversation_id = conversations.id and messages.sequence > :last_sequence
        where participants.id = :participant_id
        order by messages.sequence
        limit :page_most
        """,
        {"participant_id": participant_id, "last_sequence": last_sequence, "page_most": PAGE_MOST},
    )
    if not found:
        return Declined("unknown_participant")
    if last_sequence > (found[0]["last_sequence"] or 0):
        return Declined("unknown_last_sequence")
    events = [
        {name: row[name] for name in ("stream", "sequence", "event_id", "sent_at")}
        for row in found
        if row["event_id"] is not None
    ]
    if events:
        yield Push(events)
    return Ok({"last_sequence": events[-1]["sequence"] if events else last_sequence})


def find_conversation(participant_id: int) -> Statement:
    """The participant's booking, and its conversation if there is one."""
    return Statement(
        """
        select participants.booking_id, conversations.id as conversation_id
        from instainstru.participants
        left join instainstru.conversations on conversations.booking_id = participants.booking_id
        where participants.id = :participant_id
        """,
        {"participant_id": participant_id},
    )


def lock_conversation(participant_id: int) -> Statement:
    """The conversation of the participant's booking, locked, so that its messages come one after the other."""
    return Statement(
        """
        select conversations.id, conversations.booking_id
        from instainstru.conversations
        join instainstru.participants on participants.booking_id = conversations.booking_id
        where participants.id = :participant_id
        for update of conversations
        """,
        {"participant_id": participant_id},
    )


def take_number(conversation_id: int) -> Statement:
    """The next number and the time that goes with it.

    A transaction that began earlier can get the lock later: without the comparison times would fall behind numbers.
    """
    return Statement(
        """
        update instainstru.conversations
        set
            last_sequence = last_sequence + 1,
            last_message_at =
                case when last_message_at > current_timestamp then last_message_at else current_timestamp end
        where id = :conversation_id
        returning last_sequence, last_message_at
        """,
        {"conversation_id": conversation_id},
    )


def find_sent(participant_id: int, client_message_id: str) -> Statement:
    """The message that the sender sent under this id of its own, if it did."""
    return Statement(
        """
        select id as message_id, sequence, body from instainstru.messages
        where sender_id = :participant_id and client_message_id = :client_message_id
        """,
        {"participant_id": participant_id, "client_message_id": client_message_id},
    )


def make_read_markers(conversation_id: int) -> Statement:
    """Write a marker for everybody who takes part: nothing read, nothing unread."""
    return Statement(
        """
        insert into instainstru.read_markers (participant_id, conversation_id, operation_id)
        select participants.id, conversations.id, conversations.operation_id
        from instainstru.conversations
        join instainstru.participants on participants.booking_id = conversations.booking_id
        where conversations.id = :conversation_id
        order by participants.id
        """,
        {"conversation_id": conversation_id},
    )


def record_message(
    conversation_id: int, numbered: Row, sender_id: int, *, client_message_id: str, body: str, operation_id: UUID
) -> Generator[Step, Any, Row]:
    """Write a message; return its message_id and sequence.

    Args:
        numbered: what `take_number` gave.
    """
    message: Rows = yield Statement(
        """
        insert into instainstru.messages
            (conversation_id, sequence, sender_id, client_message_id, body, operation_id, sent_at)
        values (:conversation_id, :sequence, :sender_id, :client_message_id, :body, :operation_id, :sent_at)
        returning id as message_id, sequence
        """,
        {
            "conversation_id": conversation_id,
            "sequence": numbered["last_sequence"],
            "sender_id": sender_id,
            "client_message_id": client_message_id,
            "body": body,
            "operation_id": operation_id,
            "sent_at": numbered["last_message_at"],
        },
    )
    return message[0]


def deliver(message_id: int, booking_id: int) -> Statement:
    """Put a message before everybody but its sender: one in a private lesson, more in a group."""
    return Statement(
        """
        insert into instainstru.deliveries (message_id, participant_id, operation_id)
        select messages.id, participants.id, messages.operation_id
        from instainstru.messages
        join instainstru.participants on participants.id <> messages.sender_id
        where messages.id = :message_id and participants.booking_id = :booking_id
        order by participants.id
        """,
        {"message_id": message_id, "booking_id": booking_id},
    )


def count_unread(conversation_id: int, sender_id: int) -> Statement:
    """One more that is unread, for everybody but the sender."""
    return Statement(
        """
        update instainstru.read_markers set unread_count = unread_count + 1
        where conversation_id = :conversation_id and participant_id <> :sender_id
        """,
        {"conversation_id": conversation_id, "sender_id": sender_id},
    )


def answer_again(sent: Row, body: str) -> Reply:
    """What a sender is told under whose id there is a message: of another text that it is not sent."""
    return answer(sent) if sent["body"] == body else Declined("client_message_id_reused")


def answer(message: Row) -> Ok:
    """What a sender is told, the first time and every further time."""
    return Ok({"message_id": message["message_id"], "sequence": message["sequence"]})


@dataclass(frozen=True, slots=True)
class Fresh:
    """Texts that nobody has used before: each time another one."""

    prefix: str

    def draw(self, random: Random, world: World) -> str:
        return f"{self.prefix}{random.getrandbits(64):016x}"

    def strategy(self, world: World) -> "SearchStrategy[int | str]":
        from hypothesis import strategies

        return strategies.integers(0, 2**64 - 1).map(lambda number: f"{self.prefix}{number:016x}")


OPERATIONS = {
    operation.name: operation
    for operation in (
        Operation("open_conversation", open_conversation, {"participant_id": KeyOf("newcomers")}),
        Operation(
            "send_message",
            send_message,
            {"participant_id": KeyOf("participants"), "client_message_id": Fresh("m-"), "body": Fresh("Hello ")},
        ),
        # The same request from a phone that got no answer to it: of few ids, so that most were sent before.
        Operation(
            "resend_message",
            send_message,
            {
                "participant_id": KeyOf("participants"),
                "client_message_id": OneOf(("again-1", "again-2")),
                "body": OneOf(("Are you there?",)),
            },
        ),
        Operation("mark_read", mark_read, {"participant_id": KeyOf("participants"), "sequence": IntegerIn(1, 60)}),
        Operation("list_conversations", list_conversations, {"user_id": KeyOf("users")}),
        # Of a call by itself: a subscriber has a cursor of its own.
        Operation("open_stream", open_stream, {"participant_id": KeyOf("participants"), "last_sequence": IntegerIn(0, 1)}),
    )
}

SUBSCRIPTIONS = {
    "open_stream": Subscription(
        operation="open_stream",
        follow=Operation("follow_stream", follow_stream, OPERATIONS["open_stream"].arguments),
    )
}
