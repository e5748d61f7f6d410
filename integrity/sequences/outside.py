"""The outside services of a sequence: how they answer is decided beforehand; what they owe waits to be delivered.

In a run chance decides how a service behaves and when its webhook comes. Here both are steps of the sequence, so that a
shorter sequence is a simpler one: the next request to a service meets with a trouble or not, time passes for what a service
holds, and a webhook comes when somebody delivers it: in another order, late, and again though it was answered.
"""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from random import Random
from typing import Any

from integrity.operation import Request, Value
from integrity.systems.service import Context, Reaction, Service, ServiceSettings, Trouble

FAILURE = "failure"
"""Among what a request can meet with: it is answered, with a business failure."""

Meeting = Trouble | str
"""What a request meets with: a trouble, or FAILURE."""


@dataclass(frozen=True, slots=True)
class Webhook:
    """What a service owes, or sends once more. Spelled as the call that it makes."""

    number: int
    operation: str
    arguments: Mapping[str, Value]

    def __repr__(self) -> str:
        return f"{self.operation}({', '.join(f'{name}={value!r}' for name, value in self.arguments.items())})"

    def _repr_pretty_(self, printer: Any, cycle: bool) -> None:  # by which Hypothesis prints it
        printer.text(repr(self))


@dataclass(frozen=True, slots=True)
class _Scripted(Context):
    """A context in which nothing is chance but what does not matter."""

    meeting: Meeting | None = None
    ahead_ms: int = 0

    def now_ms(self) -> int:
        return time.monotonic_ns() // 1_000_000 + self.ahead_ms

    def trouble(self) -> Trouble | None:
        return self.meeting if isinstance(self.meeting, Trouble) else None

    def is_failure(self) -> bool:
        return self.meeting == FAILURE


@dataclass(slots=True)
class Outside:
    """The services of a system during one sequence.

    Attributes:
        webhooks: all that they have sent or owe, the oldest first.
        owed: the numbers of those that nobody has answered.
        ahead_ms: so much later it is to them.
    """

    services: Mapping[str, Service]
    webhooks: list[Webhook] = field(default_factory=list)
    owed: set[int] = field(default_factory=set)
    ahead_ms: int = 0
    _meetings: dict[str, Meeting] = field(default_factory=dict)
    _memories: dict[str, dict[str, Any]] = field(default_factory=dict)

    def meet_next(self, service: str, meeting: Meeting) -> None:
        """Let the next request to a service meet with this."""
        self._meetings[service] = meeting

    def behave(self) -> None:
        """Let requests meet with nothing from now on."""
        self._meetings.clear()

    def react(self, step: Request) -> Reaction:
        """Return what a service does about a request; its webhooks are owed."""
        memory = self._memories.setdefault(step.service, {})
        meeting = self._meetings.pop(step.service, None)
        context = _Scripted(Random(0), ServiceSettings(timeout_s=0.0), memory, meeting, self.ahead_ms)
        reaction = self.services[step.service](step.payload, context)
        for delivery in reaction.deliveries:
            self.owed.add(len(self.webhooks))
            self.webhooks.append(Webhook(len(self.webhooks), delivery.operation, delivery.arguments))
        return Reaction(reaction.answer, trouble=reaction.trouble)

    def answer(self, webhook: Webhook) -> None:
        """Note that a webhook was answered."""
        self.owed.discard(webhook.number)

    def unanswered(self) -> Sequence[Webhook]:
        """Return the webhooks that are owed, the oldest first."""
        return [self.webhooks[number] for number in sorted(self.owed)]
