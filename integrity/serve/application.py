"""The application behind the endpoints: carries out calls on the pool, and what outside services send by themselves."""

import asyncio
import logging
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from random import Random, SystemRandom
from typing import Any
from uuid import UUID

from integrity.clients.carrier import Abandon, draw_death
from integrity.clients.deliveries import CausingCall, Deliveries, Due
from integrity.clients.services import Services
from integrity.errors import Unreachable
from integrity.faults.conduct import Conduct
from integrity.history import Outcome, Returned, make_operation_id
from integrity.operation import Operation, Row, Rows
from integrity.serve.metrics import Gauge, Metrics
from integrity.serve.pool import Pool, PoolExhausted
from integrity.serve.record import Asking, Record, now_us
from integrity.systems.service import ServiceSettings
from integrity.systems.system import Bug, System

LAG_TICK_S = 0.1
ATTEMPTS_MOST = 12
"""A webhook or a job that fails is made so often. What only could not be made now comes again for as long as it takes."""

_log = logging.getLogger("integrity.serve")

END_S = 5.0
"""So long calls that are under way have at the end."""


@dataclass(frozen=True, slots=True)
class Carried:
    """A call that was carried out: how it ended, and what it pushed."""

    operation_id: UUID
    returned: Returned
    events: Rows = ()


class Application:
    """Carries out a system's operations.

    Args:
        bug: planted; None: the sound system.
        services: how outside services behave; those that are not named behave well.
        seed: of what they draw.
        dying: of an operation's calls, how many end as a process that serves them dies half way.

    Attributes:
        left_owed: at the end, webhooks and jobs that nobody will make any more.
    """

    def __init__(
        self,
        system: System,
        pool: Pool,
        *,
        bug: Bug | None = None,
        services: Mapping[str, ServiceSettings] = {},
        seed: int = 1,
        counters: Mapping[str, str] = {},
        dying: Callable[[str], float] | None = None,
    ) -> None:
        self.system = system
        self.operations: Mapping[str, Operation] = system.operations_with(bug)
        self.pool = pool
        self.deliveries = Deliveries()
        self.metrics = Metrics(counters)
        self.record = Record()
        self._conduct = Conduct(services, system.services)
        self._services = Services(system, self._conduct, self.deliveries, now_us)
        self._draws = Random(f"{seed}/services")
        self._deaths = Random(f"{seed}/deaths")
        self._dying = dying
        self._ids = SystemRandom()
        self._tasks: set[asyncio.Task[None]] = set()
        self._free = asyncio.Semaphore(max(1, pool.size // 2))  # of the pool for webhooks: the rest is for who waits
        self._lag_s = 0.0
        self.left_owed = 0
        self._given_up = 0
        self.metrics.gauges += self._gauges()

    async def call(
        self,
        operation: str,
        arguments: Mapping[str, Any],
        operation_id: UUID | None = None,
        *,
        caused_at_us: int | None = None,
    ) -> Carried:
        """Carry out a call; never raises for what the database or the operation does.

        Args:
            arguments: without operation_id.
            caused_at_us: when the client's call came that it follows from; None: a client asks for it.
        """
        made = operation_id or make_operation_id(time.time_ns() // 1_000_000, self._ids)
        returning = None
        if caused_at_us is not None:
            returning = self.record.note_call(made, operation, arguments, caused_at_us=caused_at_us)
        carried = await self.carry_out(self.operations[operation], arguments, made, caused_at_us=caused_at_us)
        if returning is not None:
            returning(carried.returned)
        self.metrics.note_call(operation, carried.returned.outcome)
        return carried

    async def carry_out(
        self,
        operation: Operation,
        arguments: Mapping[str, Any],
        operation_id: UUID | None = None,
        *,
        caused_at_us: int | None = None,
    ) -> Carried:
        """Carry out an operation that need not be one of the system's; nobody counts or records it."""
        made = operation_id or make_operation_id(time.time_ns() // 1_000_000, self._ids)
        origin = CausingCall(operation.name, now_us() if caused_at_us is None else caused_at_us)
        asking = Asking(self.record, made, lambda step: self._services.react(step, self._draws, origin))
        events: list[Row] = []
        try:
            async with self.pool.driver() as driver:
                returned = await driver.call(
                    operation,
                    {**arguments, "operation_id": made},
                    asking.request,
                    self._draw_death(operation.name),
                    push=events.extend,
                    answered=asking.answered,
                )
        except PoolExhausted as error:
            returned = Returned(Outcome.UNAVAILABLE, {"reason": "no_connection_free"}, str(error), 1)
        except Unreachable:  # what it says of the place is not for clients
            returned = Returned(Outcome.UNAVAILABLE, {"reason": "database_unreachable"}, "the database does not answer", 1)
        return Carried(made, returned, tuple(events))

    def _draw_death(self, operation: str) -> Abandon | None:
        if self._dying is None or operation not in self.operations:  # it is what follows a stream
            return None
        return draw_death(self._deaths) if self._deaths.random() < self._dying(operation) else None

    async def run(self) -> None:
        """Deliver what outside services owe, as it comes due, until this is cancelled."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._watch_lag())
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
        """Wait for the deliveries under way, and close the connections."""
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=END_S)
        await self.pool.close()
        self.left_owed = self.deliveries.outstanding + self._given_up

    async def _deliver(self, due: Due) -> None:
        if due.meeting is not None:
            await due.meeting.wait()
        began_s = time.perf_counter()
        returned = (await self.call(due.operation, due.arguments, caused_at_us=due.origin.intended_at_us)).returned
        outcome = returned.outcome
        self.metrics.tasks.observe(time.perf_counter() - began_s, due.operation, outcome)
        if outcome.is_answer:
            self.deliveries.acknowledge(due)
        elif outcome is Outcome.FAILED and due.attempt >= ATTEMPTS_MOST:
            self._give_up(due, returned)
        else:
            self.deliveries.send_again(due, now_us())

    def _give_up(self, due: Due, returned: Returned) -> None:
        """Nobody sends for ever what is refused for ever."""
        self.deliveries.acknowledge(due)
        self._given_up += 1
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

    async def _watch_lag(self) -> None:
        """Look again and again how late the loop is."""
        while True:
            due_s = time.perf_counter() + LAG_TICK_S
            await asyncio.sleep(LAG_TICK_S)
            self._lag_s = max(0.0, time.perf_counter() - due_s)

    def _gauges(self) -> list[Gauge]:
        pool = self.pool
        return [
            Gauge(
                "db_pool_connections",
                "connections of the pool",
                lambda: {
                    ("size",): pool.size,
                    ("in_use",): pool.in_use,
                    ("open",): pool.open_count,
                    ("waited_for",): pool.waiting,
                },
                "state",
            ),
            Gauge("background_tasks_owed", "webhooks and jobs", lambda: {(): self.deliveries.outstanding}),
            Gauge("background_tasks_given_up", "webhooks and jobs that failed too often", lambda: {(): self._given_up}),
            Gauge("event_loop_lag_seconds", "how late the loop was last", lambda: {(): self._lag_s}),
        ]
