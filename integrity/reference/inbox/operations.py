"""What businesses do with their customers' messages: answer, read, search, attach files, and pay for the service itself.

Three outside parties are asked: a provider for each channel, a checkout processor and an object store. Each is called
outside of transactions, so that nobody holds a lock while another company thinks, and always in the same three steps:

1. write down what is about to be done, and commit;
2. ask, under a key that was written down, so that asking again is not doing again;
3. write down what came of it, with one conditional statement that changes nothing where somebody else was faster.

Whoever dies in between leaves a row that tells (queued, open, pending), and a settling operation does the steps that are
missing: resend_queued, settle_checkout, settle_uploads. They need no minimum age and no claim to be right, as it does not
matter who asks, nor how often.

Sound under concurrency at read committed: an operation locks the row that it decides by before it looks at what hangs on
it. Locks are taken in one order: rate window, conversation, business, message; checkout, business, subscription. What a bug
forgets stands in bugs.py, beside the same story.
"""

from functools import partial
from uuid import UUID

from integrity.domain import IntegerIn, KeyOf, OneOf
from integrity.operation import (
    Begin,
    Commit,
    Declined,
    Ok,
    Operation,
    Push,
    Request,
    Rollback,
    Row,
    Rows,
    Statement,
    Steps,
    Unavailable,
)
from integrity.reference.inbox.listening import OPEN_CHANGES
from integrity.reference.inbox.parts import (
    RANKS,
    SETTLED,
    STORE_SILENT,
    Queued,
    admit,
    attach,
    finish_upload,
    hand_over,
    make_file,
    number,
    put,
    queue,
    record_event,
    select_queued,
    settle,
    take_in,
    touch,
)
from integrity.reference.patterns import as_it_stands
from integrity.systems.repeating import alone, keep_trying

PROCESSOR_SILENT = "processor_did_not_answer"

PRICE_MINOR = 4_900
"""Of a month's subscription."""

QUEUED_MOST = 10
PENDING_MOST = 10
"""How many a settling operation takes on in one call, oldest first."""

# Reading: one statement each, so that what is shown belongs together.


def load_dashboard(*, operation_id: UUID, business_id: int) -> Steps:
    """The 50 conversations of a business with the newest messages."""
    conversations: Rows = yield Statement(
        """
        select conversations.id, conversations.channel, conversations.last_message_at, conversations.unread_count,
            customers.name
        from inbox.conversations
        join inbox.customers on customers.id = conversations.customer_id
        where conversations.business_id = :business_id
        order by conversations.last_message_at desc, conversations.id desc
        limit 50
        """,
        {"business_id": business_id},
    )
    yield Push(conversations)
    unread_count = sum(conversation["unread_count"] for conversation in conversations)
    return Ok({"conversation_count": len(conversations), "unread_count": unread_count})


def load_messages(*, operation_id: UUID, conversation_id: int) -> Steps:
    """The 50 newest messages of a conversation."""
    messages: Rows = yield Statement(
        """
        select
            messages.id, messages.conversation_id, messages.direction, messages.status, messages.body, messages.created_at
        from inbox.messages
        where messages.conversation_id = :conversation_id
        order by messages.id desc
        limit 50
        """,
        {"conversation_id": conversation_id},
    )
    yield Push(messages)
    return Ok({"message_count": len(messages), "newest_message_id": messages[0]["id"] if messages else None})


def search_messages(*, operation_id: UUID, business_id: int, term: str) -> Steps:
    """The 50 newest messages of a business with that text in them, in capitals or not."""
    messages: Rows = yield Statement(
        """
        select messages.id, messages.conversation_id, messages.body, messages.created_at
        from inbox.messages
        where messages.business_id = :business_id and messages.body ilike '%' || :term || '%'
        order by messages.created_at desc, messages.id desc
        limit 50
        """,
        {"business_id": business_id, "term": as_it_stands(term)},
    )
    yield Push(messages)
    return Ok({"message_count": len(messages)})


def count_conversations(*, operation_id: UUID, business_id: int) -> Steps:
    """How many conversations a business has."""
    counted: Rows = yield Statement(
        "select count(*) as count from inbox.conversations where business_id = :business_id", {"business_id": business_id}
    )
    yield Push(counted)
    return Ok({"count": counted[0]["count"]})


