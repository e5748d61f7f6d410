"""Bugs of instainstru: what a developer forgot, each beside the sound operation that it replaces, made of the same parts.

A schedule is the shortest text that plays it (race/program/schedule.py): "AB" lets A do its first read, then B all it
does, and A goes on with what it had read; "AAB" lets A do two. A bug without one needs a client that dies or comes back.
"""

from uuid import UUID

from integrity.operation import Begin, Commit, Declined, Ok, Rollback, Rows, Statement, Steps
from integrity.reference.instainstru.operations import (
    OPERATIONS,
    answer,
    answer_again,
    count_unread,
    deliver,
    find_conversation,
    find_sent,
    lock_conversation,
    make_read_markers,
    record_message,
    take_number,
)
from integrity.systems.system import Bug, instead


def send_message_numbered_by_the_newest(
    *, operation_id: UUID, participant_id: int, client_message_id: str, body: str
) -> Steps:
    """Number a message max + 1 without a lock: two senders both read the same newest one."""
    yield Begin()
    conversation: Rows = yield find_conversation(participant_id)
    if not conversation or conversation[0]["conversation_id"] is None:
        yield Rollback()
        return Declined("no_conversation")
    conversation_id, booking_id = conversation[0]["conversation_id"], conversation[0]["booking_id"]
    newest: Rows = yield Statement(
        """
        select coalesce(max(sequence), 0) + 1 as sequence, current_timestamp as sent_at
        from instainstru.messages
        where conversation_id = :conversation_id
        """,
        {"conversation_id": conversation_id},
    )
    sequence, sent_at = newest[0]["sequence"], newest[0]["sent_at"]
    message: Rows = yield Statement(
        """
        insert into instainstru.messages
            (conversation_id, sequence, sender_id, client_message_id, body, operation_id, sent_at)
        values (:conversation_id, :sequence, :participant_id, :client_message_id, :body, :operation_id, :sent_at)
        on conflict (sender_id, client_message_id) do nothing
        returning id as message_id, sequence
        """,
        {
            "conversation_id": conversation_id,
            "sequence": sequence,
            "participant_id": participant_id,
            "client_message_id": client_message_id,
            "body": body,
            "operation_id": operation_id,
            "sent_at": sent_at,
        },
    )
    if not message:
        yield Rollback()
        sent: Rows = yield find_sent(participant_id, client_message_id)
        return answer_again(sent[0], body)
    yield deliver(message[0]["message_id"], booking_id)
    yield Statement(
        """
        update instainstru.conversations
        set
            last_sequence = case when last_sequence > :sequence then last_sequence else :sequence end,
            last_message_at = case when last_message_at > :sent_at then last_message_at else :sent_at end
        where id = :conversation_id
        """,
        {"conversation_id": conversation_id, "sequence": sequence, "sent_at": sent_at},
    )
    # What is read already is not unread, so that a number that is given twice leaves the counts as they should be.
    yield Statement(
        """
        update instainstru.read_markers set unread_count = unread_count + 1
        where
            conversation_id = :conversation_id
            and participant_id <> :participant_id
            and last_read_sequence < :sequence
        """,
        {"conversation_id": conversation_id, "participant_id": participant_id, "sequence": sequence},
    )
    yield Commit()
    return answer(message[0])


def send_message_from_stale_counts(*, operation_id: UUID, participant_id: int, client_message_id: str, body: str) -> Steps:
    """Read everybody's unread_count, add one in the client, write the results back over whatever happened since."""
    yield Begin()
    markers: Rows = yield Statement(
        """
        select read_markers.id, read_markers.unread_count
        from instainstru.read_markers
        join instainstru.conversations on conversations.id = read_markers.conversation_id
        join instainstru.participants on participants.booking_id = conversations.booking_id
        where participants.id = :participant_id and read_markers.participant_id <> :participant_id
        order by read_markers.id
        """,
        {"participant_id": participant_id},
    )
    conversation: Rows = yield lock_conversation(participant_id)
    if not conversation:
        yield Rollback()
        return Declined("no_conversation")
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
    for marker in markers:
        yield Statement(
            "update instainstru.read_markers set unread_count = :unread_count where id = :marker_id",
            {"unread_count": marker["unread_count"] + 1, "marker_id": marker["id"]},
        )
    yield Commit()
    return answer(message)


def send_message_and_touch_afterwards(
    *, operation_id: UUID, participant_id: int, client_message_id: str, body: str
) -> Steps:
    """Write last_message_at after the commit: who is late puts it back, who dies in between never puts it on."""
    yield Begin()
    conversation: Rows = yield lock_conversation(participant_id)
    if not conversation:
        yield Rollback()
        return Declined("no_conversation")
    sent: Rows = yield find_sent(participant_id, client_message_id)
    if sent:
        yield Rollback()
        return answer_again(sent[0], body)
    conversation_id, booking_id = conversation[0]["id"], conversation[0]["booking_id"]
    numbered: Rows = yield Statement(
        """
        update instainstru.conversations set last_sequence = last_sequence + 1
        where id = :conversation_id
        returning last_sequence, current_timestamp as last_message_at
        """,
        {"conversation_id": conversation_id},
    )
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
    yield Statement(
        "update instainstru.conversations set last_message_at = :sent_at where id = :conversation_id",
        {"sent_at": numbered[0]["last_message_at"], "conversation_id": conversation_id},
    )
    return answer(message)


