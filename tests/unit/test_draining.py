"""A run that takes long to end says whom it waited for."""

from collections.abc import Mapping
from typing import Any

import pytest

from integrity.clients.deliveries import CausingCall, Deliveries, QueuedWebhooks
from integrity.report.drain_text import explain_drain
from integrity.runs.draining import Drain
from integrity.systems.service import Delivery

PAID = {"service": "processor", "operation": "pay", "count": 42, "again": 6, "last_due_s": 8.04}


@pytest.mark.parametrize(
    ("drain", "told"),
    [
        ({"seconds": 1.9, "webhooks_s": 1.9}, ""),
        ({"seconds": 27.3}, "It took 27.3 s to end after its last call was drawn."),
        (
            {"seconds": 3, "calls_s": 3, "calls": {"pay": 2, "sell": 1}, "awaited": {"mint": 2}},
            "3.0 s for calls under way (2 of pay, 1 of sell), waiting for an outside answer: 2 for mint.",
        ),
        (
            {"seconds": 9, "webhooks_s": 9, "webhooks": [PAID]},
            "9.0 s for webhooks (42 webhooks of processor to pay, the last due 8.0 s later, 6 sent again).",
        ),
        (
            {"seconds": 9, "sweeps_s": 9, "sweeps": [{"operation": "settle", "calls": 80, "troubled": 74}]},
            "9.0 s for what was left open (80 calls of settle, 74 not answered by a service).",
        ),
        ({"seconds": 4, "calls_s": 0.05, "streams_s": 3.9}, "drawn: 3.9 s for streams to bring what was sent."),
    ],
)
def test_a_long_end_is_explained(drain: Mapping[str, Any], told: str) -> None:
    said = explain_drain(Drain.model_validate(drain))
    assert said.endswith(told)
    assert bool(said) == bool(told)


def test_queued_webhooks_are_told_by_service_and_by_what_was_sent_again() -> None:
    deliveries, origin = Deliveries(), CausingCall("pay", 0)
    for service, delay_s in (("mint", 0.5), ("mint", 2.0), ("relay", 0.0)):
        deliveries.add([Delivery(delay_s, "settle", {})], now_us=0, origin=origin, retry_s=1.0, service=service)
    due = deliveries.take(0)
    assert due is not None
    deliveries.send_again(due, 0)
    assert deliveries.queued(1_000_000) == [
        QueuedWebhooks("mint", "settle", 2, 0, 1.0),
        QueuedWebhooks("relay", "settle", 1, 1, 0.0),
    ]
