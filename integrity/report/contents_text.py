"""What of a database is ours, as text: what would be removed, will be, and was."""

from collections.abc import Mapping
from pathlib import Path

from integrity.database.namespace import Contents, count_rows
from integrity.database.removal import Emptied
from integrity.engines.target import Target
from integrity.numbers import counted
from integrity.report.terminal import write_json, write_result


def write_removed(target: Target, contents: Contents, emptied: Emptied, runs_folder: Path, *, is_json: bool) -> None:
    """Write to stdout what was removed; nothing where nothing was ours.

    Args:
        contents: as they were before.
        emptied: as it was before.
    """
    if is_json:
        dropped = {schema: list(tables) for schema, tables in contents.ours.items()}
        done = {"database": str(target), "dropped": dropped, "emptied": _sum_by_table(emptied.going)}
        write_json({**done, "kept": list(contents.foreign), "staying": _staying(emptied)})
        return
    if not contents.is_ours:
        write_result(f"{target}: nothing here was made by seed or run; nothing was removed.")
        return
    if emptied.going:
        write_result(f"Removed {_count_rows(emptied.going)}.")
    count = sum(map(len, contents.ours.values()))
    write_result(f"Removed {counted(count, 'table')} in {' and '.join(contents.ours)}.")
    if contents.foreign:
        write_result(f"Left alone: {len(contents.foreign)} that are not ours, e.g. {contents.foreign[0]}.")
    _write_staying(emptied)
    if runs_folder.is_dir():
        write_result(f"The folders of runs stay, since reports are made from them: {runs_folder}")


def write_removal(target: Target, contents: Contents, emptied: Emptied, *, is_json: bool) -> None:
    """Write to stdout what would be removed: each table with its rows."""
    rows = {schema: count_rows(target, schema, tables) for schema, tables in contents.ours.items()}
    if is_json:
        would = {"database": str(target), "would_drop": rows, "would_empty": _sum_by_table(emptied.going)}
        write_json({**would, "kept": list(contents.foreign), "staying": _staying(emptied)})
        return
    write_result(_render_removal(target, contents, emptied, rows))
    if rows:
        _write_staying(emptied)
        write_result("Nothing was removed: this was a dry run.")


def _render_removal(target: Target, contents: Contents, emptied: Emptied, rows: Mapping[str, Mapping[str, int]]) -> str:
    if not rows:
        return f"{target}: nothing here was made by seed or run; nothing would be removed."
    lines = [f"{target}: would be removed:"]
    for schema, counts in rows.items():
        lines.append(f"  {schema}: {counted(len(counts), 'table')}, {counted(sum(counts.values()), 'row')}")
        lines += [f"    {table}: {counted(count, 'row')}" for table, count in counts.items()]
    lines += [f"  {_describe_rows(*counts)} in {name}" for name, counts in emptied.going.items()]
    if contents.foreign:
        lines.append(f"Left alone: {len(contents.foreign)} that are not ours, e.g. {contents.foreign[0]}.")
    return "\n".join(lines)


def list_ours(contents: Contents, emptied: Emptied) -> str:
    """Return the tables that are ours, a line each schema."""
    lines = []
    for schema, tables in contents.ours.items():
        wallets = contents.notes.get(f"wallets:{schema}")
        size = f" ({counted(int(wallets), 'wallet')})" if wallets else ""
        lines.append(f"  {schema}{size}: {', '.join(tables)}")
    if emptied.going:
        kept = "this table itself stays" if len(emptied.going) == 1 else "these tables themselves stay"
        lines.append(f"  {_count_rows(emptied.going)}; {kept}")
    return "\n".join(lines)


def _count_rows(going: Mapping[str, tuple[int, int]]) -> str:
    """Return how many rows of how many tables, e.g. "60 rows that seed made in 2 tables of public"."""
    by_seed, by_runs = (sum(counts[index] for counts in going.values()) for index in (0, 1))
    schemas = dict.fromkeys(name.partition(".")[0] for name in going)
    return f"{_describe_rows(by_seed, by_runs)} in {counted(len(going), 'table')} of {' and '.join(schemas)}"


def _describe_rows(by_seed: int, by_runs: int) -> str:
    if not by_seed and by_runs:
        return f"{counted(by_runs, 'row')} that runs wrote"
    return f"{counted(by_seed, 'row')} that seed made" + (f" and {by_runs:,} that runs wrote" if by_runs else "")


def _write_staying(emptied: Emptied) -> None:
    """Write what stays though runs may have made it, with the statement that shows it."""
    for each in emptied.staying:
        how = "inserted or changed" if each.may_be_changed else "inserted"
        what = "which of both, and by whom, PostgreSQL" if each.may_be_changed else "by whom, the database"
        since = f"{how} since the first run began; {what} does not keep"
        write_result(f"Left alone: {counted(each.count, 'row')} of {each.table} {since}.")
        mine = "that a call has changed" if each.may_be_changed else "that were inserted beside the runs"
        write_result(f"Rows of your own {mine} may be among them. To see them:")
        write_result(f"  {each.statement}", is_verbatim=True)


def _sum_by_table(going: Mapping[str, tuple[int, int]]) -> dict[str, int]:
    return {name: sum(counts) for name, counts in going.items()}


def _staying(emptied: Emptied) -> list[dict[str, object]]:
    return [{"table": each.table, "rows": each.count, "statement": each.statement} for each in emptied.staying]
