"""The part of a run that happens in an event loop, where several processes make the calls.

This one makes none. It has what there is once in a run: the outside services, which remember; the faults, and the proxy
that some of them need; the samples, of all calls together; and the word when all go on from one phase to the next. A
process that is gone takes the run with it: the others end in good order, and what it had not finished is unknown.
"""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from random import Random
from typing import Any

from integrity.clients.http import Server
from integrity.clients.requests import RequestServer
from integrity.clients.services import Reacted, ServiceDesk
from integrity.domain import Key, World
from integrity.errors import RunBroken
from integrity.events import Event
from integrity.history import decode
from integrity.load.client import Clock, Sources
from integrity.load.faulting import Faulting
from integrity.load.generator import Generator, UsedByProcess
from integrity.load.interruption import first_signal
from integrity.load.loop_lag import LoopLag
from integrity.load.phases import Phase, Piece, Pieces
from integrity.load.profile import OpenProfile
from integrity.load.shards.fleet import Fleet
from integrity.load.shards.gathering import Gathering
from integrity.load.shards.order import Order, SentSystem
from integrity.load.share import Share
from integrity.load.watching import AppendSample, Watching
from integrity.load.work_done import WorkPart, merge_parts, merge_phases
from integrity.load.workload import Workload
from integrity.measure.live import LiveMeasures, News
from integrity.numbers import counted
from integrity.operation import Request
from integrity.runs.files import HISTORY_FILE, file_of_process
from integrity.runs.parts import find_parts, open_lines


