"""The outside service of ghostpass: a card processor that answers at once and settles by webhook."""

from collections.abc import Mapping

from integrity.operation import Value
from integrity.systems.service import Context, Reaction


def processor(payload: Mapping[str, Value], context: Context) -> Reaction:
    """Accept a payment; say by webhook how it ended, sometimes twice: at once, or late as a retry whose answer was lost.

    Where only its answer is lost, the guest has paid all the same, and the webhook tells.
    """
    funding_id = payload["funding_id"]
    kind = "payment_failed" if context.is_failure() else "payment_succeeded"
    arguments: dict[str, Value] = {"event_id": f"evt-{funding_id}", "funding_id": funding_id, "kind": kind}
    webhooks = context.webhooks("receive_funding_webhook", arguments)
    return context.react({"payment": f"pay-{funding_id}"}, webhooks, trouble=context.trouble())


SERVICES = {"processor": processor}
