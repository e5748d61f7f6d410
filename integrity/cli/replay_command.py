"""`integrity replay`: does a race that was found come back?"""

from pathlib import Path

import click

from integrity.cli.number_types import Integer
from integrity.cli.options import (
    database_option,
    json_option,
    open_project,
    open_target,
    project_option,
    test_database_option,
)


@click.command(name="replay")
@click.argument("file", type=click.Path(dir_okay=False, path_type=Path))
@click.option("--times", metavar="N", type=Integer(1, 10_000), default=1, show_default=True, help="Play it so often.")
@click.option("--show", "is_showing", is_flag=True, help="Print the finding as well.")
@click.option("--pytest", "pytest_file", metavar="FILE", type=click.Path(dir_okay=False, path_type=Path),
              help="Write it as a test, test_*.py, with its SQL beside it.")  # fmt: skip
@database_option
@project_option
@test_database_option
@json_option
def command(
    *,
    file: Path,
    times: int,
    is_showing: bool,
    pytest_file: Path | None,
    database: str | None,
    project_folder: Path,
    test_database: str | None,
    is_json: bool,
) -> int:
    """Play a finding of `race` again, on fresh rows, and tell whether the failure comes back.

    FILE is the finding's file, its name among those that are kept in .integrity/races, or a token, r1:..., of a race of
    requests: its application is started again, or asked where it runs.

    Exits with 1 when it does, or when the schedule goes wrong in another way, 0 when all is right. What has changed since
    is said.

    \b
    Example: integrity replay ghostpass-lost_update-sell-sell --times 10
    """
    from integrity.events import listen
    from integrity.jobs.findings import Wanted
    from integrity.jobs.replay import choose, replay, url_of
    from integrity.jobs.wanted import telling
    from integrity.report.progress import write_notes
    from integrity.report.race_output import write_replayed

    project = open_project(project_folder)
    chosen = choose(project, file)
    wanted = Wanted(pytest_file=pytest_file)
    target = open_target(project, url_of(chosen) if database is None else database)
    replaying = replay(chosen, target, wanted, times=times, test_database=test_database)
    replayed = listen(telling(replaying, wanted), write_notes)
    write_replayed(replayed, is_showing=is_showing, is_json=is_json)
    return replayed.exit_code
