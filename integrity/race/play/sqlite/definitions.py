"""Scratch files of SQLite made of the statements that another database keeps, for tables that nobody described.

A constraint stands within the statement of its table. Where one is left out, that statement is written anew from what was
read of the table; all others are taken as they are.
"""

import re
import sqlite3
from collections.abc import Iterator
from contextlib import closing

from integrity.database.names import located
from integrity.engines.definitions import Definition
from integrity.engines.places import schema_of
from integrity.engines.schemas import schema_in
from integrity.errors import UsageError
from integrity.operation import Statement
from integrity.race.play.definitions import guards_of, kept_definitions, whole_statement
from integrity.race.play.engine import Scratch
from integrity.sql.name import quoted
from integrity.systems.reflect import Reflected

_SPREAD = 1_000_000


def fill_by_definitions(scratch: Scratch, tables: Reflected) -> None:
    """Make everything that the database has, each schema in a file of its own.

    Raises:
        UsageError: a statement is refused; there is no such constraint to leave out.
    """
    definitions = kept_definitions(tables, scratch.dropped)
    known = {(schema_of(table), table.name): table for table in tables.tables.values()}
    for schema in dict.fromkeys(each.schema for each in definitions):
        own = [each for each in definitions if each.schema == schema]
        with closing(sqlite3.connect(scratch.target.file_of(schema))) as connection:
            for each in own:
                table = known.get((schema, each.name)) if each.kind == "table" else None
                dropped = frozenset(scratch.dropped)
                try:
                    connection.execute(whole_statement(each, table, dropped) if table is not None else each.statements[0])
                except sqlite3.Error as error:
                    raise UsageError(f"{scratch.like}: its {each} cannot be made in a scratch file: {error}") from None
            if scratch.is_spread:
                _spread(connection, own)
            connection.commit()


def _spread(connection: sqlite3.Connection, definitions: list[Definition]) -> None:
    """Let the tables that count their rows begin at a million of their own."""
    if connection.execute("select 1 from sqlite_master where name = 'sqlite_sequence'").fetchone() is None:
        return
    numbered = [each for each in definitions if each.kind == "table" and "autoincrement" in each.statements[0].lower()]
    for place, each in enumerate(numbered, start=1):
        connection.execute("insert into sqlite_sequence values (?, ?)", (each.name, place * _SPREAD))


def emptying(tables: Reflected) -> Iterator[Statement]:
    """Yield what empties the tables that races have to themselves, which are without their guards for a moment."""
    guards = guards_of(tables)
    yield from (Statement(f"drop trigger {_place_of(each)}") for each in guards)
    yield from (Statement(f"delete from {located(table, 'sqlite')}") for table in reversed(tables.raced_tables))
    for each in guards:  # its statement names no schema
        yield Statement(_TRIGGER.sub(f"create trigger {_place_of(each)}".replace("\\", r"\\"), each.statements[0], count=1))


def _place_of(trigger: Definition) -> str:
    return f"{quoted(schema_in('sqlite', trigger.schema))}.{quoted(trigger.name)}"


_TRIGGER = re.compile(
    r"""create\s+trigger\s+(?:if\s+not\s+exists\s+)?(?:"(?:[^"]|"")+"|`[^`]+`|\[[^\]]+\]|\w+)""", re.IGNORECASE
)
