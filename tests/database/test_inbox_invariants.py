"""Each invariant of inbox accepts a sound world and rejects a broken one, with the exact rows, on every engine."""

import os
import subprocess
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import psycopg
import pytest

from integrity.database.binaries import candidate_folders
from integrity.database.embedded import EmbeddedServer
from integrity.database.target import Target
from integrity.sqlfile import SqlFile
from integrity.systems.inbox.schema import METADATA
from integrity.systems.inbox.system import INBOX
from tests.database.inbox_violations import VIOLATIONS
from tests.database.inbox_world import FILES, NOW, QUERIES, WORLD, at
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
        target = Target.parse(f"sqlite:///{tmp_path / 'inbox.db'}")
        with closing(target.connect_sqlite(("inbox", "integrity"))) as sqlite_connection:
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
    engine.execute("delete from inbox.checkouts where id = 3")  # opened between the runs, by nobody that they know of
    engine.execute("update integrity.runs set ended_at = '2026-01-17 21:00:00' where run_id = 'r1'")
    assert _run(engine, FILES["row-was-asked-for"]) == []
    engine.execute("update integrity.runs set state = 'interrupted', ended_at = '2026-01-17 21:00:00' where run_id = 'r2'")
    rows = _run(engine, FILES["row-was-asked-for"])
    assert [(row["run_id"], row["effect"], row["effect_id"]) for row in rows] == [
        ("r1", "media", 3),
        ("r2", "media", 3),
        ("r1", "message", 7),
        ("r2", "message", 7),
    ]


ANSWERS: dict[str, tuple[dict[str, Any], list[dict[str, Any]]]] = {
    "inbox/dashboard": (
        {"business_id": 1},
        rows(
            "conversation_id channel customer unread_count last_message_at",
            (2, "email", "Customer 2", 0, at("18:04:00")),
            (1, "whatsapp", "Customer 1", 1, at("18:02:00")),
        ),
    ),
    "inbox/conversation": (
        {"conversation_id": 2},
        rows(
            "message_id direction status body created_at operation_id",
            (6, "outbound", "sent", "Your invoice, once more.", at("18:04:00"), op(6)),
            (5, "outbound", "failed", "Your invoice.", at("18:03:00"), op(5)),
        ),
    ),
    "inbox/search": (
        {"business_id": 1, "term": "ORDER"},
        rows(
            "message_id conversation_id direction body created_at",
            (4, 1, "inbound", "When did the order leave?", at("18:02:00")),
            (1, 1, "inbound", "Where is my order?", at("17:00:00")),
        ),
    ),
    "inbox/analytics": (
        {"business_id": 1, "since": datetime(2026, 1, 17, 18, 0, tzinfo=UTC)},
        rows(
            "channel received_count written_count delivered_count failed_count conversation_count",
            ("email", 0, 2, 0, 1, 1),
            ("whatsapp", 1, 2, 1, 1, 1),
        ),
    ),
    "inbox/outbox": (
        {},
        rows(
            "message_id business_id conversation_id channel created_at operation_id",
            (7, 2, 3, "sms", at("20:05:00"), op(7)),
        ),
    ),
    "inbox/unread": (
        {},
        rows("business_id conversation_count unread_count longest_waiting_since", (1, 1, 1, at("18:02:00"))),
    ),
    "inbox/message-history": (
        {"message_id": 2},
        rows(
            "message_id status event_id kind applied_at operation_id",
            (2, "delivered", "whatsapp-2-sent", "sent", at("18:00:01"), op(8)),
            (2, "delivered", "whatsapp-2-delivered", "delivered", at("18:00:02"), op(9)),
        ),
    ),
    "inbox/limited-senders": (
        {},
        rows(
            "hour business_id member_id channel admitted_count limit_count",
            ("2026-01-17 18", 1, 2, "email", 2, 2),
            ("2026-01-17 18", 1, 1, "whatsapp", 2, 2),
        ),
    ),
    "inbox/plans": (
        {},
        rows(
            "business_id name subscription_id active_since paid_count unpaid_count open_count paid_minor",
            (1, "Bakery", 2, at("18:06:00"), 2, 2, 0, 9800),
            (2, "Garage", None, None, 0, 0, 1, 0),
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
    values = {"run_id": "null", "stuck_before": "now()", "since": "now()", "term": "'order'"}
    values |= dict.fromkeys(("business_id", "conversation_id", "message_id"), "1")
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
    assert "Bakery" in ran.stdout, "plans shows the businesses"


def test_the_bugs_name_invariants_and_operations_that_exist() -> None:
    for bug in INBOX.bugs.values():
        assert bug.violates
        assert {name.removeprefix("inbox/") for name in bug.violates} <= FILES.keys()
        assert {*bug.operations, *bug.race} <= set(INBOX.operations)
        assert bool(bug.race) == bool(bug.schedule)
