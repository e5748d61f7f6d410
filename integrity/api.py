"""The commands, for programs: each says what is wanted, and does it when it is called.

    raced = integrity.Race(BANK, target, operations=("withdraw", "withdraw"))()
    report = integrity.Audit(target, BANK)()
    assert report.exit_code == 0, report.sentence

They do what `seed`, `run`, `validate` and `race` do, and return what those print; nothing is printed here. A system is
passed as an object, and need not be declared in integrity.toml. Whoever wants to follow gives a listener to the call, which
is told every event (events.py). What cannot be done is an AuditError; a violation is none, but in what is returned.
"""

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

from integrity.audit import AuditSettings
from integrity.engines.embedded.server import EmbeddedServer
from integrity.engines.target import Target
from integrity.events import Listener, listen
from integrity.jobs import race as racing
from integrity.jobs import replay as replaying
from integrity.jobs import run as running
from integrity.jobs import seed as seeding
from integrity.jobs import validate as validating
from integrity.jobs.findings import Wanted
from integrity.load.request import EndedRun
from integrity.monitor.watched import read_watched
from integrity.project import Project, find_project, make_state_folder
from integrity.race.raced import Raced, Replayed
from integrity.race.search.settings import RaceSettings
from integrity.report.audit_report import AuditReport
from integrity.seeds.load import Mode, Seeded
from integrity.systems.stage import Stage
from integrity.systems.system import System

if TYPE_CHECKING:
    from integrity.sequences.machine import SequenceMachine


@dataclass(frozen=True, slots=True)
class Seed:
    """A world of rows to be made, in which every invariant holds; a call returns what was made.

    Args:
        sizes: by name, e.g. {"accounts": 500}; those that are left out are as the system's seeder has them.
        mode: what to do with what is there.
        folder: of the project; nothing but its settings is read.
        test_database: the name of a database that may hold other tables; None: as the project declares it.

    Raises:
        UsageError: the system has no seeder, or no such size.
        UnsafeDatabase: the database holds tables that we did not make.
        SeedError: it is not in the state that the mode needs.
        DatabaseError: it refused something, or somebody works there.
    """

    system: System
    target: Target
    sizes: Mapping[str, int] = field(default_factory=dict)
    seed: int = 1
    mode: Mode = Mode.NEW
    folder: Path = Path()
    test_database: str | None = None

    def __call__(self, *listeners: Listener) -> Sequence[Seeded]:
        project = _project(self.folder, self.system)
        wanted = seeding.choose(project, system_names=[self.system.name], sizes=self.sizes, seed=self.seed, mode=self.mode)
        listen(wanted.play(self.target, test_database=_test_database(project, self.test_database)), *listeners)
        return wanted.seeded


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """Clients to be let loose on a system, as a profile has it; a call returns the run, its history in the database.

    What is None is as the profile has it.

    Args:
        profile: its name.
        bug: the name of the one that is planted; None: the sound system.
        seed: of every random choice; None: a new one.
        rate: arrivals per second in all, of an open loop.
        faults: what goes wrong on purpose, and when, as `integrity run --fault` takes it.
        processes: that share the calls; more than 1 must find the system in a module that they can import.
        watches: processes of an application, PID or NAME=PID, as `integrity run --process` takes them.
        logs: of an application; lines that are added to them meanwhile are counted.
        folder: of the project, in which the run's folder is made.
        test_database: the name of a database that may hold other tables; None: as the project declares it.

    Raises:
        UsageError: there is no such profile, bug, fault, process or log, or they do not go together.
        UnsafeDatabase: the database holds tables that we did not make.
        DatabaseError: it lacks the system's tables, or the server is gone.
    """

    system: System
    target: Target
    profile: str
    bug: str | None = None
    seed: int | None = None
    duration_s: float | None = None
    clients: int | None = None
    connections: int | None = None
    rate: float | None = None
    faults: Sequence[str] = ()
    processes: int = 1
    watches: Sequence[str] = ()
    logs: Sequence[Path] = ()
    folder: Path = Path()
    test_database: str | None = None

    def __call__(self, *listeners: Listener) -> EndedRun:
        project = _project(self.folder, self.system)
        chosen = running.choose(
            project,
            self.profile,
            system_name=self.system.name,
            bug_name=self.bug,
            duration_s=self.duration_s,
            clients=self.clients,
            connections=self.connections,
            rate=self.rate,
            faults=self.faults,
            processes=self.processes,
        )
        job = running.run(
            chosen,
            self.target,
            project,
            seed=self.seed,
            test_database=_test_database(project, self.test_database),
            watched=read_watched(self.watches, self.logs),
        )
        return listen(job, *listeners)


