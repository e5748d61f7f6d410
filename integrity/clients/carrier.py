"""A carrier: takes a call to the system, and brings back how it ended.

One by SQL carries out the operation's steps on a connection of its own (driver.py). What a carrier goes by may break, and
is opened again by whoever has the carrier.
"""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from random import Random
from typing import Any, Protocol, TypeAlias

from integrity.history import Returned
from integrity.operation import Operation, Request, Rows
from integrity.systems.service import Reaction

AskOutside: TypeAlias = Callable[[Request], Reaction | Awaitable[Reaction]]
"""Lets an outside service react; what is awaited has been sent by then."""


@dataclass(frozen=True, slots=True)
class Abandon:
    """The client dies in the middle of a call.

    Args:
        after: how many steps it has carried out by then; None: it dies as soon as something was committed.
        in_flight: it dies with the next step sent and not answered; else before sending it.
    """

    after: int | None
    in_flight: bool = False


STEPS_MOST = 10
"""Who dies does so after so many steps at most; the longest operation of a system has about as many."""


def draw_death(random: Random) -> Abandon:
    """Return how somebody dies in a call.

    Half of them die just after a commit: what an operation still meant to do then is what it forgot to secure.
    """
    after = int(random.random() * STEPS_MOST)
    where = random.random()
    return Abandon(None) if where < 0.5 else Abandon(after, in_flight=where < 0.75)


class Link(Protocol):
    """What a carrier goes by."""

    @property
    def is_open(self) -> bool: ...

    async def open(self) -> None:
        """Connect; raise Unreachable when that is not possible."""

    def abort(self) -> None:
        """Close abruptly, as when the client's process dies: nothing more is sent, what is under way is not awaited."""

    async def close(self) -> None: ...


class Carrier(Protocol):
    """Carries calls, one at a time."""

    @property
    def connection(self) -> Link: ...

    async def call(
        self,
        operation: Operation,
        arguments: Mapping[str, Any],
        request: AskOutside,
        abandon: Abandon | None = None,
        *,
        push: Callable[[Rows], None] | None = None,
        answered: Callable[[], None] | None = None,
    ) -> Returned:
        """Return how the call ended; never raises for what the system or the operation does.

        Args:
            arguments: with operation_id.
            request: lets a service react to a Request step; its answer reaches the operation after the reaction's latency.
            push: takes the events of Push steps; None: nobody listens.
            answered: is told when an answer that took a while has come, before the operation is; None: nobody asks.
            abandon: when the client dies in this call; not at all when the call has fewer steps.
        """


Carry = Callable[[Random], Carrier]
"""Makes a carrier whose connection is not yet open; the source is for its pauses."""
