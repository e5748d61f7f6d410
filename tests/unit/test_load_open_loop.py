"""An open loop ends when it is told to; calls that wait for a connection are under way all the same."""

import asyncio
from collections.abc import Mapping
from types import SimpleNamespace
from typing import Any, cast

from integrity.domain import World
from integrity.history import Outcome, Returned
from integrity.load.caller import Caller
from integrity.load.client import Clock
from integrity.load.idle import IdleCarriers
from integrity.load.open_loop import OpenLoop
from integrity.load.profile import OpenProfile, load_profile
from integrity.reference.ghostpass.system import GHOSTPASS
from tests.unit.test_load_caller import Pages

HOUR_US = 3_600_000_000


class LastOne:
    """Deliveries of which one is owed for an hour; as the last is made, another is added in the same moment."""

    def __init__(self) -> None:
        self.added = asyncio.Event()
        self.next_at_us: int | None = HOUR_US
        self._asked = 0

    def take(self, now_us: int) -> None:
        return None

    @property
    def outstanding(self) -> int:
        self._asked += 1
        if self._asked == 1:
            return 1
        self.added.set()
        return 0


async def drain() -> None:
    caller = SimpleNamespace(measures=None, deliveries=LastOne(), clock=SimpleNamespace(now_us=lambda: 0))
    profile = SimpleNamespace(clients=0, connections=0, thresholds=())
    loop = OpenLoop(
        cast(OpenProfile, profile),
        cast(Caller, caller),
        seed=1,
        carry=lambda random: None,  # type: ignore[arg-type, return-value]
        reconnector=None,  # type: ignore[arg-type]
        stopping=asyncio.Event(),
    )
    await loop.drain()


def test_a_loop_that_is_drained_ends_when_a_delivery_is_added_as_it_is_told_to_end() -> None:
    async def ends() -> bool:
        work = asyncio.create_task(drain())
        return work in (await asyncio.wait([work], timeout=5))[0]

    assert asyncio.run(ends())


class OneConnection:
    """Carries a call at a time, each until it is let go."""

    is_open = True

    def __init__(self) -> None:
        self.connection = self
        self.carried = 0
        self.carries_second = asyncio.Event()
        self.let_go = asyncio.Semaphore(0)

    async def open(self) -> None:
        return

    async def call(self, operation: object, arguments: Mapping[str, Any], *rest: object, **more: object) -> Returned:
        self.carried += 1
        if self.carried == 2:
            self.carries_second.set()
        await self.let_go.acquire()
        return Returned(Outcome.OK, {}, "", 1)


def test_a_call_that_waited_for_a_connection_is_under_way_since_it_was_to_be_made() -> None:
    """What a fault held up returned behind its window, and failed the run's limits on latency."""

    async def act() -> tuple[int | None, int]:
        stream = {"name": "tills", "operations": ["sell"], "per_minute": 60_000}
        of = {"extends": "smoke", "connections": 1, "streams": [stream], "bursts": []}
        profile = load_profile(GHOSTPASS, "test", {"test": of})
        assert isinstance(profile, OpenProfile)
        world = World({"wallets": [1, 2], "terminals": [1], "sales": [1]}, hot_share=0.0, hot_count=1)
        operations = GHOSTPASS.operations
        caller = Caller(
            system=GHOSTPASS,
            operations=operations,
            profile=profile,
            world=world,
            clock=Clock(),
            history=Pages(),
            first_free_number=99,
        )
        carrier = OneConnection()
        loop = OpenLoop(
            profile,
            caller,
            seed=1,
            carry=lambda random: carrier,  # type: ignore[arg-type, return-value]
            reconnector=None,  # type: ignore[arg-type]
            stopping=asyncio.Event(),
        )
        await loop.open()
        work = asyncio.create_task(loop.run())
        while loop.sent < 2:  # noqa: ASYNC110  nothing tells of it
            await asyncio.sleep(0)
        healed_us = caller.clock.now_us()
        carrier.let_go.release()
        await carrier.carries_second.wait()
        since_us = caller.under_way_since_us
        work.cancel()
        await asyncio.wait([work])
        return since_us, healed_us

    since_us, healed_us = asyncio.run(act())
    assert since_us is not None
    assert since_us < healed_us


def test_who_waits_longest_for_a_connection_gets_the_next_and_nobody_who_comes_passes_by() -> None:
    """Whoever came as one was given back took it, and who had waited went behind all others: for 45 s, and these 15."""

    async def act() -> list[str]:
        idle, served = IdleCarriers(), list[str]()
        carrier: Any = OneConnection()

        async def use(name: str) -> None:
            got = await idle.get()
            served.append(name)
            await asyncio.sleep(0)
            idle.put(got)

        idle.put(carrier)
        first = await idle.get()
        waiting = [asyncio.create_task(use(name)) for name in ("a", "gone", "b")]
        await asyncio.sleep(0)
        waiting[1].cancel()
        waiting += [asyncio.create_task(use("late"))]  # it asks in this moment, and runs before who is woken
        idle.put(first)
        given_up = asyncio.create_task(use("given up as it got one"))
        while "late" not in served:  # noqa: ASYNC110  nothing tells of it
            await asyncio.sleep(0)
        given_up.cancel()
        await asyncio.wait([*waiting, given_up])
        assert await idle.get() is carrier
        return served

    assert asyncio.run(act())[:3] == ["a", "b", "late"]
