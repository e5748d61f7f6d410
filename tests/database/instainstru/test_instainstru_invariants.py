"""What is particular about the invariants of instainstru, and the answers of its queries; see also test_invariants.py."""

from typing import Any

import pytest

from integrity.sql.file import SqlFile
from tests.database.instainstru.violations import MISSED_BY_ONE_THAT_CAME_BACK
from tests.database.instainstru.world import FILES, NOW, QUERIES, at
from tests.database.system_worlds import SYSTEM_WORLDS, SystemWorld
from tests.database.worlds import (
    Engine,
    op,
    rows,
)


@pytest.fixture(scope="module")
def system_world() -> SystemWorld:
    return SYSTEM_WORLDS["instainstru"]


def _run(engine: Engine, file: SqlFile, **given: Any) -> list[dict[str, Any]]:
    return engine.run(file, file.values(given, now=NOW))


def test_a_row_is_asked_for_by_any_run(engine: Engine) -> None:
    """Two runs at once on one database do not accuse each other."""
    engine.execute(
        "insert into integrity.runs (run_id, system, profile, seed, started_at, ended_at, state) "
        "values ('r0', 'instainstru', 'hammer', 3, '2026-01-17 22:00:00', '2026-01-17 23:00:00', 'finished')"
    )
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
    "instainstru/unfinished": (
        {"run_id": "r1"},
        rows(
            "what open_count",
            ("messages that somebody who listened has not received", 1),
        ),
    ),
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
    # who sent a message and listened, too, is not among them; to participant 2 nothing came
    "instainstru/messages-delivered": (
        {"run_id": "r1"},
        rows(
            "message_id participant_id began_at reached_at",
            (2, 1, at("18:02:00"), at("18:02:00")),
            (2, 3, at("18:02:00"), at("18:02:00")),
            (3, 1, at("18:05:00"), at("18:05:00")),
            (3, 2, at("18:05:00"), None),
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
