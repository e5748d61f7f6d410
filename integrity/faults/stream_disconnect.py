"""Streams break, again and again."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from integrity.faults.fault import Fault, Given, Need, Number, number
from integrity.faults.scene import Scene


@asynccontextmanager
async def inject(scene: Scene, given: Given) -> AsyncIterator[None]:
    """Cut subscribers off; they come back and say what they saw last."""
    at_once = number(given, "at_once")
    changed = {"cut_share": at_once} if at_once else {"disconnect_share": number(given, "share")}
    with scene.conduct.changed(**changed):
        yield


FAULT = Fault(
    name="stream_disconnect",
    title="streams break, and their subscribers come back",
    question="Did each subscriber see everything once and in order, also what happened while it was away?",
    invariants=("*stream*", "*sequence*"),
    inject=inject,
    needs=frozenset({Need.STREAMS}),
    arguments={
        "share": Number("of a subscriber's looks at its stream", 0.3, 0.0, 1.0),
        "at_once": Number("of all open streams, cut at one moment, in place of share; 0: none", 0.0, 0.0, 1.0),
    },
)
