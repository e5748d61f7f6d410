"""What is wrong with a value of a file's, in the words of the file: what it must be, and what it is not."""

from collections.abc import Mapping, Sequence
from typing import Any

from integrity.errors import quote

_WANTED = {
    "int": "a whole number", "float": "a number", "string": "a text", "bool": "true or false", "list": "a list",
    "dict": "a table", "model": "a table", "tuple": "a list", "date": "a day",
}  # fmt: skip
_BOUNDS = {"less_than_equal": "at most", "greater_than_equal": "at least", "greater_than": "more than"}
_OF_LENGTH = {
    "missing": "it is needed, and not there",
    "too_short": "it has {actual_length}, and at least {min_length} is needed",
    "too_long": "it has {actual_length}, and at most {max_length} are possible",
}
_KINDS: Mapping[type, str] = {
    dict: "a table",
    tuple: "a list",
    list: "a list",
    bool: "true or false",
    int: "a number",
    float: "a number",
}


def tell_mistake(errors: Sequence[Mapping[str, Any]], *, is_shown: bool) -> str:
    """Return what is wrong with one value.

    Args:
        errors: of pydantic's, all of that value: one for each thing that it could be.
        is_shown: the value may be.
    """
    first = errors[0]
    kind, context, value = first["type"], first.get("ctx") or {}, first.get("input")
    told = f", not {_spell(value)}" if is_shown or isinstance(value, dict | list) else ""
    said = _of_bounds(kind, context)
    if not said:
        wanted = list(dict.fromkeys(filter(None, map(_wanted, errors))))
        words = " or ".join([", ".join(wanted[:-1]), wanted[-1]] if wanted[1:] else wanted)
        said = f"it must be {words}" if words else first["msg"]
    return f"{said}{'' if kind in (*_OF_LENGTH, 'value_error') else told}"


def _of_bounds(kind: str, context: Mapping[str, Any]) -> str:
    if kind == "value_error":
        return str(context["error"])
    if kind in _OF_LENGTH:
        return _OF_LENGTH[kind].format(**context)
    if kind in _BOUNDS:
        return f"it must be {_BOUNDS[kind]} {next(iter(context.values())):g}"
    return 'it must be "module:function"' if kind == "string_pattern_mismatch" else ""


def _wanted(error: Mapping[str, Any]) -> str:
    name = str(error["type"]).partition("_")[0]
    if name == "model" and (error.get("ctx") or {}).get("class_name") == "RequestTable":
        return 'a line, "POST /pay {...}", or a table'
    return _WANTED.get(name, "")


def _spell(value: object) -> str:
    kind = _KINDS.get(type(value), "")
    return kind if isinstance(value, dict | list) or not isinstance(value, str | int | float) else quote(value)
