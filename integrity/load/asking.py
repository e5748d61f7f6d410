"""Asking: the outside services of a run, and what each call asks of them, written down and measured."""

from collections import defaultdict
from collections.abc import Callable
from random import Random
from uuid import UUID

from integrity.clients.deliveries import CausingCall, Deliveries
from integrity.clients.services import Services
from integrity.faults.conduct import Conduct
from integrity.history import Requested, encode_request_returned, encode_requested
from integrity.load.client import Client, Clock
from integrity.measure.dependencies import Dependencies, DependencyMeasure
from integrity.operation import Request
from integrity.systems.service import Answer, Reaction
from integrity.systems.system import System


class OutsideServices:
    """The services of a run, what is asked of them and how they answer.

    Args:
        append: writes a line of requests.
        deliveries: take the webhooks that follow.

    Attributes:
        relied_on: operation -> services that its calls asked, or that sent them.
    """

    def __init__(
        self,
        system: System,
        *,
        conduct: Conduct,
        clock: Clock,
        deliveries: Deliveries,
        append: Callable[[bytes], None],
    ) -> None:
        self.measures = Dependencies()
        self.relied_on: defaultdict[str, set[str]] = defaultdict(set)
        self.append = append
        self.clock = clock
        self._system = system
        self._services = Services(system, conduct, deliveries, clock.now_us)

    def react(self, step: Request, random: Random, origin: CausingCall) -> tuple[Reaction, int]:
        """Let a service react to a request; return that, and when it was asked."""
        reaction, now_us = self._services.react(step, random, origin)
        for operation in (origin.operation, *(each.operation for each in reaction.deliveries)):
            self.relied_on[operation].add(step.service)
        return reaction, now_us

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

    def request(self, step: Request) -> Reaction:
        """Ask. An answer that takes no time is there at once, and nothing more is told of it."""
        reaction, asked_us = self._services.react(step, self._client.sources.services, self._origin)
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
