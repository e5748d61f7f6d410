"""Webhooks come twice."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from integrity.faults.fault import KEPT, Fault, Given, Need, Number, number, word
from integrity.faults.scene import Scene
from integrity.faults.services import SERVICE, check_service


@asynccontextmanager
async def inject(scene: Scene, given: Given) -> AsyncIterator[None]:
    """Send webhooks again although they were answered."""
    with scene.conduct.changed_service(
        word(given, "service"),
        duplicate_share=number(given, "share"),
    ):
        yield


FAULT = Fault(
    name="webhook_duplicate",
    title="webhooks come twice, half of those at the same instant",
    question="Is each event applied once, also when both of its deliveries arrive at once?",
    invariants=(*KEPT, "*-once", "*-not-stuck", "*-credited-*", "*-settles-*"),
    inject=inject,
    needs=frozenset({Need.WEBHOOKS}),
    arguments={
        "service": SERVICE,
        "share": Number("of the webhooks", 1.0, 0.0, 1.0),
    },
    check=check_service,
)
