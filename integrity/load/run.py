"""A run: prepares the database, lets a profile's clients loose on it, and leaves a folder and a loaded history behind.

Before: the database is checked (is it ours, seeded, large enough), the bug planted or what a bug left out made again, the
keys read. Meanwhile: one sample a second, to the folder and to whoever listens; and what goes wrong on purpose. After: what
is owed is delivered and what is open taken up, or both are listed; the thresholds are judged, the history is loaded, and it
is looked up what became of the calls whose outcome nobody learned. Stopped early (Ctrl-C), a run does all of that too, only
in less time.
"""

from datetime import datetime

from integrity.domain import World
from integrity.engines.hold import Hold
from integrity.engines.occupancy import RUN, occupy
from integrity.engines.target import Target
from integrity.errors import AuditError, DatabaseError
from integrity.events import Job, Listener, listen
from integrity.load.caller import Clock
from integrity.load.driving import drive
from integrity.load.faulting import Faulting
from integrity.load.open_loop import OpenLoop
from integrity.load.preparing import prepare, read_keys
from integrity.load.profile import OpenProfile
from integrity.load.request import EndedRun, RunPrepared, RunRequest
from integrity.load.resources import find_resources
from integrity.load.result import describe_run, make_result
from integrity.load.work import Work
from integrity.measure.effects import describe_effects
from integrity.measure.percentiles import percentiles
from integrity.monitor.sampler import Monitor
from integrity.runs.files import MONITOR_FILE
from integrity.runs.folder import Recorder, RunFolder, make_run_folder
from integrity.runs.heartbeat import Heartbeat
from integrity.runs.loading import load_history
from integrity.runs.result import RunResult
from integrity.runs.settings import RunSettings
from integrity.runs.settlement import Settlement, settle
from integrity.runs.unfinished import note_running, unnote_running


def run(request: RunRequest, *listeners: Listener) -> EndedRun:
    """Run the workload; return when its history is in the database. Raises what `play` raises."""
    return listen(play(request), *listeners)


def play(request: RunRequest) -> Job[EndedRun]:
    """Run the workload; return when its history is in the database.

    Yields:
        RunPrepared when nothing is left that would refuse the run, RunAdvanced once a second from then on.

    Raises:
        AuditError: the run cannot begin, or cannot go on; what was recorded by then is in its folder.
    """
    # Taken again when a crash or a fault ends its session: as long as we work there, nobody drops it under us.
    who = f"{RUN}{request.system.name} {request.profile_name}"
    with occupy(request.target, who, is_exclusive=False, is_kept=True) as hold:
        return (yield from _play(request, hold))


def _play(request: RunRequest, hold: Hold) -> Job[EndedRun]:
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
    yield RunPrepared(request)
    clock = Clock()
    started = datetime.now().astimezone()
    name = f"{started:%Y%m%d-%H%M%S}-{request.system.name}-{request.profile_name}"
    folder, recorder = _begin(
        request,
        name,
        describe_run(
            system=request.system,
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
    hold.rename(f"{RUN}{folder.run_id}")
    # It lives until its history is there, or nobody will bring it.
    with Heartbeat(request.target, folder.run_id):
        result = yield from _carry_out(request, folder, recorder, world, clock, faulting=faulting)
        loaded = load_history(request.target, folder)
    settlement = Settlement()
    if loaded.unknown_count:
        settlement = settle(request.target, request.system, folder.run_id, project=request.project)
    result = result.model_copy(update={"unknown_outcomes": settlement})
    folder.write_result(result)
    return EndedRun(folder, result, loaded)


def _begin(request: RunRequest, name: str, settings: RunSettings) -> tuple[RunFolder, Recorder]:
    """Make the run's folder and note the run in the database; one that is refused leaves no folder behind."""
    folder = make_run_folder(request.project.runs_folder, name)
    recorder = None
    try:
        recorder = Recorder(folder, settings)
        note_running(request.target, folder)
    except BaseException:
        if recorder is not None:
            recorder.close()
        folder.discard()
        raise
    return folder, recorder


def _carry_out(
    request: RunRequest,
    folder: RunFolder,
    recorder: Recorder,
    world: World,
    clock: Clock,
    *,
    faulting: Faulting,
) -> Job[RunResult]:
    """Do all that is recorded, and return the result, which is in the folder by then."""
    try:
        work = Work(request, recorder, world, clock, faulting=faulting)
        monitor = Monitor(
            request.target,
            file=folder.path / MONITOR_FILE,
            # In a closed loop each client has a connection of its own: that all are busy says nothing.
            pool_size=request.profile.connection_count if isinstance(request.profile, OpenProfile) else None,
            limits=request.system.limits,
            read_loop_lag_ms=work.take_worst_lag_ms,
        )
        with monitor:
            yield from drive(work)
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
        yield work.advanced("loading")
    except AuditError as error:
        if _take_back(request.target, folder):
            raise
        kept = f"What was recorded by then is in {folder.path}; the next integrity validate loads it."
        error.hint = f"{error.hint} {kept}" if error.hint else kept
        raise
    finally:
        recorder.end()
        recorder.close()
    return result


def _take_back(target: Target, folder: RunFolder) -> bool:
    """Forget a run that was refused before its first call; return whether that was so, and nothing is left of it."""
    if folder.history.stat().st_size:
        return False
    try:
        unnote_running(target, folder.run_id)
    except DatabaseError:  # it is noted there, and whoever finds it looks for its folder
        return False
    folder.discard()
    return True
