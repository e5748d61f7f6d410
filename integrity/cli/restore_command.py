"""`integrity restore`: put the test database back as it was when a snapshot was taken."""

from pathlib import Path

import click

from integrity.cli.asking import confirm
from integrity.cli.options import (
    database_option,
    json_option,
    open_project,
    open_target,
    project_option,
    test_database_option,
)
from integrity.cli.snapshot_command import is_embedded
from integrity.exit_codes import ExitCode
from integrity.report.terminal import write_json, write_note, write_result
from integrity.typed import typed


@click.command()
@click.argument("name")
@click.option("--yes", "is_sure", is_flag=True, help="Do not ask.")
@database_option
@project_option
@test_database_option
@json_option
def command(
    *, name: str, is_sure: bool, database: str | None, project_folder: Path, test_database: str | None, is_json: bool
) -> int:
    """Put the database back as it was when snapshot NAME was taken; what it holds now is lost.

    The new database takes the old one's place at once, or not at all. Refused while others are connected; on the embedded
    server their sessions are ended, but never a run's.

    \b
    Example: integrity restore seeded --yes
    """
    from integrity.database.copies import find_copy, find_lost, restore_copy
    from integrity.report.copies_text import show_size, tell_ended, tell_lost

    project = open_project(project_folder)
    target = open_target(project, database)
    copy = find_copy(target, name)
    taken_at = f"{copy.taken_at.astimezone():%Y-%m-%d %H:%M:%S}"
    if not is_sure:
        size = show_size(copy.size_bytes)
        write_note(f"{target}: will be as at {taken_at}, {size}; what it holds now is lost.")
        tell_lost("It got since then, and would lose", find_lost(target, copy))
        again = typed(f"restore {name} --yes")
        if not confirm("Restore it?", without_terminal=again):
            write_note("Nothing was changed.")
            return ExitCode.OK
    may_end = is_embedded(project, database, target)
    restored = restore_copy(target, name, test_database=test_database, may_end_sessions=may_end)
    if is_json:
        fields = {"restored": name, "taken_at": copy.taken_at.isoformat(timespec="seconds")}
        write_json({**fields, "ended_sessions": list(restored.ended), "lost": list(restored.lost)})
        return ExitCode.OK
    tell_ended(restored.ended)
    tell_lost("It had got since then, and has lost", restored.lost)
    drop = typed(f"snapshot --drop {name}")
    write_result(f"{target} is as it was at {taken_at}; the snapshot stays.\nTo drop it: {drop}")
    return ExitCode.OK
