"""`integrity snapshot`: keep the test database as it is now, under a name."""

import os
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

import click

from integrity.cli.options import (
    database_option,
    embedded_server,
    json_option,
    open_project,
    open_target,
    project_option,
    test_database_option,
)
from integrity.errors import UsageError
from integrity.exit_codes import ExitCode
from integrity.report.terminal import write_json, write_note, write_result
from integrity.typed import typed

if TYPE_CHECKING:
    from integrity.engines.target import Target
    from integrity.project import Project


@click.command()
@click.argument("name", required=False)
@click.option("--list", "is_list", is_flag=True, help="List the snapshots of this database.")
@click.option("--drop", "dropped", metavar="NAME", help="Drop a snapshot.")
@database_option
@project_option
@test_database_option
@json_option
def command(
    *,
    name: str | None,
    is_list: bool,
    dropped: str | None,
    database: str | None,
    project_folder: Path,
    test_database: str | None,
    is_json: bool,
) -> int:
    """Keep the database as it is now, to put it back with integrity restore; NAME is the time of day by default.

    A snapshot is a database of the same server, or for SQLite a folder beside the file.

    \b
    Example: integrity snapshot seeded
    """
    if sum((name is not None, is_list, dropped is not None)) > 1:
        raise UsageError("NAME, --list and --drop are three things to do", hint="Say one of them.")
    project = open_project(project_folder)
    target = open_target(project, database)
    if is_list:
        return _list(target, is_json=is_json)
    if dropped is not None:
        return _drop(target, dropped, is_json=is_json)
    from integrity.database.copies import name_by_time, take_copy
    from integrity.report.copies_text import copy_fields, show_size, tell_ended

    name = name if name is not None else name_by_time(datetime.now().astimezone())
    may_end = is_embedded(project, database, target)
    taken = take_copy(target, name, test_database=test_database, may_end_sessions=may_end)
    if is_json:
        write_json({**copy_fields(taken.copy), "ended_sessions": list(taken.ended)})
        return ExitCode.OK
    tell_ended(taken.ended)
    kept = f"kept as {taken.copy.name}, {show_size(taken.copy.size_bytes)}, in {taken.copy.place}"
    write_result(f"{target}: {kept}")
    write_result(f"To put it back: {typed(f'restore {taken.copy.name}')}")
    return ExitCode.OK


def _list(target: "Target", *, is_json: bool) -> int:
    from integrity.database.copies import find_forgotten, list_copies
    from integrity.report.copies_text import write_copies

    write_copies(target, list_copies(target), is_json=is_json)
    for left in find_forgotten(target):
        write_note(f"left by a command that was killed: {left}; the next snapshot, restore or race drops it")
    return ExitCode.OK


def _drop(target: "Target", name: str, *, is_json: bool) -> int:
    from integrity.database.copies import drop_copy
    from integrity.report.copies_text import copy_fields

    copy = drop_copy(target, name)
    if is_json:
        write_json({"dropped": copy_fields(copy)})
    else:
        write_result(f"Dropped snapshot {copy.name}.")
    return ExitCode.OK


def is_embedded(project: "Project", database: str | None, target: "Target") -> bool:
    """Return whether the target is on the project's own server, whose sessions are ours to end."""
    return project.database_url(database, os.environ) is None or target == embedded_server(project).target
