"""Explanations: why a schedule is wrong, told by what actually happened in it and in the serial orders of the same calls.

For each serial order the statements of a call are laid beside those of the schedule, and the first answer that differs is
why this order does not explain it: "A before B: B read balance 1000, not 900". From who missed whose effect, and from the
rows that each call changes when it runs alone, follows the anomaly's name: see anomaly.py. Of a call that failed, and of a
deadlock, what happened is told as it is.
"""

from collections import Counter
from collections.abc import Callable, Collection, Hashable, Iterator, Mapping, Sequence, Set
from dataclasses import dataclass
from datetime import datetime
from string import ascii_uppercase
from typing import Any
from uuid import UUID

from integrity.engines.values import from_text
from integrity.numbers import counted
from integrity.operation import Declined, Ok, Row, Unavailable
from integrity.race.judge.anomaly import Anomaly, Difference, name_anomaly
from integrity.race.judge.documents import Document
from integrity.race.judge.end_state import Remains, is_moment
from integrity.race.judge.judge import Judge, SerialOrder
from integrity.race.judge.oracles import Alarm, Oracle
from integrity.race.judge.overwriting import adds_only
from integrity.race.judge.row_changes import named_in
from integrity.race.judge.spelling_out import named, names_of
from integrity.race.play.scheduler import PlayedSchedule
from integrity.race.program.statements import asks_for_order, tables_of, written_tables
from integrity.race.program.trace import Failed, Return, StepPhase, TraceEvent
from integrity.sql.parameters import find_parameters


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
        events: what happened, where that says it all: a call that failed, a deadlock.
        beside: the invariants that are violated here, and one after the other, too, a sentence each.
    """

    anomaly: Anomaly
    orders: tuple[OrderRefuted, ...]
    events: tuple[str, ...] = ()
    beside: tuple[str, ...] = ()

    @property
    def lines(self) -> list[str]:
        """The explanation as text."""
        code = f" ({self.anomaly.code})" if self.anomaly.code != "none" else ""
        lines = [*self.events, *(str(order) for order in self.orders)]
        is_told = self.orders and self.anomaly is not Anomaly.ANSWERS  # whose words say it
        lines.append(f"{'No order gives this: ' if is_told else ''}{self.anomaly.words}{code}.")
        if self.anomaly in (Anomaly.STALE_CHECK, Anomaly.HALF_DONE):
            lines.append("Each transaction by itself is in order.")
        return [*lines, *self.beside]


def explain(judge: Judge, run: PlayedSchedule, *, alarms: Sequence[Alarm] | None = None) -> Explanation:
    """Return why a schedule is wrong.

    Args:
        judge: of its program; plays serial orders and single calls as needed.
        alarms: what is wrong, where that is known; else the judge is asked, while the rows are as the run left them.
    """
    if alarms is None:
        judgement = judge.judge(run)
        alarms = judgement.alarms or judgement.apart
    for oracle, anomaly in _TOLD_AS_IT_IS.items():
        if found := [alarm for alarm in alarms if alarm.oracle is oracle]:
            told = tuple(line for alarm in found for line in _lines(alarm))
            return Explanation(anomaly, (), told, tuple(_tell_no_races(alarms, judge)))
    actors = "".join(actor for actor in sorted(run.trace.returns) if not isinstance(run.trace.returns[actor], Failed))
    remains = judge.read(run)
    if judge.is_wrong_serially(run, remains):
        return Explanation(Anomaly.SERIAL, ())
    orders = judge.serial_orders(actors)
    refuted = []
    for order in orders:
        differences = _differences(run, order, judge)
        if not differences and judge.is_alike(remains, order):
            if order.violated:
                return Explanation(Anomaly.SERIAL, ())
            # Outcomes do not tell times apart, since those of two runs always differ. A check that puts them in order does.
            text = _compare_times(judge.masking(remains), judge.masking(order.remains))
            return Explanation(Anomaly.LATE_WRITE, (OrderRefuted(order.actors, text),))
        refuted.append((order, differences))
    anomaly = _name(judge, run, actors, [differences for _, differences in refuted])
    if any(alarm.oracle is Oracle.REPLIES for alarm in alarms) and anomaly is not Anomaly.READ_SKEW:
        anomaly = Anomaly.ANSWERS
    return Explanation(
        anomaly,
        tuple(
            OrderRefuted(
                order.actors,
                differences[0].text if differences else _compare_rows(judge.masking(remains), judge.masking(order.remains)),
            )
            for order, differences in refuted
        ),
        beside=tuple(_tell_no_races(alarms, judge)),
    )


def _tell_no_races(alarms: Sequence[Alarm], judge: Judge) -> Iterator[str]:
    for name in (alarm.name for alarm in alarms if alarm.is_serial):
        also = ", ".join(" before ".join(order.actors) for order in judge.whole_orders if name in order.violated)
        yield f"{name} is no part of this race: it is violated one after the other, too{f' ({also})' if also else ''}."


_TOLD_AS_IT_IS = {
    Oracle.SWALLOWED: Anomaly.SWALLOWED,
    Oracle.FAILURE: Anomaly.FAILURE,
    Oracle.DEADLOCK: Anomaly.DEADLOCK,
}


def _lines(alarm: Alarm) -> Iterator[str]:
    """Yield what happened to each call that an alarm is about, a line or two each."""
    for row in alarm.rows:
        match alarm.oracle:
            case Oracle.SWALLOWED:
                yield f"{row['call']} was refused with {row['refused']}: {row['statement']}"
                yield f"{row['call']} told its client: {row['answered']}"
            case Oracle.DEADLOCK:
                yield f"{row['call']} waits for {row['waits_for']}: {row['statement']}"
                yield f"{row['call']} had done before: {row['did_before'] or 'nothing'}"
            case _:
                where = "at" if "statement" in row else "after"
                yield f"{row['call']} failed with {row['error']}, {where}: {row.get('statement') or row.get('after')}"


def _name(judge: Judge, run: PlayedSchedule, actors: str, differences: Sequence[Sequence[Difference]]) -> Anomaly:
    anomaly = name_anomaly(
        differences, changes={actor: judge.changes_alone(actor) for actor in actors} if len(actors) == 2 else {}
    )
    if anomaly in (Anomaly.LOST_UPDATE, Anomaly.CURSOR_LOST_UPDATE) and adds_only(_statements_of(run, actors)):
        anomaly = Anomaly.LOST_PRECONDITION  # both changes stand in the end
    reads = [order[0] for order in differences if order]
    if any(_wrote_later(run.trace.events, each) for order in differences for each in order):
        return Anomaly.STALE_CHECK
    if anomaly in (Anomaly.READ_SKEW, Anomaly.CYCLE) and _is_half_done(run.trace.events, reads):
        return Anomaly.HALF_DONE
    return anomaly


def _statements_of(run: PlayedSchedule, actors: str) -> dict[str, list[str]]:
    done = _done(run.trace.events)
    return {actor: [event.sql for event in done if event.actor == actor] for actor in actors}


def _differences(run: PlayedSchedule, order: SerialOrder, judge: Judge) -> list[Difference]:
    """Return what differs between a schedule and a serial order, of each call the first, in the schedule's order."""
    names = names_of(run)
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
        ignored = {column for table, column in judge.masked if named_in(table, tables_of(event.sql))}
        text = _compare(event, other, generated, ignored) if other else ""
        if text:
            found[event.actor] = _difference(event, text, names, judge.tables_named_in(event.sql))
    for letter, value in order.run.trace.returns.items():
        actor = order.names[ascii_uppercase.index(letter)]
        if actor not in found and (text := _compare_returns(actor, run.trace.returns[actor], value, generated)):
            found[actor] = Difference(actor, -1, text)
    return list(found.values())


