"""Snapshots of databases as text and JSON."""

from collections.abc import Sequence
from typing import Any

from integrity.engines.copies import Kept
from integrity.engines.target import Target
from integrity.report.layout import lay_table
from integrity.report.terminal import write_json, write_note, write_result

LOST_SHOWN_MOST = 12


def write_copies(target: Target, copies: Sequence[Kept], *, is_json: bool) -> None:
    """Write to stdout which snapshots of the database there are."""
    if is_json:
        write_json({"snapshots": [copy_fields(copy) for copy in copies]})
    else:
        write_result(_table(target, copies))


def tell_ended(ended: Sequence[str]) -> None:
    """Say which sessions were ended."""
    for session in ended:
        write_note(f"ended: {session}")


def tell_lost(words: str, lost: Sequence[str]) -> None:
    """Write behind some words what a restore takes, or took, away; nothing where that is nothing."""
    if lost:
        more = f" and {len(lost) - LOST_SHOWN_MOST} more (all with --json)" if len(lost) > LOST_SHOWN_MOST else ""
        write_note(f"{words}: {', '.join(lost[:LOST_SHOWN_MOST])}{more}")


def show_size(size_bytes: int) -> str:
    """Return a size in millions of bytes."""
    return f"{size_bytes / 1e6:,.1f} MB"


def copy_fields(copy: Kept) -> dict[str, Any]:
    """Return what goes into JSON."""
    return {
        "name": copy.name,
        "place": copy.place,
        "taken_at": copy.taken_at.isoformat(timespec="seconds"),
        "size_bytes": copy.size_bytes,
    }


def _table(target: Target, copies: Sequence[Kept]) -> str:
    if not copies:
        return f"{target} has no snapshots."
    rows = [
        [copy.name, f"{copy.taken_at.astimezone():%Y-%m-%d %H:%M:%S}", show_size(copy.size_bytes), copy.place]
        for copy in copies
    ]
    headers = ["snapshot", "taken at", "size", "kept in"]
    return lay_table(rows, headers, align=("left", "left", "right", "left"))
