"""The parts that several operations of inbox, and their bugs, are made of: statements, and short runs of steps."""

import hashlib
from collections.abc import Generator
from dataclasses import dataclass
from functools import partial
from typing import Any
from uuid import UUID

from integrity.operation import (
    Begin,
    Commit,
    Declined,
    Ok,
    Request,
    Rollback,
    Row,
    Rows,
    Statement,
    Step,
    Steps,
    Value,
)
from integrity.systems.repeating import alone, keep_trying

SETTLED = {"payment_succeeded": "paid", "payment_failed": "failed", "session_expired": "expired"}
"""What the processor says -> the status of the checkout."""

RANKS = {"queued": 0, "sent": 1, "delivered": 2, "failed": 2}
"""How far a message has come. A status only ever gives way to a higher one."""


def admit(conversation_id: int) -> Statement:
    """Count one more message of the conversation's member in this hour; no row comes back when the limit is reached.

    The window is the member's on that channel: one who sends too much does not silence the others of the business.
    """
    return Statement(
        """
        insert into inbox.rate_windows (business_id, member_id, channel, hour, admitted_count, limit_count)
        select
            conversations.business_id,
            conversations.member_id,
            conversations.channel,
            to_char(current_timestamp, 'YYYY-MM-DD HH24'),
            1,
            businesses.messages_per_hour
        from inbox.conversations
        join inbox.businesses on businesses.id = conversations.business_id
        where conversations.id = :conversation_id
        on conflict (member_id, channel, hour) do update
        set admitted_count = rate_windows.admitted_count + 1
        where rate_windows.admitted_count < rate_windows.limit_count
        returning id, channel
        """,
        {"conversation_id": conversation_id},
    )


def touch(conversation_id: int) -> Statement:
    """Let the conversation's newest message be of now; return that moment. Who began first need not commit first."""
    return Statement(
        """
        update inbox.conversations set last_message_at = greatest(last_message_at, current_timestamp)
        where id = :conversation_id
        returning current_timestamp as touched_at
        """,
        {"conversation_id": conversation_id},
    )


def number(conversation_id: int) -> Statement:
    """Take the next number of the messages of a conversation's business, and with it the lock that is held to the commit.

    So messages become visible in the order of their numbers, and who listens to a business goes on after the last one seen.
    """
    return Statement(
        """
        update inbox.businesses set message_sequence = message_sequence + 1
        where id = (select conversations.business_id from inbox.conversations where conversations.id = :conversation_id)
        returning message_sequence
        """,
        {"conversation_id": conversation_id},
    )


def queue(conversation_id: int, window: Row, body: str, operation_id: UUID, *, now: Value, numbered: Rows) -> Statement:
    """Store an answer that is to be sent. It belongs to whom its conversation belongs to, whatever the session says.

    Args:
        window: the row of the rate window that admitted it.
        now: when the conversation was touched: SQLite's clock may have gone on since.
        numbered: what `number` gave.
    """
    return Statement(
        """
        insert into inbox.messages
            (business_id, conversation_id, direction, status, body, rate_window_id, sequence, operation_id, created_at)
        select
            conversations.business_id,
            conversations.id,
            'outbound',
            'queued',
            :body,
            :rate_window_id,
            :sequence,
            :operation_id,
            :now
        from inbox.conversations
        where conversations.id = :conversation_id
        returning id
        """,
        {
            "conversation_id": conversation_id,
            "rate_window_id": window["id"],
            "body": body,
            "sequence": numbered[0]["message_sequence"],
            "operation_id": operation_id,
            "now": now,
        },
    )


@dataclass(frozen=True, slots=True)
class Queued:
    """A message that waits to be sent, and what its provider must know."""

    message_id: int
    conversation_id: int
    channel: str


def hand_over(queued: Queued, *, key: str) -> Generator[Step, Any, str]:
    """Ask the provider to send a message, and write down what it says; return the status that this makes.

    Args:
        key: by which the provider knows the message again; it sends only once for a key.
    """
    answer: Row = yield send(queued, key=key)
    status = {"accepted": "sent", "rejected": "failed"}.get(answer["status"], "queued")
    if status == "queued":  # refused for now, or nobody knows
        return status
    write_down = Statement(
        """
        update inbox.messages set status = :status, provider_message_id = :provider_message_id
        where id = :message_id and status = 'queued'
        """,
        {"message_id": queued.message_id, "status": status, "provider_message_id": answer.get("provider_message_id")},
    )
    yield from keep_trying(partial(alone, write_down))
    return status


def select_queued(business_id: int, most: int) -> Statement:
    """Look for messages of a business that are still queued, oldest first."""
    return Statement(
        """
        select messages.id, messages.conversation_id, messages.operation_id, conversations.channel
        from inbox.messages
        join inbox.conversations on conversations.id = messages.conversation_id
        where messages.business_id = :business_id and messages.status = 'queued'
        order by messages.id
        limit :most
        """,
        {"business_id": business_id, "most": most},
    )


def send(queued: Queued, *, key: str) -> Request:
    """Ask the provider of the channel to send a message, and to pass on what is answered to it."""
    payload: dict[str, Value] = {
        "message_id": queued.message_id,
        "conversation_id": queued.conversation_id,
        "key": key,
    }
    return Request(queued.channel, payload)


