"""The outside services of a system, as whoever carries out its operations has them: with what they remember, and owe."""

from collections.abc import Callable
from dataclasses import dataclass
from random import Random
from typing import Any

from integrity.clients.deliveries import CausingCall, Deliveries
from integrity.faults.conduct import Conduct
from integrity.operation import Request
from integrity.systems.service import Context, Reaction
from integrity.systems.system import System


@dataclass(frozen=True, slots=True)
class Reacted:
    """What a service did about a request.

    Args:
        retry_s: when it sends a webhook again that was not acknowledged.
    """

    reaction: Reaction
    retry_s: float


class ServiceDesk:
    """The services themselves, with what they remember.

    However many processes make the calls of a run, its services are in one: a mint that had forgotten what another process
    asked of it would pay twice.
    """

    def __init__(self, system: System, conduct: Conduct) -> None:
        self._services = system.services
        self._conduct = conduct
        self._memories: dict[str, dict[str, Any]] = {name: {} for name in system.services}

    def react(self, step: Request, random: Random) -> Reacted:
        """Let a service react to a request, with the random source of whoever asks it."""
        settings = self._conduct.services[step.service]
        context = Context(random, settings, self._memories[step.service])
        reaction = self._services[step.service](step.payload, context)
        self._conduct.note_reaction(step.service, reaction.answer, len(reaction.deliveries))
        return Reacted(reaction, settings.retry_s)


class Services:
    """They react to requests; the webhooks that follow are queued.

    Args:
        now_us: by which clock deliveries are due.
    """

    def __init__(self, system: System, conduct: Conduct, deliveries: Deliveries, now_us: Callable[[], int]) -> None:
        self._desk = ServiceDesk(system, conduct)
        self._deliveries = deliveries
        self._now_us = now_us

    def react(self, step: Request, random: Random, origin: CausingCall) -> tuple[Reaction, int]:
        """Let a service react to a request; return that, and when it was asked."""
        reacted = self._desk.react(step, random)
        now_us = self._now_us()
        self._deliveries.add(
            reacted.reaction.deliveries, now_us=now_us, origin=origin, retry_s=reacted.retry_s, service=step.service
        )
        return reacted.reaction, now_us
