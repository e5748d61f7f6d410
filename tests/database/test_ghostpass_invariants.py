"""Each invariant of ghostpass accepts a sound world and rejects a broken one, with the exact rows, on every engine."""

import os
import subprocess
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import psycopg
import pytest

from integrity.database.binaries import candidate_folders
from integrity.database.embedded import EmbeddedServer
from integrity.database.target import Target
from integrity.sqlfile import SqlFile
from integrity.systems.ghostpass.schema import METADATA
from integrity.systems.ghostpass.system import GHOSTPASS
from tests.database.ghostpass_violations import VIOLATIONS
from tests.database.ghostpass_world import FILES, NOW, QUERIES, WORLD, at
from tests.database.worlds import (
    Engine,
    PostgresEngine,
    SqliteEngine,
    lay_out,
    op,
    postgres_world,
    rows,
    without_constraints,
)


@pytest.fixture(scope="module")
def sound(server: EmbeddedServer) -> Iterator["psycopg.Connection[Any]"]:
    """The world on PostgreSQL, every constraint in place."""
    with postgres_world(server, f"sound_{os.getpid()}", METADATA, WORLD) as connection:
        yield connection


@pytest.fixture(scope="module")
def loose(server: EmbeddedServer) -> Iterator["psycopg.Connection[Any]"]:
    """The world on PostgreSQL, without constraints."""
    with postgres_world(server, f"loose_{os.getpid()}", without_constraints(METADATA), WORLD) as connection:
        yield connection


@pytest.fixture(params=["postgresql", "sqlite"])
def engine(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Engine]:
    """The world without constraints on each engine; what a test does to it is undone."""
    if request.param == "postgresql":
        connection = request.getfixturevalue("loose")
        with connection.transaction(force_rollback=True):
            yield PostgresEngine(connection)
    else:
        target = Target.parse(f"sqlite:///{tmp_path / 'venue.db'}")
        with closing(target.connect_sqlite(("ghostpass", "integrity"))) as sqlite_connection:
            sqlite_engine = SqliteEngine(sqlite_connection)
            lay_out(target, sqlite_engine, without_constraints(METADATA), WORLD)
            yield sqlite_engine


def _run(engine: Engine, file: SqlFile, **given: Any) -> list[dict[str, Any]]:
    return engine.run(file, file.values(given, now=NOW))


def test_every_invariant_has_its_pair_and_every_pair_its_invariant() -> None:
    assert sorted(VIOLATIONS) == sorted(FILES)
    assert all(violation.rows for violation in VIOLATIONS.values())


@pytest.mark.parametrize("name", FILES)
def test_an_invariant_says_what_it_is_about(name: str) -> None:
    file = FILES[name]
    assert file.source
    assert file.why.endswith(".")
    assert file.hint.endswith((".", "?"))


@pytest.mark.parametrize("name", FILES)
def test_a_sound_world_is_accepted(sound: "psycopg.Connection[Any]", name: str) -> None:
    assert _run(PostgresEngine(sound), FILES[name]) == []


@pytest.mark.parametrize("name", FILES)
def test_a_world_is_accepted_by_every_engine_and_rejected_with_the_exact_rows(engine: Engine, name: str) -> None:
    """The same file, sent as it stands or transpiled, has the same answer."""
    violation = VIOLATIONS[name]
    assert _run(engine, FILES[name]) == []
    for statement in violation.statements:
        engine.execute(statement)
    assert _run(engine, FILES[name]) == list(violation.rows)


@pytest.mark.parametrize("name", [name for name, file in FILES.items() if "run_id" in file.parameter_names])
def test_an_invariant_over_calls_can_be_asked_of_one_run(engine: Engine, name: str) -> None:
    for statement in VIOLATIONS[name].statements:
        engine.execute(statement)
    assert _run(engine, FILES[name], run_id="r1") == list(VIOLATIONS[name].rows)
    assert _run(engine, FILES[name], run_id="r2") == []


def test_a_row_is_asked_for_by_any_run(engine: Engine) -> None:
    """Two runs at once on one database do not accuse each other."""
    engine.execute("update integrity.calls set run_id = 'r0'")
    assert _run(engine, FILES["row-was-asked-for"]) == []


