"""An outside service answers late."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from integrity.faults.fault import KEPT, MONEY, Fault, Given, Need, Number, number, word
from integrity.faults.scene import Scene
from integrity.faults.services import SERVICE, check_service


@asynccontextmanager
async def inject(scene: Scene, given: Given) -> AsyncIterator[None]:
    """Let its answers take longer."""
    with scene.conduct.changed_service(
        word(given, "service"),
        latency_least_s=number(given, "least_s"),
        latency_most_s=number(given, "least_s") + number(given, "more_s"),
    ):
        yield


FAULT = Fault(
    name="service_latency",
    title="an outside service takes its time to answer",
    question="Is a state that was read before the service was asked still true when its answer is written?",
    invariants=(*KEPT, *MONEY, "*-not-stuck"),
    inject=inject,
    needs=frozenset({Need.SERVICES}),
    arguments={
        "service": SERVICE,
        "least_s": Number("seconds until its answer, at least", 0.1, 0.0, 3600.0),
        "more_s": Number("and up to so many more", 0.2, 0.0, 3600.0),
    },
    check=check_service,
)
