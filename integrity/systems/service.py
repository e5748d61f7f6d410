"""Outside services: card processors, mints, relays, providers and stores, as the workload simulates them.

A service is called with a payload and a context, and reacts: an answer now, or after a while, and webhooks that follow. It
keeps what it must remember in the context's memory, which all clients of a run share: a mint knows which melts it has done.
How well it behaves is a matter of settings, never of its code, so that a fault can make any of them slow or forgetful.

    def mint(payload, context):
        trouble = context.trouble()
        if trouble not in (Trouble.LOST, Trouble.REFUSED):
            context.memory.setdefault(payload["payment_id"], "failed" if context.is_failure() else "settled")
        return context.react({"status": context.memory.get(payload["payment_id"], "unknown")}, trouble=trouble)

Everything random comes from the context's source: the same state of it gives the same reaction.
"""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from enum import Enum
from random import Random
from types import MappingProxyType
from typing import Any

from integrity.numbers import DURATION_S_MOST
from integrity.operation import Value

TIMEOUT: Mapping[str, Value] = MappingProxyType({"status": "timeout"})
"""What an operation is told when the answer never came: the service may have done it or not."""


@dataclass(frozen=True, slots=True)
class Delivery:
    """A call that an outside service makes later: a webhook.

    Args:
        delay_s: seconds after the request that caused it; two with the same delay are sent at once.
        operation: the operation it calls.
        arguments: its arguments, without operation_id: every delivery is a call of its own.
        lost: how many sendings of it are lost on the way before the one that arrives.
        is_replay: it was answered long ago, and comes once more.
    """

    delay_s: float
    operation: str
    arguments: Mapping[str, Value]
    lost: int = 0
    is_replay: bool = False


@dataclass(frozen=True, slots=True)
class ServiceSettings:
    """How an outside service behaves. Shares are of requests or of webhooks, from 0 to 1.

    Args:
        latency_least_s, latency_most_s: until the answer comes.
        timeout_share: requests whose answer never comes; in half of them the service did what it was asked.
        timeout_s: how long the caller waits for an answer.
        error_share: requests that are refused, with nothing done.
        error_codes: with one of these: 500, 429 (too many), 404 (no such thing).
        failure_share: requests that end in a business failure, such as a payment that the bank declines.
        delay_least_s, delay_most_s: until a webhook follows its request.
        duplicate_share: webhooks that are sent again although they were answered; half of those at once, half later.
        reorder_share: webhooks that are held back so that later ones overtake them.
        drop_share: sendings of a webhook that are lost on the way. Never acknowledged, it is sent again.
        retry_s: when an unacknowledged webhook is sent again. Services retry until they are answered ok or declined.
    """

    latency_least_s: float = 0.0
    latency_most_s: float = 0.0
    timeout_share: float = 0.0
    timeout_s: float = 0.1
    error_share: float = 0.0
    error_codes: tuple[int, ...] = (500, 429)
    failure_share: float = 0.0
    delay_least_s: float = 0.0
    delay_most_s: float = 0.0
    duplicate_share: float = 0.0
    reorder_share: float = 0.0
    drop_share: float = 0.0
    retry_s: float = 0.2

    def __post_init__(self) -> None:
        for name, value in asdict(self).items():
            most = 1.0 if name.endswith("_share") else DURATION_S_MOST if name.endswith("_s") else None
            if most is not None and not 0 <= value <= most:
                raise ValueError(f"{name}: {value} is not a number from 0 to {most:,g}")


class Trouble(Enum):
    """What can go wrong with a request, whatever it asks."""

    LOST = "timeout, nothing done"
    DONE = "timeout, but done"
    REFUSED = "refused, nothing done"

    @property
    def is_done(self) -> bool:
        """Whether the service did what it was asked."""
        return self is Trouble.DONE


Answer = Mapping[str, Value]


def is_answered(answer: Answer) -> bool:
    """Return whether a service did what it was asked to, or said why not: its answer came, and is no trouble of its own."""
    return answer.get("status") not in ("timeout", "error")


@dataclass(frozen=True, slots=True)
class Reaction:
    """What a service does about a request.

    Args:
        answer: what the operation is told.
        deliveries: the webhooks that follow.
        latency_s: until the answer is there.
        trouble: what the request met with, if anything.
    """

    answer: Answer
    deliveries: Sequence[Delivery] = ()
    latency_s: float = 0.0
    trouble: Trouble | None = None


@dataclass(frozen=True, slots=True)
class Context:
    """What a service is called with, beside the payload.

    Args:
        random: the source of all that it draws.
        settings: how it behaves at the moment.
        memory: what it remembers during the run, shared by all clients.
    """

    random: Random
    settings: ServiceSettings = field(default_factory=ServiceSettings)
    memory: dict[str, Any] = field(default_factory=dict)

    def trouble(self) -> Trouble | None:
        """Draw whether this request meets with trouble; None: it does not."""
        drawn = self.random.random()
        if drawn < self.settings.timeout_share:
            return Trouble.DONE if drawn < self.settings.timeout_share / 2 else Trouble.LOST
        return Trouble.REFUSED if drawn < self.settings.timeout_share + self.settings.error_share else None

    def now_ms(self) -> int:
        """Return the time by which a service ages what it holds, from some moment on: real time."""
        return time.monotonic_ns() // 1_000_000

    def is_failure(self) -> bool:
        """Draw whether this request ends in a business failure."""
        return self.random.random() < self.settings.failure_share

    def react(self, answer: Answer, deliveries: Sequence[Delivery] = (), *, trouble: Trouble | None = None) -> Reaction:
        """Return the reaction with that answer, or with what the trouble makes of it; what was not done has no webhook."""
        settings = self.settings
        latency_s = self.random.uniform(settings.latency_least_s, settings.latency_most_s)
        if trouble is None:
            return Reaction(answer, deliveries, latency_s)
        if trouble is Trouble.REFUSED:
            return Reaction({"status": "error", "code": self.random.choice(settings.error_codes)}, (), latency_s, trouble)
        return Reaction(dict(TIMEOUT), deliveries if trouble.is_done else (), settings.timeout_s, trouble)

    def webhooks(self, operation: str, arguments: Mapping[str, Value]) -> list[Delivery]:
        """Return the deliveries of one webhook: mostly one, after a delay; sometimes late, sometimes twice."""
        settings, random = self.settings, self.random
        delay_s = random.uniform(settings.delay_least_s, settings.delay_most_s)
        if random.random() < settings.reorder_share:
            delay_s += random.uniform(0.0, 2 * max(settings.delay_most_s, settings.retry_s))
        lost = 0
        while settings.drop_share and random.random() < min(settings.drop_share, DROP_SHARE_MOST):
            delay_s += settings.retry_s
            lost += 1
        deliveries = [Delivery(delay_s, operation, arguments, lost)]
        if random.random() < settings.duplicate_share:
            late_s = settings.retry_s if random.random() < 0.5 else 0.0
            deliveries.append(Delivery(delay_s + late_s, operation, arguments))
        return deliveries


DROP_SHARE_MOST = 0.9
"""A webhook that is always lost would never come, and nobody could wait for it."""

Service = Callable[[Mapping[str, Value], Context], Reaction]
"""(payload, context) -> reaction."""
