"""A source of random numbers whose numbers never change.

numpy promises the same stream from one version to the next only for the raw bits of a bit generator, not for its
distributions. So everything is drawn from the raw bits, by integer arithmetic: the same seed makes the same rows on every
platform and version.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np

Array = np.ndarray[Any, Any]


class Source:
    """Random numbers of a stream of their own for each sequence of numbers that names it.

    Args:
        name: e.g. the user's seed and the first row of a chunk.
    """

    def __init__(self, *name: int) -> None:
        self._bits = np.random.PCG64(np.random.SeedSequence(name))

    def words(self, count: int) -> Array:
        """Return that many random words of 64 bits (uint64)."""
        words: Array = self._bits.random_raw(count)
        return words

    def integers(self, count: int, least: int, most: int, *, step: int = 1) -> Array:
        """Return integers from least to most, both included, in multiples of step above least (int64).

        The 32 high bits of each word are scaled; the bias is below the range divided by 2**32.
        """
        size = (most - least) // step + 1
        return least + step * self._below(count, size)

    def below(self, sizes: Array) -> Array:
        """Return an integer from 0 to below each of the sizes (int64)."""
        _check_size(int(sizes.max(initial=1)))
        return ((self.words(len(sizes)) >> np.uint64(32)).astype(np.int64) * sizes) >> 32

    def chances(self, count: int, share: float) -> Array:
        """Return booleans, each True with that probability."""
        return self._below(count, SHARES) < round(share * SHARES)

    def choices(self, count: int, shares: Sequence[float]) -> Array:
        """Return places in `shares`, each drawn as often as its share of their sum (int64)."""
        bounds = np.cumsum([round(share * SHARES) for share in shares])
        return np.searchsorted(bounds, self._below(count, int(bounds[-1])), side="right")

    def _below(self, count: int, size: int) -> Array:
        _check_size(size)
        return ((self.words(count) >> np.uint64(32)).astype(np.int64) * size) >> 32


def _check_size(size: int) -> None:
    if size > 2**31:
        raise ValueError(f"a range of {size:,} values: 32 random bits reach no further than 2**31; draw it in two parts")


SHARES = 1_000_000
"""Shares are rounded to millionths."""


def make_operation_ids(times_us: Array, source: Source) -> Array:
    """Return a UUIDv7 of each time (dtype V16), its 74 random bits from the source (RFC 9562, 5.7)."""
    count = len(times_us)
    high, low = source.words(count), source.words(count)
    ids = np.empty(count, [("high", ">u8"), ("low", ">u8")])
    milliseconds = (times_us // 1000).astype(np.uint64)
    ids["high"] = milliseconds << np.uint64(16) | np.uint64(0x7000) | high >> np.uint64(52)
    ids["low"] = np.uint64(1 << 63) | low >> np.uint64(2)
    return ids.view("V16")
