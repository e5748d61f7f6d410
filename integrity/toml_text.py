"""Texts in TOML that cannot be read: where, why, and what to do about it, in one wording for every file of a project."""

import re
import tomllib
from pathlib import Path

from integrity.errors import UsageError

_PLACE = re.compile(r" \(at (?:line (\d+), column (\d+)|end of document)\)")
_TABLE = re.compile(r"\('([^()]*)',?\)")


def unreadable(file: Path, text: str, error: Exception, *, otherwise: str) -> UsageError:
    """Return the error of a text that is no TOML.

    Args:
        error: what tomllib raised of it.
        otherwise: the hint, where the error says nothing that one could be made of.
    """
    said = str(error) if isinstance(error, ValueError) else "its brackets are nested too deeply"
    place = _PLACE.search(said)
    line, column = (int(place[1]), int(place[2])) if place and place[1] else (text.count("\n") + 1, 1)
    reason = _PLACE.sub("", said)
    lines = text.splitlines()
    is_twice = isinstance(error, tomllib.TOMLDecodeError) and ("twice" in reason or "overwrite" in reason.lower())
    hint = otherwise
    if is_twice:
        table = _TABLE.search(reason)
        named = f"[{table[1].replace(chr(39) + ', ' + chr(39), '.')}]" if table else "Its key"
        earlier = next((n for n, each in enumerate(lines[: line - 1], 1) if table and each.strip().startswith(named)), 0)
        hint = f"{named} is there already{f', in line {earlier}' if earlier else ''}: write below that one, and once only."
    return UsageError(f"{file}:{line}:{column}: cannot be read: {reason}", hint=hint)
