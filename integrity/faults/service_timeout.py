"""An outside service does not answer: it may have done what it was asked, or not."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from integrity.faults.fault import KEPT, MONEY, Fault, Given, Need, Number, number, word
from integrity.faults.scene import Scene
from integrity.faults.services import SERVICE, check_service


@asynccontextmanager
async def inject(scene: Scene, given: Given) -> AsyncIterator[None]:
    """Lose answers, and half of the requests with them."""
    with scene.conduct.changed_service(
        word(given, "service"),
        timeout_share=number(given, "share"),
        timeout_s=number(given, "timeout_s"),
    ):
        yield


FAULT = Fault(
    name="service_timeout",
    title="an outside service does not answer; in half of the cases it did what it was asked",
    question="Is what nobody answered for found out later, and neither done twice nor given up?",
    invariants=(*KEPT, *MONEY, "*-not-stuck", "*-once"),
    inject=inject,
    needs=frozenset({Need.SERVICES}),
    arguments={
        "service": SERVICE,
        "share": Number("of the requests", 0.3, 0.0, 1.0),
        "timeout_s": Number("seconds that the caller waits for an answer", 0.1, 0.0, 3600.0),
    },
    check=check_service,
)
