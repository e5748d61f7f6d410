"""The part of a run that happens in an event loop: clients, subscribers, faults, samples, and the end of each.

What is to be told meanwhile stands in a queue, which driving.py empties. Where several processes make the calls of a run,
this is what each of them does with its share (shards/).
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from datetime import UTC, datetime
from functools import partial
from random import Random
from typing import Protocol

from integrity.clients.carrier import Carrier
from integrity.clients.connection import Connection
from integrity.clients.feeds import Feeds, PolledFeeds
from integrity.clients.http import Server
from integrity.clients.reconnecting import Reconnector
from integrity.clients.requests import RequestServer
from integrity.clients.wire_feeds import WireFeeds
from integrity.domain import Key, World
from integrity.events import Event
from integrity.faults.conduct import Conduct
from integrity.load.asking import AskService
from integrity.load.caller import Caller
from integrity.load.client import Clock
from integrity.load.closed_loop import ClosedLoop
from integrity.load.company import Alone, Company
from integrity.load.draining import Draining
from integrity.load.fault_windows import FaultWindows
from integrity.load.generator import Generator
from integrity.load.interruption import first_signal
from integrity.load.loop_lag import LoopLag
from integrity.load.open_loop import OpenLoop
from integrity.load.profile import OpenProfile
from integrity.load.profile import Subscribers as Settings
from integrity.load.server_record import ServerRecord
from integrity.load.share import WHOLE, Share
from integrity.load.stations.calls_elsewhere import CallsElsewhere
from integrity.load.subscribers import Subscribers
from integrity.load.sweeping import Sweeping
from integrity.load.watching import AppendSample, Watching
from integrity.load.work_done import WorkPart
from integrity.load.workload import Workload
from integrity.runs.call_logs import CallLogs
from integrity.runs.result import Owed
from integrity.runs.samples import RunSample
from integrity.systems.system import Subscription

STOPPED_DRAIN_S = 2.0  # of a run that was stopped early


def _keep_none(_sample: RunSample) -> None:
    """Take no sample."""


class FaultsMeanwhile(Protocol):
    """The faults of a run, as its calls know them: see faulting.Faulting."""

    conduct: Conduct
    revive: Callable[[], object] | None

    @property
    def is_planned(self) -> bool: ...

    def is_active(self) -> bool: ...

    async def open(self) -> None: ...

    def connect(self) -> Connection: ...

    def carry(self, random: Random) -> Carrier: ...

    def start(
        self,
        *,
        now_us: Callable[[], int],
        hang_up: Callable[[], int],
        failed: Callable[[], None],
        turned: Callable[[], Awaitable[None]],
    ) -> None: ...

    async def finish(self) -> None: ...

    async def close(self) -> None: ...


class Work:
    """The part of a run that happens in the event loop.

    Args:
        server: that calls go to; None: they go to the database.
        share: of the run's clients.
        company: the other processes that make calls.
        ask, made: as Caller takes them.
        append_sample: writes one down each second; None: whoever looks at all shares together does.
        elsewhere: the calls, where stations make them; None: they are made here.
    """

    def __init__(
        self,
        workload: Workload,
        logs: CallLogs,
        world: World,
        clock: Clock,
        *,
        faulting: FaultsMeanwhile,
        server: Server | RequestServer | None = None,
        share: Share = WHOLE,
        company: Company | None = None,
        ask: AskService | None = None,
        made: Callable[[str, Key], None] | None = None,
        append_sample: AppendSample | None = None,
        elsewhere: CallsElsewhere | None = None,
    ) -> None:
        self._elsewhere = elsewhere
        self._logs = logs
        self._server = server
        self._carry = server.carry if server is not None else faulting.carry
        self._workload = workload
        self._faulting = faulting
        self._clock = clock
        self._share = share
        self._company = company or Alone()
        self._is_watched = append_sample is not None
        self.was_stopped = False
        self.elapsed_s = 0.0
        self.generator = Generator()
        self.sweeping: Sweeping | None = None
        self.settled_at_us: int | None = None
        self._began_us = clock.now_us()
        self.caller = Caller(
            system=workload.system,
            operations=workload.operations,
            profile=workload.profile,
            world=world,
            clock=clock,
            history=logs,
            first_free_number=workload.profile.clients,
            conduct=faulting.conduct,
            keeps_settlements=faulting.is_planned,
            share=share,
            ask=ask,
            made=made,
        )
        self.watching = Watching(
            self.caller.measures,
            clock,
            duration_s=workload.profile.duration_s,
            append=append_sample or _keep_none,
            rss_mb=self.generator.rss_mb,
        )
        # What a server did by itself is in the history once.
        is_first = share.number == 0
        self.record = ServerRecord(server, self.caller, logs) if isinstance(server, Server) and is_first else None
        self.fault_windows = FaultWindows(self.caller.measures)
        self.loop_lag = LoopLag(self._look)

    @property
    def told(self) -> "asyncio.Queue[Event]":
        """What is to be told of it."""
        return self.watching.told

    async def run(self) -> None:
        self._stopping = asyncio.Event()
        self.reconnector = Reconnector(
            revive=self._faulting.revive, is_expected=self._faulting.is_active, waits=self._server is None
        )
        await self._faulting.open()
        try:
            await self._work()
        finally:
            await self._faulting.close()

    async def _work(self) -> None:
        self.model = self._make_model()
        self.subscribers = Subscribers(
            self._workload.profile,
            self.caller,
            subscriptions=self._workload.system.subscriptions,
            seed=self._workload.seed,
            make_feeds=self._make_feeds,
            share=self._share,
        )
        if isinstance(self.model, OpenLoop):
            self.model.on_subscribers = self.subscribers.scale_to
        await self.model.open()
        await self.subscribers.open()
        if self.record is not None:
            await self.record.begin()
        await self._company.opened()
        self._started_at = asyncio.get_running_loop().time()
        self.watching.start()
        watching = [asyncio.create_task(self.loop_lag.measure())]
        if self._is_watched:
            watching.append(asyncio.create_task(self.watching.watch()))
        if self.record is not None:
            watching.append(asyncio.create_task(self.record.follow()))
        try:
            with first_signal(partial(asyncio.get_running_loop().call_soon_threadsafe, self.stop)):
                await self._run_phases()
        finally:
            for task in watching:
                task.cancel()
            await asyncio.wait(watching)
            self.model.abort()
            await self.subscribers.abort()
            if self.record is not None:
                self.record.abort()
        for task in watching:
            if not task.cancelled() and (error := task.exception()) is not None:
                raise error

    def _make_feeds(self, settings: Settings, subscription: Subscription) -> Feeds:
        """Return what keeps the streams of a group of subscribers open: a server's own, or polled on the database."""
        server = self._server
        streams = server.endpoints.streams_of(settings.operation) if isinstance(server, Server) else ()
        if isinstance(server, Server) and streams:
            return WireFeeds(server, streams, subscription, self._clock.now_us)
        return PolledFeeds(
            subscription,
            connect=self._faulting.connect,
            reconnector=self.reconnector,
            pauses=Random(f"{self._workload.seed}/{settings.name}/pauses"),
            count=self._share.of(min(settings.connections, settings.count)),
        )

    async def _run_phases(self) -> None:
        profile = self._workload.profile
        loop = asyncio.get_running_loop()
        self.subscribers.start()
        work = asyncio.create_task(self.model.run())
        stopping = asyncio.create_task(self._stopping.wait())
        self._faulting.start(
            now_us=self._clock.now_us,
            hang_up=self.caller.hang_up,
            failed=self._stopping.set,
            turned=self._turn_faults,
        )
        await asyncio.wait([work, stopping], return_when=asyncio.FIRST_COMPLETED)
        stopping.cancel()
        self.elapsed_s = loop.time() - self._started_at
        self.caller.measures.is_drawn = True
        await self._faulting.finish()
        draining = self.draining = Draining(self.caller)
        if self._is_watched:
            self.watching.finish(self.elapsed_s)
        # Nobody dies any more, or a delivery might never arrive.
        self.caller.is_abandoning = False
        give_up_at = loop.time() + (STOPPED_DRAIN_S if self.was_stopped else profile.drain_s)
        has_returned = await self._finish(work, give_up_at)
        self.fault_windows.close(self._clock.now_us())
        draining.mark("calls")
        has_delivered = False
        if has_returned:
            if self.was_stopped:
                self.caller.deliveries.hasten(self._clock.now_us())
            has_delivered = await self._finish(asyncio.create_task(self._deliver()), give_up_at)
            draining.mark("webhooks")
        if await self._company.delivered(is_all=has_delivered):
            await self._finish(asyncio.create_task(self._sweep()), give_up_at)
            draining.mark("sweeps")
        await self._company.swept()
        if has_returned:
            if await self._finish(asyncio.create_task(self.subscribers.settle()), give_up_at):
                await self.subscribers.close()
            draining.mark("streams")
            await self.model.close()

    async def _sweep(self) -> None:
        """Take up what was left open, and deliver what that causes."""
        self.sweeping = Sweeping(
            self._workload.system,
            self.caller,
            seed=self._workload.seed,
            began_at=datetime.fromtimestamp(self._began_us / 1_000_000, UTC),
            carry=self._carry,
            connect=self._faulting.connect,
        )
        await self.sweeping.run(self._deliver)
        is_known = not self._unheard and not (self.record is not None and self.record.owed_to_others)
        if is_known and self.sweeping.is_settled and not self._outstanding:
            self.settled_at_us = self._clock.now_us()

    async def _deliver(self) -> None:
        """Make the deliveries that are owed, or see the server make its own; return when none is."""
        if self.record is not None and not await self.record.take() and self.record.is_away:
            return  # nobody would take them
        await self.model.drain()
        if self.record is not None:
            await self.record.drain()

    @property
    def _outstanding(self) -> int:
        """Deliveries that are owed, here and by the server."""
        return self.caller.deliveries.outstanding + (self.record.owed if self.record is not None else 0)

    @property
    def _unheard(self) -> str:
        """Why it is not known what was done elsewhere, by a server or at stations; empty: it is."""
        by_stations = self._elsewhere.unheard if self._elsewhere is not None else ""
        return by_stations or (self.record.unheard if self.record is not None else "")

    def process_ids(self) -> Sequence[int]:
        """Return the ids of other processes that make the calls: none does."""
        return ()

    def take_worst_lag_ms(self) -> float | None:
        """Return the loop's worst lag since this was last asked, from another thread."""
        return self.loop_lag.take_worst_ms()

    def part(self) -> WorkPart:
        """Return what it came to, when it has ended."""
        return WorkPart(
            was_stopped=self.was_stopped,
            elapsed_s=self.elapsed_s,
            owed=self._owed(),
            settled_at_us=self.settled_at_us,
            drain=self.draining.ended(self.sweeping),
            measures=self.caller.measures,
            dependencies=self.caller.services.measures,
            cut=self.fault_windows.cut,
            reconnects=self.reconnector.count,
            loop_lags_ms=self.loop_lag.lags_ms,
            schedule=self.model.played() if isinstance(self.model, OpenLoop) else None,
            used=self.generator.used(),
            settled_us=self.caller.settled_us,
            relied_on=self.caller.services.relied_on,
            unheard=self._unheard,
        )

    def _owed(self) -> Owed:
        still_open = self.sweeping.still_open if self.sweeping is not None else {}
        left = {operation: count for operation, count in still_open.items() if count}
        owing = {each.service: 0 for each in self.caller.deliveries.queued(self._clock.now_us())}
        for each in self.caller.deliveries.queued(self._clock.now_us()):
            owing[each.service] += each.count
        return Owed(webhooks=self._outstanding, open=left, of_services=owing)

    async def _finish(self, work: "asyncio.Task[None]", give_up_at: float) -> bool:
        """Return whether the work ended in time; if not, its calls are cut off and left as unknown."""
        await asyncio.wait([work], timeout=max(0.0, give_up_at - asyncio.get_running_loop().time()))
        if work.done():
            await work  # raises what it raised
            return True
        work.cancel()
        self.model.abort()
        await asyncio.wait([work])
        return False

    def _make_model(self) -> ClosedLoop | OpenLoop | CallsElsewhere:
        seed, profile = self._workload.seed, self._workload.profile
        if self._elsewhere is not None:
            self._elsewhere.join(
                self._workload, self.caller, self._logs, stopping=self._stopping, told=self.told.put_nowait
            )
            return self._elsewhere
        if isinstance(profile, OpenProfile):
            return OpenLoop(
                profile,
                self.caller,
                seed=seed,
                carry=self._carry,
                reconnector=self.reconnector,
                stopping=self._stopping,
                share=self._share,
                company=self._company,
            )
        return ClosedLoop(
            profile,
            self.caller,
            seed=seed,
            carry=self._carry,
            reconnector=self.reconnector,
            stopping=self._stopping,
            share=self._share,
        )

    def stop(self) -> None:
        """Stop early: nothing new is begun."""
        self.was_stopped = True
        self._stopping.set()

    def end_drawing(self) -> None:
        """Begin nothing new, as something else went wrong."""
        self._stopping.set()

    async def _turn_faults(self) -> None:
        """A fault is about to be in force, or is none any more."""
        if self._faulting.is_active():
            self.fault_windows.begin(self._clock.now_us())
        else:
            self.fault_windows.end(self._clock.now_us())

    def _look(self) -> None:
        self.fault_windows.settle(self._clock.now_us(), under_way_since_us=self.caller.under_way_since_us)
        if self.caller.conduct.patience_s is not None:
            self.caller.hang_up()