def _done(events: Sequence[TraceEvent]) -> list[TraceEvent]:
    return [event for event in events if event.phase is not StepPhase.WAITS]


def _difference(event: TraceEvent, text: str, names: Mapping[Any, str], tables: Set[str]) -> Difference:
    return Difference(
        event.actor,
        event.number,
        f"{event.actor} {text}",
        tables,
        frozenset(str(named(event.parameters[each], names)) for each in find_parameters(event.sql))
        & frozenset(names.values()),
        is_fetch=event.tag.startswith("FETCH"),
    )


def _compare(event: TraceEvent, other: TraceEvent, generated: Collection[Any], ignored: Set[str]) -> str:
    """Return what differs between the answers to the same letter of a call in two runs; empty: nothing.

    Args:
        ignored: columns that differ by themselves, such as texts with a key in them.
    """
    if event.sql != other.sql:
        return f"went on otherwise: {_short(event)}"
    if bool(event.refusal) != bool(other.refusal):
        return f"{_ended(event)}, and would have {_ended(other)}: {_short(event)}"
    if len(event.rows) != len(other.rows):
        return f"found {_rows(len(event.rows))}, not {_rows(len(other.rows))}: {_short(event)}"
    for row, other_row in _pairs(event, other, lambda one, two: not _columns_apart(one, two, generated, ignored)):
        for column in _columns_apart(row, other_row, generated, ignored):
            return f"read {column} {row[column]}, not {other_row[column]}"
    if event.tag != other.tag:
        return f"got {event.tag or 'an error'}, not {other.tag or 'an error'}: {_short(event)}"
    return ""


