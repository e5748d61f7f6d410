"""The closed loop: every client sends its next call as soon as the last one returned."""

import asyncio
from collections.abc import Coroutine, Iterable
from contextlib import suppress
from dataclasses import replace

from integrity.clients.carrier import Carrier, Carry
from integrity.clients.reconnecting import Reconnector
from integrity.history import Returned
from integrity.load.caller import Caller
from integrity.load.client import Client, Sources
from integrity.load.profile import ClosedProfile
from integrity.load.share import WHOLE, Share
from integrity.load.turns import Turns
from integrity.operation import Operation


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
        self._turns = Turns(profile, caller, reconnector, self._count, self._think)
        self._stopping = stopping
        self._duration_s = profile.duration_s
        self._calls_left = share.of(profile.calls_most) or None
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
        await self._all(self._turns.empty(client, carrier) for client, carrier in self._clients)

    async def close(self) -> None:
        for _, carrier in self._clients:
            await carrier.connection.close()

    def abort(self) -> None:
        """Cut all connections: calls under way end as unknown or failed."""
        for _, carrier in self._clients:
            carrier.connection.abort()

    async def _work(self, client: Client, carrier: Carrier) -> None:
        take, stopping = self._turns.take, self._stopping
        while not stopping.is_set():
            turn = await take(client, carrier)
            if turn is not None:
                await self._follow(client, carrier, *turn)

    async def _follow(self, client: Client, carrier: Carrier, operation: str, returned: Returned) -> None:
        """Make the calls that follow one, with what it was told."""
        for each, arguments in self._caller.following(operation, returned, client.sources.draws):
            if await self._think(each):
                further = await self._caller.call(carrier, client, each.name, arguments, None)
                known = {**returned.taken, **further.taken}
                await self._follow(client, carrier, each.name, replace(further, taken=known))

    async def _think(self, operation: Operation) -> bool:
        """Wait as long as a client thinks before a call; return whether it is made: none is when all is to stop."""
        if operation.think_s:
            with suppress(TimeoutError):
                async with asyncio.timeout(operation.think_s):
                    await self._stopping.wait()
        return not self._stopping.is_set()

    def _count(self) -> None:
        """Count a call that begins; with the last one there are to be no more."""
        if self._calls_left is not None:
            self._calls_left -= 1
            if not self._calls_left:
                self._stopping.set()

    @staticmethod
    async def _all(works: Iterable[Coroutine[None, None, None]]) -> None:
        async with asyncio.TaskGroup() as group:
            for work in works:
                group.create_task(work)
