"""What is particular about the invariants of ghostpass, and the answers of its queries; see also test_invariants.py."""

from typing import Any

import pytest

from integrity.sql.file import SqlFile
from tests.database.ghostpass.world import FILES, NOW, QUERIES, at
from tests.database.system_worlds import SYSTEM_WORLDS, SystemWorld
from tests.database.worlds import (
    Engine,
    op,
    rows,
)


@pytest.fixture(scope="module")
def system_world() -> SystemWorld:
    return SYSTEM_WORLDS["ghostpass"]


def _run(engine: Engine, file: SqlFile, **given: Any) -> list[dict[str, Any]]:
    return engine.run(file, file.values(given, now=NOW))


def test_a_row_is_asked_for_by_any_run(engine: Engine) -> None:
    """Two runs at once on one database do not accuse each other."""
    engine.execute(
        "insert into integrity.runs (run_id, system, profile, seed, started_at, ended_at, state) "
        "values ('r0', 'ghostpass', 'hammer', 3, '2026-01-17 22:00:00', '2026-01-17 23:00:00', 'finished')"
    )
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
    "ghostpass/webhooks-applied": (
        {"run_id": "r1"},
        rows("event_id began_at reached_at", ("evt-3", at("18:01:03"), at("18:01:03"))),
    ),
    "ghostpass/unfinished": (
        {"run_id": "r1"},
        rows(
            "what open_count",
            ("fundings that the processor has not settled", 0),
        ),
    ),
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
