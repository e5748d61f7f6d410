"""`integrity validate`: is the data right?"""

import os
from pathlib import Path

import click

from integrity.cli.number_types import Duration, Integer
from integrity.cli.options import all_option, database_option, open_project, open_target, project_option
from integrity.report.formats import FORMATS, assign, make_folders, publisher
from integrity.report.terminal import write_result


@click.command(name="validate")
@click.option(
    "--system",
    "system_name",
    metavar="NAME",
    help="Judge this system; default: the project's own invariants, else the systems in the database.",
)
@all_option
@click.option("--select", "patterns", metavar="PATTERN", multiple=True, help="Names or patterns, e.g. '*/sale-*'.")
@click.option("--run", "run_id", metavar="ID", help="Judge this run's calls only, and keep the verdicts in its folder.")
@click.option("--format", "formats", type=click.Choice(FORMATS), multiple=True,
              help="Of the report, default text; several, each with an --output.")  # fmt: skip
@click.option("--json", "is_json", is_flag=True, help="The same as --format json.")
@click.option(
    "--output",
    "outputs",
    metavar="FILE|FOLDER",
    multiple=True,
    help="Write a report here, in place of what is there; its ending says the format where no --format does.",
)
@click.option("--verbose", "is_verbose", is_flag=True, help="List also what holds and what had nothing to judge.")
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
@click.option("--timeout", "timeout_s", type=Duration(least_s=0.001, most_s=86_400), default="300s", show_default=True,
              help="Seconds for each query.")  # fmt: skip
@click.option("--connections", metavar="N", type=Integer(1, 64), default=2, show_default=True,
              help="Connections that read the snapshot side by side.")  # fmt: skip
@database_option
@project_option
def command(
    *,
    system_name: str | None,
    is_all: bool,
    patterns: tuple[str, ...],
    run_id: str | None,
    formats: tuple[str, ...],
    is_json: bool,
    outputs: tuple[str, ...],
    is_verbose: bool,
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
             integrity validate --format text --format junit --output report.xml
    """
    from integrity.audit import AuditSettings
    from integrity.events import listen
    from integrity.jobs.validate import choose, plan, validate
    from integrity.report.audit_text import render_plan
    from integrity.report.progress import open_bar, write_notes

    places = assign(dict.fromkeys((*formats, "json")) if is_json else formats, outputs)
    project = open_project(project_folder)
    named = project.database_url(database, os.environ) is not None
    chosen = choose(
        project, patterns=patterns, pairs=pairs, system_name=system_name, run_id=run_id, has_database=named, is_all=is_all
    )
    target = open_target(project, database)
    settings = AuditSettings(
        connections=connections, timeout_s=timeout_s, row_limit=limit_evidence, is_exact=is_exact, role=role
    )
    if is_plan:
        write_result(render_plan(listen(plan(target, project, chosen, settings), write_notes)))
        return 0
    make_folders(places)
    job = validate(target, project, chosen, settings, is_read_only=is_read_only, fails_on_empty=fails_on_empty)
    with open_bar() as bar:
        return listen(job, bar, write_notes, publisher(places, is_verbose=is_verbose)).exit_code
