"""Outcomes: what a schedule left behind, rows and replies, in a form that is equal for equal results.

Every run has keys, operation_ids and times of its own, and two schedules may number the same rows in another order. So a
generated value is known only by where it stands: an operation_id by its actor, a key of the stage by its name there, any
other by the rows and columns that it appears in (colour refinement, as graphs are compared). Times are alike; where it is
known from when to when a run took, those of the run are, and any other is a value.

A run of a real system leaves some fifty rows and a search makes thousands of runs, so rows are plain tuples here: a cell is
a value, or (number of a key,), or (number of a moment, None), or a document of such (documents.py).
"""

from collections import Counter
from collections.abc import Callable, Collection, Mapping, Sequence, Set
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from integrity.engines.values import text_of
from integrity.operation import Declined, Ok, Row, Unavailable
from integrity.race.judge.documents import Document, general, make_document, settled
from integrity.race.program.trace import Failed, Return

ComparedColumn = tuple[str, str]
"""A table and one of its columns, or of a column's members: `orders`, `data.paid.at`."""

Moments = tuple[datetime, datetime]
"""From when to when."""

EndState = tuple[Any, ...]
"""A canonical form; only for comparison within one process, as it holds hashes."""

RETURN_OF = "return of "
"""What the table of an actor's answer is called, before its letter."""

