"""The caller: draws calls, makes them, and writes down and measures each. What both models, closed and open, share."""

import asyncio
import itertools
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from random import Random
from typing import Any, Protocol
from uuid import UUID

from integrity.clients.carrier import Abandon, Carrier, draw_death
from integrity.clients.deliveries import CausingCall, Deliveries, Due
from integrity.clients.services import ServiceDesk
from integrity.domain import Key, World
from integrity.faults.conduct import Conduct
from integrity.history import (
    Call,
    Outcome,
    Received,
    Returned,
    encode_invoked,
    encode_received,
    encode_returned,
    make_operation_id,
)
from integrity.load.asking import Asking, AskService, OutsideServices
from integrity.load.client import Client, Clock
from integrity.load.profile import Profile
from integrity.load.share import WHOLE, Share
from integrity.masking import mask_reply, mask_tokens
from integrity.measure.calls import Measures
from integrity.operation import Operation, Rows
from integrity.systems.service import Delivery
from integrity.systems.system import System

STATEMENT_ENDED = "57014"
"""SQLSTATE of a statement that was cancelled, e.g. because it took too long."""


@dataclass(slots=True)
class UnderWay:
    """A call that has not returned; asking knows whose answer it waits for."""

    operation: str
    arguments: Mapping[str, Any]
    intended_at_us: int
    invoked_at_us: int
    asking: Asking


class CallLog(Protocol):
    """Where calls are written down."""

    def append(self, line: bytes) -> None: ...

    def append_soon(self, line: bytes) -> None: ...

    def flush(self) -> None: ...

    def append_request(self, line: bytes) -> None: ...

    def append_received(self, lines: Iterable[bytes]) -> None: ...


