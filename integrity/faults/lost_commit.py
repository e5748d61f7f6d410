"""Commits are sent, and never arrive: to the client this looks exactly like lost_commit_ack, and is its opposite."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from integrity.faults.fault import KEPT, MONEY, Fault, Given, Need, Number, number
from integrity.faults.scene import Scene


@asynccontextmanager
async def inject(scene: Scene, given: Given) -> AsyncIterator[None]:
    """Cut both sides off instead of passing a client's commit on."""
    gates = scene.wire.gates
    before, gates.lost_share = gates.lost_share, number(given, "share")
    try:
        yield
    finally:
        gates.lost_share = before


FAULT = Fault(
    name="lost_commit",
    title="the connection breaks while a commit is on its way: it never arrives",
    question="Does anybody take a lost answer for a yes? And is what came before this transaction put right?",
    invariants=(*KEPT, *MONEY),
    inject=inject,
    needs=frozenset({Need.PROXY}),
    arguments={"share": Number("of the commits", 0.1, 0.0, 1.0)},
)
