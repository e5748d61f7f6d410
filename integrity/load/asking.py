"""Asking: what each call asks of outside services, written down and measured."""

import asyncio
from collections import defaultdict
from collections.abc import Callable
from typing import TypeAlias
from uuid import UUID

from integrity.clients.deliveries import CausingCall, Deliveries
from integrity.clients.services import Reacted
from integrity.history import Requested, encode_request_returned, encode_requested
from integrity.load.client import Client, Clock, Sources
from integrity.measure.dependencies import Dependencies, DependencyMeasure
from integrity.operation import Request
from integrity.systems.service import Answer, Reaction
from integrity.systems.system import System

AskService: TypeAlias = Callable[[Request, Sources], Reacted | asyncio.Future[Reacted]]
"""Asks a service; where the services are elsewhere, what they did is told later."""


class OutsideServices:
    """The services of a run, as its calls know them.

    Args:
        ask: asks them.
        append: writes a line of requests.
        deliveries: take the webhooks that follow.

    Attributes:
        relied_on: operation -> services that its calls asked, or that sent them.
    """

    def __init__(
        self,
        system: System,
        *,
        ask: AskService,
        clock: Clock,
        deliveries: Deliveries,
        append: Callable[[bytes], None],
    ) -> None:
        self.measures = Dependencies()
        self.relied_on: defaultdict[str, set[str]] = defaultdict(set)
        self.ask = ask
        self.append = append
        self.clock = clock
        self._system = system
        self._deliveries = deliveries

    def take(self, step: Request, reacted: Reacted, origin: CausingCall) -> int:
        """Take what follows of what a service did just now; return when that is."""
        reaction, now_us = reacted.reaction, self.clock.now_us()
        for operation in (origin.operation, *(each.operation for each in reaction.deliveries)):
            self.relied_on[operation].add(step.service)
        self._deliveries.add(
            reaction.deliveries, now_us=now_us, origin=origin, retry_s=reacted.retry_s, service=step.service
        )
        return now_us

    def measure_of(self, step: Request) -> DependencyMeasure:
        """Return the measure of requests like this one."""
        key = self._system.request_keys.get(step.service)
        return self.measures.of(step.service, str(step.payload.get(key, "")) if key is not None else "")


class Asking:
    """What one call asks; it is written down before the operation learns of it.

    Attributes:
        count: of requests; waited_us: how long the call waited for their answers.
        awaited: the service whose answer it waits for; empty: none.
    """

    __slots__ = (
        "_answer",
        "_asked_us",
        "_client",
        "_measure",
        "_operation_id",
        "_origin",
        "_services",
        "awaited",
        "count",
        "waited_us",
    )

    def __init__(self, services: OutsideServices, operation_id: UUID, client: Client, origin: CausingCall) -> None:
        self.count = 0
        self.waited_us = 0
        self.awaited = ""
        self._services = services
        self._operation_id = operation_id
        self._client = client
        self._origin = origin
        self._asked_us = 0
        self._answer: Answer = {}
        self._measure: DependencyMeasure

    def request(self, step: Request) -> "Reaction | asyncio.Future[Reaction]":
        """Ask. An answer that takes no time is there at once, and nothing more is told of it.

        Where the services are elsewhere, what is taken there and back is a wait for an answer, and no time of the service.
        """
        reacted = self._services.ask(step, self._client.sources)
        if isinstance(reacted, Reacted):
            return self._take(step, reacted)
        sent_us = self._services.clock.now_us()
        self.awaited = step.service
        taken: asyncio.Future[Reaction] = reacted.get_loop().create_future()

        def take(done: "asyncio.Future[Reacted]") -> None:
            self.awaited = ""
            self.waited_us += self._services.clock.now_us() - sent_us
            if done.cancelled():
                taken.cancel()
            elif (error := done.exception()) is not None:
                taken.set_exception(error)
            else:
                reaction = self._take(step, done.result())
                if not taken.done():  # else the client has died meanwhile, and the service has acted all the same
                    taken.set_result(reaction)

        reacted.add_done_callback(take)
        return taken

    def _take(self, step: Request, reacted: Reacted) -> Reaction:
        reaction = reacted.reaction
        asked_us = self._services.take(step, reacted, self._origin)
        self.count += 1
        self._client.troubled += reaction.trouble is not None
        returned_us = None if reaction.latency_s else asked_us
        self._services.append(
            encode_requested(
                Requested(self._operation_id, step.service, step.payload, reaction.answer, asked_us, returned_us)
            )
        )
        measure = self._measure = self._services.measure_of(step)
        measure.requests += 1
        self._asked_us, self._answer = asked_us, reaction.answer
        if returned_us is not None:
            measure.add(reaction.answer, 0.0)
        else:
            self.awaited = step.service
        return reaction

    def answered(self) -> None:
        """The answer to the last request has come, a while after it was asked."""
        returned_us = self._services.clock.now_us()
        took_us = returned_us - self._asked_us
        self.waited_us += took_us
        self.awaited = ""
        self._services.append(encode_request_returned(self._operation_id, returned_us))
        self._measure.add(self._answer, took_us / 1000)
