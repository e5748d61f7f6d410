"""What the rows of a table are drawn from: parents, rows of pools, and combinations that are dealt out one by one."""

from collections.abc import Mapping

import numpy as np

from integrity.engines.columns import Array, ColumnValues, CopyKind
from integrity.seeds.schema.deal import Deal, Draws
from integrity.seeds.schema.keys import codes_together, fold
from integrity.seeds.schema.keys import taken as taken_over
from integrity.seeds.schema.numbers import chosen, kind_of
from integrity.seeds.schema.plan import Plan
from integrity.seeds.schema.tables import Reference, Unique
from integrity.seeds.schema.wishes import Wishes
from integrity.seeds.source import Source

DENSE = 4
"""Combinations are dealt out rather than drawn where there are fewer than so many times what is wanted."""
DEALT_MOST = 50_000_000

Keys = Mapping[str, ColumnValues]


class Drawer:
    """Draws for the rows of one table, and says what columns hold by what was drawn.

    Args:
        keys: as RowMaker takes it.

    others: its foreign keys to other tables.
    deal: what deals combinations out; None: they are drawn.
    """

    def __init__(self, plan: Plan, keys: Mapping[str, Keys], wishes: Wishes, source: Source) -> None:
        self._plan, self._keys, self._wishes, self._source = plan, keys, wishes, source
        self._table = plan.table
        self.others = [each for each in plan.taken if each.parent != plan.table.full_name]
        self.deal = self._find_deal()

    def draw(self, count: int) -> Draws:
        draws: Draws = {}
        if self.deal is not None:
            draws |= self.deal.take(count)
            count = len(next(iter(draws.values())))
        for number, pool in enumerate(self._plan.pools):
            if pool_of(number) not in draws:
                draws[pool_of(number)] = self._source.integers(count, 0, len(pool) - 1)
        for reference in self.others:
            if parent_of(reference) not in draws:
                draws[parent_of(reference)] = self._draw_parents(reference, draws, count)
        return draws

    def _draw_parents(self, reference: Reference, draws: Draws, count: int) -> Array:
        """Return for each row the parent that it refers to; -1: null, -2: none suits what the row holds already."""
        parent = self._keys[reference.parent]
        size = len(next(iter(parent.values())))
        shared = [
            (name, parent_name)
            for name, parent_name in zip(reference.columns, reference.parent_columns, strict=True)
            if any(name in other.columns and parent_of(other) in draws for other in self.others)
        ]
        skew = max(self._wishes.of_column(self._table, name).skew for name in reference.columns)
        if shared:
            places = self._draw_suitable(shared, parent, draws, count)
        else:
            places = self._source.integers(count, 0, max(0, size - 1)) if size else np.full(count, -2)
            for _ in range(skew):
                places = self._source.below(places + 1)
        return np.where(self.find_null(reference, draws, count), -1, places)

    def _draw_suitable(self, shared: list[tuple[str, str]], parent: Keys, draws: Draws, count: int) -> Array:
        """Return parents that agree with what the rows hold already in some columns."""
        own_codes, parent_codes = [], []
        for name, parent_name in shared:
            one, other = codes_together(self.column(name, draws, count), parent[parent_name])
            own_codes.append(one)
            parent_codes.append(other)
        both = fold([np.concatenate(pair) for pair in zip(own_codes, parent_codes, strict=True)])
        own, others = both[:count], both[count:]
        order = np.argsort(others, kind="stable")
        first = np.searchsorted(others[order], own, side="left")
        sizes = np.searchsorted(others[order], own, side="right") - first
        picked = first + self._source.below(np.maximum(sizes, 1))
        if not len(order):
            return np.full(count, -2)
        return np.where(sizes > 0, order[np.minimum(picked, len(order) - 1)], -2)

    def find_null(self, reference: Reference, draws: Draws, count: int) -> Array:
        """Return in which rows a foreign key is null: as a pool says, or by chance."""
        nullable = [name for name in reference.columns if not self._table.columns[name].is_required]
        if not nullable:
            return np.zeros(count, np.bool_)
        for number, pool in enumerate(self._plan.pools):
            for name in nullable:
                if name in pool.columns:
                    place = pool.columns.index(name)
                    is_null = np.array([forms[place] is None for forms in pool.forms], np.bool_)
                    return is_null[draws[pool_of(number)]]
        wish = self._wishes.of_column(self._table, nullable[0])
        return self._source.chances(count, self._wishes.nulls if wish.nulls is None else wish.nulls)

    def is_at_hand(self, name: str) -> bool:
        """The column is known while rows are picked."""
        return any(name in reference.columns for reference in self.others) or any(
            name in pool.columns for pool in self._plan.pools
        )

    def column(self, name: str, draws: Draws, count: int) -> ColumnValues:
        """Return a column of the rows as drawn so far."""
        for reference in self.others:
            if name in reference.columns and parent_of(reference) in draws:
                return self.taken(reference, name, draws[parent_of(reference)])
        for number, pool in enumerate(self._plan.pools):
            if name in pool.columns and pool_of(number) in draws:
                return self.pooled(number, name, draws[pool_of(number)])
        return ColumnValues(name, CopyKind.BIGINT, np.zeros(count, np.int64))

    def taken(self, reference: Reference, name: str, places: Array) -> ColumnValues:
        parent_name = reference.parent_columns[reference.columns.index(name)]
        column = self._table.columns[name]
        is_null = (places < 0) & (not column.is_required)
        return taken_over(column, self._keys[reference.parent][parent_name], np.maximum(places, 0), is_null)

    def pooled(self, number: int, name: str, places: Array) -> ColumnValues:
        pool = self._plan.pools[number]
        place = pool.columns.index(name)
        forms: dict[bytes | None, int] = {}
        codes = np.array([forms.setdefault(row[place], len(forms)) for row in pool.forms], np.int64)
        return _native(chosen(name, list(forms), codes[places]), kind_of(self._table.columns[name].type))

    def _find_deal(self) -> Deal | None:
        """Return what deals out the combinations of a unique constraint all of whose columns are drawn."""
        for unique in self._plan.uniques:
            sizes = self._drawers_of(unique)
            if unique.predicate or not sizes:  # one that is about constants alone has nothing to deal out
                continue
            product = 1
            for size in sizes.values():
                product *= size
            if product <= min(DEALT_MOST, max(DENSE * self._plan.count, 1)):
                return Deal(unique.name, sizes, product, self._source)
        return None

    def _drawers_of(self, unique: Unique) -> dict[str, int] | None:
        """Return what draws the columns of a unique constraint, each with how many choices it has; None: not only that."""
        sizes: dict[str, int] = {}
        for name in unique.columns:
            references = [each for each in self.others if name in each.columns]
            pools = [number for number, pool in enumerate(self._plan.pools) if name in pool.columns]
            if (
                len(references) == 1
                and not pools
                and len(references[0].columns) == 1
                and self._table.columns[name].is_required
            ):
                size = len(next(iter(self._keys[references[0].parent].values())))
                sizes[parent_of(references[0])] = size
            elif len(references) == 1 and not pools and set(references[0].columns) <= set(unique.columns):
                if any(
                    each is not references[0] and set(each.columns) & set(references[0].columns) for each in self.others
                ):
                    return None
                if not self._table.columns[name].is_required:
                    return None
                sizes[parent_of(references[0])] = len(next(iter(self._keys[references[0].parent].values())))
            elif not references and len(pools) == 1:
                sizes[pool_of(pools[0])] = len(self._plan.pools[pools[0]])
            else:
                return None
        return sizes if all(sizes.values()) else None


def _native(column: ColumnValues, kind: CopyKind) -> ColumnValues:
    """Return a pool's column with whole numbers as numbers, so that they can be compared."""
    widths: Mapping[CopyKind, str] = {
        CopyKind.BIGINT: ">i8",
        CopyKind.INTEGER: ">i4",
        CopyKind.SMALLINT: ">i2",
        CopyKind.BOOLEAN: "u1",
    }
    if kind not in widths or column.labels is None:
        return column
    size = np.dtype(widths[kind]).itemsize
    padded = column.labels.astype(f"S{size}")
    values = np.frombuffer(padded.tobytes(), widths[kind]).astype(np.int64)
    return ColumnValues(column.name, kind, values[column.values], column.nulls)


def parent_of(reference: Reference) -> str:
    return f"parent {reference.name}"


def pool_of(number: int) -> str:
    return f"pool {number}"
