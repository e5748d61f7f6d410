"""A pool of connections that operations are carried out on; who finds none free waits, but not for ever."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from random import Random

from integrity.clients.connection import Connection
from integrity.clients.driver import Driver
from integrity.errors import Unreachable
from integrity.numbers import counted


class PoolExhausted(Exception):
    """No connection came free in time."""


class Pool:
    """Connections, each opened when it is first needed, and again when it was lost.

    Args:
        make: returns a connection that is not yet open.
        wait_s: how long to wait for one that is free.
    """

    def __init__(self, make: Callable[[], Connection], *, size: int, wait_s: float) -> None:
        self.size = size
        self._wait_s = wait_s
        self._drivers = [Driver(make(), Random(number)) for number in range(size)]
        self._free = list(self._drivers)
        self._room = asyncio.Semaphore(size)
        self.waiting = 0

    @property
    def in_use(self) -> int:
        return self.size - len(self._free)

    @property
    def open_count(self) -> int:
        return sum(driver.connection.is_open for driver in self._drivers)

    @asynccontextmanager
    async def driver(self) -> AsyncIterator[Driver]:
        """Give whoever drives operations on one connection, for the block.

        Raises:
            PoolExhausted: all are in use, and stay so.
            Unreachable: it could not be opened.
        """
        await self._wait()
        driver = self._free.pop()  # the last one that was given back: the others may rest
        try:
            if not driver.connection.is_open:
                await driver.connection.open()
            yield driver
        finally:
            self._free.append(driver)
            self._room.release()

    async def open(self) -> None:
        """Open all connections, before the first request.

        Raises:
            Unreachable: one cannot be.
        """
        for driver in self._drivers:
            await driver.connection.open()

    async def is_answering(self) -> bool:
        """Return whether the database answers on one of them."""
        try:
            async with self.driver() as driver:
                await driver.connection.execute("select 1 as one", {})
        except (PoolExhausted, Unreachable):
            return False
        return True

    async def close(self) -> None:
        for driver in self._drivers:
            await driver.connection.close()

    async def _wait(self) -> None:
        self.waiting += 1
        try:
            async with asyncio.timeout(self._wait_s):
                await self._room.acquire()
        except TimeoutError:
            raise PoolExhausted(
                f"{counted(self.size, 'connection')} in use, and none came free within {self._wait_s:g} s"
            ) from None
        finally:
            self.waiting -= 1
