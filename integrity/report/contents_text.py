"""What of a database is ours, as text: what would be removed, will be, and was."""

import json
from pathlib import Path

from integrity.database.namespace import Contents, count_rows
from integrity.engines.target import Target
from integrity.numbers import counted
from integrity.report.terminal import write_json, write_result


def write_removed(target: Target, contents: Contents, runs_folder: Path, *, is_json: bool) -> None:
    """Write to stdout what was removed; nothing where nothing was ours.

    Args:
        contents: as they were before.
    """
    if is_json:
        dropped = {schema: list(tables) for schema, tables in contents.ours.items()}
        write_json({"database": str(target), "dropped": dropped, "kept": list(contents.foreign)})
        return
    if not contents.is_ours:
        write_result(f"{target}: nothing here was made by seed or run; nothing was removed.")
        return
    count = sum(map(len, contents.ours.values()))
    write_result(f"Removed {counted(count, 'table')} in {' and '.join(contents.ours)}.")
    if contents.foreign:
        write_result(f"Left alone: {len(contents.foreign)} that are not ours, e.g. {contents.foreign[0]}.")
    if runs_folder.is_dir():
        write_result(f"The folders of runs stay, since reports are made from them: {runs_folder}")


def describe_removal(target: Target, contents: Contents, *, is_json: bool) -> str:
    """Return what would be removed: each table with its rows."""
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


def list_ours(contents: Contents) -> str:
    """Return the tables that are ours, a line each schema."""
    lines = []
    for schema, tables in contents.ours.items():
        wallets = contents.notes.get(f"wallets:{schema}")
        size = f" ({counted(int(wallets), 'wallet')})" if wallets else ""
        lines.append(f"  {schema}{size}: {', '.join(tables)}")
    return "\n".join(lines)
