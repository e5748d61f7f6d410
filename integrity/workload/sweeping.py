"""Sweeping: what a run has left open at its end is taken up, as the systems' own jobs do, until it is done or stands still.

A system says how (System.sweeps): a query that lists what is open, and the operation that takes it up. The calls are calls
of the run like all others. Services may be slow or refuse, so each is asked again; what several rounds leave as it was
nobody will end, and that is a finding of the audit, not a debt of the run. A sweep that time cuts off is a debt.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from datetime import datetime
from typing import Any

from integrity.errors import Unreachable
from integrity.operation import StatementFailed
from integrity.systems.system import System
from integrity.workload.caller import Caller, Client, Sources
from integrity.workload.driver import Connection, Driver

SWEEPERS = 2
ROUNDS_STILL_MOST = 6
"""After so many rounds that changed nothing it stands still: that a service refuses now and then is no reason yet."""

PAUSE_S = 0.05  # between rounds that changed nothing
COUNT = "open_count"
"""The column of a sweep's query that says how many rows a call is about; the others are its arguments."""


class Sweeping:
    """Takes up what is open.

    Attributes:
        still_open: operation -> rows that it was to take up and that are open.
        is_settled: nothing is open, or nothing more comes of asking.
    """

    def __init__(
        self, system: System, caller: Caller, *, seed: int, began_at: datetime, connect: Callable[[], Connection]
    ) -> None:
        self.still_open: dict[str, int] = {}
        self.is_settled = not system.sweeps
        self._sweeps = system.sweeps
        self._caller = caller
        self._began_at = began_at
        self._workers = [
            (Client(caller.take_number(), sources), Driver(connect(), sources.pauses))
            for sources in (Sources(seed, f"sweeper-{number}") for number in range(SWEEPERS if system.sweeps else 0))
        ]

    async def run(self, deliver: Callable[[], Awaitable[None]]) -> None:
        """Sweep; return when it is settled, or cannot go on.

        Args:
            deliver: makes the deliveries that the calls cause.
        """
        before: list[tuple[str, Mapping[str, Any]]] = []
        rounds_still = 0
        try:
            while not self.is_settled:
                found = await self._find_open()
                rounds_still = rounds_still + 1 if found == before else 0
                if not found or rounds_still >= ROUNDS_STILL_MOST:
                    self.is_settled = True
                    break
                if rounds_still:
                    await asyncio.sleep(PAUSE_S)
                await self._take_up(found)
                await deliver()
                before = found
        except (StatementFailed, Unreachable):
            return  # the database is away: what is open is owed
        finally:
            for _, driver in self._workers:
                driver.connection.abort()

    async def _find_open(self) -> list[tuple[str, Mapping[str, Any]]]:
        """Return the calls to make, with how many rows each is about; count the rows."""
        _, driver = self._workers[0]
        if not driver.connection.is_open:
            await driver.connection.open()
        found: list[tuple[str, Mapping[str, Any]]] = []
        for sweep in self._sweeps:
            rows = await driver.connection.execute(sweep.open, {"began_at": self._began_at})
            self.still_open[sweep.operation] = sum(int(row[COUNT]) for row in rows)
            found += [(sweep.operation, dict(row)) for row in rows]
        return found

    async def _take_up(self, found: list[tuple[str, Mapping[str, Any]]]) -> None:
        calls = iter(found)

        async def work(client: Client, driver: Driver) -> None:
            for operation, row in calls:
                if not driver.connection.is_open:
                    await driver.connection.open()
                arguments = {name: value for name, value in row.items() if name != COUNT}
                await self._caller.call(driver, client, operation, arguments, None)

        async with asyncio.TaskGroup() as group:
            for client, driver in self._workers:
                group.create_task(work(client, driver))
