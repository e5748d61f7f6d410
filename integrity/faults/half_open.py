"""Connections fall silent: nothing passes any more, and nobody is told."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from integrity.faults.fault import KEPT, MONEY, ChoiceArgument, Fault, Given, Need, Number, number, word
from integrity.faults.scene import Scene


@asynccontextmanager
async def inject(scene: Scene, given: Given) -> AsyncIterator[None]:
    """Freeze connections; at the end they break, as when a keepalive finds out, or go on as if nothing had been."""
    patience_s = number(given, "patience_s")
    with scene.conduct.changed(patience_s=patience_s or None):
        links = scene.wire.freeze(number(given, "share"))
        try:
            yield
        finally:
            for link in links:
                if word(given, "then") == "resume":
                    link.thaw()
                else:
                    link.reset()


FAULT = Fault(
    name="half_open",
    title="connections stop passing anything on, and nobody is told: locks stay, clients wait",
    question="Is a commit that was sent into silence counted once, if it comes through later or never?",
    invariants=(*KEPT, *MONEY),
    inject=inject,
    needs=frozenset({Need.PROXY}),
    arguments={
        "share": Number("of the connections that are open", 0.5, 0.0, 1.0),
        "patience_s": Number("seconds after which a client gives up and hangs up; 0: it waits", 0.0, 0.0, 3600.0),
        "then": ChoiceArgument("what becomes of them at the end", ("reset", "resume")),
    },
)
