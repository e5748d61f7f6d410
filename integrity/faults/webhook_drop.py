"""Webhooks are lost on the way."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from integrity.faults.fault import KEPT, Fault, Given, Need, Number, number, word
from integrity.faults.scene import Scene
from integrity.faults.services import SERVICE, check_service


@asynccontextmanager
async def inject(scene: Scene, given: Given) -> AsyncIterator[None]:
    """Lose webhooks; what is not acknowledged is sent again."""
    with scene.conduct.changed_service(
        word(given, "service"),
        drop_share=number(given, "share"),
    ):
        yield


FAULT = Fault(
    name="webhook_drop",
    title="webhooks are lost on the way, and sent again when nobody acknowledged them",
    question="Does everything still end that waits for a webhook?",
    invariants=(*KEPT, "*-once", "*-not-stuck", "*-credited-*", "*-settles-*"),
    inject=inject,
    needs=frozenset({Need.WEBHOOKS}),
    arguments={
        "service": SERVICE,
        "share": Number("of the sendings", 0.5, 0.0, 0.9),
    },
    check=check_service,
)
