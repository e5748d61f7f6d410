"""What is particular about the invariants of safebox, and the answers of its queries; see also test_invariants.py."""

from typing import Any

import pytest

from integrity.sql.file import SqlFile
from tests.database.safebox.world import FILES, NOW, QUERIES, at
from tests.database.system_worlds import SYSTEM_WORLDS, SystemWorld
from tests.database.worlds import (
    Engine,
    op,
    rows,
)


@pytest.fixture(scope="module")
def system_world() -> SystemWorld:
    return SYSTEM_WORLDS["safebox"]


def _run(engine: Engine, file: SqlFile, **given: Any) -> list[dict[str, Any]]:
    return engine.run(file, file.values(given, now=NOW))


def test_a_payment_that_a_running_run_ended_waits_for_its_requests(engine: Engine) -> None:
    """What the mint said is loaded when the run has ended: until then nobody can say that it said nothing."""
    engine.execute(f"update safebox.payments set ended_at = '{at('20:00:00')}', status = 'failed' where id = 2")
    assert _run(engine, FILES["payment-ended-by-mint"]) == []
    engine.execute(f"update integrity.runs set state = 'finished', ended_at = '{at('20:10:00')}' where run_id = 'r2'")
    assert [row["payment_id"] for row in _run(engine, FILES["payment-ended-by-mint"])] == [2]


ANSWERS: dict[str, tuple[dict[str, Any], list[dict[str, Any]]]] = {
    "safebox/unfinished": (
        {"run_id": "r1"},
        rows(
            "what open_count",
            ("invoices that are paid and not credited", 0),
            ("payments that the mint has not ended", 0),
            ("sales that nobody has paid yet", 0),
            ("taps without an answer", 0),
        ),
    ),
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
    "safebox/taps-accepted": (
        {"run_id": "r1"},
        rows("operation_id began_at reached_at", (op(7), at("18:03:00"), at("18:03:02"))),
    ),
    "safebox/payments-visible": (
        {"run_id": "r1"},
        rows("invoice_id began_at reached_at", (2, at("18:01:05"), at("18:01:06"))),
    ),
    "safebox/notifications-received": (
        {"run_id": "r1"},
        rows(
            "wallet_id sequence client began_at reached_at",
            (2, 1, 1, at("18:01:06"), at("18:01:07")),
            (2, 2, 1, at("18:03:02"), at("18:03:03")),
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
