"""Rows of a table, put together column by column: parents and pool rows are drawn, what breaks a rule is drawn again, and
what counts rows is counted at the end.
"""

from collections.abc import Mapping
from datetime import date

import numpy as np

from integrity.engines.columns import POSTGRESQL_EPOCH_DAYS, POSTGRESQL_EPOCH_US, Array, ColumnValues, CopyKind
from integrity.errors import UsageError, quote
from integrity.numbers import counted
from integrity.seeds.schema.conditions import holds
from integrity.seeds.schema.deal import Deal, Draws, rank_within
from integrity.seeds.schema.keys import codes_of, codes_together, fold, taken
from integrity.seeds.schema.numbering import seed_of
from integrity.seeds.schema.numbers import chosen, kind_of, numerics, random_uuids, spans
from integrity.seeds.schema.plan import Plan, Spans
from integrity.seeds.schema.tables import Column, Reference, Unique
from integrity.seeds.schema.wishes import Wishes
from integrity.seeds.source import Source

ROUNDS_MOST = 60
DENSE = 4
"""Combinations are dealt out rather than drawn where there are fewer than so many times what is wanted."""
DEALT_MOST = 50_000_000
DAY_US = 86_400_000_000

_UNIX = date(1970, 1, 1)

Keys = Mapping[str, ColumnValues]


