"""Webhooks that were answered long ago come once more."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from integrity.faults.fault import KEPT, Fault, Given, Need, Number, number
from integrity.faults.scene import Scene


@asynccontextmanager
async def inject(scene: Scene, given: Given) -> AsyncIterator[None]:
    """Send what is acknowledged from now on once more, later."""
    with scene.conduct.changed(replay_share=number(given, "share"), replay_s=number(given, "after_s")):
        yield


FAULT = Fault(
    name="webhook_replay",
    title="webhooks that were answered come once more, much later",
    question="Does an old event, applied and done with, change anything again?",
    invariants=(*KEPT, "*-once", "*-not-stuck", "*-credited-*", "*-settles-*"),
    inject=inject,
    needs=frozenset({Need.WEBHOOKS}),
    arguments={
        "share": Number("of the webhooks that are answered", 1.0, 0.0, 1.0),
        "after_s": Number("seconds later", 0.5, 0.0, 86_400.0),
    },
)
