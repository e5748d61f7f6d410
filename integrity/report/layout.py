"""How wide text is: tables, sentences and commands are laid out here so that no terminal breaks them anywhere.

A table whose lines would be too long gives up the columns that it can spare, then wraps the words of its widest columns;
where that is not enough its columns stand in bands, one below the other, each with the first column again. A sentence goes
on below where it began. A command breaks before an option, with a backslash, so that it can still be pasted. What cannot be
broken, a path or a URL, stays whole.

As wide as COLUMNS says, else as the terminal is, within bounds; where stdout is none, 80.
"""

import os
import re
import sys
import textwrap
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TextIO

from tabulate import tabulate

WIDTH = 80
WIDTH_LEAST = 60
WIDTH_MOST = 200

_DIGITS_MOST = 6  # of COLUMNS: whoever wants no line folded says a large number
_GAP = 2  # between two columns
_WORD_LONG = 30  # of a command: a file or a token, before which it may be broken


def terminal_width() -> int:
    """Return how many letters a line of a result may have."""
    said = os.environ.get("COLUMNS", "")[:_DIGITS_MOST]
    columns = int(said) if said.isdecimal() else min(_columns_of(sys.stdout), WIDTH_MOST)
    return max(WIDTH_LEAST, columns)


def _columns_of(stream: TextIO | None) -> int:
    try:
        return os.get_terminal_size(stream.fileno()).columns if stream is not None and stream.isatty() else WIDTH
    except (OSError, ValueError):  # it has no descriptor, or is closed
        return WIDTH


def lay_table(
    rows: Sequence[Sequence[object]],
    headers: Sequence[str],
    *,
    align: Sequence[str] | None = None,
    spare: Sequence[str] = (),
    indent: str = "",
    width: int | None = None,
) -> str:
    """Return a table that is no wider than the terminal, as far as its words allow.

    Args:
        align: "left" or "right" of each column; None: all left.
        spare: headers of columns that are given up, the first first, before any other is wrapped below its longest word.
        indent: in front of each line.
        width: instead of the terminal's.
    """
    room = (width or terminal_width()) - len(indent)
    cells = [["" if cell is None else str(cell) for cell in row] for row in rows]
    # Numbers are shown as they are: parsed, a big integer would come out as a float.
    whole = tabulate(cells, headers, tablefmt="simple", disable_numparse=True, colalign=align if cells else None)
    if any(len(line) > room for line in whole.splitlines()):
        columns = [
            _Column(header, [row[n] for row in cells], align is not None and align[n] == "right")
            for n, header in enumerate(headers)
        ]
        for name in spare:
            if sum(column.whole for column in columns) + _GAP * (len(columns) - 1) > room:
                columns = [column for column in columns if column.header != name]
        whole = "\n\n".join("\n".join(_render(band, room)) for band in _bands(columns, room))
    return "\n".join(f"{indent}{line}" if line else "" for line in whole.splitlines())


