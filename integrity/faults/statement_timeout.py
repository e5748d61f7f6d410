"""Statements that take too long are ended by the server."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from integrity.faults.fault import KEPT, MONEY, Fault, Given, Need, Number, number
from integrity.faults.scene import Scene


@asynccontextmanager
async def inject(scene: Scene, given: Given) -> AsyncIterator[None]:
    """Set statement_timeout on the run's connections."""
    settings = {**scene.conduct.session_settings, "statement_timeout": f"{number(given, 'ms'):g}ms"}
    with scene.conduct.changed(session_settings=settings):
        yield


FAULT = Fault(
    name="statement_timeout",
    title="the server ends statements that take longer than a limit",
    question="Is an operation whose statement was ended rolled back whole, and reported as failed?",
    invariants=(*KEPT, *MONEY),
    inject=inject,
    needs=frozenset({Need.POSTGRESQL, Need.SESSIONS}),
    arguments={"ms": Number("the limit, in milliseconds", 50.0, 1.0, 3_600_000.0)},
)
