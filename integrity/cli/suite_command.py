"""`integrity suite`: profiles one after the other, an audit after each, one report of all."""

import os
from pathlib import Path
from typing import TYPE_CHECKING

import click

from integrity.cli.known_names import SUITE
from integrity.cli.number_types import SEED, NumberType
from integrity.cli.options import (
    application_options,
    database_option,
    environment_option,
    json_option,
    open_project,
    open_target,
    process_count_option,
    project_option,
    test_database_option,
)
from integrity.exit_codes import ExitCode
from integrity.numbers import FACTOR_LEAST, FACTOR_MOST
from integrity.report.terminal import write_note, write_result

if TYPE_CHECKING:
    from integrity.monitor.watched import WatchedApplication


@click.command(name="suite")
@click.argument("name", type=SUITE)
@click.option(
    "--system",
    "system_names",
    metavar="NAME",
    multiple=True,
    help="This, again for more; else those seeded, else the project's own.",
)
@click.option(
    "--shorten",
    type=NumberType(FACTOR_LEAST, FACTOR_MOST),
    default=1.0,
    show_default=True,
    metavar="F",
    help="Divide every length of the suite by F, at the same rates.",
)
@click.option("--bug", "bug_name", metavar="NAME", help="Plant this bug in every run, of the one system.")
@click.option("--seed", type=SEED, help="Of every random choice; default: a new one.")
@click.option("--target", "over", metavar="URL", help="Ask a server over HTTP instead of the database, as run does.")
@click.option("--venue", metavar="ID", help="Refuse a server that is of another venue.")
@process_count_option
@click.option("--plan", "is_plan", is_flag=True, help="Say what would be run and how long it takes; run nothing.")
@environment_option
@application_options
@database_option
@project_option
@test_database_option
@json_option
def command(
    *,
    name: str,
    system_names: tuple[str, ...],
    shorten: float,
    bug_name: str | None,
    seed: int | None,
    over: str | None,
    venue: str | None,
    process_count: int | None,
    watched: "WatchedApplication",
    is_plan: bool,
    database: str | None,
    project_folder: Path,
    test_database: str | None,
    is_json: bool,
) -> int:
    """Run an ordered list of profiles, judge the data after each, and report on all of them together.

    \b
    Example: integrity suite quick --system instainstru --shorten 4
    """
    from integrity.events import listen
    from integrity.jobs.suite import SuiteTarget, choose, plan, play
    from integrity.report.progress import write_notes
    from integrity.report.run_text import show_progress
    from integrity.report.suite_text import render_plan, write_suite

    project = open_project(project_folder)
    chosen = choose(project, name, system_names=system_names)
    target = None if is_plan and chosen.systems else open_target(project, database)
    count = process_count or 1
    planned = plan(project, chosen, target, shorten=shorten, bug_name=bug_name, processes=count, environment=os.environ)
    if is_plan or target is None:
        write_result(render_plan(planned))
        return ExitCode.OK
    write_note(render_plan(planned))
    goes_to = SuiteTarget(over, venue, os.environ)
    job = play(planned, target, project, seed=seed, test_database=test_database, goes_to=goes_to, watched=watched)
    with show_progress() as progress:
        ended = listen(job, progress, write_notes)
    write_suite(ended.record, ended.file, is_json=is_json)
    return ended.exit_code
