"""An outside service refuses."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from integrity.faults.fault import KEPT, MONEY, ChoiceArgument, Fault, Given, Need, Number, number, word
from integrity.faults.scene import Scene
from integrity.faults.services import SERVICE, check_service


@asynccontextmanager
async def inject(scene: Scene, given: Given) -> AsyncIterator[None]:
    """Answer requests with an error, nothing done."""
    with scene.conduct.changed_service(
        word(given, "service"), error_share=number(given, "share"), error_codes=(int(word(given, "code")),)
    ):
        yield


FAULT = Fault(
    name="service_error",
    title="an outside service answers with an error, and has done nothing",
    question="Is what was prepared for the request taken back, or tried again, and never left half done?",
    invariants=(*KEPT, *MONEY, "*-not-stuck"),
    inject=inject,
    needs=frozenset({Need.SERVICES}),
    arguments={
        "service": SERVICE,
        "share": Number("of the requests", 0.5, 0.0, 1.0),
        "code": ChoiceArgument("the status", ("500", "429", "404")),
    },
    check=check_service,
)
