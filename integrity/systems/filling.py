"""Filling: values for the columns of a row that must have one, which its checks take and no other row of the table has."""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import CheckConstraint, Column, Table

from integrity.database.names import full_name, name_of
from integrity.engines.known import find_engine
from integrity.engines.places import schema_of
from integrity.errors import DatabaseError
from integrity.sql.name import literal
from integrity.systems.made_row import MadeRow
from integrity.systems.made_values import (
    AskDatabase,
    Sought,
    candidates,
    combinations_taken,
    is_of_type,
    within_domain,
)
from integrity.systems.reflect import Catalogue, DomainType, Reflected
from integrity.systems.row_needs import columns_in, groups_of, may_have, must_have, type_of, unique_keys_of
from integrity.systems.stage import Expression

_CHECK = re.compile(r"\bCHECK (\(.*\))(?: NO INHERIT| NOT VALID| NOT ENFORCED)*$", re.DOTALL)
Likely = Mapping[tuple[str, str], tuple[str, ...]]
"""Table and column -> literals of SQL: of a first row, a second, and so on, the last of all that come behind."""

VALUE_FORM = "A value is an expression of SQL, 100 or 'text', or a row above."


@dataclass(frozen=True, slots=True)
class Filling:
    """See the module.

    Args:
        tables, ask, dialect: see RowMaker.
        wanted, made: its rows, to which it adds.
        likely: values with which calls are accepted: tried before others, also in a column that could be without.
    """

    tables: Reflected
    ask: AskDatabase
    dialect: str
    wanted: list[MadeRow]
    made: list[MadeRow]
    likely: Likely

    def fill(self, row: MadeRow) -> None:
        """Give values to the columns that must have one."""
        sought = [
            column
            for column in row.table.columns
            if column.name not in row.cells
            and (must_have(column) or column.name in row.anew or self._likely_value(column, 1) is not None)
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
                self.check_values(row)
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

    def check_values(self, row: MadeRow) -> None:
        """Raise for a value that somebody gave and that is none of its column's type, or no expression.

        Raises:
            UsageError: there is one.
        """
        for name, cell in row.asked.items():
            if not isinstance(cell, Expression):
                continue
            questions = [f"select {cell.sql}"]
            if self.speaks_postgresql:
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
            known = self.candidates(column, self.number_of(row), row.table)
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
            self._place_of(row.table) if self.speaks_postgresql else "", cells, tried, list(checks.values()), self.ask
        )
        return found[0] if found else None

    def candidates(self, column: "Column[Any]", number: int, table: Table) -> list[str]:
        domain = self._domain(column)
        checks = [check for _, check in self._checks(table) if column in columns_in(check, table)]
        found = candidates(Sought(column, number, checks, domain))
        if (likely := self._likely_value(column, number)) is not None:
            found = list(dict.fromkeys((likely, *found)))
        return within_domain(domain, found, self.ask) if domain else found

    def _likely_value(self, column: "Column[Any]", number: int) -> str | None:
        """Return the value of a column, that is no key, with which calls are accepted; None: none of its type is known."""
        values = self.likely.get((column.table.name, column.name), ())
        if not values or column.primary_key or column.foreign_keys or not may_have(column):
            return None
        value = values[min(number, len(values)) - 1]
        return value if is_of_type(value, column) else None

    def _domain(self, column: "Column[Any]") -> DomainType | None:
        kind: Any = column.type
        if not self.speaks_postgresql or not hasattr(kind, "data_type"):
            return None
        return self.catalogue.domains.get((kind.schema or "public", kind.name))

    @property
    def speaks_postgresql(self) -> bool:
        return find_engine(self.dialect).speaks_postgresql

    @property
    def catalogue(self) -> Catalogue:
        assert self.tables.catalogue is not None
        return self.tables.catalogue

    def _checks(self, table: Table) -> Iterator[tuple[str, str]]:
        """Yield the checks of a table by their names, in words that need no search path."""
        if not self.speaks_postgresql:
            for each in table.constraints:
                if isinstance(each, CheckConstraint):
                    yield str(each.name), f"({each.sqltext})"
            return
        for definition in self.catalogue.definitions:
            if (definition.kind, definition.schema, definition.table) == ("constraint", schema_of(table), table.name) and (
                match := _CHECK.search(definition.statements[0])
            ):
                yield definition.name, match[1]

    def number_of(self, row: MadeRow) -> int:
        return 1 + sum(each.table is row.table for each in self.made)

    def _taken(self, row: MadeRow) -> dict[str, set[str]]:
        """Return for each column of a unique key the values that other rows have."""
        unique = {name for key in unique_keys_of(row.table) for name in key} | set(row.anew)
        unique |= {
            name
            for each in self.catalogue.exclusions.get((schema_of(row.table), row.table.name), ())
            for name, _ in each.elements
        }
        taken: dict[str, set[str]] = {}
        for other in (*self.made, *self.wanted):
            if other.table is row.table and other is not row:
                for name, cell in other.cells.items():
                    if name in unique and isinstance(cell, Expression):
                        taken.setdefault(name, set()).add(cell.sql)
        return taken
