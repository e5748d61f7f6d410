"""Telling: what people are shown in place of keys and parameters."""

from collections.abc import Hashable, Mapping
from string import ascii_uppercase
from typing import Any
from uuid import UUID

from integrity.race.play.scheduler import PlayedSchedule
from integrity.race.program.trace import TraceEvent
from integrity.sql.parameters import replace_parameters


def names_of(run: PlayedSchedule) -> dict[Any, str]:
    """Return the names of a run's keys and operation_ids: what people call them."""
    names = {value: name for name, value in run.keys.items() if value is not None and isinstance(value, Hashable)}
    ids = {each: f"id of {letter}" for each, letter in zip(run.operation_ids, ascii_uppercase, strict=False)}
    return names | ids | {str(each): name for each, name in ids.items()}  # SQLite has them as text


def filled(event: TraceEvent, names: Mapping[Any, str]) -> str:
    """Return an event's statement in one line, with its values in it."""
    text = " ".join(event.sql.split())
    return replace_parameters(text, lambda name: str(named(event.parameters[name], names)))


def named(value: Any, names: Mapping[Any, str]) -> Any:
    """Return the name of a value, if it has one."""
    if value is None:
        return "null"
    return names.get(value, value) if isinstance(value, int | str | UUID) and not isinstance(value, bool) else value
