"""Parameters: `:name` placeholders in SQL text.

Found outside strings, quoted names, dollar quotes and comments; `::type` is a cast and `a[1:2]` a slice, neither is one.
"""

import re
from collections.abc import Callable
from datetime import datetime
from functools import lru_cache
from typing import Any
from uuid import UUID

_TOKENS = re.compile(
    r"""
      (?P<skip> '(?:[^']|'')*' | "(?:[^"]|"")*" | --[^\n]* | /\*.*?\*/ | \$(?P<tag>\w*)\$.*?\$(?P=tag)\$ | :: )
    | (?<![\w:\]]):(?P<name>[a-z_][a-z0-9_]*)
    """,
    re.VERBOSE | re.DOTALL | re.IGNORECASE,
)


@lru_cache(maxsize=4096)
def find_parameters(sql: str) -> tuple[str, ...]:
    """Return the parameter names in order of first appearance, without repeats."""
    return tuple(dict.fromkeys(match["name"] for match in _TOKENS.finditer(sql) if match["name"]))


def replace_parameters(sql: str, placeholder: Callable[[str], str]) -> str:
    """Return the text with every `:name` replaced by placeholder(name)."""
    return _TOKENS.sub(lambda match: placeholder(match["name"]) if match["name"] else match[0], sql)


@lru_cache(maxsize=4096)
def number_parameters(sql: str) -> tuple[str, tuple[str, ...]]:
    """Return the text with `$1, $2, ...` (asyncpg, PostgreSQL's own) and the names in that order."""
    names = find_parameters(sql)
    numbers = {name: f"${number}" for number, name in enumerate(names, start=1)}
    return replace_parameters(sql, numbers.__getitem__), names


def read_value(kind: str, text: str) -> Any:
    """Return the value that somebody wrote for a parameter of that type.

    Raises:
        ValueError: it is no such value.
    """
    if kind in ("bigint", "integer"):
        return int(text)
    if kind == "boolean":
        if text not in ("true", "false"):
            raise ValueError
        return text == "true"
    if kind == "uuid":
        return UUID(text)
    return datetime.fromisoformat(text).astimezone() if kind == "timestamptz" else text
