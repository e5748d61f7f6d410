"""What a program declares is held to its types as it is made: a slip is told where it was written, and not as it is used.

    marks=(Mark("orders", "operation_id"))        a Mark, where a tuple of them belongs
    arguments={"seat": IntegerIn(1, 9)}           of a function that takes no seat

Raised is from the line of the user's that makes the thing, so that who imports it finds the place in the traceback.
"""

import inspect
from collections.abc import Callable, Collection, Mapping, Sequence, Set
from dataclasses import fields
from functools import lru_cache
from types import NoneType, UnionType
from typing import Any, Union, get_args, get_origin, get_type_hints

from integrity.errors import UsageError, quote
from integrity.suggestion import suggest
from integrity.user_code import place_of


def check_fields(declared: Any) -> None:
    """Raise where a field of a dataclass is not of its type.

    A list does for a tuple, any set for a frozenset, and whole numbers for others. What a container holds is looked at.

    Raises:
        UsageError: one is not.
    """
    kind: Any = type(declared)
    for field in fields(declared):
        check_value(_shown(declared), field.name, getattr(declared, field.name), _types(kind)[field.name])


def check_value(said: str, name: str, value: Any, expected: Any, *, hint: str = "Mend it there.") -> None:
    """Raise where a value is not of its type, as a field of a dataclass is held to it.

    Args:
        said: what it is of, "operation 'redeem'".
        hint: what to write, unless the value is one of those of which there may be several.

    Raises:
        UsageError: it is not.
    """
    if _fits(value, expected):
        return
    items = _items(expected)
    is_bare = items is not None and _fits(value, items)
    one = repr(value) if isinstance(value, str | int) else f"{type(value).__name__}(...)"
    one = value.__name__ if isinstance(value, type) else one
    one = f"{{{one}}}" if get_origin(expected) is frozenset else f"({one},)"
    raise UsageError(
        f"{said}: {name} is {_described(value)}, and must be {_spelled(expected)}",
        hint=f"One of them is written so: {name}={one}." if is_bare else hint,
    )


def check_arguments(name: str, steps: Callable[..., Any], arguments: Collection[str]) -> None:
    """Raise where an operation's function cannot be called with the operation's arguments.

    Args:
        arguments: without operation_id; none: nobody but services calls it, with theirs.

    Raises:
        UsageError: it takes not one of them, or asks for another.
    """
    try:
        taken = inspect.signature(steps).parameters
    except (TypeError, ValueError):  # built in: nobody can say
        return
    given = ("operation_id", *arguments)
    named = {each.name: each for each in taken.values() if each.kind in (each.POSITIONAL_OR_KEYWORD, each.KEYWORD_ONLY)}
    takes_any = any(each.kind is each.VAR_KEYWORD for each in taken.values())
    unknown = [] if takes_any else [each for each in given if each not in named]
    lacking = [each for each, said in named.items() if said.default is said.empty and each not in given]
    if not arguments or not (unknown or lacking):
        return
    place = place_of(steps)
    function = f"{getattr(inspect.unwrap(steps), '__name__', 'its function')}{f' ({place})' if place else ''}"
    if unknown:
        reason = f"{function} takes no {quote(unknown[0])}, which it is called with"
        hint = suggest(unknown[0], lacking, always=f"It takes: {', '.join(named) or 'nothing'}.")
    else:
        reason = f"{function} asks for {quote(lacking[0])}, which it is not called with"
        hint = f"It is called with: {', '.join(given)}. Name it among the operation's arguments, or give it a default."
    raise UsageError(f"operation {quote(name)}: {reason}", hint=hint)


@lru_cache(maxsize=64)
def _types(kind: Any) -> Mapping[str, Any]:
    return get_type_hints(kind)


def _fits(value: Any, expected: Any) -> bool:
    origin, inner = get_origin(expected), get_args(expected)
    if origin in (Union, UnionType):
        return any(_fits(value, each) for each in inner)
    if origin is Callable or expected is Callable:
        return callable(value)
    if origin is tuple and inner[-1:] != (...,):
        return isinstance(value, tuple | list) and len(value) == len(inner) and all(map(_fits, value, inner))
    if origin is not None and issubclass(origin, Mapping):
        return isinstance(value, Mapping) and all(_fits(k, inner[0]) and _fits(v, inner[1]) for k, v in value.items())
    items = _items(expected)
    if items is not None:
        held: Any = Set if origin is frozenset else Sequence if origin is Sequence else (tuple, list)
        return isinstance(value, held) and not isinstance(value, str | bytes) and all(_fits(each, items) for each in value)
    return _is_a(value, expected)


def _is_a(value: Any, expected: Any) -> bool:
    if get_origin(expected) is type:
        return isinstance(value, type) and issubclass(value, get_args(expected)[0])
    if expected in (None, NoneType):
        return value is None
    if not isinstance(expected, type):
        return True
    if getattr(expected, "_is_protocol", False):
        asked = [name for name, each in vars(expected).items() if callable(each) and not name.startswith("_")]
        return not isinstance(value, type) and all(callable(getattr(value, name, None)) for name in asked)
    if expected in (int, float) and isinstance(value, bool):
        return False
    return isinstance(value, (int, float) if expected is float else expected)


def _items(expected: Any) -> Any | None:
    """Return of what type the items of a tuple, a sequence or a set are; None: it is none, or each has its own."""
    origin, inner = get_origin(expected), get_args(expected)
    if origin in (frozenset, Sequence) or (origin is tuple and inner[-1:] == (...,)):
        return inner[0]
    return None


def _shown(declared: Any) -> str:
    kind = type(declared).__name__.lower()
    name = getattr(declared, "name", getattr(declared, "table", ""))
    return f"{kind} {quote(name)}" if isinstance(name, str) and name else kind


def _described(value: Any) -> str:
    if value is None:
        return "None"
    if isinstance(value, type):
        return f"the type {value.__name__}"
    shown = f" {quote(value)}" if isinstance(value, str | int | float) else ""
    held = list(value) if isinstance(value, list | tuple | set | frozenset) else []
    inside = ",".join(sorted({type(each).__name__ for each in held}))
    only = f" {quote(held[0])}" if len(held) == 1 and isinstance(held[0], str) else ""
    return f"of type {type(value).__name__}{shown}{f' of {inside}{only}' if inside else ''}"


def _spelled(expected: Any) -> str:
    origin, inner = get_origin(expected), get_args(expected)
    if origin in (Union, UnionType):
        return " or ".join(map(_spelled, inner))
    if origin in (Callable, type):
        return "a function" if origin is Callable else f"{inner[0].__name__} types"
    if origin is not None and issubclass(origin, Mapping):
        return f"a mapping of {_spelled(inner[0])} to {_spelled(inner[1])}"
    items = _items(expected)
    if items is not None:
        return f"a {origin.__name__.lower()} of {_spelled(items)}" if origin else ""
    if origin is tuple:
        return f"({', '.join(map(_spelled, inner))})"
    return "None" if expected in (None, NoneType) else str(getattr(expected, "__name__", expected))
