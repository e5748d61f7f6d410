"""Commits happen, and their clients never learn of it."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from integrity.faults.fault import KEPT, MONEY, Fault, Given, Need, Number, number
from integrity.faults.scene import Scene


@asynccontextmanager
async def inject(scene: Scene, given: Given) -> AsyncIterator[None]:
    """Keep the server's word that it has committed from the client, and cut that off."""
    gates = scene.wire.gates
    before, gates.hidden_share = gates.hidden_share, number(given, "share")
    try:
        yield
    finally:
        gates.hidden_share = before


FAULT = Fault(
    name="lost_commit_ack",
    title="the server commits, and the connection breaks before its client is told",
    question="Does a retry after a lost answer happen again? And does what was to follow the commit still happen?",
    invariants=(*KEPT, *MONEY),
    inject=inject,
    needs=frozenset({Need.PROXY}),
    arguments={"share": Number("of the commits", 0.1, 0.0, 1.0)},
)
