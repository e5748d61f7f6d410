"""`integrity validate`: is the data right?"""

import os
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import click

from integrity.cli.number_types import Integer, Number
from integrity.cli.options import database_option, open_project, open_target, project_option
from integrity.report.terminal import open_console, write_json_text, write_note, write_result

if TYPE_CHECKING:
    from integrity.database.target import Target
    from integrity.events import Event
    from integrity.project import Project
    from integrity.report.audit_report import AuditReport
    from integrity.runs.coverage import Known
    from integrity.sqlfile import SqlFile

FORMATS = ("table", "json", "junit", "markdown")


@click.command(name="validate")
@click.option("--system", "system_name", metavar="NAME", help="Judge this system; default: those in the database.")
@click.option("--select", "patterns", metavar="PATTERN", multiple=True, help="Names or patterns, e.g. 'ghostpass/sale-*'.")
@click.option("--run", "run_id", metavar="ID", help="Judge this run's calls only, and keep the verdicts in its folder.")
@click.option(
    "--format", "format_name", type=click.Choice(FORMATS), default="table", show_default=True, help="Of the report."
)
@click.option("--json", "is_json", is_flag=True, help="The same as --format json.")
@click.option("--output", metavar="FILE", type=click.Path(dir_okay=False, path_type=Path), help="Write the report here.")
@click.option("--limit-evidence", metavar="N", type=Integer(0, 10_000), default=10, show_default=True,
              help="Rows to show of each violation; all are counted.")  # fmt: skip
@click.option("--plan", "is_plan", is_flag=True, help="Show how each would be judged, and judge nothing.")
@click.option(
    "--exact",
    "is_exact",
    is_flag=True,
    help="Ask every query as it is written: no proofs, no shared scans, no fingerprints.",
)
@click.option("--set", "pairs", metavar="NAME=VALUE", multiple=True,
              help="A value for a parameter of invariants, e.g. stuck_before='now - 1 hour'.")  # fmt: skip
@click.option("--fail-on-empty", "fails_on_empty", is_flag=True, help="Exit with 3 when one had nothing to judge.")
@click.option("--read-only", "is_read_only", is_flag=True, help="Write nothing at all: load no history of a killed run.")
@click.option("--as", "role", metavar="ROLE", help="Audit with this role's rights, whoever connects.")
@click.option("--timeout", "timeout_s", metavar="S", type=Number(0.001, 86_400), default=300, show_default=True,
              help="Seconds for each query.")  # fmt: skip
@click.option("--connections", metavar="N", type=Integer(1, 64), default=2, show_default=True,
              help="Connections that read the snapshot side by side.")  # fmt: skip
@database_option
@project_option
def command(
    *,
    system_name: str | None,
    patterns: tuple[str, ...],
    run_id: str | None,
    format_name: str,
    is_json: bool,
    output: Path | None,
    limit_evidence: int,
    is_plan: bool,
    is_exact: bool,
    pairs: tuple[str, ...],
    fails_on_empty: bool,
    is_read_only: bool,
    role: str | None,
    timeout_s: float,
    connections: int,
    database: str | None,
    project_folder: Path,
) -> int:
    """Judge every invariant on one snapshot of the database.

    The auditor writes nothing, but for one thing: the history of a run of ours that was killed is loaded into our own
    tables, where they say that we made the database; never with --read-only, and never on a standby.

    Exits with 0 when all hold, 1 when one of severity error is violated, 3 when one could not be judged. One whose tables
    are all empty had nothing to judge: told apart, and no failure, unless none had anything.

    \b
    Example: integrity validate --select 'ghostpass/*' --limit-evidence 3
    """
    from dataclasses import replace

    from integrity.audit import AuditSettings, audit, plan_audit
    from integrity.invariants.load import load_invariants, select_invariants
    from integrity.invariants.variables import apply_variables, read_pairs, set_variables
    from integrity.report.audit_report import collect
    from integrity.report.run_verdicts import find_run, write_verdicts
    from integrity.report.text import render_plan

    project = open_project(project_folder)
    known = set_variables(load_invariants(project).values(), project)  # before a server is started for nothing
    files = apply_variables(select_invariants(known, patterns), read_pairs(pairs), place="--set")
    target = open_target(project, database)
    place = _describe_unnamed(project, target, database)
    files = _applicable(files, target, system_name, place)
    if place:
        write_note(f"{place}: `integrity seed` fills it, --database URL names another")
    is_told = True
    if not patterns and not run_id:
        files, is_told = _without_runs_that_were_not(files, target)
    settings = AuditSettings(
        connections=connections,
        timeout_s=timeout_s,
        row_limit=limit_evidence,
        is_exact=is_exact,
        trusted_functions=project.settings.audit.functions,
        role=role,
        given={"run_id": run_id} if run_id else {},
        place=place,
    )
    if is_plan:
        write_result(render_plan(plan_audit(target, files, settings)))
        return 0
    folder = find_run(target, project, run_id)
    settings = replace(settings, known=_load_unfinished(target, project, is_read_only=is_read_only, is_told=is_told))
    fails_on_empty = fails_on_empty or project.settings.audit.empty == "unknown"
    report = collect(_show_progress(audit(target, files, settings), len(files)), fails_on_empty=fails_on_empty)
    _publish(report, "json" if is_json else format_name, output)
    if folder is not None:
        write_verdicts(folder, report)
    return report.exit_code


