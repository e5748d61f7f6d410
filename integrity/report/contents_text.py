"""What of a database is ours, as text: what would be removed, will be, and was."""

from collections.abc import Mapping
from pathlib import Path

from integrity.database.filled import find_filled
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
        done = {"database": str(target), "dropped": dropped, "emptied": _filled_tables(contents)}
        write_json({**done, "kept": list(contents.foreign)})
        return
    if not contents.is_ours:
        write_result(f"{target}: nothing here was made by seed or run; nothing was removed.")
        return
    for filled in find_filled(contents.notes):
        write_result(
            f"Removed {counted(filled.row_count, 'row')} of {counted(len(filled.tables), 'table')} in {filled.name}."
        )
    count = sum(map(len, contents.ours.values()))
    write_result(f"Removed {counted(count, 'table')} in {' and '.join(contents.ours)}.")
    if contents.foreign:
        write_result(f"Left alone: {len(contents.foreign)} that are not ours, e.g. {contents.foreign[0]}.")
    if runs_folder.is_dir():
        write_result(f"The folders of runs stay, since reports are made from them: {runs_folder}")


def write_removal(target: Target, contents: Contents, *, is_json: bool) -> None:
    """Write to stdout what would be removed: each table with its rows."""
    rows = {schema: count_rows(target, schema, tables) for schema, tables in contents.ours.items()}
    if is_json:
        would = {"database": str(target), "would_drop": rows, "would_empty": _filled_tables(contents)}
        write_json({**would, "kept": list(contents.foreign)})
    else:
        write_result(_render_removal(target, contents, rows))


def _render_removal(target: Target, contents: Contents, rows: Mapping[str, Mapping[str, int]]) -> str:
    if not rows:
        return f"{target}: nothing here was made by seed or run; nothing would be removed."
    lines = [f"{target}: would be removed:"]
    for schema, counts in rows.items():
        lines.append(f"  {schema}: {counted(len(counts), 'table')}, {counted(sum(counts.values()), 'row')}")
        lines += [f"    {table}: {counted(count, 'row')}" for table, count in counts.items()]
    lines += [
        f"  the rows that seed added to {name}: {counted(count, 'row')}" for name, count in _filled_tables(contents).items()
    ]
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
    lines += [
        f"  {counted(filled.row_count, 'row')} of {counted(len(filled.tables), 'table')} in {filled.name}, which stay"
        for filled in find_filled(contents.notes)
    ]
    return "\n".join(lines)


def _filled_tables(contents: Contents) -> dict[str, int]:
    """Return table of others -> the rows that seed added to it."""
    filled = find_filled(contents.notes)
    return {f"{table.schema}.{table.name}": table.count for each in filled for table in each.tables}
