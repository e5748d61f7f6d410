"""PostgreSQL as an engine."""

from collections.abc import Sequence
from contextlib import AbstractContextManager
from typing import Final

from integrity.engines.line import Line
from integrity.engines.server_facts import ServerFacts
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

    def open_line(
        self, target: Target, schemas: Sequence[str], *, name: str, is_read_only: bool, patience_s: float | None
    ) -> AbstractContextManager[Line]:
        from integrity.engines.postgresql.line import open_line

        return open_line(target, name=name, is_read_only=is_read_only, patience_s=patience_s)

    def find_session_names(self, target: Target) -> set[str] | None:
        from integrity.engines.postgresql.activity import find_session_names

        return find_session_names(target)

    def read_server(self, target: Target) -> ServerFacts:
        from integrity.engines.postgresql.activity import read_server

        return read_server(target)


ENGINE: Final = PostgresqlEngine()
