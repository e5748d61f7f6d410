"""Places in SQL text: a line and a column, shown with a caret; of text that was made, where it was written."""

import re
from collections.abc import Sequence
from dataclasses import dataclass

_FIRST_WORD = re.compile(r"[^-\s]")


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


@dataclass(frozen=True, slots=True)
class WrittenAt:
    """Where somebody wrote what is asked for.

    Args:
        path: of the file, as it is shown; empty: in none.
        line: of it.
        text: that line, with those that continue it.
    """

    path: str = ""
    line: int = 0
    text: str = ""

    @property
    def place(self) -> str:
        """Path and line; empty: none."""
        return f"{self.path}:{self.line}" if self.path else ""

    def describe(self, reason: str, *words: str) -> str:
        """Return the reason behind its place, and below it the line with a caret.

        Args:
            words: each stands behind the one before; the caret is below the last of them that is there.
        """
        if not self.path:
            return reason
        first = _FIRST_WORD.search(self.text)
        at = start = first.start() if first else 0
        for word in words:
            found = re.compile(rf"(?<!\w){re.escape(word)}(?!\w)").search(self.text, start)
            at, start = (found.start(), found.end()) if found else (at, start)
        line, column = place_of(self.text, at)
        shown = f"{self.path}:{self.line + line - 1}: {reason}"
        return f"{shown}\n{show_line(str(self.line + line - 1), self.text.splitlines()[line - 1], column)}"


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
    number = str(line)
    if origins is not None:
        described = f"{_describe_origin(path, text, line, column, origins)}: {reason}"
        number = "query"
    if column is None or line > len(lines):
        return described
    return f"{described}\n{show_line(number, lines[line - 1], column)}"


def show_line(number: str, line: str, column: int) -> str:
    """Return a line behind its number, with a caret below its column, from 1."""
    margin = f"  {number} | "
    # Tabs stay tabs before the caret, so that it stands below its word however wide the terminal shows them.
    indent = "".join("\t" if character == "\t" else " " for character in line[: column - 1])
    return f"{margin}{line}\n{' ' * len(margin)}{indent}^"


def _describe_origin(path: str, text: str, line: int, column: int | None, origins: Sequence[Origin]) -> str:
    offset = sum(map(len, text.splitlines(keepends=True)[: line - 1])) + (column or 1) - 1
    for origin in origins:
        if origin.start <= offset < max(origin.end, origin.start + 1):
            return f"{path}:{origin.line}: {origin.key}" if origin.line else f"{path}: {origin.key}"
    return f"{path}: in the query that is made of it"
