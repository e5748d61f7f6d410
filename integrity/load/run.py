"""A run: prepares the database, lets a profile's clients loose on it, and leaves a folder and a loaded history behind.

Before: the database is checked (is it ours, seeded, large enough), the bug planted or what a bug left out made again, the
keys read. Meanwhile: one sample a second, to the folder and to whoever listens; and what goes wrong on purpose. After: what
is owed is delivered and what is open taken up, or both are listed; the thresholds are judged, the history is loaded, and it
is looked up what became of the calls whose outcome nobody learned. Stopped early (Ctrl-C), a run does all of that too, only
in less time.
"""

import asyncio
import gc
import signal
import threading
from array import array
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from integrity.clients.reconnecting import Reconnector
from integrity.domain import World
from integrity.engines.embedded.server import EmbeddedServer
from integrity.engines.occupancy import RUN, Hold, occupy
from integrity.engines.target import Target
from integrity.errors import AuditError
from integrity.exit_codes import Shortfall, exit_code_of
from integrity.faults.schedule import Window
from integrity.load.caller import Caller, Clock
from integrity.load.closed_loop import ClosedLoop
from integrity.load.faulting import Faulting
from integrity.load.generator import Generator
from integrity.load.open_loop import OpenLoop
from integrity.load.preparing import prepare, read_keys
from integrity.load.profile import OpenProfile, Profile
from integrity.load.resources import find_resources
from integrity.load.result import describe_run, make_result
from integrity.load.subscribers import Subscribers
from integrity.load.sweeping import Sweeping
from integrity.load.thresholds import State, shortfalls_of
from integrity.measure.effects import describe_effects
from integrity.measure.measures import percentiles
from integrity.monitor.sampler import Monitor
from integrity.project import Project
from integrity.runs.files import MONITOR_FILE
from integrity.runs.folder import Recorder, RunFolder, make_run_folder
from integrity.runs.heartbeat import Heartbeat
from integrity.runs.loading import LoadedRun, load_history
from integrity.runs.result import Owed, RunResult
from integrity.runs.samples import Counts, Percentiles, Sample
from integrity.runs.settlement import Settlement, settle
from integrity.runs.unfinished import note_running
from integrity.systems.system import Bug, System

SAMPLE_S = 1.0
LOOP_LAG_S = 0.05  # how often the loop's own lag is measured
STOPPED_DRAIN_S = 2.0  # of a run that was stopped early


@dataclass(frozen=True, slots=True, kw_only=True)
class RunRequest:
    """What is to be run.

    Args:
        profile: with everything that the command line says; an open one is scaled already.
        time_scale: by which it was compressed, for the record.
        bug: planted; None: the sound system.
        test_database: as guard takes it.
        revive: brings the server back when it is gone, if it is ours to bring back.
        server: where it is ours, for the faults that act on its processes.
        faults: what goes wrong on purpose, and when.
        faults_may_overlap: as read_schedule takes it.
    """

    system: System
    profile_name: str
    profile: Profile
    target: Target
    project: Project
    seed: int
    time_scale: float = 1.0
    bug: Bug | None = None
    test_database: str | None = None
    revive: Callable[[], object] | None = None
    server: EmbeddedServer | None = None
    faults: tuple[Window, ...] = ()
    faults_may_overlap: bool = False


@dataclass(frozen=True, slots=True)
class Progress:
    """How a run is doing, once a second.

    Args:
        phase: "running", "draining" (delivering what is owed) or "loading" (the history).
        operations: of each operation, so far.
        recent: of each operation, over the last ten seconds.
        calls_per_s: in the last second.
    """

    phase: str
    elapsed_s: float
    duration_s: float
    calls_per_s: float
    operations: Mapping[str, Counts]
    recent: Mapping[str, Percentiles]


Listener = Callable[[Progress], None]


