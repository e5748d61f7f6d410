"""Explanations: why a schedule is wrong, told by what actually happened in it and in the serial orders of the same calls.

For each serial order the statements of a call are laid beside those of the schedule, and the first answer that differs is
why this order does not explain it: "A before B: B read balance 1000, not 900". From who missed whose effect, and from the
rows that each call changes when it runs alone, follows the anomaly's name in Adya's terms.

Source of the names: Adya, Liskov, O'Neil, ICDE 2000; lost update (P4) and read skew from Berenson and others, SIGMOD 1995.
"""

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from enum import Enum
from string import ascii_uppercase
from textwrap import wrap
from typing import Any
from uuid import UUID

from integrity.database.dialects import from_sqlite
from integrity.operation import Declined, Ok
from integrity.parameters import replace_parameters
from integrity.race.oracle import Judge, SerialOrder
from integrity.race.outcome import Remains, is_moment
from integrity.race.scheduler import Run
from integrity.race.trace import Event, Failed, Phase, Return

_LINES_MAX = 4  # of a statement in a timeline


class Anomaly(Enum):
    """What kind of thing went wrong: Adya's name, if the level is to blame, and plain words."""

    LOST_UPDATE = "P4", "lost update: one call read a row, the other changed it, and the first wrote over the change"
    WRITE_SKEW = "G2-item", "write skew: each read a row that the other then changed, and wrote another"
    PHANTOM = "G2", "phantom: each looked for rows, found them as they were before the other, and then wrote"
    READ_SKEW = "G-single", "read skew: one call saw a part of the other's effect, and a part of what was before it"
    CYCLE = "G2", "cycle: each call can be put before the next only by what it did not see, all round"
    STALE_CHECK = "none", "stale check: what one transaction of a call found was no longer true in its next"
    LATE_WRITE = "none", "late write: what one call wrote afterwards is of an earlier time than what it wrote over"
    SERIAL = "none", "no race: the calls come out wrong even one after the other"

    @property
    def code(self) -> str:
        return self.value[0]

    @property
    def words(self) -> str:
        return self.value[1]


@dataclass(frozen=True, slots=True)
class Difference:
    """Where a schedule departs from a serial order.

    Args:
        actor: whose answer differs.
        number: of its letter; -1 for what the call returned.
        text: e.g. "B read balance 1000, not 900".
        is_presence: rows are there or not, rather than hold another value.
    """

    actor: str
    number: int
    text: str
    is_presence: bool = False


@dataclass(frozen=True, slots=True)
class OrderRefuted:
    """Why one serial order does not explain a schedule."""

    actors: str
    reason: str

    def __str__(self) -> str:
        return f"{' before '.join(self.actors)}: {self.reason}"


@dataclass(frozen=True, slots=True)
class Explanation:
    """Why a schedule is wrong.

    Args:
        anomaly: its kind.
        orders: why each serial order does not explain it; empty when one does (then it is an invariant that says no).
    """

    anomaly: Anomaly
    orders: tuple[OrderRefuted, ...]

    @property
    def lines(self) -> list[str]:
        """The explanation as text."""
        code = f" ({self.anomaly.code})" if self.anomaly.code != "none" else ""
        lines = [str(order) for order in self.orders]
        lines.append(f"{'No order gives this: ' if self.orders else ''}{self.anomaly.words}{code}.")
        if self.anomaly is Anomaly.STALE_CHECK:
            lines.append("No isolation level prevents it, for each transaction by itself is in order.")
        return lines


def explain(judge: Judge, run: Run) -> Explanation:
    """Return why a schedule is wrong.

    Args:
        judge: of its program; plays serial orders and single calls as needed.
    """
    actors = "".join(actor for actor in sorted(run.trace.returns) if not isinstance(run.trace.returns[actor], Failed))
    orders = judge.serial_orders(actors)
    remains = judge.read(run)
    refuted = []
    for order in orders:
        differences = _differences(run, order)
        if not differences and judge.is_alike(remains, order):
            if order.is_wrong:
                return Explanation(Anomaly.SERIAL, ())
            # Outcomes do not tell times apart, since those of two runs always differ. A check that puts them in order does.
            text = _compare_times(judge.masking(remains), judge.masking(order.remains))
            return Explanation(Anomaly.LATE_WRITE, (OrderRefuted(order.actors, text),))
        refuted.append((order, differences))
    anomaly = _name(judge, actors, [differences for _, differences in refuted])
    if any(_is_in_parts(run.trace.events, each) for _, differences in refuted for each in differences):
        anomaly = Anomaly.STALE_CHECK
    return Explanation(
        anomaly,
        tuple(
            OrderRefuted(
                order.actors,
                differences[0].text if differences else _compare_rows(judge.masking(remains), judge.masking(order.remains)),
            )
            for order, differences in refuted
        ),
    )