def send_message_and_deliver_afterwards(
    *, operation_id: UUID, participant_id: int, client_message_id: str, body: str
) -> Steps:
    """Commit the message, then deliver it: who dies in between has sent what nobody gets, and a retry finds it sent."""
    yield Begin()
    conversation: Rows = yield lock_conversation(participant_id)
    if not conversation:
        yield Rollback()
        return Declined("no_conversation")
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
    yield count_unread(conversation_id, participant_id)
    yield Commit()
    yield deliver(message["message_id"], booking_id)
    return answer(message)


def send_message_looked_up_first(*, operation_id: UUID, participant_id: int, client_message_id: str, body: str) -> Steps:
    """Look the client's id up before the lock: a message and its retry both find nothing, and both are sent."""
    sent: Rows = yield find_sent(participant_id, client_message_id)
    if sent:
        return answer_again(sent[0], body)
    yield Begin()
    conversation: Rows = yield lock_conversation(participant_id)
    if not conversation:
        yield Rollback()
        return Declined("no_conversation")
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


def open_conversation_looked_up_first(*, operation_id: UUID, participant_id: int) -> Steps:
    """Look the conversation up, then make it: two participants who open it at once both find none."""
    yield Begin()
    booking: Rows = yield find_conversation(participant_id)
    if not booking:
        yield Rollback()
        return Declined("unknown_participant")
    if booking[0]["conversation_id"] is not None:
        yield Rollback()
        return Ok({"conversation_id": booking[0]["conversation_id"]})
    booking_id = booking[0]["booking_id"]
    made: Rows = yield Statement(
        """
        insert into instainstru.conversations (booking_id, operation_id) values (:booking_id, :operation_id)
        returning id
        """,
        {"booking_id": booking_id, "operation_id": operation_id},
    )
    yield make_read_markers(made[0]["id"])
    yield Commit()
    return Ok({"conversation_id": made[0]["id"]})


def open_stream_after_the_newest(*, operation_id: UUID, participant_id: int, last_sequence: int | None) -> Steps:
    """Go on after the newest message, also for a client that comes back: what was sent meanwhile it never sees."""
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


SENDING = ("send_message", "resend_message")


BUGS: dict[str, Bug] = {
    bug.name: bug
    for bug in (
        Bug(
            name="sequence_gap",
            forgotten="A message's number is the greatest one that is there plus one; neither lock nor constraint is left.",
            operations=instead(OPERATIONS, send_message_numbered_by_the_newest, *SENDING),
            dropped=("messages.messages_conversation_id_sequence_key",),
            violates=("instainstru/message-sequence-unique",),
            race=("send_message", "send_message"),
            schedule="AAB",
        ),
        Bug(
            name="duplicate_conversation",
            forgotten="The conversation of a booking is looked up and then made; no unique constraint stops the second.",
            operations=instead(OPERATIONS, open_conversation_looked_up_first, "open_conversation"),
            dropped=("conversations.conversations_booking_id_key",),
            violates=("instainstru/one-conversation-per-booking",),
            race=("open_conversation", "open_conversation"),
            schedule="AB",
        ),
        Bug(
            name="lost_unread",
            forgotten="The sender reads the unread counts, adds one in the client and writes them back.",
            operations=instead(OPERATIONS, send_message_from_stale_counts, *SENDING),
            violates=("instainstru/unread-count-equals-messages",),
            race=("send_message", "send_message"),
            schedule="AB",
        ),
        Bug(
            name="missed_on_reconnect",
            forgotten="A stream that is opened again goes on after the newest message, not after the last one seen.",
            operations=instead(OPERATIONS, open_stream_after_the_newest, "open_stream"),
            violates=("instainstru/stream-misses-nothing",),
        ),
        Bug(
            name="double_message",
            forgotten="The client's id of a message is looked up before the lock, and no constraint stops the second one.",
            operations=instead(OPERATIONS, send_message_looked_up_first, *SENDING),
            dropped=("messages.messages_sender_id_client_message_id_key",),
            violates=("instainstru/message-sent-once",),
            race=("resend_message", "resend_message"),
            schedule="AB",
        ),
        Bug(
            name="stale_last_message",
            forgotten="The time of the last message is written after the commit, by whoever comes last.",
            operations=instead(OPERATIONS, send_message_and_touch_afterwards, *SENDING),
            dropped=("conversations.conversations_last_message_at_iff_any",),
            violates=("instainstru/last-message-at-is-newest",),
            race=("send_message", "send_message"),
            schedule="AAAAAAAB",
        ),
        Bug(
            name="undelivered_message",
            forgotten="A message is delivered after its commit; a client that dies in between leaves it undelivered.",
            operations=instead(OPERATIONS, send_message_and_deliver_afterwards, *SENDING),
            violates=("instainstru/message-delivered-once",),
        ),
    )
}