class ShardedWork:
    """The work of a run, as driving.Driven has it.

    Args:
        world: the keys that calls may name; those that they make come to it.
        folder: of the run.
        count: of the processes.
        origin: of the server that calls go to; None: to the database.
    """

    def __init__(
        self,
        workload: Workload,
        world: World,
        clock: Clock,
        *,
        faulting: Faulting,
        append_sample: AppendSample,
        folder: Path,
        count: int,
        server: Server | RequestServer | None = None,
    ) -> None:
        self._workload, self._world, self._clock, self._faulting = workload, world, clock, faulting
        self._folder, self._count, self._server = folder, count, server
        self.generator = Generator()
        groups = {name: each.group for name, each in workload.system.operations.items() if each.group}
        self._live = LiveMeasures(groups)
        self._rss_mb: dict[int, float] = {}
        self.loop_lag = LoopLag()
        self.watching = Watching(
            self._live.measures,
            clock,
            duration_s=workload.profile.duration_s,
            append=append_sample,
            rss_mb=lambda: round(self.generator.rss_mb() + sum(self._rss_mb.values()), 1),
            look=self._look,
        )
        self._services = ServiceDesk(workload.system, faulting.conduct)
        self._sources: dict[str, Random] = {}
        self._parts: list[WorkPart] = []
        self._error: BaseException | None = None
        self._lost: list[int] = []
        self._worst_ms: float | None = None
        self._pieces = Pieces(workload.profile) if isinstance(workload.profile, OpenProfile) else None
        self._is_drawing = True
        self._reviving = asyncio.Lock()
        self._gathering = Gathering(range(count))
        handlers: dict[str, Callable[..., Any]] = {
            "reach": self._gathering.reach,
            "piece": self._piece,
            "serve": self._serve,
            "made": self._take_made,
            "revive": self._revive,
            "failed": self._take_failure,
        }
        self._fleet = Fleet(handlers, lost=self._lose, failed=self._fail)

    @property
    def told(self) -> "asyncio.Queue[Event]":
        """What is to be told of it."""
        return self.watching.told

    def process_ids(self) -> Sequence[int]:
        """Return the ids of the processes that make the calls, as far as they have been started and have not ended."""
        return self._fleet.ids

    async def run(self) -> None:
        await self._faulting.open()
        try:
            await self._fleet.start(self._orders())
            await self._work()
            for number in self._lost:
                self._error = self._error or await self._describe_loss(number)
        finally:
            await self._fleet.end()
            await self._faulting.close()
        if self._error is not None:
            raise self._error

    def _orders(self) -> list[Order]:
        """Return what each process is told."""
        workload, (target, startup) = self._workload, self._faulting.way
        system, server = SentSystem.of(workload.system), self._server
        return [
            Order(
                share=Share(number, self._count),
                system=system,
                bug_name=workload.bug.name if workload.bug else None,
                profile=workload.profile,
                seed=workload.seed,
                world=replace(self._world, turn=(number, self._count)),
                offset_ns=self._clock.offset_ns,
                folder=self._folder,
                database=target.text,
                startup=startup,
                has_faults=self._faulting.is_planned,
                can_revive=self._faulting.revive is not None,
                origin=server.origin if server is not None else None,
                requests=server.target if isinstance(server, RequestServer) else None,
            )
            for number in range(self._count)
        ]

    async def _work(self) -> None:
        await self._gathering.all_at("opened")
        if self._is_broken:
            return
        self._began_at = asyncio.get_running_loop().time()
        self.watching.start()
        watching = [asyncio.create_task(self.loop_lag.measure()), asyncio.create_task(self.watching.watch())]
        if self._pieces is not None and self._pieces.is_search:
            watching.append(asyncio.create_task(self._search(self._pieces)))
        try:
            with first_signal(partial(asyncio.get_running_loop().call_soon_threadsafe, self.stop)):
                await self._run_phases()
        finally:
            for task in watching:
                task.cancel()
            await asyncio.wait(watching)
        for task in watching:
            if not task.cancelled() and (error := task.exception()) is not None:
                raise error

    async def _run_phases(self) -> None:
        self._faulting.conduct.changed_to = partial(self._fleet.tell, "conduct")
        self._faulting.start(
            now_us=self._clock.now_us, hang_up=self._hang_up, failed=self._end_drawing, turned=self._turn_faults
        )
        self._gathering.let_go("opened")
        await self._gathering.all_at("drawn")
        self._is_drawing = False
        elapsed_s = asyncio.get_running_loop().time() - self._began_at
        await self._faulting.finish()
        await self._look()
        self.watching.finish(elapsed_s)
        self._gathering.let_go("drawn")
        delivered = await self._gathering.all_at("delivered")
        # One of them takes up what is open: it is a matter of rows, whoever left them so.
        sweeper = None if self._is_broken or not all(delivered.values()) else min(delivered)
        self._gathering.let_go("delivered", lambda number: number == sweeper)
        await self._gathering.all_at("swept")
        self._gathering.let_go("swept")
        self._parts = list((await self._gathering.all_at("ended")).values())
        self._fleet.expect_end()
        self._gathering.let_go("ended")

    def part(self) -> WorkPart:
        """Return what it came to, when it has ended: of all processes together, and what this one used meanwhile."""
        used, whole = self.generator.used(), merge_parts(self._parts, self._workload.profile.thresholds)
        schedule = whole.schedule
        if schedule is not None and self._pieces is not None and self._pieces.is_search:
            schedule = replace(schedule, ladder=self._pieces.ladder)
        return replace(
            whole,
            used=UsedByProcess(whole.used.cpu_s + used.cpu_s, whole.used.rss_mb + used.rss_mb),
            loop_lags_ms=[*whole.loop_lags_ms, *self.loop_lag.lags_ms],
            schedule=schedule,
        )

    def take_worst_lag_ms(self) -> float | None:
        """Return the worst lag of any of the loops since this was last asked, from another thread."""
        others, self._worst_ms = self._worst_ms, None
        return max((each for each in (others, self.loop_lag.take_worst_ms()) if each is not None), default=None)

    def stop(self) -> None:
        """Stop early: nothing new is begun."""
        self._fleet.tell("stop")
        self._end_pieces()

    def _end_drawing(self) -> None:
        self._fleet.tell("end_drawing")
        self._end_pieces()

    def _end_pieces(self) -> None:
        self._is_drawing = False
        self._gathering.let_go("piece")

    async def _search(self, pieces: Pieces) -> None:
        """Say which piece of the load comes next, by what all processes saw of the one before."""
        thresholds = self._workload.profile.thresholds
        while True:
            ended = [phase for phase in (await self._gathering.all_at("piece")).values() if phase is not None]
            self._piece_that_follows = pieces.next(merge_phases(ended, thresholds) if ended else None)
            self._gathering.let_go("piece", lambda _number: self._piece_that_follows)

    def _piece(self, number: int, ended: Phase | None) -> "asyncio.Future[Any] | Piece | None":
        return self._gathering.reach(number, "piece", ended) if self._is_drawing else None

    def _serve(self, _number: int, step: Request, sources_name: str) -> Reacted:
        random = self._sources.get(sources_name)
        if random is None:
            random = self._sources[sources_name] = Sources(self._workload.seed, sources_name).services
        return self._services.react(step, random)

    def _take_made(self, number: int, made: Sequence[tuple[str, Key]]) -> None:
        for pool, key in made:
            self._world.add(pool, key)
        self._fleet.tell("made", made, but=number)

    async def _revive(self, _number: int) -> None:
        """Bring the server back, once for all that ask meanwhile."""
        if self._reviving.locked():
            return
        async with self._reviving:
            if self._faulting.revive is not None:
                await asyncio.to_thread(self._faulting.revive)

    def _hang_up(self) -> int:
        self._fleet.tell("hang_up")
        return 0  # those who do say how many, in the counts of their conduct

    async def _turn_faults(self) -> None:
        """A fault is about to be in force, or is none any more: all processes know before it goes on."""
        for counts in (await self._fleet.ask("turn", self._faulting.is_active())).values():
            self._faulting.conduct.counts.update(counts)

    async def _look(self) -> None:
        """Bring the measures up to date."""
        answers: dict[int, tuple[News, float | None, float]] = await self._fleet.ask("look")
        for number, (news, lag_ms, rss_mb) in answers.items():
            self._live.take(number, news)
            self._rss_mb[number] = rss_mb
            if lag_ms is not None:
                self._worst_ms = max(lag_ms, self._worst_ms or 0.0)

    def _take_failure(self, number: int, error: BaseException) -> None:
        """One of the processes cannot go on."""
        self._gathering.lose(number)
        self._fail(error)

    def _lose(self, number: int) -> None:
        """One of the processes is gone."""
        if number in self._gathering.living:
            self._lost.append(number)
            self._gathering.lose(number)
            self.stop()

    async def _describe_loss(self, number: int) -> RunBroken:
        """Return the error of a process that is gone, by what it has left."""
        how, calls = await self._fleet.end_of(number), await asyncio.to_thread(self._count_open, number)
        return RunBroken(
            f"process {number + 1} of the {self._count} that made the calls of the run {how}; "
            f"{counted(calls, 'call of its was', 'calls of its were')} under way, and nobody knows how they ended",
            hint="Where the machine had no memory left, use fewer processes or clients.",
        )

    def _count_open(self, number: int) -> int:
        history = file_of_process(self._folder / HISTORY_FILE, number + 1)
        if not find_parts(history):
            return 0
        with open_lines(history) as lines:
            return sum(call.returned_at_us is None for call in decode(lines, place=str(history)))

    @property
    def _is_broken(self) -> bool:
        """Whether one of the processes is gone, or could not go on."""
        return self._error is not None or bool(self._lost)

    def _fail(self, error: BaseException) -> None:
        self._error = self._error or error
        self.stop()
