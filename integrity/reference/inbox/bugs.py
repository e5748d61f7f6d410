"""Bugs of inbox: what a developer forgot, each beside the sound operation that it replaces, made of the same parts.

A schedule is the shortest text that plays it (race/program/schedule.py): "AB" lets A do its first read, then B all it
does, and A goes on with what it had read.
"""

from uuid import UUID

from integrity.operation import Begin, Commit, Declined, Ok, Rollback, Row, Rows, Statement, Steps, Unavailable
from integrity.reference.inbox.listening import OPEN_CHANGES, open_changes
from integrity.reference.inbox.operations import OPERATIONS, QUEUED_MOST
from integrity.reference.inbox.parts import (
    SETTLED,
    STORE_SILENT,
    Queued,
    admit,
    attach,
    begin_subscription,
    hand_over,
    make_file,
    number,
    put,
    queue,
    record_event,
    select_queued,
    send,
    take_in,
    touch,
)
from integrity.systems.system import Bug, instead


def resend_queued_as_new(*, operation_id: UUID, business_id: int) -> Steps:
    """Send what is still queued under a key of this attempt's own: the provider cannot know that it has sent it already."""
    rows: Rows = yield select_queued(business_id, QUEUED_MOST)
    for row in rows:
        queued = Queued(row["id"], row["conversation_id"], row["channel"])
        yield from hand_over(queued, key=f"{operation_id}-{queued.message_id}")
    return Ok()


def receive_provider_event_as_it_comes(
    *, operation_id: UUID, event_id: str, message_id: int, provider_message_id: str, kind: str
) -> Steps:
    """Write the event's kind over the status: one that was held back on its way takes the message back."""
    yield Begin()
    yield Statement(
        """
        update inbox.messages
        set status = :kind, provider_message_id = :provider_message_id
        where
            id = :message_id
            and direction = 'outbound'
            and coalesce(provider_message_id, :provider_message_id) = :provider_message_id
        """,
        {"message_id": message_id, "provider_message_id": provider_message_id, "kind": kind},
    )
    event: Rows = yield record_event(event_id, message_id, provider_message_id, kind, operation_id)
    if not event:
        yield Rollback()
        return Declined("already_applied_or_unknown")
    yield Commit()
    return Ok({"is_changed": True})


def send_message_for_the_session(*, operation_id: UUID, conversation_id: int, body: str) -> Steps:
    """Take the message's business from the member's session: of people of an agency it may be another one."""
    yield Begin()
    window: Rows = yield admit(conversation_id)
    if not window:
        yield Rollback()
        return Declined("rate_limited")
    touched: Rows = yield touch(conversation_id)
    numbered: Rows = yield Statement(
        """
        update inbox.businesses set message_sequence = message_sequence + 1
        where id = (
            select members.home_business_id from inbox.members
            join inbox.conversations on conversations.member_id = members.id
            where conversations.id = :conversation_id
        )
        returning message_sequence
        """,
        {"conversation_id": conversation_id},
    )
    message: Rows = yield Statement(
        """
        insert into inbox.messages
            (business_id, conversation_id, direction, status, body, rate_window_id, sequence, operation_id, created_at)
        select
            members.home_business_id,
            conversations.id,
            'outbound',
            'queued',
            :body,
            :rate_window_id,
            :sequence,
            :operation_id,
            :now
        from inbox.conversations
        join inbox.members on members.id = conversations.member_id
        where conversations.id = :conversation_id
        returning id
        """,
        {
            "conversation_id": conversation_id,
            "rate_window_id": window[0]["id"],
            "body": body,
            "sequence": numbered[0]["message_sequence"],
            "operation_id": operation_id,
            "now": touched[0]["touched_at"],
        },
    )
    yield Commit()
    queued = Queued(message[0]["id"], conversation_id, window[0]["channel"])
    status = yield from hand_over(queued, key=str(operation_id))
    return Ok({"message_id": queued.message_id, "status": status})