def _pairs(event: TraceEvent, other: TraceEvent, is_alike: Callable[[Row, Row], bool]) -> Iterator[tuple[Row, Row]]:
    """Yield the rows of two answers side by side: where no order is asked for, those that only one of them has.

    The server gives rows as they lie, and those that were put back behind a schedule lie elsewhere.
    """
    pairs = zip(event.rows, other.rows, strict=True)
    if asks_for_order(event.sql):
        yield from pairs
        return
    apart = [pair for pair in pairs if not is_alike(*pair)]
    left = [row for _, row in apart]
    ours = []
    for row, _ in apart:
        place = next((at for at, each in enumerate(left) if is_alike(row, each)), None)
        if place is None:
            ours.append(row)
        else:
            left.pop(place)
    yield from zip(ours, left, strict=True)


def _columns_apart(row: Row, other: Row, generated: Collection[Any], ignored: Set[str]) -> list[str]:
    return [
        column for column, value in row.items() if column not in ignored and not _alike(value, other[column], generated)
    ]


def _ended(event: TraceEvent) -> str:
    return f"been refused ({event.refusal.sqlstate})" if event.refusal else "gone through"


def _compare_returns(actor: str, value: Return, other: Return, generated: Collection[Any]) -> str:
    match value, other:
        case Ok(), Ok():
            for name, each in value.value.items():
                if not _alike(each, other.value.get(name), generated):
                    return f"{actor} answered {name} {each}, not {other.value.get(name)}"
            return ""
        case Declined(), Declined():
            return "" if value.reason == other.reason else f"{actor} declined {value.reason}, not {other.reason}"
        case Unavailable(), Unavailable():
            return "" if value.reason == other.reason else f"{actor} was unavailable {value.reason}, not {other.reason}"
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
        if isinstance(value, Document) and isinstance(other, Document):
            path, value, other = value.difference(other)
            name += path
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
        case Unavailable():
            return f"was unavailable ({value.reason})"
        case Failed():
            return f"failed ({value.sqlstate})"


def _alike(value: Any, other: Any, generated: Collection[Any]) -> bool:
    if value == other:
        return True
    value, other = from_text(value), from_text(other)
    if isinstance(value, datetime | UUID):
        return type(value) is type(other)
    return all(isinstance(each, Hashable) and each in generated for each in (value, other))


def _wrote_later(events: Sequence[TraceEvent], difference: Difference) -> bool:
    """Return whether the call wrote only in a later transaction than the one in which it read what was old.

    Of a table that it read: it may note something else before.
    """
    own = [event for event in _done(events) if event.actor == difference.actor]
    later = [event for event in own if event.number > difference.number >= 0]
    if _is_read_by_itself([event for event in own if event.number <= difference.number]):
        return any(_is_write(event) or event.sql == "commit" for event in later)
    if any(_is_write(event) for event in own if event.number == difference.number):
        return False
    for event in later:
        if event.opens:
            return True
        if event.sql in ("commit", "rollback"):
            return event is not later[-1]
        written = written_tables(event.sql)
        if _is_write(event) and (not difference.tables or any(named_in(table, written) for table in difference.tables)):
            return False
    return False


def _is_read_by_itself(own: Sequence[TraceEvent]) -> bool:
    """Return whether the last of a call's events so far is a read outside of any transaction."""
    if not own or own[-1].opens or _is_write(own[-1]):
        return False
    is_open = False
    for event in own[:-1]:
        is_open = (is_open or event.opens) and not event.closes and event.sql not in ("commit", "rollback")
    return not is_open


def _is_half_done(events: Sequence[TraceEvent], reads: Sequence[Difference]) -> bool:
    """Return whether what was read, or some write where no read differs, stood between two transactions of another call."""
    done = _done(events)
    looked = {(each.actor, each.number) for each in reads}
    for place, event in enumerate(done):
        if (event.actor, event.number) in looked or (not looked and _is_write(event)):
            before = [each for each in done[:place] if each.actor != event.actor]
            committed = {each.actor for each in before if each.sql == "commit"}
            if any(_is_write(each) and each.actor in committed for each in done[place:] if each.actor != event.actor):
                return True
    return False


def _is_write(event: TraceEvent) -> bool:
    return event.tag.partition(" ")[0] in ("INSERT", "UPDATE", "DELETE", "MERGE")


def _rows(count: int) -> str:
    return counted(count, "row") if count else "no row"


def _short(event: TraceEvent, width: int = 60) -> str:
    text = " ".join(event.sql.split())
    return text if len(text) <= width else f"{text[: width - 1]}…"
