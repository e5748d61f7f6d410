"""Scratch files of SQLite, in the journal mode of the database that they stand for: it decides who waits for whom."""

import sqlite3
from collections.abc import Sequence
from contextlib import closing
from dataclasses import replace
from pathlib import Path

from sqlalchemy import MetaData

from integrity.database.constraints import plant
from integrity.database.namespace import create_schemas
from integrity.engines.places import MAIN, schema_of
from integrity.engines.schemas import schema_in
from integrity.errors import UsageError
from integrity.operation import Statement
from integrity.race.play.engine import Ask, Scratch
from integrity.race.play.sqlite.definitions import fill_by_definitions
from integrity.sql.name import quoted
from integrity.systems.reflect import Reflected


def fill(scratch: Scratch) -> None:
    """Make the tables of a scratch file, with the journal mode of the database that it stands for."""
    schemas = scratch.system.schemas
    if isinstance(scratch.system.metadata, Reflected):
        fill_by_definitions(scratch, scratch.system.metadata)
        with closing(scratch.target.connect_sqlite(schemas)) as connection:
            _set_journal(connection, scratch)
        return
    metadata = MetaData()
    for table in scratch.system.metadata.sorted_tables:
        # What SQLite numbers by itself it numbers from the greatest id on; this is how it can be told where to begin.
        table.to_metadata(metadata).dialect_options["sqlite"]["autoincrement"] = scratch.is_spread
    spread = replace(scratch.system, metadata=metadata)
    create_schemas(scratch.target, [spread])
    if scratch.dropped:
        plant(scratch.target, spread, scratch.dropped, bug=scratch.bug)
    with closing(scratch.target.connect_sqlite(schemas)) as connection:
        _set_journal(connection, scratch)
        numbered = [table for table in metadata.sorted_tables if table.autoincrement_column is not None]
        for number, table in enumerate(numbered if scratch.is_spread else (), start=1):
            place = quoted(schema_in("sqlite", schema_of(table)))
            connection.execute(f"delete from {place}.sqlite_sequence where name = ?", (table.name,))
            connection.execute(f"insert into {place}.sqlite_sequence values (?, ?)", (table.name, number * 1_000_000))


def _set_journal(connection: sqlite3.Connection, scratch: Scratch) -> None:
    schemas = scratch.system.schemas
    mode = "wal" if _is_logged_ahead(scratch.like.file_of(schemas[0])) else "delete"
    for schema in dict.fromkeys((MAIN, *(schema_in("sqlite", schema) for schema in schemas))):
        connection.execute(f"pragma {quoted(schema)}.journal_mode = {mode}")


def empty(names: Sequence[str]) -> list[Statement]:
    """Return the statements that empty the tables."""
    return [Statement(f"delete from {name}") for name in names]


def begin_anew(ask: Ask, names: Sequence[str]) -> list[Statement]:
    """Return the statements after which the tables hold nothing and what numbers their rows begins as it does now."""
    (files,) = ask([Statement("select name from pragma_database_list")])
    statements = empty(names)
    for schema in [quoted(row["name"]) for row in files.rows]:
        (kept,) = ask([Statement(f"select name from {schema}.sqlite_master where name = 'sqlite_sequence'")])
        numbered = ask([Statement(f"select name, seq from {schema}.sqlite_sequence")])[0].rows if kept.rows else ()
        restart = f"update {schema}.sqlite_sequence set seq = :seq where name = :name"
        statements += [Statement(restart, {"name": row["name"], "seq": row["seq"]}) for row in numbered]
    return statements


def relax(ask: Ask) -> list[Statement]:
    """Return what a connection is told that has nothing to lose: nothing is synced, and no journal written."""
    (files,) = ask([Statement("select name from pragma_database_list")])
    statements = []
    for schema in [quoted(row["name"]) for row in files.rows]:
        (mode,) = ask([Statement(f"pragma {schema}.journal_mode")])
        statements.append(Statement(f"pragma {schema}.synchronous = off"))
        if mode.rows[0]["journal_mode"] != "wal":
            statements.append(Statement(f"pragma {schema}.journal_mode = memory"))
    return statements


def _is_logged_ahead(file: Path) -> bool:
    """Return whether a file has a write-ahead log, by its header: nothing is opened, so nothing can be changed."""
    try:
        with file.open("rb") as opened:
            header = opened.read(20)
    except FileNotFoundError:
        if not file.absolute().parent.is_dir():
            raise UsageError(f"no folder {file.absolute().parent}", hint="Name the file of a database.") from None
        return False
    except OSError as error:
        raise UsageError(f"{file}: cannot be read: {error.strerror}") from None
    return header[18:20] == b"\x02\x02"
