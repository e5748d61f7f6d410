"""What the work of a run came to: of each process that made its calls, and of all together, as if one had made them all.

Nothing is averaged: counts add up, and distributions hold the values of all, so that a percentile is that of all calls.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from integrity.faults.player import PlayedFault
from integrity.faults.reach import Reliance
from integrity.load.fault_windows import Cut, JudgedPart, judged_part, merge_cuts
from integrity.load.generator import UsedByProcess, use_of
from integrity.load.phases import Phase, PlayedSchedule
from integrity.load.thresholds import Threshold
from integrity.load.workload import Workload
from integrity.measure.calls import Measures
from integrity.measure.dependencies import Dependencies
from integrity.measure.distribution import Distribution
from integrity.measure.marks import merge_measures
from integrity.runs.draining import Drain, DrainedSweep, DrainedWebhooks
from integrity.runs.result import GeneratorUse, Owed
from integrity.runs.samples import RunSample


@dataclass(frozen=True, slots=True)
class WorkPart:
    """What the calls of one process came to.

    Args:
        was_stopped: early.
        elapsed_s: while calls were drawn, without the time for delivering what was owed then.
        owed: what nobody will deliver or take up any more.
        settled_at_us: when all was; what is open still was asked about in vain. None: time or the database cut it off, or
            this is not the process that looked after it.
        drain: what it waited for at its end.
        dependencies: what outside services were asked.
        cut: what returned while faults were in force.
        loop_lags_ms: how late the event loop was, every now and then.
        schedule: None for a closed profile.
        used: of the machine.
        settled_us: as effects take it; none of a run without faults.
        relied_on: operation -> services.
        unheard: why it is not known what the server did by itself; empty: it is, or there is none.
    """

    was_stopped: bool
    elapsed_s: float
    owed: Owed
    settled_at_us: int | None
    drain: Drain
    measures: Measures
    dependencies: Dependencies
    cut: Sequence[Cut]
    reconnects: int
    loop_lags_ms: Sequence[float]
    schedule: PlayedSchedule | None
    used: UsedByProcess
    settled_us: Sequence[tuple[int, int]]
    relied_on: Mapping[str, set[str]]
    unheard: str = ""


@dataclass(frozen=True, slots=True)
class WorkDone:
    """What the work came to.

    Args:
        ended_at_us: when nothing more was done, on the clock of calls.
        judged: what thresholds are judged on: without what faults did while they lasted.
        samples: one a second.
        faults: what became of those that were planned; they count from faults_began_us on.
        reliances: what each operation relied on.

    The others are as those of its parts.
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
    schedule: PlayedSchedule | None
    samples: Sequence[RunSample]
    generator: GeneratorUse
    faults: Sequence[PlayedFault]
    faults_began_us: int
    settled_us: Sequence[tuple[int, int]]
    reliances: Mapping[str, Reliance]
    unheard: str


def done_of(
    part: WorkPart,
    workload: Workload,
    samples: Sequence[RunSample],
    *,
    ended_at_us: int,
    faults: Sequence[PlayedFault],
    faults_began_us: int,
) -> WorkDone:
    """Return what the work came to, of one process or of all together."""
    streams = {each.operation for each in workload.profile.subscribers}
    reliances = {
        name: Reliance(part.relied_on.get(name, ()), tuple(operation.arguments), name in streams)
        for name, operation in workload.operations.items()
    }
    return WorkDone(
        was_stopped=part.was_stopped,
        elapsed_s=part.elapsed_s,
        ended_at_us=ended_at_us,
        owed=part.owed,
        settled_at_us=part.settled_at_us,
        drain=part.drain,
        measures=part.measures,
        dependencies=part.dependencies,
        judged=judged_part(part.measures, part.cut, part.elapsed_s, faults),
        reconnects=part.reconnects,
        loop_lags_ms=part.loop_lags_ms,
        schedule=part.schedule,
        samples=samples,
        generator=use_of(part.used, part.elapsed_s),
        faults=faults,
        faults_began_us=faults_began_us,
        settled_us=part.settled_us,
        reliances=reliances,
        unheard=part.unheard,
    )


