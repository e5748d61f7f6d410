"""The outside services of a system, as whoever carries out its operations has them: with what they remember, and owe."""

from collections.abc import Callable
from random import Random
from typing import Any

from integrity.clients.deliveries import CausingCall, Deliveries
from integrity.faults.conduct import Conduct
from integrity.operation import Request
from integrity.systems.service import Context, Reaction
from integrity.systems.system import System


class Services:
    """They react to requests; the webhooks that follow are queued.

    Args:
        now_us: by which clock deliveries are due.
    """

    def __init__(self, system: System, conduct: Conduct, deliveries: Deliveries, now_us: Callable[[], int]) -> None:
        self._system = system
        self._conduct = conduct
        self._deliveries = deliveries
        self._now_us = now_us
        self._memories: dict[str, dict[str, Any]] = {name: {} for name in system.services}

    def react(self, step: Request, random: Random, origin: CausingCall) -> tuple[Reaction, int]:
        """Let a service react to a request; return that, and when it was asked."""
        settings = self._conduct.services[step.service]
        context = Context(random, settings, self._memories[step.service])
        reaction = self._system.services[step.service](step.payload, context)
        now_us = self._now_us()
        self._conduct.note_reaction(step.service, reaction.answer, len(reaction.deliveries))
        self._deliveries.add(
            reaction.deliveries, now_us=now_us, origin=origin, retry_s=settings.retry_s, service=step.service
        )
        return reaction, now_us
