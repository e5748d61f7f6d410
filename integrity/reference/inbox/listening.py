"""What a business's dashboards are told as it happens: its messages, one after the other, and missed ones first.

A message is told once, as it comes in or is queued, together with its conversation as that stands then; over HTTP a
dashboard listens to both tables, as a Supabase has it. What becomes of the message (sent, delivered) is not told. Numbers
are given under the lock of the business, so that they become visible in their order: a cursor loses nothing.
"""

from uuid import UUID

from integrity.domain import IntegerIn, KeyOf
from integrity.operation import Declined, Ok, Operation, Push, Rows, Statement, Steps
from integrity.systems.system import Subscription

MESSAGES_AT_ONCE = 500


def open_changes(*, operation_id: UUID, business_id: int, last_sequence: int | None) -> Steps:
    """A dashboard listens: from now on, or from the last message that was seen before the connection broke."""
    business: Rows = yield Statement(
        "select message_sequence from inbox.businesses where id = :business_id", {"business_id": business_id}
    )
    if not business:
        return Declined("unknown_business")
    if last_sequence is None:
        return Ok({"last_sequence": business[0]["message_sequence"]})
    if not 0 <= last_sequence <= business[0]["message_sequence"]:
        return Declined("unknown_last_sequence")
    return (yield from follow_changes(operation_id=operation_id, business_id=business_id, last_sequence=last_sequence))


def follow_changes(*, operation_id: UUID, business_id: int, last_sequence: int) -> Steps:
    """The stream goes on."""
    messages: Rows = yield Statement(
        f"""
        select
            messages.business_id as stream,
            messages.sequence,
            messages.id          as event_id,
            messages.created_at  as sent_at,
            messages.conversation_id,
            messages.direction,
            messages.status,
            messages.body,
            conversations.channel,
            conversations.last_message_at,
            conversations.unread_count
        from inbox.messages
        join inbox.conversations on conversations.id = messages.conversation_id
        where messages.business_id = :business_id and messages.sequence > :last_sequence
        order by messages.sequence
        limit {MESSAGES_AT_ONCE}
        """,
        {"business_id": business_id, "last_sequence": last_sequence},
    )
    if messages:
        yield Push(messages)
    return Ok({"last_sequence": messages[-1]["sequence"] if messages else last_sequence})


OPEN_CHANGES = Operation(
    "open_changes",
    open_changes,
    # Of a call by itself: a dashboard has a cursor of its own.
    {"business_id": KeyOf("businesses"), "last_sequence": IntegerIn(0, 1)},
)

SUBSCRIPTIONS = {
    OPEN_CHANGES.name: Subscription(
        operation=OPEN_CHANGES.name, follow=Operation("follow_changes", follow_changes, OPEN_CHANGES.arguments)
    )
}
