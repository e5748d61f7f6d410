"""What a database says of the rows that operations' files want, before any is made: names, and values of their columns."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from integrity.database.names import full_name
from integrity.engines.target import Target
from integrity.errors import AuditError, UsageError
from integrity.sql.name import quoted
from integrity.systems.filling import VALUE_FORM
from integrity.systems.made_row import MadeRow
from integrity.systems.made_rows import RowMaker, find_table
from integrity.systems.reflect import Reflected
from integrity.systems.script.file import OperationFile
from integrity.systems.script.rows import unite
from integrity.systems.stage import Expression


def find_row_faults(files: Sequence[OperationFile], target: Target, tables: Reflected) -> dict[str, AuditError]:
    """Return the errors of the operations whose files want a row that there cannot be, by name."""
    faults: dict[str, AuditError] = {}
    rows: list[tuple[str, MadeRow]] = []
    for file in files:
        maker = RowMaker(tables, lambda _: (), target.dialect)
        try:
            _check_keys(file, tables)
            rows += [(file.name, row) for row in maker.read(unite([file.wants])) if row.asked]
        except UsageError as error:
            faults[file.name] = error
    schemas = sorted({table.schema for table in tables.tables.values() if table.schema})
    overriding = target.engine.spelling.overriding
    questions = [(name, row, question) for name, row in rows for question in _questions(row, overriding)]
    told = target.engine.find_not_understood(target, (question.text for _, _, question in questions), schemas)
    for (name, row, question), said in zip(questions, told, strict=True):
        if said is not None and name not in faults:
            faults[name] = _fault(row, question.column_at(said.at), said.reason)
    return faults


@dataclass(frozen=True, slots=True)
class _Question:
    """A statement about values.

    Args:
        ends: column -> where in it its value ends.
    """

    text: str
    ends: Mapping[str, int]

    def column_at(self, at: int | None) -> str | None:
        """Return the column whose value an offset is in; None: nobody knows."""
        if len(self.ends) == 1:
            return next(iter(self.ends))
        return None if at is None else next((column for column, end in self.ends.items() if at < end), None)


def _questions(row: MadeRow, overriding: str) -> Iterator[_Question]:
    """Yield what tells whether values are expressions, each by itself, and then whether their columns take them."""
    values = {name: cell.sql if isinstance(cell, Expression) else "null" for name, cell in row.asked.items()}
    for name, value in values.items():
        if value.lower() != "default":
            yield _Question(f"select {value}", {name: 0})
    place = full_name(row.table) if row.table.schema else f"public.{full_name(row.table)}"
    ends: dict[str, int] = {}
    text = f"insert into {place} ({', '.join(map(quoted, values))}) {overriding} values ("
    for name, value in values.items():
        text += f"{', ' if ends else ''}{value}"
        ends[name] = len(text)
    yield _Question(f"{text})", ends)


def _check_keys(file: OperationFile, tables: Reflected) -> None:
    """Make sure that the tables whose keys a file draws have some.

    Raises:
        UsageError: one has no primary key.
    """
    for parameter in file.header.parameters.values():
        table = find_table(tables, parameter.table) if parameter.table else None
        if table is not None and not table.primary_key.columns:
            raise UsageError(
                file.wants.tables[parameter.table].describe(f"table {parameter.table} has no primary key", parameter.table),
                hint=f"Say which column is meant: key of (select {table.columns.keys()[0]} from {parameter.table}).",
            )


def _fault(row: MadeRow, column: str | None, reason: str) -> UsageError:
    cell = row.asked[column] if column else None
    if column is None or not isinstance(cell, Expression):
        return row.fault(f"{column}: {reason}" if column else reason, row.spelled.get(column or "", ""), hint=VALUE_FORM)
    return row.fault(f"{column} = {cell.sql}: {reason}", row.spelled[column], cell.sql, hint=VALUE_FORM)