_ROUNDS = 3  # how far a generated value is told from another by its surroundings: its row, rows that share a key, theirs
_MASKED = "(differs by itself)"
_TIME = "(time)"
_NESTED = (tuple, Document)
_ZONE = timedelta(minutes=15)
_SLACK = timedelta(seconds=2)  # by which the application's clock may be another than the server's


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

    def naming(self, lasting: Set[Any]) -> "Remains":
        """Return the same with these of its generated values taken as the values that they are."""
        if not lasting:
            return self
        return replace(self, keys=tuple((key, name or (str(key) if key in lasting else "")) for key, name in self.keys))

    def without(self, tables: Set[str]) -> "Remains":
        """Return the rest when some tables are left out."""
        return replace(self, rows=tuple(row for row in self.rows if row[0] not in tables))

    def plain(self) -> list[Row]:
        """Return the rows as people read them, with the table's name as their first column."""
        return [
            {"table": table, **dict(zip(self.columns[table], map(self._value, cells), strict=True))}
            for table, cells in self.rows
        ]

    def named(self, unsorted: Set[str] = frozenset()) -> list[tuple[str, tuple[Any, ...]]]:
        """Return the rows with generated values by their names, those without one alike, and times alike.

        Args:
            unsorted: see `outcome`.
        """
        names = [name or "(key)" for _, name in self.keys]

        def named(cell: Any) -> Any:
            if type(cell) is Document:
                return cell.mapped(named)
            return _TIME if is_moment(cell) else names[cell[0]] if _is_key(cell) else cell

        def settle(cell: Any) -> Any:
            return cell.unsorted() if type(cell) is Document else cell

        rows = [(table, tuple(map(named, cells))) for table, cells in self.rows]
        return [(table, tuple(map(settle, cells))) if table in unsorted else (table, cells) for table, cells in rows]

    def values(self) -> dict[ComparedColumn, Counter[Any]]:
        """Return for each column the plain values in it, with how often: what agrees between equal runs."""
        values: dict[ComparedColumn, Counter[Any]] = {}
        for table, cells in self.rows:
            for column, cell in zip(self.columns[table], cells, strict=True):
                members = cell.members if type(cell) is Document else (("", cell),)
                for path, each in members:
                    value = len(each) if type(each) is tuple else each
                    values.setdefault((table, column + general(path)), Counter())[value] += 1
        return values

    def timed(self) -> set[ComparedColumn]:
        """Return the columns in which times stand that are alike to all others."""
        return {
            (table, column)
            for table, cells in self.rows
            for column, cell in zip(self.columns[table], cells, strict=True)
            if is_moment(cell)
        }

    def outcome(self, masked: Set[ComparedColumn] = frozenset(), unsorted: Set[str] = frozenset()) -> EndState:
        """Return the canonical form, without what the masked columns hold.

        Args:
            unsorted: tables in whose lists it is chance which element comes first.
        """
        rows = self._unmasked(masked)
        colours = [hash(name) for _, name in self.keys]
        for _ in range(_ROUNDS):
            around: list[list[int]] = [[] for _ in colours]
            for table, cells in rows:
                is_unsorted = table in unsorted
                row = hash((table, *_coloured_row(cells, colours, is_unsorted=is_unsorted)))
                for place, cell in enumerate(cells):
                    if type(cell) is tuple and len(cell) == 1:
                        around[cell[0]].append(hash((row, place)))
                    elif type(cell) is Document:
                        for path, each in cell.members:
                            if _is_key(each):
                                around[each[0]].append(hash((row, place, general(path) if is_unsorted else path)))
            colours = [hash((colour, *sorted(seen))) for colour, seen in zip(colours, around, strict=True)]
        canonical = [(table, *_coloured_row(cells, colours, is_unsorted=table in unsorted)) for table, cells in rows]
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

        def ranked(cell: Any) -> Any:
            if type(cell) is Document:
                return cell.mapped(ranked)
            return (moments[cell[0]], None) if is_moment(cell) else cell

        rows = [
            (table, [ranked(cell) if type(cell) in _NESTED else cell for cell in cells])
            for table, cells in self._unmasked(masked)
        ]
        rows.sort(
            key=lambda row: repr([ranks[each[0]] if type(each) is tuple and len(each) == 1 else each for each in row[1]])
        )
        labels: dict[int, Any] = {}

        def labelled(cell: Any) -> Any:
            if type(cell) is Document:
                return cell.mapped(labelled)
            return (_label(cell[0], ranks, labels),) if _is_key(cell) else cell

        return tuple(
            (table, *[labelled(cell) if type(cell) in _NESTED else cell for cell in cells])
            for table, cells in sorted(rows, key=lambda row: row[0])
        )

    def _unmasked(self, masked: Set[ComparedColumn]) -> list[tuple[str, tuple[Any, ...]]]:
        if not masked:
            return list(self.rows)
        by_table: dict[str, list[str]] = {}
        for table, name in masked:
            by_table.setdefault(table, []).append(name)
        unmask = {
            table: [_masking(column, names) for column in self.columns[table]]
            for table, names in by_table.items()
            if table in self.columns
        }
        return [
            (table, tuple(change(cell) for change, cell in zip(unmask[table], cells, strict=True)))
            if table in unmask
            else (table, cells)
            for table, cells in self.rows
        ]

    def _value(self, cell: Any) -> Any:
        if type(cell) is Document:
            return cell.value
        if is_moment(cell):
            return self.moments[cell[0]]
        return self.keys[cell[0]][0] if _is_key(cell) else cell


def make_remains(
    rows: Collection[tuple[str, Row]],
    returns: Mapping[str, Return],
    *,
    known: Mapping[Any, str],
    generated: Set[Any],
    took: Moments | None = None,
) -> Remains:
    """Return what a run left behind.

    Args:
        rows: table and row.
        returns: by actor.
        known: names of operation_ids and keys of the stage.
        generated: keys that the run made.
        took: from when to when, by the server's clock; None: nobody knows.
    """
    columns: dict[str, tuple[str, ...]] = {}
    keys: dict[Any, int] = {}
    moments: list[datetime] = []

    def plain(value: Any) -> Any:
        if value is None or type(value) is bool:
            return value
        if type(value) is UUID or (isinstance(value, int | str) and value in generated):
            return (keys.setdefault(value, len(keys)),)
        if isinstance(value, datetime) and (took is None or _is_within(value, took)):
            moments.append(value)
            return (len(moments) - 1, None)
        return value if isinstance(value, int | str) else text_of(value)

    def cell_of(value: Any) -> Any:
        is_key = isinstance(value, str) and value in generated
        return plain(value) if is_key else make_document(value, plain) or plain(value)

    prepared = []
    for table, row in (*rows, *_rows_of_returns(returns)):
        names = columns.setdefault(table, tuple(row))
        prepared.append((table, tuple(cell_of(row[name]) for name in names)))
    return Remains(columns, tuple(prepared), tuple((key, known.get(key, "")) for key in keys), tuple(moments))