def mark_read(*, operation_id: UUID, conversation_id: int) -> Steps:
    """A member has seen what is there: whatever comes later is unread again.

    The conversation is locked by a statement of its own: the one that looks for the newest message must begin after
    everybody who held the lock before has committed, or it would not see theirs.
    """
    yield Begin()
    conversation: Rows = yield Statement(
        "select unread_count from inbox.conversations where id = :conversation_id for update",
        {"conversation_id": conversation_id},
    )
    if not conversation or not conversation[0]["unread_count"]:
        yield Rollback()
        return Declined("nothing_unread")
    yield Statement(
        """
        update inbox.conversations
        set
            unread_count = 0,
            last_read_message_id = (
                select coalesce(max(messages.id), 0) from inbox.messages
                where messages.conversation_id = :conversation_id
            )
        where id = :conversation_id
        """,
        {"conversation_id": conversation_id},
    )
    yield Commit()
    return Ok({"read_count": conversation[0]["unread_count"]})


# Messages: out through the providers, their events, and in.


def send_message(*, operation_id: UUID, conversation_id: int, body: str) -> Steps:
    """The member who looks after a conversation answers in it, on its channel.

    Ok means that the provider has it, or has rejected it: its status says which. If the provider does not answer, the
    message is queued all the same, and `resend_queued` sends it.
    """
    yield Begin()
    window: Rows = yield admit(conversation_id)
    if not window:
        yield Rollback()
        return Declined("rate_limited")
    touched: Rows = yield touch(conversation_id)
    numbered: Rows = yield number(conversation_id)
    now = touched[0]["touched_at"]
    message: Rows = yield queue(conversation_id, window[0], body, operation_id, now=now, numbered=numbered)
    yield Commit()
    queued = Queued(message[0]["id"], conversation_id, window[0]["channel"])
    status = yield from hand_over(queued, key=str(operation_id))
    if status == "queued":
        return Unavailable("provider_did_not_answer")
    return Ok({"message_id": queued.message_id, "status": status})


def resend_queued(*, operation_id: UUID, business_id: int) -> Steps:
    """Send what is still queued: the sender died, or the provider refused, or its answer was lost.

    It may have accepted the message all the same. So it is asked under the message's own key, and answers as it did then.
    """
    rows: Rows = yield select_queued(business_id, QUEUED_MOST)
    for row in rows:
        queued = Queued(row["id"], row["conversation_id"], row["channel"])
        yield from hand_over(queued, key=str(row["operation_id"]))
    return Ok()


def receive_provider_event(
    *, operation_id: UUID, event_id: str, message_id: int, provider_message_id: str, kind: str
) -> Steps:
    """A provider says how far a message has come: perhaps twice, perhaps late, perhaps before it answered the sender.

    Every event is kept, once. The status follows it only forwards, and only if it is about what we know as sent.
    """
    yield Begin()
    # The message before the event: inserting an event locks its message weakly, and two who did would wait for each other.
    changed: Rows = yield Statement(
        """
        update inbox.messages
        set status = :kind, provider_message_id = :provider_message_id
        where
            id = :message_id
            and direction = 'outbound'
            and coalesce(provider_message_id, :provider_message_id) = :provider_message_id
            and case status when 'queued' then 0 when 'sent' then 1 else 2 end < :rank
        returning id
        """,
        {"message_id": message_id, "provider_message_id": provider_message_id, "kind": kind, "rank": RANKS[kind]},
    )
    event: Rows = yield record_event(event_id, message_id, provider_message_id, kind, operation_id)
    if not event:
        yield Rollback()
        return Declined("already_applied_or_unknown")
    yield Commit()
    return Ok({"is_changed": bool(changed)})


