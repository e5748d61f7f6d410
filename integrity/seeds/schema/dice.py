"""Small choices, one at a time, from the numbers of a Source: for the few hundred values that a column draws from."""

from collections.abc import Sequence
from typing import TypeVar

from integrity.seeds.source import Source

Choice = TypeVar("Choice")

_WORDS_AT_ONCE = 4096


class Dice:
    """Choices of a stream of their own for each sequence of numbers that names it."""

    def __init__(self, *name: int) -> None:
        self._source = Source(*name)
        self._words: list[int] = []

    def below(self, size: int) -> int:
        """Return a number from 0 to below size."""
        if not self._words:
            self._words = self._source.words(_WORDS_AT_ONCE).tolist()
        return self._words.pop() * size >> 64

    def between(self, least: int, most: int) -> int:
        """Return a number from least to most."""
        return least + self.below(most - least + 1)

    def choose(self, choices: Sequence[Choice]) -> Choice:
        """Return one of them."""
        return choices[self.below(len(choices))]

    def chance(self, share: float) -> bool:
        """Return True with that probability."""
        return self.below(1_000_000) < share * 1_000_000
