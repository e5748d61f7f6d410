"""`${NAME}` in settings: a variable of the environment, so that a password need not stand in a file.

`$${NAME}` is `${NAME}` itself. In the part of a URL before its `@` a value is taken as it is: a password may hold `/`
and `@`.
"""

import re
from collections.abc import Mapping
from typing import Any
from urllib.parse import quote as encode

from integrity.errors import UsageError, quote

_REFERENCE = re.compile(r"(?P<escape>\$?)\$\{(?P<name>[^}]*)\}")
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_CREDENTIALS = re.compile(r"://([^/]*)@")


def has_variables(text: object) -> bool:
    """Whether a text names a variable."""
    return isinstance(text, str) and _REFERENCE.search(text) is not None


def filled(value: Any, environment: Mapping[str, str], *, place: str) -> Any:
    """Return a value of settings, or a table or list of them, with the variables in its texts filled in.

    Args:
        place: where it stands, "integrity.toml: database.url".

    Raises:
        UsageError: there is no such variable.
    """
    if isinstance(value, str):
        return fill_in(value, environment, place=place)
    if isinstance(value, dict):
        begin = f"{place}." if not place.endswith(": ") else place
        return {name: filled(each, environment, place=f"{begin}{name}") for name, each in value.items()}
    if isinstance(value, list):
        return [filled(each, environment, place=f"{place}.{number}") for number, each in enumerate(value)]
    return value


def fill_in(text: str, environment: Mapping[str, str], *, place: str) -> str:
    """Return a text with its variables filled in.

    Raises:
        UsageError: there is no such variable.
    """
    credentials = _CREDENTIALS.search(text)

    def value_of(found: re.Match[str]) -> str:
        name = found["name"]
        if found["escape"]:
            return found[0][1:]
        if not _NAME.fullmatch(name):
            raise UsageError(
                f"{place}: {quote(found[0])} names no variable", hint="Write ${NAME}; $${ stands for the letters ${."
            )
        if name not in environment:
            raise UsageError(
                f"{place}: the environment has no variable {name}", hint=f"export {name}=..., or write its value there."
            )
        is_credential = credentials is not None and credentials.start(1) <= found.start() < credentials.end(1)
        return encode(environment[name], safe="") if is_credential else environment[name]

    return _REFERENCE.sub(value_of, text)
