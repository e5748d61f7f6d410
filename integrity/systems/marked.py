"""Marks of operations held to the tables: one of a table or a column that there is not tells no row."""

from collections.abc import Iterable

from sqlalchemy import MetaData

from integrity.database.names import name_of
from integrity.engines.places import DEFAULT_SCHEMA, schema_of
from integrity.errors import UsageError, quote
from integrity.operation import Mark, Operation
from integrity.sql.place import WrittenAt
from integrity.suggestion import suggest


def check_marks(operations: Iterable[Operation], tables: MetaData) -> None:
    """Raise for a mark that names what the tables have not.

    Raises:
        UsageError: it is known nowhere, so that a rollback would leave the rows.
    """
    by_place = {(schema_of(table), table.name): table for table in tables.sorted_tables}
    for operation in operations:
        for mark in operation.marks:
            table = by_place.get((mark.schema or DEFAULT_SCHEMA, mark.table))
            if table is None:
                shown = f"{mark.schema}.{mark.table}" if mark.schema else mark.table
                known = sorted(name_of(each) for each in by_place.values())
                raise _fault(
                    operation, mark, f"there is no table {quote(shown)}", [mark.table], _hint(shown, known, "tables")
                )
            if mark.column not in table.columns:
                reason = f"table {name_of(table)} has no column {quote(mark.column)}"
                hint = _hint(mark.column, list(table.columns.keys()), "columns")
                raise _fault(operation, mark, reason, [mark.table, mark.column], hint)


def _fault(operation: Operation, mark: Mark, reason: str, names: list[str], hint: str) -> UsageError:
    said = f"operation {quote(operation.name)}: marks: {reason}"
    if mark.written is None or not mark.written.text:
        return UsageError(said, hint=hint)
    place = WrittenAt(mark.written.path, mark.written.line, mark.written.text)
    return UsageError(place.describe(said, *names), hint=hint)


def _hint(name: str, known: list[str], kind: str) -> str:
    return suggest(name, known, otherwise=f"The {kind} are: {', '.join(known[:8])}.")
