"""A run: prepares the database, lets a workload's clients loose on it, and leaves a folder and a loaded history behind.

The request is taken apart here, and nothing below knows it: a workload, which knows no database (workload.py); the database
under it (run_database.py); what goes wrong on purpose (faulting.py); and where all of it is kept (record.py). Then:

- before: the database is made fit, and the run noted there;
- meanwhile: one sample a second, to the folder and to whoever listens (work.py);
- after: what is owed is delivered and what is open taken up, or both are listed; the thresholds are judged, the history is
  loaded, and it is looked up what became of the calls whose outcome nobody learned.

Stopped early (Ctrl-C), a run does all of that too, only in less time.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from integrity.domain import World
from integrity.engines.occupancy import RUN
from integrity.errors import AuditError
from integrity.events import Job, Listener, Noted, listen
from integrity.load.client import Clock
from integrity.load.counters import Counted, CountedRows
from integrity.load.descriptors import make_room
from integrity.load.driving import drive
from integrity.load.end_states import ask_end_states, find_end_states
from integrity.load.faulting import Faulting, PlannedFaults
from integrity.load.over_http import OverHttp, stream_count, try_out
from integrity.load.phases import PlayedSchedule
from integrity.load.ports import check_ports
from integrity.load.profile import OpenProfile
from integrity.load.record import BegunRun, RunRecord
from integrity.load.request import EndedRun, RunPrepared, RunRequest
from integrity.load.resources import count_samples, find_resources
from integrity.load.result import make_result, result_of
from integrity.load.row_limits import with_end_states
from integrity.load.run_database import RunDatabase
from integrity.load.shards.sharded_work import ShardedWork
from integrity.load.spared import with_spared
from integrity.load.stations.calls_elsewhere import CallsElsewhere
from integrity.load.unfinished import count_unfinished, find_unfinished
from integrity.load.waiting import find_left, wait_for_hour, wait_for_left
from integrity.load.work import Work
from integrity.load.work_done import done_of
from integrity.load.workload import Workload
from integrity.measure.effects import describe_effects
from integrity.measure.trends import find_watched_slopes
from integrity.monitor.limits import read_limits
from integrity.monitor.sampler import Monitor
from integrity.monitor.summary import named_apart, summarize_until
from integrity.monitor.watched import WatchedApplication
from integrity.runs.app import find_app_version
from integrity.runs.files import MONITOR_FILE
from integrity.runs.result import NotRun, RunResult
from integrity.sql.file import SqlFile
from integrity.typed import typed


def run(request: RunRequest, *listeners: Listener) -> EndedRun:
    """Run the workload; return when its history is in the database. Raises what `play` raises."""
    return listen(play(request), *listeners)


def play(request: RunRequest) -> Job[EndedRun]:
    """Run the workload; return when its history is in the database.

    Yields:
        Noted of what it waits for, and of operations that cannot be called yet, RunPrepared when nothing is left that would
        refuse the run, RunAdvanced once a second from then on.

    Raises:
        AuditError: the run cannot begin, or cannot go on; what was recorded by then is in its folder.
    """
    yield from wait_for_hour(request.profile)
    asked = _find_asked(request)
    database, over = asked.database, request.over
    planned = PlannedFaults(
        request.faults, request.faults_may_overlap, request.server, request.revive, is_over_http=over is not None
    )
    app = find_app_version(request.project)
    with database.occupy(request.profile_name) as hold:
        server = database.prepare(hold)
        yield from wait_for_left(request.target, asked.left_before)
        if missing := database.describe_missing():
            yield Noted(missing)
        database, lacking = database.narrowed()
        yield from map(Noted, map(_describe_lacking, lacking))
        workload = database.workload
        record = RunRecord(
            request.project,
            request.target,
            workload,
            request.profile_name,
            request.time_scale,
            request.resumes,
            app,
            over=str(over or ""),
            processes=request.processes,
        )
        world = database.read_world()
        faulting = Faulting(planned, workload, database.target, world.keys)
        if over is not None:
            try_out(over, workload, world)
        yield RunPrepared(request)
        clock = Clock()
        begun = record.begin(server, started_at_us=clock.now_us())
        hold.rename(f"{RUN}{begun.folder.run_id}")
        # It lives until its history is there, or nobody will bring it.
        with begun.beating():
            not_run = (*workload.unusable, *lacking, *(over.not_run if over is not None else ()))
            watched = request.application
            counted = CountedRows(request.project, request.target, watched.metrics, _counters(request))
            played_out = _carry_out(
                begun,
                workload,
                world,
                clock,
                faulting=faulting,
                not_run=not_run,
                application=watched,
                over=over,
                elsewhere=request.elsewhere,
                counted=counted,
            )
            result, played = yield from played_out
            yield from map(Noted, counted.notes)
            loaded = begun.load()
        left = count_unfinished(request.target, asked.unfinished, begun.folder.run_id)
        result = result.model_copy(update={"unknown_outcomes": begun.settle(loaded), "unfinished": left})
        spans = played.spans if played is not None else ()
        rows = ask_end_states(request.target, asked.end_states, begun.folder.run_id, left_out=result.left_out, spans=spans)
        result = with_spared(with_end_states(result, request.profile, played, rows), request.profile)
        result = result.model_copy(update={"thresholds": (*result.thresholds, *map(result_of, counted.judged))})
        begun.folder.write_result(result)
        return EndedRun(begun.folder, result, loaded)


def check(request: RunRequest, *, is_first: bool = True) -> None:
    """Raise what would keep a run from beginning, as far as that is known before; nothing is altered.

    Args:
        is_first: no other run comes before it. Else that may make the rows that its calls name, or the hour may be another
            by then, and its server has been tried out.

    Raises:
        AuditError: it could not begin.
    """
    database = _find_asked(request).database
    database.check()
    profile = request.profile
    fits_hour = isinstance(profile, OpenProfile) and profile.fits_hour
    if not is_first and (request.system.seeder is None or fits_hour):
        return
    database, _ = database.narrowed()
    world = database.read_world()
    if is_first and request.over is not None:
        try_out(request.over, database.workload, world)


@dataclass(frozen=True, slots=True)
class _Asked:
    """What a run asks of its rows, and of what is left before it, by the names that thresholds have for it."""

    database: RunDatabase
    end_states: Mapping[str, SqlFile]
    unfinished: SqlFile | None
    left_before: Mapping[str, SqlFile]


def _find_asked(request: RunRequest) -> _Asked:
    """Return what a run asks for, when there is room for its connections."""
    workload = Workload(request.system, request.profile, request.bug, request.seed)
    is_over = request.over is not None
    connections = workload.profile.connection_count + (stream_count(workload.profile) if is_over else 0)
    make_room(connections, processes=request.processes)
    if request.over is not None:
        check_ports(connections, to_port=request.over.server.origin.port)
    return _Asked(
        RunDatabase(request.target, workload, request.test_database, is_served=is_over),
        end_states=find_end_states(request.project, request.profile.thresholds),
        unfinished=find_unfinished(request.project, request.system.name),
        left_before=find_left(request.project, request.profile.thresholds),
    )


def _counters(request: RunRequest) -> Mapping[str, Counted]:
    """Return the counters that are held against rows: those that the project names, and those of the system's server."""
    endpoints = request.system.endpoints
    named = {name: Counted(query) for name, query in request.project.settings.monitor.counters.items()}
    if endpoints is None or request.over is None:
        return named
    of_server = {
        name: Counted(query, endpoints.counters.get(name, ""), is_asked_for=False)
        for name, query in endpoints.counted.items()
    }
    return {**of_server, **named}


