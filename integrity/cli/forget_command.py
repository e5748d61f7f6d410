"""`integrity forget`: give a run up whose history is lost."""

from pathlib import Path

import click

from integrity.cli.options import database_option, open_project, open_target, project_option
from integrity.report.terminal import write_result


@click.command()
@click.argument("run")
@database_option
@project_option
def command(*, run: str, database: str | None, project_folder: Path) -> int:
    """Give up a run that was killed and whose folder is gone or damaged, so that the other runs can be judged again.

    Until then invariants over calls that find nothing are unknown, as nobody knows what its clients asked for. Afterwards
    they are judged by the other runs, and rows of its time are accused by none of them. Should its folder be found after
    all, the next `integrity validate` there loads it.

    \b
    Example: integrity forget 20260117-183000-ghostpass-hammer
    """
    from integrity.runs.unfinished import forget_run

    project = open_project(project_folder)
    forget_run(open_target(project, database), project, run)
    write_result(f"{run}: given up; rows of its time are not judged by what clients asked for.")
    return 0
