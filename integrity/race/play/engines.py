"""What races need of an engine: the folder of its name in this room. An engine that is to be raced on has there

- `engine.py`, whose `open_engine` gives the database under races (engine.RaceEngine) and its wires,
- `scratch.py`, which makes a scratch database ready (`fill`), and says what empties its tables (`empty`).
"""

from collections.abc import Sequence
from typing import Any

from integrity.engines.engine import find_part
from integrity.engines.target import Target
from integrity.operation import Statement
from integrity.race.play.engine import RaceEngine, Scratch


def open_engine(target: Target, *, letter_seconds_max: float) -> RaceEngine:
    """Return the database under races.

    Args:
        letter_seconds_max: a statement that takes longer is an error.
    """
    opened: RaceEngine = _part(target, "engine").open_engine(target, letter_seconds_max=letter_seconds_max)
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


def _part(target: Target, module: str) -> Any:
    return find_part("integrity.race.play", target.dialect, module, serves="races")
