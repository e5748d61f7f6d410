"""The rows that a race of inbox is played on: a small world of its own, in which every invariant holds.

- businesses_1 may send two messages an hour and member, and its member, whose session starts in another business, has sent
  one of them: where two calls send, only one may.
- conversations_1, on WhatsApp, has an unread question and a queued answer, messages_1, which two events can be about. An
  upload to it has not ended. conversations_2 and conversations_3, of the same customer, are empty.
- The business has an active subscription, and two open checkouts that could each begin another one.
"""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from uuid import uuid4

from integrity.operation import Value
from integrity.reference.inbox.operations import PRICE_MINOR
from integrity.systems.stage import Ref, Stage, StagedRow

Values = Mapping[str, Value | Ref]


def stage() -> Stage:
    """Return the world."""
    now = datetime.now(UTC)
    past = now - timedelta(minutes=1)
    answer_id = uuid4()
    business, conversation = Ref("business"), Ref("whatsapp")
    belongs: Values = {"business_id": business, "customer_id": Ref("customer"), "member_id": Ref("member")}
    in_conversation: Values = {"business_id": business, "conversation_id": conversation, "created_at": past}
    checkout: Values = {"business_id": business, "amount_minor": PRICE_MINOR, "created_at": past}
    return Stage(
        rows=[
            StagedRow("business", "inbox.businesses", {"name": f"race-{uuid4()}", "messages_per_hour": 2}),
            StagedRow("home", "inbox.businesses", {"name": f"race-{uuid4()}"}),
            StagedRow(
                "member",
                "inbox.members",
                {"business_id": business, "home_business_id": Ref("home"), "email": f"race-{uuid4()}"},
            ),
            StagedRow("customer", "inbox.customers", {"business_id": business, "name": f"race-{uuid4()}"}),
            StagedRow(
                "whatsapp",
                "inbox.conversations",
                {**belongs, "channel": "whatsapp", "last_message_at": past, "unread_count": 1},
            ),
            StagedRow("email", "inbox.conversations", {**belongs, "channel": "email"}),
            StagedRow("sms", "inbox.conversations", {**belongs, "channel": "sms"}),
            StagedRow(
                "window",
                "inbox.rate_windows",
                {
                    "business_id": business,
                    "member_id": Ref("member"),
                    "channel": "whatsapp",
                    "hour": f"{now:%Y-%m-%d %H}",
                    "admitted_count": 1,
                    "limit_count": 2,
                },
            ),
            StagedRow(
                "question",
                "inbox.messages",
                {
                    **in_conversation,
                    "direction": "inbound",
                    "status": "received",
                    "body": "Where is my order?",
                    "provider_message_id": f"race-{uuid4()}",
                    "operation_id": uuid4(),
                },
            ),
            StagedRow(
                "answer",
                "inbox.messages",
                {
                    **in_conversation,
                    "direction": "outbound",
                    "status": "queued",
                    "body": "Your order has left our warehouse this morning.",
                    "rate_window_id": Ref("window"),
                    "operation_id": answer_id,
                },
            ),
            StagedRow(
                "upload",
                "inbox.media",
                {
                    **in_conversation,
                    "message_id": Ref("question"),
                    "object_key": f"race-{uuid4()}",
                    "size_bytes": 1_000,
                    "content_hash": "0" * 64,
                    "status": "pending",
                    "operation_id": uuid4(),
                },
            ),
            StagedRow(
                "paid",
                "inbox.checkouts",
                {**checkout, "status": "paid", "settled_at": past, "operation_id": uuid4()},
            ),
            StagedRow(
                "subscription",
                "inbox.subscriptions",
                {"business_id": business, "checkout_id": Ref("paid"), "status": "active", "operation_id": uuid4()},
            ),
            StagedRow("first", "inbox.checkouts", {**checkout, "status": "open", "operation_id": uuid4()}),
            StagedRow("second", "inbox.checkouts", {**checkout, "status": "open", "operation_id": uuid4()}),
        ],
        keys={
            # Conversations first: what narrows most. What a bug gives to another business is still in its conversation.
            "conversations_1": conversation,
            "conversations_2": Ref("email"),
            "conversations_3": Ref("sms"),
            "whatsapp_1": conversation,
            "email_1": Ref("email"),
            "sms_1": Ref("sms"),
            "messages_1": Ref("answer"),
            "checkouts_1": Ref("first"),
            "checkouts_2": Ref("second"),
            "members_1": Ref("member"),
            "businesses_1": business,
            "sendings_1": f"whatsapp-{answer_id}",  # as the provider names what it sends under that key
            "events_1": f"race-{uuid4()}",
            "events_2": f"race-{uuid4()}",
            "arrivals_1": f"race-{uuid4()}",
            "arrivals_2": f"race-{uuid4()}",
        },
    )
