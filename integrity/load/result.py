"""What a run came to, as the record that it leaves to read: its result."""

from collections.abc import Mapping, Sequence
from types import MappingProxyType

from integrity.load.beside_faults import judge_endings, judge_spared
from integrity.load.judging import ThresholdJudgement, judge
from integrity.load.phases import PlayedSchedule, judge_search
from integrity.load.profile import OpenProfile, Profile
from integrity.load.shape_result import ShapeFound, describe_shape
from integrity.load.thresholds import Grade
from integrity.load.work_done import WorkDone
from integrity.measure.calls import Measures, OperationMeasure, summarize, summarize_groups
from integrity.measure.distribution import Distribution, percentiles
from integrity.measure.trends import Recovery
from integrity.runs.effects import FaultEffect
from integrity.runs.folder import RunFolder
from integrity.runs.result import (
    Arrivals,
    ErrorCount,
    NotRun,
    OperationResult,
    ReasonCount,
    RunResult,
    SettledResult,
    Shortened,
    StreamResult,
    ThresholdResult,
    TimesResult,
)
from integrity.runs.settings import RunSettings


def make_result(
    folder: RunFolder,
    settings: RunSettings,
    profile: Profile,
    done: WorkDone,
    resources: Mapping[str, float],
    *,
    effects: tuple[FaultEffect, ...] = (),
    not_run: Sequence[NotRun] = (),
    resource_counts: Mapping[str, int] = MappingProxyType({}),
) -> RunResult:
    """Return the result, as far as it is known before the history is loaded.

    Args:
        resources: what the monitor saw at its peak, of a search at its first load; resource_counts: in how many samples.
        effects: of its faults.
        not_run: what was left out of it: where everything is to be touched, a threshold that is not measured.
    """
    measures, schedule = done.measures, done.schedule
    elapsed_s, generator = done.elapsed_s, done.generator
    operations = summarize(measures, elapsed_s)
    loop_lag_p99_ms = percentiles(done.loop_lags_ms)["p99_ms"]
    lag_ms = percentiles(schedule.lags_ms)["p99_ms"] if schedule else None
    resources = {**resources, "generator_cpu_share": generator.cpu_share, "rss_mb": generator.rss_mb}
    late_ms = max((lag for lag in (lag_ms, loop_lag_p99_ms) if lag is not None), default=None) if schedule else None
    judged = done.judged
    ran_s = settings.ran_before_s + (elapsed_s if done.was_stopped else profile.duration_s)
    shortened = Shortened.of(ran_s, profile.whole_s)
    found: ShapeFound = {}
    if schedule and isinstance(profile, OpenProfile):
        found = describe_shape(profile, schedule, done.samples)
    judgements = judge(
        profile.all_thresholds,
        judged.measures,
        late_ms,
        seconds=judged.seconds,
        resources=resources,
        resource_counts=resource_counts,
        recoveries=_recoveries(found, effects),
        shortened=shortened.mark if shortened is not None else "",
    )
    if isinstance(profile, OpenProfile) and profile.steps and schedule and schedule.phases:
        judgements = judge_search(schedule.phases, judgements)
    missed = profile.touching(each.operation for each in not_run)
    judgements += [ThresholdJudgement(each, Grade.NOT_MEASURED, None, 0, "it was not run") for each in missed]
    beside = judge_spared(profile.thresholds, judged, done.faults, done.reliances, late_ms)
    endings = judge_endings(effects)
    return RunResult(
        run_id=folder.run_id,
        folder=str(folder.path),
        system=settings.system,
        profile=settings.profile,
        bug=settings.bug,
        seed=settings.seed,
        app=settings.app,
        time_scale=settings.time_scale,
        database=settings.database,
        over=settings.over,
        unheard=done.unheard,
        started_at_us=settings.started_at_us,
        state="interrupted" if done.was_stopped else "finished",
        model=profile.model,
        clients=profile.clients,
        connections=profile.connection_count,
        duration_s=profile.duration_s,
        elapsed_s=round(elapsed_s, 3),
        shortened=shortened,
        resumes=settings.resumes,
        processes=settings.processes,
        ended_at_us=done.ended_at_us,
        operations=tuple(operations),
        groups=tuple(summarize_groups(measures, elapsed_s)),
        settled=tuple(_settled(name, m.settled_ms) for name, m in measures.operations.items() if len(m.settled_ms)),
        streams=tuple(
            _stream(name, m) for name, m in measures.operations.items() if len(m.lags_ms) or m.missed or m.broken
        ),
        dependencies=tuple(done.dependencies.summarize()),
        own=tuple(_times(name, m.own_ms) for name, m in measures.operations.items() if len(m.own_ms)),
        writes=_writes(measures),
        errors=tuple(
            ErrorCount(operation=name, error=error, count=count)
            for name, m in measures.operations.items()
            for error, count in m.errors.most_common()
        ),
        reasons=tuple(
            ReasonCount(operation=name, reason=reason, count=count)
            for name, m in measures.operations.items()
            for reason, count in m.reasons.most_common()
        ),
        watches_trends=isinstance(profile, OpenProfile) and profile.watches_trends,
        undelivered=done.owed.webhooks,
        owed=done.owed,
        drain=done.drain,
        settled_at_us=done.settled_at_us,
        reconnects=done.reconnects,
        loop_lag_p99_ms=loop_lag_p99_ms,
        arrivals=_arrivals(profile, schedule, operations[-1], elapsed_s, lag_ms) if schedule else None,
        thresholds=(
            *map(result_of, judgements),
            *(result_of(each).model_copy(update={"is_beside_faults": True}) for each in beside.judgements),
            *((endings,) if endings is not None else ()),
        ),
        not_run=tuple(not_run),
        left_out=judged.left_out,
        too_few_beside_faults=beside.too_few,
        faults=effects,
        generator=generator,
        **found,
    )


