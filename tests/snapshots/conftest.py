"""Fixtures for whole commands in this process."""

import io
import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from psycopg import sql

from integrity.database.namespace import inspect_database
from integrity.engines.embedded.server import EmbeddedServer
from integrity.engines.target import Target
from integrity.reference.ghostpass.system import GHOSTPASS
from integrity.seeds.load import Mode, seed_system, seeder_of
from tests.snapshots.bad_input import Bad, Ended, assert_refused, files_in, lay_out, run

Run = Callable[..., Ended]


@pytest.fixture
def no_columns(monkeypatch: pytest.MonkeyPatch) -> None:
    """Results are as wide as where stdout is no terminal: for whole outputs, which are held as they stand in a file.

    Notes stay unfolded: where one breaks hangs on the length of paths and addresses, which the recordings do not hold.
    """
    monkeypatch.delenv("COLUMNS")
    monkeypatch.setattr("integrity.report.terminal._fitting", str)


@pytest.fixture
def run_here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Iterator[Run]:
    """Run a command in an empty project, without a database unless it is named; give exit code, stdout and stderr."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("INTEGRITY_DATABASE_URL", raising=False)
    monkeypatch.setattr("sys.stdin", io.StringIO())  # nobody answers
    yield lambda *words: run(list(words), capsys)
    if EmbeddedServer(tmp_path / ".integrity/postgres").stop():
        pytest.fail("a server was started for nothing")


@pytest.fixture(scope="session")
def seeded(server: EmbeddedServer) -> Iterator[Target]:
    """A database with a small world of ghostpass, which no case may change."""
    name = f"seeded_{os.getpid()}"
    with server.target.connect() as admin:
        admin.execute(sql.SQL("create database {} template template0").format(sql.Identifier(name)))
    target = Target(server.target.url.set(database=name))
    sizes = {size.name: 20 for size in seeder_of(GHOSTPASS).sizes}
    seed_system(target, inspect_database(target), GHOSTPASS, sizes=sizes, seed=1, mode=Mode.NEW)
    before = _content(target)
    yield target
    assert _content(target) == before, "what cannot be done leaves a database as it was"


def _content(target: Target) -> dict[str, object]:
    """Return for each table of ours how many rows it has, and which transaction was the last to write one."""
    with target.connect() as connection:
        tables = connection.execute(
            "select schemaname, tablename from pg_catalog.pg_tables where schemaname = any(%s)",
            (["ghostpass", "integrity", "public"],),
        ).fetchall()
        content: dict[str, object] = {}
        for schema, table in tables:
            query = sql.SQL("select count(*), max(xmin::text::bigint) from {}").format(sql.Identifier(schema, table))
            content[f"{schema}.{table}"] = connection.execute(query).fetchone()
    return content


@pytest.fixture
def refuse(
    run_here: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest
) -> Callable[[Bad], None]:
    """Play a case in an empty project, and assert how it ends."""

    def play(case: Bad) -> None:
        if case.on_database:
            monkeypatch.setenv("INTEGRITY_DATABASE_URL", request.getfixturevalue("seeded").text)
        lay_out(case, tmp_path)
        for name, value in case.environment.items():
            monkeypatch.setenv(name, value)
        before = files_in(tmp_path)
        assert_refused(case, run_here(*case.words), before, tmp_path)

    return play
