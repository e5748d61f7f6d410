"""The job of running: a profile is chosen as it was asked for, and let loose on the database.

chosen = choose(project, "hammer", system_name="ghostpass")      # before a server is started for nothing
ended = listen(run(chosen, target, project, seed=1))
"""

import secrets
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from socket import socket
from typing import Any

from integrity.clients.http import Server, server_of
from integrity.clients.requests import RequestServer, check_paths
from integrity.engines.embedded.server import EmbeddedServer
from integrity.engines.target import Target
from integrity.errors import UsageError
from integrity.events import Job, Noted
from integrity.faults.schedule import Window, read_schedule
from integrity.http.origin import Origin, find_origin
from integrity.jobs.plan_names import VENUE, describe_names, find_target
from integrity.jobs.watching import with_target
from integrity.load.asked import Asked, settings_of
from integrity.load.over_http import OverHttp, asked_over_http
from integrity.load.profile import ClosedProfile, OpenProfile, Profile, load_profile, profile_names, scale
from integrity.load.request import EndedRun, RunRequest
from integrity.load.resuming import Rest, find_rest, told
from integrity.load.run import play
from integrity.load.shards.sharing import check_sharing
from integrity.load.stations.calls_elsewhere import CallsElsewhere
from integrity.monitor.watched import NOTHING_WATCHED, WatchedApplication
from integrity.project import SETTINGS_FILE, Project
from integrity.registry import Registry
from integrity.report.run_verdicts import find_folder
from integrity.scenarios.requested import target_requests
from integrity.systems.system import Bug, System
from integrity.typed import typed

SEED_MOST = 2**31


@dataclass(frozen=True, slots=True, kw_only=True)
class ChosenRun:
    """What is to be run, before the database is known; as load.request.RunRequest has it.

    Args:
        profile_of: makes the profile for the system without some of its operations; None: it is of all.
        origin: where the server is that its calls go to; None: they go to the database.
        processes: that share its calls.
        venue: of which its server is to be; empty: of any.
        notes: what the environment said, and did not.
    """

    system: System
    profile_name: str
    profile: Profile
    faults: Sequence[Window]
    bug: Bug | None = None
    time_scale: float = 1.0
    faults_may_overlap: bool = False
    resumes: Rest | None = None
    profile_of: Callable[[System], Profile] | None = None
    origin: Origin | None = None
    processes: int = 1
    venue: str = ""
    notes: tuple[str, ...] = ()


def find_profiles(project: Project, system_name: str | None = None) -> tuple[System, list[str]]:
    """Return a system and the names of its profiles.

    Args:
        system_name: None: the one that commands work on where none is named.

    Raises:
        UsageError: there is no such system.
    """
    registry = Registry(project)
    system = registry.find(system_name) if system_name else registry.default
    return system, profile_names(system, project.settings.profiles.get(system.name, {}))


