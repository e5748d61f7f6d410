"""What a database says of operations' files before any is called: whether it understands their statements and rows."""

import re
from collections.abc import Iterator, Sequence, Set

from sqlalchemy import MetaData

from integrity.database.names import name_of
from integrity.engines.preparing import NotUnderstood
from integrity.engines.target import Target
from integrity.errors import AuditError, SqlFileError
from integrity.sql.file import shown_path
from integrity.sql.place import describe_place, place_of
from integrity.suggestion import suggest
from integrity.systems.reflect import Reflected
from integrity.systems.script.asked_rows import find_row_faults
from integrity.systems.script.body import Sends, opened_by, sent_by
from integrity.systems.script.file import OperationFile

_CHANGES_NAMES = re.compile(r"create|alter|drop|set|reset|call|do|execute|prepare|select\b.*\binto\b", re.DOTALL)
"""What a statement of such a kind makes, and what later ones name, is not there before."""
_MISSING_TABLE = re.compile(r'(?:^relation "|no such table: )(?P<name>[^"\s]+)')
_MISSING_COLUMN = (
    re.compile(r'^column "(?P<name>.+?)" (?:of relation "(?P<table>.+?)" )?does not exist'),
    re.compile(r"^(?:column |no such column: )(?:(?P<table>\w+)\.)?(?P<name>\w+)(?: does not exist)?$"),
    re.compile(r"^table (?P<table>\S+) has no column named (?P<name>\S+)$"),
)
"""As PostgreSQL and SQLite say it. A table may be an alias."""


def find_faults(files: Sequence[OperationFile], target: Target, tables: MetaData) -> dict[str, AuditError]:
    """Return the errors of the operations of which the database does not understand a statement or a row, by name."""
    sent = [(file, node) for file in files for node in sent_by(file.nodes)]
    schemas = sorted({table.schema for table in tables.tables.values() if table.schema})
    told = target.engine.find_not_understood(target, (node.command.text for _, node in sent), schemas)
    faults: dict[str, AuditError] = {}
    if not target.engine.has_one_writer:
        faults |= {file.name: _refuse_immediate(file, at) for file in files for at in _immediate_in(file)}
    for (file, node), said in zip(sent, told, strict=True):
        if said is not None and file.name not in faults and (said.is_syntax or not _makes_names(file)):
            faults[file.name] = _fault(file, node, said, tables)
    faults = {**_find_stores_faults(files, target, tables), **faults}
    if isinstance(tables, Reflected):
        faults |= find_row_faults([file for file in files if file.name not in faults], target, tables)
    return faults


def _find_stores_faults(files: Sequence[OperationFile], target: Target, tables: MetaData) -> dict[str, AuditError]:
    """Return the errors of the operations that store their row where there is no place for it, by name."""
    asked = [
        (file, each, column)
        for file in files
        if not _makes_names(file)
        for each in file.header.stores
        for column in filter(None, (each.column, each.made_at))
    ]
    schemas = sorted({table.schema for table in tables.tables.values() if table.schema})
    told = target.engine.find_not_understood(
        target, (f"select {column} from {each.table}" for _, each, column in asked), schemas
    )
    faults: dict[str, AuditError] = {}
    for (file, each, column), said in zip(asked, told, strict=True):
        if said is not None and file.name not in faults:
            schema, table, _ = each.place
            hint = said.hint or _hint_of_name(said.reason, {table, f"{schema}.{table}"}, tables)
            name = each.table if _MISSING_TABLE.search(said.reason) else column
            line = file.text.splitlines()[each.line - 1]
            places = [found.start() for found in re.finditer(rf"(?<![\w:]){re.escape(name)}(?!\w)", line)]
            at = places[-1 if column is each.made_at else 0] + 1 if places else None
            reason = f"stores: {said.reason}"
            described = describe_place(shown_path(file.path), file.text, each.line, at, reason)
            faults[file.name] = SqlFileError(described, hint=hint or None)
    return faults


def _immediate_in(file: OperationFile) -> Iterator[int]:
    return (each.immediate_at for each in opened_by(file.nodes) if each.immediate_at is not None)


def _refuse_immediate(file: OperationFile, at: int) -> SqlFileError:
    line, column = place_of(file.text, at)
    reason = "a transaction that begins immediate is SQLite's alone"
    return SqlFileError(describe_place(shown_path(file.path), file.text, line, column, reason), hint="Write begin;")


def _makes_names(file: OperationFile) -> bool:
    return any(_CHANGES_NAMES.match(node.command.sql.lower()) for node in sent_by(file.nodes))


def _fault(file: OperationFile, node: Sends, said: NotUnderstood, tables: MetaData) -> SqlFileError:
    start = sum(map(len, file.text.splitlines(keepends=True)[: node.line - 1]))
    start = file.text.index(node.command.text, start)
    line, column = place_of(file.text, start + (said.at or 0))
    hint = said.hint or _hint_of_name(said.reason, node.command.tables, tables)
    return SqlFileError(describe_place(shown_path(file.path), file.text, line, column, said.reason), hint=hint or None)


def _hint_of_name(reason: str, named: Set[str] | None, tables: MetaData) -> str:
    """Return what may be meant by a name that is not there: a column's among those of the statement's tables alone.

    Args:
        named: the tables that the statement names, as Command.tables has them.
    """
    if missing := _MISSING_TABLE.search(reason):
        known = sorted(name_of(table) for table in tables.tables.values())
        return suggest(missing["name"], known, otherwise=f"The tables are: {', '.join(known[:8])}.")
    missing = next(filter(None, (pattern.search(reason) for pattern in _MISSING_COLUMN)), None)
    if missing is None:
        return ""
    asked = [table for table in tables.tables.values() if {table.name, f"{table.schema}.{table.name}"} & (named or set())]
    asked = [table for table in asked if table.name == missing["table"]] or asked
    columns = list(dict.fromkeys(column.name for table in asked for column in table.columns))
    return suggest(missing["name"], columns, otherwise=f"Its columns are: {', '.join(columns)}." if asked else "")
