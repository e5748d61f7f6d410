"""What is particular about the invariants of inbox, and the answers of its queries; see also test_invariants.py."""

from datetime import UTC, datetime
from typing import Any

import pytest

from integrity.sql.file import SqlFile
from tests.database.inbox.world import FILES, NOW, QUERIES, at
from tests.database.system_worlds import SYSTEM_WORLDS, SystemWorld
from tests.database.worlds import (
    Engine,
    op,
    rows,
)


@pytest.fixture(scope="module")
def system_world() -> SystemWorld:
    return SYSTEM_WORLDS["inbox"]


def _run(engine: Engine, file: SqlFile, **given: Any) -> list[dict[str, Any]]:
    return engine.run(file, file.values(given, now=NOW))


def test_a_row_is_asked_for_by_any_run(engine: Engine) -> None:
    """Two runs at once on one database do not accuse each other."""
    engine.execute(
        "insert into integrity.runs (run_id, system, profile, seed, started_at, ended_at, state) "
        "values ('r0', 'inbox', 'hammer', 3, '2026-01-17 22:00:00', '2026-01-17 23:00:00', 'finished')"
    )
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
    "inbox/messages-delivered": (
        {"run_id": "r1"},
        rows(
            "message_id status began_at reached_at",
            (2, "delivered", at("18:00:00"), at("18:00:02")),
            (6, "sent", at("18:04:00"), None),
        ),
    ),
    "inbox/webhooks-applied": (
        {"run_id": "r1"},
        rows(
            "event_id began_at reached_at",
            ("whatsapp-2-sent", at("18:00:01"), at("18:00:01")),
            ("whatsapp-2-delivered", at("18:00:02"), at("18:00:02")),
            ("whatsapp-3-failed", at("18:01:02"), at("18:01:02")),
        ),
    ),
    "inbox/unfinished": (
        {"run_id": "r1"},
        rows(
            "what open_count",
            ("checkouts that the processor has not ended", 0),
            ("messages that are queued", 0),
            ("messages that are sent and not delivered", 1),
            ("uploads that are not finished", 0),
        ),
    ),
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
    "inbox/nearly-full-windows": (
        {"now": datetime(2026, 1, 17, 18, 30, tzinfo=UTC)},
        rows("hour member_id channel", ("2026-01-17 18", 1, "whatsapp"), ("2026-01-17 18", 2, "email")),
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