@dataclass(frozen=True, slots=True)
class EndedRun:
    """What came out.

    Args:
        loaded: its history in the database.
    """

    folder: RunFolder
    result: RunResult
    loaded: LoadedRun

    @property
    def shortfalls(self) -> frozenset[Shortfall]:
        """Return what fell short; a run that was interrupted says that alone, as thresholds are of a whole one."""
        if self.result.state == "interrupted":
            return frozenset({Shortfall.INTERRUPTED})
        unmeasured = frozenset() if self.loaded.call_count else frozenset({Shortfall.UNKNOWN})
        return unmeasured | shortfalls_of(State(threshold.state) for threshold in self.result.thresholds)

    @property
    def exit_code(self) -> int:
        return exit_code_of(self.shortfalls)


def run(
    request: RunRequest, *, listener: Listener | None = None, on_prepared: Callable[[], None] = lambda: None
) -> EndedRun:
    """Run the workload; return when its history is in the database.

    Args:
        on_prepared: called when nothing is left that would refuse the run, before it begins.

    Raises:
        AuditError: the run cannot begin, or cannot go on; what was recorded by then is in its folder.
    """
    # Taken again when a crash or a fault ends its session: as long as we work there, nobody drops it under us.
    who = f"{RUN}{request.system.name} {request.profile_name}"
    with occupy(request.target, who, is_exclusive=False, is_kept=True) as hold:
        return _run(request, hold, listener=listener, on_prepared=on_prepared)


def _run(request: RunRequest, hold: Hold, *, listener: Listener | None, on_prepared: Callable[[], None]) -> EndedRun:
    server = prepare(request.system, request.profile, request.target, request.bug, request.test_database)
    world = World(
        keys=read_keys(request.system, request.profile, request.target),
        hot_share=request.profile.hot_share,
        hot_count=request.profile.hot_count,
    )
    faulting = Faulting(
        request.faults,
        may_overlap=request.faults_may_overlap,
        target=request.target,
        system=request.system,
        profile=request.profile,
        keys=world.keys,
        server=request.server,
        revive=request.revive,
    )
    on_prepared()
    clock = Clock()
    started = datetime.now().astimezone()
    name = f"{started:%Y%m%d-%H%M%S}-{request.system.name}-{request.profile_name}"
    folder = make_run_folder(request.project.runs_folder, name)
    hold.rename(f"{RUN}{folder.run_id}")
    recorder = Recorder(
        folder,
        describe_run(
            system=request.system.name,
            profile_name=request.profile_name,
            profile=request.profile,
            time_scale=request.time_scale,
            bug=request.bug.name if request.bug else None,
            seed=request.seed,
            target=request.target,
            server=server,
            project=request.project,
            started_at_us=clock.now_us(),
        ),
    )
    # It lives until its history is there, or nobody will bring it.
    with Heartbeat(request.target, folder.run_id):
        result = _carry_out(request, folder, recorder, world, clock, faulting=faulting, listener=listener)
        loaded = load_history(request.target, folder)
    settlement = settle(request.target, request.system, folder.run_id) if loaded.unknown_count else Settlement()
    result = result.model_copy(update={"unknown_outcomes": settlement})
    folder.write_result(result)
    return EndedRun(folder, result, loaded)


def _carry_out(
    request: RunRequest,
    folder: RunFolder,
    recorder: Recorder,
    world: World,
    clock: Clock,
    *,
    faulting: Faulting,
    listener: Listener | None,
) -> RunResult:
    """Do all that is recorded, and return the result, which is in the folder by then."""
    is_noted = False
    try:
        note_running(request.target, folder)
        is_noted = True
        work = _Work(request, recorder, world, clock, faulting=faulting, listener=listener)
        monitor = Monitor(
            request.target,
            file=folder.path / MONITOR_FILE,
            # In a closed loop each client has a connection of its own: that all are busy says nothing.
            pool_size=request.profile.connection_count if isinstance(request.profile, OpenProfile) else None,
            read_loop_lag_ms=work.take_worst_lag_ms,
        )
        with monitor:
            _run_loop(work.run())
        result = make_result(
            request.profile,
            folder,
            work.caller.measures,
            state="interrupted" if work.was_stopped else "finished",
            elapsed_s=work.elapsed_s,
            ended_at_us=clock.now_us(),
            owed=work.owed(),
            settled_at_us=work.settled_at_us,
            reconnects=work.reconnector.count,
            loop_lag_p99_ms=percentiles(work.loop_lags_ms)["p99_ms"],
            open_loop=work.model if isinstance(work.model, OpenLoop) else None,
            samples=work.samples,
            generator=work.generator.used(work.elapsed_s),
            resources=find_resources(monitor.summary, monitor.facts),
        )
        recorder.flush()
        effects = describe_effects(folder, faulting.played, began_at_us=faulting.began_us, ended_at_us=result.ended_at_us)
        result = result.model_copy(update={"monitor": monitor.summary, "faults": effects})
        folder.write_result(result)
        work.tell("loading")
    except AuditError as error:
        if is_noted:  # else nothing was called yet, and nobody will look for it
            kept = f"What was recorded by then is in {folder.path}; the next integrity validate loads it."
            error.hint = f"{error.hint} {kept}" if error.hint else kept
        raise
    finally:
        recorder.end()
        recorder.close()
    return result


