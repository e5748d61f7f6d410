"""The job of a suite: the data judged before its first run and after each, and a record of all of them.

The verdicts of each audit are kept in the folder of the run that it came after: what a suite finds is reproduced as what
`validate` finds. What was wrong before the first run is told then, and apart from what the suite made.
"""

import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Any

from integrity.database.namespace import inspect_database
from integrity.engines.embedded.server import EmbeddedServer
from integrity.engines.target import Target
from integrity.errors import SeedError, UsageError, quote
from integrity.events import FileWritten, Job, Noted
from integrity.exit_codes import Shortfall, exit_code_of, verdict_of
from integrity.jobs.plan_names import VENUE, AskedTarget, describe_names, find_target
from integrity.jobs.run import ChosenRun, find_safe_users, make_request, make_seed, own_server, run, windows_of
from integrity.jobs.validate import choose_of_run, has_acknowledged_writes, judge, validate
from integrity.load.asked import NOTHING_ASKED, settings_of
from integrity.load.faulting import PlannedFaults, find_unmet_need
from integrity.load.over_http import asked_over_http
from integrity.load.profile import Profile
from integrity.load.request import EndedRun
from integrity.load.run import check
from integrity.load.shards.sharing import check_sharing
from integrity.load.suite import Planned, PlannedSuite, Suite, load_suite, plan_suite, suite_names
from integrity.load.workload import Workload
from integrity.monitor.watched import NOTHING_WATCHED, WatchedApplication
from integrity.numbers import counted
from integrity.project import Project
from integrity.registry import Registry, shipped_suites
from integrity.report.audit_report import AuditReport
from integrity.runs.files import unwritable
from integrity.runs.suites import SuiteRecord, SuiteStep, make_step, write_suite
from integrity.systems.system import Bug, System
from integrity.typed import typed
from integrity.verdict import Verdict


@dataclass(frozen=True, slots=True)
class EndedSuite:
    """What came out.

    Args:
        file: where the record is kept.
        shortfalls: of all its runs and audits.
    """

    record: SuiteRecord
    file: Path
    shortfalls: frozenset[Shortfall]

    @property
    def exit_code(self) -> int:
        return exit_code_of(self.shortfalls)


@dataclass(frozen=True, slots=True)
class SuiteTarget:
    """Where the calls of a suite go; each as run.choose takes it."""

    over: str | None = None
    venue: str | None = None
    environment: Mapping[str, str] = field(default_factory=dict)

    def find(self, project: Project, system: System) -> AskedTarget | None:
        """Return the server of a system; None: its calls go to the database."""
        return find_target(self.over, project, system, self.environment)

    @property
    def of_venue(self) -> str:
        return self.venue if self.venue is not None else self.environment.get(VENUE, "").strip()


TO_THE_DATABASE = SuiteTarget()


@dataclass(frozen=True, slots=True)
class ChosenSuite:
    """What is to be played, before the database is known.

    Args:
        systems: on these; none: on those that we made in the database; where there are none, on the project's own.
    """

    name: str
    suite: Suite
    systems: tuple[System, ...]


def choose(project: Project, name: str, *, system_names: Sequence[str] = ()) -> ChosenSuite:
    """Return the suite of that name.

    Raises:
        UsageError: there is no such suite, or system, or it cannot be read.
    """
    suite = load_suite(name, _declared(project))
    registry = Registry(project)
    if suite.system is not None:
        if other := next((each for each in system_names if each != suite.system), None):
            raise UsageError(f"suite {name} is of {suite.system}, not of {quote(other)}", hint="Leave --system out.")
        system_names = (suite.system,)
    return ChosenSuite(name, suite, tuple(registry.find(each) for each in system_names))


def find_suites(project: Project) -> list[str]:
    """Return the names of all suites, the project's own last."""
    return suite_names(_declared(project))


def _declared(project: Project) -> dict[str, Mapping[str, Any]]:
    return {**shipped_suites(), **project.settings.suites}


