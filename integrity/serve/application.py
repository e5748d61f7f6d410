"""The application behind the endpoints: carries out calls on the pool, and what outside services send by themselves."""

import asyncio
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from random import Random, SystemRandom
from typing import Any
from uuid import UUID

from integrity.clients.carrier import Abandon, draw_death
from integrity.clients.deliveries import CausingCall, Deliveries, Due
from integrity.clients.outside import OutsideParties, Owed
from integrity.clients.services import Services
from integrity.errors import Unreachable
from integrity.faults.conduct import Conduct
from integrity.history import Outcome, Returned, make_operation_id
from integrity.operation import Operation, Request, Row, Rows
from integrity.serve.courier import Courier
from integrity.serve.dependency_metrics import DependencyMetrics
from integrity.serve.metrics import Gauge, Metrics
from integrity.serve.pool import Pool, PoolExhausted
from integrity.serve.record import Asking, Record, now_us
from integrity.systems.service import Reaction, ServiceSettings
from integrity.systems.system import Bug, System

LAG_TICK_S = 0.1


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
        outside: the outside parties, where they are servers of their own; None: they are in this process.
        reacting: what outside services do about what a call asks; None: as `services` says.

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
        outside: OutsideParties | None = None,
        reacting: Callable[[Request, UUID], Reaction] | None = None,
    ) -> None:
        self.system = system
        self.operations: Mapping[str, Operation] = system.operations_with(bug)
        self.pool = pool
        self.deliveries = Deliveries()
        self.metrics = Metrics(counters)
        self.dependencies = DependencyMetrics()
        self.metrics.streams += self.dependencies.all
        self.record = Record()
        self._conduct = Conduct(services, system.services)
        self._services = Services(system, self._conduct, self.deliveries, now_us)
        self._draws = Random(f"{seed}/services")
        self._deaths = Random(f"{seed}/deaths")
        self._dying = dying
        self.outside = outside
        self._reacting = reacting
        self._ids = SystemRandom()
        at_once = max(1, pool.size // 2)  # of the pool for webhooks: the rest is for who waits
        self._courier = Courier(self.deliveries, self._send, at_once=at_once, conduct=self._conduct, random=self._draws)
        self._lag_s = 0.0
        self.left_owed = 0
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
        self.metrics.note_call(operation, carried.returned.outcome, has_written=bool(carried.returned.writes_ms))
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
        asking = Asking(
            self.record,
            made,
            lambda step: self._react(step, made, origin),
            partial(self.dependencies.note_answer, self.system),
            None if self.outside is None else self.outside.of(origin),
        )
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

    def _react(self, step: Request, operation_id: UUID, origin: CausingCall) -> tuple[Reaction, int]:
        if self._reacting is not None:
            return self._reacting(step, operation_id), now_us()
        reaction, asked_us = self._services.react(step, self._draws, origin)
        self.dependencies.note_reaction(self.system, step.service, reaction.deliveries)
        return reaction, asked_us

    def _draw_death(self, operation: str) -> Abandon | None:
        if self._dying is None or operation not in self.operations:  # it is what follows a stream
            return None
        return draw_death(self._deaths) if self._deaths.random() < self._dying(operation) else None

    async def run(self) -> None:
        """Deliver what outside services owe, as it comes due, until this is cancelled."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._watch_lag())
            group.create_task(self._courier.run())

    async def end(self) -> None:
        """Wait for the deliveries under way, and close the connections."""
        await self._courier.end()
        if self.outside is not None:
            await self.outside.close()
        await self.pool.close()
        self.left_owed = self._courier.left_owed

    async def owed(self, since_us: int) -> Owed | None:
        """Return the webhooks and jobs that are still to be made; None: outside parties do not say what they owe."""
        own = Owed(self.deliveries.outstanding, self.deliveries.count_since(since_us))
        if self.outside is None:
            return own
        others = await self.outside.owed(since_us)
        return None if others is None else Owed(own.count + others.count, own.since + others.since)

    async def _send(self, due: Due) -> Returned:
        began_s = time.perf_counter()
        returned = (await self.call(due.operation, due.arguments, caused_at_us=due.origin.intended_at_us)).returned
        self.metrics.tasks.observe(time.perf_counter() - began_s, due.operation, returned.outcome)
        self.dependencies.deliveries.add(self.system.name, due.service, returned.outcome)
        return returned

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
            Gauge(
                "background_tasks_given_up",
                "webhooks and jobs that failed too often",
                lambda: {(): self._courier.given_up},
            ),
            Gauge("event_loop_lag_seconds", "how late the loop was last", lambda: {(): self._lag_s}),
        ]
