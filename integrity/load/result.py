"""What a run leaves to read: its settings, enough to repeat it, and its result."""

import os
import platform
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from typing import Literal

import integrity
from integrity.engines.server_facts import ServerFacts
from integrity.engines.target import Target
from integrity.load.open_loop import OpenLoop
from integrity.load.profile import OpenProfile, Profile
from integrity.load.shape_result import ShapeFound, describe_shape
from integrity.load.thresholds import ThresholdJudgement, judge
from integrity.measure.calls import Measures, OperationMeasure, summarize
from integrity.measure.percentiles import Distribution, percentiles
from integrity.monitor.processes import start_mark
from integrity.project import Project
from integrity.runs.folder import RunFolder
from integrity.runs.result import (
    Arrivals,
    ErrorCount,
    GeneratorUse,
    OperationResult,
    Owed,
    RunResult,
    SettledResult,
    StreamResult,
    ThresholdResult,
)
from integrity.runs.samples import RunSample
from integrity.runs.settings import Machine, RunSettings, Versions
from integrity.systems.system import System


def describe_run(
    *,
    system: System,
    profile_name: str,
    profile: Profile,
    time_scale: float,
    bug: str | None,
    seed: int,
    target: Target,
    server: ServerFacts,
    project: Project,
    started_at_us: int,
) -> RunSettings:
    """Return the run as it was asked for; the database's URL without its password."""
    described = RunSettings(
        system=system.name,
        profile=profile_name,
        bug=bug,
        seed=seed,
        time_scale=time_scale,
        database=str(target),
        server=server.version,
        synchronous_commit=server.synchronous_commit,
        started_at_us=started_at_us,
        pid=os.getpid(),
        process_mark=start_mark(os.getpid()),
        versions=Versions(integrity=integrity.__version__, python=platform.python_version()),
        machine=Machine(platform=platform.platform(), cores=os.cpu_count()),
        commit=_commit_of(project),
        settings=profile.model_dump(mode="json"),
    )
    return described.model_copy(update={"reference": system.path}) if system.path else described


def _commit_of(project: Project) -> str | None:
    """Return the commit that the project's folder is at, or None where there is none or no git."""
    git = shutil.which("git")
    if git is None:
        return None
    try:
        answer = subprocess.run(  # noqa: S603  a fixed command
            [git, "-C", str(project.folder), "rev-parse", "HEAD"], capture_output=True, text=True, timeout=5, check=False
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    return answer.stdout.strip() or None if answer.returncode == 0 else None


def make_result(
    profile: Profile,
    folder: RunFolder,
    measures: Measures,
    *,
    state: Literal["finished", "interrupted"],
    elapsed_s: float,
    ended_at_us: int,
    owed: Owed,
    settled_at_us: int | None,
    reconnects: int,
    loop_lag_p99_ms: float | None,
    open_loop: OpenLoop | None,
    samples: Sequence[RunSample],
    generator: GeneratorUse,
    resources: Mapping[str, float],
) -> RunResult:
    """Return the result, as far as it is known before the history is loaded.

    Args:
        elapsed_s: while calls were drawn, without the time for delivering what was owed then.
        settled_at_us: when all was; what is open still was asked about in vain. None: time or the database cut it off.
        open_loop: None for a closed profile.
        samples: one a second.
        resources: what the monitor saw at its peak.
    """
    settings = folder.settings()
    operations = summarize(measures, elapsed_s)
    lag_ms = percentiles(open_loop.lags_ms)["p99_ms"] if open_loop else None
    resources = {**resources, "generator_cpu_share": generator.cpu_share, "rss_mb": generator.rss_mb}
    late_ms = max((lag for lag in (lag_ms, loop_lag_p99_ms) if lag is not None), default=None) if open_loop else None
    judgements = judge(profile.thresholds, measures, late_ms, seconds=elapsed_s, resources=resources)
    if isinstance(profile, OpenProfile) and profile.steps and open_loop and open_loop.phases.phases:
        # A search is there to break thresholds: those of the run are judged at its first load, the profile's own.
        judgements = list(open_loop.phases.phases[0].judgements)
    found: ShapeFound = {}
    if open_loop and isinstance(profile, OpenProfile):
        found = describe_shape(profile, open_loop, samples)
    return RunResult(
        run_id=folder.run_id,
        folder=str(folder.path),
        system=settings.system,
        profile=settings.profile,
        bug=settings.bug,
        seed=settings.seed,
        time_scale=settings.time_scale,
        database=settings.database,
        started_at_us=settings.started_at_us,
        state=state,
        model=profile.model,
        clients=profile.clients,
        connections=profile.connection_count,
        duration_s=profile.duration_s,
        elapsed_s=round(elapsed_s, 3),
        ended_at_us=ended_at_us,
        operations=tuple(operations),
        settled=tuple(_settled(name, m.settled_ms) for name, m in measures.operations.items() if len(m.settled_ms)),
        streams=tuple(
            _stream(name, m) for name, m in measures.operations.items() if len(m.lags_ms) or m.missed or m.broken
        ),
        errors=tuple(
            ErrorCount(operation=name, error=error, count=count)
            for name, m in measures.operations.items()
            for error, count in m.errors.most_common()
        ),
        undelivered=owed.webhooks,
        owed=owed,
        settled_at_us=settled_at_us,
        reconnects=reconnects,
        loop_lag_p99_ms=loop_lag_p99_ms,
        arrivals=_arrivals(profile, open_loop, operations[-1], elapsed_s, lag_ms) if open_loop else None,
        thresholds=tuple(map(_threshold, judgements)),
        generator=generator,
        **found,
    )


def _settled(operation: str, settled_ms: Distribution) -> SettledResult:
    mean_ms = round(settled_ms.mean or 0.0, 1)
    return SettledResult(operation=operation, count=len(settled_ms), mean_ms=mean_ms, **percentiles(settled_ms))


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
    )


def _arrivals(profile: Profile, loop: OpenLoop, total: OperationResult, elapsed_s: float, lag_ms: float | None) -> Arrivals:
    """Return how the schedule was kept."""
    assert isinstance(profile, OpenProfile)
    rate = loop.offered / elapsed_s if elapsed_s else 0.0
    latency_s = (total.mean_ms or 0.0) / 1000
    return Arrivals(
        offered=loop.offered,
        sent=loop.sent,
        not_sent=loop.offered - loop.sent,
        planned_per_s=round(profile.arrivals_per_s, 3),
        offered_per_s=round(rate, 3),
        sent_per_s=round(loop.sent / elapsed_s, 3) if elapsed_s else None,
        think_time_s=round(profile.clients / rate - latency_s, 1) if rate else None,
        dispatch_lag_p99_ms=lag_ms,
    )


def _threshold(judgement: ThresholdJudgement) -> ThresholdResult:
    threshold = judgement.threshold
    return ThresholdResult(
        operation=threshold.operation,
        statistic=threshold.statistic,
        most=threshold.most,
        warning=threshold.warning,
        critical=threshold.critical,
        least=threshold.least,
        measured=None if judgement.measured is None else round(judgement.measured, 5),
        sample_count=judgement.sample_count,
        state=judgement.state.value,
        reason=judgement.reason,
        source=threshold.source,
    )