def send_message_with_lost_count(*, operation_id: UUID, conversation_id: int, body: str) -> Steps:
    """Read the window's count, add one in the application and write it back: of two at once, one is not counted."""
    yield Begin()
    window: Rows = yield Statement(
        """
        select rate_windows.id, rate_windows.channel, rate_windows.admitted_count, rate_windows.limit_count
        from inbox.conversations
        join inbox.rate_windows
            on rate_windows.member_id = conversations.member_id and rate_windows.channel = conversations.channel
        where conversations.id = :conversation_id and rate_windows.hour = to_char(current_timestamp, 'YYYY-MM-DD HH24')
        """,
        {"conversation_id": conversation_id},
    )
    if not window:
        window = yield admit(conversation_id)
    elif window[0]["admitted_count"] >= window[0]["limit_count"]:
        yield Rollback()
        return Declined("rate_limited")
    else:
        yield Statement(
            "update inbox.rate_windows set admitted_count = :admitted_count where id = :rate_window_id",
            {"rate_window_id": window[0]["id"], "admitted_count": window[0]["admitted_count"] + 1},
        )
    touched: Rows = yield touch(conversation_id)
    numbered: Rows = yield number(conversation_id)
    now = touched[0]["touched_at"]
    message: Rows = yield queue(conversation_id, window[0], body, operation_id, now=now, numbered=numbered)
    yield Commit()
    queued = Queued(message[0]["id"], conversation_id, window[0]["channel"])
    status = yield from hand_over(queued, key=str(operation_id))
    return Ok({"message_id": queued.message_id, "status": status})


def send_message_before_commit(*, operation_id: UUID, conversation_id: int, body: str) -> Steps:
    """Ask the provider inside the transaction: who dies before its commit has sent a message that nothing knows of."""
    yield Begin()
    window: Rows = yield admit(conversation_id)
    if not window:
        yield Rollback()
        return Declined("rate_limited")
    touched: Rows = yield touch(conversation_id)
    numbered: Rows = yield number(conversation_id)
    now = touched[0]["touched_at"]
    message: Rows = yield queue(conversation_id, window[0], body, operation_id, now=now, numbered=numbered)
    queued = Queued(message[0]["id"], conversation_id, window[0]["channel"])
    answer: Row = yield send(queued, key=str(operation_id))
    status = {"accepted": "sent", "rejected": "failed"}.get(answer["status"], "queued")
    yield Statement(
        "update inbox.messages set status = :status, provider_message_id = :provider_message_id where id = :message_id",
        {
            "message_id": queued.message_id,
            "status": status,
            "provider_message_id": answer.get("provider_message_id"),
        },
    )
    yield Commit()
    return Ok({"message_id": queued.message_id, "status": status})


def receive_message_counted_afterwards(
    *, operation_id: UUID, conversation_id: int, provider_message_id: str, body: str
) -> Steps:
    """Store the message and commit, then count it as unread: who dies between is not saved by a retry."""
    yield Begin()
    touched: Rows = yield touch(conversation_id)
    now = touched[0]["touched_at"]
    numbered: Rows = yield number(conversation_id)
    message: Rows = yield take_in(conversation_id, provider_message_id, body, operation_id, now=now, numbered=numbered)
    if not message:
        yield Rollback()
        return Declined("message_already_received")
    yield Commit()
    yield Statement(
        "update inbox.conversations set unread_count = unread_count + 1 where id = :conversation_id",
        {"conversation_id": conversation_id},
    )
    return Ok({"message_id": message[0]["id"]})


def receive_checkout_webhook_looked_up(*, operation_id: UUID, checkout_id: int, kind: str) -> Steps:
    """Look the active subscription up, then begin one: two deliveries at once both find none of this checkout."""
    yield Begin()
    subscription: Rows = yield Statement(
        """
        select subscriptions.id, subscriptions.checkout_id
        from inbox.subscriptions
        join inbox.checkouts on checkouts.business_id = subscriptions.business_id
        where checkouts.id = :checkout_id and subscriptions.status = 'active'
        order by subscriptions.id desc
        limit 1
        """,
        {"checkout_id": checkout_id},
    )
    if subscription and subscription[0]["checkout_id"] == checkout_id:
        yield Rollback()
        return Declined("checkout_already_settled")
    checkout: Rows = yield Statement(
        """
        update inbox.checkouts set status = :status, settled_at = current_timestamp
        where id = :checkout_id
        returning business_id
        """,
        {"checkout_id": checkout_id, "status": SETTLED[kind]},
    )
    if kind == "payment_succeeded":
        if subscription:
            yield Statement(
                "update inbox.subscriptions set status = 'ended', ended_at = current_timestamp where id = :subscription_id",
                {"subscription_id": subscription[0]["id"]},
            )
        yield begin_subscription(checkout[0]["business_id"], checkout_id, operation_id)
    yield Commit()
    return Ok({"checkout_id": checkout_id})


