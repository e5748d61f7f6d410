"""`integrity race`: which orders of two calls break the data?"""

import math
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from integrity.cli.number_types import SEED, Duration, Integer
from integrity.cli.options import (
    database_option,
    json_option,
    open_project,
    open_target,
    project_option,
    test_database_option,
)
from integrity.errors import UsageError, quote
from integrity.exit_codes import ExitCode, exit_code_of, shortfalls_of
from integrity.report.terminal import open_console, write_json, write_note, write_result
from integrity.suggestion import suggest

if TYPE_CHECKING:
    from integrity.engines.target import Target
    from integrity.project import Project
    from integrity.race.finding.finding import Finding
    from integrity.race.matrix import Group, Played, Searched
    from integrity.race.search.settings import Race, RaceSettings
    from integrity.registry import Registry
    from integrity.sqlfile import SqlFile
    from integrity.systems.system import Bug, System

LEVELS = ("read committed", "repeatable read", "serializable")
ACTORS_MAX = 8
CHOICES_OF_NAMED = 12


@click.command(name="race")
@click.argument("names", metavar="[SYSTEM] [OPERATION]...", nargs=-1)
@click.option("--bug", "bug_name", metavar="NAME", help="Plant this bug; without it the sound operations race.")
@click.option("--isolation", type=click.Choice(LEVELS), default=LEVELS[0], show_default=True, help="Of transactions.")
@click.option("--preemptions", metavar="N", type=Integer(0, 8), default=2, show_default=True,
              help="Search every schedule with at most so many.")  # fmt: skip
@click.option(
    "--actors",
    metavar="N",
    type=Integer(1, ACTORS_MAX),
    help="Calls of each operation; default: 1, or 2 of one alone.",
)
@click.option("--schedules", metavar="N", type=Integer(1, 10_000_000), default=10_000, show_default=True,
              help="Of each pair, with each choice of arguments, play at most so many; with --mutate 300.")  # fmt: skip
@click.option("--budget", type=Duration(), help="End the search after so long, wherever it is.")
@click.option("--seed", metavar="N", type=SEED, default=0, show_default=True, help="Of random schedules.")
@click.option(
    "--jobs", metavar="N", type=Integer(1, 64), default=1, show_default=True, help="Processes that share the search."
)
@click.option("--schedule", metavar="LETTERS", help="Play this one schedule, e.g. ABBA, and show it.")
@click.option("--strict-replies", "is_strict", is_flag=True,
              help="Answers that no serial order gives are findings too, where the rows are right.")  # fmt: skip
@click.option("--mutate", "is_mutating", is_flag=True, help="Take each protection away: the search must find a race.")
@click.option("--pytest", "pytest_file", metavar="FILE", type=click.Path(dir_okay=False, path_type=Path),
              help="Write the race that was found as a test, test_*.py, with its SQL beside it.")  # fmt: skip
