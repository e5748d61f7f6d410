"""A deadline: by when all that is played must be at its end.

It is asked where a schedule is played and where databases are made for some, and there only: whoever is in the middle of
something then says what there is by then.
"""

import math
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass


class BudgetOver(Exception):
    """The deadline has passed: what was to be played is not."""


@dataclass(slots=True)
class Deadline:
    """A point in time; one object is shared by all that it ends.

    Args:
        at: by the clock.
    """

    at: float = math.inf
    clock: Callable[[], float] = time.monotonic

    @classmethod
    def within(cls, seconds: float) -> "Deadline":
        """Return the one so many seconds from now."""
        return cls(time.monotonic() + seconds)

    @property
    def is_over(self) -> bool:
        return self.clock() > self.at

    @property
    def seconds_left(self) -> float:
        return self.at - self.clock()

    def check(self) -> None:
        """Raise BudgetOver if it is."""
        if self.is_over:
            raise BudgetOver

    @contextmanager
    def lifted(self) -> Iterator[None]:
        """Play on behind it: what was found is told whole, which takes a few schedules."""
        at, self.at = self.at, math.inf
        try:
            yield
        finally:
            self.at = at
