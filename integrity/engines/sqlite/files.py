"""The files of an SQLite database, and connections to them."""

import glob
import re
import sqlite3
from collections.abc import Sequence
from contextlib import closing, suppress
from pathlib import Path
from typing import Protocol

from integrity.engines.places import DEFAULT_SCHEMA, MAIN
from integrity.errors import Unreachable, UnsuitableServer

SQLITE_VERSION_LEAST = (3, 35, 0)  # RETURNING


class SqlitePlace(Protocol):
    """The database: what Target is, whose way to connect this is."""

    @property
    def file(self) -> Path: ...

    def file_of(self, namespace: str) -> Path: ...

    def unreachable(self, error: Exception) -> Unreachable: ...


def connect_files(place: SqlitePlace, namespaces: Sequence[str], *, is_read_only: bool) -> sqlite3.Connection:
    """Return a new connection; see Target.connect_sqlite."""
    if sqlite3.sqlite_version_info < SQLITE_VERSION_LEAST:
        raise UnsuitableServer(
            f"this Python has SQLite {sqlite3.sqlite_version}; 3.35 or newer is needed", hint="Use a newer Python."
        )
    mode = "ro" if is_read_only else "rwc"
    try:
        connection = sqlite3.connect(
            f"{place.file.absolute().as_uri()}?mode={mode}", uri=True, isolation_level=None, check_same_thread=False
        )
    except sqlite3.Error as error:
        raise place.unreachable(error) from None
    try:
        if is_read_only:
            _roll_back_what_was_killed(place.file)
        connection.execute("pragma schema_version")  # opening alone does not read the file
        for namespace in dict.fromkeys(namespaces):
            path = place.file_of(namespace)
            if path == place.file:
                continue
            if is_read_only and not path.exists():
                continue
            if is_read_only:
                _roll_back_what_was_killed(path)
            connection.execute(f'attach database ? as "{namespace}"', (f"{path.absolute().as_uri()}?mode={mode}",))
    except sqlite3.Error as error:
        connection.close()
        refused = place.unreachable(error)
        if "too many attached" in str(error):
            refused.hint = f"Each file {place.file_of('NAME').name} beside it is a schema: move away what is none."
        raise refused from None
    connection.row_factory = sqlite3.Row
    connection.execute("pragma foreign_keys = on")
    return connection


def find_schemas(main: Path) -> tuple[str, ...]:
    """Return the schemas that have a file of their own beside the main one, by name."""
    ending = main.suffix or ".db"
    found = main.absolute().parent.glob(f"{glob.escape(main.stem)}.*{glob.escape(ending)}")
    names = {file: file.name.removeprefix(f"{main.stem}.").removesuffix(ending) for file in found}
    schemas = [name for file, name in names.items() if _SCHEMA.fullmatch(name) and _is_database(file)]
    return tuple(sorted({*schemas} - _NO_FILES))


# What is spelled the same in every engine, quoted or not.
_SCHEMA = re.compile(r"[a-z_][a-z0-9_]*")
_NO_FILES = frozenset({DEFAULT_SCHEMA, MAIN, "temp"})


def _is_database(file: Path) -> bool:
    """Return whether a file is a database, by its header, or an empty file, which may become one."""
    try:
        with file.open("rb") as opened:
            return opened.read(16) in (b"", b"SQLite format 3\0")
    except OSError:  # who opens it says why it cannot be read
        return True


def _roll_back_what_was_killed(file: Path) -> None:
    """Let SQLite roll back what a killed process left half written: a connection that only reads may not, and sees nothing.

    Where we may not write the file, neither: whoever reads it next says so.
    """
    if not file.with_name(f"{file.name}-journal").exists():
        return
    with suppress(sqlite3.Error), closing(sqlite3.connect(f"{file.absolute().as_uri()}?mode=rw", uri=True)) as connection:
        connection.execute("pragma query_only = on")
        connection.execute("select 1 from sqlite_master")
