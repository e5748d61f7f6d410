"""Fixtures that lay a system's world out on an engine. A module says which world by a fixture `system_world` of its own."""

import os
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from pathlib import Path
from typing import Any

import psycopg
import pytest

from integrity.engines.embedded.server import EmbeddedServer
from integrity.engines.target import Target
from integrity.events import listen
from integrity.jobs.seed_schema import seed_schema
from integrity.seeds.schema.fill import SchemaSeeded
from tests.database.shop import Fill
from tests.database.system_worlds import SystemWorld
from tests.database.worlds import Engine, PostgresEngine, SqliteEngine, lay_out, postgres_world, without_constraints

# Laid out when first asked for and kept to the end: tests of several systems come in turn, and undo what they do.

Lay = Callable[[SystemWorld], Any]


@pytest.fixture(scope="session")
def lay_sound(server: EmbeddedServer) -> Iterator[Lay]:
    with ExitStack() as stack:

        def lay(world: SystemWorld) -> "psycopg.Connection[Any]":
            name = f"sound_{world.system.name}_{os.getpid()}"
            return stack.enter_context(postgres_world(server, name, world.system.metadata, world.rows))

        yield _once(lay)


@pytest.fixture(scope="session")
def lay_loose(server: EmbeddedServer) -> Iterator[Lay]:
    with ExitStack() as stack:

        def lay(world: SystemWorld) -> "psycopg.Connection[Any]":
            name = f"loose_{world.system.name}_{os.getpid()}"
            metadata = without_constraints(world.system.metadata)
            return stack.enter_context(postgres_world(server, name, metadata, world.rows))

        yield _once(lay)


@pytest.fixture(scope="session")
def lay_loose_sqlite(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lay]:
    with ExitStack() as stack:

        def lay(world: SystemWorld) -> sqlite3.Connection:
            target = Target.parse(f"sqlite:///{tmp_path_factory.mktemp('world') / 'world.db'}")
            connection = stack.enter_context(closing(target.connect_sqlite((world.system.name, "integrity"))))
            lay_out(target, SqliteEngine(connection), without_constraints(world.system.metadata), world.rows)
            return connection

        yield _once(lay)


def _once(lay: Lay) -> Lay:
    laid: dict[str, Any] = {}

    def find(world: SystemWorld) -> Any:
        if world.system.name not in laid:
            laid[world.system.name] = lay(world)
        return laid[world.system.name]

    return find


@pytest.fixture
def sound(lay_sound: Lay, system_world: SystemWorld) -> Any:
    """The world on PostgreSQL, every constraint in place."""
    return lay_sound(system_world)


@pytest.fixture
def loose(lay_loose: Lay, system_world: SystemWorld) -> Any:
    """The world on PostgreSQL, without constraints."""
    return lay_loose(system_world)


@pytest.fixture
def loose_sqlite(lay_loose_sqlite: Lay, system_world: SystemWorld) -> Any:
    """The world on SQLite, without constraints."""
    return lay_loose_sqlite(system_world)


@pytest.fixture(params=["postgresql", "sqlite"])
def engine(request: pytest.FixtureRequest) -> Iterator[Engine]:
    """The world without constraints on each engine; what a test does to it is undone."""
    if request.param == "postgresql":
        connection = request.getfixturevalue("loose")
        with connection.transaction(force_rollback=True):
            yield PostgresEngine(connection)
        return
    sqlite_connection = request.getfixturevalue("loose_sqlite")
    sqlite_connection.execute("begin")
    yield SqliteEngine(sqlite_connection)
    sqlite_connection.execute("rollback")


@pytest.fixture
def fill(database: Target) -> Fill:
    """Make tables and fill them by `integrity seed --schema`."""

    def fill(ddl: str, seed: int = 1, file: Path | None = None, **rows: int) -> tuple[Target, SchemaSeeded]:
        with database.connect() as connection:
            connection.execute(ddl.encode())
        job = seed_schema(database, rows=rows, seed=seed, file=file, test_database=database.url.database)
        return database, listen(job)

    return fill
