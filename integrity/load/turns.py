"""Turns of a client in a closed loop: it delivers what is owed, or makes a call that it draws."""

import asyncio
from bisect import bisect
from collections.abc import Awaitable, Callable
from itertools import accumulate

from integrity.clients.carrier import Carrier
from integrity.clients.reconnecting import Reconnector
from integrity.history import Returned
from integrity.load.caller import Caller
from integrity.load.client import Client
from integrity.load.profile import ClosedProfile
from integrity.operation import Operation

IDLE_S = 0.005


def _uncounted() -> None:
    """Count nothing: time alone ends it."""


class Turns:
    """What clients of a profile do next.

    Args:
        begins: told before each call.
        think: waits as long as a client thinks before a call; false: the call is not made.
    """

    def __init__(
        self,
        profile: ClosedProfile,
        caller: Caller,
        reconnector: Reconnector,
        begins: Callable[[], None] = _uncounted,
        think: Callable[[Operation], Awaitable[bool]] | None = None,
    ) -> None:
        self._think = think
        self._caller, self._reconnector, self._begins = caller, reconnector, begins
        self._names = list(profile.operations)
        self._limits = list(accumulate(profile.weights[name] for name in self._names))

    async def take(self, client: Client, carrier: Carrier) -> tuple[str, Returned] | None:
        """Take a turn; return the call that was drawn, if one was, and how it ended."""
        caller, draws = self._caller, client.sources.draws
        if not carrier.connection.is_open:
            await self._reconnector.ensure(carrier.connection, client.sources.pauses)
        due = caller.deliveries.take(caller.clock.now_us())
        if due is not None:
            self._begins()
            await caller.deliver(carrier, client, due)
            return None
        operation = self._names[bisect(self._limits, draws.random() * self._limits[-1])]
        arguments = caller.draw(operation, draws)
        if caller.is_offline(operation, arguments):
            await asyncio.sleep(IDLE_S)
            return None
        called = caller.operations[operation]
        if called.think_s and self._think is not None and not await self._think(called):
            return None
        self._begins()
        return operation, await caller.call(carrier, client, operation, arguments, None)

    async def empty(self, client: Client, carrier: Carrier) -> None:
        """Make the deliveries that are owed, with others that do; return when none is."""
        caller, deliveries = self._caller, self._caller.deliveries
        while deliveries.outstanding:
            due = deliveries.take(caller.clock.now_us())
            if due is None:
                await asyncio.sleep(IDLE_S)  # owed later, or another client is at it
                continue
            if not carrier.connection.is_open:
                await self._reconnector.ensure(carrier.connection, client.sources.pauses)
            await caller.deliver(carrier, client, due)