@click.option("--output", metavar="FILE", type=click.Path(dir_okay=False, path_type=Path), help="Write the finding here.")
@database_option
@project_option
@test_database_option
@json_option
def command(
    *,
    names: tuple[str, ...],
    bug_name: str | None,
    isolation: str,
    preemptions: int,
    actors: int | None,
    schedules: int,
    budget: float | None,
    seed: int,
    jobs: int,
    schedule: str | None,
    is_strict: bool,
    is_mutating: bool,
    pytest_file: Path | None,
    output: Path | None,
    database: str | None,
    project_folder: Path,
    test_database: str | None,
    is_json: bool,
) -> int:
    """Search the orders of concurrent calls for one that breaks an invariant, or that no serial order explains.

    Found, too, are calls that fail and alone never do, and deadlocks that nobody retries. Any serial order will do: values
    are compared, and which call was made first in real time is not. Without operations each pair of the system's is
    searched. Exits with 1 when a race was found, 0 when there is none within the bound, 3 when the budget ended before.

    Races work in a scratch database made on the same server and dropped at the end; what the database named holds is left
    alone.

    \b
    Example: integrity race ghostpass sell sell --bug lost_update
    """
    from integrity.operation import Isolation
    from integrity.project import make_state_folder
    from integrity.race.export.pytest_export import check_path
    from integrity.race.finding.finding import kept_schedules
    from integrity.race.matrix import pairs_of, play_schedule, race_groups
    from integrity.race.program.schedule import parse
    from integrity.race.search.settings import CHOICES_MAX, Race, RaceSettings
    from integrity.registry import Registry

    project = open_project(project_folder)
    system, operations = parse_names(Registry(project), names)
    bug = system.find_bug(bug_name) if bug_name is not None else None
    if is_mutating and (bug is not None or schedule is not None):
        raise UsageError(
            "--mutate takes protections away from the sound operations", hint="Leave --bug and --schedule out."
        )
    if pytest_file is not None:
        check_path(pytest_file)
    group = tuple(name for name in operations for _ in range(actors or (2 if len(operations) == 1 else 1)))
    if schedule is not None:
        group = group or _race_of(bug)
        parse(schedule, actor_count=len(group))  # before a server is started for nothing
    settings = RaceSettings(
        isolation=Isolation(isolation),
        preemptions=preemptions,
        schedules=schedules,
        seconds=budget or math.inf,
        seed=seed,
        jobs=jobs,
        choices_max=CHOICES_OF_NAMED if group else CHOICES_MAX,
        is_strict=is_strict,
    )
    settings = replace(settings, kept=kept_schedules(project.state_folder / "races", system.name))
    files = invariants_of(project, system)
    target = open_target(project, database)
    if not target.engine.has_levels and isolation != LEVELS[0]:
        raise UsageError(
            f"--isolation '{isolation}' on {target}: {target.engine.title} has a single level",
            hint="Leave --isolation out.",
        )
    race = Race(system, files, replace(settings, dialect=target.dialect), bug)
    if is_mutating:
        return _mutate(target, race, operations or tuple(system.operations), test_database, is_json=is_json)
    groups: list[Group] = []
    if schedule is not None:
        played = play_schedule(target, race, group, schedule, test_database=test_database)
        if played.finding is None:
            _print_played(played, is_json=is_json)
            return ExitCode.UNKNOWN if played.cut else ExitCode.OK
        findings = [played.finding]
    else:
        wanted = [group] if group else pairs_of(list(system.operations))
        with _show_progress(len(wanted)) as on_searched:
            groups = race_groups(target, race, wanted, test_database=test_database, on_searched=on_searched)
        findings = [each.finding for each in groups if each.finding]
        # The one that is studied and shown first: the race that the bug is known for, else the shortest.
        findings.sort(key=lambda each: (bug is not None and each.operations != bug.race, len(each.letters)))
        findings += [other for each in groups for other in each.others]
    apart = [each.apart for each in groups if each.apart]
    paths = save_findings(
        target,
        system,
        findings,
        files,
        project=project,
        output=output,
        pytest_file=pytest_file,
        test_database=test_database,
    )
    apart_paths = write_findings(apart, make_state_folder(project) / "races") if apart else []
    if is_json:
        _print_json(groups, race, findings, paths, list(zip(apart, apart_paths, strict=True)))
    else:
        replays = [replay_command(target, path) for path in paths]
        told_apart = [(each, replay_command(target, path)) for each, path in zip(apart, apart_paths, strict=True)]
        _print_text(groups, race.settings, findings, replays, told_apart, is_matrix=not group)
    return ExitCode.VIOLATED if findings else exit_code_of(shortfalls_of([each.verdict for each in groups]))


def parse_names(registry: "Registry", names: tuple[str, ...]) -> "tuple[System, tuple[str, ...]]":
    """Return the system and its operations that are named; the default system when none is.

    Raises:
        UsageError: there is no such system or operation.
    """
    if not names:
        return registry.default, ()
    first, *operations = names
    if first not in registry:
        owners = [system.name for system in registry.values() if first in system.operations]
        if owners:
            raise UsageError(
                f"{quote(first)} is no system", hint=f"Name it first: integrity race {owners[0]} {' '.join(names)}"
            )
    system = registry.find(first)
    for operation in operations:
        if operation not in system.operations:
            hint = suggest(operation, system.operations, otherwise=f"The operations are: {', '.join(system.operations)}.")
            raise UsageError(f"system {system.name} has no operation {quote(operation)}", hint=hint)
    return system, tuple(operations)


def invariants_of(project: "Project", system: "System") -> "list[SqlFile]":
    """Return the system's invariants, and those of the project that are about it."""
    from integrity.invariants.load import load_invariants
    from integrity.registry import Registry

    registry = Registry(project)
    files = load_invariants(project, system=system.name).values()
    return [file for file in files if registry.owner_of(file) == system.name]


def save_findings(
    target: "Target",
    system: "System",
    findings: "list[Finding]",
    files: "Sequence[SqlFile]",
    *,
    project: "Project",
    output: Path | None,
    pytest_file: Path | None,
    test_database: str | None,
) -> list[Path]:
    """Write each finding to its file and return the files; the first finding is studied, in its place.

    Args:
        output: the first finding's file, if not in .integrity/races/.
        pytest_file: the test to write for the first finding.
    """
    from integrity.project import make_state_folder
    from integrity.race.finding.finding import write_finding
    from integrity.race.study import open_study

    if not findings:
        return []
    folder = make_state_folder(project) / "races"
    paths = [folder / f"{finding.name}.json" for finding in findings]
    paths[0] = output or paths[0]
    for finding, path in zip(findings, paths, strict=True):
        write_finding(finding, path)  # before the study: whatever happens there, the finding is kept
    with open_study(target, system, findings[0], files, test_database=test_database) as study:
        findings[0] = study.with_cures()
        write_finding(findings[0], paths[0])
        if pytest_file is not None:
            study.export(pytest_file, replay_command=replay_command(target, Path(paths[0].name)))
            write_note(f"wrote {pytest_file} and {pytest_file.with_suffix('.sql')}")
    return paths