def _run_loop(work: Any) -> None:
    """Run it on uvloop where that is present; an error of the user's comes out bare, not in the group of its tasks."""
    # What exists by now stays: a full collection in the middle of a run would look at all of it, some 50 ms long.
    gc.collect()
    gc.freeze()
    try:
        try:
            import uvloop
        except ImportError:
            asyncio.run(work)
        else:
            uvloop.run(work)
    except BaseExceptionGroup as group:
        first: BaseException = group
        while isinstance(first, BaseExceptionGroup):
            first = first.exceptions[0]
        if isinstance(first, AuditError):
            raise first from None
        raise
    finally:
        gc.unfreeze()


class _Work:
    """The part of a run that happens in the event loop."""

    def __init__(
        self,
        request: RunRequest,
        recorder: Recorder,
        world: World,
        clock: Clock,
        *,
        faulting: Faulting,
        listener: Listener | None,
    ) -> None:
        self._request = request
        self._faulting = faulting
        self._recorder = recorder
        self._listener = listener
        self._phase = "running"
        self._clock = clock
        self.was_stopped = False
        self.elapsed_s = 0.0
        self.loop_lags_ms = array("d")
        self.samples: list[Sample] = []
        self.generator = Generator()
        self.sweeping: Sweeping | None = None
        self.settled_at_us: int | None = None
        self._began_us = clock.now_us()
        self._lags_taken = 0
        self.caller = Caller(
            system=request.system,
            operations=request.system.operations_with(request.bug),
            profile=request.profile,
            world=world,
            clock=clock,
            history=recorder,
            first_free_number=request.profile.clients,
            conduct=faulting.conduct,
        )

    async def run(self) -> None:
        self._stopping = asyncio.Event()
        self.reconnector = Reconnector(revive=self._faulting.revive, is_expected=self._faulting.is_active)
        await self._faulting.open(seed=self._request.seed)
        try:
            await self._work()
        finally:
            await self._faulting.close()

    async def _work(self) -> None:
        self.model = self._make_model()
        self.subscribers = Subscribers(
            self._request.profile,
            self.caller,
            subscriptions=self._request.system.subscriptions,
            seed=self._request.seed,
            connect=self._faulting.connect,
            reconnector=self.reconnector,
        )
        if isinstance(self.model, OpenLoop):
            self.model.on_subscribers = self.subscribers.scale_to
        await self.model.open()
        await self.subscribers.open()
        self._started_at = asyncio.get_running_loop().time()
        watching = [asyncio.create_task(self._watch()), asyncio.create_task(self._measure_loop())]
        try:
            with self._stop_on_signal():
                await self._run_phases()
        finally:
            for task in watching:
                task.cancel()
            await asyncio.wait(watching)
            self.model.abort()
            self.subscribers.abort()
        for task in watching:
            if not task.cancelled() and (error := task.exception()) is not None:
                raise error

    async def _run_phases(self) -> None:
        profile = self._request.profile
        loop = asyncio.get_running_loop()
        self.subscribers.start()
        work = asyncio.create_task(self.model.run())
        stopping = asyncio.create_task(self._stopping.wait())
        self._faulting.start(
            seed=self._request.seed,
            folder=self._recorder.folder,
            now_us=self._clock.now_us,
            hang_up=self.caller.hang_up,
            failed=self._stopping.set,
        )
        await asyncio.wait([work, stopping], return_when=asyncio.FIRST_COMPLETED)
        stopping.cancel()
        self.elapsed_s = loop.time() - self._started_at
        await self._faulting.finish()
        self._sample()
        self._phase = "draining"
        # Nobody dies any more, or a delivery might never arrive.
        self.caller.is_abandoning = False
        give_up_at = loop.time() + (STOPPED_DRAIN_S if self.was_stopped else profile.drain_s)
        if await self._finish(work, give_up_at):
            if self.was_stopped:
                self.caller.deliveries.hasten(self._clock.now_us())
            if await self._finish(asyncio.create_task(self.model.drain()), give_up_at):
                await self._finish(asyncio.create_task(self._sweep()), give_up_at)
            if await self._finish(asyncio.create_task(self.subscribers.settle()), give_up_at):
                await self.subscribers.close()
            await self.model.close()

    async def _sweep(self) -> None:
        """Take up what was left open, and deliver what that causes."""
        self.sweeping = Sweeping(
            self._request.system,
            self.caller,
            seed=self._request.seed,
            began_at=datetime.fromtimestamp(self._began_us / 1_000_000, UTC),
            connect=self._faulting.connect,
        )
        await self.sweeping.run(self.model.drain)
        if self.sweeping.is_settled and not self.caller.deliveries.outstanding:
            self.settled_at_us = self._clock.now_us()

    def owed(self) -> Owed:
        """Return what nobody will deliver or take up any more."""
        still_open = self.sweeping.still_open if self.sweeping is not None else {}
        left = {operation: count for operation, count in still_open.items() if count}
        return Owed(webhooks=self.caller.deliveries.outstanding, open=left)

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
        request, profile = self._request, self._request.profile
        if isinstance(profile, OpenProfile):
            return OpenLoop(
                profile,
                self.caller,
                seed=request.seed,
                connect=self._faulting.connect,
                reconnector=self.reconnector,
                stopping=self._stopping,
            )
        return ClosedLoop(
            profile,
            self.caller,
            seed=request.seed,
            connect=self._faulting.connect,
            reconnector=self.reconnector,
            stopping=self._stopping,
        )

    def stop(self) -> None:
        """Stop early: nothing new is begun."""
        self.was_stopped = True
        self._stopping.set()

    @contextmanager
    def _stop_on_signal(self) -> Iterator[None]:
        """The first Ctrl-C (or SIGTERM) stops the run, a second one interrupts it as usual."""
        if threading.current_thread() is not threading.main_thread():
            yield
            return
        loop = asyncio.get_running_loop()

        def on_signal() -> None:
            for number in (signal.SIGINT, signal.SIGTERM):
                loop.remove_signal_handler(number)
            signal.signal(signal.SIGINT, signal.default_int_handler)
            self.stop()

        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, on_signal)
        try:
            yield
        finally:
            for number in (signal.SIGINT, signal.SIGTERM):
                loop.remove_signal_handler(number)

    async def _watch(self) -> None:
        while True:
            await asyncio.sleep(SAMPLE_S)
            if self._phase == "running":
                self._sample()
            self.tell(self._phase)

    async def _measure_loop(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            before = loop.time()
            await asyncio.sleep(LOOP_LAG_S)
            self.loop_lags_ms.append(max(0.0, loop.time() - before - LOOP_LAG_S) * 1000)
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

    def tell(self, phase: str) -> None:
        """Tell the listener how the run is doing."""
        if self._listener is None:
            return
        measures = self.caller.measures
        self._listener(
            Progress(
                phase=phase,
                elapsed_s=self.elapsed_s or asyncio.get_running_loop().time() - self._started_at,
                duration_s=self._request.profile.duration_s,
                calls_per_s=measures.calls_in_last_sample / SAMPLE_S,
                operations=measures.counts(),
                recent=measures.recent(),
            )
        )
