"""Parameters: `:name` placeholders in SQL text.

Found outside strings, quoted names, dollar quotes and comments; `::type` is a cast and `a[1:2]` a slice, neither is one.
"""

import re
from collections.abc import Callable
from functools import lru_cache

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
