"""Connections to the database break with an error."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from integrity.faults.fault import KEPT, MONEY, Fault, Given, Need, Number, number
from integrity.faults.scene import Scene, repeated


@asynccontextmanager
async def inject(scene: Scene, given: Given) -> AsyncIterator[None]:
    """Reset connections, in whatever they are doing."""

    async def reset() -> None:
        scene.wire.reset(number(given, "share"))

    async with repeated(reset, number(given, "every_s")):
        yield


FAULT = Fault(
    name="connection_reset",
    title="connections to the database are reset in the middle of what they do",
    question="Is what was cut off rolled back whole, and what was answered kept?",
    invariants=(*KEPT, *MONEY),
    inject=inject,
    needs=frozenset({Need.PROXY}),
    arguments={
        "share": Number("of the connections that are open, each time", 0.5, 0.0, 1.0),
        "every_s": Number("seconds until the next time; 0: once", 0.25, 0.0, 3600.0),
    },
)
