"""`integrity snapshot`: keep the test database as it is now, under a name."""

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from integrity.cli.options import (
    database_option,
    embedded_server,
    go_on,
    json_option,
    open_project,
    open_target,
    project_option,
    test_database_option,
)
from integrity.errors import UsageError
from integrity.exit_codes import ExitCode
from integrity.report.terminal import write_json, write_note, write_result

if TYPE_CHECKING:
    from integrity.engines.kept import Kept
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
    from datetime import datetime

    from integrity.database.copies import drop_copy, find_forgotten, list_copies, name_by_time, take_copy

    if sum((name is not None, is_list, dropped is not None)) > 1:
        raise UsageError("NAME, --list and --drop are three things to do", hint="Say one of them.")
    project = open_project(project_folder)
    target = open_target(project, database)
    if is_list:
        copies = list_copies(target)
        if is_json:
            write_json([_fields(copy) for copy in copies])
        else:
            write_result(_table(target, copies))
        for left in find_forgotten(target):
            write_note(f"left by a command that was killed: {left}; the next snapshot, restore or race drops it")
        return ExitCode.OK
    if dropped is not None:
        copy = drop_copy(target, dropped)
        if is_json:
            write_json({"dropped": _fields(copy)})
        else:
            write_result(f"Dropped snapshot {copy.name}.")
        return ExitCode.OK
    taken = take_copy(
        target,
        name if name is not None else name_by_time(datetime.now().astimezone()),
        test_database=test_database,
        may_end_sessions=is_embedded(project, database, target),
    )
    if is_json:
        write_json({**_fields(taken.copy), "ended_sessions": list(taken.ended)})
        return ExitCode.OK
    tell_ended(taken.ended)
    write_result(f"{target}: kept as {taken.copy.name}, {show_size(taken.copy.size_bytes)}, in {taken.copy.place}")
    write_result(f"To put it back: {go_on(f'integrity restore {taken.copy.name}', target, database)}")
    return ExitCode.OK


def is_embedded(project: "Project", database: str | None, target: "Target") -> bool:
    """Return whether the target is on the project's own server, whose sessions are ours to end."""
    return project.database_url(database, os.environ) is None or target == embedded_server(project).target


def tell_ended(ended: tuple[str, ...]) -> None:
    for session in ended:
        write_note(f"ended: {session}")


def show_size(size_bytes: int) -> str:
    return f"{size_bytes / 1e6:,.1f} MB"


def _fields(copy: "Kept") -> dict[str, Any]:
    return {
        "name": copy.name,
        "place": copy.place,
        "taken_at": copy.taken_at.isoformat(timespec="seconds"),
        "size_bytes": copy.size_bytes,
    }


def _table(target: "Target", copies: list["Kept"]) -> str:
    if not copies:
        return f"{target} has no snapshots."
    from tabulate import tabulate

    rows = [
        [copy.name, f"{copy.taken_at.astimezone():%Y-%m-%d %H:%M:%S}", show_size(copy.size_bytes), copy.place]
        for copy in copies
    ]
    headers = ["snapshot", "taken at", "size", "kept in"]
    return tabulate(rows, headers, disable_numparse=True, colalign=("left", "left", "right", "left"))
