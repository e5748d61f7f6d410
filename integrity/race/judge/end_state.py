"""Outcomes: what a schedule left behind, rows and replies, in a form that is equal for equal results.

Every run has keys, operation_ids and times of its own, and two schedules may number the same rows in another order. So a
generated value is known only by where it stands: an operation_id by its actor, a key of the stage by its name there, any
other by the rows and columns that it appears in (colour refinement, as graphs are compared). Times are alike.

A run of a real system leaves some fifty rows and a search makes thousands of runs, so rows are plain tuples here: a cell is
a value, or (number of a key,), or (number of a moment, None).
"""

from collections import Counter
from collections.abc import Collection, Mapping, Sequence, Set
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any
from uuid import UUID

from integrity.engines.values import text_of
from integrity.operation import Declined, Ok, Row, Unavailable
from integrity.race.program.trace import Failed, Return

ComparedColumn = tuple[str, str]
"""A table and one of its columns."""

EndState = tuple[Any, ...]
"""A canonical form; only for comparison within one process, as it holds hashes."""

_ROUNDS = 3  # how far a generated value is told from another by its surroundings: its row, rows that share a key, theirs
_MASKED = "(differs by itself)"
_TIME = "(time)"


@dataclass(frozen=True, slots=True)
class Remains:
    """What one run left behind.

    Args:
        columns: of each table; a reply is a row of a table of its own.
        rows: (table, cells), the cells in the order of the table's columns.
        keys: the generated values by their numbers, each with its name, if it has one.
        moments: the times by their numbers.
    """

    columns: Mapping[str, tuple[str, ...]]
    rows: tuple[tuple[str, tuple[Any, ...]], ...]
    keys: tuple[tuple[Any, str], ...]
    moments: tuple[datetime, ...]

    def masking(self, masked: Set[ComparedColumn]) -> "Remains":
        """Return the same with what the masked columns hold made alike."""
        return replace(self, rows=tuple(self._unmasked(masked)))

    def without(self, tables: Set[str]) -> "Remains":
        """Return the rest when some tables are left out."""
        return replace(self, rows=tuple(row for row in self.rows if row[0] not in tables))

    def plain(self) -> list[Row]:
        """Return the rows as people read them, with the table's name as their first column."""
        return [
            {"table": table, **dict(zip(self.columns[table], map(self._value, cells), strict=True))}
            for table, cells in self.rows
        ]

    def named(self) -> list[tuple[str, tuple[Any, ...]]]:
        """Return the rows with generated values by their names, those without one alike, and times alike."""
        names = [name or "(key)" for _, name in self.keys]
        return [
            (table, tuple(_TIME if is_moment(cell) else names[cell[0]] if _is_key(cell) else cell for cell in cells))
            for table, cells in self.rows
        ]

    def values(self) -> dict[ComparedColumn, Counter[Any]]:
        """Return for each column the plain values in it, with how often: what agrees between equal runs."""
        values: dict[ComparedColumn, Counter[Any]] = {}
        for table, cells in self.rows:
            for column, cell in zip(self.columns[table], cells, strict=True):
                value = len(cell) if type(cell) is tuple else cell
                values.setdefault((table, column), Counter())[value] += 1
        return values

    def outcome(self, masked: Set[ComparedColumn] = frozenset()) -> EndState:
        """Return the canonical form, without what the masked columns hold."""
        rows = self._unmasked(masked)
        colours = [hash(name) for _, name in self.keys]
        for _ in range(_ROUNDS):
            around: list[list[int]] = [[] for _ in colours]
            for table, cells in rows:
                row = hash((table, *[_coloured(cell, colours) if type(cell) is tuple else cell for cell in cells]))
                for place, cell in enumerate(cells):
                    if type(cell) is tuple and len(cell) == 1:
                        around[cell[0]].append(hash((row, place)))
            colours = [hash((colour, *sorted(seen))) for colour, seen in zip(colours, around, strict=True)]
        canonical = [
            (table, *[_coloured(cell, colours) if type(cell) is tuple else cell for cell in cells]) for table, cells in rows
        ]
        return tuple(sorted(canonical, key=repr))

    def looks(self, masked: Set[ComparedColumn] = frozenset()) -> EndState:
        """Return the rows with generated numbers and times by their rank, other keys by first appearance.

        Runs that look alike have the same outcome, and invariants see no difference between them: these compare keys and
        times, and put them in order, but cannot tell one from another by itself.
        """
        numbers = sorted(value for value, _ in self.keys if isinstance(value, int))
        rank = {value: place for place, value in enumerate(numbers)}
        ranks: list[Any] = [name or rank.get(value) for value, name in self.keys]
        times = {moment: place for place, moment in enumerate(sorted(map(str, self.moments)))}
        moments = [times[str(moment)] for moment in self.moments]
        rows = [
            (
                table,
                [
                    cell if type(cell) is not tuple else (moments[cell[0]], None) if len(cell) > 1 else cell
                    for cell in cells
                ],
            )
            for table, cells in self._unmasked(masked)
        ]
        rows.sort(
            key=lambda row: repr([ranks[each[0]] if type(each) is tuple and len(each) == 1 else each for each in row[1]])
        )
        labels: dict[int, Any] = {}
        return tuple(
            (
                table,
                *[(_label(cell[0], ranks, labels),) if type(cell) is tuple and len(cell) == 1 else cell for cell in cells],
            )
            for table, cells in sorted(rows, key=lambda row: row[0])
        )

    def _unmasked(self, masked: Set[ComparedColumn]) -> list[tuple[str, tuple[Any, ...]]]:
        places: dict[str, set[int]] = {}
        for table, column in masked:
            if table in self.columns and column in self.columns[table]:
                places.setdefault(table, set()).add(self.columns[table].index(column))
        return [
            (table, tuple(_MASKED if place in places[table] else cell for place, cell in enumerate(cells)))
            if table in places
            else (table, cells)
            for table, cells in self.rows
        ]

    def _value(self, cell: Any) -> Any:
        if is_moment(cell):
            return self.moments[cell[0]]
        return self.keys[cell[0]][0] if _is_key(cell) else cell


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
    columns: dict[str, tuple[str, ...]] = {}
    keys: dict[Any, int] = {}
    moments: list[datetime] = []
    prepared = []
    for table, row in (*rows, *_rows_of_returns(returns)):
        names = columns.setdefault(table, tuple(row))
        cells: list[Any] = []
        for name in names:
            value = row[name]
            if value is None or type(value) is bool:
                cells.append(value)
            elif type(value) is UUID or (isinstance(value, int | str) and value in generated):
                cells.append((keys.setdefault(value, len(keys)),))
            elif isinstance(value, datetime):
                cells.append((len(moments), None))
                moments.append(value)
            else:
                cells.append(value if isinstance(value, int | str) else text_of(value))
        prepared.append((table, tuple(cells)))
    return Remains(columns, tuple(prepared), tuple((key, known.get(key, "")) for key in keys), tuple(moments))