def _recoveries(found: ShapeFound, effects: Sequence[FaultEffect]) -> list[tuple[str, Recovery]]:
    """Return what a run had to recover from, and how that went."""
    recoveries = []
    if "recovery_s" in found:
        spike = Recovery(found["recovery_s"], found["recovery_unknown"], found["recovery_looked_s"])
        recoveries.append(("the spike", spike))
    return recoveries + [
        (f"{each.fault} at {each.from_s:.0f} s", Recovery(each.recovery_s, each.recovery_unknown, each.looked_s))
        for each in effects
        if each.did
    ]


def _settled(operation: str, settled_ms: Distribution) -> SettledResult:
    mean_ms = round(settled_ms.mean or 0.0, 1)
    return SettledResult(operation=operation, count=len(settled_ms), mean_ms=mean_ms, **percentiles(settled_ms))


def _writes(measures: Measures) -> tuple[TimesResult, ...]:
    writing = {name: m.writes_ms for name, m in measures.operations.items() if len(m.writes_ms)}
    rows = [_times(name, writes_ms) for name, writes_ms in writing.items()]
    return (*rows, _times("total", Distribution.of(writing.values()))) if rows else ()


def _times(operation: str, times_ms: Distribution) -> TimesResult:
    mean_ms, max_ms = round(times_ms.mean or 0.0, 3), round(times_ms.greatest or 0.0, 3)
    return TimesResult(operation=operation, count=len(times_ms), mean_ms=mean_ms, **percentiles(times_ms), max_ms=max_ms)


def _stream(operation: str, measure: OperationMeasure) -> StreamResult:
    lags_ms = measure.lags_ms
    return StreamResult(
        operation=operation,
        opened=measure.ok,
        received=len(lags_ms),
        missed=measure.missed,
        broken=measure.broken,
        **percentiles(lags_ms),
        max_ms=None if lags_ms.greatest is None else round(lags_ms.greatest, 3),
        client_p99_ms=max((round(each, 3) for each in measure.client_lags.percentiles(99)), default=None),
    )


def _arrivals(
    profile: Profile, played: PlayedSchedule, total: OperationResult, elapsed_s: float, lag_ms: float | None
) -> Arrivals:
    """Return how the schedule was kept."""
    assert isinstance(profile, OpenProfile)
    planned = profile.arrivals_per_s * played.pace.passed(elapsed_s)  # of what was played of its shape
    rate = played.offered / elapsed_s if elapsed_s else 0.0
    latency_s = (total.mean_ms or 0.0) / 1000
    return Arrivals(
        offered=played.offered,
        sent=played.sent,
        not_sent=played.offered - played.sent,
        planned_per_s=round(planned / elapsed_s if elapsed_s else 0.0, 3),
        offered_per_s=round(rate, 3),
        sent_per_s=round(played.sent / elapsed_s, 3) if elapsed_s else None,
        think_time_s=find_think_time_s(profile.clients, played.offered, rate=rate, latency_s=latency_s),
        dispatch_lag_p99_ms=lag_ms,
    )


def find_think_time_s(clients: int, offered: int, *, rate: float, latency_s: float) -> float | None:
    """Return how long a client pauses between two calls, by Little's law; None: nobody had to make two."""
    return round(clients / rate - latency_s, 1) if offered > clients else None


def result_of(judgement: ThresholdJudgement) -> ThresholdResult:
    """Return a judgement as a run's result has it."""
    threshold = judgement.threshold
    return ThresholdResult(
        operation=threshold.operation,
        group=threshold.group,
        rows=threshold.rows,
        of_reason=threshold.reason or threshold.check or "",
        statistic=threshold.statistic,
        within_ms=threshold.within_ms,
        most=threshold.most,
        warning=threshold.warning,
        critical=threshold.critical,
        least=threshold.least,
        measured=None if judgement.measured is None else round(judgement.measured, 5),
        sample_count=judgement.sample_count,
        state=judgement.state.value,
        reason=judgement.reason,
        left_out=judgement.left_out,
        source=threshold.source,
    )
