"""PostgreSQL as an engine."""

from collections.abc import Sequence
from contextlib import AbstractContextManager
from typing import Final

from integrity.engines.copies import Copies
from integrity.engines.inventory import Inventory
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
    has_schemas: Final = True
    tells_makers: Final = True
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

    def make_scratch(self, target: Target, purpose: str) -> AbstractContextManager[Target]:
        from integrity.engines.postgresql.scratch import make_scratch

        return make_scratch(target, purpose)

    @property
    def copies(self) -> Copies[Target]:
        from integrity.engines.postgresql import copies

        return copies

    def take_inventory(self, target: Target, *, format_of_names: str) -> Inventory:
        from integrity.engines.postgresql.inventory import take_inventory

        return take_inventory(target, format_of_names=format_of_names)

    def find_schemas(self, target: Target) -> frozenset[str]:
        from integrity.engines.postgresql.inventory import find_schemas

        return find_schemas(target)

    def clear_away(self, target: Target, schemas: Sequence[str]) -> None:
        pass  # they were dropped with their tables


ENGINE: Final = PostgresqlEngine()
