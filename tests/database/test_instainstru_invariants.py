"""Each invariant of instainstru accepts a sound world and rejects a broken one, with the exact rows, on every engine."""

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
from integrity.systems.instainstru.schema import METADATA
from integrity.systems.instainstru.system import INSTAINSTRU
from tests.database.instainstru_violations import MISSED_BY_ONE_THAT_CAME_BACK, VIOLATIONS
from tests.database.instainstru_world import FILES, NOW, QUERIES, WORLD, at
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
    with postgres_world(server, f"lessons_{os.getpid()}", METADATA, WORLD) as connection:
        yield connection


@pytest.fixture(scope="module")
def loose(server: EmbeddedServer) -> Iterator["psycopg.Connection[Any]"]:
    """The world on PostgreSQL, without constraints."""
    with postgres_world(server, f"loose_lessons_{os.getpid()}", without_constraints(METADATA), WORLD) as connection:
        yield connection


@pytest.fixture(params=["postgresql", "sqlite"])
def engine(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Engine]:
    """The world without constraints on each engine; what a test does to it is undone."""
    if request.param == "postgresql":
        connection = request.getfixturevalue("loose")
        with connection.transaction(force_rollback=True):
            yield PostgresEngine(connection)
    else:
        target = Target.parse(f"sqlite:///{tmp_path / 'lessons.db'}")
        with closing(target.connect_sqlite(("instainstru", "integrity"))) as sqlite_connection:
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
    engine.execute(
        f"update instainstru.read_markers set operation_id = '{op(41)}', read_at = '{at('20:05:00')}' where id = 2"
    )
    engine.execute("update integrity.runs set ended_at = '2026-01-17 21:00:00' where run_id = 'r1'")
    assert _run(engine, FILES["row-was-asked-for"]) == []
    engine.execute("update integrity.runs set state = 'interrupted', ended_at = '2026-01-17 21:00:00' where run_id = 'r2'")
    rows = _run(engine, FILES["row-was-asked-for"])
    assert [(row["run_id"], row["effect"], row["effect_id"]) for row in rows] == [("r1", "marker", 2), ("r2", "marker", 2)]


def test_what_a_client_was_told_it_had_seen_counts_as_missed(engine: Engine) -> None:
    for statement in MISSED_BY_ONE_THAT_CAME_BACK.statements:
        engine.execute(statement)
    assert _run(engine, FILES["stream-misses-nothing"]) == list(MISSED_BY_ONE_THAT_CAME_BACK.rows)


ANSWERS: dict[str, tuple[dict[str, Any], list[dict[str, Any]]]] = {
    "instainstru/busiest-conversations": (
        {},
        rows(
            "conversation_id lesson message_count sender_count last_message_at",
            (1, "Choir", 3, 3, at("18:05:00")),
        ),
    ),
    "instainstru/conversation-history": (
        {"conversation_id": 1},
        rows(
            "sequence message_id sent_at sender_role sender_name body delivered_count read_count operation_id",
            (1, 1, at("17:00:00"), "instructor", "User 1", "Shall we start at five?", 2, 1, op(3)),
            (2, 2, at("18:02:00"), "student", "User 2", "Five is fine.", 2, 1, op(4)),
            (3, 3, at("18:05:00"), "student", "User 3", "For me too.", 2, 0, op(6)),
        ),
    ),
    "instainstru/inbox": (
        {"user_id": 2},
        rows(
            "conversation_id lesson role last_message_at last_sequence last_read_sequence unread_count",
            (1, "Choir", "student", at("18:05:00"), 3, 1, 1),
            (2, "Piano", "student", None, 0, 0, 0),
        ),
    ),
    "instainstru/listeners-of-run": (
        {"run_id": "r1"},
        rows(
            "client participant_id opened_count refused_count message_count sequence_least sequence_most",
            (7, 1, 2, 0, 2, 2, 3),
            (8, 3, 1, 0, 3, 1, 3),
            (9, 2, 1, 0, 0, None, None),
        ),
    ),
    "instainstru/unanswered-students": (
        {},
        rows(
            "conversation_id lesson starts_at waiting_since sequence body",
            (1, "Choir", "2026-01-20 17:00:00", at("18:05:00"), 3, "For me too."),
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
    values = {"run_id": "''", "user_id": "2", "conversation_id": "1", "since": "now()"}
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
    assert "Five is fine." in ran.stdout, "conversation-history shows what was written"


def test_the_bugs_name_invariants_and_operations_that_exist() -> None:
    for bug in INSTAINSTRU.bugs.values():
        assert bug.violates
        assert {name.removeprefix("instainstru/") for name in bug.violates} <= FILES.keys()
        assert {*bug.operations, *bug.race} <= set(INSTAINSTRU.operations)
        assert bool(bug.race) == bool(bug.schedule)
