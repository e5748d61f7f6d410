"""Webhooks come late."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from integrity.faults.fault import KEPT, Fault, Given, Need, Number, number, word
from integrity.faults.scene import Scene
from integrity.faults.services import SERVICE, check_service


@asynccontextmanager
async def inject(scene: Scene, given: Given) -> AsyncIterator[None]:
    """Let webhooks take longer."""
    with scene.conduct.changed_service(
        word(given, "service"),
        delay_least_s=number(given, "least_s"),
        delay_most_s=number(given, "least_s") + number(given, "more_s"),
    ):
        yield


FAULT = Fault(
    name="webhook_delay",
    title="webhooks come late",
    question="Does anything take the time that has passed for an answer, or a state for final before its webhook?",
    invariants=(*KEPT, "*-once", "*-not-stuck", "*-credited-*", "*-settles-*"),
    inject=inject,
    needs=frozenset({Need.WEBHOOKS}),
    arguments={
        "service": SERVICE,
        "least_s": Number("seconds after the request, at least", 0.5, 0.0, 86_400.0),
        "more_s": Number("and up to so many more", 1.0, 0.0, 86_400.0),
    },
    check=check_service,
)
