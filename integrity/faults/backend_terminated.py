"""An administrator, or a failover, ends sessions of the run."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from integrity.faults.fault import KEPT, MONEY, Fault, Given, Need, Number, number
from integrity.faults.scene import APPLICATION_NAME, Scene, repeated

TERMINATE = """
    select pg_terminate_backend(pid)
    from pg_stat_activity
    where application_name = %s and datname = current_database() and random() < %s
"""


@asynccontextmanager
async def inject(scene: Scene, given: Given) -> AsyncIterator[None]:
    """End sessions, known by the application name that only runs have."""

    async def terminate() -> None:
        rows = await scene.ask_soon(TERMINATE, (APPLICATION_NAME, number(given, "share")))
        scene.counts["backends terminated"] += sum(is_ended for (is_ended,) in rows)

    async with repeated(terminate, number(given, "every_s")):
        yield


FAULT = Fault(
    name="backend_terminated",
    title="sessions of the run are ended with pg_terminate_backend",
    question="Is the rollback complete, and the retry done once?",
    invariants=(*KEPT, *MONEY),
    inject=inject,
    needs=frozenset({Need.POSTGRESQL}),
    arguments={
        "share": Number("of the run's sessions, each time", 0.5, 0.0, 1.0),
        "every_s": Number("seconds until the next time; 0: once", 0.25, 0.0, 3600.0),
    },
)
