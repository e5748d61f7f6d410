"""Deliveries: the webhooks that outside services owe, by due time.

A service sends a webhook until it is answered, so one whose call was unavailable, failed or is unknown comes again, later
each time. Two
that are due at the same instant are sent at the same instant: who takes the first waits a moment for who takes the second.
"""

import asyncio
import heapq
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby

from integrity.operation import Value
from integrity.systems.service import Delivery

MEETING_S_MOST = 0.05
RETRY_S_MOST = 10.0


@dataclass(slots=True)
class CausingCall:
    """The call whose request caused a delivery; it is settled when the first of its deliveries was acknowledged."""

    operation: str
    intended_at_us: int
    is_settled: bool = False


class Meeting:
    """Deliveries that are sent at once: each of them waits until all have been taken, but not long."""

    def __init__(self, count: int) -> None:
        self._missing = count
        self._all_here = asyncio.Event()

    async def wait(self) -> None:
        self._missing -= 1
        if self._missing <= 0:
            self._all_here.set()
            return
        try:
            async with asyncio.timeout(MEETING_S_MOST):
                await self._all_here.wait()
        except TimeoutError:
            return  # nobody was free: sent one after the other, as webhooks also are


@dataclass(slots=True)
class Due:
    """A delivery with its due time.

    Args:
        retry_s: when it is sent again if it was not acknowledged.
        attempt: 1, and 1 more each time it is sent again.
        service: whose it is.
        is_replay: as of a Delivery.
    """

    at_us: int
    operation: str
    arguments: Mapping[str, Value]
    origin: CausingCall
    retry_s: float
    attempt: int = 1
    meeting: Meeting | None = None
    service: str = ""
    is_replay: bool = False


@dataclass(frozen=True, slots=True)
class QueuedWebhooks:
    """What one service owes one operation at a moment.

    Args:
        again: of them, those that were sent before and not acknowledged.
        last_due_s: until the last of them is due; 0: all are.
    """

    service: str
    operation: str
    count: int
    again: int
    last_due_s: float


class Deliveries:
    """The queue. What was taken stays outstanding until it is acknowledged."""

    def __init__(self) -> None:
        self._heap: list[tuple[int, int, Due]] = []
        self._number = 0
        self._taken: dict[int, Due] = {}
        self.added = asyncio.Event()

    @property
    def outstanding(self) -> int:
        """How many are owed: queued, or taken and not yet acknowledged."""
        return len(self._heap) + len(self._taken)

    def count_since(self, since_us: int) -> int:
        """Return how many are owed that follow from calls of this moment or later."""
        owed = (*(due for _, _, due in self._heap), *self._taken.values())
        return sum(due.origin.intended_at_us >= since_us for due in owed)

    @property
    def next_at_us(self) -> int | None:
        return self._heap[0][0] if self._heap else None

    def add(
        self,
        deliveries: Sequence[Delivery],
        *,
        now_us: int,
        origin: CausingCall,
        retry_s: float,
        service: str = "",
    ) -> None:
        for _, group in groupby(sorted(deliveries, key=_delay), key=_delay):
            together = list(group)
            meeting = Meeting(len(together)) if len(together) > 1 else None
            for delivery in together:
                at_us = now_us + round(delivery.delay_s * 1_000_000)
                due = Due(at_us, delivery.operation, delivery.arguments, origin, retry_s, meeting=meeting, service=service)
                due.is_replay = delivery.is_replay
                self._push(due)

    def queued(self, now_us: int) -> list[QueuedWebhooks]:
        """Return what is queued, by service and operation; the most first."""
        by_origin: defaultdict[tuple[str, str], list[Due]] = defaultdict(list)
        for _, _, due in self._heap:
            by_origin[due.service, due.operation].append(due)
        found = [
            QueuedWebhooks(
                service,
                operation,
                len(owed),
                sum(due.attempt > 1 for due in owed),
                max(0.0, (max(due.at_us for due in owed) - now_us) / 1_000_000),
            )
            for (service, operation), owed in by_origin.items()
        ]
        return sorted(found, key=lambda each: -each.count)

    def take(self, now_us: int) -> Due | None:
        """Return a delivery that is due, the longest due first, or None."""
        if not self._heap or self._heap[0][0] > now_us:
            return None
        due = heapq.heappop(self._heap)[2]
        self._taken[id(due)] = due
        return due

    def hasten(self, now_us: int) -> None:
        """Let everything be due at once: nobody waits any more for the moment at which it was to come."""
        for _, _, due in self._heap:
            due.at_us = min(due.at_us, now_us)
        self._heap = [(due.at_us, number, due) for _, number, due in self._heap]
        heapq.heapify(self._heap)
        self.added.set()

    def acknowledge(self, due: Due) -> None:
        """It was answered ok or declined, or nobody sends it any more."""
        del self._taken[id(due)]

    def send_again(self, due: Due, now_us: int) -> None:
        """It was unavailable, failed or is unknown: due again, after a pause that doubles."""
        del self._taken[id(due)]
        pause_s = min(RETRY_S_MOST, due.retry_s * 2.0 ** min(due.attempt - 1, 30))
        due.at_us, due.attempt, due.meeting = now_us + round(pause_s * 1_000_000), due.attempt + 1, None
        self._push(due)

    def _push(self, due: Due) -> None:
        self._number += 1
        heapq.heappush(self._heap, (due.at_us, self._number, due))
        self.added.set()


def _delay(delivery: Delivery) -> float:
    return delivery.delay_s
