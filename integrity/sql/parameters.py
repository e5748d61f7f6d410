"""Parameters: `:name` placeholders in SQL text.

`::type` is a cast and `a[1:2]` a slice, neither is one; nor is what stands in a string, a quoted name or a comment.
`:'name'` is psql's way to write one whose value is quoted; here values never stand in the text, and both are the same.
"""

import json
import re
from collections.abc import Callable, Iterator
from datetime import date, datetime
from functools import lru_cache
from itertools import pairwise
from typing import Any, NamedTuple
from uuid import UUID

from integrity.sql.tokens import Token, TokenKind, spliced, tokenize

_PARAMETER_NAME = re.compile(r"[a-z_][a-z0-9_]*", re.IGNORECASE)


class Mark(NamedTuple):
    """A parameter as it stands in a text.

    Args:
        is_quoted: as `:'name'`.
    """

    name: str
    start: int
    end: int
    is_quoted: bool = False


@lru_cache(maxsize=256)
def marks_in(sql: str) -> tuple[Mark, ...]:
    """Return the parameters of a text in its order, `:'name'` included."""
    found = []
    for colon, token in pairwise(tokenize(sql)) if ":" in sql else ():
        if colon.text != ":" or not colon.is_sign(":") or colon.end != token.start or _ends_value(sql[: colon.start][-1:]):
            continue
        if token.kind is TokenKind.WORD and (name := _PARAMETER_NAME.match(sql, token.start)):
            found.append(Mark(name[0], colon.start, name.end()))
        elif token.kind is TokenKind.STRING and _PARAMETER_NAME.fullmatch(token.text[1:-1]):
            found.append(Mark(token.text[1:-1], colon.start, token.end, is_quoted=True))
    return tuple(found)


def _parameters_in(sql: str) -> Iterator[Token]:
    """Yield the parameters as tokens of their own: their text is the name."""
    return (Token(TokenKind.WORD, each.name, each.start, each.end) for each in marks_in(sql) if not each.is_quoted)


def _ends_value(character: str) -> bool:
    """Whether a colon behind the character is a part of a slice, or of a cast."""
    return character.isalnum() or character in ("_", ":", "]") if character else False


def unquote_parameters(sql: str) -> str:
    """Return the text with `:'name'` as ` :name `, every character behind it where it was."""
    quoted = (each for each in marks_in(sql) if each.is_quoted)
    return spliced(sql, [(Token(TokenKind.STRING, "", each.start, each.end), f" :{each.name} ") for each in quoted])


def plain_comments(sql: str) -> str:
    """Return the text with `?` for what is not ASCII in its comments, every character behind it where it was."""
    comments = [token for token in tokenize(sql) if token.kind is TokenKind.COMMENT]
    return spliced(sql, [(token, token.text.encode("ascii", "replace").decode()) for token in comments])


@lru_cache(maxsize=4096)
def find_parameters(sql: str) -> tuple[str, ...]:
    """Return the parameter names in order of first appearance, without repeats."""
    return tuple(dict.fromkeys(token.text for token in _parameters_in(sql)))


def replace_parameters(sql: str, placeholder: Callable[[str], str]) -> str:
    """Return the text with every `:name` replaced by placeholder(name)."""
    return spliced(sql, [(token, placeholder(token.text)) for token in _parameters_in(sql)])


@lru_cache(maxsize=4096)
def number_parameters(sql: str) -> tuple[str, tuple[str, ...]]:
    """Return the text with `$1, $2, ...` (PostgreSQL's own) and the names in that order."""
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
