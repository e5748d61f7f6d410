"""Rows that nobody described: what wanted rows need, so that a database takes them.

A foreign key needs a row to refer to: one that is there by then, else a new one, which may need others. A column that must
have a value, and has no default, gets one that its checks take and that no other row of the table has. What cannot be made
is an error that names the table and the column, before any schedule is played.

The rows of a stage are alone in their tables, so the values are the same each time.
"""

import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import (
    JSON,
    CheckConstraint,
    Column,
    ForeignKeyConstraint,
    Integer,
    Table,
)

from integrity.database.names import find_named, full_name, name_of
from integrity.engines.known import find_engine
from integrity.engines.places import schema_of
from integrity.engines.values import sql_of
from integrity.errors import DatabaseError, UsageError
from integrity.numbers import counted
from integrity.operation import Value
from integrity.sql.name import literal
from integrity.suggestion import suggest
from integrity.systems.made_row import Cell, MadeRow
from integrity.systems.made_values import AskDatabase, Sought, candidates, combinations_taken, within_domain
from integrity.systems.reflect import Catalogue, DomainType, Reflected
from integrity.systems.row_copies import Differing, differing, distinct_keys_of
from integrity.systems.row_needs import (
    columns_in,
    foreign_keys_of,
    groups_of,
    is_unique,
    may_have,
    must_have,
    type_of,
    unique_in,
    unique_keys_of,
)
from integrity.systems.stage import Expression, Ref, StagedRow
from integrity.systems.wanted_row import WantedRow

_REFERENCE = re.compile(r':(?P<row>\w+)(?:\.(?P<column>\w+|"(?:[^"]|"")+"))?')
_CHECK = re.compile(r"\bCHECK (\(.*\))(?: NO INHERIT| NOT VALID| NOT ENFORCED)*$", re.DOTALL)
SPREAD = 1_000_000
"""Where SQLite numbers the rows of a table by its greatest key, each table gets keys of a million of its own."""