def record_event(event_id: str, message_id: int, provider_message_id: str, kind: str, operation_id: UUID) -> Statement:
    """Keep a provider's event; no row comes back when it is known already, or its message is not."""
    return Statement(
        """
        insert into inbox.provider_events (event_id, message_id, provider_message_id, kind, operation_id)
        select :event_id, messages.id, :provider_message_id, :kind, :operation_id
        from inbox.messages
        where messages.id = :message_id and messages.direction = 'outbound'
        on conflict (event_id) do nothing
        returning id
        """,
        {
            "event_id": event_id,
            "message_id": message_id,
            "provider_message_id": provider_message_id,
            "kind": kind,
            "operation_id": operation_id,
        },
    )


def take_in(
    conversation_id: int, provider_message_id: str, body: str, operation_id: UUID, *, now: Value, numbered: Rows
) -> Statement:
    """Store what a customer wrote; no row comes back when it is stored already. For `now` and `numbered` see `queue`."""
    return Statement(
        """
        insert into inbox.messages
            (business_id, conversation_id, direction, status, body, provider_message_id, sequence, operation_id, created_at)
        select
            conversations.business_id,
            conversations.id,
            'inbound',
            'received',
            :body,
            :provider_message_id,
            :sequence,
            :operation_id,
            :now
        from inbox.conversations
        where conversations.id = :conversation_id
        on conflict (provider_message_id) where provider_message_id is not null do nothing
        returning id
        """,
        {
            "conversation_id": conversation_id,
            "body": body,
            "provider_message_id": provider_message_id,
            "sequence": numbered[0]["message_sequence"],
            "operation_id": operation_id,
            "now": now,
        },
    )


def settle(checkout_id: int, kind: str, operation_id: UUID) -> Steps:
    """Settle a checkout and begin the subscription that was paid, in one transaction."""
    yield Begin()
    checkout: Rows = yield close_checkout(checkout_id, SETTLED[kind])
    if not checkout:
        yield Rollback()
        return Declined("checkout_already_settled")
    if kind == "payment_succeeded":
        business_id = checkout[0]["business_id"]
        # Two checkouts of one business are paid at the same moment: the second waits here, and then sees the first's
        # subscription. Changed and not only locked, so that repeatable read notices it too.
        yield Statement(
            "update inbox.businesses set plan_revision = plan_revision + 1 where id = :business_id",
            {"business_id": business_id},
        )
        yield Statement(
            """
            update inbox.subscriptions set status = 'ended', ended_at = current_timestamp
            where business_id = :business_id and status = 'active'
            """,
            {"business_id": business_id},
        )
        yield begin_subscription(business_id, checkout_id, operation_id)
    yield Commit()
    return Ok({"checkout_id": checkout_id})


def close_checkout(checkout_id: int, status: str) -> Statement:
    """Settle a checkout if it is open; no row comes back when it is not."""
    return Statement(
        """
        update inbox.checkouts set status = :status, settled_at = current_timestamp
        where id = :checkout_id and status = 'open'
        returning business_id
        """,
        {"checkout_id": checkout_id, "status": status},
    )


def begin_subscription(business_id: int, checkout_id: int, operation_id: UUID) -> Statement:
    """Begin the subscription that a checkout paid for."""
    return Statement(
        """
        insert into inbox.subscriptions (business_id, checkout_id, status, operation_id)
        values (:business_id, :checkout_id, 'active', :operation_id)
        """,
        {"business_id": business_id, "checkout_id": checkout_id, "operation_id": operation_id},
    )


@dataclass(frozen=True, slots=True)
class File:
    """A file as the store gets it."""

    conversation_id: int
    object_key: str
    size_bytes: int
    content_hash: str


def make_file(conversation_id: int, size_bytes: int, operation_id: UUID) -> File:
    """Return the file that a call uploads: one of its own, the same in every attempt."""
    content_hash = hashlib.sha256(f"{operation_id} {size_bytes}".encode()).hexdigest()
    return File(conversation_id, f"conversations/{conversation_id}/{operation_id}", size_bytes, content_hash)


STORE_SILENT = "store_did_not_answer"


def put(file: File) -> Request:
    """Put a file into the store; putting it there again under the same key changes nothing."""
    payload: dict[str, Value] = {
        "action": "put",
        "object_key": file.object_key,
        "size_bytes": file.size_bytes,
        "content_hash": file.content_hash,
    }
    return Request("store", payload)


def attach(file: File, status: str, operation_id: UUID) -> Statement:
    """Attach a file to the newest message of its conversation; no row comes back when there is no message."""
    return Statement(
        """
        insert into inbox.media
            (business_id, conversation_id, message_id, object_key, size_bytes, content_hash, status, operation_id)
        select
            conversations.business_id, conversations.id, messages.id, :object_key, :size_bytes, :content_hash, :status,
            :operation_id
        from inbox.conversations
        join inbox.messages on messages.conversation_id = conversations.id
        where conversations.id = :conversation_id
        order by messages.id desc
        limit 1
        returning id
        """,
        {
            "conversation_id": file.conversation_id,
            "object_key": file.object_key,
            "size_bytes": file.size_bytes,
            "content_hash": file.content_hash,
            "status": status,
            "operation_id": operation_id,
        },
    )


def finish_upload(media_id: int, status: str) -> Generator[Step, Any, None]:
    """Say of a pending upload how it ended, unless somebody else has said so."""
    write_down = Statement(
        "update inbox.media set status = :status where id = :media_id and status = 'pending'",
        {"media_id": media_id, "status": status},
    )
    yield from keep_trying(partial(alone, write_down))
