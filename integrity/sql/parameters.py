"""Parameters: `:name` placeholders in SQL text.

Found outside strings, quoted names, dollar quotes and comments; `::type` is a cast and `a[1:2]` a slice, neither is one.
`:'name'` is psql's way to write one whose value is quoted; here values never stand in the text, and both are the same.
"""

import json
import re
from collections.abc import Callable
from datetime import date, datetime
from functools import lru_cache
from typing import Any
from uuid import UUID

_COMMENT = r"/\*(?:[^*/]|\*(?!/)|/(?!\*))*+\*/"
for _ in range(3):  # comments hold others
    _COMMENT = rf"/\*(?:[^*/]|\*(?!/)|/(?!\*)|{_COMMENT})*+\*/"

_TOKENS = re.compile(
    rf"""
      (?P<skip>
          \bE'(?:[^'\\]|\\.|'')*' | '(?:[^']|'')*' | "(?:[^"]|"")*" | \$(?P<tag>\w*)\$.*?\$(?P=tag)\$
        | --[^\n\r]* | {_COMMENT} | ::
      )
    | (?<![\w:\]]):(?: (?P<name>[a-z_][a-z0-9_]*) | '(?P<quoted>[a-z_][a-z0-9_]*)' )
    """,
    re.VERBOSE | re.DOTALL | re.IGNORECASE,
)


def unquote_parameters(sql: str) -> str:
    """Return the text with `:'name'` as ` :name `, every character behind it where it was."""
    return _TOKENS.sub(lambda match: f" :{match['quoted']} " if match["quoted"] else match[0], sql)


def plain_comments(sql: str) -> str:
    """Return the text with `?` for what is not ASCII in its comments, every character behind it where it was."""

    def plain(match: re.Match[str]) -> str:
        is_comment = match[0].startswith(("--", "/*"))
        return match[0].encode("ascii", "replace").decode() if is_comment else match[0]

    return _TOKENS.sub(plain, sql)


def code_of(sql: str) -> str:
    """Return the text with a blank for each comment, string and quoted name: what is left are words and signs."""
    return _TOKENS.sub(lambda match: match[0] if match["name"] else " ", sql)


def has_comment(sql: str) -> bool:
    """Whether the text has a comment."""
    return any(match[0].startswith(("--", "/*")) for match in _TOKENS.finditer(sql))


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
    return _READERS.get(kind, str)(text)


def _finite(text: str) -> str:
    """Return the number as it is written: the server reads it, so that no digit is lost on the way."""
    if not re.fullmatch(r"[-+]?\d{1,1000}(?:\.\d{1,1000})?", text):
        raise ValueError(text)
    return text


def _boolean(text: str) -> bool:
    if text not in ("true", "false"):
        raise ValueError(text)
    return text == "true"


def _json(text: str) -> str:
    json.loads(text)
    return text


_READERS: dict[str, Callable[[str], Any]] = {
    "bigint": int,
    "integer": int,
    "numeric": _finite,
    "boolean": _boolean,
    "uuid": UUID,
    "date": lambda text: date.fromisoformat(text).isoformat(),
    "timestamptz": lambda text: datetime.fromisoformat(text).astimezone(),
    "jsonb": _json,
}
"""Of each type that is not text."""
