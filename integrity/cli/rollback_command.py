"""`integrity rollback`: remove what seed and run have made in the database."""

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from integrity.cli.options import database_option, json_option, open_project, open_target, project_option
from integrity.errors import UsageError
from integrity.verdict import ExitCode

if TYPE_CHECKING:
    from integrity.database.namespace import Contents


@click.command()
@click.option("--yes", "is_sure", is_flag=True, help="Do not ask.")
@database_option
@project_option
@json_option
def command(is_sure: bool, database: str | None, project_folder: Path, is_json: bool) -> int:
    """Remove from the database what seed and run have made there, and nothing else.

    \b
    Example: integrity rollback --yes
    """
    from integrity.database.namespace import drop_schemas, inspect_database

    project = open_project(project_folder)
    target = open_target(project, database)
    contents = inspect_database(target)
    if contents.is_ours:
        click.echo(f"{target}: will be dropped:\n{_list(contents)}", err=True)
        if not is_sure and not _confirm():
            click.echo("Nothing was removed.", err=True)
            return ExitCode.OK
        contents = drop_schemas(target)
    if is_json:
        dropped = {schema: list(tables) for schema, tables in contents.ours.items()}
        click.echo(json.dumps({"database": str(target), "dropped": dropped, "kept": list(contents.foreign)}, indent=2))
        return ExitCode.OK
    if not contents.is_ours:
        click.echo(f"{target}: nothing here was made by seed or run; nothing was removed.")
        return ExitCode.OK
    count = sum(map(len, contents.ours.values()))
    click.echo(f"Removed {count} tables in {' and '.join(contents.ours)}.")
    if contents.foreign:
        click.echo(f"Left alone: {len(contents.foreign)} that are not ours, e.g. {contents.foreign[0]}.")
    if project.runs_folder.is_dir():
        click.echo(f"The folders of runs stay, since reports are made from them: {project.runs_folder}")
    return ExitCode.OK


def _list(contents: "Contents") -> str:
    lines = []
    for schema, tables in contents.ours.items():
        wallets = contents.notes.get(f"wallets:{schema}")
        lines.append(f"  {schema}{f' ({wallets} wallets)' if wallets else ''}: {', '.join(tables)}")
    return "\n".join(lines)


def _confirm() -> bool:
    click.echo("Remove them? [y/N] ", nl=False, err=True)
    answer = sys.stdin.readline()
    if not answer:
        click.echo(err=True)
        raise UsageError("nobody answered whether to remove them", hint="Without a terminal: integrity rollback --yes")
    return answer.strip().lower() in ("y", "yes")