@dataclass(frozen=True, slots=True)
class _Column:
    header: str
    cells: Sequence[str]
    is_right: bool

    @property
    def width(self) -> int:
        return max(map(len, (self.header, *self.cells)))

    @property
    def whole(self) -> int:
        """Return how narrow it may become without a word of it being broken."""
        return self.width if self.is_right else max(map(len, (self.header, *" ".join(self.cells).split())))

    def floor(self, room: int) -> int:
        """Return how narrow it may become: its longest word, while two such have room; a number stays whole."""
        texts = (self.header,) if self.is_right else (self.header, *self.cells)
        longest = max((len(word) for text in texts for word in text.split()), default=1)
        number = max(map(len, self.cells), default=1) if self.is_right else 1
        return max(number, min(longest, (room - _GAP) // 2))


def _bands(columns: Sequence[_Column], room: int) -> Iterator[list[_Column]]:
    """Yield the columns that stand side by side, the first one in each."""
    first, *others = columns
    band, used = [first], first.floor(room)
    for column in others:
        if len(band) > 1 and used + _GAP + column.floor(room) > room:
            yield band
            band, used = [first], first.floor(room)
        band.append(column)
        used += _GAP + column.floor(room)
    yield band


def _render(columns: Sequence[_Column], room: int) -> Iterator[str]:
    """Yield the lines of a band, the widest columns made narrower until it fits."""
    widths = [column.width for column in columns]
    while sum(widths) + _GAP * (len(widths) - 1) > room:
        spare = [n for n, column in enumerate(columns) if widths[n] > column.floor(room)]
        if not spare:
            break
        widths[max(spare, key=lambda n: widths[n])] -= 1
    yield from _row(columns, [column.header for column in columns], widths)
    yield (" " * _GAP).join("-" * width for width in widths)
    for number in range(len(columns[0].cells)):
        yield from _row(columns, [column.cells[number] for column in columns], widths)


def _row(columns: Sequence[_Column], texts: Sequence[str], widths: Sequence[int]) -> Iterator[str]:
    wrapped = [
        textwrap.wrap(text, width, break_on_hyphens=False) if len(text) > width else [text]
        for text, width in zip(texts, widths, strict=True)
    ]
    for number in range(max(map(len, wrapped))):
        parts = [lines[number] if number < len(lines) else "" for lines in wrapped]
        aligned = [
            part.rjust(width) if column.is_right else part.ljust(width)
            for column, part, width in zip(columns, parts, widths, strict=True)
        ]
        yield (" " * _GAP).join(aligned).rstrip()


def fold(text: str, *, width: int | None = None, hanging: str = "  ") -> str:
    """Return lines of prose, those that are too long folded: what goes on stands a little further in than its line.

    Args:
        hanging: what stands in front of what goes on, beside what the line itself begins with.
    """
    room = width or terminal_width()
    return "\n".join(each for line in text.split("\n") for each in _fold_line(line, room, hanging))


def fit_timeline(lines: Sequence[str], *, width: int | None = None) -> list[str]:
    """Return a race's timeline on a terminal narrower than it was laid out for: its columns overlap, and no line is folded.

    Each line is of one actor alone, so that it may begin further to the left.
    """
    room = (width or terminal_width()) - _TIMELINE_NUMBER
    margins: list[int] = []
    for line in lines:
        indent = len(line) - _TIMELINE_NUMBER - len(line[_TIMELINE_NUMBER:].lstrip())
        is_first = bool(line[:_TIMELINE_NUMBER].strip()) or not margins
        margins.append(indent if is_first else min(indent, margins[-1]))  # what goes on is further in than its actor
    widest = max((len(line) - _TIMELINE_NUMBER - margin for line, margin in zip(lines, margins, strict=True)), default=0)
    last = max(margins, default=0)
    if last + widest <= room or widest > room:
        return list(lines)
    return [
        f"{line[:_TIMELINE_NUMBER]}{' ' * (margin * (room - widest) // last)}{line[_TIMELINE_NUMBER + margin :]}"
        for line, margin in zip(lines, margins, strict=True)
    ]


_TIMELINE_NUMBER = 4  # letters in front of what an actor did


def fold_all(text: str) -> str:
    """Return a result, a note or an error no wider than the terminal; a socket's URL without the middle of its folder.

    Its prose is folded, what stands in columns goes on below its last one, a command on a line of its own stays one that
    can be pasted, and a line of SQL with a caret below it stays whole: broken, the caret would point at another word.
    """
    lines = _SOCKET_URL.sub(_shorten, text).split("\n")
    below = [*lines[1:], ""]
    return "\n".join(
        line if next_line.strip() == "^" else _fold_command(line) or fold(line, hanging=_hanging(line))
        for line, next_line in zip(lines, below, strict=True)
    )


def _shorten(found: re.Match[str]) -> str:
    """Return a URL as it is, where it fits in a line, or is to be pasted; else with a … in it."""
    if len(found[0]) <= terminal_width() - _WORD_MARGIN:
        return found[0]
    first, last = found["host"].strip("/").split("/", 1)[0], found["host"].rsplit("/", 1)[-1]
    return found[0].replace(found["host"], f"/{first}/…/{last}")


_SOCKET_URL = re.compile(
    r"(?<!--database )(?<!['\"=])postgresql://[^\s'\"?]*\?[^\s'\"]*?\bhost=(?P<host>/[^\s'\"&]+)[^\s'\"]*"
)
_WORD_MARGIN = 6  # what may stand in front of a URL in its line


def _fold_command(line: str) -> str | None:
    found = _COMMAND.fullmatch(line)
    return None if found is None else lay_command(found["command"], label=found["label"])


_COMMAND = re.compile(
    r"(?P<label>\s*(?:[A-Za-z][a-z ]*: ){0,2})"
    r"(?P<command>(?!.*\S {2})integrity (?:[a-z]+ (?:.*\s)?--\S.*[^.?!]|replay \S+[^\s.?!]))"
)


def _hanging(line: str) -> str:
    """Return how far in what goes on of a line stands: below its last column, if that leaves the half of the line."""
    *_, last = (0, *(gap.end() for gap in _GAPS.finditer(line)))
    margin = len(line) - len(line.lstrip())
    return " " * (last - margin if margin < last <= WIDTH_LEAST // 2 else _GAP)


_GAPS = re.compile(r"(?<=\S) {2,}(?=\S)")


def _fold_line(line: str, room: int, hanging: str) -> list[str]:
    if len(line) <= room:
        return [line]
    margin = line[: len(line) - len(line.lstrip())]
    return textwrap.wrap(
        line.strip(),
        room,
        initial_indent=margin,
        subsequent_indent=margin + hanging,
        break_long_words=False,
        break_on_hyphens=False,
        drop_whitespace=True,
        replace_whitespace=False,
    )


def lay_command(text: str, *, label: str = "", width: int | None = None) -> str:
    r"""Return a command behind its label; a long one is broken before its options, each line but the last with a \.

    A label that leaves its first words no room has a line of its own.

    Args:
        label: e.g. "replay: ".
    """
    room = width or terminal_width()
    parts = list(_parts(text))
    lines = [label]
    if label.strip() and len(label) + len(parts[0]) > room - 2 * (len(parts) > 1):
        lines = [label.rstrip(), "    "]
    for part in parts:
        grown = f"{lines[-1]}{part}" if lines[-1] in (label, "    ") else f"{lines[-1]} {part}"
        if len(grown) > room - 2 and lines[-1] not in (label, "    "):
            lines[-1] += " \\"
            grown = f"    {part}"
            lines.append("")
        lines[-1] = grown
    return "\n".join(lines)


def _parts(text: str) -> Iterator[str]:
    """Yield what must stay in one line: an option with its value, its first words, a long file or token."""
    part: list[str] = []
    for word in text.split(" "):
        is_long = len(word) > _WORD_LONG and not any(each.startswith("--") for each in part) and "'" not in text
        if part and (word.startswith("--") or is_long):
            yield " ".join(part)
            part = []
        part.append(word)
    yield " ".join(part)
