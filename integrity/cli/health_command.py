"""`integrity health`: is the target fit for a run; and afterwards, what was left open."""

import os
from pathlib import Path

import click

from integrity.cli.options import (
    database_option,
    environment_option,
    json_option,
    open_project,
    open_target,
    project_option,
    test_database_option,
)
from integrity.exit_codes import ExitCode


@click.command()
@click.option("--system", "system_name", metavar="NAME", help="Expect this one; default: those that were seeded.")
@click.option("--after", "is_after", is_flag=True, help="Look at what is left open instead: transactions, locks, runs.")
@click.option("--target", "over", metavar="URL",
              help="Look at a server, too: health, login, signed webhook, sockets, event streams.")  # fmt: skip
@click.option("--redis", metavar="URL", help="Look at a Redis, too: does it answer, memory, policy.")
@click.option("--with-smoke", "is_followed", is_flag=True, help="Where no check failed, go on to the profile smoke.")
@environment_option
@database_option
@project_option
@test_database_option
@json_option
def command(
    *,
    system_name: str | None,
    is_after: bool,
    over: str | None,
    redis: str | None,
    is_followed: bool,
    database: str | None,
    project_folder: Path,
    test_database: str | None,
    is_json: bool,
) -> int:
    """Check a database, and a server, before a run, or with --after when it is over: each with its figure and next step.

    Constraints that rows need not keep are named, and amcheck is asked of the indexes, for five seconds, where it may be.
    Exits with 3 when a check failed: what a run said of this target would not be known to be so. A warning exits with 0.

    \b
    Example: integrity health --system ghostpass
    """
    from integrity.cli.smoke import run_smoke
    from integrity.errors import DatabaseError
    from integrity.health.check import Health, unreachable, worst
    from integrity.jobs.health import check, check_cache, check_target, choose, find_over
    from integrity.report.health_text import write_health
    from integrity.report.terminal import write_note

    project = open_project(project_folder)
    expected = choose(project, system_name)
    for note in expected.passed_over:
        write_note(note)
    target = None
    try:
        target = open_target(project, database)
    except DatabaseError as error:  # the embedded server does not start
        checks = [unreachable(error)]
    else:
        checks = check(target, project, expected, is_after=is_after, test_database=test_database)
    if over := find_over(over, os.environ):
        of_server, system_name = check_target(over, project, system_name, target, os.environ)
        checks += of_server
    write_health(checks := [*checks, *check_cache(redis)], is_json=is_json)
    if worst(checks) is Health.FAILED or not is_followed:
        return ExitCode.UNKNOWN if worst(checks) is Health.FAILED else ExitCode.OK
    assert target is not None
    return run_smoke(target, project, system_name, over, test_database, is_json=is_json)
