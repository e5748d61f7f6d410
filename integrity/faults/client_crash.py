"""Clients die in the middle of their calls."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from integrity.faults.fault import KEPT, MONEY, Fault, Given, Number, number
from integrity.faults.scene import Scene


@asynccontextmanager
async def inject(scene: Scene, given: Given) -> AsyncIterator[None]:
    """Let clients die before a step, while they wait for its answer, or just after a commit."""
    with scene.conduct.changed(abandon_share=number(given, "share")):
        yield


FAULT = Fault(
    name="client_crash",
    title="clients die in the middle of their calls, half of them just after a commit",
    question="Is everything that belongs together in one transaction, or put right by somebody else?",
    invariants=(*KEPT, *MONEY, "*-is-logged", "*-not-stuck"),
    inject=inject,
    arguments={"share": Number("of the calls", 0.2, 0.0, 1.0)},
)
