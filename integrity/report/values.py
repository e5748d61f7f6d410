"""Values of evidence as text: what a database holds is shown, never obeyed.

A value may hold line breaks, terminal escapes, markup or a megabyte. Cells are one line, printable, and cut.
"""

import re
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

import orjson

from integrity.report.terminal import spell

CELL_WIDTH = 60
CALLS_SHOWN = 6
CALL_COLUMNS = ("operation_id", "operation", "client", "invoked_at", "returned_at", "outcome", "arguments")


def show(value: Any, *, width: int = CELL_WIDTH) -> str:
    """Return the value in one printable line, cut to the width."""
    if value is None:
        return "null"
    if isinstance(value, datetime):
        text = value.isoformat(sep=" ")
    elif isinstance(value, dict | list):
        text = orjson.dumps(value, default=str).decode()
    else:
        text = str(value)
    # Cut first: what is cut away need not be made printable.
    text = text if len(text) <= width else text[: width - 1] + "…"
    return printable(text)


def printable(text: str) -> str:
    """Return the text with every character that a terminal might obey written out."""
    return "".join(character if character.isprintable() else spell(character) for character in text)


def row_table(rows: Sequence[Mapping[str, Any]]) -> tuple[list[str], list[list[str]]]:
    """Return headers and cells of evidence rows."""
    headers = list(rows[0]) if rows else []
    return [show(header) for header in headers], [[show(row.get(header)) for header in headers] for row in rows]


def call_table(calls: Sequence[Mapping[str, Any]]) -> tuple[list[str], list[list[str]]]:
    """Return headers and cells of the first calls, those that took effect or may have before the others."""
    from integrity.history import Outcome

    telling = (Outcome.OK, Outcome.UNAVAILABLE, Outcome.UNKNOWN)
    chosen = sorted(calls, key=lambda call: call.get("outcome") not in telling)[:CALLS_SHOWN]
    return list(CALL_COLUMNS), [[_show_of_call(column, call.get(column)) for column in CALL_COLUMNS] for call in chosen]


def _show_of_call(column: str, value: Any) -> str:
    """Return a call's value; of its times the time of day, which is what tells that two calls overlapped."""
    time = _TIME_OF_DAY.search(str(value)) if column.endswith("_at") else None
    return time[0] if time else show(value)


_TIME_OF_DAY = re.compile(r"(?<=[ T])\d\d:\d\d:\d\d(?:\.\d+)?")