def test_rows_made_while_a_run_goes_on_wait_for_its_calls(engine: Engine) -> None:
    """The calls of a run are loaded when it has ended: until then nobody can say who asked."""
    engine.execute("update integrity.runs set ended_at = '2026-01-17 21:00:00' where run_id = 'r1'")
    assert _run(engine, FILES["row-was-asked-for"]) == []
    engine.execute("update integrity.runs set state = 'interrupted', ended_at = '2026-01-17 21:00:00' where run_id = 'r2'")
    rows = _run(engine, FILES["row-was-asked-for"])
    assert [(row["run_id"], row["effect"], row["effect_id"]) for row in rows] == [
        ("r1", "funding", 4),
        ("r2", "funding", 4),
    ]


ANSWERS: dict[str, tuple[dict[str, Any], list[dict[str, Any]]]] = {
    "ghostpass/guests-inside": (
        {},
        rows(
            "wallet_id code balance_minor entry_count gateway inside_since",
            (1, "GP-1", 3701, 2, "east", at("18:05:00")),
            (2, "GP-2", 2000, 1, "west", at("18:06:00")),
        ),
    ),
    "ghostpass/pending-fundings": (
        {},
        rows("funding_id wallet_id amount_minor requested_at operation_id", (4, 3, 500, at("20:05:00"), op(7))),
    ),
    "ghostpass/refunds": (
        {},
        rows(
            "sale_id wallet_id terminal amount_minor sold_at refunded_at operation_id",
            (2, 2, "bar", 1000, at("18:08:00"), at("18:09:00"), op(15)),
        ),
    ),
    "ghostpass/takings-by-terminal": (
        {},
        rows(
            "terminal_id name sale_count sold_minor refunded_minor platform_minor venue_minor vendor_minor",
            (1, "bar", 2, 1999, 1000, 24, 99, 876),
        ),
    ),
    "ghostpass/wallet-statement": (
        {"wallet_id": 1},
        rows(
            "entry_id created_at kind reference amount_minor balance_minor operation_id",
            (1, at("17:00:03"), "funding", 1, 5000, 5000, op(2)),
            (5, at("18:05:00"), "reentry_fee", 4, -300, 4700, op(11)),
            (7, at("18:07:00"), "sale", 1, -999, 3701, op(13)),
        ),
    ),
    "history/calls-of-operations": (
        {"operation_ids": f"{op(16)} {op(2)} {op(9)}"},
        rows(
            "operation_id run_id operation arguments client invoked_at returned_at outcome reply error attempts",
            (op(9), "r1", "scan_in", {}, 1, at("18:03:00"), at("18:03:00"), "declined", {}, "", 1),
            (op(16), "r1", "sell", {}, 1, at("18:10:00"), at("18:10:00"), "failed", {}, "", 1),
        ),
    ),
}


@pytest.mark.parametrize("name", QUERIES)
def test_a_query_has_the_same_answer_on_every_engine(engine: Engine, name: str) -> None:
    parameters, answer = ANSWERS[name]
    assert _run(engine, QUERIES[name], **parameters) == answer


def test_every_file_runs_in_psql_as_it_stands(sound: "psycopg.Connection[Any]") -> None:
    psql = next((b.folder / "psql" for b in candidate_folders(os.environ) if (b.folder / "psql").exists()), None)
    if psql is None:
        pytest.skip("no psql beside any PostgreSQL that was found")
    paths = [file.path for file in (*FILES.values(), *QUERIES.values())]
    values = {"run_id": "null", "stuck_before": "now()", "wallet_id": "1", "since": "now()", "operation_ids": "''"}
    options = [option for name, value in values.items() for option in ("-v", f"{name}={value}")]
    files = [option for path in paths for option in ("-f", str(path))]
    info = sound.info
    target = ["-h", info.host, "-p", str(info.port), "-U", info.user, "-d", info.dbname]
    ran = subprocess.run(
        [psql, "-X", "-q", "-t", "-v", "ON_ERROR_STOP=1", *options, *target, *files],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert (ran.returncode, ran.stderr) == (0, "")
    assert "GP-1" in ran.stdout, "guests-inside shows the guests"


def test_the_bugs_name_invariants_and_operations_that_exist() -> None:
    for bug in GHOSTPASS.bugs.values():
        assert bug.violates
        assert {name.removeprefix("ghostpass/") for name in bug.violates} <= FILES.keys()
        assert {*bug.operations, *bug.race} <= set(GHOSTPASS.operations)
        assert bool(bug.race) == bool(bug.schedule)
