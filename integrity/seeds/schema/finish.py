"""The columns of rows that are settled: what was drawn for them, and what counts them, which comes at the end."""

from datetime import date

import numpy as np

from integrity.engines.columns import POSTGRESQL_EPOCH_DAYS, POSTGRESQL_EPOCH_US, ColumnValues, CopyKind
from integrity.seeds.schema.deal import Draws, rank_within
from integrity.seeds.schema.draws import Drawer, parent_of, pool_of
from integrity.seeds.schema.keys import codes_of, codes_together, fold, taken
from integrity.seeds.schema.numbers import kind_of, numerics, random_uuids, spans
from integrity.seeds.schema.plan import Plan, Spans
from integrity.seeds.schema.tables import Column, Reference
from integrity.seeds.schema.wishes import Wishes
from integrity.seeds.source import Source

DAY_US = 86_400_000_000

_UNIX = date(1970, 1, 1)


class Finisher:
    """Makes the columns of one table's rows from what was drawn for them."""

    def __init__(self, plan: Plan, drawer: Drawer, wishes: Wishes, source: Source) -> None:
        self._plan, self._drawer, self._wishes, self._source = plan, drawer, wishes, source
        self._table = plan.table
        self._own = [each for each in plan.taken if each.parent == plan.table.full_name]

    def finish(self, draws: Draws, count: int) -> list[ColumnValues]:
        plan, table = self._plan, self._table
        made: dict[str, ColumnValues] = {}
        numbers = np.arange(count)
        for name, numbering in plan.numbered.items():
            made[name] = numbering.make(name, numbers)
        for reference in self._drawer.others:
            for name in reference.columns:
                made.setdefault(name, self._drawer.taken(reference, name, draws[parent_of(reference)]))
        for number, pool in enumerate(plan.pools):
            for name in pool.columns:
                if name not in made and not any(name in each.gives(table.full_name) for each in plan.taken):
                    made[name] = self._drawer.pooled(number, name, draws[pool_of(number)])
        for column in plan.drawn:
            made[column.name] = self._drawn(column, count)
        for apart in plan.spaced:
            self._space_out(apart, made, count)
        self._rank(made, count, only_known=True)  # a row's number within its group may be what others of its table refer to
        for reference in self._own:
            self._refer_to_own(reference, made, draws, count)
        self._rank(made, count, only_known=False)
        return [made[column.name] for column in table.written if column.name in made]

    def _rank(self, made: dict[str, ColumnValues], count: int, *, only_known: bool) -> None:
        """Count rows within those that are alike in other columns."""
        for name, (others, numbering) in self._plan.ranked.items():
            if name not in made and (not only_known or all(other in made for other in others)):
                known = [codes_of(made[other]) for other in others if other in made]
                made[name] = numbering.make(name, rank_within(fold(known)) if known else np.arange(count))

    def _space_out(self, apart: Spans, made: dict[str, ColumnValues], count: int) -> None:
        known = [codes_of(made[name]) for name in apart.alike if name in made]
        ranks = rank_within(fold(known)) if known else np.arange(count)
        base = self._table.columns[apart.start].type.base
        step, start = _step_of(base, self._wishes)
        starts = start + ranks * step
        ends = starts + np.maximum(1, step * 3 // 4)
        if apart.start == apart.end:
            shift = _epoch_of(base)
            made[apart.start] = spans(apart.start, base, starts - shift, ends - shift)
            return
        for name, values in ((apart.start, starts), (apart.end, ends)):
            made[name] = ColumnValues(name, kind_of(self._table.columns[name].type), values)

    def _refer_to_own(self, reference: Reference, made: dict[str, ColumnValues], draws: Draws, count: int) -> None:
        """Let rows refer to earlier rows of their own table: each first one to none, or to itself if it must.

        To the last one, where no two may refer to the same, or where a check may want another than itself.
        """
        shared = [name for name in reference.columns if name in made]
        parents_shared = [
            parent for name, parent in zip(reference.columns, reference.parent_columns, strict=True) if name in made
        ]
        group = np.zeros(count, np.int64)
        if shared:
            pairs = [codes_together(made[name], made[parent]) for name, parent in zip(shared, parents_shared, strict=True)]
            group = fold([one for one, _ in pairs])  # a column is shared with itself: rows of one group refer to each other
        ranks = rank_within(group)
        order = np.lexsort((ranks, group))
        place_of = np.empty(count, np.int64)
        place_of[order] = np.arange(count)
        is_chain = any(set(unique.columns) <= set(reference.columns) for unique in self._table.uniques)
        back = np.minimum(ranks, 1) if is_chain else self._source.below(ranks) + 1
        first = ranks == 0
        is_tied = any(
            len(check.columns) > 1 and not set(reference.columns).isdisjoint(check.columns) for check in self._table.checks
        )
        sizes = np.bincount(group, minlength=int(group.max(initial=0)) + 1)[group]
        ahead = np.where(first & (is_chain | is_tied), sizes - 1, 0)
        places = order[np.maximum(place_of - np.where(first, 0, back), 0) + ahead]
        nullable = [name for name in reference.columns if not self._table.columns[name].is_required]
        nulls = (first | self._drawer.find_null(reference, draws, count)) if nullable else np.zeros(count, np.bool_)
        for name, parent in zip(reference.columns, reference.parent_columns, strict=True):
            if name not in made:
                is_null = nulls if name in nullable else np.zeros(count, np.bool_)
                made[name] = taken(self._table.columns[name], made[parent], places, is_null)

    def _drawn(self, column: Column, count: int) -> ColumnValues:
        """Return a column of numbers or times of which nothing is asked."""
        source, base, name = self._source, column.type.base, column.name
        nulls = None if column.is_required else source.chances(count, self._wishes.nulls)
        if base == "uuid":
            return ColumnValues(name, CopyKind.UUID, random_uuids(source, count), nulls)
        if base == "bool":
            return ColumnValues(name, CopyKind.BOOLEAN, source.integers(count, 0, 1), nulls)
        if base == "date":
            first = (self._wishes.days.first - _UNIX).days
            values = source.integers(count, first, first + self._wishes.days.count - 1)
            return ColumnValues(name, CopyKind.DATE, values, nulls)
        if base in ("timestamptz", "timestamp"):
            seconds = source.integers(count, 0, self._wishes.days.count * 86_400 - 1)
            values = (
                (self._wishes.days.first - _UNIX).days * DAY_US + seconds * 1_000_000 + source.integers(count, 0, 999_999)
            )
            return ColumnValues(name, CopyKind.TIMESTAMPTZ, values, nulls)
        if base == "numeric":
            precision, scale = column.type.precision
            most = 10 ** min(precision, 4 + max(scale, 0), 9) - 1
            return numerics(name, source.integers(count, 0, most), scale, nulls)
        most = 100 if base == "int2" else 1000
        return ColumnValues(name, kind_of(column.type), source.integers(count, 0, most), nulls)


def _step_of(base: str, wishes: Wishes) -> tuple[int, int]:
    """Return how far spans begin from each other, and where the first does: in microseconds, days or numbers."""
    first = (wishes.days.first - _UNIX).days
    if base in ("timestamptz", "timestamp", "tsrange", "tstzrange"):
        return 3_600_000_000, first * DAY_US
    return (4, first) if base in ("date", "daterange") else (4, 1)


def _epoch_of(base: str) -> int:
    return {
        "tsrange": POSTGRESQL_EPOCH_US,
        "tstzrange": POSTGRESQL_EPOCH_US,
        "daterange": POSTGRESQL_EPOCH_DAYS,
    }.get(base, 0)