def write_findings(findings: "Sequence[Finding]", folder: Path) -> list[Path]:
    """Write each finding to its file in the folder and return the files."""
    from integrity.race.finding.finding import write_finding

    paths = [folder / f"{finding.name}.json" for finding in findings]
    for finding, path in zip(findings, paths, strict=True):
        write_finding(finding, path)
    return paths


def shown_path(path: Path) -> str:
    """Return the path as one would type it here."""
    try:
        return str(path.absolute().relative_to(Path.cwd()))
    except ValueError:
        return str(path)


def replay_command(target: "Target", path: Path) -> str:
    """Return the command that plays a finding again; of one in a file with its file, which nothing else may name."""
    return f"integrity replay {shown_path(path)}{'' if target.engine.has_server else f' --database {target}'}"


def _print_played(played: "Played", *, is_json: bool) -> None:
    outcome = f"cut off, {played.cut}" if played.cut else f"nothing goes wrong; {played.course}"
    if is_json:
        document = {"schedule": played.letters, "outcome": outcome, "findings": []}
        write_json(document)
    else:
        write_result("\n".join([*played.timeline, "", f"{played.letters}: {outcome}."]))


def _mutate(
    target: "Target",
    race: "Race",
    operations: Sequence[str],
    test_database: str | None,
    *,
    is_json: bool,
) -> int:
    """Take protections away, one at a time; exit with 3 when one of an operation's was not missed."""
    from integrity.race.trial.mutate import mutate_system
    from integrity.report.race_json import mutation_json
    from integrity.report.race_text import render_mutations

    mutations = []
    names = list(dict.fromkeys(operations))
    for mutation in mutate_system(target, race, names, test_database=test_database):
        mutations.append(mutation)
        if not mutation.is_constraint:
            write_note(f"without {mutation.protection}: {mutation.word}")
    if is_json:
        write_json([mutation_json(each) for each in mutations])
    else:
        write_result(render_mutations(mutations))
    is_open = any(each.word == "untried" or (each.word == "vacuous" and not each.is_constraint) for each in mutations)
    return ExitCode.UNKNOWN if is_open or not mutations else ExitCode.OK


def _print_text(
    groups: "Sequence[Group]",
    settings: "RaceSettings",
    findings: "Sequence[Finding]",
    replays: Sequence[str],
    told_apart: "Sequence[tuple[Finding, str]]",
    *,
    is_matrix: bool,
) -> None:
    from integrity.report.race_text import (
        left_out_of,
        render_apart,
        render_coverage,
        render_finding,
        render_left_out,
        render_matrix,
        sentence_of,
    )

    if groups and is_matrix:
        write_result(render_matrix(groups, settings))
    elif groups and not findings:
        write_result(f"{render_coverage(groups[0])}\n\n{sentence_of(groups, settings)}")
    if left_out := render_left_out(left_out_of(groups)):
        write_result(left_out)
    for finding, replay in told_apart:
        write_result(f"\n{render_apart(finding, replay)}")
    if findings:
        write_result(("\n" if is_matrix or told_apart else "") + render_finding(findings[0]))
        write_result()
    for number, command_line in enumerate(replays):
        write_result(f"{'replay' if number == 0 else 'others' if number == 1 else ''}{': ' if number < 2 else '        '}"
                   f"{command_line}")  # fmt: skip


def _print_json(
    groups: "Sequence[Group]",
    race: "Race",
    findings: "Sequence[Finding]",
    paths: Sequence[Path],
    apart: "Sequence[tuple[Finding, Path]]",
) -> None:

    from integrity.report.race_json import group_json
    from integrity.report.race_text import left_out_of

    document: dict[str, Any] = {
        "system": race.system.name,
        "bug": race.bug.name if race.bug else None,
        "isolation": race.settings.isolation.value,
        "preemptions": race.settings.preemptions,
        "seed": race.settings.seed,
        "groups": [group_json(group) for group in groups],
        "left_out": [{"name": each.name, "reason": each.reason} for each in left_out_of(groups)],
        "findings": [
            {"file": str(path), **finding.model_dump(mode="json")} for finding, path in zip(findings, paths, strict=True)
        ],
        "answers_apart": [{"file": str(path), **finding.model_dump(mode="json")} for finding, path in apart],
    }
    write_json(document)


def _race_of(bug: "Bug | None") -> tuple[str, ...]:
    """Return the operations that a bug says collide.

    Raises:
        UsageError: it says none, or there is no bug.
    """
    if bug is not None and bug.race:
        return bug.race
    raise UsageError(
        "--schedule plays the calls of some operations, and none are named",
        hint="For example: integrity race ghostpass sell sell --schedule ABBA",
    )


@contextmanager
def _show_progress(count: int) -> "Iterator[Callable[[Searched], None]]":
    """Yield what is told of each search; on a terminal, it counts them on stderr."""
    if not sys.stderr.isatty():
        yield lambda _searched: None
        return
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

    columns = (TextColumn("racing {task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=open_console(), transient=True) as progress:
        task = progress.add_task("", total=count)

        def on_searched(searched: "Searched") -> None:
            is_first = searched.choice == 0
            progress.update(task, advance=1 if is_first else 0, description=" + ".join(searched.names))

        yield on_searched