def receive_message(*, operation_id: UUID, conversation_id: int, provider_message_id: str, body: str) -> Steps:
    """A customer writes; the provider tells us until we answer, and again."""
    yield Begin()
    touched: Rows = yield Statement(
        """
        update inbox.conversations
        set last_message_at = greatest(last_message_at, current_timestamp), unread_count = unread_count + 1
        where id = :conversation_id
        returning current_timestamp as touched_at
        """,
        {"conversation_id": conversation_id},
    )
    if not touched:
        yield Rollback()
        return Declined("unknown_conversation")
    # Under the conversation's lock, so that ids within it rise in the order of commits, which last_read_message_id needs.
    now = touched[0]["touched_at"]
    numbered: Rows = yield number(conversation_id)
    message: Rows = yield take_in(conversation_id, provider_message_id, body, operation_id, now=now, numbered=numbered)
    if not message:
        yield Rollback()
        return Declined("message_already_received")
    yield Commit()
    return Ok({"message_id": message[0]["id"]})


# Checkouts: a business pays for the service, or changes its plan.


def create_checkout(*, operation_id: UUID, business_id: int) -> Steps:
    """Open a checkout and the processor's page for it; the processor's webhook says how it ends."""
    checkout: Rows = yield Statement(
        """
        insert into inbox.checkouts (business_id, amount_minor, status, operation_id)
        values (:business_id, :amount_minor, 'open', :operation_id)
        returning id
        """,
        {"business_id": business_id, "amount_minor": PRICE_MINOR, "operation_id": operation_id},
    )
    checkout_id = checkout[0]["id"]
    answer: Row = yield Request("processor", {"action": "create", "checkout_id": checkout_id, "amount_minor": PRICE_MINOR})
    if answer["status"] == "expired":  # settle_checkout was faster
        return Ok({"checkout_id": checkout_id, "session_reference": None})
    if answer["status"] != "accepted":
        # The checkout stays open: the page may be there, and settle_checkout will ask.
        return Unavailable(PROCESSOR_SILENT)
    session_reference = answer["session_reference"]
    put_down = Statement(
        "update inbox.checkouts set session_reference = :session_reference where id = :checkout_id",
        {"checkout_id": checkout_id, "session_reference": session_reference},
    )
    yield from keep_trying(partial(alone, put_down))
    return Ok({"checkout_id": checkout_id, "session_reference": session_reference})


def check_subscription(*, operation_id: UUID, business_id: int) -> Steps:
    """Say whether a business has paid for the service, and by which checkout."""
    subscription: Rows = yield Statement(
        """
        select subscriptions.checkout_id from inbox.subscriptions
        where subscriptions.business_id = :business_id and subscriptions.status = 'active'
        """,
        {"business_id": business_id},
    )
    return Ok({"is_active": bool(subscription), "checkout_id": subscription[0]["checkout_id"] if subscription else None})


def receive_checkout_webhook(*, operation_id: UUID, checkout_id: int, kind: str) -> Steps:
    """The processor says how a checkout ended, perhaps more than once. The first word counts."""
    return (yield from settle(checkout_id, kind, operation_id))


def settle_checkout(*, operation_id: UUID, business_id: int) -> Steps:
    """Ask the processor how the oldest open checkout of a business ended: its webhook is late, or was never to come.

    What the processor does not know of it expires there, for ever: a request that is still on its way comes too late.
    """
    while True:
        checkout: Rows = yield Statement(
            """
            select checkouts.id from inbox.checkouts
            where checkouts.business_id = :business_id and checkouts.status = 'open'
            order by checkouts.id
            limit 1
            """,
            {"business_id": business_id},
        )
        if not checkout:
            return Declined("nothing_open")
        checkout_id = checkout[0]["id"]
        answer: Row = yield Request("processor", {"action": "settle", "checkout_id": checkout_id})
        if answer["status"] not in SETTLED:
            return Unavailable(PROCESSOR_SILENT)
        reply = yield from keep_trying(partial(settle, checkout_id, answer["status"], operation_id))
        if isinstance(reply, Ok):
            return reply
        # A webhook was faster. This call has done nothing yet: look again.


# Media: files of a conversation, kept in an object store.


