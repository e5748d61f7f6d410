"""Where in a TOML file a key stands: `tomllib` does not say, and a message must.

It follows headers and keys line by line; where a value is spread over lines, its key's place is the answer.
"""

import re
from collections.abc import Sequence

_HEADER = re.compile(r"\s*(\[\[?)\s*([^\[\]]+?)\s*\]\]?\s*(?:#.*)?$")
_KEY = re.compile(r"""(\s*)((?:[\w-]+|"[^"]*"|'[^']*')(?:\s*\.\s*(?:[\w-]+|"[^"]*"|'[^']*'))*)\s*=""")
_PART = re.compile(r"""[\w-]+|"[^"]*"|'[^']*'""")

Path = tuple[int | str, ...]


def place_of(text: str, path: Sequence[int | str]) -> tuple[int, int]:
    """Return line and column, from 1, of what a path of keys and numbers names, or of the last part that is there."""
    wanted = tuple(path)
    best, found = 0, (1, 1)
    for at, line, column in _keys(text):
        rank = _shared(at, wanted)
        if rank == len(at) and rank > best:
            best, found = rank, (line, column)
    return _within(text, found, [part for part in wanted[best:] if isinstance(part, str)])


def _keys(text: str) -> "list[tuple[Path, int, int]]":
    """Return the path, line and column of each header and key."""
    keys: list[tuple[Path, int, int]] = []
    above: Path = ()
    counts: dict[Path, int] = {}
    is_within_text = False
    for number, line in enumerate(text.splitlines(), start=1):
        marks = line.count('"""') + line.count("'''")
        if not is_within_text:
            if header := _HEADER.match(line):
                above = _header_path(header, counts)
                keys.append((above, number, line.index("[") + 1))
            elif key := _KEY.match(line):
                keys.append(((*above, *_parts(key[2])), number, len(key[1]) + 1))
        is_within_text ^= marks % 2 == 1
    return keys


def _header_path(header: re.Match[str], counts: dict[Path, int]) -> Path:
    parts: Path = ()
    names = _parts(header[2])
    for position, name in enumerate(names):
        parts = (*parts, name)
        if position == len(names) - 1 and header[1] == "[[":
            counts[parts] = counts.get(parts, -1) + 1
        if parts in counts:
            parts = (*parts, counts[parts])
    return parts


def _parts(dotted: str) -> list[str]:
    return [part.strip("\"'") for part in _PART.findall(dotted)]


def _shared(at: Path, wanted: Path) -> int:
    return next(
        (number for number, (a, b) in enumerate(zip(at, wanted, strict=False)) if a != b), min(len(at), len(wanted))
    )


def _within(text: str, place: tuple[int, int], names: Sequence[str]) -> tuple[int, int]:
    """Return the place of keys of inline tables that begin at a place."""
    lines = text.splitlines(keepends=True)
    offset = sum(map(len, lines[: place[0] - 1])) + place[1] - 1
    for name in names:
        key = re.compile(rf"""(?<=[{{,\s])["']?{re.escape(name)}["']?\s*=""").search(text, offset)
        if key is None:
            break
        offset = key.start()
    before = text[:offset]
    return before.count("\n") + 1, offset - (before.rfind("\n") + 1) + 1
