"""The outside service of ghostpass: a card processor that answers at once and settles by webhook."""

from collections.abc import Mapping
from random import Random

from integrity.operation import Value
from integrity.systems.system import Answer, Delivery, ServiceSettings


def processor(payload: Mapping[str, Value], random: Random, settings: ServiceSettings) -> tuple[Answer, list[Delivery]]:
    """Accept a payment; say by webhook how it ended, sometimes twice: at once, or late as a retry whose answer was lost."""
    funding_id = payload["funding_id"]
    kind = "payment_failed" if random.random() < settings.failure_share else "payment_succeeded"
    arguments: dict[str, Value] = {"event_id": f"evt-{funding_id}", "funding_id": funding_id, "kind": kind}
    delay_s = random.uniform(settings.delay_least_s, settings.delay_most_s)
    deliveries = [Delivery(delay_s, "receive_funding_webhook", arguments)]
    if random.random() < settings.duplicate_share:
        late_s = settings.retry_s if random.random() < 0.5 else 0.0
        deliveries.append(Delivery(delay_s + late_s, "receive_funding_webhook", arguments))
    return {"payment": f"pay-{funding_id}"}, deliveries


SERVICES = {"processor": processor}
