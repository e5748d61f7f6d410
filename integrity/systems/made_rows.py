"""Rows that nobody described: what wanted rows need, so that a database takes them.

A foreign key needs a row to refer to: one that is there by then, else a new one, which may need others. A column that must
have a value, and has no default, gets one that its checks take and that no other row of the table has (filling.py). What
cannot be made is an error that names the table and the column, before any schedule is played.

The rows of a stage are alone in their tables, so the values are the same each time.
"""

import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import (
    JSON,
    Column,
    ForeignKeyConstraint,
    Integer,
    Table,
)

from integrity.database.names import find_named, full_name, name_of
from integrity.engines.places import schema_of
from integrity.engines.values import sql_of
from integrity.errors import UsageError
from integrity.numbers import counted
from integrity.operation import Value
from integrity.suggestion import suggest
from integrity.systems.filling import Filling, Likely
from integrity.systems.made_row import Cell, MadeRow
from integrity.systems.made_values import AskDatabase
from integrity.systems.reflect import Reflected
from integrity.systems.row_copies import Differing, differing, distinct_keys_of
from integrity.systems.row_needs import (
    foreign_keys_of,
    is_unique,
    must_have,
    unique_in,
    unique_keys_of,
)
from integrity.systems.stage import Expression, Ref, StagedRow
from integrity.systems.wanted_row import WantedRow

_REFERENCE = re.compile(r':(?P<row>\w+)(?:\.(?P<column>\w+|"(?:[^"]|"")+"))?')
SPREAD = 1_000_000
"""Where SQLite numbers the rows of a table by its greatest key, each table gets keys of a million of its own."""