def differing_columns(one: Remains, other: Remains) -> frozenset[ComparedColumn]:
    """Return the columns that differ between two runs of one serial order: they differ by themselves."""
    values, others = one.values(), other.values()
    return frozenset(column for column in values.keys() | others.keys() if values.get(column) != others.get(column))


def rows_unlike(remains: Remains, others: Sequence[Remains]) -> list[Row]:
    """Return the rows that the most similar of the others does not have."""
    ours = remains.named()
    theirs = min((Counter(other.named()) for other in others), key=lambda other: (Counter(ours) - other).total())
    return [row for row, named in zip(remains.plain(), ours, strict=True) if not theirs[named]]


def _rows_of_returns(returns: Mapping[str, Return]) -> list[tuple[str, Row]]:
    """Return each return as a row; the first column names the others, which differ with what is returned."""
    rows: list[tuple[str, Row]] = []
    for actor, value in sorted(returns.items()):
        match value:
            case Ok():
                rows.append((f"return of {actor}", {"outcome": " ".join(("ok", *value.value)), **value.value}))
            case Declined():
                rows.append((f"return of {actor}", {"outcome": "declined", "reason": value.reason}))
            case Unavailable():
                rows.append((f"return of {actor}", {"outcome": "unavailable", "reason": value.reason}))
            case Failed():
                rows.append((f"return of {actor}", {"outcome": "failed", "error": value.error}))
    return rows


def _is_key(cell: Any) -> bool:
    return type(cell) is tuple and len(cell) == 1


def is_moment(cell: Any) -> bool:
    """Return whether a cell is a time, by its number or rank."""
    return type(cell) is tuple and len(cell) == 2


def _coloured(cell: tuple[Any, ...], colours: Sequence[int]) -> Any:
    return (colours[cell[0]],) if len(cell) == 1 else _TIME


def _label(key: int, ranks: Sequence[Any], labels: dict[int, Any]) -> Any:
    """Return a key's name or rank, or which of those without either it is."""
    if ranks[key] is not None:
        return ranks[key]
    return labels.setdefault(key, f"key {len(labels)}")
