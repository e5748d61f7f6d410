"""What the processes of a run say of their calls while it goes on, and what it comes to together.

Counts are those so far, latencies those since the last time: as many as there were calls in a second.
"""

from array import array
from collections.abc import Mapping
from typing import TypeAlias

from integrity.measure.calls import Measures
from integrity.runs.samples import Counts

COUNTED = tuple(name for name in Counts.model_fields if name != "calls")

News: TypeAlias = "Mapping[str, tuple[tuple[int, ...], array[float]]]"
"""Operation -> its counts so far, in the order of COUNTED, and the latencies of what was answered since the last time."""


def take_news(measures: Measures) -> News:
    """Return what has come since this was last asked."""
    news = {}
    for name, measure in measures.operations.items():
        latencies_ms, measure.unsampled_ms = measure.unsampled_ms, array("d")
        news[name] = tuple(getattr(measure, count) for count in COUNTED), latencies_ms
    return news


class LiveMeasures:
    """The counts and latest latencies of all processes together.

    Args:
        groups: as Measures has them.

    Attributes:
        measures: hold no distributions: those come at the end.
    """

    def __init__(self, groups: Mapping[str, str]) -> None:
        self.measures = Measures(groups)
        self._counts: dict[str, dict[int, tuple[int, ...]]] = {}

    def take(self, process: int, news: News) -> None:
        """Take what one of the processes says."""
        for name, (counts, latencies_ms) in news.items():
            by_process = self._counts.setdefault(name, {})
            by_process[process] = counts
            measure = self.measures.of(name)
            for place, count in enumerate(COUNTED):
                setattr(measure, count, sum(each[place] for each in by_process.values()))
            measure.unsampled_ms.extend(latencies_ms)
