"""The courier: sends what outside services owe as it comes due, and again until it is answered."""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from random import Random

from integrity.clients.deliveries import Deliveries, Due
from integrity.faults.conduct import Conduct
from integrity.history import Outcome, Returned
from integrity.serve.record import now_us
from integrity.systems.service import Delivery

ATTEMPTS_MOST = 12
"""A webhook or a job that fails is made so often. What only could not be made now comes again for as long as it takes."""

END_S = 5.0
"""So long those that are under way have at the end."""

_log = logging.getLogger("integrity.serve")


class Courier:
    """Sends deliveries.

    Args:
        send: makes one, and returns how it ended.
        at_once: so many are under way at a time.
        conduct: says whether what was answered comes once more.
    """

    def __init__(
        self,
        deliveries: Deliveries,
        send: Callable[[Due], Awaitable[Returned]],
        *,
        at_once: int,
        conduct: Conduct,
        random: Random,
    ) -> None:
        self.deliveries = deliveries
        self.given_up = 0
        self._send = send
        self._conduct = conduct
        self._random = random
        self._tasks: set[asyncio.Task[None]] = set()
        self._free = asyncio.Semaphore(at_once)

    @property
    def left_owed(self) -> int:
        """What nobody sends any more, when it has ended."""
        return self.deliveries.outstanding + self.given_up

    async def run(self) -> None:
        """Send what comes due, until this is cancelled."""
        while True:
            due = self.deliveries.take(now_us())
            if due is None:
                await self._wait_for_due()
                continue
            await self._free.acquire()
            task = asyncio.get_running_loop().create_task(self._deliver(due))
            self._tasks.add(task)
            task.add_done_callback(self._delivered)

    async def end(self) -> None:
        """Wait for those under way, but not long."""
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=END_S)

    async def _deliver(self, due: Due) -> None:
        if due.meeting is not None:
            await due.meeting.wait()
        returned = await self._send(due)
        outcome = returned.outcome
        if outcome.is_answer:
            self.deliveries.acknowledge(due)
            self._replay(due)
        elif outcome is Outcome.FAILED and due.attempt >= ATTEMPTS_MOST:
            self._give_up(due, returned)
        else:
            self.deliveries.send_again(due, now_us())

    def _replay(self, due: Due) -> None:
        """Send what was answered once more, where a fault asks for it."""
        conduct = self._conduct
        if conduct.replay_share and not due.is_replay and self._random.random() < conduct.replay_share:
            conduct.counts["webhooks sent once more"] += 1
            again = Delivery(conduct.replay_s, due.operation, due.arguments, is_replay=True)
            self.deliveries.add([again], now_us=now_us(), origin=due.origin, retry_s=due.retry_s, service=due.service)

    def _give_up(self, due: Due, returned: Returned) -> None:
        """Nobody sends for ever what is refused for ever."""
        self.deliveries.acknowledge(due)
        self.given_up += 1
        _log.error("%s is not made any more, as it failed %d times: %s", due.operation, due.attempt, returned.error)

    def _delivered(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        self._free.release()

    async def _wait_for_due(self) -> None:
        self.deliveries.added.clear()
        due_us = self.deliveries.next_at_us
        try:
            async with asyncio.timeout(None if due_us is None else max(0.0, (due_us - now_us()) / 1_000_000)):
                await self.deliveries.added.wait()
        except TimeoutError:
            return
