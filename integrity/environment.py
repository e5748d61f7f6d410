"""Variables of the environment: `${NAME}` in settings, so that a password need not stand there, and files that set some.

`$${NAME}` is `${NAME}` itself. In the part of a URL before its `@` a value is taken as it is: a password may hold `/`
and `@`.
"""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import quote as encode

from integrity.errors import UsageError, quote

_REFERENCE = re.compile(r"(?P<escape>\$?)\$\{(?P<name>[^}]*)\}")
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_CREDENTIALS = re.compile(r"://([^/]*)@")


def has_variables(text: object) -> bool:
    """Whether a text names a variable."""
    return isinstance(text, str) and _REFERENCE.search(text) is not None


def named_in(text: str) -> list[str]:
    """Return the variables that a text names."""
    return [found["name"] for found in _REFERENCE.finditer(text) if not found["escape"]]


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


_LINE = re.compile(r"(?:export\s+)?(?P<name>[A-Za-z_][A-Za-z0-9_]*)\s*=\s*(?P<value>.*)")
_QUOTED = re.compile(r"""(?P<mark>["'])(?P<inner>(?:\\.|(?!(?P=mark)).)*)(?P=mark)\s*(?:#.*)?""")


def read_file(path: Path) -> dict[str, str]:
    """Return the variables that a file names, a line each: `NAME=value`, `export NAME="value"`, `# why`.

    Within double quotes `\\n`, `\\"` and `\\\\` are what they are in a shell's; nothing is filled in.

    Raises:
        UsageError: it cannot be read, or a line says something else.
    """
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is no text in UTF-8"
        raise UsageError(f"--env-file {path}: {reason}", hint="Name a file of lines NAME=value.") from None
    found: dict[str, str] = {}
    for number, line in enumerate(lines, 1):
        text = line.strip()
        if not text or text.startswith("#"):
            continue
        said = _LINE.fullmatch(text)
        if said is None:  # what it says may be a secret
            raise UsageError(f"{path}:{number}: this line is not NAME=value", hint="A comment begins with #.")
        found[said["name"]] = _value(said["value"], place=f"{path}:{number}: {said['name']}")
    return found


def _value(text: str, *, place: str) -> str:
    if text[:1] not in ('"', "'"):
        return re.split(r"\s+#", text, maxsplit=1)[0].strip()
    quoted = _QUOTED.fullmatch(text)
    if quoted is None:
        raise UsageError(f"{place}: its quotation mark does not end on that line", hint="Close it, or leave it out.")
    inner = quoted["inner"]
    return re.sub(r"\\(.)", lambda mark: {"n": "\n"}.get(mark[1], mark[1]), inner) if quoted["mark"] == '"' else inner
