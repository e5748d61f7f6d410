"""Percentiles of any number of values: a distribution keeps them by size, in memory that does not grow with their number.

Values are counted in buckets, each 0.2% wider than the one before, as HdrHistogram does (Gil Tene). Of each bucket the
largest value is kept, so that a percentile is a value that occurred, and at most 0.2% above the exact one.
"""

import math
from array import array
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Self

import numpy as np

from integrity.runs.percentiles import Percentiles


def percent_of(name: str) -> float:
    """Return the percent that a percentile is called after: 99 of "p99", 99.9 of "p999"."""
    digits = name.removeprefix("p")
    return float(f"{digits[:2]}.{digits[2:] or 0}")


_PERCENTS = {field: percent_of(field.removesuffix("_ms")) for field in Percentiles.model_fields}
"""Which there are: those that samples and results have a field for."""

_LEAST = 0.001
_RATIO = 1.002
_STEP = math.log(_RATIO)
_BUCKETS = math.ceil(math.log(1e10) / _STEP)  # in ms: from a microsecond to four months
_NEW_MOST = 512


@dataclass(frozen=True, slots=True)
class Held:
    """What a distribution held at a moment: the buckets with something in them, and their counts."""

    buckets: "np.ndarray[Any, Any]"
    counts: "np.ndarray[Any, Any]"
    total: float


class Distribution:
    """Values from 0 on, e.g. latencies in ms; smaller than a microsecond they are alike."""

    __slots__ = ("_counts", "_greatest", "_new", "_number", "_total")

    def __init__(self) -> None:
        self._counts = array("q", bytes(8 * _BUCKETS))
        self._greatest = array("d", bytes(8 * _BUCKETS))
        self._number = 0
        self._total = 0.0
        self._new = array("d")  # in no bucket yet: many at once take a tenth of the time

    @classmethod
    def of(cls, parts: Iterable["Distribution"]) -> Self:
        """Return the distribution of the values of several."""
        whole = cls()
        counts, greatest = np.frombuffer(whole._counts, dtype="i8"), np.frombuffer(whole._greatest)
        for part in parts:
            part._sort_in()
            counts += np.frombuffer(part._counts, dtype="i8")
            np.maximum(greatest, np.frombuffer(part._greatest), out=greatest)
            whole._number += part._number
            whole._total += part._total
        return whole

    def __len__(self) -> int:
        return self._number + len(self._new)

    def __getstate__(self) -> tuple[Any, ...]:
        """Return what crosses to another process: of the buckets those with something in them."""
        held, greatest = self.held(), np.frombuffer(self._greatest)
        return held.buckets, held.counts, greatest[held.buckets], self._number, self._total

    def __setstate__(self, state: tuple[Any, ...]) -> None:
        buckets, counts, greatest, number, total = state
        self.__init__()  # type: ignore[misc]  # as it is made: nothing is in it by now
        np.frombuffer(self._counts, dtype="i8")[buckets] = counts
        np.frombuffer(self._greatest)[buckets] = greatest
        self._number, self._total = number, total

    def append(self, value: float) -> None:
        new = self._new
        new.append(value)
        if len(new) >= _NEW_MOST:
            self._sort_in()

    def _sort_in(self) -> None:
        """Put into buckets what is in none yet; who asks for anything but the number does so first."""
        if not self._new:
            return
        values = np.sort(np.array(self._new))
        del self._new[:]
        buckets = np.clip(np.log(np.maximum(values, _LEAST) / _LEAST) / _STEP, 0, _BUCKETS - 1).astype("i8")
        counts, greatest = np.frombuffer(self._counts, dtype="i8"), np.frombuffer(self._greatest)
        np.add.at(counts, buckets, 1)
        greatest[buckets] = np.maximum(greatest[buckets], values)  # of a bucket's values the last, so the largest, stays
        self._number += len(values)
        self._total += float(values.sum())

    @property
    def mean(self) -> float | None:
        self._sort_in()
        return self._total / self._number if self._number else None

    @property
    def greatest(self) -> float | None:
        return self.percentile(100)

    def percentile(self, p: float) -> float | None:
        """Return the value that p in a hundred do not exceed; None without values."""
        self._sort_in()
        if not self._number:
            return None
        reached = np.cumsum(np.frombuffer(self._counts, dtype="i8"))
        bucket = int(np.searchsorted(reached, max(1, math.ceil(p / 100 * self._number - 1e-9))))
        return self._greatest[bucket]

    def count_above(self, limit: float) -> int:
        """Return how many values are over the limit, as percentiles are: each as the largest of its bucket."""
        self._sort_in()
        return int(np.frombuffer(self._counts, dtype="i8")[np.frombuffer(self._greatest) > limit].sum())

    def held(self) -> Held:
        """Return what `since` needs to tell what has come later."""
        self._sort_in()
        counts = np.frombuffer(self._counts, dtype="i8")
        buckets = np.flatnonzero(counts)
        return Held(buckets, counts[buckets], self._total)

    def since(self, held: Held | None) -> "Distribution":
        """Return the distribution of the values that came after the mark; all without one."""
        later = Distribution.of([self])
        if held is not None:
            np.frombuffer(later._counts, dtype="i8")[held.buckets] -= held.counts
            later._number -= int(held.counts.sum())
            later._total -= held.total
        return later


def percentiles(latencies_ms: "Distribution | Sequence[float] | np.ndarray[Any, Any]") -> dict[str, float | None]:
    """Return the fields of Percentiles, each the latency of a call that happened; None without calls."""
    if isinstance(latencies_ms, Distribution):
        found = [latencies_ms.percentile(percent) for percent in _PERCENTS.values()]
    elif not len(latencies_ms):
        found = [None] * len(_PERCENTS)
    else:
        found = list(np.percentile(np.array(latencies_ms), list(_PERCENTS.values()), method="inverted_cdf"))
    return {field: None if value is None else round(float(value), 3) for field, value in zip(_PERCENTS, found, strict=True)}