def _name(judge: Judge, actors: str, differences: Sequence[Sequence[Difference]]) -> Anomaly:
    stale = {difference.actor for each in differences for difference in each}
    if len(actors) != 2 or not stale:
        return Anomaly.CYCLE
    if any(difference.is_presence for each in differences for difference in each[:1]):
        return Anomaly.PHANTOM
    before = judge.staged()
    one, other = (_changed(before, judge.serial_orders(actor)[0].remains) for actor in actors)
    if one & other:
        return Anomaly.LOST_UPDATE
    if len(stale) == 1:
        return Anomaly.READ_SKEW
    return Anomaly.WRITE_SKEW if one and other else Anomaly.PHANTOM


def _changed(before: Remains, after: Remains) -> Counter[Any]:
    """Return the staged rows that a call changed or deleted."""
    return Counter(before.named()) - Counter(after.named())


def _differences(run: Run, order: SerialOrder) -> list[Difference]:
    """Return what differs between a schedule and a serial order, of each call the first, in the schedule's order."""
    generated = run.trace.generated | order.run.trace.generated
    expected = {
        order.names[ascii_uppercase.index(event.actor)] + str(event.number): event
        for event in _done(order.run.trace.events)
    }
    found: dict[str, Difference] = {}
    for event in _done(run.trace.events):
        if event.actor in found or event.actor not in order.actors:
            continue
        other = expected.get(event.actor + str(event.number))
        difference = _compare(event, other, generated) if other else None
        if difference:
            found[event.actor] = difference
    for letter, value in order.run.trace.returns.items():
        actor = order.names[ascii_uppercase.index(letter)]
        if actor not in found and (text := _compare_returns(actor, run.trace.returns[actor], value, generated)):
            found[actor] = Difference(actor, -1, text)
    return list(found.values())


def _done(events: Sequence[Event]) -> list[Event]:
    return [event for event in events if event.phase is not Phase.WAITS]


def _compare(event: Event, other: Event, generated: Collection[Any]) -> Difference | None:
    """Return what differs between the answers to the same letter of a call in two runs."""
    if event.sql != other.sql:
        return Difference(event.actor, event.number, f"{event.actor} went on otherwise: {_short(event)}")
    if len(event.rows) != len(other.rows):
        text = f"{event.actor} found {_rows(len(event.rows))}, not {_rows(len(other.rows))}: {_short(event)}"
        return Difference(event.actor, event.number, text, is_presence=True)
    for row, other_row in zip(event.rows, other.rows, strict=True):
        for column, value in row.items():
            if not _alike(value, other_row[column], generated):
                return Difference(
                    event.actor, event.number, f"{event.actor} read {column} {value}, not {other_row[column]}"
                )
    if event.tag != other.tag:
        text = f"{event.actor} got {event.tag or 'an error'}, not {other.tag or 'an error'}: {_short(event)}"
        return Difference(event.actor, event.number, text, is_presence=True)
    return None


def _compare_returns(actor: str, value: Return, other: Return, generated: Collection[Any]) -> str:
    match value, other:
        case Ok(), Ok():
            for name, each in value.value.items():
                if not _alike(each, other.value.get(name), generated):
                    return f"{actor} answered {name} {each}, not {other.value.get(name)}"
            return ""
        case Declined(), Declined():
            return "" if value.reason == other.reason else f"{actor} declined {value.reason}, not {other.reason}"
    return "" if type(value) is type(other) else f"{actor} {_kind(value)}, and would have {_kind(other)}"


def _compare_rows(remains: Remains, expected: Remains) -> str:
    """Return the first difference between the final rows of two runs."""
    ours, theirs = Counter(remains.named()), Counter(expected.named())
    for table, cells in ours - theirs:
        counterparts = [other for name, other in theirs - ours if name == table]
        if not counterparts:
            return f"{table} has a row more"
        nearest = min(
            counterparts, key=lambda other: sum(one != another for one, another in zip(cells, other, strict=True))
        )
        differing = zip(remains.columns[table], cells, nearest, strict=True)
        name, value, other = next((name, one, other) for name, one, other in differing if one != other)
        return f"{table} has {name} {value} in the end, not {other}"
    for table, _ in theirs - ours:
        return f"{table} has a row less"
    return "the rows come out otherwise"