@dataclass(slots=True)
class RowMaker:
    """Makes the rows of one stage.

    Args:
        tables: of the database.
        ask: the database, about values.
        dialect: as Target.dialect names it.
        likely: values for columns that nobody gave one; see Filling.
    """

    tables: Reflected
    ask: AskDatabase
    dialect: str
    likely: Likely = field(default_factory=dict)
    _wanted: list[MadeRow] = field(default_factory=list)
    _made: list[MadeRow] = field(default_factory=list)
    _same: dict[str, str] = field(default_factory=dict)
    _filling: Filling = field(init=False)

    def __post_init__(self) -> None:
        self._filling = Filling(self.tables, self.ask, self.dialect, self._wanted, self._made, self.likely)

    def make(self, wanted: Sequence[WantedRow | StagedRow]) -> list[StagedRow]:
        """Return rows in an order in which they can be inserted, those that were wanted with their keys as names.

        Two wanted rows that would be one by a unique key are one.

        Raises:
            UsageError: a row names no table or column, refers to none before it, or needs what cannot be made.
        """
        for each in self.read(wanted):
            self._complete(each, [])
        return self.rows

    def read(self, wanted: Sequence[WantedRow | StagedRow]) -> Sequence[MadeRow]:
        """Return rows as they were wanted, of tables and columns that there are; nothing is made, no database asked.

        Raises:
            UsageError: a row names no table or column, or refers to none before it.
        """
        for row in wanted:
            self._wanted.append(self._read(row))
        return self._wanted

    def check_given(self) -> None:
        """Ask of every value that a row was wanted with whether its column's type takes it.

        Raises:
            UsageError: one is refused.
        """
        for row in self._wanted:
            self._filling.check_values(row)

    @property
    def rows(self) -> list[StagedRow]:
        """All that were made."""
        return [StagedRow(row.name, full_name(row.table), self._cells_of(row), row.written_at) for row in self._made]

    def _cells_of(self, row: MadeRow) -> dict[str, Value | Cell]:
        return {
            name: Ref(self.name_of_row(cell.row), cell.column) if isinstance(cell, Ref) else cell
            for name, cell in row.cells.items()
        }

    def name_of_row(self, key: str) -> str:
        """Return the name of the row that a wanted row has become."""
        return self._same.get(key, key)

    @property
    def rows_by_table(self) -> dict[Table, list[str]]:
        """The names of the rows of each table: those that were wanted first."""
        rows: dict[Table, list[str]] = {}
        wanted = [row for row in self._made if row in self._wanted]
        for row in [*wanted, *(row for row in self._made if row not in self._wanted)]:
            rows.setdefault(row.table, []).append(row.name)
        return rows

    def add_copy(self, name: str) -> None:
        """Make a row like one that was made, with other keys, and its world: what was wanted and hangs together with it.

        So what holds of the one holds of the other: a total of its parts. Where that cannot be made twice, what it refers
        to is shared, but for what only one row may refer to; so is always what nobody wanted.

        Raises:
            UsageError: there can be no second one; nothing was made then.
        """
        try:
            self._copy(self._copied_with(name, is_whole=True))
        except UsageError:
            self._copy(self._copied_with(name, is_whole=False))

    def _copy(self, chosen: Collection[str]) -> None:
        before = len(self._made)
        copies: dict[str, str] = {}
        try:
            for row in self._made[:before]:
                if row.name in chosen:
                    differing = self._differing(row, chosen)
                    kept = {
                        column: Ref(copies.get(cell.row, cell.row), cell.column) if isinstance(cell, Ref) else cell
                        for column, cell in row.cells.items()
                        if column not in differing.anew and (isinstance(cell, Ref) or column in row.asked)
                    }
                    copy = MadeRow(self._free_name(row.name), row.table, kept, row.written_at, anew=differing.anew)
                    self._complete(copy, [])
                    copies[row.name] = copy.name
        except UsageError:
            del self._made[before:]
            raise

    def _copied_with(self, name: str, *, is_whole: bool) -> set[str]:
        """Return the names of the rows that are copied with one, and its own.

        Args:
            is_whole: wanted rows that one of them refers to, too.
        """
        chosen: set[str] = set()
        found = {name}
        wanted = {row.name for row in self._wanted} if is_whole else set()
        while found - chosen:
            chosen |= found
            for each in self._made:
                referred = {cell.row for cell in each.cells.values() if isinstance(cell, Ref)}
                if each.name in found:
                    found |= (referred & wanted) | self._differing(each, found).parents
                elif referred & found:
                    found.add(each.name)
        return chosen

    def _differing(self, row: MadeRow, copied: Collection[str]) -> Differing:
        excluded = self._filling.catalogue.exclusions.get((schema_of(row.table), row.table.name), ())
        keys = [*distinct_keys_of(row.table), *([name for name, _ in each.elements] for each in excluded)]
        return differing(row.table, keys, row.cells, row.asked, copied)

    def _read(self, row: WantedRow | StagedRow) -> MadeRow:
        name = row.key if isinstance(row, WantedRow) else row.name
        written_at = row.written_at
        table = find_table(self.tables, row.table)
        if table is None:
            known = sorted(name_of(each) for each in self.tables.sorted_tables)
            said = f"the database has no table {row.table}"  # the row may be one that a `key of` asks for
            raise UsageError(
                written_at.describe(said, row.table) if written_at.path else f"row {name}: {said}",
                hint=suggest(row.table, known, otherwise=f"It has {counted(len(known), 'table')}: {', '.join(known[:8])}."),
            )
        made = MadeRow(name, table, {}, written_at)
        for spelled, value in row.values.items():
            found = find_named(dict(table.columns.items()), spelled)
            if found is None:
                hint = suggest(spelled, table.columns.keys(), otherwise=f"It has: {', '.join(table.columns.keys())}.")
                raise made.fault(f"table {row.table} has no column {spelled}", row.table, spelled, hint=hint)
            cell = _cell_of(value, found[1], is_text=isinstance(row, WantedRow))
            made.cells[found[0]] = self._resolved(cell, found[1], made) if isinstance(cell, Ref) else cell
            made.spelled[found[0]] = spelled
        made.asked.update(made.cells)
        return made

    def _resolved(self, ref: Ref, column: "Column[Any]", row: MadeRow) -> Ref:
        """Return a reference with the column that it means."""
        other = next((each for each in self._wanted if each.name == ref.row), None)
        if other is None:
            raise row.fault(f"{column.name} refers to row {ref.row}, and no row before it has that name", ref.row)
        if ref.column:
            found = find_named(dict(other.table.columns.items()), ref.column)
            if found is None:
                hint = suggest(ref.column, other.table.columns.keys())
                raise row.fault(f"row {other.name} has no column {ref.column}", ref.row, ref.column, hint=hint)
            return Ref(other.name, found[0])
        referred = [
            element.column.name
            for key in column.table.foreign_key_constraints
            if key.referred_table is other.table
            for element in key.elements
            if element.parent is column
        ]
        primary = [each.name for each in other.table.primary_key.columns]
        if not referred and len(primary) != 1:
            raise row.fault(
                f"{column.name} refers to row {other.name}, whose key is of {len(primary)} columns",
                ref.row,
                hint=f"Name the one that is meant: :{other.name}.{(primary or ['column'])[0]}",
            )
        return Ref(other.name, (referred or primary)[0])

    def _complete(self, row: MadeRow, stack: list[MadeRow]) -> None:
        if row.is_made:
            return
        row.is_in_the_making = True
        self._give_key(row)
        for key in foreign_keys_of(row.table):
            self._refer(row, key, [*stack, row])
        self._filling.fill(row)
        row.is_made = True
        if same := self._twin_of(row):
            if row in self._wanted:
                self._same[row.name] = same.name
                return
            raise row.fault(f"every row would have the same {unique_in(row.table)}", hint=row.give_one())
        self._made.append(row)

    def _give_key(self, row: MadeRow) -> None:
        """Number a row where the database would begin at 1 in every table: a scratch of PostgreSQL's is told where to."""
        primary = list(row.table.primary_key.columns)
        is_numbered = not self._filling.speaks_postgresql and len(primary) == 1 and isinstance(primary[0].type, Integer)
        if is_numbered and primary[0].name not in row.cells and not primary[0].foreign_keys:
            number = (sorted(self.tables.tables).index(row.table.key) + 1) * SPREAD + self._filling.number_of(row)
            row.cells[primary[0].name] = Expression(str(number))

    def _refer(self, row: MadeRow, key: ForeignKeyConstraint, stack: list[MadeRow]) -> None:
        """Give the columns of a foreign key the values of a row that there is, or is made."""
        pairs = [(element.parent, element.column) for element in key.elements]
        given = {there.name: row.cells[here.name] for here, there in pairs if here.name in row.cells}
        left = [(here, there) for here, there in pairs if here.name not in row.cells]
        if any(isinstance(cell, Expression) and cell.sql.strip().lower() == "null" for cell in given.values()):
            return
        if not any(must_have(here) or (here.server_default is not None and not here.nullable) for here, _ in left) and (
            left or all(isinstance(cell, Ref) for cell in given.values())
        ):
            return
        parent = self._named_parent(key, given)
        if parent is None and key.referred_table is row.table:
            self._refer_to_itself(row, pairs)
            return
        parent = parent or self._find_parent(row, key, given, stack)
        row.cells |= {here.name: Ref(parent.name, there.name) for here, there in left}

    def _named_parent(self, key: ForeignKeyConstraint, given: Mapping[str, Cell]) -> MadeRow | None:
        """Return the row that some of the columns refer to by its name already."""
        for name, cell in given.items():
            if isinstance(cell, Ref) and cell.column == name:
                found = next((each for each in (*self._made, *self._wanted) if each.name == cell.row), None)
                if found is not None and found.table is key.referred_table:
                    return found
        return None

    def _refer_to_itself(self, row: MadeRow, pairs: Sequence[tuple["Column[Any]", "Column[Any]"]]) -> None:
        for here, there in pairs:
            if there.name not in row.cells:
                number = self._filling.number_of(row)
                found = self._filling.candidates(there, number, row.table)
                if not found:
                    raise row.fault(f"{here.name} refers to a row of the same table", hint=row.give_one(here.name))
                row.cells[there.name] = Expression(found[0])
            row.cells.setdefault(here.name, row.cells[there.name])

    def _find_parent(
        self, row: MadeRow, key: ForeignKeyConstraint, given: Mapping[str, Cell], stack: list[MadeRow]
    ) -> MadeRow:
        """Return a row that no other foreign key of the row means, and that a unique key allows; else a new one."""
        table = key.referred_table
        used = {cell.row for cell in row.cells.values() if isinstance(cell, Ref)}
        is_own = is_unique(row.table, [element.parent.name for element in key.elements])
        if is_own:
            used |= {
                cell.row
                for other in (*self._made, *self._wanted)
                if other.table is row.table and other is not row
                for element in key.elements
                if isinstance(cell := other.cells.get(element.parent.name), Ref)
            }
        for other in (*self._made, *self._wanted):
            if other.table is not table or other.name in used or (other.is_in_the_making and not other.is_made):
                continue
            if all(_agrees(other, column, cell) for column, cell in given.items()):
                self._complete(other, stack)
                return other
        if any(each.table is table for each in stack):
            circle = " -> ".join([name_of(each.table) for each in stack] + [name_of(table)])
            raise row.fault(
                f"{', '.join(element.parent.name for element in key.elements)} needs a row of {name_of(table)},"
                f" which needs one of {name_of(row.table)}: {circle}",
                hint="Rows that refer to one another in a circle are made by a stage of the system's own.",
            )
        made = MadeRow(self._free_name(f"{table.name} 1"), table, dict(given), row.written_at, asked=dict(given))
        self._complete(made, stack)
        return made

    def _free_name(self, like: str) -> str:
        """Return a name that no row has: this one, else with another number behind it."""
        taken = {each.name for each in (*self._made, *self._wanted)}
        stem = re.sub(r"(?<=[ _])\d+$", "", like)
        stem = stem if stem != like else f"{like}_"
        return next(name for name in (like, *(f"{stem}{n}" for n in range(2, len(taken) + 3))) if name not in taken)

    def _twin_of(self, row: MadeRow) -> MadeRow | None:
        """Return a row that has the same unique key."""
        for other in self._made:
            if other.table is row.table:
                for key in unique_keys_of(row.table):
                    cells = [row.cells.get(name) for name in key]
                    if None not in cells and cells == [other.cells.get(name) for name in key]:
                        return other
        return None


def find_table(tables: Reflected, spelled: str) -> Table | None:
    """Return the table of that name, with its schema or without where no other table has it."""
    known = {name: table for table in tables.sorted_tables for name in (name_of(table), f"{schema_of(table)}.{table.name}")}
    found = find_named(known, spelled)
    return found[1] if found else None


def _cell_of(value: "Value | Cell", column: "Column[Any]", *, is_text: bool) -> Cell:
    """Return what stands for a value; a wanted row's is text: an expression, or a reference."""
    if isinstance(value, Ref | Expression):
        return value
    if is_text and isinstance(value, str):
        match = _REFERENCE.fullmatch(value.strip())
        return Ref(match["row"], match["column"] or "") if match else Expression(value)
    return Expression(sql_of(value, is_json=isinstance(column.type, JSON)))


def _agrees(row: MadeRow, column: str, cell: Cell) -> bool:
    return row.cells.get(column) == cell or cell == Ref(row.name, column)
