"""SQLite as an engine."""

from contextlib import AbstractContextManager
from typing import Final

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


ENGINE: Final = SqliteEngine()