def _describe_unnamed(project: "Project", target: "Target", database: str | None) -> str:
    """Return that the database is the embedded one, where nobody named one and it is empty."""
    from integrity.database.contents import find_schemas

    if project.database_url(database, os.environ) is not None or find_schemas(target):
        return ""
    return f"no database is named, and the embedded one of this folder ({project.state_folder}) is empty"


def _applicable(files: "list[SqlFile]", target: "Target", system_name: str | None, place: str) -> "list[SqlFile]":
    """Return the invariants of the system, or of those in the database and the project's own."""
    from integrity.database.contents import find_schemas
    from integrity.errors import UsageError
    from integrity.invariants.load import system_of
    from integrity.reference.catalogue import SYSTEMS, find_system

    if system_name is not None:
        present = {find_system(system_name).name}
        chosen = [file for file in files if system_of(file.name, SYSTEMS) in present]
    else:
        schemas = find_schemas(target)
        chosen = [file for file in files if file.is_own or system_of(file.name, SYSTEMS) in {"", *schemas}]
    if not chosen:
        asked = f"system {system_name}" if system_name else "any of the systems " + ", ".join(SYSTEMS)
        raise UsageError(
            f"{target}: nothing to judge: no invariant selected is about {asked}, and none is the project's own"
            if system_name
            else f"nothing to judge: {place}"
            if place
            else f"{target} holds none of the systems ({', '.join(SYSTEMS)}) that the invariants are about",
            hint="`integrity seed` makes one; or name your database with --database, and put .sql files into invariants/.",
        )
    return chosen


def _without_runs_that_were_not(files: "list[SqlFile]", target: "Target") -> "tuple[list[SqlFile], bool]":
    """Leave out what is asked of runs alone, where no run of the system is recorded; say so, or that it is not told."""
    from integrity.errors import DatabaseError
    from integrity.invariants.load import system_of
    from integrity.invariants.syntax import tables_of
    from integrity.reference.catalogue import SYSTEMS
    from integrity.runs.unfinished import find_systems_that_ran

    about_runs = {
        file.name: system_of(file.name, SYSTEMS)
        for file in files
        if {table.schema for table in tables_of(file.tree)} == {"integrity"} and not file.is_own
    }
    about_runs = {name: system for name, system in about_runs.items() if system}
    if not about_runs:
        return files, True
    try:
        ran = find_systems_that_ran(target)
    except DatabaseError as error:  # no rights on our schema, or a lock: what asks it says so for itself, too
        write_note(f"which runs there were, and which were killed, cannot be found out: {error.message}")
        return files, False
    left_out = [name for name, system in about_runs.items() if system not in ran]
    if left_out:
        systems = " or ".join(dict.fromkeys(about_runs[name] for name in left_out))
        write_note(f"no run of {systems} is recorded: {len(left_out)} invariants about runs alone are left out")
    return [file for file in files if file.name not in left_out], True


def _load_unfinished(target: "Target", project: "Project", *, is_read_only: bool, is_told: bool) -> "Known":
    """Bring in the history of runs that were killed, where that may be; return what is known of the others.

    Args:
        is_told: the database has told of its runs; else it is not asked, and waited for, once more.
    """
    from integrity.errors import DatabaseError
    from integrity.runs.coverage import Known
    from integrity.runs.unfinished import load_unfinished

    folder = str(project.runs_folder)
    if not is_told:
        return Known(folder=folder)
    try:
        unfinished = load_unfinished(target, project, is_read_only=is_read_only)
    except DatabaseError as error:
        write_note(f"which runs were killed cannot be found out: {error.message}")
        return Known(folder=folder)
    for run in unfinished.loaded:
        write_note(f"run {run.run_id} was killed: its {run.call_count} calls are loaded and judged too")
    return Known(unfinished.alive, unfinished.reasons, folder)


def _show_progress(events: "Iterable[Event]", count: int) -> "Iterator[Event]":
    """Pass the events on; on a terminal, count the verdicts on stderr while they come in."""
    if not sys.stderr.isatty():
        yield from events
        return
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

    from integrity.events import InvariantJudged

    columns = (TextColumn("judging"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=open_console(), transient=True) as progress:
        task = progress.add_task("judging", total=count)
        for event in events:
            if isinstance(event, InvariantJudged):
                progress.advance(task)
            yield event


def _publish(report: "AuditReport", format_name: str, output: Path | None) -> None:
    """Print the report, or write it to the file and print its sentence."""
    from integrity.errors import UsageError
    from integrity.report.json import render_json
    from integrity.report.junit import render_junit
    from integrity.report.markdown import render_markdown
    from integrity.report.text import render_text

    render = {"table": render_text, "json": render_json, "junit": render_junit, "markdown": render_markdown}[format_name]
    text = render(report).rstrip("\n")
    if output is None:
        (write_json_text if format_name == "json" else write_result)(text)
        return
    try:
        output.write_text(text + "\n", encoding="utf-8")
    except OSError as error:
        raise UsageError(
            f"{output}: cannot be written: {error.strerror}", hint="Name another file with --output."
        ) from None
    write_result(report.sentence)