@dataclass(frozen=True, slots=True)
class Audit:
    """Invariants to be judged on one snapshot of a database; a call returns the report.

    Args:
        system: whose invariants; None: of the systems that are in the database, and the project's own.
        select: names or patterns of invariants; none: all.
        variables: values for their parameters, spelled as `integrity validate --set` takes them.
        run_id: judge this run's calls only.
        settings: how to audit.
        is_read_only: load no history of a run that was killed, the one thing that an audit may write.
        fails_on_empty: one that had nothing to judge is as good as unknown.
        folder: of the project, whose invariants are judged, too, and where verdicts are kept.

    Raises:
        UsageError: there is nothing to judge, or no such invariant or run.
        DatabaseError: no connection, or a server that is too old.
    """

    target: Target
    system: System | None = None
    select: Sequence[str] = ()
    variables: Mapping[str, str] = field(default_factory=dict)
    run_id: str | None = None
    settings: AuditSettings = field(default_factory=AuditSettings)
    is_read_only: bool = False
    fails_on_empty: bool = False
    folder: Path = Path()

    def __call__(self, *listeners: Listener) -> AuditReport:
        project = _project(self.folder, self.system)
        chosen = validating.choose(
            project,
            patterns=self.select,
            pairs=[f"{name}={value}" for name, value in self.variables.items()],
            system_name=self.system.name if self.system else None,
            run_id=self.run_id,
        )
        job = validating.validate(
            self.target,
            project,
            chosen,
            self.settings,
            is_read_only=self.is_read_only,
            fails_on_empty=self.fails_on_empty,
        )
        return listen(job, *listeners)


@dataclass(frozen=True, slots=True)
class Race:
    """Calls whose orders are to be searched for one that goes wrong; a call returns what was found.

    It is played on a scratch database of the target's server, or a scratch file; what the target holds is left alone.

    Args:
        operations: whose calls meet, one of each; one name alone: two calls of it; none: each pair of the system's.
        bug: the name of the one that is planted; None: the sound system.
        schedule: the one to play instead of a search, e.g. "ABBA".
        settings: how far to search.
        pytest_file: the test to write for what is found.
        folder: of the project, whose invariants judge; findings are kept in its `.integrity/races/`.
        test_database: the name of a database that may hold other tables; None: as the project declares it.

    Raises:
        UsageError: there is no such operation or bug, or the system cannot be raced on this target.
        ScheduleError: the schedule cannot be read.
        DatabaseError: the server is gone.
    """

    system: System
    target: Target
    operations: Sequence[str] = ()
    bug: str | None = None
    schedule: str | None = None
    settings: RaceSettings = field(default_factory=RaceSettings)
    pytest_file: Path | None = None
    folder: Path = Path()
    test_database: str | None = None

    def __call__(self, *listeners: Listener) -> Raced:
        project = _project(self.folder, self.system)
        names = (self.system.name, *self.operations)
        chosen = racing.choose(project, names, self.settings, bug_name=self.bug, schedule=self.schedule)
        wanted = Wanted(pytest_file=self.pytest_file)
        test_database = _test_database(project, self.test_database)
        return listen(racing.race(chosen, self.target, project, wanted, test_database=test_database), *listeners)


@dataclass(frozen=True, slots=True)
class Replay:
    """A finding of a race that is to be played again; a call returns whether it came back.

    Args:
        finding: its file, its name among those that are kept, or a token.
        target: None: the database that a scenario names, else the project's, else the embedded server, started if need be.
        times: to play it.
        folder: of the project.
        test_database: the name of a database that may hold other tables; None: as the project declares it.

    Raises:
        UsageError: it cannot be read, or what it is about is not there any more.
        DatabaseError: the server is gone.
    """

    finding: Path | str
    target: Target | None = None
    times: int = 1
    folder: Path = Path()
    test_database: str | None = None

    def __call__(self, *listeners: Listener) -> Replayed:
        project = _project(self.folder, None)
        chosen = replaying.choose(project, Path(self.finding))
        target = self.target or Target.find(project, replaying.url_of(chosen), os.environ)
        if target is None:
            make_state_folder(project)
            target = EmbeddedServer(project.state_folder / "postgres").start()
        test_database = _test_database(project, self.test_database)
        return listen(replaying.replay(chosen, target, times=self.times, test_database=test_database), *listeners)


def machine(
    system: System,
    target: Target | str | None = None,
    *,
    bug: str | None = None,
    operations: Sequence[str] = (),
    select: Sequence[str] = (),
    stage: Callable[[], Stage] | None = None,
    folder: Path = Path(),
    test_database: str | None = None,
) -> "type[SequenceMachine]":
    """Return the system as a RuleBasedStateMachine of Hypothesis, for a test: TestBank = integrity.machine(BANK).TestCase

    Its rules are the operations, its bundles the pools of keys, its invariants those of the system. It is played on a
    scratch database of the target's server, or a scratch file, made with the first example and dropped as the process ends,
    or by the class's `close`.

    Args:
        target: None: the project's database, else the embedded server, started if need be.
        bug: the name of the one that is planted; None: the sound system.
        operations: that become rules; none: all.
        select: names or patterns of invariants; none: all that are about the system.
        stage: the rows that an example begins with; None: those of the system's stage.
        folder: of the project, whose invariants are asked.
        test_database: the name of a database that may hold other tables; None: as the project declares it.

    Raises:
        UsageError: there is no such operation, bug or invariant, or no operation can be called.
    """
    from integrity.jobs import sequences

    project = _project(folder, system)
    chosen = sequences.choose(project, system, bug_name=bug, operations=operations, patterns=select, stage=stage)
    return chosen.machine(target, test_database=_test_database(project, test_database))


def _project(folder: Path, system: System | None) -> Project:
    project = find_project(folder)
    return replace(project, systems={system.name: system}) if system else project


def _test_database(project: Project, named: str | None) -> str | None:
    return project.settings.database.test if named is None else named
