"""`integrity health`: is the target fit for a run; and afterwards, what was left open."""

from pathlib import Path

import click

from integrity.cli.options import (
    database_option,
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
@database_option
@project_option
@test_database_option
@json_option
def command(
    *,
    system_name: str | None,
    is_after: bool,
    database: str | None,
    project_folder: Path,
    test_database: str | None,
    is_json: bool,
) -> int:
    """Check a database before a run, or with --after when it is over; each check with its figure and the next step.

    Constraints that rows need not keep are named, and amcheck is asked of the indexes, for five seconds, where it may be.
    Exits with 3 when a check failed: what a run said of this target would not be known to be so. A warning exits with 0.

    \b
    Example: integrity health --system ghostpass
    """
    from integrity.errors import DatabaseError
    from integrity.health.check import Health, unreachable, worst
    from integrity.jobs.health import check, choose
    from integrity.report.health_text import write_health
    from integrity.report.terminal import write_note

    project = open_project(project_folder)
    expected = choose(project, system_name)
    for note in expected.passed_over:
        write_note(note)
    try:
        target = open_target(project, database)
    except DatabaseError as error:  # the embedded server does not start
        checks = [unreachable(error)]
    else:
        checks = check(target, project, expected, is_after=is_after, test_database=test_database)
    write_health(checks, is_json=is_json)
    return ExitCode.UNKNOWN if worst(checks) is Health.FAILED else ExitCode.OK
