"""Worlds written by hand, row by row, and the engines that they are laid out on: what the tests of invariants share.

A system's world is in <system>_world.py, and what breaks it in <system>_violations.py.
"""

import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any, Protocol
from uuid import UUID

import orjson
import psycopg
from psycopg import sql
from psycopg.rows import dict_row
from sqlalchemy import MetaData, PrimaryKeyConstraint

from integrity.database.namespace import create_schemas
from integrity.engines.embedded.server import EmbeddedServer
from integrity.engines.sqlite.dialect import adapt, to_sqlite
from integrity.engines.target import Target
from integrity.invariants.load import load_invariants
from integrity.project import Project, Settings, reference_folder
from integrity.sql.file import SqlFile, read_sql_file

World = Mapping[str, Sequence[Mapping[str, Any]]]
"""Table -> its rows, parents first."""


@dataclass(frozen=True)
class Violation:
    """The rejected half of an invariant's pair.

    Args:
        statements: what breaks the world, in PostgreSQL's dialect.
        rows: what the invariant's query returns then, as `plain` shows it.
    """

    statements: Sequence[str]
    rows: Sequence[Mapping[str, Any]]


def invariant_files(system: str) -> Mapping[str, SqlFile]:
    """Return every invariant of a system, by its file's name."""
    files = load_invariants(Project(reference_folder("invariants").parent, Settings()), patterns=[f"{system}/*"])
    return {name.removeprefix(f"{system}/"): file for name, file in files.items()}


def query_files(*topics: str) -> Mapping[str, SqlFile]:
    """Return the queries of these topics, by topic and name."""
    return {
        (name := f"{path.parent.name}/{path.stem}"): read_sql_file(path, name=name)
        for topic in topics
        for path in sorted((reference_folder("queries") / topic).glob("*.sql"))
    }


def op(number: int) -> str:
    """Return the operation_id with that number."""
    return str(UUID(int=number))


def rows(columns: str, *values: Sequence[Any]) -> list[dict[str, Any]]:
    """Return rows: the names of their columns with blanks between, then the values of each."""
    return [dict(zip(columns.split(), row, strict=True)) for row in values]


class Engine(Protocol):
    """A database with the world in it."""

    def execute(self, statement: str) -> None:
        """Change the world with one statement of PostgreSQL's."""

    def run(self, file: SqlFile, parameters: Mapping[str, Any]) -> list[dict[str, Any]]:
        """Return the rows of a file's query, in the form that is equal on all engines (see `plain`)."""


class PostgresEngine:
    """PostgreSQL, on a connection whose transaction the caller rolls back."""

    def __init__(self, connection: "psycopg.Connection[Any]") -> None:
        self._connection = connection
        connection.execute("set timezone = 'UTC'")

    def execute(self, statement: str) -> None:
        self._connection.execute(statement.encode())

    def run(self, file: SqlFile, parameters: Mapping[str, Any]) -> list[dict[str, Any]]:
        cursor = psycopg.RawCursor(self._connection, row_factory=dict_row)
        values = [parameters[name] for name in file.parameter_names]
        return [plain(row) for row in cursor.execute(file.numbered.encode(), values)]

    def insert(self, table: str, row: Mapping[str, Any]) -> None:
        """Insert a row; where its id was given, the next one that is not follows it."""
        names = sql.SQL(", ").join(map(sql.Identifier, row))
        values = sql.SQL(", ").join(map(sql.Literal, row.values()))
        self._connection.execute(
            sql.SQL("insert into {} ({}) values ({})").format(sql.Identifier(*table.split(".")), names, values)
        )
        if "id" in row:
            self._connection.execute("select setval(pg_get_serial_sequence(%s, 'id'), %s)", (table, row["id"]))


class SqliteEngine:
    """SQLite, each statement transpiled from PostgreSQL's dialect as an audit transpiles it."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection

    def execute(self, statement: str) -> None:
        self._connection.execute(adapt(statement, "sqlite"))

    def run(self, file: SqlFile, parameters: Mapping[str, Any]) -> list[dict[str, Any]]:
        cursor = self._connection.execute(
            adapt(file.text, "sqlite"), {name: to_sqlite(value) for name, value in parameters.items()}
        )
        return [plain(dict(row)) for row in cursor]

    def insert(self, table: str, row: Mapping[str, Any]) -> None:
        """Insert a row; SQLite goes on counting from the ids that it was given."""
        values = ", ".join(f":{name}" for name in row)
        self._connection.execute(f"insert into {table} ({', '.join(row)}) values ({values})", row)


def plain(row: Mapping[str, Any]) -> dict[str, Any]:
    """Return the row as it is on every engine: no Decimals, times as text, sets of operation_ids in order."""
    return {name: _plain(name, value) for name, value in row.items()}


def _plain(name: str, value: Any) -> Any:
    if isinstance(value, Decimal):
        assert value == int(value)
        return int(value)
    if isinstance(value, datetime):
        return value.strftime("%Y-%m-%d %H:%M:%S")
    if name.endswith("_ids") and value is not None:
        return " ".join(sorted(value.split()))
    if name in ("arguments", "reply") and isinstance(value, str):
        return orjson.loads(value)
    return value


@dataclass(frozen=True)
class Laid:
    """The tables of a schema, as an application of its name."""

    metadata: MetaData

    @property
    def name(self) -> str:
        return str(self.metadata.schema)

    @property
    def schemas(self) -> tuple[str, ...]:
        return (self.name,)


def lay_out(target: Target, engine: PostgresEngine | SqliteEngine, schema: MetaData, world: World) -> None:
    """Make the schema's tables, and ours, and fill them with the world."""
    create_schemas(target, [Laid(schema)])
    for table, rows in world.items():
        for row in rows:
            engine.insert(table, row)


def without_constraints(schema: MetaData) -> MetaData:
    """Return a copy of the schema that lets any row in: of its constraints only the primary keys are left."""
    loose = MetaData(schema=schema.schema)
    for table in schema.sorted_tables:
        copy = table.to_metadata(loose)
        copy.indexes.clear()
        copy.constraints = {c for c in copy.constraints if isinstance(c, PrimaryKeyConstraint)}
    return loose


@contextmanager
def postgres_world(
    server: EmbeddedServer, name: str, schema: MetaData, world: World
) -> Iterator["psycopg.Connection[Any]"]:
    """Yield a connection to a new database with the world in it; the database is dropped afterwards."""
    named = sql.Identifier(name)
    with closing(server.target.connect()) as admin:
        admin.execute(sql.SQL("create database {}").format(named))
        target = Target(server.target.url.set(database=name))
        try:
            with closing(target.connect()) as connection:
                lay_out(target, PostgresEngine(connection), schema, world)
                yield connection
        finally:
            admin.execute(sql.SQL("drop database {} with (force)").format(named))
