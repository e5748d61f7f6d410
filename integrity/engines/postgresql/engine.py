"""PostgreSQL as an engine."""

from contextlib import AbstractContextManager
from typing import Final

from integrity.engines.snapshot import Snapshot
from integrity.engines.target import Target


class PostgresqlEngine:
    """See engine.Engine. What only some commands need is imported by those."""

    title: Final = "PostgreSQL"
    shell: Final = "psql"
    has_server: Final = True
    has_roles: Final = True
    has_levels: Final = True
    has_one_writer: Final = False

    def open_snapshot(
        self, target: Target, *, connections: int, timeout_s: float, role: str | None
    ) -> AbstractContextManager[Snapshot]:
        from integrity.engines.postgresql.snapshot import open_snapshot

        return open_snapshot(target, connections, timeout_s, role)


ENGINE: Final = PostgresqlEngine()
