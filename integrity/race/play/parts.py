"""What races need of an engine: the folder of its name in this room. An engine that is to be raced on has there

- `engine.py`, whose `open_engine` gives the database under races (engine.WireEngine) and its wires,
- `scratch.py`, which makes a scratch database ready (`fill`), says what empties its tables (`empty`; `begin_anew`: and lets
  them number their rows as before), and what other connections to it are told (`relax`).
"""

from collections.abc import Sequence
from typing import Any

from integrity.engines.known import find_part
from integrity.engines.target import Target
from integrity.operation import Statement
from integrity.race.play.engine import Ask, Scratch, WireEngine
from integrity.systems.reflect import Reflected


def open_engine(target: Target, *, letter_seconds_max: float, has_books: bool = False) -> WireEngine:
    """Return the database under races.

    Args:
        letter_seconds_max: a statement that takes longer is an error.
        has_books: our own books are written and asked as well.
    """
    part = _part(target, "engine")
    opened: WireEngine = part.open_engine(target, letter_seconds_max=letter_seconds_max, has_books=has_books)
    return opened


def fill_scratch(scratch: Scratch) -> None:
    """Make the tables."""
    _part(scratch.target, "scratch").fill(scratch)


def emptying_statements(target: Target, names: Sequence[str]) -> list[Statement]:
    """Return the statements that empty tables.

    Args:
        names: of the tables, each before those that it refers to.
    """
    statements: list[Statement] = _part(target, "scratch").empty(names)
    return statements


def beginning_anew(target: Target, ask: Ask, names: Sequence[str]) -> list[Statement]:
    """Return the statements after which the tables of a scratch database hold nothing, and number their rows as now.

    Args:
        names: of the tables, each before those that it refers to.
    """
    statements: list[Statement] = _part(target, "scratch").begin_anew(ask, names)
    return statements


def relaxing(target: Target, ask: Ask) -> list[Statement]:
    """Return what other connections to a scratch database are told, as it has nothing to lose."""
    statements: list[Statement] = _part(target, "scratch").relax(ask)
    return statements


def emptying_of_reflected(target: Target, tables: Reflected) -> list[Statement]:
    """Return the statements that empty tables that were reflected, of few rows and before each schedule."""
    return list(_part(target, "definitions").emptying(tables))


def _part(target: Target, module: str) -> Any:
    return find_part("integrity.race.play", target.dialect, module, serves="races")