def plan(
    project: Project,
    chosen: ChosenSuite,
    target: Target | None,
    *,
    shorten: float = 1.0,
    bug_name: str | None = None,
    processes: int = 1,
    environment: Mapping[str, str] = {},
) -> PlannedSuite:
    """Return the runs of what was chosen.

    Args:
        target: None is enough where systems were named.
        shorten: by which every length is divided, at the same rates.
        bug_name: planted in every run, of the one system.
        processes: that share the calls of each run.
        environment: whose variables the profiles name.

    Raises:
        UsageError: no system, one that lacks a profile of the suite, a bug that is not the one system's, or so many
            processes cannot share what a profile has.
    """
    systems = chosen.systems or _systems_in(target, project)
    bug = _find_bug(bug_name, systems) if bug_name is not None else None

    def given_to(system: System, profile: Profile) -> tuple[Mapping[str, Any], tuple[str, ...]]:
        safe_load = partial(find_safe_users, project, profile)
        given = settings_of(NOTHING_ASKED, profile, system, environment, safe_load=safe_load)
        return given.settings, tuple(describe_names(system, profile, given.said, None, environment))

    profiles = project.settings.profiles
    planned = plan_suite(chosen.name, chosen.suite, systems, profiles, shorten=shorten, given_to=given_to)
    for each in planned.runs:
        try:
            check_sharing(each.system, each.profile, processes)
        except UsageError as error:
            raise UsageError(f"{each.system.name} {each.profile_name}: {error.message}", hint=error.hint) from None
    return replace(planned, bug=bug, processes=processes, free_bytes=shutil.disk_usage(project.folder).free)


def _systems_in(target: Target | None, project: Project) -> Sequence[System]:
    registry = Registry(project)
    if target is not None:
        target.require()
    held = inspect_database(target).systems if target is not None else ()
    found = [registry[name] for name in registry if name in held or (not held and name in registry.own)]
    if not found:
        raise UsageError(f"{target} holds no system", hint=f"`{typed('seed')}` makes them.")
    return found


def _find_bug(name: str, systems: Sequence[System]) -> Bug:
    if len(systems) != 1:
        names = ", ".join(system.name for system in systems)
        raise UsageError(
            f"--bug {name}: a bug is one system's, and these are {len(systems)}: {names}", hint="Name one with --system."
        )
    return systems[0].find_bug(name)


def play(
    planned: PlannedSuite,
    target: Target,
    project: Project,
    *,
    seed: int | None = None,
    test_database: str | None = None,
    goes_to: SuiteTarget = TO_THE_DATABASE,
    watched: WatchedApplication = NOTHING_WATCHED,
) -> Job[EndedSuite]:
    """Make the runs in their order, until all are made or one is interrupted; return what came of them.

    Args:
        seed: of the first run, the next one's is one more; None: a new one.
        test_database: as guard takes it.
        goes_to: where its calls go.
        watched: meanwhile, of an application; what becomes of it between two runs is told by the second.

    Raises:
        UsageError: what a run is to break is not to be had here; none is begun then.
        AuditError: a run or an audit cannot begin, or cannot go on; nothing is recorded of the suite then.
    """
    seed = make_seed() if seed is None else seed
    servers = {each.system.name: goes_to.find(project, each.system) for each in planned.runs}
    _check_servers(planned, servers)
    _check_faults(planned, target, own_server(project, target), seed, servers)
    runs = [_choose_run(planned, each, servers[each.system.name], venue=goes_to.of_venue) for each in planned.runs]
    _check_runs(runs, target, project, test_database)
    before = yield from _look_before(planned, target, project)
    found = dict(before)
    steps: list[SuiteStep] = []
    shortfalls: set[Shortfall] = set()
    with watched.over_runs() as application:
        for number, (each, chosen) in enumerate(zip(planned.runs, runs, strict=True)):
            yield Noted(f"\n[{number + 1}/{len(planned.runs)}] {each.system.name} {each.profile_name}")
            of_run = run(chosen, target, project, seed=seed + number, test_database=test_database, watched=application)
            ended = yield from of_run
            step, fell_short = yield from _judge(ended, each, target, project, found)
            steps.append(step)
            shortfalls |= fell_short
            if step.state == "interrupted":
                break
    record = SuiteRecord(
        suite=planned.name,
        seed=seed,
        shorten=planned.shorten,
        planned=len(planned.runs),
        before=before,
        steps=tuple(steps),
        verdict=verdict_of(shortfalls),
        exit_code=exit_code_of(shortfalls),
    )
    file = _write(project, record)
    yield FileWritten((file,), is_told=False)
    return EndedSuite(record, file, frozenset(shortfalls))


def _choose_run(planned: PlannedSuite, each: Planned, server: AskedTarget | None, *, venue: str) -> ChosenRun:
    return ChosenRun(
        system=each.system,
        profile_name=each.profile_name,
        profile=each.profile,
        faults=windows_of(each.profile),
        bug=planned.bug,
        origin=server.origin if server is not None else None,
        processes=planned.processes,
        venue=venue,
        notes=each.notes,
    )


