"""Webhooks overtake one another."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from integrity.faults.fault import KEPT, Fault, Given, Need, Number, number, word
from integrity.faults.scene import Scene
from integrity.faults.services import SERVICE, check_service


@asynccontextmanager
async def inject(scene: Scene, given: Given) -> AsyncIterator[None]:
    """Hold webhooks back so that later ones arrive before them."""
    with scene.conduct.changed_service(
        word(given, "service"),
        reorder_share=number(given, "share"),
    ):
        yield


FAULT = Fault(
    name="webhook_reorder",
    title="webhooks overtake one another",
    question="Does a late event undo what a newer one has said?",
    invariants=(*KEPT, "*-once", "*-not-stuck", "*-credited-*", "*-settles-*"),
    inject=inject,
    needs=frozenset({Need.WEBHOOKS}),
    arguments={
        "service": SERVICE,
        "share": Number("of the webhooks, which are held back", 0.5, 0.0, 1.0),
    },
    check=check_service,
)
