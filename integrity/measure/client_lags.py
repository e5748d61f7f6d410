"""How long what each client received was on its way, client by client: one that waits is not lost among thousands.

Of each client its lags are counted in buckets, each 2% wider than the one before: some dozens of numbers, however long it
listens. What is read from them is a bucket's upper end, so at most 2% too long, and never too short.
"""

import math
from collections.abc import Iterable, Mapping
from typing import Self

_LEAST_MS = 0.1
_STEP = math.log(1.02)

HEARD_LEAST = 100
"""So much a client must have received for 99% of it to be less than all."""

Held = Mapping[int, Mapping[int, int]]


class ClientLags:
    """Of each client, by its number: bucket -> how many."""

    __slots__ = ("_of",)

    def __init__(self) -> None:
        self._of: dict[int, dict[int, int]] = {}

    @classmethod
    def of(cls, parts: Iterable["ClientLags"]) -> Self:
        """Return those of several shares of the clients, or of several times."""
        whole = cls()
        for part in parts:
            for client, counts in part._of.items():
                mine = whole._of.setdefault(client, {})
                for bucket, count in counts.items():
                    mine[bucket] = mine.get(bucket, 0) + count
        return whole

    def add(self, client: int, lag_ms: float) -> None:
        """Count what a client received so long after it was sent."""
        bucket = max(0, math.ceil(math.log(lag_ms / _LEAST_MS) / _STEP)) if lag_ms > _LEAST_MS else 0
        mine = self._of.get(client)
        if mine is None:
            mine = self._of[client] = {}
        mine[bucket] = mine.get(bucket, 0) + 1

    def held(self) -> Held:
        """Return what is counted by now, for `since`."""
        return {client: dict(counts) for client, counts in self._of.items()}

    def since(self, before: Held | None) -> "ClientLags":
        """Return what came after."""
        new = ClientLags()
        for client, counts in self._of.items():
            less = (before or {}).get(client, {})
            left = {bucket: count - less.get(bucket, 0) for bucket, count in counts.items() if count > less.get(bucket, 0)}
            if left:
                new._of[client] = left
        return new

    def percentiles(self, percent: float) -> list[float]:
        """Return, of each client that heard enough for it, the lag in ms that so many percent of its messages keep."""
        found = []
        for counts in self._of.values():
            total = sum(counts.values())
            if total < HEARD_LEAST:
                continue
            rank, seen = math.ceil(percent / 100 * total - 1e-9), 0
            for bucket in sorted(counts):
                seen += counts[bucket]
                if seen >= rank:
                    found.append(_LEAST_MS * math.exp(bucket * _STEP))
                    break
        return found
