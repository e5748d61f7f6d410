"""What is particular about the invariants of streamvote, and the answers of its queries; see also test_invariants.py."""

from datetime import UTC, datetime
from typing import Any

import pytest

from integrity.sql.file import SqlFile
from tests.database.streamvote.violations import VIOLATIONS
from tests.database.streamvote.world import FILES, NOW, QUERIES, at
from tests.database.system_worlds import SYSTEM_WORLDS, SystemWorld
from tests.database.worlds import (
    Engine,
    op,
    rows,
)


@pytest.fixture(scope="module")
def system_world() -> SystemWorld:
    return SYSTEM_WORLDS["streamvote"]


def _run(engine: Engine, file: SqlFile, **given: Any) -> list[dict[str, Any]]:
    return engine.run(file, file.values(given, now=NOW))


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
    "streamvote/webhooks-applied": (
        {"run_id": "r1"},
        rows("invoice_id began_at reached_at", (2, at("18:01:03"), at("18:01:04"))),
    ),
    "streamvote/unfinished": (
        {"run_id": "r1"},
        rows(
            "what open_count",
            ("invoices that are paid and whose credit is queued", 0),
            ("invoices that the provider has not ended", 0),
        ),
    ),
    "streamvote/cache-hits": (
        {},
        rows(
            "run_id operation asked_count hit_count age_ms_most",
            ("r1", "list_streamers", 3, 2, 19000),
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
    "streamvote/updates-received": (
        {"run_id": "r1"},
        rows(
            "live_event_id sequence client began_at reached_at",
            (1, 2, 1, at("18:05:00"), at("18:05:01")),
            (1, 3, 1, at("18:05:02"), at("18:05:03")),
            (1, 4, 1, at("18:07:00"), at("18:07:01")),
        ),
    ),
    "streamvote/polls-behind": (
        {"run_id": "r1"},
        rows(
            "operation_id began_at reached_at",
            (op(22), at("18:06:00"), at("18:06:00")),
            (op(23), at("18:07:00"), at("18:07:00")),
        ),
    ),
    "streamvote/searches-cached": (
        {"run_id": "r1"},
        rows(
            "operation_id began_at reached_at",
            (op(26), at("18:04:10"), at("18:04:10")),
            (op(27), at("18:04:50"), None),
        ),
    ),
    "streamvote/streamer-takings": (
        {},
        rows("streamer_id name vote_count wallet_count taken_stars", (1, "misty", 2, 1, 10)),
    ),
    "streamvote/votes-held": ({}, rows("held_count", (2,))),
    "streamvote/open-windows": (
        {"now": datetime(2026, 1, 17, 18, 8, 5, tzinfo=UTC)},
        rows("rate_window_id wallet_id", (2, 2), (3, 3)),
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