def _check_runs(runs: Sequence[ChosenRun], target: Target, project: Project, test_database: str | None) -> None:
    """Refuse a suite before its first run, where a later one could not begin; its server is tried out once."""
    tried: set[str] = set()
    for each in runs:
        name = each.system.name
        try:
            check(make_request(each, target, project, test_database=test_database), is_first=name not in tried)
        except (UsageError, SeedError) as error:
            error.message = f"{name} {each.profile_name}: {error.message}"
            raise
        tried.add(name)


def _check_servers(planned: PlannedSuite, servers: Mapping[str, AskedTarget | None]) -> None:
    """Refuse a suite over HTTP of several systems, as a server serves one, and with a bug, which a server has."""
    asked = next(filter(None, servers.values()), None)
    if asked is None:
        return
    if len(servers) > 1:
        raise UsageError(
            f"{asked.place}: {asked.origin} serves one system, and these are {len(servers)}: {', '.join(servers)}",
            hint="Name one with --system.",
        )
    if planned.bug is not None:
        raise UsageError(
            f"--bug {planned.bug.name}: the calls go to {asked.origin}, and a bug is planted in what serves them",
            hint=f"Start the server with it: {typed(f'serve {next(iter(servers))} --bug {planned.bug.name}')}",
        )


def _check_faults(
    planned: PlannedSuite,
    target: Target,
    server: EmbeddedServer | None,
    seed: int,
    servers: Mapping[str, AskedTarget | None],
) -> None:
    """Refuse a suite before its first run, where a fault of a later one cannot be done to this database."""
    lacks = {}
    for each in planned.runs:
        system, profile, is_over = each.system, each.profile, servers[each.system.name] is not None
        if is_over:
            system, profile, _ = asked_over_http(system, profile)
        faults = PlannedFaults(windows_of(profile), server=server, is_over_http=is_over)
        workload = Workload(system, profile, planned.bug, seed)
        if unmet := find_unmet_need(faults, workload, target):
            lacks[f"{each.system.name} {each.profile_name}"] = unmet
    if lacks:
        named = "; ".join(f"{name}, where {unmet}" for name, unmet in lacks.items())
        raise UsageError(
            f"suite {planned.name}: {len(lacks)} of {counted(len(planned.runs), 'run')} cannot be made on {target}: "
            f"{named}",
            hint="Declare a suite without them in integrity.toml, [suites.<name>], or run this one on PostgreSQL.",
        )


def _look_before(planned: PlannedSuite, target: Target, project: Project) -> Job[Mapping[str, int]]:
    """Return which invariants are violated before the first run, with their rows, and say so."""
    found: dict[str, int] = {}
    for name in dict.fromkeys(each.system.name for each in planned.runs):
        report = yield from judge(target, project, choose_of_run(project, name))
        found |= _count_violated(report)
    if found:
        named = ", ".join(f"{name} ({counted(count, 'row')})" for name, count in found.items())
        many = counted(len(found), "invariant is", "invariants are")
        yield Noted(
            f"before the first run {many} violated already: {named}\n  What the suite makes is told apart from that."
        )
    return found


def _count_violated(report: AuditReport) -> dict[str, int]:
    return {judged.finding.name: judged.finding.violation_count for judged in report.of(Verdict.VIOLATED)}


def _judge(
    ended: EndedRun, planned: Planned, target: Target, project: Project, found: dict[str, int]
) -> Job[tuple[SuiteStep, frozenset[Shortfall]]]:
    """Judge the data after a run; return the record of both, and what fell short.

    Args:
        found: rows that the audits before this one found, by invariant; it is brought up to date.
    """
    system = planned.system
    of_run = choose_of_run(project, system.name)
    has_written = has_acknowledged_writes(system, ended.result)
    report = yield from validate(target, project, of_run, folder=ended.folder, fails_on_empty=has_written)
    violated = _count_violated(report)
    made = {name: count - found.get(name, 0) for name, count in violated.items() if count > found.get(name, 0)}
    found |= {judged.finding.name: violated.get(judged.finding.name, 0) for judged in report.judged}
    own = ended.shortfalls
    fell_short = own | report.shortfalls
    step = make_step(
        ended.result,
        audit=report.sentence,
        violated=tuple(violated),
        made=made,
        exit_codes=(exit_code_of(own), report.exit_code),
        verdict=verdict_of(fell_short),
    )
    return step, fell_short


def _write(project: Project, record: SuiteRecord) -> Path:
    folder = project.state_folder / "suites"
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise unwritable(folder, error) from None
    return write_suite(folder, f"{datetime.now().astimezone():%Y%m%d-%H%M%S}-{record.suite}", record)
