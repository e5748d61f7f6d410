"""What a process that makes a share of a run's calls finds elsewhere: services, faults, and when the others are as far.

All of it is at the other side of its door, in the process of the run (sharded_work.py).
"""

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping, Sequence
from random import Random
from typing import Any

from integrity.clients.carrier import Carrier
from integrity.clients.connection import Connection, make_connection
from integrity.clients.driver import Driver
from integrity.clients.services import Reacted
from integrity.domain import Key, World
from integrity.engines.target import Target
from integrity.faults.conduct import Conduct
from integrity.load.client import Sources
from integrity.load.phases import Phase, Piece, Pieces
from integrity.load.shards.door import Door
from integrity.load.shards.order import Order
from integrity.load.workload import Workload
from integrity.operation import Request

MADE_AFTER_S = 0.05
"""So long keys that calls have made are gathered, before the other processes are told."""


class ServicesElsewhere:
    """Asks the outside services of the run."""

    def __init__(self, door: Door) -> None:
        self._door = door

    def ask(self, step: Request, sources: Sources) -> "asyncio.Future[Reacted]":
        """Ask now; return what is to hold what the service did."""
        return self._door.ask("serve", step, sources.name)


class FaultsElsewhere:
    """The faults of the run, as far as they change how clients behave; see faulting.Faulting for its methods."""

    def __init__(self, order: Order, workload: Workload, door: Door) -> None:
        self.conduct = Conduct(workload.profile.services, workload.system.services)
        self.is_planned = order.has_faults
        self.revive: Callable[[], object] | None = self._revive if order.can_revive else None
        self._target, self._startup = Target.parse(order.database), order.startup
        self._schemas = workload.system.schemas
        self._door = door
        self._loop = asyncio.get_running_loop()
        self._is_active = False
        self._hang_up: Callable[[], int] = int
        self._turned: Callable[[], Awaitable[None]]

    def is_active(self) -> bool:
        return self._is_active

    async def open(self) -> None:
        return

    def connect(self) -> Connection:
        return make_connection(self._target, self._schemas, conduct=self.conduct, startup=self._startup)

    def carry(self, random: Random) -> Carrier:
        return Driver(self.connect(), random)

    def start(
        self,
        *,
        now_us: Callable[[], int],
        hang_up: Callable[[], int],
        failed: Callable[[], None],
        turned: Callable[[], Awaitable[None]],
    ) -> None:
        del now_us, failed
        self._hang_up, self._turned = hang_up, turned

    async def finish(self) -> None:
        """Say that no more calls are drawn here; return when that is so everywhere, and what was in force is healed."""
        await self._door.ask("reach", "drawn")

    async def close(self) -> None:
        return

    async def turn(self, *, is_active: bool) -> Counter[str]:
        """A fault is about to be in force, or is none any more; return what came of changed conduct since the last time."""
        self._is_active = is_active
        await self._turned()
        return self.take_counts()

    def take_counts(self) -> Counter[str]:
        """Return what the changes of the conduct came to since this was last asked."""
        counts = Counter(self.conduct.counts)
        self.conduct.counts.clear()
        return counts

    def hang_up(self) -> None:
        """Cut off the calls that come from devices which are offline."""
        self._hang_up()

    def _revive(self) -> None:
        asyncio.run_coroutine_threadsafe(_awaited(self._door.ask, "revive"), self._loop).result()


async def _awaited(ask: Callable[..., Awaitable[Any]], *what: Any) -> Any:
    return await ask(*what)


class Others:
    """The other processes that make calls: see company.Company."""

    def __init__(self, door: Door) -> None:
        self._door = door

    async def opened(self) -> None:
        await self._door.ask("reach", "opened")

    async def next_piece(self, pieces: Pieces, ended: Phase | None) -> Piece | None:
        if not pieces.is_search:
            return pieces.next(ended)
        piece: Piece | None = await self._door.ask("piece", ended)
        return piece

    async def delivered(self, *, is_all: bool) -> bool:
        sweeps: bool = await self._door.ask("reach", "delivered", is_all)
        return sweeps

    async def swept(self) -> None:
        await self._door.ask("reach", "swept")


class MadeKeys:
    """Keys that calls make drawable, here and elsewhere: all processes draw from the same rows."""

    def __init__(self, world: World, door: Door) -> None:
        self._world, self._door = world, door
        self._made: list[tuple[str, Key]] = []
        self._loop = asyncio.get_running_loop()

    def made(self, pool: str, key: Key) -> None:
        """Note a key that was made here."""
        if not self._made:
            self._loop.call_later(MADE_AFTER_S, self._tell)
        self._made.append((pool, key))

    def take(self, made: Sequence[tuple[str, Key]]) -> None:
        """Take keys that were made elsewhere."""
        for pool, key in made:
            self._world.add(pool, key)

    def _tell(self) -> None:
        made, self._made = self._made, []
        self._door.tell("made", made)


def take_conduct(conduct: Conduct, state: Mapping[str, Any]) -> None:
    """Behave as the run's clients are to."""
    for name, value in state.items():
        if getattr(conduct, name) != value:  # connections ask whether settings are the same, not whether they are alike
            setattr(conduct, name, value)
