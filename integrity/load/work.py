"""The part of a run that happens in an event loop: clients, subscribers, faults, samples, and the end of each.

What is to be told meanwhile stands in a queue, which driving.py empties.
"""

import asyncio
from array import array
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial

from integrity.clients.http import Server
from integrity.clients.reconnecting import Reconnector
from integrity.domain import World
from integrity.events import Event
from integrity.faults.player import PlayedFault
from integrity.faults.reach import Reliance
from integrity.load.caller import Caller
from integrity.load.client import Clock
from integrity.load.closed_loop import ClosedLoop
from integrity.load.draining import Draining
from integrity.load.fault_windows import FaultWindows, JudgedPart
from integrity.load.faulting import Faulting
from integrity.load.generator import Generator
from integrity.load.interruption import first_signal
from integrity.load.open_loop import OpenLoop
from integrity.load.profile import OpenProfile
from integrity.load.recent import known_of_all, known_percentiles
from integrity.load.request import RunAdvanced
from integrity.load.server_record import ServerRecord
from integrity.load.subscribers import Subscribers
from integrity.load.sweeping import Sweeping
from integrity.load.workload import Workload
from integrity.measure.calls import Measures
from integrity.measure.dependencies import Dependencies
from integrity.runs.draining import Drain
from integrity.runs.folder import Recorder
from integrity.runs.result import GeneratorUse, Owed
from integrity.runs.samples import RunSample

SAMPLE_S = 1.0
LOOP_LAG_S = 0.05  # how often the loop's own lag is measured
STOPPED_DRAIN_S = 2.0  # of a run that was stopped early


@dataclass(frozen=True, slots=True)
class WorkDone:
    """What the work came to.

    Args:
        elapsed_s: while calls were drawn, without the time for delivering what was owed then.
        ended_at_us: when nothing more was done, on the clock of calls.
        owed: what nobody will deliver or take up any more.
        settled_at_us: when all was; what is open still was asked about in vain. None: time or the database cut it off.
        loop_lags_ms: how late the event loop was, every now and then.
        dependencies: what outside services were asked.
        drain: what it waited for at its end.
        judged: what thresholds are judged on: without what faults did while they lasted.
        open_loop: None for a closed profile.
        samples: one a second.
        faults: what became of those that were planned; they count from faults_began_us on.
        settled_us: as effects take it; none of a run without faults.
        reliances: what each operation relied on.
        unheard: why it is not known what the server did by itself; empty: it is, or there is none.
    """

    was_stopped: bool
    elapsed_s: float
    ended_at_us: int
    owed: Owed
    settled_at_us: int | None
    drain: Drain
    measures: Measures
    dependencies: Dependencies
    judged: JudgedPart
    reconnects: int
    loop_lags_ms: Sequence[float]
    open_loop: OpenLoop | None
    samples: Sequence[RunSample]
    generator: GeneratorUse
    faults: Sequence[PlayedFault]
    faults_began_us: int
    settled_us: Sequence[tuple[int, int]]
    reliances: Mapping[str, Reliance]
    unheard: str


