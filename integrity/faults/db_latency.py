"""The network to the database becomes slow."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from integrity.faults.fault import KEPT, MONEY, ChoiceArgument, Fault, Given, Need, Number, number, word
from integrity.faults.scene import Scene
from integrity.proxy.faults import Delay


@asynccontextmanager
async def inject(scene: Scene, given: Given) -> AsyncIterator[None]:
    """Hold what passes the proxy, in one direction or both."""
    least_s = number(given, "ms") / 1000
    delay = Delay(least_s, least_s + number(given, "jitter_ms") / 1000)
    gates, direction = scene.wire.gates, word(given, "direction")
    before = gates.delay_to_server, gates.delay_to_client
    if direction != "to_client":
        gates.delay_to_server = delay
    if direction != "to_server":
        gates.delay_to_client = delay
    try:
        yield
    finally:
        gates.delay_to_server, gates.delay_to_client = before


FAULT = Fault(
    name="db_latency",
    title="what goes between clients and database arrives late",
    question="Does what was read still hold when it is written, however long the way between the two takes?",
    invariants=(*KEPT, *MONEY),
    inject=inject,
    needs=frozenset({Need.PROXY}),
    arguments={
        "ms": Number("later, at least, in each direction", 20.0, 0.0, 60_000.0),
        "jitter_ms": Number("and up to so much more, drawn for each piece", 0.0, 0.0, 60_000.0),
        "direction": ChoiceArgument("which way", ("both", "to_server", "to_client")),
    },
)