def choose(
    project: Project,
    profile_name: str | None,
    *,
    resumed: str | None = None,
    system_name: str | None = None,
    bug_name: str | None = None,
    duration_s: float | None = None,
    clients: int | None = None,
    users: str | None = None,
    hold: str | None = None,
    keys: Mapping[str, Sequence[str]] = {},
    accounts: Sequence[str] = (),
    connections: int | None = None,
    rate: float | None = None,
    time_scale: float = 1.0,
    faults: Sequence[str] = (),
    faults_may_overlap: bool = False,
    over: str | None = None,
    venue: str | None = None,
    processes: int | None = None,
    environment: Mapping[str, str] = {},
) -> ChosenRun:
    """Return the run that is asked for; what is None is as the profile has it.

    Args:
        profile_name: None: that of the run that is resumed.
        resumed: the run that is gone on with, which is as it was asked for; None: none.
        system_name: None: the one that commands work on where none is named.
        users, hold, keys, accounts: as load/asked.py reads them.
        rate: arrivals per second in all, of an open loop.
        time_scale: an open loop is compressed by it.
        faults: as read_schedule reads them, beside those of the profile.
        over: the URL of the server that calls go to, or what the project calls it; None: they go to the database.
        venue: of which the server is to be; None: as the environment says.
        processes: that share the calls; None: one makes them all.
        environment: whose variables say what no option says (plan_names.py).

    Raises:
        UsageError: there is no such system, profile, bug or fault, or they do not go together; or so many processes cannot
            share what the profile has; or a variable says what cannot be.
    """
    asked = {"duration_s": duration_s, "clients": clients, "connections": connections}
    if resumed is not None:
        more = {
            "users": users,
            "hold": hold,
            "key": keys,
            "user": accounts,
            "venue": venue,
            "target": over,
            "processes": processes,
            "system": system_name,
            "bug": bug_name,
            "rate": rate,
            "fault": faults,
            "time_scale": time_scale != 1,
        }
        return resume(project, resumed, given={"profile": profile_name, "duration": duration_s, **asked, **more})
    assert profile_name is not None
    registry = Registry(project)
    system = registry.find(system_name) if system_name else registry.loaded_at(over)
    if over is None and system.is_requested:
        over = registry.target_of(system.name)
    bug = system.find_bug(bug_name) if bug_name is not None else None
    target = find_target(over, project, system, environment)
    origin = target.origin if target is not None else None
    if origin is not None and bug is not None:
        raise UsageError(
            f"--bug {bug.name}: with --target the calls go to {origin}, and a bug is planted in what serves them",
            hint=f"Leave it out, and start the server with it: {typed(f'serve {system.name} --bug {bug.name}')}",
        )
    declared = project.settings.profiles.get(system.name, {})
    base = load_profile(system, profile_name, declared)
    wanted = Asked(users=users, hold=hold, duration_s=duration_s, keys=keys, accounts=accounts)
    said = settings_of(wanted, base, system, environment, safe_load=partial(find_safe_users, project, base))
    given = {**said.settings, **{name: value for name, value in asked.items() if value is not None}}

    def profile_of(system: System) -> Profile:
        profile = load_profile(system, profile_name, declared, given)
        if not isinstance(profile, OpenProfile):
            return profile
        return scale(profile, rate=rate / profile.arrivals_per_s if rate else 1.0, time=time_scale)

    profile = profile_of(system)
    if not isinstance(profile, OpenProfile) and (rate is not None or time_scale != 1.0):
        option = "--rate" if rate is not None else "--time-scale"
        raise UsageError(
            f"{option}: profile {profile_name} is a closed loop, it goes as fast as it can", hint="Leave it out."
        )
    check_sharing(system, profile, processes or 1)
    return ChosenRun(
        system=system,
        profile_name=profile_name,
        profile=profile,
        processes=processes or 1,
        profile_of=profile_of,
        faults=windows_of(profile, faults, may_overlap=faults_may_overlap),
        bug=bug,
        time_scale=time_scale,
        faults_may_overlap=faults_may_overlap,
        origin=origin,
        venue=venue if venue is not None else environment.get(VENUE, "").strip(),
        notes=tuple(describe_names(system, base, said.said, target, environment)) if not system.is_requested else (),
    )


def find_safe_users(project: Project, profile: Profile, run_id: str) -> float:
    """Return how many users the sweep of a run found safe, by which this profile is to be sized.

    Raises:
        UsageError: there is no such run, or it found none.
    """
    result = find_folder(project, run_id).result()
    sweep = result.sweep if result is not None else None
    if sweep is None or sweep.safe_ceiling is None:
        why = "it swept no load" if sweep is None else sweep.no_claim or "no load of its sweep was over a warning"
        raise UsageError(
            f"--users: run {run_id} found no load that is safe: {why}",
            hint="Name a run whose sweep did, or a number of users.",
        )
    if sweep.of == "subscribers":
        return sweep.safe_ceiling
    if not isinstance(profile, OpenProfile):
        raise UsageError("--users: a closed loop has no users", hint="Leave it out; --clients says how many.")
    return sweep.safe_ceiling / profile.arrivals_per_s * profile.clients


def resume(project: Project, run_id: str, *, given: Mapping[str, Any]) -> ChosenRun:
    """Return what is left of an interrupted run.

    Args:
        given: what else is asked for; nothing may be.

    Raises:
        UsageError: there is no such run, or nothing is left of it.
    """
    folder = find_folder(project, run_id)
    rest = find_rest(folder)
    told(rest, given)
    system = Registry(project).find(rest.system_name)
    return ChosenRun(
        system=system,
        profile_name=rest.profile_name,
        profile=rest.profile,
        faults=rest.faults,
        bug=system.find_bug(rest.bug_name) if rest.bug_name is not None else None,
        time_scale=rest.time_scale,
        faults_may_overlap=True,
        resumes=rest,
        origin=find_origin(rest.over, project, place=f"--resume: run {rest.run_id}") if rest.over else None,
        processes=rest.processes,
    )


def windows_of(profile: Profile, more: Sequence[str] = (), *, may_overlap: bool = False) -> tuple[Window, ...]:
    """Return when what goes wrong in a run of the profile: its own faults and some more."""
    planned = profile.faults if isinstance(profile, OpenProfile) else ()
    return read_schedule((*planned, *more), duration_s=profile.duration_s, may_overlap=may_overlap)


def run(
    chosen: ChosenRun,
    target: Target,
    project: Project,
    *,
    seed: int | None = None,
    test_database: str | None = None,
    watched: WatchedApplication = NOTHING_WATCHED,
    elsewhere: CallsElsewhere | None = None,
) -> Job[EndedRun]:
    """Run what was chosen; return when its history is in the database. Yields and raises what load.run.play does.

    Args:
        seed: of every random choice; None: a new one.
        test_database: as guard takes it.
        watched: meanwhile, of an application.
        elsewhere: the calls, where stations make them; None: they are made here.
    """
    request = make_request(
        chosen, target, project, seed=seed, test_database=test_database, watched=watched, elsewhere=elsewhere
    )
    if request.resumes is not None:
        rest = request.resumes
        yield Noted(f"going on with run {rest.run_id}, which ran for {rest.ran_s:.0f} s; its figures are its own")
    yield from map(Noted, (*chosen.notes, *request.system.describe_unusable()))
    return (yield from play(request))


