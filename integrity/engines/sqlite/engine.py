"""SQLite as an engine."""

import os
import sqlite3
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, closing
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from integrity.engines.catalogue import Catalogue
from integrity.engines.copies import Copies
from integrity.engines.definitions import Definition
from integrity.engines.engine import Engine
from integrity.engines.hold import Hold
from integrity.engines.inventory import Inventory
from integrity.engines.line import Line
from integrity.engines.places import DEFAULT_SCHEMA, MAIN
from integrity.engines.purpose import Purpose
from integrity.engines.server_facts import ServerFacts
from integrity.engines.snapshot import Snapshot
from integrity.engines.spelling import Spelling
from integrity.engines.target import Target
from integrity.engines.url import Url
from integrity.errors import Unreachable, UsageError
from integrity.typed import typed

if TYPE_CHECKING:
    import sqlalchemy

    from integrity.engines.columns import ColumnValues
    from integrity.engines.preparing import NotUnderstood


class SqliteEngine:
    """See engine.Engine. What only some commands need is imported by those."""

    title: Final = "SQLite"
    example_url: Final = "sqlite:///FILE"
    shell: Final = "sqlite3"
    has_server: Final = False
    speaks_postgresql: Final = False
    has_roles: Final = False
    has_schemas: Final = False
    tells_makers: Final = False
    has_levels: Final = False
    has_one_writer: Final = True
    alters_constraints: Final = False
    default_schema: Final = MAIN

    def load_command(self, target: Target) -> str:
        return f"sqlite3 {target.file} < schema.sql"

    @property
    def spelling(self) -> Spelling:
        from integrity.engines.sqlite.spelling import SPELLING  # it brings a parser along

        return SPELLING

    def read_url(self, text: str) -> Url:
        url = Url.parse(text).set(drivername="sqlite")
        if url.database in (None, "", ":memory:"):
            raise UsageError(
                "an SQLite database in memory is gone with each command", hint="Name a file: sqlite:///venue.db"
            )
        return url

    def write_url(self, url: Url, *, shows_secrets: bool) -> str:
        return str(url)

    def unreachable(self, target: Target, error: Exception, reason: str) -> Unreachable:
        folder = target.file.absolute().parent
        hint = f"Check that the folder {folder} exists and that you may write there."
        if not target.file.exists() and os.access(folder, os.W_OK):
            reason = f"there is no file {target.file.absolute()}"
            made = f"{self.load_command(target)}. `{typed('seed')}` makes one for a system that ships."
            hint = f"Mend the path, or make the file with your tables in it: {made}"
        if target.file.is_dir():
            hint = f"It is a folder. Name a file: sqlite:///{target.file / 'venue.db'}"
        elif getattr(error, "sqlite_errorcode", None) == sqlite3.SQLITE_NOTADB:
            hint = "It is a file of another kind. Name a database of SQLite, or a file that is not there yet."
        return Unreachable(f"cannot connect to {target}: {reason}", hint=hint)

    def sqlalchemy_engine(self, target: Target, namespaces: Sequence[str], purpose: Purpose) -> "sqlalchemy.Engine":
        import sqlalchemy

        return sqlalchemy.create_engine(
            "sqlite://", creator=lambda: target.connect_sqlite(namespaces), poolclass=sqlalchemy.pool.StaticPool
        )

    @property
    def sqlalchemy_dialect(self) -> "sqlalchemy.Dialect":
        from sqlalchemy.dialects import sqlite

        return sqlite.dialect()

    @property
    def column_types(self) -> "Mapping[str, type[sqlalchemy.types.TypeEngine[Any]]]":
        from sqlalchemy import Integer, Text

        # Rows are numbered by themselves only in a column of type INTEGER.
        return {"key": Integer, "id": Text, "time": Text, "json": Text}

    @property
    def driver_error(self) -> type[Exception]:
        return sqlite3.Error

    @property
    def schema_names(self) -> dict[str | None, str | None]:
        return {DEFAULT_SCHEMA: None}

    def begin(self, *, checks_foreign_keys: bool) -> Sequence[str]:
        return ("begin immediate",) if checks_foreign_keys else ("pragma foreign_keys = off", "begin immediate")

    def occupy(
        self, target: Target, who: str, *, part: str, is_exclusive: bool, is_kept: bool
    ) -> AbstractContextManager[Hold]:
        from integrity.engines.sqlite.occupancy import occupy

        return occupy(target, who, is_exclusive=is_exclusive)

    def database_name(self, url: Url) -> str:
        return Path(url.database or "").name

    def open_snapshot(
        self, target: Target, *, connections: int, timeout_s: float, role: str | None
    ) -> AbstractContextManager[Snapshot]:
        from integrity.engines.sqlite.snapshot import open_snapshot

        if role is not None:
            raise UsageError(f"{target} has no roles", hint="Leave --as out.")
        return open_snapshot(target, timeout_s)

    def open_line(
        self, target: Target, schemas: Sequence[str], *, name: str, is_read_only: bool, patience_s: float | None
    ) -> AbstractContextManager[Line]:
        from integrity.engines.sqlite.line import open_line

        return open_line(target, schemas, is_read_only=is_read_only)

    def find_not_understood(
        self, target: Target, statements: Iterable[str], schemas: Sequence[str]
    ) -> "Iterator[NotUnderstood | None]":
        from integrity.engines.sqlite.preparing import find_not_understood

        return find_not_understood(target, statements, schemas)

    def find_session_names(self, target: Target) -> set[str] | None:
        return None

    def read_server(self, target: Target) -> ServerFacts:
        return ServerFacts(f"SQLite {sqlite3.sqlite_version}")

    def make_scratch(self, target: Target, purpose: str) -> AbstractContextManager[Target]:
        from integrity.engines.sqlite.scratch import make_scratch

        return make_scratch(purpose)

    @property
    def catalogue(self) -> Catalogue:
        from integrity.engines.sqlite import catalogue

        return catalogue

    def load(self, connection: Any, schema: str, table: str, columns: "Sequence[ColumnValues]", *, is_new: bool) -> int:
        from integrity.engines.sqlite.bulk import load

        return load(connection, schema, table, columns)

    @property
    def copies(self) -> Copies[Target]:
        from integrity.engines.sqlite import copies

        return copies

    def take_inventory(self, target: Target, *, format_of_names: str) -> Inventory:
        from integrity.engines.sqlite.inventory import take_inventory

        return take_inventory(target)

    def find_schemas(self, target: Target) -> frozenset[str]:
        from integrity.engines.sqlite.inventory import find_schemas

        return find_schemas(target)

    def read_definitions(self, target: Target) -> Sequence[Definition]:
        from integrity.engines.sqlite.definitions import read_definitions

        return read_definitions(target)

    def clear_away(self, target: Target, schemas: Sequence[str]) -> None:
        for schema in schemas:
            if schema == DEFAULT_SCHEMA:
                continue
            for ending in ("", "-wal", "-shm"):
                file = target.file_of(schema)
                file.with_name(file.name + ending).unlink(missing_ok=True)
        with closing(target.connect_sqlite()) as connection:
            is_empty = connection.execute("select 1 from sqlite_master").fetchone() is None
        if is_empty:
            target.file.unlink()


ENGINE: Final[Engine[Target]] = SqliteEngine()
