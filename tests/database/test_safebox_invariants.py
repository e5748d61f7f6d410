"""Each invariant of safebox accepts a sound world and rejects a broken one, with the exact rows, on every engine."""

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
from integrity.systems.safebox.schema import METADATA
from integrity.systems.safebox.system import SAFEBOX
from tests.database.safebox_violations import VIOLATIONS
from tests.database.safebox_world import FILES, NOW, QUERIES, WORLD, at
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
    with postgres_world(server, f"safebox_sound_{os.getpid()}", METADATA, WORLD) as connection:
        yield connection


@pytest.fixture(scope="module")
def loose(server: EmbeddedServer) -> Iterator["psycopg.Connection[Any]"]:
    """The world on PostgreSQL, without constraints."""
    with postgres_world(server, f"safebox_loose_{os.getpid()}", without_constraints(METADATA), WORLD) as connection:
        yield connection


@pytest.fixture(params=["postgresql", "sqlite"])
def engine(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Engine]:
    """The world without constraints on each engine; what a test does to it is undone."""
    if request.param == "postgresql":
        connection = request.getfixturevalue("loose")
        with connection.transaction(force_rollback=True):
            yield PostgresEngine(connection)
    else:
        target = Target.parse(f"sqlite:///{tmp_path / 'wallets.db'}")
        with closing(target.connect_sqlite(("safebox", "integrity"))) as sqlite_connection:
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


def test_a_payment_that_a_running_run_ended_waits_for_its_requests(engine: Engine) -> None:
    """What the mint said is loaded when the run has ended: until then nobody can say that it said nothing."""
    engine.execute(f"update safebox.payments set ended_at = '{at('20:00:00')}', status = 'failed' where id = 2")
    assert _run(engine, FILES["payment-ended-by-mint"]) == []
    engine.execute(f"update integrity.runs set state = 'finished', ended_at = '{at('20:10:00')}' where run_id = 'r2'")
    assert [row["payment_id"] for row in _run(engine, FILES["payment-ended-by-mint"])] == [2]


ANSWERS: dict[str, tuple[dict[str, Any], list[dict[str, Any]]]] = {
    "safebox/payments-under-way": (
        {},
        rows(
            "payment_id wallet_id kind amount_minor held_minor created_at operation_id",
            (4, 1, "invoice", 7, 32, at("20:05:00"), op(9)),
        ),
    ),
    "safebox/unpaid-invoices": (
        {},
        rows(
            "invoice_id wallet_id amount_minor pos_sale_id created_at expires_at",
            (4, 3, 7, None, at("17:03:00"), at("20:05:00")),
        ),
    ),
    "safebox/wallet-statement": (
        {"wallet_id": 1},
        rows(
            "entry_id created_at kind reference amount_minor balance_minor operation_id",
            (1, at("17:00:06"), "receipt", 1, 96, 96, op(2)),
            (5, at("18:02:00"), "hold", 1, -64, 32, op(5)),
            (8, at("18:02:01"), "settlement", 1, 33, 65, op(5)),
            (15, at("18:03:02"), "settlement", 2, 20, 85, op(6)),
            (20, at("20:05:00"), "hold", 4, -32, 53, op(9)),
        ),
    ),
    "safebox/wallet-proofs": (
        {"wallet_id": 1},
        rows(
            "proof_minor unspent_count pending_count total_minor",
            (1, 1, 0, 1),
            (4, 1, 0, 4),
            (16, 1, 0, 16),
            (32, 1, 1, 64),
        ),
    ),
    "safebox/taps-by-day": (
        {},
        rows(
            "day request_count accepted_count rejected_count expired_count open_count accepted_percent",
            ("2026-01-17", 4, 1, 1, 1, 1, 25),
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
    values = {"run_id": "null", "stuck_before": "now()", "wallet_id": "1", "since": "'2026-01-01'"}
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
    assert "settlement" in ran.stdout, "wallet-statement shows the entries"


def test_the_bugs_name_invariants_and_operations_that_exist() -> None:
    for bug in SAFEBOX.bugs.values():
        assert bug.violates
        assert {name.removeprefix("safebox/") for name in bug.violates} <= FILES.keys()
        assert {*bug.operations, *bug.race} <= set(SAFEBOX.operations)
        assert bool(bug.race) == bool(bug.schedule)