def make_request(
    chosen: ChosenRun,
    target: Target,
    project: Project,
    *,
    seed: int | None = None,
    test_database: str | None = None,
    watched: WatchedApplication = NOTHING_WATCHED,
    elsewhere: CallsElsewhere | None = None,
) -> RunRequest:
    """Return what was chosen as it is run on a database.

    Raises:
        UsageError: it is the rest of a run on another one, or nothing of it can be asked for over HTTP.
        SqlFileError: operations that the database does not understand are named by a profile, or there are no others.
    """
    rest = chosen.resumes
    if rest is not None and str(target) != rest.database:
        raise UsageError(
            f"--resume: run {rest.run_id} was made on {rest.database}, and this is {target}",
            hint="Name its database with --database.",
        )
    if rest is not None and seed is None:
        seed = rest.seed
    system, profile = _understood(chosen, target, project)
    over, faults = None, tuple(chosen.faults)
    if chosen.origin is not None:
        planned = set(profile.faults) if isinstance(profile, OpenProfile) else set()
        system, profile, not_run = asked_over_http(system, profile)
        left_out = planned.difference(profile.faults if isinstance(profile, OpenProfile) else ())
        faults = tuple(window for window in faults if window.text not in left_out)
        over = OverHttp(_server_of(chosen.origin, system, project), not_run, chosen.venue)
    server = own_server(project, target)
    return RunRequest(
        system=system,
        profile_name=chosen.profile_name,
        profile=profile,
        time_scale=chosen.time_scale,
        target=target,
        project=project,
        seed=make_seed() if seed is None else seed,
        bug=chosen.bug,
        test_database=test_database,
        revive=server.revive if server else None,
        server=server,
        faults=faults,
        faults_may_overlap=chosen.faults_may_overlap,
        resumes=rest,
        application=with_target(watched, chosen.origin),
        over=over,
        processes=chosen.processes,
        elsewhere=elsewhere,
    )


def at_stations(chosen: ChosenRun, connection: int | None) -> CallsElsewhere | None:
    """Return the calls of a run that stations make; None: it makes them itself.

    Args:
        connection: an open socket to who carries their messages; None: it has no stations.

    Raises:
        UsageError: they can be had of no server, or are not asked for one by one.
    """
    if connection is None:
        return None
    if chosen.origin is None:
        raise UsageError(
            "no host is named, and the calls of several machines go to one server over HTTP",
            hint=f"Name it: --host http://127.0.0.1:8000. On the database, take {typed('run --processes')}.",
        )
    if chosen.system.is_requested:
        raise UsageError(
            f"the calls of {chosen.system.name} are requests of {SETTINGS_FILE}, which stations do not have",
            hint=f"Take several processes of this machine: {typed('run --processes')}.",
        )
    if not isinstance(chosen.profile, ClosedProfile):
        raise UsageError(
            f"profile {chosen.profile_name} says itself when its calls are made, and Locust's users ask for them",
            hint="Name a closed loop: --integrity-profile hammer.",
        )
    return CallsElsewhere(socket(fileno=connection), str(chosen.origin))


def _server_of(origin: Origin, system: System, project: Project) -> Server | RequestServer:
    """Return the server that calls go to: one of the system's, or somebody's own application."""
    if not system.is_requested:
        return server_of(origin, system)
    name = Registry(project).target_of(system.name)
    requests = target_requests(project, name)
    check_paths(requests, origin, place=f"{project.folder / SETTINGS_FILE}: targets.{name}.requests")
    return RequestServer(origin, requests)


def _understood(chosen: ChosenRun, target: Target, project: Project) -> tuple[System, Profile]:
    """Return the system and the profile without operations that the database does not understand.

    Raises:
        SqlFileError: a profile that somebody wrote names one, or there are no others.
    """
    system, profile = chosen.system.on(target), chosen.profile
    is_written = system.profiles is not None or bool(project.settings.profiles.get(system.name))
    left = system.understood_by(target, asked=profile.operations if is_written else ())
    return left, profile if left is system or chosen.profile_of is None else chosen.profile_of(left)


def make_seed() -> int:
    """Return a new seed."""
    return secrets.randbelow(SEED_MOST)


def own_server(project: Project, target: Target) -> EmbeddedServer | None:
    """Return the project's embedded server where it is that which is worked on: we may bring it back, and break it."""
    server = EmbeddedServer(project.state_folder / "postgres")
    return server if target.engine.has_server and server.target.text == target.text else None
