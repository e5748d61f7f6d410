"""Feeds: what keeps one client's stream open, and brings what comes down it.

Polled, a stream is the follow operation, asked again and again on connections to the database that many share. Over the
wire (wire_feeds.py) it is a connection of its own, and the server pushes.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from random import Random
from typing import Any, Protocol

from integrity.clients.carrier import Carrier
from integrity.clients.connection import Connection
from integrity.clients.driver import Driver
from integrity.clients.reconnecting import Reconnector
from integrity.history import Outcome, Returned
from integrity.operation import Request, Rows
from integrity.systems.service import Reaction
from integrity.systems.system import Subscription

Take = Callable[[Rows, int | None], None]
"""Takes events, and when they came, in microseconds since the epoch; None: now."""


@dataclass(frozen=True, slots=True)
class Brought:
    """What a look at a stream came to.

    Args:
        cursor: where the stream stands; None: as before.
    """

    is_open: bool
    cursor: int | None = None


class Feed(Protocol):
    """One client's stream."""

    async def open(self, call: Callable[[Carrier], Awaitable[Returned]]) -> Returned:
        """Open it by a call that is made on the given carrier, and return how that ended."""

    async def bring(self, arguments: Mapping[str, Any], take: Take, *, is_last: bool) -> Brought:
        """Let come what has come since it was opened or last asked.

        Args:
            arguments: of the subscription, with the cursor, and operation_id: of the call that opened it.
            is_last: nothing is sent any more: all that was is waited for.
        """

    def cut(self) -> None:
        """Break it off."""


class Feeds(Protocol):
    """The streams of one group of subscribers."""

    async def open(self) -> None: ...

    def make(self) -> Feed: ...

    async def close(self) -> None: ...

    async def abort(self) -> None: ...


class PolledFeeds:
    """Streams that share connections to the database.

    Args:
        connect: makes a connection, not yet open.
        count: of connections.
    """

    def __init__(
        self,
        subscription: Subscription,
        *,
        connect: Callable[[], Connection],
        reconnector: Reconnector,
        pauses: Random,
        count: int,
    ) -> None:
        self._subscription = subscription
        self._reconnector = reconnector
        self._pauses = pauses
        self._drivers = [Driver(connect(), pauses) for _ in range(count)]
        self._idle: asyncio.LifoQueue[Driver] = asyncio.LifoQueue()

    async def open(self) -> None:
        for driver in self._drivers:
            await driver.connection.open()
            self._idle.put_nowait(driver)

    def make(self) -> "PolledFeed":
        return PolledFeed(self, self._subscription)

    async def borrow(self) -> Driver:
        """Return a connected driver; whoever has it gives it back."""
        driver = await self._idle.get()
        if not driver.connection.is_open:
            try:
                await self._reconnector.ensure(driver.connection, self._pauses)
            except BaseException:
                self._idle.put_nowait(driver)
                raise
        return driver

    def give_back(self, driver: Driver) -> None:
        self._idle.put_nowait(driver)

    async def close(self) -> None:
        for driver in self._drivers:
            await driver.connection.close()

    async def abort(self) -> None:
        for driver in self._drivers:
            driver.connection.abort()


class PolledFeed:
    """See Feed."""

    def __init__(self, feeds: PolledFeeds, subscription: Subscription) -> None:
        self._feeds = feeds
        self._subscription = subscription

    async def open(self, call: Callable[[Carrier], Awaitable[Returned]]) -> Returned:
        driver = await self._feeds.borrow()
        try:
            return await call(driver)
        finally:
            self._feeds.give_back(driver)

    async def bring(self, arguments: Mapping[str, Any], take: Take, *, is_last: bool) -> Brought:
        driver = await self._feeds.borrow()
        try:
            returned = await driver.call(
                self._subscription.follow, arguments, _no_request, push=lambda events: take(events, None)
            )
        finally:
            self._feeds.give_back(driver)
        if returned.outcome is not Outcome.OK or returned.reply is None:
            return Brought(is_open=False)
        cursor: Any = returned.reply[self._subscription.cursor]
        return Brought(is_open=True, cursor=cursor)

    def cut(self) -> None:
        """Nothing is open: it is noticed as whoever has it does not ask."""


def _no_request(step: Request) -> Reaction:
    raise AssertionError(f"a stream asks no outside service, not {step.service}")
