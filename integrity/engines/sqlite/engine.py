"""SQLite as an engine."""

import sqlite3
from collections.abc import Sequence
from contextlib import AbstractContextManager
from typing import Final

from integrity.engines.line import Line
from integrity.engines.server_facts import ServerFacts
from integrity.engines.snapshot import Snapshot
from integrity.engines.target import Target
from integrity.errors import UsageError


class SqliteEngine:
    """See engine.Engine. What only some commands need is imported by those."""

    title: Final = "SQLite"
    shell: Final = "sqlite3"
    has_server: Final = False
    has_roles: Final = False
    has_levels: Final = False
    has_one_writer: Final = True

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

    def find_session_names(self, target: Target) -> set[str] | None:
        return None

    def read_server(self, target: Target) -> ServerFacts:
        return ServerFacts(f"SQLite {sqlite3.sqlite_version}")


ENGINE: Final = SqliteEngine()
