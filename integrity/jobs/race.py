"""The job of racing: calls are chosen, their orders searched, one of them played, or their protections taken away.

    chosen = choose(project, ("ghostpass", "sell", "sell"), bug_name="lost_update")    # before a server is started
    raced = listen(race(chosen, target, project))

Whatever is found is kept in files of the state folder, the first finding with what would prevent it.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from integrity.engines.target import Target
from integrity.errors import UsageError
from integrity.events import Job, Noted
from integrity.jobs.findings import (
    Wanted,
    invariants_of,
    keep,
    keep_all,
    notes_of_missing,
    notes_of_scratch,
    notes_of_single_rows,
    races_folder,
    system_on,
)
from integrity.jobs.race_log import log_race
from integrity.jobs.race_names import describe_unnamed, find_operations, race_of, read_names
from integrity.jobs.wanted import telling
from integrity.numbers import counted
from integrity.operation import Isolation
from integrity.project import Project
from integrity.race.finding.finding import Finding, kept_schedules
from integrity.race.matrix import Group, pairs_of, race_groups
from integrity.race.play.deadline import Deadline
from integrity.race.played import play_schedule
from integrity.race.processes import OpenSearchers, open_searchers
from integrity.race.program.schedule import parse
from integrity.race.raced import Mutated, Raced
from integrity.race.search.settings import RaceSettings, RaceSubject
from integrity.race.trial.mutate import Mutation, Unguarded, mutate_system
from integrity.registry import Registry
from integrity.report.race_coverage import sentence_of
from integrity.systems.system import Bug

CHOICES_OF_NAMED = 12  # of arguments, where the calls that meet were named


@dataclass(frozen=True, slots=True)
class ChosenRace:
    """What is to be raced, before the database is known.

    Args:
        operations: that were named; none: all of the system's.
        group: the operations whose calls meet; none: each pair.
        schedule: the one to play; None: they are searched.
        is_served: the calls are requests to the system's own server.
        told: what is raced where nothing was named, and of each system that could not be looked into, why.
    """

    race: RaceSubject
    operations: tuple[str, ...] = ()
    group: tuple[str, ...] = ()
    schedule: str | None = None
    is_served: bool = False
    told: Sequence[str] = ()


def choose(
    project: Project,
    names: Sequence[str],
    settings: RaceSettings | None = None,
    *,
    system_name: str | None = None,
    bug_name: str | None = None,
    actors: int | None = None,
    schedule: str | None = None,
    is_mutating: bool = False,
    is_served: bool = False,
) -> ChosenRace:
    """Return what is to be raced.

    Args:
        names: of a system and of operations of it; none: those of the system that commands work on.
        system_name: all names are of its operations; None: the first may be a system's.
        settings: what was found before, and how many choices there are, is put in here.
        actors: calls of each operation; None: one, or two of one alone.
        schedule: to be played instead of a search, e.g. "ABBA".
        is_mutating: it is for `mutate`, which takes protections away from sound operations.
        is_served: the calls are requests to the system's own server.

    Raises:
        UsageError: there is no such system, operation or bug, or they do not go together.
        ScheduleError: the schedule cannot be read.
    """
    registry = Registry(project)
    if system_name is not None:
        system, operations = find_operations(registry.find(system_name), names)
    else:
        system, operations = read_names(project, registry, names)
    bug = system.find_bug(bug_name) if bug_name is not None else None
    if is_mutating and (bug is not None or schedule is not None):
        raise UsageError(
            "--mutate takes protections away from the sound operations", hint="Leave --bug and --schedule out."
        )
    settings = settings or RaceSettings()
    if is_served:
        _check_served(settings, is_mutating=is_mutating, schedule=schedule)
    group = tuple(name for name in operations for _ in range(actors or (2 if len(operations) == 1 else 1)))
    if schedule is not None:
        group = group or race_of(system, bug)
        parse(schedule, actor_count=len(group))
    settings = replace(settings, kept=kept_schedules(races_folder(project), system.name))
    if group:
        settings = replace(settings, choices_max=CHOICES_OF_NAMED)
    files = invariants_of(project, system, group or system.operations)
    told = describe_unnamed(system) if not names and system_name is None and system.name not in registry.own else []
    told += registry.describe_passed_over()
    return ChosenRace(RaceSubject(system, files, settings, bug), operations, group, schedule, is_served, told)


def _check_served(settings: RaceSettings, *, is_mutating: bool, schedule: str | None) -> None:
    for option, is_said in (("--mutate", is_mutating), ("--schedule", schedule is not None), ("--jobs", settings.jobs > 1)):
        if is_said:
            raise UsageError(
                f"{option} goes with calls that are carried out here, and --served sends them to one server",
                hint=f"Leave {option} or --served out.",
            )


def race(
    chosen: ChosenRace,
    target: Target,
    project: Project,
    wanted: Wanted | None = None,
    *,
    test_database: str | None = None,
) -> Job[Raced]:
    """Race what was chosen, on scratch databases, and keep what is found.

    Args:
        test_database: as guard takes it.

    Raises:
        UsageError: the system cannot be raced on this target, or a file cannot be written.
        DatabaseError: the server is gone.
    """
    wanted = wanted or Wanted()
    return (yield from telling(_race(chosen, target, project, wanted, test_database=test_database), wanted))


def _race(chosen: ChosenRace, target: Target, project: Project, wanted: Wanted, *, test_database: str | None) -> Job[Raced]:
    deadline = Deadline.within(chosen.race.settings.seconds)
    race = _on(target, chosen.race, chosen.group)
    yield from map(Noted, chosen.told)
    yield from notes_of_scratch(target, project)
    groups: list[Group] = []
    played = None
    if chosen.schedule is not None:
        played = play_schedule(target, race, chosen.group, chosen.schedule, test_database=test_database)
        findings = [played.finding] if played.finding else []
    else:
        if not chosen.group:
            yield from map(Noted, race.system.describe_unusable())
        wanted_groups = [chosen.group] if chosen.group else pairs_of(list(race.system.operations))
        opening = _served_searchers() if chosen.is_served else open_searchers
        groups = yield from race_groups(
            target, race, wanted_groups, test_database=test_database, deadline=deadline, opening=opening
        )
        findings = [_marked(each, chosen) for each in _order(groups, race.bug)]
    yield from notes_of_missing(race.system)
    yield from notes_of_single_rows(race.system, chosen.group)
    found = yield from keep(findings, race, target, project, wanted, test_database=test_database, deadline=deadline)
    apart = keep_all([_marked(group.apart, chosen) for group in groups if group.apart], target, project)
    yield from apart
    raced = Raced(race, groups, found, apart, played, is_matrix=not chosen.group)
    if groups:
        what = " + ".join(chosen.group) or counted(len(groups), "pair")
        subject = f"{race.system.name}: {what}{f' with the bug {race.bug.name}' if race.bug else ''}"
        files = [each.file for each in (*found, *apart)]
        log_race(project, subject, raced.verdict, sentence_of(groups, race.settings), files)
    return raced


def _served_searchers() -> OpenSearchers:
    from integrity.scenarios.served import open_served_searchers

    return open_served_searchers


def _marked(finding: Finding, chosen: ChosenRace) -> Finding:
    return finding.model_copy(update={"is_served": True}) if chosen.is_served else finding


def mutate(chosen: ChosenRace, target: Target, project: Project, *, test_database: str | None = None) -> Job[Mutated]:
    """Take the protections of the operations away, one at a time, and tell of each whether it was missed.

    Raises:
        UsageError: the system cannot be raced on this target, or each pair is racy as it is.
        DatabaseError: the server is gone.
    """
    race = _on(target, chosen.race, chosen.operations)
    yield from map(Noted, chosen.told)
    yield from notes_of_scratch(target, project)
    if not chosen.operations:
        yield from map(Noted, race.system.describe_unusable())
    names = list(dict.fromkeys(chosen.operations or race.system.operations))
    mutations: list[Mutation] = []
    unguarded: list[Unguarded] = []
    for found in mutate_system(target, race, names, test_database=test_database):
        if isinstance(found, Unguarded):
            unguarded.append(found)
        else:
            mutations.append(found)
        yield found
    yield from notes_of_missing(race.system)
    return Mutated(mutations, unguarded)


def _on(target: Target, race: RaceSubject, asked: Sequence[str]) -> RaceSubject:
    """Return the race for this target.

    Args:
        asked: the operations that are named; none: those are raced that the database understands.

    Raises:
        UsageError: it has no such isolation level.
        SqlFileError: it does not understand an operation that is asked for.
    """
    isolation = race.settings.isolation
    if not target.engine.has_levels and isolation is not Isolation.READ_COMMITTED:
        raise UsageError(
            f"--isolation '{isolation.value}' on {target}: {target.engine.title} has a single level",
            hint="Leave --isolation out.",
        )
    system = system_on(target, race.system, race.files).understood_by(target, asked=asked, is_raced=True)
    return replace(race, system=system, settings=replace(race.settings, dialect=target.dialect))


def _order(groups: Sequence[Group], bug: Bug | None) -> list[Finding]:
    """Return the findings; first, to be studied, the race that the bug is known for, else the worst and shortest."""
    findings = [group.finding for group in groups if group.finding]
    findings.sort(key=lambda each: (bug is not None and each.operations != bug.race, each.rank, len(each.letters)))
    return findings + [other for group in groups for other in group.others]
