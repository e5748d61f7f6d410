"""`integrity rollback`: remove what seed and run have made in the database."""

from pathlib import Path

import click

from integrity.cli.asking import confirm
from integrity.cli.options import database_option, json_option, open_project, open_target, project_option
from integrity.exit_codes import ExitCode
from integrity.report.terminal import write_note
from integrity.typed import typed


@click.command()
@click.option("--yes", "is_sure", is_flag=True, help="Do not ask.")
@click.option("--dry-run", "is_dry", is_flag=True, help="Say what would be removed, with its rows, and remove nothing.")
@database_option
@project_option
@json_option
def command(*, is_sure: bool, is_dry: bool, database: str | None, project_folder: Path, is_json: bool) -> int:
    """Remove from the database what seed and run have made there, and nothing else.

    \b
    Example: integrity rollback --yes
    """
    from integrity.database.namespace import drop_schemas, find_emptied, inspect_database
    from integrity.report.contents_text import list_ours, write_removal, write_removed

    project = open_project(project_folder)
    target = open_target(project, database)
    contents = inspect_database(target, is_removal=True)
    emptied = find_emptied(target, contents)
    if is_dry:
        write_removal(target, contents, emptied, is_json=is_json)
        return ExitCode.OK
    if contents.is_ours:
        write_note(f"{target}: will be removed:\n{list_ours(contents, emptied)}")
        again = typed("rollback --yes")
        if not is_sure and not confirm("Remove them?", without_terminal=again):
            write_note("Nothing was removed.")
            return ExitCode.OK
        contents = drop_schemas(target)
    write_removed(target, contents, emptied, project.runs_folder, is_json=is_json)
    return ExitCode.OK