class Caller:
    """Makes the calls of a run.

    Args:
        operations: the system's, with a bug's in place of the sound ones.
        history: where each call is written down, before it is made and when it has returned.
        first_free_number: client numbers from here on are nobody's yet; of them the share's are given.
        conduct: how clients and services behave, which faults may change; None: as the profile has it.
        keeps_settlements: remember when each call was settled, beside how long that took.
        share: of the run's clients.
        ask: asks the outside services; None: they are here.
        made: told each key that a call has made drawable.

    Attributes:
        settled_us: when each settled call was to be made, and when its first webhook was acknowledged; where asked for.
        waiting: the clients whose calls wait for a connection, by number, and when these were to be made.
    """

    def __init__(
        self,
        *,
        system: System,
        operations: Mapping[str, Operation],
        profile: Profile,
        world: World,
        clock: Clock,
        history: CallLog,
        first_free_number: int,
        conduct: Conduct | None = None,
        keeps_settlements: bool = False,
        share: Share = WHOLE,
        ask: AskService | None = None,
        made: Callable[[str, Key], None] | None = None,
    ) -> None:
        self.operations = operations
        self.world = world
        self.clock = clock
        self.measures = Measures({name: each.group for name, each in system.operations.items() if each.group})
        self.deliveries = Deliveries()
        self.is_abandoning = True
        self.settled_us: list[tuple[int, int]] = []
        self.waiting: dict[int, int] = {}
        self._system = system
        self._followers: dict[str, list[Operation]] = {}
        for each in operations.values():
            if each.after:
                self._followers.setdefault(each.after, []).append(each)
        self._profile = profile
        self._append, self._append_soon, self._flush = history.append, history.append_soon, history.flush
        self._append_received = history.append_received
        self._call_soon: Callable[[Callable[[], None]], object] | None = None
        self._free_numbers = itertools.count(first_free_number + share.number, share.count)
        self._made = made
        self._keeps_settlements = keeps_settlements
        self._drawn = 0
        self._turn_calls = max(1, share.of(profile.hot_turn_calls)) if profile.hot_turn_calls else 0
        self._turn_at = self._turn_calls or None
        self._in_flight: dict[Carrier, UnderWay] = {}
        self.conduct = conduct or Conduct(profile.services, system.services)
        self.services = OutsideServices(
            system,
            ask=ask or self._ask_here(ServiceDesk(system, self.conduct)),
            clock=clock,
            deliveries=self.deliveries,
            append=history.append_request,
        )

    @staticmethod
    def _ask_here(desk: ServiceDesk) -> AskService:
        return lambda step, sources: desk.react(step, sources.services)

    def draw(self, operation: str, random: Random) -> dict[str, Any]:
        """Return arguments for the operation, without operation_id."""
        world = self.world
        self._drawn += 1
        if self._drawn == self._turn_at:
            self._turn_hot_keys()
        return {name: domain.draw(random, world) for name, domain in self.operations[operation].arguments.items()}

    def _turn_hot_keys(self) -> None:
        """Let other keys be hot: those at the end of a pool. What a run makes itself comes there by itself."""
        self._turn_at = self._drawn + self._turn_calls
        made = {pool for pool, _ in self._system.makes.values()}
        for pool, keys in self.world.keys.items():
            if pool not in made and len(keys) > self.world.hot_count:
                self.world.keys[pool] = keys[-self.world.hot_count :] + keys[: -self.world.hot_count]

    def following(self, operation: str, returned: Returned, random: Random) -> Iterator[tuple[Operation, dict[str, Any]]]:
        """Yield the calls that a client makes behind one that was answered, with what it was told."""
        if returned.outcome is Outcome.OK:
            for each in self._followers.get(operation, ()):
                drawn = self.draw(each.name, random)
                yield each, {name: returned.taken.get(name, value) for name, value in drawn.items()}

    async def call(
        self,
        carrier: Carrier,
        client: Client,
        operation: str,
        arguments: Mapping[str, Any],
        intended_at_us: int | None,
        *,
        push: Callable[[UUID, Rows], None] | None = None,
    ) -> Returned:
        """Make a call; write down that it is made, make it, write down how it ended, and measure it.

        Args:
            intended_at_us: when it was to be made; None: now.
            push: takes what is pushed to this client, with the call's operation_id.

        Raises:
            HistoryError: the history cannot be written.
        """
        invoked_at_us = self.clock.now_us()
        if intended_at_us is None:
            intended_at_us = invoked_at_us
        operation_id = client.operation_id = make_operation_id(invoked_at_us // 1000, client.sources.ids)
        shown = mask_reply(arguments) if self.operations[operation].after else arguments
        call = Call(operation_id, operation, shown, client.number, intended_at_us, invoked_at_us)
        self._append(encode_invoked(call))
        abandon = self._draw_abandon(operation, client.sources.draws)
        asking = Asking(self.services, operation_id, client, CausingCall(operation, intended_at_us))
        self._in_flight[carrier] = UnderWay(operation, arguments, intended_at_us, invoked_at_us, asking)
        try:
            returned = await carrier.call(
                self.operations[operation],
                {**arguments, "operation_id": operation_id},
                asking.request,
                abandon,
                push=None if push is None else partial(push, operation_id),
                answered=asking.answered,
            )
        except asyncio.CancelledError:
            # The run ends without waiting for it; in the history, a call without a return is unknown.
            self.measures.add(operation, Returned(Outcome.UNKNOWN, None, "not waited for at the end of the run", 1), 0)
            raise
        finally:
            del self._in_flight[carrier]
        if returned.error:  # others wrote it
            returned = replace(returned, error=mask_tokens(returned.error))
        returned_at_us = call.returned_at_us = self.clock.now_us()
        call.outcome, call.reply = returned.outcome, returned.reply
        call.error, call.attempts = returned.error, returned.attempts
        self._append_soon(encode_returned(call))
        # One write for this return and the client's next call, which mostly follows at once.
        if self._call_soon is None:
            self._call_soon = asyncio.get_running_loop().call_soon  # to ask each time costs a system call
        self._call_soon(self._flush)
        latency_ms = (returned_at_us - intended_at_us) / 1000
        self._account(client, operation, returned, latency_ms)
        if asking.count and returned.outcome.is_answer:
            self.measures.of(operation).own_ms.append(max(0.0, latency_ms - asking.waited_us / 1000))
        return returned

    def write_received(self, events: Sequence[Received]) -> None:
        """Write down what a subscriber received.

        Raises:
            HistoryError: the history cannot be written.
        """
        self._append_received(map(encode_received, events))

    async def deliver(self, carrier: Carrier, client: Client, due: Due) -> None:
        """Make the call of a delivery; it is owed until it was answered."""
        if due.meeting is not None:
            await due.meeting.wait()
        outcome = (await self.call(carrier, client, due.operation, due.arguments, due.at_us)).outcome
        now_us = self.clock.now_us()
        if not outcome.is_answer:
            self.deliveries.send_again(due, now_us)
            return
        self.deliveries.acknowledge(due)
        self._replay(due, client.sources.services, now_us)
        if not due.origin.is_settled:
            due.origin.is_settled = True
            self.measures.of(due.origin.operation).settled_ms.append((now_us - due.origin.intended_at_us) / 1000)
            if self._keeps_settlements:
                self.settled_us.append((due.origin.intended_at_us, now_us))

    @property
    def under_way_since_us(self) -> int | None:
        """When the oldest call was to be made that has not returned, or waits for a connection; None: there is none."""
        in_flight = (call.intended_at_us for call in self._in_flight.values())
        return min((*in_flight, *self.waiting.values()), default=None)

    @property
    def under_way(self) -> list[UnderWay]:
        """The calls that have not returned."""
        return list(self._in_flight.values())

    def hang_up(self) -> int:
        """Cut off the calls that have waited longer than clients do, or come from a device that is offline; say how many.

        What becomes of such a call depends on how far it was: see the carriers.
        """
        conduct, now_us, count = self.conduct, self.clock.now_us(), 0
        for carrier, call in list(self._in_flight.items()):
            waited_us = now_us - call.invoked_at_us
            is_impatient = conduct.patience_s is not None and waited_us > conduct.patience_s * 1_000_000
            if is_impatient or conduct.is_offline(call.arguments):
                carrier.connection.abort()
                count += 1
        conduct.counts["calls given up on"] += count
        return count

    def is_offline(self, operation: str, arguments: Mapping[str, Any]) -> bool:
        """Return whether this call comes from a device that is switched off; it counts as not sent then."""
        if not self.conduct.is_offline(arguments):
            return False
        self.measures.of(operation).not_sent += 1
        self.conduct.counts["calls not sent"] += 1
        return True

    def take_made(self, operation: str, returned: Returned) -> None:
        """Let the key be drawn that a call has made, if it is of those that make one."""
        made = self._system.makes.get(operation)
        if made is not None and returned.reply is not None:
            pool, name = made
            key: Key = returned.reply[name]  # type: ignore[assignment]  # the system says that it is one
            self.world.add(pool, key)
            if self._made is not None:
                self._made(pool, key)

    def take_number(self) -> int:
        """Return a client number that nobody has had."""
        return next(self._free_numbers)

    def _account(self, client: Client, operation: str, returned: Returned, latency_ms: float) -> None:
        self.measures.add(operation, returned, latency_ms)
        if returned.error.startswith(STATEMENT_ENDED) and self.conduct.session_settings:
            self.conduct.counts["statements ended by the server"] += 1
        if returned.outcome is Outcome.OK:
            self.take_made(operation, returned)
        elif returned.outcome is Outcome.UNKNOWN or returned.was_abandoned:
            client.number = self.take_number()

    def _draw_abandon(self, operation: str, random: Random) -> Abandon | None:
        share = max(self._profile.abandon_share(operation), self.conduct.abandon_share)
        if not share:
            return None
        is_due = random.random() < share
        death = draw_death(random)
        if not is_due or not self.is_abandoning:
            return None
        if share > self._profile.abandon_share(operation):
            self.conduct.counts["clients that were to die"] += 1
        return death

    def _replay(self, due: Due, random: Random, now_us: int) -> None:
        """Send what was answered once more, where a fault asks for it."""
        conduct = self.conduct
        if conduct.replay_share and not due.is_replay and random.random() < conduct.replay_share:
            conduct.counts["webhooks sent once more"] += 1
            again = Delivery(conduct.replay_s, due.operation, due.arguments, is_replay=True)
            self.deliveries.add([again], now_us=now_us, origin=due.origin, retry_s=due.retry_s)
