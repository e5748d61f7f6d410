"""Places in SQL text: a line and a column, shown with a caret; of text that was made, where it was written."""

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Origin:
    """A stretch of a query that was made from what somebody wrote elsewhere.

    Args:
        start, end: its offsets in the query.
        line: where it was written; 0: nobody can say.
        key: under which key.
    """

    start: int
    end: int
    line: int
    key: str


def place_of(text: str, offset: int) -> tuple[int, int]:
    """Return line and column of an offset, both from 1."""
    before = text[:offset]
    return before.count("\n") + 1, offset - (before.rfind("\n") + 1) + 1


def describe_place(
    path: str, text: str, line: int, column: int | None, reason: str, *, origins: Sequence[Origin] | None = None
) -> str:
    """Return the reason behind its place, and below it the line with a caret.

    Args:
        path: as it is shown.
        column: from 1; None: the whole line.
        origins: None: the text is the file's own.
    """
    lines = text.splitlines()
    described = f"{path}:{line}: {reason}"
    margin = f"  {line} | "
    if origins is not None:
        described = f"{_describe_origin(path, text, line, column, origins)}: {reason}"
        margin = "  query | "
    if column is None or line > len(lines):
        return described
    # Tabs stay tabs before the caret, so that it stands below its word however wide the terminal shows them.
    indent = "".join("\t" if character == "\t" else " " for character in lines[line - 1][: column - 1])
    return f"{described}\n{margin}{lines[line - 1]}\n{' ' * len(margin)}{indent}^"


def _describe_origin(path: str, text: str, line: int, column: int | None, origins: Sequence[Origin]) -> str:
    offset = sum(map(len, text.splitlines(keepends=True)[: line - 1])) + (column or 1) - 1
    for origin in origins:
        if origin.start <= offset < max(origin.end, origin.start + 1):
            return f"{path}:{origin.line}: {origin.key}" if origin.line else f"{path}: {origin.key}"
    return f"{path}: in the query that is made of it"
