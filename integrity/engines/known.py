"""Which engines are known: the one table of them, and how what is one engine's alone is found by its name.

The modules of an engine are imported when a target first asks for it, so that a command pays for the one that it works on.
"""

from functools import lru_cache
from importlib import import_module
from typing import Any, cast

from integrity.engines.engine import Engine
from integrity.errors import UsageError, quote

SCHEMES = {"postgresql": "postgresql", "postgres": "postgresql", "sqlite": "sqlite"}
"""How URLs begin, without a driver -> the engine's folder."""

ENGINES = tuple(dict.fromkeys(SCHEMES.values()))
"""The engines' names."""

USUAL = ENGINES[0]
"""The engine in whose words SQL is written here, and the one that is meant where none is named."""


@lru_cache(maxsize=8)
def find_engine(name: str) -> "Engine[Any]":
    """Return the engine whose folder has that name.

    Raises:
        UsageError: there is none, e.g. where a file of another version names it.
    """
    if name not in ENGINES:
        raise UsageError(f"no support for databases of kind {quote(name)}")
    return cast("Engine[Any]", import_module(f"integrity.engines.{name}.engine").ENGINE)


def find_part(room: str, engine: str, module: str = "", *, serves: str) -> Any:
    """Return what a room has for one engine only: the module of the engine's name in it, or one in the folder of that name.

    Args:
        room: its package.
        serves: what cannot be done without.

    Raises:
        UsageError: there is none.
    """
    title = find_engine(engine).title
    name = f"{room}.{engine}" + (f".{module}" if module else "")
    try:
        return import_module(name)
    except ModuleNotFoundError as error:
        if error.name is None or not name.startswith(error.name):
            raise
        raise UsageError(f"no support for {serves} on {title}") from None
