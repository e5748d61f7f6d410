"""The outside services of inbox: a provider for each channel, a checkout processor, an object store.

Each remembers what it was asked under which key, and answers the same when it is asked again, as services that can be
relied on do. That is why asking again after a lost answer is safe, and why it has to be under the same key.
"""

from collections.abc import Mapping
from dataclasses import replace
from functools import partial

from integrity.operation import Value
from integrity.systems.service import Context, Delivery, Reaction, Service, Trouble

REPLIES_SHARE = {"whatsapp": 0.3, "email": 0.1, "sms": 0.1}
"""Delivered messages that the customer answers."""

REJECTED_SHARE = 0.3
"""Of the messages that fail, those that the provider rejects at once, e.g. for a number that there cannot be."""

REPORTS_SENDING = {"whatsapp": True, "email": False, "sms": True}
"""Mail servers say when a message was delivered or came back, not that it has left."""


def provider(channel: str, payload: Mapping[str, Value], context: Context) -> Reaction:
    """Send a message, once for a key; say by events how far it has come, and pass on what the customer answers."""
    trouble = context.trouble()
    if trouble not in (None, Trouble.DONE):
        return context.react({}, trouble=trouble)
    key = str(payload["key"])
    known: Mapping[str, Value] | None = context.memory.get(key)
    if known is not None:
        return context.react(known, trouble=trouble)
    is_failing = context.is_failure()
    if is_failing and context.random.random() < REJECTED_SHARE:
        answer: dict[str, Value] = {"status": "rejected", "message_id": payload["message_id"]}
        deliveries: list[Delivery] = []
    else:
        provider_message_id = f"{channel}-{key}"
        answer = {
            "status": "accepted",
            "message_id": payload["message_id"],
            "provider_message_id": provider_message_id,
        }
        deliveries = _events(channel, payload, provider_message_id, "failed" if is_failing else "delivered", context)
    context.memory[key] = answer
    return context.react(answer, deliveries, trouble=trouble)


def processor(payload: Mapping[str, Value], context: Context) -> Reaction:
    """Open a page for a checkout, or say how a checkout ended; one that is not known has expired from then on."""
    trouble = context.trouble()
    if trouble not in (None, Trouble.DONE):
        return context.react({}, trouble=trouble)
    checkout_id = payload["checkout_id"]
    key = f"checkout-{checkout_id}"
    if payload["action"] == "settle":
        return context.react({"status": context.memory.setdefault(key, "session_expired")}, trouble=trouble)
    is_new = key not in context.memory
    if is_new:
        context.memory[key] = "payment_failed" if context.is_failure() else "payment_succeeded"
    if context.memory[key] == "session_expired":
        return context.react({"status": "expired"}, trouble=trouble)
    arguments: dict[str, Value] = {"checkout_id": checkout_id, "kind": context.memory[key]}
    answer: dict[str, Value] = {
        "status": "accepted",
        "checkout_id": checkout_id,
        "session_reference": f"session-{checkout_id}",
    }
    webhooks = context.webhooks("receive_checkout_webhook", arguments) if is_new else []
    return context.react(answer, webhooks, trouble=trouble)


def store(payload: Mapping[str, Value], context: Context) -> Reaction:
    """Put an object under a key, or settle a key: either its object is there, or none can be put there any more."""
    trouble = context.trouble()
    if trouble not in (None, Trouble.DONE):
        return context.react({}, trouble=trouble)
    key = str(payload["object_key"])
    status = context.memory.setdefault(key, "stored" if payload["action"] == "put" else "revoked")
    return context.react({"status": status}, trouble=trouble)


def _events(
    channel: str, payload: Mapping[str, Value], provider_message_id: str, end: str, context: Context
) -> list[Delivery]:
    """Return what the provider tells of a message: that it was sent, then how it ended, then perhaps an answer to it.

    In this order, unless one of them is held back.
    """
    deliveries: list[Delivery] = []
    for place, kind in enumerate(("sent", end) if REPORTS_SENDING[channel] else (end,)):
        arguments: dict[str, Value] = {
            "event_id": f"{provider_message_id}-{kind}",
            "message_id": payload["message_id"],
            "provider_message_id": provider_message_id,
            "kind": kind,
        }
        later_s = place * context.settings.delay_most_s
        webhooks = context.webhooks("receive_provider_event", arguments)
        deliveries += [replace(webhook, delay_s=webhook.delay_s + later_s) for webhook in webhooks]
    if end == "delivered" and context.random.random() < REPLIES_SHARE[channel]:
        answer: dict[str, Value] = {
            "conversation_id": payload["conversation_id"],
            "provider_message_id": f"{provider_message_id}-answer",
            "body": "Thank you, that helps.",
        }
        later_s = 2 * context.settings.delay_most_s
        webhooks = context.webhooks("receive_message", answer)
        deliveries += [replace(webhook, delay_s=webhook.delay_s + later_s) for webhook in webhooks]
    return deliveries


SERVICES: dict[str, Service] = {
    "whatsapp": partial(provider, "whatsapp"),
    "email": partial(provider, "email"),
    "sms": partial(provider, "sms"),
    "processor": processor,
    "store": store,
}
