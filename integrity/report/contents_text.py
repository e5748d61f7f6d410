"""What of a database is ours, as text: what would be removed, will be, and was."""

from collections.abc import Mapping
from pathlib import Path

from integrity.database.namespace import Contents, count_rows
from integrity.engines.target import Target
from integrity.numbers import counted
from integrity.report.terminal import write_json, write_result

Emptied = Mapping[str, Mapping[str, tuple[int, int]]]
"""What was filled -> table of others -> its rows that go: those that seed made, and those that calls of runs wrote."""


def write_removed(target: Target, contents: Contents, emptied: Emptied, runs_folder: Path, *, is_json: bool) -> None:
    """Write to stdout what was removed; nothing where nothing was ours.

    Args:
        contents: as they were before.
        emptied: as it was before.
    """
    if is_json:
        dropped = {schema: list(tables) for schema, tables in contents.ours.items()}
        done = {"database": str(target), "dropped": dropped, "emptied": _sum_by_table(emptied)}
        write_json({**done, "kept": list(contents.foreign)})
        return
    if not contents.is_ours:
        write_result(f"{target}: nothing here was made by seed or run; nothing was removed.")
        return
    for name, tables in emptied.items():
        write_result(f"Removed {_count_rows(tables)} in {name}.")
    count = sum(map(len, contents.ours.values()))
    write_result(f"Removed {counted(count, 'table')} in {' and '.join(contents.ours)}.")
    if contents.foreign:
        write_result(f"Left alone: {len(contents.foreign)} that are not ours, e.g. {contents.foreign[0]}.")
    if runs_folder.is_dir():
        write_result(f"The folders of runs stay, since reports are made from them: {runs_folder}")


def write_removal(target: Target, contents: Contents, emptied: Emptied, *, is_json: bool) -> None:
    """Write to stdout what would be removed: each table with its rows."""
    rows = {schema: count_rows(target, schema, tables) for schema, tables in contents.ours.items()}
    if is_json:
        would = {"database": str(target), "would_drop": rows, "would_empty": _sum_by_table(emptied)}
        write_json({**would, "kept": list(contents.foreign)})
    else:
        write_result(_render_removal(target, contents, emptied, rows))


def _render_removal(target: Target, contents: Contents, emptied: Emptied, rows: Mapping[str, Mapping[str, int]]) -> str:
    if not rows:
        return f"{target}: nothing here was made by seed or run; nothing would be removed."
    lines = [f"{target}: would be removed:"]
    for schema, counts in rows.items():
        lines.append(f"  {schema}: {counted(len(counts), 'table')}, {counted(sum(counts.values()), 'row')}")
        lines += [f"    {table}: {counted(count, 'row')}" for table, count in counts.items()]
    for tables in emptied.values():
        for name, (by_seed, by_runs) in tables.items():
            lines.append(f"  the rows that seed added to {name}: {counted(by_seed, 'row')}{_and_of_runs(by_runs)}")
    if contents.foreign:
        lines.append(f"Left alone: {len(contents.foreign)} that are not ours, e.g. {contents.foreign[0]}.")
    return "\n".join([*lines, "Nothing was removed: this was a dry run."])


def list_ours(contents: Contents, emptied: Emptied) -> str:
    """Return the tables that are ours, a line each schema."""
    lines = []
    for schema, tables in contents.ours.items():
        wallets = contents.notes.get(f"wallets:{schema}")
        size = f" ({counted(int(wallets), 'wallet')})" if wallets else ""
        lines.append(f"  {schema}{size}: {', '.join(tables)}")
    lines += [f"  {_count_rows(tables)} in {name}, which stay" for name, tables in emptied.items()]
    return "\n".join(lines)


def _count_rows(tables: Mapping[str, tuple[int, int]]) -> str:
    """Return how many rows of how many tables, e.g. "60 rows and 12 that runs wrote of 2 tables"."""
    by_seed, by_runs = (sum(counts[index] for counts in tables.values()) for index in (0, 1))
    return f"{counted(by_seed, 'row')}{_and_of_runs(by_runs)} of {counted(len(tables), 'table')}"


def _and_of_runs(count: int) -> str:
    return f" and {count:,} that runs wrote" if count else ""


def _sum_by_table(emptied: Emptied) -> dict[str, int]:
    return {name: sum(counts) for tables in emptied.values() for name, counts in tables.items()}
