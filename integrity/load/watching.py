"""Watching a run: once a second a sample goes to its folder, and to whoever listens how it is doing.

What is to be told stands in a queue, which driving.py empties.
"""

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeAlias

from integrity.events import Event
from integrity.load.client import Clock
from integrity.load.recent import known_of_all, known_percentiles
from integrity.load.request import RunAdvanced
from integrity.measure.calls import Measures
from integrity.runs.samples import RunSample

SAMPLE_S = 1.0

AppendSample: TypeAlias = Callable[[RunSample], None]
"""Writes a sample down."""


async def _nothing() -> None:
    """Bring nothing up to date: where the calls are made here, they are measured as they return."""


class Watching:
    """Watches the calls of a run.

    Args:
        append: writes a sample down.
        rss_mb: of the generator, at the moment.
        look: brings the measures up to date.

    Attributes:
        phase: as RunAdvanced has it.
        elapsed_s: while calls were drawn; 0: they still are.
    """

    def __init__(
        self,
        measures: Measures,
        clock: Clock,
        *,
        duration_s: float,
        append: AppendSample,
        rss_mb: Callable[[], float],
        look: Callable[[], Awaitable[None]] = _nothing,
    ) -> None:
        self.told: asyncio.Queue[Event] = asyncio.Queue()
        self.samples: list[RunSample] = []
        self.phase = "running"
        self.elapsed_s = 0.0
        self._measures = measures
        self._append = append
        self._clock = clock
        self._duration_s = duration_s
        self._rss_mb = rss_mb
        self._look = look
        self._started_at = 0.0
        self._sampled_at_s = self._calls_per_s = 0.0

    def start(self) -> None:
        """Count the run's seconds from now."""
        self._started_at = asyncio.get_running_loop().time()

    async def watch(self) -> None:
        """Watch until this is cancelled."""
        while True:
            await asyncio.sleep(SAMPLE_S)
            if self.phase == "running":
                await self._look()
            if self.phase == "running":
                self.sample()
            self.told.put_nowait(self.advanced(self.phase))

    def finish(self, elapsed_s: float) -> None:
        """Take the last sample: no more calls are drawn."""
        self.elapsed_s = elapsed_s
        self.sample()
        self.phase = "finishing"
        # Of the whole run from now on: since the last sample there was hardly any time, and nothing more is drawn.
        self._calls_per_s = self._measures.calls_sampled / elapsed_s if elapsed_s else 0.0

    def sample(self) -> None:
        """Take a sample."""
        elapsed_s = asyncio.get_running_loop().time() - self._started_at
        sample = self._measures.sample(elapsed_s, at_us=self._clock.now_us(), rss_mb=self._rss_mb())
        self._append(sample)
        since_s, self._sampled_at_s = elapsed_s - self._sampled_at_s, elapsed_s
        self._calls_per_s = sample.calls / since_s if since_s > 0 else 0.0
        # The operations are in the file; what is kept here is read for trends.
        self.samples.append(sample.model_copy(update={"operations": {}}))

    def advanced(self, phase: str) -> RunAdvanced:
        """Return how the run is doing."""
        measures = self._measures
        recent_ms = measures.recent_ms()
        return RunAdvanced(
            phase=phase,
            elapsed_s=self.elapsed_s or asyncio.get_running_loop().time() - self._started_at,
            duration_s=self._duration_s,
            calls_per_s=self._calls_per_s,
            operations=measures.counts(),
            recent={name: known_percentiles(each) for name, each in recent_ms.items()},
            recent_of_all=known_of_all(recent_ms),
        )