def merge_parts(parts: Sequence[WorkPart], thresholds: Sequence[Threshold]) -> WorkPart:
    """Return what all processes of a run came to.

    Args:
        thresholds: of the profile, which phases are judged by.
    """
    played = [part.schedule for part in parts if part.schedule is not None]
    relied_on: defaultdict[str, set[str]] = defaultdict(set)
    for part in parts:
        for operation, services in part.relied_on.items():
            relied_on[operation] |= services
    return WorkPart(
        was_stopped=any(part.was_stopped for part in parts),
        elapsed_s=max(part.elapsed_s for part in parts),
        owed=_owed(part.owed for part in parts),
        settled_at_us=max((part.settled_at_us for part in parts if part.settled_at_us is not None), default=None),
        drain=_drain([part.drain for part in parts]),
        measures=merge_measures([part.measures for part in parts]),
        dependencies=Dependencies.merged([part.dependencies for part in parts]),
        cut=merge_cuts(cut for part in parts for cut in part.cut),
        reconnects=sum(part.reconnects for part in parts),
        loop_lags_ms=[lag for part in parts for lag in part.loop_lags_ms],
        schedule=merge_schedules(played, thresholds) if played else None,
        used=UsedByProcess(sum(part.used.cpu_s for part in parts), sum(part.used.rss_mb for part in parts)),
        settled_us=sorted(settled for part in parts for settled in part.settled_us),
        relied_on=relied_on,
        unheard=next((part.unheard for part in parts if part.unheard), ""),
    )


def merge_schedules(played: Sequence[PlayedSchedule], thresholds: Sequence[Threshold]) -> PlayedSchedule:
    """Return what became of all arrivals; a phase that one process did not come to the end of is none of the run's."""
    return PlayedSchedule(
        offered=sum(each.offered for each in played),
        sent=sum(each.sent for each in played),
        lags_ms=Distribution.of(each.lags_ms for each in played),
        phases=[merge_phases(phases, thresholds) for phases in zip(*(each.phases for each in played), strict=False)],
        pace=max((each.pace for each in played), key=lambda pace: pace.horizon_s),
        ladder=played[0].ladder,
        started_at_us=min(each.started_at_us for each in played),
    )


def merge_phases(phases: Sequence[Phase], thresholds: Sequence[Threshold]) -> Phase:
    """Return a phase of the run, of which each process has measured its share."""
    whole = replace(
        phases[0],
        offered=sum(phase.offered for phase in phases),
        lags_ms=Distribution.of(phase.lags_ms for phase in phases),
        measures=merge_measures([phase.measures for phase in phases]),
    )
    whole.judge(thresholds)
    return whole


def _owed(owed: Iterable[Owed]) -> Owed:
    webhooks, still_open, of_services = 0, Counter[str](), Counter[str]()
    for each in owed:
        webhooks += each.webhooks
        still_open.update(each.open)
        of_services.update(each.of_services)
    return Owed(webhooks=webhooks, open=dict(still_open), of_services=dict(of_services))


def _drain(drains: Sequence[Drain]) -> Drain:
    """Return how the run ended: each waited for the slowest."""
    webhooks: defaultdict[tuple[str, str], list[DrainedWebhooks]] = defaultdict(list)
    calls, awaited, swept, troubled = Counter[str](), Counter[str](), Counter[str](), Counter[str]()
    for drain in drains:
        calls.update(drain.calls)
        awaited.update(drain.awaited)
        for each in drain.webhooks:
            webhooks[each.service, each.operation].append(each)
        for sweep in drain.sweeps:
            swept[sweep.operation] += sweep.calls
            troubled[sweep.operation] += sweep.troubled
    queued = [
        DrainedWebhooks(
            service=service,
            operation=operation,
            count=sum(each.count for each in owed),
            again=sum(each.again for each in owed),
            last_due_s=max(each.last_due_s for each in owed),
        )
        for (service, operation), owed in webhooks.items()
    ]
    return Drain(
        seconds=max(drain.seconds for drain in drains),
        calls_s=max(drain.calls_s for drain in drains),
        webhooks_s=max(drain.webhooks_s for drain in drains),
        sweeps_s=max(drain.sweeps_s for drain in drains),
        streams_s=max(drain.streams_s for drain in drains),
        calls=dict(calls),
        awaited=dict(awaited),
        webhooks=tuple(sorted(queued, key=lambda each: -each.count)),
        sweeps=tuple(DrainedSweep(operation=name, calls=count, troubled=troubled[name]) for name, count in swept.items()),
    )
