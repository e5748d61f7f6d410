"""Who watches a run is told rates of the time that they were counted in."""

import asyncio
from types import SimpleNamespace
from typing import cast

from integrity.history import Outcome, Returned
from integrity.load.client import Clock
from integrity.load.watching import Watching
from integrity.measure.calls import Measures


def test_a_rate_is_of_the_time_since_the_last_sample_and_at_the_end_of_the_whole_run() -> None:
    """The last sample is of some ms: a run of 1,300 calls a second ended with "1/s" on its screen."""

    async def watch() -> list[float]:
        measures, clock = Measures(), cast(Clock, SimpleNamespace(now_us=lambda: 1))
        watching = Watching(measures, clock, duration_s=4.0, append=lambda sample: None, rss_mb=lambda: 1.0)
        watching.start()
        rates: list[float] = []
        for seconds, calls in ((2.0, 100), (2.0, 300), (0.001, 1)):
            watching._started_at -= seconds  # so much time has gone by
            for _ in range(calls):
                measures.add("sell", Returned(Outcome.OK, {}, "", 1), 1.0)
            watching.sample() if calls > 1 else watching.finish(4.001)
            rates.append(round(watching.advanced(watching.phase).calls_per_s))
        return rates

    assert asyncio.run(watch()) == [50, 150, 100]
