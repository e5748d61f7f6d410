"""Dealing out and counting off: combinations, each for one row, and the rows of a group one after the other."""

from collections.abc import Mapping

import numpy as np

from integrity.engines.columns import Array
from integrity.seeds.source import Source

Draws = dict[str, Array]


class Deal:
    """Deals out the combinations of some choices, each once, in a random order.

    Args:
        name: the unique constraint's.
        sizes: what is drawn -> how many choices it has.
        product: how many combinations there are.
    """

    def __init__(self, name: str, sizes: Mapping[str, int], product: int, source: Source) -> None:
        self.name = name
        self._sizes = dict(sizes)
        self._order = np.argsort(source.words(product), kind="stable")
        self._at = 0

    @property
    def is_over(self) -> bool:
        return self._at >= len(self._order)

    def take(self, count: int) -> Draws:
        """Return that many combinations, or what is left of them."""
        left = self._order[self._at : self._at + count]
        self._at += len(left)
        draws: Draws = {}
        for name, size in self._sizes.items():
            draws[name] = left % size
            left = left // size
        return draws


def rank_within(group: Array) -> Array:
    """Return of each row how many rows of its group stand before it."""
    order = np.argsort(group, kind="stable")
    ordered = group[order]
    starts = np.flatnonzero(np.concatenate([[True], ordered[1:] != ordered[:-1]])) if len(group) else np.zeros(0, np.int64)
    lengths = np.diff(np.append(starts, len(group)))
    ranks = np.empty(len(group), np.int64)
    ranks[order] = np.arange(len(group)) - np.repeat(starts, lengths)
    return ranks
