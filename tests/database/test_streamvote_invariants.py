"""Each invariant of streamvote accepts a sound world and rejects a broken one, with the exact rows, on every engine."""

import os
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import psycopg
import pytest

from integrity.database.embedded import EmbeddedServer
from integrity.database.portable import to_sqlite
from integrity.database.target import Target
from integrity.sqlfile import SqlFile
from integrity.systems.streamvote.schema import METADATA
from integrity.systems.streamvote.system import STREAMVOTE
from tests.database.streamvote_violations import VIOLATIONS
from tests.database.streamvote_world import FILES, NOW, QUERIES, WORLD, at
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
    with postgres_world(server, f"sound_votes_{os.getpid()}", METADATA, WORLD) as connection:
        yield connection


@pytest.fixture(scope="module")
def loose(server: EmbeddedServer) -> Iterator["psycopg.Connection[Any]"]:
    """The world on PostgreSQL, without constraints."""
    with postgres_world(server, f"loose_votes_{os.getpid()}", without_constraints(METADATA), WORLD) as connection:
        yield connection


@pytest.fixture(params=["postgresql", "sqlite"])
def engine(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Engine]:
    """The world without constraints on each engine; what a test does to it is undone."""
    if request.param == "postgresql":
        connection = request.getfixturevalue("loose")
        with connection.transaction(force_rollback=True):
            yield PostgresEngine(connection)
    else:
        target = Target.parse(f"sqlite:///{tmp_path / 'votes.db'}")
        with closing(target.connect_sqlite(("streamvote", "integrity"))) as sqlite_connection:
            sqlite_engine = SqliteEngine(sqlite_connection)
            lay_out(target, sqlite_engine, without_constraints(METADATA), WORLD)
            yield sqlite_engine


def _run(engine: Engine, file: SqlFile, **given: Any) -> list[dict[str, Any]]:
    return engine.run(file, file.values(given, now=NOW))


def test_every_invariant_has_its_pair_and_every_pair_its_invariant() -> None:
    assert sorted(VIOLATIONS) == sorted(FILES)
    assert all(violation.rows for violation in VIOLATIONS.values())


@pytest.mark.parametrize("name", FILES)
def test_an_invariant_says_what_it_is_about_and_is_portable(name: str) -> None:
    file = FILES[name]
    assert file.source
    assert file.why.endswith(".")
    assert file.hint.endswith((".", "?"))
    assert to_sqlite(file.text)


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


def test_a_hammer_may_limit_as_many_votes_as_it_likes(engine: Engine) -> None:
    for statement in VIOLATIONS["few-votes-limited"].statements:
        engine.execute(statement)
    engine.execute("update integrity.runs set profile = 'hammer'")
    assert _run(engine, FILES["few-votes-limited"]) == []


def test_a_job_that_is_still_owed_when_a_run_is_interrupted_is_not_lost(engine: Engine) -> None:
    for statement in VIOLATIONS["credit-job-credits"].statements:
        engine.execute(statement)
    engine.execute("update integrity.runs set state = 'interrupted'")
    assert _run(engine, FILES["credit-job-credits"]) == []


def test_updates_are_known_as_soon_as_a_later_one_is_acknowledged(engine: Engine) -> None:
    """The answer to the vote with sequence 3 was lost; that the event was closed with 4 proves that 3 was there."""
    engine.execute(f"update integrity.calls set invoked_at = '{at('18:07:01')}' where operation_id = '{op(22)}'")
    engine.execute(f"update integrity.calls set reply = '{{\"sequence\": 2}}' where operation_id = '{op(22)}'")
    engine.execute(f"update integrity.calls set outcome = 'ok' where operation_id = '{op(15)}'")
    found = _run(engine, FILES["poll-saw-acknowledged"])
    assert [(row["sequence"], row["unseen_sequence"], row["known_at"]) for row in found] == [(2, 3, at("18:07:00"))]


ANSWERS: dict[str, tuple[dict[str, Any], list[dict[str, Any]]]] = {
    "streamvote/cache-hits": (
        {},
        rows(
            "run_id operation asked_count hit_count age_ms_most",
            ("r1", "list_streamers", 1, 1, 9000),
            ("r1", "poll_event", 2, 1, 1000),
        ),
    ),
    "streamvote/event-standing": (
        {"live_event_id": 1},
        rows(
            "choice vote_count stars status sequence",
            (1, 1, 5, "closed", 4),
            (2, 1, 5, "closed", 4),
            (3, 0, 0, "closed", 4),
        ),
    ),
    "streamvote/full-windows": (
        {},
        rows("rate_window_id wallet_id admitted_count started_at ends_at", (3, 3, 1, at("18:09:00"), at("18:09:10"))),
    ),
    "streamvote/missed-updates": (
        {"live_event_id": 1, "last_sequence": 2},
        rows(
            "sequence kind choice stars sent_at",
            (3, "vote", 2, 5, at("18:05:02")),
            (4, "closed", None, None, at("18:07:00")),
        ),
    ),
    "streamvote/streamer-takings": (
        {},
        rows("streamer_id name vote_count wallet_count taken_stars", (1, "misty", 2, 1, 10)),
    ),
    "streamvote/unfinished-invoices": (
        {},
        rows(
            "invoice_id wallet_id stars status created_at paid_at operation_id",
            (4, 3, 20, "open", at("20:05:00"), None, op(9)),
            (5, 3, 40, "paid", at("20:18:50"), at("20:19:00"), op(10)),
        ),
    ),
    "streamvote/wallet-statement": (
        {"wallet_id": 1},
        rows(
            "entry_id created_at kind reference amount_stars balance_stars operation_id",
            (1, at("17:00:04"), "purchase", 1, 100, 100, op(3)),
            (5, at("18:05:00"), "vote", 1, -5, 95, op(14)),
            (7, at("18:05:02"), "vote", 2, -5, 90, op(15)),
        ),
    ),
}


@pytest.mark.parametrize("name", QUERIES)
def test_a_query_has_the_same_answer_on_every_engine(engine: Engine, name: str) -> None:
    parameters, answer = ANSWERS[name]
    assert _run(engine, QUERIES[name], **parameters) == answer


def test_the_bugs_name_invariants_and_operations_that_exist() -> None:
    for bug in STREAMVOTE.bugs.values():
        assert bug.violates
        assert {name.removeprefix("streamvote/") for name in bug.violates} <= FILES.keys()
        assert {*bug.operations, *bug.race} <= set(STREAMVOTE.operations)
        assert bool(bug.race) == bool(bug.schedule)
