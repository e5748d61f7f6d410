"""An open loop on no connection: it ends when it is told to."""

import asyncio
from types import SimpleNamespace
from typing import cast

from integrity.load.caller import Caller
from integrity.load.open_loop import OpenLoop
from integrity.load.profile import OpenProfile

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
