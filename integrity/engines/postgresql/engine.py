"""PostgreSQL as an engine."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Any, Final

import psycopg

from integrity.engines.catalogue import Catalogue
from integrity.engines.copies import Copies
from integrity.engines.definitions import Definition
from integrity.engines.engine import Engine
from integrity.engines.hold import Hold
from integrity.engines.inventory import Inventory
from integrity.engines.line import Line
from integrity.engines.places import DEFAULT_SCHEMA
from integrity.engines.postgresql.connecting import explain
from integrity.engines.postgresql.session_settings import OWN, QUESTIONS, WORK
from integrity.engines.postgresql.spelling import SPELLING
from integrity.engines.postgresql.url import read_url, write_url
from integrity.engines.purpose import Purpose
from integrity.engines.server_facts import ServerFacts
from integrity.engines.snapshot import Snapshot
from integrity.engines.target import Target
from integrity.engines.url import Url
from integrity.errors import Unreachable
from integrity.typed import typed

if TYPE_CHECKING:
    import sqlalchemy

    from integrity.engines.columns import ColumnValues
    from integrity.engines.preparing import NotUnderstood


_SETTINGS = {
    Purpose.WORK: WORK,
    Purpose.OWN: OWN,
    Purpose.REFLECTING: {**QUESTIONS, "search_path": DEFAULT_SCHEMA},
}


class PostgresqlEngine:
    """See engine.Engine. What only some commands need is imported by those."""

    title: Final = "PostgreSQL"
    example_url: Final = "postgresql://..."
    spelling: Final = SPELLING
    shell: Final = "psql"
    has_server: Final = True
    speaks_postgresql: Final = True
    has_roles: Final = True
    has_schemas: Final = True
    tells_makers: Final = True
    has_levels: Final = True
    has_one_writer: Final = False
    alters_constraints: Final = True
    default_schema: Final = DEFAULT_SCHEMA

    def read_url(self, text: str) -> Url:
        return read_url(text)

    def write_url(self, url: Url, *, shows_secrets: bool) -> str:
        return write_url(url, shows_secrets=shows_secrets)

    def load_command(self, target: Target) -> str:
        return f"{typed('db psql')} -f schema.sql"

    def unreachable(self, target: Target, error: Exception, reason: str) -> Unreachable:
        return explain(target, error, reason)

    def sqlalchemy_engine(self, target: Target, namespaces: Sequence[str], purpose: Purpose) -> "sqlalchemy.Engine":
        import sqlalchemy

        settings = _SETTINGS[purpose]

        return sqlalchemy.create_engine(
            "postgresql+psycopg://",
            creator=lambda: target.connect(settings=settings),
            poolclass=sqlalchemy.pool.NullPool,
        )

    @property
    def sqlalchemy_dialect(self) -> "sqlalchemy.Dialect":
        from sqlalchemy.dialects import postgresql

        return postgresql.dialect()  # type: ignore[no-untyped-call]  # SQLAlchemy says nothing

    @property
    def column_types(self) -> "Mapping[str, type[sqlalchemy.types.TypeEngine[Any]]]":
        return {}

    @property
    def driver_error(self) -> type[Exception]:
        return psycopg.Error

    @property
    def schema_names(self) -> dict[str | None, str | None]:
        return {None: DEFAULT_SCHEMA}  # one that is not named would be the first of the search_path, which may be another

    def begin(self, *, checks_foreign_keys: bool) -> Sequence[str]:
        return ("begin",)

    def occupy(
        self, target: Target, who: str, *, part: str, is_exclusive: bool, is_kept: bool
    ) -> AbstractContextManager[Hold]:
        from integrity.engines.postgresql.occupancy import occupy

        return occupy(target, who, part=part, is_exclusive=is_exclusive, is_kept=is_kept)

    def database_name(self, url: Url) -> str:
        return url.database or ""

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

    def find_not_understood(
        self, target: Target, statements: Iterable[str], schemas: Sequence[str]
    ) -> "Iterator[NotUnderstood | None]":
        from integrity.engines.postgresql.preparing import find_not_understood

        return find_not_understood(target, statements)

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
    def catalogue(self) -> Catalogue:
        from integrity.engines.postgresql import catalogue

        return catalogue

    def load(self, connection: Any, schema: str, table: str, columns: "Sequence[ColumnValues]", *, is_new: bool) -> int:
        from integrity.engines.postgresql.bulk import load

        return load(connection, schema, table, columns, is_new=is_new)

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

    def read_definitions(self, target: Target) -> Sequence[Definition]:
        from integrity.engines.postgresql.definitions import read_definitions

        return read_definitions(target)

    def clear_away(self, target: Target, schemas: Sequence[str]) -> None:
        pass  # they were dropped with their tables


ENGINE: Final[Engine[Target]] = PostgresqlEngine()