class Work:
    """The part of a run that happens in the event loop.

    Args:
        server: that calls go to; None: they go to the database.
    """

    def __init__(
        self,
        workload: Workload,
        recorder: Recorder,
        world: World,
        clock: Clock,
        *,
        faulting: Faulting,
        server: Server | None = None,
    ) -> None:
        self._carry = server.carry if server is not None else faulting.carry
        self._workload = workload
        self._faulting = faulting
        self._recorder = recorder
        self.told: asyncio.Queue[Event] = asyncio.Queue()
        self._phase = "running"
        self._clock = clock
        self.was_stopped = False
        self.elapsed_s = 0.0
        self.loop_lags_ms = array("d")
        self.samples: list[RunSample] = []
        self.generator = Generator()
        self.sweeping: Sweeping | None = None
        self.settled_at_us: int | None = None
        self._began_us = clock.now_us()
        self._lags_taken = 0
        self.caller = Caller(
            system=workload.system,
            operations=workload.operations,
            profile=workload.profile,
            world=world,
            clock=clock,
            history=recorder,
            first_free_number=workload.profile.clients,
            conduct=faulting.conduct,
            keeps_settlements=faulting.is_planned,
        )
        self.record = ServerRecord(server, self.caller, recorder) if server is not None else None
        self.fault_windows = FaultWindows(self.caller.measures)

    async def run(self) -> None:
        self._stopping = asyncio.Event()
        self.reconnector = Reconnector(revive=self._faulting.revive, is_expected=self._faulting.is_active)
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
            connect=self._faulting.connect,
            reconnector=self.reconnector,
        )
        if isinstance(self.model, OpenLoop):
            self.model.on_subscribers = self.subscribers.scale_to
        await self.model.open()
        await self.subscribers.open()
        if self.record is not None:
            await self.record.begin()
        self._started_at = asyncio.get_running_loop().time()
        watching = [asyncio.create_task(self._watch()), asyncio.create_task(self._measure_loop())]
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
            self.subscribers.abort()
            if self.record is not None:
                self.record.abort()
        for task in watching:
            if not task.cancelled() and (error := task.exception()) is not None:
                raise error

    async def _run_phases(self) -> None:
        profile = self._workload.profile
        loop = asyncio.get_running_loop()
        self.subscribers.start()
        work = asyncio.create_task(self.model.run())
        stopping = asyncio.create_task(self._stopping.wait())
        self._faulting.start(
            folder=self._recorder.folder,
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
        self._sample()
        self._phase = "finishing"
        # Nobody dies any more, or a delivery might never arrive.
        self.caller.is_abandoning = False
        give_up_at = loop.time() + (STOPPED_DRAIN_S if self.was_stopped else profile.drain_s)
        has_returned = await self._finish(work, give_up_at)
        self.fault_windows.close(self._clock.now_us())
        draining.mark("calls")
        if has_returned:
            if self.was_stopped:
                self.caller.deliveries.hasten(self._clock.now_us())
            has_delivered = await self._finish(asyncio.create_task(self._deliver()), give_up_at)
            draining.mark("webhooks")
            if has_delivered:
                await self._finish(asyncio.create_task(self._sweep()), give_up_at)
                draining.mark("sweeps")
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
        is_known = self.record is None or not self.record.unheard
        if is_known and self.sweeping.is_settled and not self._outstanding:
            self.settled_at_us = self._clock.now_us()

    async def _deliver(self) -> None:
        """Make the deliveries that are owed, or see the server make its own; return when none is."""
        await self.model.drain()
        if self.record is not None:
            await self.record.drain()

    @property
    def _outstanding(self) -> int:
        """Deliveries that are owed, here and by the server."""
        return self.caller.deliveries.outstanding + (self.record.owed if self.record is not None else 0)

    def done(self) -> WorkDone:
        """Return what it came to, when it has ended."""
        return WorkDone(
            was_stopped=self.was_stopped,
            elapsed_s=self.elapsed_s,
            ended_at_us=self._clock.now_us(),
            owed=self._owed(),
            settled_at_us=self.settled_at_us,
            drain=self.draining.ended(self.sweeping),
            measures=self.caller.measures,
            dependencies=self.caller.services.measures,
            judged=self.fault_windows.judged(self.elapsed_s, self._faulting.played),
            reconnects=self.reconnector.count,
            loop_lags_ms=self.loop_lags_ms,
            open_loop=self.model if isinstance(self.model, OpenLoop) else None,
            samples=self.samples,
            generator=self.generator.used(self.elapsed_s),
            faults=self._faulting.played,
            faults_began_us=self._faulting.began_us,
            settled_us=self.caller.settled_us,
            reliances=self._reliances(),
            unheard=self.record.unheard if self.record is not None else "",
        )

    def _reliances(self) -> dict[str, Reliance]:
        streams = {each.operation for each in self._workload.profile.subscribers}
        return {
            name: Reliance(self.caller.services.relied_on.get(name, ()), tuple(operation.arguments), name in streams)
            for name, operation in self._workload.operations.items()
        }

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

    def _make_model(self) -> ClosedLoop | OpenLoop:
        seed, profile = self._workload.seed, self._workload.profile
        if isinstance(profile, OpenProfile):
            return OpenLoop(
                profile,
                self.caller,
                seed=seed,
                carry=self._carry,
                reconnector=self.reconnector,
                stopping=self._stopping,
            )
        return ClosedLoop(
            profile,
            self.caller,
            seed=seed,
            carry=self._carry,
            reconnector=self.reconnector,
            stopping=self._stopping,
        )

    def stop(self) -> None:
        """Stop early: nothing new is begun."""
        self.was_stopped = True
        self._stopping.set()

    async def _watch(self) -> None:
        while True:
            await asyncio.sleep(SAMPLE_S)
            if self._phase == "running":
                self._sample()
            self.told.put_nowait(self.advanced(self._phase))

    def _turn_faults(self) -> None:
        if self._faulting.is_active():
            self.fault_windows.begin(self._clock.now_us())
        else:
            self.fault_windows.end(self._clock.now_us())

    async def _measure_loop(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            before = loop.time()
            await asyncio.sleep(LOOP_LAG_S)
            self.loop_lags_ms.append(max(0.0, loop.time() - before - LOOP_LAG_S) * 1000)
            self.fault_windows.settle(self._clock.now_us(), under_way_since_us=self.caller.under_way_since_us)
            if self.caller.conduct.patience_s is not None:
                self.caller.hang_up()

    def take_worst_lag_ms(self) -> float | None:
        """Return the loop's worst lag since this was last asked, from another thread."""
        new = self.loop_lags_ms[self._lags_taken :]
        self._lags_taken += len(new)
        return max(new, default=None)

    def _sample(self) -> None:
        elapsed_s = asyncio.get_running_loop().time() - self._started_at
        sample = self.caller.measures.sample(elapsed_s, at_us=self._clock.now_us(), rss_mb=self.generator.rss_mb())
        self._recorder.append_sample(sample)
        # The operations are in the file; what is kept here is read for trends.
        self.samples.append(sample.model_copy(update={"operations": {}}))

    def advanced(self, phase: str) -> RunAdvanced:
        """Return how the run is doing."""
        measures = self.caller.measures
        recent_ms = measures.recent_ms()
        return RunAdvanced(
            phase=phase,
            elapsed_s=self.elapsed_s or asyncio.get_running_loop().time() - self._started_at,
            duration_s=self._workload.profile.duration_s,
            calls_per_s=measures.calls_in_last_sample / SAMPLE_S,
            operations=measures.counts(),
            recent={name: known_percentiles(each) for name, each in recent_ms.items()},
            recent_of_all=known_of_all(recent_ms),
        )