def _compare_times(remains: Remains, expected: Remains) -> str:
    """Return which time comes earlier or later, among all times of its run, than in another run that is alike."""
    ours, theirs = Counter(remains.looks()), Counter(expected.looks())
    for table, *cells in ours - theirs:
        for others in (others for name, *others in theirs - ours if name == table):
            for column, cell, other in zip(remains.columns[table], cells, others, strict=True):
                if cell != other and is_moment(cell) and is_moment(other):
                    return f"{table} has {'an earlier' if cell < other else 'a later'} {column} in the end"
    return "the times come in another order"


def _kind(value: Return) -> str:
    match value:
        case Ok():
            return "succeeded"
        case Declined():
            return f"declined ({value.reason})"
        case Failed():
            return f"failed ({value.sqlstate})"


def _alike(value: Any, other: Any, generated: Collection[Any]) -> bool:
    if value == other:
        return True
    value, other = from_sqlite(value), from_sqlite(other)
    if isinstance(value, datetime | date | UUID):
        return type(value) is type(other)
    return value in generated and other in generated


def _is_in_parts(events: Sequence[Event], difference: Difference) -> bool:
    """Return whether the call wrote only in a later transaction than the one in which it read what was old."""
    later = [event for event in _done(events) if event.actor == difference.actor and event.number > difference.number >= 0]
    for event in later:
        if event.opens:
            return True
        if event.sql in ("commit", "rollback"):
            return event is not later[-1]
    return False


def _rows(count: int) -> str:
    return {0: "no row", 1: "1 row"}.get(count, f"{count} rows")


def _short(event: Event, width: int = 60) -> str:
    text = " ".join(event.sql.split())
    return text if len(text) <= width else f"{text[: width - 1]}…"


def names_of(run: Run) -> dict[Any, str]:
    """Return the names of a run's keys and operation_ids: what people call them."""
    names = {value: name for name, value in run.keys.items() if value is not None}
    ids = {each: f"id of {letter}" for each, letter in zip(run.operation_ids, ascii_uppercase, strict=False)}
    return names | ids | {str(each): name for each, name in ids.items()}  # SQLite has them as text


def timeline(events: Sequence[Event], names: Mapping[Any, str], *, width: int = 120) -> list[str]:
    """Return a schedule as lines of text, a column an actor.

    Args:
        names: of keys, shown in place of them.
        width: of a line, at least.
    """
    actors = sorted({event.actor for event in events})
    column = max(24, (width - 4) // max(1, len(actors)) - 2)
    lines = []
    for place, event in enumerate(events, start=1):
        cell = [
            line
            for text in _describe(event, names)
            for line in wrap(text, column, subsequent_indent="  ", max_lines=_LINES_MAX, placeholder=" …")
        ]
        margin = " " * (actors.index(event.actor) * (column + 2))
        lines += [f"{place if n == 0 else '':>3} {margin}{line}" for n, line in enumerate(cell)]
    return lines


def _describe(event: Event, names: Mapping[Any, str]) -> list[str]:
    """Return what an event did, what came back, and whom it waited for."""
    if event.phase is Phase.WAITS:
        return [f"{_filled(event, names)}", f"… waits for {', '.join(event.waits_for) or 'a lock'}"]
    first = "… goes on" if event.phase is Phase.RESUMED else _filled(event, names)
    if event.refusal:
        return [first, f"✗ {event.refusal.message} ({event.refusal.sqlstate})"]
    rows = [", ".join(f"{name} {_named(value, names)}" for name, value in row.items()) for row in event.rows[:3]]
    if event.rows[3:]:
        rows.append(f"and {len(event.rows) - 3} more")
    if not rows and event.tag not in ("COMMIT", "ROLLBACK"):
        rows = ["no row"] if event.tag == "SELECT 0" else [event.tag.lower()]
    return [first, *(f"→ {row}" for row in rows)]


def _filled(event: Event, names: Mapping[Any, str]) -> str:
    text = " ".join(event.sql.split())
    text = replace_parameters(text, lambda name: str(_named(event.parameters[name], names)))
    return f"{'begin; ' if event.opens else ''}{text}{'; end' if event.closes else ''}"


def _named(value: Any, names: Mapping[Any, str]) -> Any:
    if value is None:
        return "null"
    return names.get(value, value) if isinstance(value, int | str | UUID) and not isinstance(value, bool) else value
