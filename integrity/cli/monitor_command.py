"""`integrity monitor`: watch a database and processes while anything at all loads them."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from integrity.cli.number_types import Duration, Integer
from integrity.cli.options import (
    application_options,
    database_option,
    json_option,
    open_project,
    open_target,
    project_option,
)
from integrity.exit_codes import ExitCode
from integrity.report.terminal import write_result

if TYPE_CHECKING:
    from integrity.monitor.watched import WatchedApplication

EVERY_S_LEAST = 0.1
"""A sample takes some milliseconds of the server's time."""


@click.command()
@click.option(
    "--every",
    "every_s",
    type=Duration(least_s=EVERY_S_LEAST),
    default="1s",
    show_default=True,
    help="How often, e.g. 1s or 0.5s.",
)
@click.option("--duration", "duration_s", type=Duration(), help="How long, e.g. 90s or 20m; default: until Ctrl-C.")
@application_options
@click.option("--pool", "pool_size", type=Integer(1, 1_000_000), help="Size of the application's connection pool.")
@click.option("--output", metavar="FILE", type=click.Path(dir_okay=False, path_type=Path), help="Keep the samples there.")
@click.option("--print-sql", "is_printed", is_flag=True, help="Print the queries for psql, and watch nothing.")
@database_option
@project_option
@json_option
def command(
    *,
    every_s: float,
    duration_s: float | None,
    watched: "WatchedApplication",
    pool_size: int | None,
    output: Path | None,
    is_printed: bool,
    database: str | None,
    project_folder: Path,
    is_json: bool,
) -> int:
    """Watch connections, locks, scans, transactions and CPU of a database; say at the end what is wrong.

    Exits with 4 when a finding is critical, with 3 when nothing was measured. With --json every line is an object: facts,
    samples, and at the end the summary.

    \b
    Example: integrity monitor --duration 30s
    """
    from integrity.events import listen
    from integrity.exit_codes import exit_code_of
    from integrity.jobs.monitor import choose, watch
    from integrity.monitor.limits import read_limits
    from integrity.monitor.questions import print_sql
    from integrity.report.monitor_text import monitor_listener, write_summary

    if is_printed:
        write_result(print_sql(), is_verbatim=True)
        return ExitCode.OK
    asked = choose(watched, output)
    project = open_project(project_folder)
    limits = read_limits(project)
    target = open_target(project, database)
    job = watch(target, asked, every_s=every_s, pool_size=pool_size, duration_s=duration_s, limits=limits)
    seen = listen(job, monitor_listener(is_json=is_json))
    write_summary(seen.summary, is_json=is_json)
    return exit_code_of(seen.shortfalls)
