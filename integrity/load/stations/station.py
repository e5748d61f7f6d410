"""A station: makes calls of a run on another machine, each when it is asked to, and tells the run of every one."""

import asyncio
import time
from collections.abc import Callable, Iterable
from typing import Any, Protocol

from integrity.clients.carrier import Carrier
from integrity.clients.http import Server
from integrity.clients.reconnecting import Reconnector
from integrity.domain import Key
from integrity.engines.values import json_of
from integrity.history import Returned
from integrity.load.caller import Caller
from integrity.load.client import Client, Clock, Sources
from integrity.load.stations.order import CLIENTS_OF_ONE, StationOrder
from integrity.load.turns import Turns
from integrity.load.workload import Workload

TOLD_AFTER_S = 0.02
"""So long lines are gathered: what a station has not told when its machine is lost, nobody knows of."""


class Tell(Protocol):
    """Tells the run something."""

    def __call__(self, kind: str, **what: Any) -> None: ...


class ToldLog:
    """A history that is kept elsewhere: its lines are told. See caller.CallLog."""

    def __init__(self, tell: Tell) -> None:
        self._tell = tell
        self._calls: list[str] = []
        self._requests: list[str] = []
        self._is_due = False

    def append(self, line: bytes) -> None:
        self._calls.append(line.decode())
        self._tell_soon()

    append_soon = append

    def flush(self) -> None:
        """Tell nothing sooner: all lines go within the same moment."""

    def append_request(self, line: bytes) -> None:
        self._requests.append(line.decode())
        self._tell_soon()

    def append_received(self, lines: Iterable[bytes]) -> None:
        raise AssertionError(f"a station opens no streams, and has {len(list(lines))} lines of one")

    def tell_all(self) -> None:
        """Tell what has not been told."""
        self._is_due = False
        if self._calls or self._requests:
            self._tell("calls", calls=self._calls, requests=self._requests)
            self._calls, self._requests = [], []

    def _tell_soon(self) -> None:
        if not self._is_due:
            self._is_due = True
            asyncio.get_running_loop().call_later(TOLD_AFTER_S, self.tell_all)


class Station:
    """Makes the calls.

    Args:
        tell: tells the run.
    """

    def __init__(self, order: StationOrder, workload: Workload, server: Server, clock: Clock, tell: Tell) -> None:
        self._order, self._server = order, server
        self._log = ToldLog(tell)
        self._tell = tell
        self._caller = Caller(
            system=workload.system,
            operations=workload.operations,
            profile=order.profile,
            world=order.world,
            clock=clock,
            history=self._log,
            first_free_number=order.first_client + CLIENTS_OF_ONE // 2,
            made=self._made,
        )
        self._turns = Turns(order.profile, self._caller, Reconnector(revive=None, waits=False))
        self._clients: dict[int, tuple[Client, Carrier]] = {}
        self._under_way: set[asyncio.Task[None]] = set()
        self._is_ending = False

    def call(self, user: int, returned: Callable[[str, Returned, float], None]) -> None:
        """Make the next call of a user, by his number from 0; say which it was, how it ended, and after how many ms.

        Where the run is at its end he is told nothing any more.
        """
        if self._is_ending:
            return
        task = asyncio.get_running_loop().create_task(self._call(user, returned))
        self._under_way.add(task)
        task.add_done_callback(self._under_way.discard)

    def take_made(self, pool: str, key: Key) -> None:
        """Take a key that was made elsewhere."""
        self._caller.world.add(pool, key)

    async def end(self) -> None:
        """Return when all calls have returned, and all that is owed was delivered; the last ones have been told then.

        No call is made any more: its connection may be busy with a delivery.
        """
        self._is_ending = True
        while self._under_way:
            await asyncio.wait(self._under_way)
        async with asyncio.TaskGroup() as group:
            for client, carrier in self._clients.values():
                group.create_task(self._turns.empty(client, carrier))
        for _, carrier in self._clients.values():
            await carrier.connection.close()
        self._log.tell_all()

    async def _call(self, user: int, returned: Callable[[str, Returned, float], None]) -> None:
        client, carrier = self._clients.get(user) or self._begin(user)
        while True:
            began_at = time.perf_counter()
            made = await self._turns.take(client, carrier)
            if made is not None:
                returned(*made, (time.perf_counter() - began_at) * 1000)
                return

    def _begin(self, user: int) -> tuple[Client, Carrier]:
        """Return a user's client; what it draws does not depend on the others."""
        number = self._order.first_client + user
        client = Client(number, Sources(self._order.seed, f"client-{number}"))
        began = self._clients[user] = client, self._server.carry(client.sources.pauses)
        return began

    def _made(self, pool: str, key: Key) -> None:
        self._tell("made", pool=pool, key=json_of(key))