@dataclass(slots=True)
class RowMaker:
    """Makes the rows of one stage.

    Args:
        tables: of the database.
        ask: the database, about values.
        dialect: as Target.dialect names it.
    """

    tables: Reflected
    ask: AskDatabase
    dialect: str
    _wanted: list[MadeRow] = field(default_factory=list)
    _made: list[MadeRow] = field(default_factory=list)
    _same: dict[str, str] = field(default_factory=dict)

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
        excluded = self._catalogue.exclusions.get((schema_of(row.table), row.table.name), ())
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
        self._fill(row)
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
        is_numbered = not self._speaks_postgresql and len(primary) == 1 and isinstance(primary[0].type, Integer)
        if is_numbered and primary[0].name not in row.cells and not primary[0].foreign_keys:
            number = (sorted(self.tables.tables).index(row.table.key) + 1) * SPREAD + self._number(row)
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
                number = self._number(row)
                found = self._candidates(there, number, row.table)
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

    def _fill(self, row: MadeRow) -> None:
        """Give values to the columns that must have one."""
        sought = [
            column
            for column in row.table.columns
            if column.name not in row.cells and (must_have(column) or column.name in row.anew)
        ]
        for columns, checks in groups_of(sought, self._checks(row.table), row.table, row.cells):
            found = self._search(row, columns, checks)
            if found is None:  # others may be what a check wants
                more = [
                    column
                    for check in checks.values()
                    for column in columns_in(check, row.table)
                    if column.name not in row.cells and column not in columns and may_have(column)
                ]
                found = self._search(row, list(dict.fromkeys((*columns, *more))), checks) if more else None
            if found is None:
                self._check_values(row)
                named = ", ".join(f"{name_of(row.table)}.{column.name}" for column in columns) or name_of(row.table)
                said = "; ".join(f"{name} {check}" for name, check in checks.items())
                if not columns:
                    hint = "Give it values that the check takes, or leave them out: what must be there is made."
                    checked = [each for check in checks.values() for each in columns_in(check, row.table)]
                    first = next((each.name for each in checked if each.name in row.asked), "")
                    said = f"the values that are given are refused by a check of {named}: {said}"
                    raise row.fault(said, row.spelled.get(first, ""), hint=hint)
                raise row.fault(
                    f"no value was found for {named} that its checks take: {said}", hint=row.give_one(columns[0].name)
                )
            row.cells |= {name: Expression(value) for name, value in found.items()}

    def _check_values(self, row: MadeRow) -> None:
        """Raise for a value that somebody gave and that is none of its column's type, or no expression.

        Raises:
            UsageError: there is one.
        """
        for name, cell in row.asked.items():
            if not isinstance(cell, Expression):
                continue
            questions = [f"select {cell.sql}"]
            if self._speaks_postgresql:
                document = f"jsonb_build_object({literal(name)}, {cell.sql})"
                questions.append(f"select jsonb_populate_record(null::{self._place_of(row.table)}, {document})")
            for question in questions:
                try:
                    self.ask(question)
                except DatabaseError as error:
                    said = f"{name} = {cell.sql}: {error.message.partition(': ')[2]}"
                    raise row.fault(said, row.spelled.get(name, ""), cell.sql, hint=VALUE_FORM) from None

    def _place_of(self, table: Table) -> str:
        return full_name(table) if table.schema else f"public.{full_name(table)}"

    def _search(self, row: MadeRow, sought: Sequence["Column[Any]"], checks: Mapping[str, str]) -> dict[str, str] | None:
        """Return values of columns that some checks speak of; None: none was found that they take."""
        taken = self._taken(row)
        tried: dict[str, list[str]] = {}
        for column in sought:
            known = self._candidates(column, self._number(row), row.table)
            if not known:
                raise row.fault(
                    f"{name_of(row.table)}.{column.name} must have a value, and none is known of its type"
                    f" ({type_of(column)})",
                    hint=row.give_one(column.name),
                )
            tried[column.name] = [each for each in known if each not in taken.get(column.name, ())] or known
        if not checks:
            return {name: values[0] for name, values in tried.items()}
        cells: dict[str, str] = {}
        for column in dict.fromkeys(each for check in checks.values() for each in columns_in(check, row.table)):
            cell = row.cells.get(column.name)
            default = "null" if column.name in row.cells else str(getattr(column.server_default, "arg", "null"))
            cells[column.name] = cell.sql if isinstance(cell, Expression) else default
        found = combinations_taken(
            self._place_of(row.table) if self._speaks_postgresql else "", cells, tried, list(checks.values()), self.ask
        )
        return found[0] if found else None

    def _candidates(self, column: "Column[Any]", number: int, table: Table) -> list[str]:
        domain = self._domain(column)
        checks = [check for _, check in self._checks(table) if column in columns_in(check, table)]
        found = candidates(Sought(column, number, checks, domain))
        return within_domain(domain, found, self.ask) if domain else found

    def _domain(self, column: "Column[Any]") -> DomainType | None:
        kind: Any = column.type
        if not self._speaks_postgresql or not hasattr(kind, "data_type"):
            return None
        return self._catalogue.domains.get((kind.schema or "public", kind.name))

    @property
    def _speaks_postgresql(self) -> bool:
        return find_engine(self.dialect).speaks_postgresql

    @property
    def _catalogue(self) -> Catalogue:
        assert self.tables.catalogue is not None
        return self.tables.catalogue

    def _checks(self, table: Table) -> Iterator[tuple[str, str]]:
        """Yield the checks of a table by their names, in words that need no search path."""
        if not self._speaks_postgresql:
            for each in table.constraints:
                if isinstance(each, CheckConstraint):
                    yield str(each.name), f"({each.sqltext})"
            return
        for definition in self._catalogue.definitions:
            if (definition.kind, definition.schema, definition.table) == ("constraint", schema_of(table), table.name) and (
                match := _CHECK.search(definition.statements[0])
            ):
                yield definition.name, match[1]

    def _number(self, row: MadeRow) -> int:
        return 1 + sum(each.table is row.table for each in self._made)

    def _taken(self, row: MadeRow) -> dict[str, set[str]]:
        """Return for each column of a unique key the values that other rows have."""
        unique = {name for key in unique_keys_of(row.table) for name in key} | set(row.anew)
        unique |= {
            name
            for each in self._catalogue.exclusions.get((schema_of(row.table), row.table.name), ())
            for name, _ in each.elements
        }
        taken: dict[str, set[str]] = {}
        for other in (*self._made, *self._wanted):
            if other.table is row.table and other is not row:
                for name, cell in other.cells.items():
                    if name in unique and isinstance(cell, Expression):
                        taken.setdefault(name, set()).add(cell.sql)
        return taken

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


VALUE_FORM = "A value is an expression of SQL, 100 or 'text', or a row above."


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
