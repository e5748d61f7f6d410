"""The server's machine goes down: every process of it is killed, and nothing that was only in memory is left."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from integrity.faults.fault import KEPT, MONEY, Fault, Given, Need
from integrity.faults.processes import check_processes, kill_family, postmaster_of
from integrity.faults.scene import Scene


@asynccontextmanager
async def inject(scene: Scene, given: Given) -> AsyncIterator[None]:
    """Kill the server; at the end of the window it is started, and recovers from its write-ahead log."""
    del given
    server = scene.own_server
    try:
        with scene.conduct.changed(is_down=True):
            scene.counts["server processes killed"] += await asyncio.to_thread(lambda: kill_family(postmaster_of(server)))
            scene.counts["servers killed"] += 1
            yield
    finally:
        await asyncio.to_thread(server.start)


FAULT = Fault(
    name="server_killed",
    title="all processes of the server are killed (-9); it is down for the window, then it recovers",
    question="Is everything that was acknowledged still there, and everything else there whole or not at all?",
    invariants=(*KEPT, *MONEY),
    inject=inject,
    needs=frozenset({Need.EMBEDDED}),
    check=check_processes,
)
