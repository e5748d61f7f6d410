"""Values: how one is written where it must be read again. The only place that knows, for each kind of value.

As the text that PostgreSQL reads (a parameter), as a literal of SQL, as an expression of Python, as JSON that gives the
same value back, and as JSON for people and other programs, which has the server's text for what JSON lacks.

A list is an array and a mapping is a JSON object; a JSON list has to be asked for, since nothing in it says which it is.
"""

import json
import math
import re
from collections.abc import Callable, Mapping
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from functools import lru_cache
from typing import Any
from uuid import UUID

from integrity.sql.name import literal

PYTHON_MODULES = ("datetime", "decimal", "uuid")
"""What expressions of `python_of` may name."""

_LARGEST = 2**63


def text_of(value: Any, *, is_json: bool = False) -> str | None:  # noqa: PLR0911  (one a kind)
    """Return the value as PostgreSQL reads it; None for null.

    Args:
        is_json: of a json or jsonb column, where a list is no array and a text is a JSON string.
    """
    if value is None:
        return None
    if type(value) is UUID and not is_json:
        return _text_of_id(value)
    if is_json or isinstance(value, Mapping):
        return json.dumps(value, sort_keys=True, ensure_ascii=False, default=text_of)
    match value:
        case bool():
            return "true" if value else "false"
        case list() | tuple():
            return "{" + ",".join("NULL" if each is None else _element(each) for each in value) + "}"
        case float():
            return _text_of_float(value)
        case bytes() | bytearray() | memoryview():
            return f"\\x{bytes(value).hex()}"
        case datetime() | date() | time():
            return value.isoformat()
        case timedelta():
            return f"{value.days} days {value.seconds}.{value.microseconds:06d} seconds"
    return str(value)


@lru_cache(maxsize=1024)
def _text_of_id(value: UUID) -> str:
    """Return an id's text: a call writes its own into several rows, and to spell it takes longer than to look it up."""
    return str(value)


def sql_of(value: Any, *, is_json: bool = False) -> str:
    """Return the value as a literal of PostgreSQL's, on one line whatever is in it."""
    text = text_of(value, is_json=is_json)
    if text is None:
        return "null"
    if not is_json and (isinstance(value, bool | int) or (isinstance(value, Decimal | float) and math.isfinite(value))):
        return f"({text})" if text.startswith("-") else text  # `x -:y` would else begin a comment
    quoted = literal(text)
    if "\n" in quoted or "\\" in quoted:
        return "e" + quoted.replace("\\", "\\\\").replace("\n", "\\n")
    return quoted


def python_of(value: Any) -> str:  # noqa: PLR0911  (one a kind)
    """Return the value as an expression of Python, given PYTHON_MODULES; a text in the quotes that a formatter chooses."""
    match value:
        case str():
            return json.dumps(value, ensure_ascii=False) if value.isprintable() else repr(value)
        case float() if not math.isfinite(value):
            return f'float("{value}")'
        case Decimal():
            return f'decimal.Decimal("{value}")'
        case UUID():
            return f'uuid.UUID("{value}")'
        case datetime() | date() | time():
            return f'datetime.{type(value).__name__}.fromisoformat("{value.isoformat()}")'
        case timedelta():
            return f"datetime.timedelta({value.days}, {value.seconds}, {value.microseconds})"
        case tuple():
            return f"({', '.join(map(python_of, value))}{',' if len(value) == 1 else ''})"
        case list():
            return f"[{', '.join(map(python_of, value))}]"
        case Mapping():
            return f"{{{', '.join(f'{python_of(name)}: {python_of(each)}' for name, each in value.items())}}}"
    return repr(value)


def json_of(value: Any) -> Any:  # noqa: PLR0911  (one a kind)
    """Return the value as JSON, from which `from_json` gives it back: what JSON lacks as {"$kind": ...}."""
    match value:
        case None | bool() | str():
            return value
        case int():
            return value if -_LARGEST <= value < _LARGEST else {"$int": str(value)}
        case float():
            return value if math.isfinite(value) else {"$float": str(value)}
        case list() | tuple():
            return [json_of(each) for each in value]
        case Mapping():
            return {"$object": {name: json_of(each) for name, each in value.items()}}
        case timedelta():
            return {"$timedelta": [value.days, value.seconds, value.microseconds]}
        case Decimal() | UUID() | datetime() | date() | time() | bytes():
            return {f"${type(value).__name__.lower()}": text_of(value)}
    return text_of(value)


def from_json(value: Any) -> Any:
    """Return the value that `json_of` wrote.

    Raises:
        ValueError: it wrote no such thing.
    """
    if isinstance(value, list):
        return [from_json(each) for each in value]
    if not isinstance(value, Mapping):
        return value
    if len(value) != 1 or (kind := next(iter(value))) not in _READERS:
        raise ValueError(f"{json.dumps(value)} is not the value of a call")
    return _READERS[kind](value[kind])


_READERS: dict[str, Callable[[Any], Any]] = {
    "$int": int,
    "$float": float,
    "$decimal": Decimal,
    "$uuid": UUID,
    "$datetime": datetime.fromisoformat,
    "$date": date.fromisoformat,
    "$time": time.fromisoformat,
    "$timedelta": lambda parts: timedelta(*parts),
    "$bytes": lambda text: bytes.fromhex(text.removeprefix("\\x")),
    "$object": lambda members: {name: from_json(each) for name, each in members.items()},
}


def evidence_of(value: Any) -> Any:
    """Return the value as JSON for people and other programs: numbers, lists and objects as such, all else as text."""
    match value:
        case None | bool() | str():
            return value
        case int() if -_LARGEST <= value < _LARGEST:
            return value
        case float() if math.isfinite(value):
            return value
        case list() | tuple():
            return [evidence_of(each) for each in value]
        case Mapping():
            return {str(name): evidence_of(each) for name, each in value.items()}
    return text_of(value)


def _element(value: Any) -> str:
    """Return an element of an array; a list is a dimension more."""
    if isinstance(value, list | tuple):
        return str(text_of(value))
    text = str(text_of(value)).replace("\\", "\\\\").replace('"', '\\"')
    return f'"{text}"'


def _text_of_float(value: float) -> str:
    if math.isfinite(value):
        return repr(value)
    return "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"


_STORED_UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_STORED_TIME = re.compile(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d(\.\d{1,6})?")


def from_text(value: Any) -> Any:
    """Return a text in the form of a UUID or of a time as such, as an engine has it that lacks the type; else the value.

    For comparing rows: a text that happens to look like either is taken for it.
    """
    if isinstance(value, str):
        if _STORED_UUID.fullmatch(value):
            return UUID(value)
        if _STORED_TIME.fullmatch(value):
            return datetime.fromisoformat(value).replace(tzinfo=UTC)
    return value
