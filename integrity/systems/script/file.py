"""An operation's file, read: plain SQL as one types it in psql, and what it becomes."""

import re
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any
from uuid import UUID

from integrity.domain import KeyOf
from integrity.engines.places import DEFAULT_SCHEMA
from integrity.errors import SqlFileError
from integrity.operation import Operation, Steps
from integrity.sql.file import read_text, shown_path
from integrity.sql.header import TextFault
from integrity.sql.parameters import marks_in
from integrity.sql.place import describe_place
from integrity.sql.tokens import TokenKind, tokenize
from integrity.systems.script.accepting import Accepting
from integrity.systems.script.body import Node, read_body, sent_by
from integrity.systems.script.domains import schema_name
from integrity.systems.script.header import OperationHeader, read_operation_header
from integrity.systems.script.marks import Telling
from integrity.systems.script.playing import OPERATION_ID, Play
from integrity.systems.script.rows import Wants

_OF_THE_SERVER = frozenset({"pg_catalog", "information_schema"})
_NAME = re.compile(r"[A-Za-z]\w*")
_NAME_HINT = "It begins with a letter and goes on with letters, digits and _: withdraw.sql."


@dataclass(frozen=True, slots=True)
class OperationFile:
    """One file.

    Args:
        name: the operation's.
        path: where it is.
        header: what it declares.
        nodes: what it does.
        text: of the file.
    """

    name: str
    path: Path
    header: OperationHeader
    nodes: tuple[Node, ...]
    text: str = ""

    @property
    def operation(self) -> Operation:
        """The operation that it is."""
        domains = {name: declared.domain for name, declared in self.header.parameters.items()}
        places = {name: written_at.place for name, written_at in self.header.lines.items()}
        telling = Telling(self.header, self.nodes)
        accepting = self.accepting
        return Operation(
            self.name,
            self._steps,
            domains,
            self.header.allowed,
            self.tables,
            places,
            marks=telling.marks,
            unmarked=telling.unmarked,
            is_changing=accepting.is_changing,
            rows=accepting.rows,
        )

    @property
    def accepting(self) -> Accepting:
        """What it asks of rows."""
        return Accepting(self.header, self.nodes)

    @property
    def wants(self) -> Wants:
        """The rows that a race of it is to be played on."""
        tables = {
            table: self.header.lines[name] for name, declared in self.header.parameters.items() for table in declared.tables
        }
        return Wants(self.header.rows, tables)

    @property
    def pools(self) -> dict[str, str]:
        """Queries of the keys that it draws, where they are not all keys of a table, by pool."""
        declared = self.header.parameters.values()
        return {each.domain.pool: each.query for each in declared if each.query and isinstance(each.domain, KeyOf)}

    @property
    def tables(self) -> frozenset[str] | None:
        """The tables that its statements name; None: one of them does not tell."""
        found = [node.command.tables for node in sent_by(self.nodes)]
        known = [each for each in found if each is not None]
        return frozenset[str]().union(*known) if len(known) == len(found) else None

    @property
    def schemas(self) -> set[str]:
        """The schemas that its tables are in, as far as its text tells; "public" of those that name none."""
        spelled = [*self.wants.tables, *(row.table for row in self.header.rows)]
        found = {schema_name(table) or DEFAULT_SCHEMA for table in spelled}
        for node in sent_by(self.nodes):
            found |= {table.rpartition(".")[0] or DEFAULT_SCHEMA for table in node.command.tables or ()}
        return found - _OF_THE_SERVER

    def _steps(self, *, operation_id: UUID, **arguments: Any) -> Steps:
        header = self.header
        play = Play(self.nodes, told=header.told, reactions=header.reactions, place=shown_path(self.path))
        return play.steps(arguments, operation_id)


def read_operation_file(path: Path) -> OperationFile:
    """Return what a file says; the operation has its name, without .sql.

    Raises:
        SqlFileError: it cannot be read, or not be understood.
    """
    return parse_operation_file(read_text(path), path=path)


@lru_cache(maxsize=1024)
def parse_operation_file(text: str, *, path: Path) -> OperationFile:
    """Return what a text says; `path` names the operation.

    Raises:
        SqlFileError: it cannot be understood.
    """
    place = shown_path(path)
    if not _NAME.fullmatch(path.stem):
        raise SqlFileError(f"{place}: {path.stem!r} is no name of an operation", hint=_NAME_HINT)
    try:
        header = read_operation_header(text, operation=path.stem, place=place)
        nodes = read_body(text, given=[*header.parameters, OPERATION_ID])
        _check_used(text, header)
    except TextFault as fault:
        described = describe_place(place, text, fault.line, fault.column, fault.reason)
        raise SqlFileError(described, hint=fault.hint) from None
    return OperationFile(path.stem, path, header, nodes, text)


def _check_used(text: str, header: OperationHeader) -> None:
    used = {mark.name for mark in marks_in(text)} | set(header.told.names if header.told else ())
    used |= {store.argument for store in header.stores}
    for name, written_at in header.lines.items():
        if name not in used and f":{{?{name}}}" not in text and not _is_in_note(text, name):
            raise TextFault(
                f"parameter {name!r} is not used", written_at.line, hint=f"Write it as :{name}, a text as :'{name}'."
            )


def _is_in_note(text: str, name: str) -> bool:
    """Whether a comment names it, as a condition does."""
    comments = (token.text for token in tokenize(text) if token.kind is TokenKind.COMMENT)
    return any(f":{name}" in comment for comment in comments)
