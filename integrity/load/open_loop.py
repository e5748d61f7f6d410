"""The open loop: calls are made at their intended times, whatever the system does; latency counts from those times.

Sessions are people, and a person does one thing at a time; connections come from a bounded pool, as in an application. An
arrival for which nobody is free, or beyond the cap on calls in flight, is not sent, and counts as failed. How late the
generator itself was is measured, as it bounds what the latencies can say.
"""

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import replace
from random import Random
from typing import Any

from integrity.clients.carrier import Carrier, Carry
from integrity.clients.deliveries import Due
from integrity.clients.reconnecting import Reconnector
from integrity.domain import KeyOf
from integrity.history import Returned
from integrity.load.arrivals import Arrival, schedule
from integrity.load.caller import Caller
from integrity.load.client import Client, Sources
from integrity.load.company import Alone, Company
from integrity.load.idle import IdleCarriers
from integrity.load.phases import Ladder, Phase, PhaseLog, Pieces, PlayedSchedule
from integrity.load.profile import OpenProfile
from integrity.load.shape import Pace
from integrity.load.share import WHOLE, Share
from integrity.measure.distribution import Distribution


class OpenLoop:
    """Sessions on a pool of connections.

    Args:
        profile: scaled already.
        stopping: when set, nothing more arrives; set at the end of the schedule.
        carry: makes what carries calls, on a connection of its own.
        share: of sessions, connections and arrivals.
        company: the other processes of the run.
    """

    def __init__(
        self,
        profile: OpenProfile,
        caller: Caller,
        *,
        seed: int,
        carry: Carry,
        reconnector: Reconnector,
        stopping: asyncio.Event,
        share: Share = WHOLE,
        company: Company | None = None,
    ) -> None:
        self.offered = 0
        self.sent = 0
        self.lags_ms = Distribution()
        self.phases = PhaseLog(caller.measures, profile.thresholds, self.lags_ms)
        self.pace = Pace()
        self.ladder: Ladder | None = None
        self.on_subscribers: Callable[[float], None] = lambda factor: None
        self._started_at_us = 0
        self._profile = profile
        self._caller = caller
        self._reconnector = reconnector
        self._stopping = stopping
        self._seed = seed
        self._in_flight: set[asyncio.Task[None]] = set()
        self._errors: list[BaseException] = []
        self._share = share
        self._company = company or Alone()
        self._dispatch = Sources(seed, share.named("dispatch"))
        self._sender = Sources(seed, share.named("senders"))
        self._sessions = self._make_sessions()
        self._is_busy = bytearray(len(self._sessions))
        self._turns: dict[tuple[int, str], int] = {}
        self._senders: list[Client] = []
        self._carriers = [carry(Random(f"{seed}/pauses/{n}")) for n in share.numbers(profile.connections)]
        self._idle = IdleCarriers()

    def _make_sessions(self) -> list[Client]:
        """Return people with what is theirs: the pools' shared keys go to several.

        It is drawn for all of the run's, so that each has the same however many processes there are.
        """
        share, world = self._share, self._caller.world
        random = self._dispatch.draws if share.count == 1 else Sources(self._seed, "dispatch").draws
        sessions = []
        for number in range(self._profile.clients):
            own = {pool: world.draw_own(pool, random) for pool in self._profile.own}
            if share.has(number):
                sessions.append(Client(number, self._dispatch, own))
        return sessions

    def played(self) -> PlayedSchedule:
        """Return what became of the arrivals."""
        phases, at_us = self.phases.phases, self._started_at_us
        return PlayedSchedule(self.offered, self.sent, self.lags_ms, phases, self.pace, self.ladder, at_us)

    async def open(self) -> None:
        """Connect the whole pool."""
        for carrier in self._carriers:
            await carrier.connection.open()
            self._idle.put(carrier)

    async def run(self) -> None:
        """Make every call of the schedule, and set stopping at its end; return when the last call has returned.

        Set by somebody else before, stopping ends it early.
        """
        sending = asyncio.create_task(self._send_deliveries())
        try:
            await self._dispatch_arrivals()
            self._stopping.set()
        finally:
            sending.cancel()
            await asyncio.wait([sending])
        await self._settle()
        if not sending.cancelled() and (error := sending.exception()) is not None:
            raise error

    async def drain(self) -> None:
        """Make the deliveries that are owed; return when none is."""
        sending = asyncio.create_task(self._send_deliveries())
        try:
            while self._caller.deliveries.outstanding and not sending.done():
                await asyncio.sleep(0.01)
                self._raise_first()
        finally:
            sending.cancel()
            await asyncio.wait([sending])
        await self._settle()

    async def close(self) -> None:
        for carrier in self._carriers:
            await carrier.connection.close()

    def abort(self) -> None:
        """Cut all connections and calls: those under way end as unknown or failed."""
        for task in self._in_flight:
            task.cancel()
        for carrier in self._carriers:
            carrier.connection.abort()

    async def _dispatch_arrivals(self) -> None:
        """Make every call at its time, piece by piece of the shape; return at the end of the last piece."""
        clock, pace, log = self._caller.clock, self.pace, self.phases
        self._started_at_us = clock.now_us()
        pieces = Pieces(self._profile)
        self.ladder = pieces.ladder
        await self._begin_piece(pieces, pace, None)
        for arrival in schedule(self._profile, self._seed, self._share):
            while (at_s := pace.when(arrival.at_s)) is None:
                await self._wait_until(pace.horizon_s)
                ended = None if self._stopping.is_set() else log.end(pace.horizon_s, self.offered)
                if self._stopping.is_set() or not await self._begin_piece(pieces, pace, ended):
                    return
            await self._wait_until(at_s)
            if self._stopping.is_set():
                return
            self._raise_first()
            self.offered += 1
            self.lags_ms.append(max(0.0, (clock.now_us() - self._started_at_us) / 1000 - at_s * 1000))
            self._arrive(arrival, self._started_at_us + round(at_s * 1_000_000))

    async def _begin_piece(self, pieces: Pieces, pace: Pace, ended: Phase | None) -> bool:
        """Let the next piece of the shape begin; return whether there is one."""
        piece = await self._company.next_piece(pieces, ended)
        if piece is None:
            return False
        from_s = pace.horizon_s
        rates = (piece.factor_from, piece.factor_to)
        if pieces.scales_subscribers:
            self.on_subscribers(piece.factor_to)
            rates = (1.0, 1.0)
        pace.extend(piece.duration_s, *rates)
        judged_from_s = from_s + piece.duration_s * piece.settle_share
        rate = sum(rates) / 2
        self.phases.begin(piece.name, piece.factor_to, at_s=from_s, judged_from_s=judged_from_s, part=piece.part, rate=rate)
        self.phases.settle(from_s, self.offered)
        return True

    async def _wait_until(self, at_s: float) -> None:
        """Return at that moment of the run, or when it is to stop."""
        clock = self._caller.clock
        at_us = self._started_at_us + round(at_s * 1_000_000)
        while (wait_us := at_us - clock.now_us()) > 0 and not self._stopping.is_set():
            await self._sleep(wait_us / 1_000_000)
        self.phases.settle((clock.now_us() - self._started_at_us) / 1_000_000, self.offered)

    async def _sleep(self, seconds: float) -> None:
        """Sleep, but not past a call to stop."""
        if seconds < 0.25:
            await asyncio.sleep(seconds)
            return
        try:
            async with asyncio.timeout(seconds):
                await self._stopping.wait()
        except TimeoutError:
            return

    def _arrive(self, arrival: Arrival, intended_at_us: int) -> None:
        session = self._free_session()
        operation = self._turn(session, arrival)
        if session is None or len(self._in_flight) >= self._share.of(self._profile.in_flight_most):
            self._caller.measures.of(operation).not_sent += 1
            return
        client = self._sessions[session]
        arguments = self._caller.draw(operation, self._dispatch.draws)
        arguments |= self._fixed(operation, client.own, arrival.pin)
        if self._caller.is_offline(operation, arguments):
            return
        self.sent += 1
        self._is_busy[session] = 1
        self._start(self._visit(session, client, operation, arguments, intended_at_us))

    async def _visit(
        self, session: int, client: Client, operation: str, arguments: Mapping[str, Any], intended_at_us: int
    ) -> None:
        try:
            carrier = await self._borrow(client, intended_at_us)
            try:
                returned = await self._caller.call(carrier, client, operation, arguments, intended_at_us)
                if returned.outcome.is_answer:
                    self._caller.measures.of(operation).arrivals_answered += 1
            finally:
                self._idle.put(carrier)
            await self._follow(client, operation, returned)
        finally:
            self._is_busy[session] = 0

    async def _follow(self, client: Client, operation: str, returned: Returned) -> None:
        """Make the calls that follow one, with what it was told, each when the client has thought about it."""
        for each, arguments in self._caller.following(operation, returned, self._dispatch.draws):
            await self._sleep(each.think_s)
            if self._stopping.is_set():
                return
            at_us = self._caller.clock.now_us()
            carrier = await self._borrow(client, at_us)
            try:
                further = await self._caller.call(carrier, client, each.name, arguments, at_us)
            finally:
                self._idle.put(carrier)
            known = {**returned.taken, **further.taken}
            await self._follow(client, each.name, replace(further, taken=known))

    async def _send_deliveries(self) -> None:
        deliveries, clock = self._caller.deliveries, self._caller.clock
        while True:
            deliveries.added.clear()
            while (due := deliveries.take(clock.now_us())) is not None:
                self._start(self._deliver(due))
            next_at_us = deliveries.next_at_us
            wait_s = None if next_at_us is None else max(0.0, (next_at_us - clock.now_us()) / 1_000_000)
            try:
                async with asyncio.timeout(wait_s):
                    await deliveries.added.wait()
            except TimeoutError:
                continue  # one is due

    async def _deliver(self, due: Due) -> None:
        client = self._senders.pop() if self._senders else Client(self._caller.take_number(), self._sender)
        carrier = await self._borrow(client, due.at_us)
        try:
            await self._caller.deliver(carrier, client, due)
        finally:
            self._idle.put(carrier)
            self._senders.append(client)

    async def _borrow(self, client: Client, intended_at_us: int) -> Carrier:
        """Return a carrier whose connection is open; until then the client's call is one that waits."""
        waiting = self._caller.waiting
        waiting[client.number] = intended_at_us
        try:
            carrier = await self._idle.get()
            if not carrier.connection.is_open:
                try:
                    await self._reconnector.ensure(carrier.connection, self._dispatch.pauses)
                except BaseException:
                    self._idle.put(carrier)
                    raise
        finally:
            del waiting[client.number]
        return carrier

    def _start(self, work: Any) -> None:
        task = asyncio.create_task(work)
        self._in_flight.add(task)
        task.add_done_callback(self._done)

    def _done(self, task: "asyncio.Task[None]") -> None:
        self._in_flight.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            self._errors.append(error)

    def _raise_first(self) -> None:
        if self._errors:
            raise self._errors[0]

    async def _settle(self) -> None:
        while self._in_flight:
            await asyncio.wait(self._in_flight)
        self._raise_first()

    def _free_session(self) -> int | None:
        """Return a session that does nothing: a random one, else the next free one after it; None when all are busy."""
        start = int(self._dispatch.draws.random() * len(self._sessions))
        if not self._is_busy[start]:
            return start
        free = self._is_busy.find(0, start)
        free = free if free >= 0 else self._is_busy.find(0)
        return free if free >= 0 else None

    def _turn(self, session: int | None, arrival: Arrival) -> str:
        """Return what the session does this time: one who came in goes out next."""
        if len(arrival.operations) == 1 or session is None:
            return arrival.operations[0]
        key = (session, "/".join(arrival.operations))
        turn = self._turns.get(key, self._sessions[session].number)  # not all begin with the same
        self._turns[key] = turn + 1
        return arrival.operations[turn % len(arrival.operations)]

    def _fixed(self, operation: str, own: Mapping[str, Any], pin: Mapping[str, int | str]) -> dict[str, Any]:
        """Return the arguments that are not drawn: what is the session's own, and where the stream is."""
        fixed = {}
        for name, domain in self._caller.operations[operation].arguments.items():
            if isinstance(domain, KeyOf):
                if domain.pool in own:
                    fixed[name] = own[domain.pool]
                if name in pin:
                    fixed[name] = self._caller.world.pinned(domain.pool, pin[name])
        return fixed
