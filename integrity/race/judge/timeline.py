"""The timeline of a schedule: what happened, as lines of text with a column an actor."""

from collections.abc import Mapping, Sequence
from textwrap import wrap
from typing import Any

from integrity.race.judge.spelling_out import filled, named, names_of
from integrity.race.play.scheduler import PlayedSchedule
from integrity.race.program.trace import StepPhase, TraceEvent

_LINES_MAX = 7  # of a statement in a timeline


def timeline_of(run: PlayedSchedule) -> list[str]:
    """Return what happened in a run as lines of text, keys by their names."""
    return timeline(run.trace.events, names_of(run))


def timeline(
    events: Sequence[TraceEvent], names: Mapping[Any, str], *, width: int = 80, left_out: range = range(0)
) -> list[str]:
    """Return a schedule as lines of text, a column an actor.

    Args:
        names: of keys, shown in place of them.
        left_out: numbers of events, from 1, in whose place stands how many they are.
        width: of a line, where there are not so many actors that their columns need more.
    """
    actors = sorted({event.actor for event in events})
    column = max(16, (width - 4) // max(1, len(actors)) - 2)
    lines = []
    for place, event in enumerate(events, start=1):
        if place in left_out:
            lines += [f"    … {len(left_out)} more"] if place == left_out.start else []
            continue
        cell = [
            line
            for text in _describe(event, names)
            for line in wrap(text, column, subsequent_indent="  ", max_lines=_LINES_MAX, placeholder=" …")
        ]
        margin = " " * (actors.index(event.actor) * (column + 2))
        lines += [f"{place if n == 0 else '':>3} {margin}{line}" for n, line in enumerate(cell)]
    return lines


def _describe(event: TraceEvent, names: Mapping[Any, str]) -> list[str]:
    """Return what an event did, what came back, and whom it waited for."""
    if event.phase is StepPhase.WAITS:
        return [f"{_told(event, names)}", f"… waits for {', '.join(event.waits_for) or 'a lock'}"]
    first = "… goes on" if event.phase is StepPhase.RESUMED else _told(event, names)
    if event.refusal:
        return [first, f"✗ {event.refusal.message} ({event.refusal.sqlstate})"]
    rows = [", ".join(f"{name} {named(value, names)}" for name, value in row.items()) for row in event.rows[:3]]
    if event.rows[3:]:
        rows.append(f"and {len(event.rows) - 3} more")
    if not rows and event.tag not in ("COMMIT", "ROLLBACK"):
        rows = ["no row"] if event.tag == "SELECT 0" else [event.tag.lower()]
    return [first, *(f"→ {row}" for row in rows)]


def _told(event: TraceEvent, names: Mapping[Any, str]) -> str:
    return f"{'begin; ' if event.opens else ''}{filled(event, names)}{'; end' if event.closes else ''}"
