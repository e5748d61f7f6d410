"""How late an event loop is: what it was to do at a moment it does when it comes to it."""

import asyncio
from array import array
from collections.abc import Callable

LOOP_LAG_S = 0.05
"""How often it is looked at."""


class LoopLag:
    """Measures the loop that it runs in.

    Args:
        looked: done each time.
    """

    def __init__(self, looked: Callable[[], None] = lambda: None) -> None:
        self.lags_ms = array("d")
        self._looked = looked
        self._taken = 0

    async def measure(self) -> None:
        """Measure until this is cancelled."""
        loop = asyncio.get_running_loop()
        while True:
            before = loop.time()
            await asyncio.sleep(LOOP_LAG_S)
            self.lags_ms.append(max(0.0, loop.time() - before - LOOP_LAG_S) * 1000)
            self._looked()

    def take_worst_ms(self) -> float | None:
        """Return the worst since this was last asked, from another thread; None: there was none."""
        new = self.lags_ms[self._taken :]
        self._taken += len(new)
        return max(new, default=None)
