"""`integrity rollback`: remove what seed and run have made in the database."""

import json
from pathlib import Path
from typing import TYPE_CHECKING

import click

from integrity.cli.asking import confirm
from integrity.cli.options import database_option, json_option, open_project, open_target, project_option
from integrity.exit_codes import ExitCode
from integrity.report.terminal import write_json, write_note, write_result

if TYPE_CHECKING:
    from integrity.database.namespace import Contents
    from integrity.engines.target import Target


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
    from integrity.database.namespace import drop_schemas, inspect_database

    project = open_project(project_folder)
    target = open_target(project, database)
    contents = inspect_database(target, is_removal=True)
    if is_dry:
        write_result(_describe(target, contents, is_json=is_json))
        return ExitCode.OK
    if contents.is_ours:
        write_note(f"{target}: will be dropped:\n{_list(contents)}")
        if not is_sure and not confirm("Remove them?", without_terminal="integrity rollback --yes"):
            write_note("Nothing was removed.")
            return ExitCode.OK
        contents = drop_schemas(target)
    if is_json:
        dropped = {schema: list(tables) for schema, tables in contents.ours.items()}
        write_json({"database": str(target), "dropped": dropped, "kept": list(contents.foreign)})
        return ExitCode.OK
    if not contents.is_ours:
        write_result(f"{target}: nothing here was made by seed or run; nothing was removed.")
        return ExitCode.OK
    from integrity.report.values import counted

    count = sum(map(len, contents.ours.values()))
    write_result(f"Removed {counted(count, 'table')} in {' and '.join(contents.ours)}.")
    if contents.foreign:
        write_result(f"Left alone: {len(contents.foreign)} that are not ours, e.g. {contents.foreign[0]}.")
    if project.runs_folder.is_dir():
        write_result(f"The folders of runs stay, since reports are made from them: {project.runs_folder}")
    return ExitCode.OK


def _describe(target: "Target", contents: "Contents", *, is_json: bool) -> str:
    """Return what would be removed: each table with its rows."""
    from integrity.database.namespace import count_rows
    from integrity.report.values import counted

    rows = {schema: count_rows(target, schema, tables) for schema, tables in contents.ours.items()}
    if is_json:
        return json.dumps({"database": str(target), "would_drop": rows, "kept": list(contents.foreign)}, indent=2)
    if not rows:
        return f"{target}: nothing here was made by seed or run; nothing would be removed."
    lines = [f"{target}: would be removed:"]
    for schema, counts in rows.items():
        lines.append(f"  {schema}: {counted(len(counts), 'table')}, {counted(sum(counts.values()), 'row')}")
        lines += [f"    {table}: {counted(count, 'row')}" for table, count in counts.items()]
    if contents.foreign:
        lines.append(f"Left alone: {len(contents.foreign)} that are not ours, e.g. {contents.foreign[0]}.")
    return "\n".join([*lines, "Nothing was removed: this was a dry run."])


def _list(contents: "Contents") -> str:
    lines = []
    for schema, tables in contents.ours.items():
        wallets = contents.notes.get(f"wallets:{schema}")
        lines.append(f"  {schema}{f' ({wallets} wallets)' if wallets else ''}: {', '.join(tables)}")
    return "\n".join(lines)