class RowMaker:
    """Makes the rows of one table.

    Args:
        keys: full name of a table -> the columns of it that others refer to, of all its rows; of this table itself nothing.
    """

    def __init__(self, plan: Plan, keys: Mapping[str, Keys], wishes: Wishes, seed: int) -> None:
        self._plan, self._keys, self._wishes = plan, keys, wishes
        self._table = plan.table
        self._source = Source(seed, seed_of(plan.table.full_name))
        self._others = [each for each in plan.taken if each.parent != plan.table.full_name]
        self._own = [each for each in plan.taken if each.parent == plan.table.full_name]
        self._refused: dict[str, int] = {}
        self._deal = self._find_deal()

    def make(self) -> list[ColumnValues]:
        """Return the columns of all rows; fewer than planned where no more can differ and nobody asked for that many.

        Raises:
            UsageError: somebody did; says which constraint stands in the way.
        """
        plan = self._plan
        kept: Draws = {}
        held = 0
        for round_number in range(ROUNDS_MOST):
            more = plan.count - held
            fresh = self._draw(max(more if round_number == 0 else 2 * more, 16))
            merged = {name: np.concatenate([kept[name], drawn]) if kept else drawn for name, drawn in fresh.items()}
            good = np.flatnonzero(self._find_good(merged))[: plan.count]
            kept = {name: drawn[good] for name, drawn in merged.items()}
            was, held = held, len(good)
            if held == plan.count or not fresh:
                break
            if self._deal is not None and self._deal.is_over and held == was:
                break
        if held < plan.count and fresh:
            self._fall_short(held)
        kept = self._in_key_order(kept)
        return self._finish(kept, plan.count if not fresh else held)

    def _in_key_order(self, kept: Draws) -> Draws:
        """Return the rows in the order of the parent that leads their primary key, as the lines of orders come to be.

        The server then keeps the key's index up twice as fast, measured on 700,000 rows.
        """
        primary = next((unique for unique in self._table.uniques if unique.is_primary), None)
        for reference in self._others:
            if primary is not None and reference.columns == primary.columns[:1]:
                order = np.argsort(kept[_parent(reference)], kind="stable")
                return {name: drawn[order] for name, drawn in kept.items()}
        return kept

    def _fall_short(self, held: int) -> None:
        plan, table = self._plan, self._table
        worst = max(self._refused, key=lambda name: self._refused[name], default="")
        if self._deal is not None and self._deal.is_over:  # it deals nothing out that would be refused
            worst = f"unique constraint {quote(self._deal.name)}"
        if plan.is_named or held == 0:
            raise UsageError(
                f"{table.full_name}: only {held:,} of {counted(plan.count, 'row')} can be made: {worst} refuses the others",
                hint=f"Ask for fewer (--rows {table.name}={held}), or for more rows of the tables that it refers to.",
            )

    # Drawing

    def _draw(self, count: int) -> Draws:
        draws: Draws = {}
        if self._deal is not None:
            draws |= self._deal.take(count)
            count = len(next(iter(draws.values())))
        for number, pool in enumerate(self._plan.pools):
            if _pool(number) not in draws:
                draws[_pool(number)] = self._source.integers(count, 0, len(pool) - 1)
        for reference in self._others:
            if _parent(reference) not in draws:
                draws[_parent(reference)] = self._draw_parents(reference, draws, count)
        return draws

    def _draw_parents(self, reference: Reference, draws: Draws, count: int) -> Array:
        """Return for each row the parent that it refers to; -1: null, -2: none suits what the row holds already."""
        parent = self._keys[reference.parent]
        size = len(next(iter(parent.values())))
        shared = [
            (name, parent_name)
            for name, parent_name in zip(reference.columns, reference.parent_columns, strict=True)
            if any(name in other.columns and _parent(other) in draws for other in self._others)
        ]
        skew = max(self._wishes.of_column(self._table, name).skew for name in reference.columns)
        if shared:
            places = self._draw_suitable(shared, parent, draws, count)
        else:
            places = self._source.integers(count, 0, max(0, size - 1)) if size else np.full(count, -2)
            for _ in range(skew):
                places = self._source.below(places + 1)
        return np.where(self._find_null(reference, draws, count), -1, places)

    def _draw_suitable(self, shared: list[tuple[str, str]], parent: Keys, draws: Draws, count: int) -> Array:
        """Return parents that agree with what the rows hold already in some columns."""
        own_codes, parent_codes = [], []
        for name, parent_name in shared:
            one, other = codes_together(self._column(name, draws, count), parent[parent_name])
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

    def _find_null(self, reference: Reference, draws: Draws, count: int) -> Array:
        """Return in which rows a foreign key is null: as a pool says, or by chance."""
        nullable = [name for name in reference.columns if not self._table.columns[name].is_required]
        if not nullable:
            return np.zeros(count, np.bool_)
        for number, pool in enumerate(self._plan.pools):
            for name in nullable:
                if name in pool.columns:
                    place = pool.columns.index(name)
                    is_null = np.array([forms[place] is None for forms in pool.forms], np.bool_)
                    return is_null[draws[_pool(number)]]
        wish = self._wishes.of_column(self._table, nullable[0])
        return self._source.chances(count, self._wishes.nulls if wish.nulls is None else wish.nulls)

    # Picking

    def _find_good(self, draws: Draws) -> Array:
        count = len(next(iter(draws.values()))) if draws else self._plan.count
        good = np.ones(count, np.bool_)
        for reference in self._others:
            drawn = draws[_parent(reference)]
            self._keep(good, (drawn != -2) & ~self._lacks(reference, drawn), f"foreign key {quote(reference.name)}")
        for check in self._plan.conditions:
            columns = {name: self._column(name, draws, count) for name in check.columns if self._is_at_hand(name)}
            if len(columns) == len(set(check.columns)):
                passed = holds(check.text, columns, count)
                if passed is not None:
                    self._keep(good, passed, f"check {quote(check.name)}")
        for unique in self._plan.uniques:
            self._keep_different(good, unique, draws, count)
        return good

    def _lacks(self, reference: Reference, places: Array) -> Array:
        """Return in which rows a column that must have a value would take over a null."""
        lacking = np.zeros(len(places), np.bool_)
        for name, parent_name in zip(reference.columns, reference.parent_columns, strict=True):
            nulls = self._keys[reference.parent][parent_name].nulls
            if nulls is not None and self._table.columns[name].is_required:
                lacking |= nulls[np.maximum(places, 0)] & (places >= 0)
        return lacking

    def _keep(self, good: Array, passed: Array, name: str) -> None:
        refused = int((good & ~passed).sum())
        self._refused[name] = self._refused.get(name, 0) + refused
        good &= passed

    def _keep_different(self, good: Array, unique: Unique, draws: Draws, count: int) -> None:
        """Let of rows that are alike in a unique constraint only the first be good."""
        if not all(self._is_at_hand(name) for name in unique.columns):
            return
        columns = [self._column(name, draws, count) for name in unique.columns]
        codes = [codes_of(column) for column in columns]
        counts = good.copy()
        if unique.takes_nulls:
            for code in codes:
                counts &= code != -1
        if unique.predicate:
            about = {name: self._column(name, draws, count) for name in self._table.columns if self._is_at_hand(name)}
            where = holds(unique.predicate, about, count, nulls_pass=False)
            counts = counts if where is None else counts & where
        places = np.flatnonzero(counts)
        alike = fold(codes) if codes else np.zeros(count, np.int64)  # of constants alone: there is one such row
        _, first = np.unique(alike[places], return_index=True)
        passed = ~counts
        passed[places[first]] = True
        self._keep(good, passed | ~good, f"unique constraint {quote(unique.name)}")

    def _is_at_hand(self, name: str) -> bool:
        """The column is known while rows are picked."""
        return any(name in reference.columns for reference in self._others) or any(
            name in pool.columns for pool in self._plan.pools
        )

    def _column(self, name: str, draws: Draws, count: int) -> ColumnValues:
        """Return a column of the rows as drawn so far."""
        for reference in self._others:
            if name in reference.columns and _parent(reference) in draws:
                return self._taken(reference, name, draws[_parent(reference)])
        for number, pool in enumerate(self._plan.pools):
            if name in pool.columns and _pool(number) in draws:
                return self._pooled(number, name, draws[_pool(number)])
        return ColumnValues(name, CopyKind.BIGINT, np.zeros(count, np.int64))

    def _taken(self, reference: Reference, name: str, places: Array) -> ColumnValues:
        parent_name = reference.parent_columns[reference.columns.index(name)]
        column = self._table.columns[name]
        is_null = (places < 0) & (not column.is_required)
        return taken(column, self._keys[reference.parent][parent_name], np.maximum(places, 0), is_null)

    def _pooled(self, number: int, name: str, places: Array) -> ColumnValues:
        pool = self._plan.pools[number]
        place = pool.columns.index(name)
        forms: dict[bytes | None, int] = {}
        codes = np.array([forms.setdefault(row[place], len(forms)) for row in pool.forms], np.int64)
        return _native(chosen(name, list(forms), codes[places]), kind_of(self._table.columns[name].type))

    # Dealing: combinations without repetition

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
            references = [each for each in self._others if name in each.columns]
            pools = [number for number, pool in enumerate(self._plan.pools) if name in pool.columns]
            if (
                len(references) == 1
                and not pools
                and len(references[0].columns) == 1
                and self._table.columns[name].is_required
            ):
                size = len(next(iter(self._keys[references[0].parent].values())))
                sizes[_parent(references[0])] = size
            elif len(references) == 1 and not pools and set(references[0].columns) <= set(unique.columns):
                if any(
                    each is not references[0] and set(each.columns) & set(references[0].columns) for each in self._others
                ):
                    return None
                if not self._table.columns[name].is_required:
                    return None
                sizes[_parent(references[0])] = len(next(iter(self._keys[references[0].parent].values())))
            elif not references and len(pools) == 1:
                sizes[_pool(pools[0])] = len(self._plan.pools[pools[0]])
            else:
                return None
        return sizes if all(sizes.values()) else None

    # Finishing

    def _finish(self, draws: Draws, count: int) -> list[ColumnValues]:
        plan, table = self._plan, self._table
        made: dict[str, ColumnValues] = {}
        numbers = np.arange(count)
        for name, numbering in plan.numbered.items():
            made[name] = numbering.make(name, numbers)
        for reference in self._others:
            for name in reference.columns:
                made.setdefault(name, self._taken(reference, name, draws[_parent(reference)]))
        for number, pool in enumerate(plan.pools):
            for name in pool.columns:
                if name not in made and not any(name in each.gives(table.full_name) for each in plan.taken):
                    made[name] = self._pooled(number, name, draws[_pool(number)])
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
        nulls = (first | self._find_null(reference, draws, count)) if nullable else np.zeros(count, np.bool_)
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


def _parent(reference: Reference) -> str:
    return f"parent {reference.name}"


def _pool(number: int) -> str:
    return f"pool {number}"