def differing_columns(one: Remains, other: Remains) -> frozenset[ComparedColumn]:
    """Return the columns, and members of columns, that differ between two runs of one serial order: by themselves."""
    values, others = one.values(), other.values()
    return frozenset(column for column in values.keys() | others.keys() if values.get(column) != others.get(column))


def rows_unlike(remains: Remains, others: Sequence[Remains], unsorted: Set[str] = frozenset()) -> list[Row]:
    """Return the rows that the most similar of the others does not have."""
    ours = remains.named(unsorted)
    theirs = min((Counter(other.named(unsorted)) for other in others), key=lambda other: (Counter(ours) - other).total())
    return [row for row, named in zip(remains.plain(), ours, strict=True) if not theirs[named]]


def _rows_of_returns(returns: Mapping[str, Return]) -> list[tuple[str, Row]]:
    """Return each return as a row; the first column names the others, which differ with what is returned."""
    rows: list[tuple[str, Row]] = []
    for actor, value in sorted(returns.items()):
        match value:
            case Ok():
                rows.append((f"{RETURN_OF}{actor}", {"outcome": " ".join(("ok", *value.value)), **value.value}))
            case Declined():
                rows.append((f"{RETURN_OF}{actor}", {"outcome": "declined", "reason": value.reason}))
            case Unavailable():
                rows.append((f"{RETURN_OF}{actor}", {"outcome": "unavailable", "reason": value.reason}))
            case Failed():
                rows.append((f"{RETURN_OF}{actor}", {"outcome": "failed", "error": value.error}))
    return rows


def _is_within(moment: datetime, took: Moments) -> bool:
    """Return whether a time is of the clock, rather than a value; one without a zone may be of any zone."""
    began, ended = took
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=began.tzinfo)
        moment -= round((moment - began) / _ZONE) * _ZONE
    return began - _SLACK <= moment <= ended + _SLACK


def _masking(column: str, names: Sequence[str]) -> Callable[[Any], Any]:
    """Return what makes alike what a column holds at those of the names that are its own, or its members'."""
    if column in names:
        return lambda _cell: _MASKED
    paths = frozenset(name.removeprefix(column) for name in names if name.startswith((f"{column}.", f"{column}[")))
    return lambda cell: cell.without(paths) if paths and type(cell) is Document else cell


def _is_key(cell: Any) -> bool:
    return type(cell) is tuple and len(cell) == 1


def is_moment(cell: Any) -> bool:
    """Return whether a cell is a time, by its number or rank."""
    return type(cell) is tuple and len(cell) == 2


def _coloured_row(cells: Sequence[Any], colours: Sequence[int], *, is_unsorted: bool) -> list[Any]:
    coloured = [_coloured(cell, colours) if type(cell) in _NESTED else cell for cell in cells]
    if not is_unsorted:
        return coloured
    return [settled(one) if type(cell) is Document else one for cell, one in zip(cells, coloured, strict=True)]


def _coloured(cell: Any, colours: Sequence[int]) -> Any:
    if type(cell) is Document:
        return tuple((path, _coloured(each, colours) if type(each) is tuple else each) for path, each in cell.members)
    return (colours[cell[0]],) if len(cell) == 1 else _TIME


def _label(key: int, ranks: Sequence[Any], labels: dict[int, Any]) -> Any:
    """Return a key's name or rank, or which of those without either it is."""
    if ranks[key] is not None:
        return ranks[key]
    return labels.setdefault(key, f"key {len(labels)}")
