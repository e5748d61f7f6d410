"""The closed loop: every client sends its next call as soon as the last one returned."""

import asyncio
from bisect import bisect
from collections.abc import Coroutine, Iterable
from itertools import accumulate

from integrity.clients.carrier import Carrier, Carry
from integrity.clients.reconnecting import Reconnector
from integrity.load.caller import Caller
from integrity.load.client import Client, Sources
from integrity.load.profile import ClosedProfile
from integrity.load.share import WHOLE, Share

IDLE_S = 0.005


class ClosedLoop:
    """N clients on N connections, a carrier each.

    Args:
        stopping: when set, no new call is drawn; set when the time is up, or the last call is begun.
        carry: makes what carries a client's calls.
        share: of the clients, and of the calls that end it.
    """

    def __init__(
        self,
        profile: ClosedProfile,
        caller: Caller,
        *,
        seed: int,
        carry: Carry,
        reconnector: Reconnector,
        stopping: asyncio.Event,
        share: Share = WHOLE,
    ) -> None:
        self._caller = caller
        self._reconnector = reconnector
        self._stopping = stopping
        self._duration_s = profile.duration_s
        self._calls_left = share.of(profile.calls_most) or None
        self._names = list(profile.operations)
        self._limits = list(accumulate(profile.weights[name] for name in self._names))
        self._clients = [
            (client, carry(client.sources.pauses))
            for client in (Client(number, Sources(seed, f"client-{number}")) for number in share.numbers(profile.clients))
        ]

    async def open(self) -> None:
        """Connect all clients."""
        for _, carrier in self._clients:
            await carrier.connection.open()

    async def run(self) -> None:
        """Call until stopping is set; return when every client's last call has returned."""
        timer = asyncio.get_running_loop().call_later(self._duration_s, self._stopping.set)
        try:
            await self._all(self._work(client, carrier) for client, carrier in self._clients)
        finally:
            timer.cancel()

    async def drain(self) -> None:
        """Make the deliveries that are owed; return when none is."""
        await self._all(self._empty(client, carrier) for client, carrier in self._clients)

    async def close(self) -> None:
        for _, carrier in self._clients:
            await carrier.connection.close()

    def abort(self) -> None:
        """Cut all connections: calls under way end as unknown or failed."""
        for _, carrier in self._clients:
            carrier.connection.abort()

    async def _work(self, client: Client, carrier: Carrier) -> None:
        caller, connection, stopping = self._caller, carrier.connection, self._stopping
        deliveries, now_us, draws = caller.deliveries, caller.clock.now_us, client.sources.draws
        names, limits = self._names, self._limits
        while not stopping.is_set():
            if not connection.is_open:
                await self._reconnector.ensure(connection, client.sources.pauses)
            due = deliveries.take(now_us())
            if due is not None:
                self._count()
                await caller.deliver(carrier, client, due)
            else:
                operation = names[bisect(limits, draws.random() * limits[-1])]
                arguments = caller.draw(operation, draws)
                if caller.is_offline(operation, arguments):
                    await asyncio.sleep(IDLE_S)
                    continue
                self._count()
                await caller.call(carrier, client, operation, arguments, None)

    def _count(self) -> None:
        """Count a call that begins; with the last one there are to be no more."""
        if self._calls_left is not None:
            self._calls_left -= 1
            if not self._calls_left:
                self._stopping.set()

    async def _empty(self, client: Client, carrier: Carrier) -> None:
        deliveries, clock = self._caller.deliveries, self._caller.clock
        while deliveries.outstanding:
            due = deliveries.take(clock.now_us())
            if due is None:
                await asyncio.sleep(IDLE_S)  # owed later, or another client is at it
                continue
            if not carrier.connection.is_open:
                await self._reconnector.ensure(carrier.connection, client.sources.pauses)
            await self._caller.deliver(carrier, client, due)

    @staticmethod
    async def _all(works: Iterable[Coroutine[None, None, None]]) -> None:
        async with asyncio.TaskGroup() as group:
            for work in works:
                group.create_task(work)
