"""`integrity init`: a project that fits the database."""

import os
from pathlib import Path

import click

from integrity.cli.options import database_option, embedded_server, json_option
from integrity.project import Project, Settings, find_project
from integrity.report.terminal import write_json, write_result
from integrity.typed import forget_given


@click.command(name="init")
@click.argument("folder", metavar="[DIR]", default=".", type=click.Path(file_okay=False, path_type=Path))
@database_option
@json_option
def command(*, folder: Path, database: str | None, is_json: bool) -> int:
    """Write a project that fits the database: settings, a first invariant, an operation to race, a job for CI.

    The invariant is asked at once. The database is only read; what is there in the folder already stays as it is.

    \b
    Example: integrity init --database postgresql://app@localhost/shop
    """
    from integrity.engines.target import Target
    from integrity.jobs.init import make_project
    from integrity.project import SETTINGS_FILE
    from integrity.report.draft_text import render_project, written_fields

    is_project = (folder / SETTINGS_FILE).is_file()
    project = find_project(folder) if is_project else Project(folder.absolute(), Settings())
    named = Target.find(project, database, os.environ)
    server = embedded_server(project)
    target = named or (server.start() if server.status().version else None)
    place = str(target) if named else "the embedded PostgreSQL of this folder"
    made = make_project(folder, project, target, place=place, is_named=database is not None)
    if not is_project:  # its settings name the database from now on
        forget_given()
    if is_json:
        write_json({"folder": str(folder.absolute()), "table_count": made.table_count, "files": written_fields(made.files)})
    else:
        write_result(render_project(made, start=Path()))
    return 0
