"""Rows of a table, put together column by column: parents and pool rows are drawn, what breaks a rule is drawn again, and
what counts rows is counted at the end.
"""

from collections.abc import Iterable, Mapping

import numpy as np

from integrity.engines.columns import Array, ColumnValues
from integrity.errors import UsageError, quote
from integrity.numbers import counted
from integrity.seeds.schema.conditions import holds
from integrity.seeds.schema.deal import Draws
from integrity.seeds.schema.draws import Drawer, Keys, parent_of
from integrity.seeds.schema.finish import Finisher
from integrity.seeds.schema.keys import codes_of, fold
from integrity.seeds.schema.numbering import seed_of
from integrity.seeds.schema.plan import Plan
from integrity.seeds.schema.tables import Reference, Unique
from integrity.seeds.schema.wishes import Wishes
from integrity.seeds.source import Source

ROUNDS_MOST = 60


class RowMaker:
    """Makes the rows of one table.

    Args:
        keys: full name of a table -> the columns of it that others refer to, of all its rows; of this table itself nothing.
    """

    def __init__(self, plan: Plan, keys: Mapping[str, Keys], wishes: Wishes, seed: int) -> None:
        self._plan, self._keys, self._wishes = plan, keys, wishes
        self._table = plan.table
        self._source = Source(seed, seed_of(plan.table.full_name))
        self._refused: dict[str, int] = {}
        self._drawer = Drawer(plan, keys, wishes, self._source)

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
            fresh = self._drawer.draw(max(more if round_number == 0 else 2 * more, 16))
            merged = {name: np.concatenate([kept[name], drawn]) if kept else drawn for name, drawn in fresh.items()}
            good = np.flatnonzero(self._find_good(merged))[: plan.count]
            kept = {name: drawn[good] for name, drawn in merged.items()}
            was, held = held, len(good)
            if held == plan.count or not fresh:
                break
            if self._drawer.deal is not None and self._drawer.deal.is_over and held == was:
                break
        if held < plan.count and fresh:
            self._fall_short(held)
        kept = self._in_key_order(kept)
        return Finisher(plan, self._drawer, self._wishes, self._source).finish(kept, plan.count if not fresh else held)

    def _in_key_order(self, kept: Draws) -> Draws:
        """Return the rows in the order of the parent that leads their primary key, as the lines of orders come to be.

        The server then keeps the key's index up twice as fast, measured on 700,000 rows.
        """
        primary = next((unique for unique in self._table.uniques if unique.is_primary), None)
        for reference in self._drawer.others:
            if primary is not None and reference.columns == primary.columns[:1]:
                order = np.argsort(kept[parent_of(reference)], kind="stable")
                return {name: drawn[order] for name, drawn in kept.items()}
        return kept

    def _fall_short(self, held: int) -> None:
        plan, table = self._plan, self._table
        worst = max(self._refused, key=lambda name: self._refused[name], default="")
        if self._drawer.deal is not None and self._drawer.deal.is_over:  # it deals nothing out that would be refused
            worst = f"unique constraint {quote(self._drawer.deal.name)}"
        if plan.is_named or held == 0:
            raise UsageError(
                f"{table.full_name}: only {held:,} of {counted(plan.count, 'row')} can be made: {worst} refuses the others",
                hint=f"Ask for fewer (--rows {table.name}={held}), or for more rows of the tables that it refers to.",
            )

    def _find_good(self, draws: Draws) -> Array:
        count = len(next(iter(draws.values()))) if draws else self._plan.count
        good = np.ones(count, np.bool_)
        for reference in self._drawer.others:
            drawn = draws[parent_of(reference)]
            self._keep(good, (drawn != -2) & ~self._lacks(reference, drawn), f"foreign key {quote(reference.name)}")
        for check in self._plan.conditions:
            columns = self._at_hand(check.columns, draws, count)
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
        if not all(self._drawer.is_at_hand(name) for name in unique.columns):
            return
        columns = [self._drawer.column(name, draws, count) for name in unique.columns]
        codes = [codes_of(column) for column in columns]
        counts = good.copy()
        if unique.takes_nulls:
            for code in codes:
                counts &= code != -1
        if unique.predicate:
            about = self._at_hand(self._table.columns, draws, count)
            where = holds(unique.predicate, about, count, nulls_pass=False)
            counts = counts if where is None else counts & where
        places = np.flatnonzero(counts)
        alike = fold(codes) if codes else np.zeros(count, np.int64)  # of constants alone: there is one such row
        _, first = np.unique(alike[places], return_index=True)
        passed = ~counts
        passed[places[first]] = True
        self._keep(good, passed | ~good, f"unique constraint {quote(unique.name)}")

    def _at_hand(self, names: Iterable[str], draws: Draws, count: int) -> dict[str, ColumnValues]:
        """Return those of the columns that are known while rows are picked."""
        drawer = self._drawer
        return {name: drawer.column(name, draws, count) for name in names if drawer.is_at_hand(name)}
