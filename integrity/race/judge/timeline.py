"""The timeline of a schedule: what happened, as lines of text with a column an actor."""

from collections.abc import Mapping, Sequence
from textwrap import wrap
from typing import Any

from integrity.engines.known import find_engine
from integrity.operation import Isolation
from integrity.race.judge.spelling_out import filled, named, names_of
from integrity.race.play.scheduler import PlayedSchedule
from integrity.race.program.trace import StepPhase, TraceEvent

_LINES_MAX = 7  # of a statement in a timeline
_NUMBER_WIDTH = 4
_COLUMN_LEAST = 16


def timeline_of(run: PlayedSchedule, dialect: str) -> list[str]:
    """Return what happened in a run as lines of text, keys by their names.

    Args:
        dialect: of the engine that it was played on.
    """
    return timeline(run.trace.events, names_of(run), has_levels=find_engine(dialect).has_levels)


def timeline(
    events: Sequence[TraceEvent],
    names: Mapping[Any, str],
    *,
    width: int = 80,
    left_out: range = range(0),
    has_levels: bool = True,
) -> list[str]:
    """Return a schedule as lines of text, a column an actor.

    A begin is told with its level, unless all that happened did so at read committed.

    Args:
        names: of keys, shown in place of them.
        left_out: numbers of events, from 1, in whose place stands how many they are.
        width: of a line; where there are so many actors that their columns have no room side by side, they overlap.
        has_levels: transactions of the engine can be begun at several.
    """
    are_told = has_levels and any(event.level is not Isolation.READ_COMMITTED for event in events)
    actors = sorted({event.actor for event in events})
    room = width - _NUMBER_WIDTH
    column = max(_COLUMN_LEAST, room // max(1, len(actors)) - 2)
    step = min(column + 2, (room - column) // max(1, len(actors) - 1))
    lines = []
    for place, event in enumerate(events, start=1):
        if place in left_out:
            lines += [f"    … {len(left_out)} more"] if place == left_out.start else []
            continue
        cell = [
            line
            for text in _describe(event, names, _begun(event, are_told=are_told))
            for line in wrap(text, column, subsequent_indent="  ", max_lines=_LINES_MAX, placeholder=" …")
        ]
        margin = " " * (actors.index(event.actor) * step)
        lines += [f"{place if n == 0 else '':>3} {margin}{line}" for n, line in enumerate(cell)]
    return lines


def _begun(event: TraceEvent, *, are_told: bool) -> str:
    """Return what stands in front of a statement that opens a transaction; empty: it opens none."""
    if not event.opens:
        return ""
    return f"begin isolation level {event.level.value}; " if are_told else "begin; "


def _describe(event: TraceEvent, names: Mapping[Any, str], begun: str) -> list[str]:
    """Return what an event did, what came back, and whom it waited for."""
    done = f"{begun}{filled(event, names)}{'; end' if event.closes else ''}"
    if event.phase is StepPhase.WAITS:
        return [done, f"… waits for {', '.join(event.waits_for) or 'a lock'}"]
    first = "… goes on" if event.phase is StepPhase.RESUMED else done
    if event.refusal:
        return [first, f"✗ {event.refusal.message} ({event.refusal.sqlstate})"]
    rows = [", ".join(f"{name} {named(value, names)}" for name, value in row.items()) for row in event.rows[:3]]
    if event.rows[3:]:
        rows.append(f"and {len(event.rows) - 3} more")
    if not rows and event.tag not in ("COMMIT", "ROLLBACK"):
        rows = ["no row"] if event.tag == "SELECT 0" else [event.tag.lower()]
    return [first, *(f"→ {row}" for row in rows)]