def upload_media(*, operation_id: UUID, conversation_id: int, size_bytes: int) -> Steps:
    """Attach a file to the newest message of a conversation: its row first, then the object, so that none is without."""
    file = make_file(conversation_id, size_bytes, operation_id)
    media: Rows = yield attach(file, "pending", operation_id)
    if not media:
        return Declined("no_message")
    media_id = media[0]["id"]
    answer: Row = yield put(file)
    if answer["status"] == "revoked":
        return Declined("upload_took_too_long")
    if answer["status"] != "stored":
        return Unavailable(STORE_SILENT)  # it may be there: settle_uploads will ask
    yield from finish_upload(media_id, "stored")
    return Ok({"media_id": media_id, "is_stored": True, "object_key": file.object_key})


def settle_uploads(*, operation_id: UUID, business_id: int) -> Steps:
    """Finish the uploads of a business whose end nobody wrote down.

    The store says whether the object is there; if not, the permission to put it there is gone from that moment on. Without
    that, an upload still on its way would leave an object behind a row that says it was abandoned.
    """
    pending: Rows = yield Statement(
        """
        select media.id, media.object_key from inbox.media
        where media.business_id = :business_id and media.status = 'pending'
        order by media.id
        limit :pending_most
        """,
        {"business_id": business_id, "pending_most": PENDING_MOST},
    )
    for media in pending:
        answer: Row = yield Request("store", {"action": "settle", "object_key": media["object_key"]})
        if answer["status"] in ("stored", "revoked"):
            yield from finish_upload(media["id"], "stored" if answer["status"] == "stored" else "abandoned")
    return Ok()


BODIES = OneOf(
    (
        "Thank you for your message, we are looking into it.",
        "Your order has left our warehouse this morning.",
        "The invoice is attached.",
        "Your refund is on its way and takes three days.",
        "Would Tuesday at ten suit you?",
    )
)
TERMS = OneOf(("invoice", "refund", "order", "tuesday", "warehouse"))

OPERATIONS = {
    operation.name: operation
    for operation in (
        Operation("load_dashboard", load_dashboard, {"business_id": KeyOf("businesses")}),
        Operation("count_conversations", count_conversations, {"business_id": KeyOf("businesses")}),
        Operation("load_messages", load_messages, {"conversation_id": KeyOf("conversations")}),
        Operation("search_messages", search_messages, {"business_id": KeyOf("businesses"), "term": TERMS}),
        Operation("mark_read", mark_read, {"conversation_id": KeyOf("conversations")}),
        # One story, and three names: each channel has its own rate, its own provider and its own limit on latency.
        Operation(
            "send_whatsapp", send_message, {"conversation_id": KeyOf("whatsapp"), "body": BODIES}, group="fn:whatsapp-send"
        ),
        Operation(
            "send_email", send_message, {"conversation_id": KeyOf("email"), "body": BODIES}, group="fn:email-send-smtp"
        ),
        Operation("send_sms", send_message, {"conversation_id": KeyOf("sms"), "body": BODIES}, group="fn:sms-send"),
        Operation("resend_queued", resend_queued, {"business_id": KeyOf("businesses")}),
        Operation(
            "receive_provider_event",
            receive_provider_event,
            {
                "event_id": KeyOf("events"),
                "message_id": KeyOf("messages"),
                "provider_message_id": KeyOf("sendings"),
                "kind": OneOf(("sent", "delivered", "failed")),
            },
        ),
        Operation(
            "receive_message",
            receive_message,
            {"conversation_id": KeyOf("conversations"), "provider_message_id": KeyOf("arrivals"), "body": BODIES},
        ),
        Operation("create_checkout", create_checkout, {"business_id": KeyOf("businesses")}, group="fn:create-checkout"),
        Operation(
            "check_subscription", check_subscription, {"business_id": KeyOf("businesses")}, group="fn:check-subscription"
        ),
        Operation(
            "receive_checkout_webhook",
            receive_checkout_webhook,
            {"checkout_id": KeyOf("checkouts"), "kind": OneOf(tuple(SETTLED))},
        ),
        Operation("settle_checkout", settle_checkout, {"business_id": KeyOf("businesses")}),
        Operation(
            "upload_media",
            upload_media,
            {"conversation_id": KeyOf("conversations"), "size_bytes": IntegerIn(100_000, 1_000_000, 1_000)},
        ),
        Operation("settle_uploads", settle_uploads, {"business_id": KeyOf("businesses")}),
        OPEN_CHANGES,
    )
}
