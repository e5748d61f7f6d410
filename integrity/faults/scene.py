"""The scene: what a fault may act on. Nothing else of a run is its business."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager, closing
from dataclasses import dataclass, field
from random import Random
from typing import Any

import psycopg

from integrity.domain import Key
from integrity.engines.embedded.server import EmbeddedServer
from integrity.engines.postgresql.session_settings import OWN
from integrity.engines.target import Target
from integrity.engines.transaction import refusal
from integrity.faults.conduct import Conduct
from integrity.proxy.server import Proxy
from integrity.systems.system import System

APPLICATION_NAME = "integrity-run"
"""By which the run's own connections are known to the server."""


@dataclass(slots=True)
class Scene:
    """What a fault acts on.

    Args:
        target: the database itself, not through the proxy.
        system: that the run loads.
        conduct: how clients and services behave.
        random: draws what a fault leaves open.
        keys: the pools that arguments are drawn from.
        operations: the names of those that clients call by themselves.
        has_subscribers: whether the profile keeps streams open.
        proxy: where the run's connections go through one.
        server: where it is ours.
        is_over_http: clients ask a server, which has the connections to the database and the outside services.
        hang_up: cuts off the calls under way that come from devices which are offline; returns how many.
        counts: what the fault did, e.g. "backends terminated": 12; a new one for each window.
    """

    target: Target
    system: System
    conduct: Conduct
    random: Random
    keys: Mapping[str, Sequence[Key]]
    operations: Sequence[str] = ()
    has_subscribers: bool = False
    proxy: Proxy | None = None
    server: EmbeddedServer | None = None
    is_over_http: bool = False
    hang_up: Callable[[], int] = int
    counts: Counter[str] = field(default_factory=Counter)

    @property
    def wire(self) -> Proxy:
        """The proxy; a fault that needs one has one."""
        assert self.proxy is not None
        return self.proxy

    @property
    def own_server(self) -> EmbeddedServer:
        """The embedded server; a fault that needs it has it."""
        assert self.server is not None
        return self.server

    def ask(self, query: str, parameters: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
        """Return the rows of a query, on a connection of its own, past the proxy.

        Raises:
            Unreachable: no connection.
            DatabaseError: the query was refused.
        """
        with closing(self.target.connect(application_name="integrity-fault", settings=OWN)) as server:
            try:
                return server.execute(query.encode(), parameters).fetchall()
            except psycopg.Error as error:
                raise refusal(self.target, error) from None

    async def ask_soon(self, query: str, parameters: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
        """Return the rows of a query, asked in a thread: the run goes on meanwhile."""
        return await asyncio.to_thread(self.ask, query, parameters)


@asynccontextmanager
async def repeated(act: Callable[[], Awaitable[None]], every_s: float) -> AsyncIterator[None]:
    """Act at once, and again every so many seconds until the context is left; 0: only once."""
    await act()
    if not every_s:
        yield
        return

    async def again() -> None:
        while True:
            await asyncio.sleep(every_s)
            await act()

    acting = asyncio.create_task(again())
    try:
        yield
    finally:
        acting.cancel()
        await asyncio.wait([acting])
    if not acting.cancelled() and (error := acting.exception()) is not None:
        raise error
