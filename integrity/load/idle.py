"""Connections that are free: whoever has waited longest for one gets the next, as from an application's pool."""

import asyncio
from collections import deque

from integrity.clients.carrier import Carrier


class IdleCarriers:
    """Carriers that nobody uses; the one that was used last comes first, as it is warm.

    A queue of asyncio lets who comes pass by who waits: it wakes the one that waits, which finds nothing by then and waits
    again, behind all others. A call could wait for three times as long as any that was made when it was.
    """

    def __init__(self) -> None:
        self._free: list[Carrier] = []
        self._waiting: deque[asyncio.Future[Carrier]] = deque()

    def put(self, carrier: Carrier) -> None:
        """Give the carrier to whoever has waited longest, or keep it."""
        while self._waiting:
            waiter = self._waiting.popleft()
            if not waiter.done():
                waiter.set_result(carrier)
                return
        self._free.append(carrier)

    async def get(self) -> Carrier:
        """Return a carrier, when it is one's turn."""
        if self._free:  # nobody waits then
            return self._free.pop()
        waiter: asyncio.Future[Carrier] = asyncio.get_running_loop().create_future()
        self._waiting.append(waiter)
        try:
            return await waiter
        except asyncio.CancelledError:
            if waiter.done() and not waiter.cancelled():
                self.put(waiter.result())
            raise
