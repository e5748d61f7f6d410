"""Outcomes: what a schedule left behind, rows and replies, in a form that is equal for equal results.

Every run has keys, operation_ids and times of its own, and two schedules may number the same rows in another order. So a
generated value is known only by where it stands: an operation_id by its actor, a key of the stage by its name there, any
other by the rows and columns that it appears in (colour refinement, as graphs are compared). Times are alike.
"""

from collections import Counter, defaultdict
from collections.abc import Collection, Iterator, Mapping, Set
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any
from uuid import UUID

from integrity.operation import Declined, Ok, Row
from integrity.race.trace import Failed, Return

Column = tuple[str, str]
"""A table and one of its columns."""

Outcome = tuple[tuple[str, tuple[tuple[str, Any], ...]], ...]
"""The canonical form: (table, ((column, value), ...)) in a stable order."""

_ROUNDS = 3  # how far a generated value is told from another by its surroundings: its row, rows that share a key, theirs


@dataclass(frozen=True, slots=True)
class _Key:
    """A generated value, in its place."""

    value: Any


@dataclass(frozen=True, slots=True)
class _Time:
    """A moment; all are alike but for their order."""

    value: datetime | date


@dataclass(frozen=True, slots=True)
class Remains:
    """What one run left behind: rows whose values are plain, or generated.

    Args:
        rows: (table, ((column, value), ...)); a reply is a row of a table of its own.
        known: the generated values that have a name.
    """

    rows: tuple[tuple[str, tuple[tuple[str, Any], ...]], ...]
    known: Mapping[Any, str]

    def columns(self) -> dict[Column, Counter[Any]]:
        """Return for each column the plain values in it, with how often: what agrees between equal runs."""
        columns: dict[Column, Counter[Any]] = defaultdict(Counter)
        for table, cells in self.rows:
            for name, value in cells:
                columns[table, name][type(value) if isinstance(value, _Key | _Time) else value] += 1
        return columns

    def outcome(self, masked: Set[Column] = frozenset()) -> Outcome:
        """Return the canonical form, without what the masked columns hold."""
        rows = self._unmasked(masked)
        colours: dict[Any, int] = defaultdict(int)
        colours |= {value: hash(name) for value, name in self.known.items()}
        for _ in range(_ROUNDS):
            surroundings: dict[Any, list[int]] = defaultdict(list)
            for table, cells in rows:
                row = hash((table, *((name, _coloured(value, colours)) for name, value in cells)))
                for name, value in cells:
                    if isinstance(value, _Key):
                        surroundings[value.value].append(hash((row, name)))
            for value, around in surroundings.items():
                colours[value] = hash((colours[value], *sorted(around)))
        canonical = [(table, tuple((name, _coloured(value, colours)) for name, value in cells)) for table, cells in rows]
        return tuple(sorted(canonical, key=repr))

    def by_name(self) -> list[Any]:
        """Return the rows with generated values by their names, those without a name alike."""
        return [
            (table, tuple((name, _ranked(value, {}, self.known)) for name, value in cells)) for table, cells in self.rows
        ]

    def order(self, masked: Set[Column] = frozenset()) -> Outcome:
        """Return the rows with generated numbers and times by their rank: what an invariant can see of them."""
        rows = self._unmasked(masked)
        values = [value for _, cells in rows for _, value in cells]
        numbers = sorted({each.value for each in values if isinstance(each, _Key) and isinstance(each.value, int)})
        times = sorted({str(each.value) for each in values if isinstance(each, _Time)})
        ranks: dict[Any, Any] = {number: rank for rank, number in enumerate(numbers)}
        ranks |= {time: rank for rank, time in enumerate(times)}
        ranked = [
            (table, tuple((name, _ranked(value, ranks, self.known)) for name, value in cells)) for table, cells in rows
        ]
        return tuple(sorted(ranked, key=repr))

    def _unmasked(self, masked: Set[Column]) -> list[tuple[str, list[tuple[str, Any]]]]:
        return [
            (table, [(name, value) for name, value in cells if (table, name) not in masked]) for table, cells in self.rows
        ]


def make_remains(
    rows: Collection[tuple[str, Row]], returns: Mapping[str, Return], *, known: Mapping[Any, str], generated: Set[Any]
) -> Remains:
    """Return what a run left behind.

    Args:
        rows: table and row.
        returns: by actor.
        known: names of operation_ids and keys of the stage.
        generated: keys that the run made.
    """
    prepared = tuple(
        (table, tuple((name, _prepare(value, generated)) for name, value in sorted(row.items())))
        for table, row in (*rows, *_rows_of_returns(returns))
    )
    return Remains(prepared, known)


def differing_columns(one: Remains, other: Remains) -> frozenset[Column]:
    """Return the columns that differ between two runs of one serial order: they differ by themselves."""
    columns, others = one.columns(), other.columns()
    return frozenset(column for column in columns.keys() | others.keys() if columns.get(column) != others.get(column))


def _rows_of_returns(returns: Mapping[str, Return]) -> Iterator[tuple[str, Row]]:
    for actor, value in sorted(returns.items()):
        match value:
            case Ok():
                yield f"return of {actor}", {"": "ok", **value.value}
            case Declined():
                yield f"return of {actor}", {"": "declined", "reason": value.reason}
            case Failed():
                yield f"return of {actor}", {"": "failed", "sqlstate": value.sqlstate}


def _prepare(value: Any, generated: Set[Any]) -> Any:
    match value:
        case None | bool():
            return value
        case datetime() | date():
            return _Time(value)
        case UUID():
            return _Key(value)
        case int() | str():
            return _Key(value) if value in generated else value
    return repr(value)


def _coloured(value: Any, colours: Mapping[Any, int]) -> Any:
    match value:
        case _Key():
            return ("key", colours[value.value])
        case _Time():
            return "(time)"
    return value


def _ranked(value: Any, ranks: Mapping[Any, int], known: Mapping[Any, str]) -> Any:
    match value:
        case _Key(each):
            return known.get(each, "key") if each not in ranks else ("key", ranks[each])
        case _Time(moment):
            return ("time", ranks.get(str(moment)))
    return value