def _describe_lacking(each: NotRun) -> str:
    hint = "Where the others make such rows, the next run calls it, too."
    return f"{each.operation} is left out of this run: {each.reason}\n  hint: {hint}"


def _make_work(
    begun: BegunRun,
    workload: Workload,
    world: World,
    clock: Clock,
    *,
    faulting: Faulting,
    over: OverHttp | None,
    elsewhere: CallsElsewhere | None,
) -> Work | ShardedWork:
    """Return the work: of this process, or of several that share the calls."""
    recorder, count = begun.recorder, begun.settings.processes
    server = over.server if over is not None else None
    append = recorder.append_sample
    if count == 1:
        return Work(
            workload,
            recorder.calls,
            world,
            clock,
            faulting=faulting,
            server=server,
            append_sample=append,
            elsewhere=elsewhere,
        )
    folder = recorder.folder.path
    return ShardedWork(
        workload, world, clock, faulting=faulting, append_sample=append, folder=folder, count=count, server=server
    )


def _carry_out(
    begun: BegunRun,
    workload: Workload,
    world: World,
    clock: Clock,
    *,
    faulting: Faulting,
    not_run: Sequence[NotRun],
    application: WatchedApplication,
    over: OverHttp | None,
    elsewhere: CallsElsewhere | None,
    counted: CountedRows,
) -> Job[tuple[RunResult, PlayedSchedule | None]]:
    """Do all that is recorded, and return the result, which is in the folder by then, and what became of the arrivals."""
    folder = begun.folder
    try:
        faulting.keep_in(folder)
        work = _make_work(begun, workload, world, clock, faulting=faulting, over=over, elsewhere=elsewhere)
        monitor = Monitor(
            begun.record.target,
            application=application,
            file=folder.path / MONITOR_FILE,
            pool_size=workload.pool_size if over is None else None,  # the server's own is another
            limits={**workload.system.limits, **read_limits(begun.record.project)},
            read_loop_lag_ms=work.take_worst_lag_ms,
            own_others=work.process_ids,
        )
        counted.begin()
        with monitor:
            yield from drive(work)
            monitor.wait_for_clients_gone()
        counted.end()
        done = done_of(
            work.part(),
            workload,
            work.watching.samples,
            ended_at_us=clock.now_us(),
            faults=faulting.played,
            faults_began_us=faulting.began_us,
        )
        seen = monitor.summary
        if done.schedule is not None and done.schedule.is_search and done.schedule.phases:
            seen = summarize_until(monitor.facts, monitor.read_samples(), until_s=done.schedule.phases[0].to_s)
        resources = find_resources(seen, monitor.facts)
        begun.recorder.flush()
        effects = describe_effects(
            folder,
            done.faults,
            began_at_us=done.faults_began_us,
            ended_at_us=done.ended_at_us,
            drawn_until_us=done.faults_began_us + round(done.elapsed_s * 1_000_000),
            settled_us=done.settled_us,
        )
        result = make_result(
            folder,
            begun.settings,
            workload.profile,
            done,
            resources,
            effects=effects,
            not_run=not_run,
            resource_counts=count_samples(seen),
        )
        watched = find_watched_slopes(monitor.read_samples()) if result.watches_trends else ()
        slopes = (*result.slopes, *watched)
        result = result.model_copy(
            update={"monitor": named_apart(monitor.summary, workload.system.schemas), "slopes": slopes}
        )
        folder.write_result(result)
        yield work.watching.advanced("storing")
    except AuditError as error:
        if begun.take_back():
            raise
        kept = f"What was recorded by then is in {folder.path}; the next {typed('validate')} loads it."
        error.hint = f"{error.hint} {kept}" if error.hint else kept
        raise
    finally:
        begun.recorder.end()
        begun.recorder.close()
    return result, done.schedule
