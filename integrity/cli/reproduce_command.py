"""`integrity reproduce`: from a violated row to the schedule that breaks it."""

import math
from collections.abc import Mapping
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
from integrity.cli.race_command import invariants_of, replay_command, save_findings
from integrity.errors import UsageError, quote
from integrity.exit_codes import ExitCode
from integrity.numbers import read_integer
from integrity.report.terminal import write_json, write_note, write_result

if TYPE_CHECKING:
    from integrity.project import Project
    from integrity.runs.folder import RunFolder


ROWS_MOST = 10_000  # of an invariant, as --limit-evidence has it


@click.command(name="reproduce")
@click.argument("violation", metavar="VIOLATION")
@click.option("--run", "run_id", metavar="ID", help="The run that was audited; default: the newest with verdicts.")
@click.option("--preemptions", metavar="N", type=Integer(0, 8), default=2, show_default=True,
              help="Search every schedule with at most so many.")  # fmt: skip
@click.option("--budget", type=Duration(), help="End the search of each kind of pair of calls after so long.")
@click.option("--seed", metavar="N", type=SEED, default=0, show_default=True,
              help="Of random schedules.")  # fmt: skip
@click.option("--pytest", "pytest_file", metavar="FILE", type=click.Path(dir_okay=False, path_type=Path),
              help="Write the race that was found as a test, test_*.py, with its SQL beside it.")  # fmt: skip
@click.option("--output", metavar="FILE", type=click.Path(dir_okay=False, path_type=Path), help="Write the finding here.")
@database_option
@project_option
@test_database_option
@json_option
def command(
    *,
    violation: str,
    run_id: str | None,
    preemptions: int,
    budget: float | None,
    seed: int,
    pytest_file: Path | None,
    output: Path | None,
    database: str | None,
    project_folder: Path,
    test_database: str | None,
    is_json: bool,
) -> int:
    """Take a violated row of the last audit and find the shortest schedule of its calls that breaks it again.

    VIOLATION is an invariant, and #2 for its second row. Exits with 1 when it is back, 3 when nothing brought it back.

    \b
    Example: integrity reproduce ghostpass/balance-equals-entries#1
    """
    from integrity.history import decode
    from integrity.race.export.pytest_export import check_path
    from integrity.race.reproduce import Violation, reproduce
    from integrity.race.search.explore import Budget
    from integrity.registry import Registry
    from integrity.report.race_json import reproduction_json
    from integrity.report.race_text import render_finding, render_reproduction

    if pytest_file is not None:
        check_path(pytest_file)
    project = open_project(project_folder)
    folder = _find_run(project, run_id)
    name, row = _find_row(folder, violation)
    settings = folder.settings()
    system = Registry(project).resolve(settings.system, settings.reference, place=str(folder.path))
    bug = system.find_bug(settings.bug) if settings.bug else None
    with folder.history.open("rb") as lines:
        calls = list(decode(lines, place=str(folder.history)))
    files = invariants_of(project, system)
    target = open_target(project, database)
    found = reproduce(
        target,
        system,
        Violation(name, row, calls),
        files,
        bug=bug,
        budget=Budget(preemptions=preemptions, seconds=budget or math.inf),
        seed=seed,
        test_database=test_database,
        on_try=write_note,
    )
    findings = [found.finding] if found.finding else []
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
    if is_json:
        document = reproduction_json(found, name, row, findings)
        write_json(document)
    else:
        write_result(render_reproduction(found, name, row))
        for finding, path in zip(findings, paths, strict=True):
            write_result(f"\n{render_finding(finding)}\n\nreplay: {replay_command(target, path)}")
    return ExitCode.VIOLATED if found.kind else ExitCode.UNKNOWN


def _find_run(project: "Project", run_id: str | None) -> "RunFolder":
    """Return the folder of the run, by default the newest that was audited.

    Raises:
        UsageError: there is none.
    """
    from integrity.runs.files import VERDICTS_FILE
    from integrity.runs.folder import RunFolder

    audited = sorted(path.parent.name for path in project.runs_folder.glob(f"*/{VERDICTS_FILE}"))
    if run_id is None and not audited:
        raise UsageError(
            f"no run in {project.runs_folder} has been audited",
            hint="integrity run hammer --bug lost_update && integrity validate",
        )
    if run_id is not None and run_id not in audited:
        known = f"Those that were: {', '.join(audited[-3:])}." if audited else "`integrity validate --run ID` does it."
        raise UsageError(f"run {quote(run_id)} has not been audited, or is not in {project.runs_folder}", hint=known)
    return RunFolder(project.runs_folder / (run_id or audited[-1]))


def _number(text: str) -> int:
    """Return the number of a row, 0 for what is none."""
    try:
        return read_integer(text, least=1, most=ROWS_MOST)
    except ValueError:
        return 0


def _find_row(folder: "RunFolder", violation: str) -> tuple[str, Mapping[str, Any]]:
    """Return the invariant's name and the row that is meant.

    Raises:
        UsageError: no such violation in the last audit.
        HistoryError: the verdicts cannot be read.
    """
    from integrity.runs.verdicts import read_verdicts

    name, _, number_text = violation.partition("#")
    number = _number(number_text) if number_text else 1
    violated = read_verdicts(folder).violated
    found = [each for each in violated if name in (each, each.rpartition("/")[2])]
    if not found:
        known = f"Violated are: {', '.join(violated)}." if violated else "All its invariants hold or are unknown."
        raise UsageError(f"{quote(name)} was not violated in the audit of run {folder.run_id}", hint=known)
    rows = violated[found[0]].rows
    if not 1 <= number <= len(rows):
        raise UsageError(
            f"{quote(violation)}: the audit kept {len(rows)} rows of {found[0]}",
            hint=f"Name one of #1 to #{len(rows)}, or keep more: integrity validate --limit-evidence 100",
        )
    return found[0], rows[number - 1]
