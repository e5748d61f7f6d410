"""Sweeping: what a run has left open at its end is taken up, as the systems' own jobs do, until it is done or stands still.

A system says how (System.sweeps): a query that lists what is open, and the operation that takes it up. The calls are calls
of the run like all others. What several of them leave as it was, though the services that they asked did answer, nobody
will end, and that is a finding of the audit, not a debt of the run. What a service never answered for, and what time cuts
off, is a debt.
"""

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping
from datetime import datetime
from typing import Any

from integrity.clients.carrier import Carrier, Carry
from integrity.clients.connection import Connection
from integrity.clients.driver import Driver
from integrity.errors import Unreachable
from integrity.load.caller import Caller
from integrity.load.client import Client, Sources
from integrity.operation import StatementFailed
from integrity.systems.system import System

SWEEPERS = 2
IN_VAIN_MOST = 6
"""After so many calls that met with no trouble and left open what they were about, no more will come of it."""

PAUSE_S = 0.05  # between rounds that changed nothing
COUNT = "open_count"
"""The column of a sweep's query that says how many rows a call is about; the others are its arguments."""

OpenCalls = list[tuple[str, Mapping[str, Any]]]
"""The calls to make: operations and the rows that they are about."""


class Sweeping:
    """Takes up what is open.

    Args:
        carry: makes what carries its calls.
        connect: makes a connection to the database, not yet open, for what is asked of the rows.

    Attributes:
        still_open: operation -> rows that it was to take up and that are open.
        is_settled: nothing is open, or nothing more comes of asking.
        calls, troubled: operation -> calls that took up what was open, and those that met with trouble of a service.
    """

    def __init__(
        self,
        system: System,
        caller: Caller,
        *,
        seed: int,
        began_at: datetime,
        carry: Carry,
        connect: Callable[[], Connection],
    ) -> None:
        self.still_open: dict[str, int] = {}
        self.is_settled = not system.sweeps
        self.calls: Counter[str] = Counter()
        self.troubled: Counter[str] = Counter()
        self._in_vain: Counter[str] = Counter()
        self._is_away = False
        self._sweeps = system.sweeps
        self._caller = caller
        self._began_at = began_at
        self._workers = [
            (Client(caller.take_number(), sources), carry(sources.pauses))
            for sources in (Sources(seed, f"sweeper-{number}") for number in range(SWEEPERS if system.sweeps else 0))
        ]
        carriers = [carrier for _, carrier in self._workers if isinstance(carrier, Driver)]
        self._asking = carriers[0].connection if carriers else connect()  # a server of few connections has none to spare

    async def run(self, deliver: Callable[[], Awaitable[None]]) -> None:
        """Sweep; return when it is settled, or cannot go on.

        Args:
            deliver: makes the deliveries that the calls cause.
        """
        before: OpenCalls = []
        try:
            while not self.is_settled and not self._is_away:
                found = await self._find_open()
                if all(self._in_vain[str(call)] >= IN_VAIN_MOST for call in found):
                    self.is_settled = True
                    break
                if found == before:
                    await asyncio.sleep(PAUSE_S)
                await self._take_up(found)
                await deliver()
                before = found
        except (StatementFailed, Unreachable):
            return  # the database is away: what is open is owed
        finally:
            self._asking.abort()
            for _, carrier in self._workers:
                carrier.connection.abort()

    async def _find_open(self) -> OpenCalls:
        """Return the calls to make, with how many rows each is about; count the rows."""
        if not self._asking.is_open:
            await self._asking.open()
        found: OpenCalls = []
        for sweep in self._sweeps:
            rows = await self._asking.execute(sweep.open, {"began_at": self._began_at})
            self.still_open[sweep.operation] = sum(int(row[COUNT]) for row in rows)
            found += [(sweep.operation, dict(row)) for row in rows]
        return found

    async def _take_up(self, found: OpenCalls) -> None:
        calls = iter(found)

        async def work(client: Client, carrier: Carrier) -> None:
            for operation, row in calls:
                if not carrier.connection.is_open:
                    try:
                        await carrier.connection.open()
                    except Unreachable:
                        self._is_away = True
                if self._is_away:
                    return  # what is open is owed
                arguments = {name: value for name, value in row.items() if name != COUNT}
                troubled = client.troubled
                await self._caller.call(carrier, client, operation, arguments, None)
                # Counted for the very rows that it was about: fewer are open next time, or it was in vain.
                self._in_vain[str((operation, row))] += client.troubled == troubled
                self.calls[operation] += 1
                self.troubled[operation] += client.troubled != troubled

        async with asyncio.TaskGroup() as group:
            for client, carrier in self._workers:
                group.create_task(work(client, carrier))
