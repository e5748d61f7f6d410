"""Fixtures that lay a system's world out on an engine. A module says which world by a fixture `system_world` of its own."""

import os
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from typing import Any

import psycopg
import pytest

from integrity.database.embedded import EmbeddedServer
from integrity.database.target import Target
from tests.database.system_worlds import SystemWorld
from tests.database.worlds import Engine, PostgresEngine, SqliteEngine, lay_out, postgres_world, without_constraints


@pytest.fixture(scope="module")
def sound(server: EmbeddedServer, system_world: SystemWorld) -> Iterator["psycopg.Connection[Any]"]:
    """The world on PostgreSQL, every constraint in place."""
    metadata = system_world.system.metadata
    name = f"sound_{system_world.system.name}_{os.getpid()}"
    with postgres_world(server, name, metadata, system_world.rows) as connection:
        yield connection


@pytest.fixture(scope="module")
def loose(server: EmbeddedServer, system_world: SystemWorld) -> Iterator["psycopg.Connection[Any]"]:
    """The world on PostgreSQL, without constraints."""
    metadata = without_constraints(system_world.system.metadata)
    name = f"loose_{system_world.system.name}_{os.getpid()}"
    with postgres_world(server, name, metadata, system_world.rows) as connection:
        yield connection


@pytest.fixture(scope="module")
def loose_sqlite(tmp_path_factory: pytest.TempPathFactory, system_world: SystemWorld) -> Iterator["sqlite3.Connection"]:
    """The world on SQLite, without constraints."""
    target = Target.parse(f"sqlite:///{tmp_path_factory.mktemp('world') / 'world.db'}")
    with closing(target.connect_sqlite((system_world.system.name, "integrity"))) as connection:
        lay_out(target, SqliteEngine(connection), without_constraints(system_world.system.metadata), system_world.rows)
        yield connection


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
