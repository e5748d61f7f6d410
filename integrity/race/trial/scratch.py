"""Scratch databases: races work on a database of their own beside the target, which is dropped at the end.

Races add rows by the thousand and leave constraints out, so the world that `seed` made, or anybody's, is no place for
them. A scratch file of SQLite has the target's journal mode, which decides who waits for whom.
"""

from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from sqlalchemy import MetaData
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.schema import CreateTable
from sqlalchemy.sql.compiler import DDLCompiler

from integrity.database.constraints import plant
from integrity.database.names import located, quoted, schema_of
from integrity.database.namespace import create_schemas, drop_schemas, guard
from integrity.database.scratch import scratch_database as make_empty
from integrity.engines.occupancy import occupy
from integrity.engines.places import MAIN, schema_in
from integrity.engines.target import Target
from integrity.errors import MayNotCreate, UsageError
from integrity.operation import Statement
from integrity.systems.system import Bug, System


@contextmanager
def scratch_database(
    target: Target,
    system: System,
    *,
    bug: Bug | None = None,
    dropped: tuple[str, ...] = (),
    is_spread: bool = True,
    test_database: str | None = None,
) -> Iterator[Target]:
    """Yield a database that holds the system's tables, empty; it is dropped at the end, whatever happens.

    A role that may not create databases races on the target itself, if that holds no system yet.

    Args:
        bug: constraints and indexes that it forgets are left out.
        dropped: more of them to leave out, as "table.name".
        is_spread: each table numbers its rows from a million of its own on, so that a key is never taken for an amount or
            a count, nor for a key of another table, when runs are compared.
        test_database: the name of a database that its owner says is a test database.

    Raises:
        UsageError: the role may not create databases and the target holds a system.
        UnsafeDatabase: the same, and the target holds tables that we did not make.
    """
    left_out = tuple(dict.fromkeys((*(bug.dropped if bug else ()), *dropped)))
    with ExitStack() as stack:
        try:
            scratch = stack.enter_context(make_empty(target, "race"))
        except MayNotCreate:
            stack.enter_context(_on_the_target_itself(target, system, test_database))
            scratch = target
        if target.is_sqlite:
            _fill_file(scratch, target, system, left_out, bug, is_spread=is_spread)
        else:
            _fill(scratch, system, left_out, bug, is_spread=is_spread)
        yield scratch


def emptying(target: Target, system: System) -> list[Statement]:
    """Return the statements that empty the system's tables."""
    names = [located(table, target.dialect) for table in reversed(system.metadata.sorted_tables)]
    if target.is_sqlite:
        return [Statement(f"delete from {name}") for name in names]
    return [Statement(f"truncate {', '.join(names)}")]


@contextmanager
def _on_the_target_itself(target: Target, system: System, test_database: str | None) -> Iterator[None]:
    contents = guard(target, test_database)
    if contents.is_ours:
        raise UsageError(
            f"{target}: its user may not create databases, and races would add rows to the {system.name} that is there",
            hint="Let the user create databases (alter role ... createdb), or name an empty database.",
        )
    with ExitStack() as stack:
        stack.callback(drop_schemas, target)  # alone, after the hold that is shared
        stack.enter_context(occupy(target, "race", is_exclusive=False))
        yield


def _fill(scratch: Target, system: System, dropped: tuple[str, ...], bug: Bug | None, *, is_spread: bool) -> None:
    metadata = MetaData()
    number = 0
    for table in system.metadata.sorted_tables:
        copy = table.to_metadata(metadata)
        copy.info[_UNLOGGED] = True
        for column in copy.columns:
            if column.identity and is_spread:
                number += 1
                column.identity.start = number * 1_000_000 + 1
    create_schemas(scratch, [replace(system, metadata=metadata)])
    if dropped:
        plant(scratch, system, dropped, bug=bug.name if bug else "")


_UNLOGGED = "unlogged"


@compiles(CreateTable, "postgresql")
def _create_unlogged(element: CreateTable, compiler: DDLCompiler, **options: Any) -> str:
    """Keep tables out of the write-ahead log that are marked so: nothing of them is to survive.

    That is quick, and more: every 32nd value that a logged sequence gives makes the server write a record, for which it
    gives the transaction an id. So a call that inserted nothing, `on conflict do nothing`, would now and then look as if it
    had written, and its commit would be a letter of the schedule.
    """
    text: str = compiler.visit_create_table(element, **options)  # type: ignore[no-untyped-call]  # SQLAlchemy says nothing
    return text.replace("CREATE TABLE", "CREATE UNLOGGED TABLE", 1) if element.element.info.get(_UNLOGGED) else text


def _fill_file(
    scratch: Target, target: Target, system: System, dropped: tuple[str, ...], bug: Bug | None, *, is_spread: bool
) -> None:
    metadata = MetaData()
    for table in system.metadata.sorted_tables:
        # What SQLite numbers by itself it numbers from the greatest id on; this is how it can be told where to begin.
        table.to_metadata(metadata).dialect_options["sqlite"]["autoincrement"] = is_spread
    spread = replace(system, metadata=metadata)
    create_schemas(scratch, [spread])
    if dropped:
        plant(scratch, spread, dropped, bug=bug.name if bug else "")
    mode = "wal" if _is_logged_ahead(target.file_of(system.schemas[0])) else "delete"
    with closing(scratch.connect_sqlite(system.schemas)) as connection:
        for schema in dict.fromkeys((MAIN, *(schema_in("sqlite", schema) for schema in system.schemas))):
            connection.execute(f"pragma {quoted(schema)}.journal_mode = {mode}")
        numbered = [table for table in metadata.sorted_tables if table.autoincrement_column is not None]
        for number, table in enumerate(numbered if is_spread else (), start=1):
            place = quoted(schema_in("sqlite", schema_of(table)))
            connection.execute(f"delete from {place}.sqlite_sequence where name = ?", (table.name,))
            connection.execute(f"insert into {place}.sqlite_sequence values (?, ?)", (table.name, number * 1_000_000))


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
