"""The server has no connection left to give."""

import asyncio
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from typing import Any

import psycopg

from integrity.errors import Unreachable
from integrity.faults.backend_terminated import TERMINATE
from integrity.faults.fault import KEPT, MONEY, Fault, Given, Need, Number, number
from integrity.faults.scene import APPLICATION_NAME, Scene

TAKERS = 4  # at a time: the server makes a process for each connection, which takes it some milliseconds


@asynccontextmanager
async def inject(scene: Scene, given: Given) -> AsyncIterator[None]:
    """Take the connections that are free, end some of the run's, and take most of those too."""
    held: list[psycopg.Connection[Any]] = []
    try:
        await asyncio.to_thread(_take, scene, held)
        ended = await asyncio.to_thread(_end, held[-1], number(given, "cut")) if held else 0
        await asyncio.to_thread(_take, scene, held)
        for _ in range(min(len(held), int(number(given, "left")))):
            held.pop().close()
        scene.counts["connections taken"] += len(held)
        scene.counts["backends terminated"] += ended
        yield
    finally:
        await asyncio.to_thread(_close, held)


def _take(scene: Scene, held: "list[psycopg.Connection[Any]]") -> None:
    """Connect until the server refuses."""

    def connect() -> None:
        while True:
            try:
                held.append(scene.target.connect(application_name="integrity-fault"))
            except Unreachable:
                return

    with ThreadPoolExecutor(TAKERS) as takers:
        for taker in [takers.submit(connect) for _ in range(TAKERS)]:
            taker.result()


def _close(held: "list[psycopg.Connection[Any]]") -> None:
    for connection in held:
        connection.close()


def _end(connection: "psycopg.Connection[Any]", share: float) -> int:
    rows = connection.execute(TERMINATE.encode(), (APPLICATION_NAME, share)).fetchall()
    return sum(is_ended for (is_ended,) in rows)


FAULT = Fault(
    name="pool_exhaustion",
    title="others hold all connections that the server gives; the run's clients that lose theirs wait",
    question="Is what a client was in the middle of, when it could not come back, whole or not at all?",
    invariants=(*KEPT, *MONEY),
    inject=inject,
    needs=frozenset({Need.POSTGRESQL}),
    arguments={
        "left": Number("connections that are left free", 0.0, 0.0, 10_000.0),
        "cut": Number("of the run's sessions, ended at the start so that their clients have to come back", 0.5, 0.0, 1.0),
    },
)
