"""What races need of an engine, by its name: the only place in these rooms that knows them.

An engine that is to be raced on has a module for its `Engine` and its wires, and one that makes a scratch database ready.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from integrity.engines.target import Target
from integrity.operation import Statement
from integrity.race.play.engine import RaceEngine, Scratch


@dataclass(frozen=True, slots=True)
class _Kind:
    """What there is for one engine."""

    open: Callable[[Target, float], RaceEngine]
    fill: Callable[[Scratch], None]
    empty: Callable[[Sequence[str]], list[Statement]]


def open_engine(target: Target, *, letter_seconds_max: float) -> RaceEngine:
    """Return the database under races.

    Args:
        letter_seconds_max: a statement that takes longer is an error.
    """
    return _KINDS[target.dialect]().open(target, letter_seconds_max)


def fill_scratch(scratch: Scratch) -> None:
    """Make the tables."""
    _KINDS[scratch.target.dialect]().fill(scratch)


def emptying_statements(target: Target, names: Sequence[str]) -> list[Statement]:
    """Return the statements that empty tables.

    Args:
        names: of the tables, each before those that it refers to.
    """
    return _KINDS[target.dialect]().empty(names)


def _postgresql() -> _Kind:
    from integrity.race.play import postgres_scratch
    from integrity.race.play.postgres_engine import PostgresEngine

    return _Kind(
        lambda target, seconds: PostgresEngine(target, letter_seconds_max=seconds),
        postgres_scratch.fill,
        postgres_scratch.empty,
    )


def _sqlite() -> _Kind:
    from integrity.race.play import sqlite_scratch
    from integrity.race.play.sqlite_engine import SqliteRaceEngine

    return _Kind(
        lambda target, seconds: SqliteRaceEngine(target, letter_seconds_max=seconds),
        sqlite_scratch.fill,
        sqlite_scratch.empty,
    )


_KINDS: Mapping[str, Callable[[], _Kind]] = {"postgresql": _postgresql, "sqlite": _sqlite}
