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
from integrity.cli.race_command import invariants_of
from integrity.exit_codes import ExitCode
from integrity.report.terminal import write_json, write_note, write_result


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

    Exits with 1 when it does, 0 when it does not. What has changed since is said.

    \b
    Example: integrity replay .integrity/races/ghostpass-lost_update-sell-sell.json --times 10
    """
    from integrity.race.export.pytest_export import check_path
    from integrity.race.finding.finding import read_finding
    from integrity.race.study import open_study
    from integrity.registry import Registry
    from integrity.report.race_json import replays_json
    from integrity.report.race_text import render_finding, render_replays

    finding = read_finding(file)
    if pytest_file is not None:
        check_path(pytest_file)
    project = open_project(project_folder)
    system = Registry(project).resolve(finding.system, "", place=str(file))
    files = invariants_of(project, system)
    target = open_target(project, database)
    with open_study(target, system, finding, files, test_database=test_database) as study:
        replays = study.replay(times)
        differences = study.find_differences(replays[-1])
        if pytest_file is not None:
            study.export(pytest_file, replay_command=f"integrity replay {file}")
            write_note(f"wrote {pytest_file} and {pytest_file.with_suffix('.sql')}")
    if is_json:
        document = replays_json(replays, differences, finding)
        write_json(document)
    else:
        if is_showing:
            write_result(render_finding(finding) + "\n")
        write_result(render_replays(replays, differences, finding))
    return ExitCode.VIOLATED if any(each.is_back for each in replays) else ExitCode.OK
