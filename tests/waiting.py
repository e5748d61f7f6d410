"""Waiting for what another process does, without taking from it the processor that it needs to do it."""

import time
from collections.abc import Callable
from typing import TypeVar

EVERY_S = 0.02
S_MAX = 60.0

T = TypeVar("T")


def wait_until(comes_true: Callable[[], T], *, or_says: Callable[[], object] = lambda: "it did not come about") -> T:
    """Return what is asked for again and again as soon as it is true; an error says why it was asked in vain."""
    deadline = time.monotonic() + S_MAX
    while not (found := comes_true()):
        assert time.monotonic() < deadline, or_says()
        time.sleep(EVERY_S)
    return found