def upload_media_before_its_row(*, operation_id: UUID, conversation_id: int, size_bytes: int) -> Steps:
    """Store the object, then its row: who dies in between, or is refused the row, leaves an object that nobody finds."""
    file = make_file(conversation_id, size_bytes, operation_id)
    answer: Row = yield put(file)
    if answer["status"] != "stored":
        return Unavailable(STORE_SILENT)
    yield Begin()
    media: Rows = yield attach(file, "stored", operation_id)
    if not media:
        yield Rollback()
        return Declined("no_message")
    yield Commit()
    return Ok({"media_id": media[0]["id"], "is_stored": True, "object_key": file.object_key})


def open_changes_after_the_newest(*, operation_id: UUID, business_id: int, last_sequence: int | None) -> Steps:
    """Go on after the newest message, also for a dashboard that comes back: what was told meanwhile it never sees."""
    return (yield from open_changes(operation_id=operation_id, business_id=business_id, last_sequence=None))


SENDS = ("send_whatsapp", "send_email", "send_sms")


BUGS: dict[str, Bug] = {
    bug.name: bug
    for bug in (
        Bug(
            name="double_send",
            forgotten="A retry after an unknown outcome sends under a key of its own, so that the provider sends again.",
            operations=instead(OPERATIONS, resend_queued_as_new, "resend_queued"),
            violates=("inbox/message-accepted-once", "inbox/message-sent-once"),
            race=("resend_queued", "resend_queued"),
            schedule="AB",
        ),
        Bug(
            name="status_regression",
            forgotten="A provider's events are applied in the order in which they arrive.",
            operations=instead(OPERATIONS, receive_provider_event_as_it_comes, "receive_provider_event"),
            violates=("inbox/status-not-behind-events",),
        ),
        Bug(
            name="cross_tenant",
            forgotten="The message's business is the one of the session, not the conversation's; no key over both is left.",
            operations=instead(OPERATIONS, send_message_for_the_session, *SENDS),
            dropped=("messages.messages_conversation_fkey",),
            violates=("inbox/message-in-its-business",),
            may_violate=("inbox/told-in-its-business",),  # where a dashboard of the other business listens
        ),
        Bug(
            name="two_subscriptions",
            forgotten="The webhook looks the active subscription up and then begins one; no unique index stops a second.",
            operations=instead(OPERATIONS, receive_checkout_webhook_looked_up, "receive_checkout_webhook"),
            dropped=("subscriptions.subscriptions_one_active", "subscriptions.subscriptions_checkout_id_key"),
            violates=("inbox/subscription-active-once", "inbox/subscription-once-per-checkout"),
            race=("receive_checkout_webhook", "receive_checkout_webhook"),
            schedule="AB",
        ),
        Bug(
            name="orphaned_media",
            forgotten="The object is stored first, and its row in a second step that can fail.",
            operations=instead(OPERATIONS, upload_media_before_its_row, "upload_media"),
            violates=("inbox/object-has-media",),
        ),
        Bug(
            name="lost_count",
            forgotten="The rate window's count is read, increased in the application and written back.",
            operations=instead(OPERATIONS, send_message_with_lost_count, *SENDS),
            violates=("inbox/rate-window-counts-messages",),
            race=("send_whatsapp", "send_whatsapp"),
            schedule="AB",
        ),
        Bug(
            name="uncounted_message",
            forgotten="A message that comes in is stored in one transaction and counted as unread in the next.",
            operations=instead(OPERATIONS, receive_message_counted_afterwards, "receive_message"),
            violates=("inbox/unread-count-equals-messages",),
        ),
        Bug(
            name="missed_on_reconnect",
            forgotten="A dashboard that comes back goes on after the newest message, not after the last one seen.",
            operations=instead(OPERATIONS, open_changes_after_the_newest, OPEN_CHANGES.name),
            violates=("inbox/dashboard-misses-nothing",),
        ),
        Bug(
            name="sent_before_commit",
            forgotten="The provider is asked inside the transaction that stores the message, before it commits.",
            operations=instead(OPERATIONS, send_message_before_commit, *SENDS),
            violates=("inbox/accepted-message-is-stored",),
            # An event that comes while the message commits finds no message to change, and then one to be kept for.
            may_violate=("inbox/status-not-behind-events",),
        ),
    )
}
