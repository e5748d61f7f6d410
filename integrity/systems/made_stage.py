"""The stage of a system whose tables were reflected: the rows that it wants, with all that these need.

It is made once, when a race first asks for it, and is the same each time: its rows are alone in their tables.
"""

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import chain
from typing import Any

from sqlalchemy import Table

from integrity.database.names import full_name, name_of
from integrity.domain import Domain, KeyOf
from integrity.engines.target import Target
from integrity.errors import UsageError, quote
from integrity.operation import Value
from integrity.sql.name import quoted
from integrity.suggestion import suggest
from integrity.systems.filling import Likely
from integrity.systems.made_rows import RowMaker, find_table
from integrity.systems.reflect import Reflected
from integrity.systems.stage import Ref, Stage, StagedRow
from integrity.systems.wanted_row import WantedRow


@dataclass(slots=True)
class MadeStage:
    """Makes the stage, when it is called.

    Args:
        target: asked which values the checks of its tables take.
        tables: of it.
        given: the system's own stage; None: it has none.
        wanted: rows beside those, of a race of all operations.
        wanted_by: those of a race of some operations; None: the same.
        drawn: of each operation the pools of keys that it draws from.
        queries: pool -> a query, of those that are no table's.
        likely, likely_by: values with which calls are accepted, of a race of all operations, and of some; see Filling.
        single: afterwards, table -> why it has one row only, of those that keys are drawn of.
    """

    target: Target
    tables: Reflected
    given: Callable[[], Stage] | None
    wanted: Sequence[WantedRow]
    wanted_by: Callable[[Collection[str]], Sequence[WantedRow]] | None
    drawn: Mapping[str, Sequence[str]]
    queries: Mapping[str, str]
    likely: Likely = field(default_factory=dict)
    likely_by: Callable[[Collection[str]], Likely] | None = None
    single: dict[str, str] = field(default_factory=dict)
    _made: list[Stage] = field(default_factory=list)
    _of: "dict[frozenset[str], MadeStage]" = field(default_factory=dict)

    def __call__(self) -> Stage:
        if not self._made:
            self._made.append(self._make())
        return self._made[0]

    def of(self, operations: Collection[str]) -> "MadeStage":
        """Return the stage of a race of some operations: what only others want is not on it."""
        names = frozenset(operations)
        if names not in self._of:
            drawn = {name: pools for name, pools in self.drawn.items() if name in names}
            wanted = self.wanted_by(names) if self.wanted_by else self.wanted
            likely = self.likely_by(names) if self.likely_by else self.likely
            self._of[names] = replace(self, wanted=wanted, drawn=drawn, likely=likely, single={}, _made=[], _of={})
        return self._of[names]

    def _make(self) -> Stage:
        given = self.given() if self.given else Stage((), {})
        maker = RowMaker(self.tables, self._ask, self.target.dialect, self.likely)
        maker.make([*given.rows, *self.wanted])
        keys: dict[str, Ref | Value] = {
            name: Ref(maker.name_of_row(key.row), key.column) if isinstance(key, Ref) else key
            for name, key in given.keys.items()
        }
        known = {name.rpartition("_")[0] for name in keys}
        left = [pool for pool in dict.fromkeys(chain.from_iterable(self.drawn.values())) if pool not in known]
        self._double(left, maker, {row.name for row in given.rows})
        rows = maker.rows
        for pool in left:
            if pool not in self.queries:
                keys |= {f"{pool}_{n}": Ref(row) for n, row in enumerate(self._rows_of(pool, maker, rows), start=1)}
        queries = {pool: self.queries[pool] for pool in left if pool in self.queries}
        return Stage(rows, keys, is_alone=True, queries=queries)

    def _double(self, pools: Collection[str], maker: RowMaker, given: Collection[str]) -> None:
        """Give tables that keys are drawn of a second row, so that calls may meet on one and pass each other by.

        Args:
            given: the rows of the system's own stage, which has said how many there are.
        """
        named = {pool: find_table(self.tables, pool) for pool in pools if pool not in self.queries}
        drawn = {table: pool for pool, table in named.items() if table is not None}
        for table in self.tables.sorted_tables:  # what others refer to first: they are copied with it
            rows = maker.rows_by_table.get(table, ())
            if table in drawn and len(rows) == 1 and rows[0] not in given:
                try:
                    maker.add_copy(rows[0])
                except UsageError as error:
                    self.single[drawn[table]] = error.message

    def _rows_of(self, pool: str, maker: RowMaker, rows: Sequence[StagedRow]) -> list[str]:
        """Return the rows whose keys a pool has: those of the table of its name, or the one row of its name.

        Raises:
            UsageError: there is no such row.
        """
        table = find_table(self.tables, pool)
        if table is not None and table in maker.rows_by_table:
            return maker.rows_by_table[table]
        name = maker.name_of_row(pool)
        if any(row.name == name for row in rows):
            return [name]
        what = f"no row of table {pool}" if table is not None else f"no table, row or pool {quote(pool)}"
        drawing = " and of ".join(quote(each) for each, pools in self.drawn.items() if pool in pools)
        known = [*(name_of(each) for each in self.tables.sorted_tables), *(row.name for row in rows), *self.queries]
        give = f'Give it one: WantedRow("name", "{pool}", {{}}) in the system\'s rows.'
        raise UsageError(
            f"an argument of {drawing} is a key of {pool}, and there is {what} to race on",
            hint=give if table is not None else suggest(pool, known, otherwise=give),
        )

    def _ask(self, question: str) -> Sequence[Sequence[Any]]:
        with self.target.open_line(self.tables.places, is_read_only=True) as line:
            return line.ask(question)


def pools_of(arguments: Iterable[Iterable[Domain]]) -> list[str]:
    """Return the pools of the keys of rows that arguments are drawn from."""
    return list(dict.fromkeys(each.pool for domains in arguments for each in domains if type(each) is KeyOf))


def key_queries(tables: Reflected, pools: Iterable[str]) -> dict[str, str]:
    """Return pool -> the query of the primary keys of the table of its name, for those that are a table's."""
    found = {pool: table for pool in pools if (table := find_table(tables, pool)) is not None}
    return {pool: _key_query(table) for pool, table in found.items() if table.primary_key.columns}


def _key_query(table: Table) -> str:
    names = ", ".join(quoted(column.name) for column in table.primary_key.columns)
    return f"select {names} from {full_name(table)} order by {names}"
