"""What became of calls whose outcome nobody learned is told by the rows that carry their operation_id."""

import json
from collections.abc import Callable
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from uuid import UUID

import pytest
from sqlalchemy import insert

from integrity.database.bookkeeping import calls, runs
from integrity.database.namespace import guard
from integrity.engines.target import Target
from integrity.engines.transaction import transaction
from integrity.faults.scene import APPLICATION_NAME
from integrity.operation import Mark
from integrity.project import Project, Settings
from integrity.reference.ghostpass.schema import entries, sales, scans
from integrity.reference.ghostpass.system import GHOSTPASS
from integrity.runs.settlement import settle
from integrity.seeds.load import Mode, seed_system

NAMESPACES = ("ghostpass", "integrity")
PROJECT = Project(Path(), Settings())
NOW = datetime(2026, 1, 1, tzinfo=UTC)


def now(target: Target) -> datetime | str:
    return f"{NOW:%Y-%m-%d %H:%M:%S}" if target.dialect == "sqlite" else NOW


def op(target: Target, number: int) -> UUID | str:
    """Return the operation_id with that number, as the engine stores it."""
    return str(UUID(int=number)) if target.dialect == "sqlite" else UUID(int=number)


@pytest.fixture(params=["postgresql", "sqlite"])
def venue(request: pytest.FixtureRequest, make_database: Callable[[str | None], Target], tmp_path: Path) -> Target:
    """A seeded venue, and a run of it without calls."""
    target = make_database(None) if request.param == "postgresql" else Target.parse(f"sqlite:///{tmp_path}/venue.db")
    seed_system(target, guard(target, None), GHOSTPASS, sizes={"wallets": 20}, seed=1, mode=Mode.NEW)
    with transaction(target, NAMESPACES) as connection:
        for run_id in ("run", "other"):
            row = {
                "run_id": run_id,
                "system": "ghostpass",
                "profile": "p",
                "seed": 1,
                "started_at": now(target),
                "state": "finished",
            }
            connection.execute(insert(runs).values(**row))
    return target


def add_call(target: Target, number: int, operation: str, outcome: str, run_id: str = "run", **arguments: int) -> None:
    with transaction(target, NAMESPACES) as connection:
        connection.execute(
            insert(calls).values(
                run_id=run_id,
                operation_id=op(target, number),
                operation=operation,
                arguments=json.dumps(arguments) if target.dialect == "sqlite" else arguments,
                client=1,
                intended_at=now(target),
                invoked_at=now(target),
                outcome=outcome,
            )
        )


def add_sale(target: Target, number: int) -> None:
    row = {
        "wallet_id": 1,
        "terminal_id": 1,
        "amount_minor": 200,
        "platform_fee_minor": 5,
        "operation_id": op(target, number),
    }
    with transaction(target, NAMESPACES) as connection:
        connection.execute(insert(sales).values(**row))


def add_entry(target: Target, number: int, reference: int) -> None:
    row = {"account": "wallet", "wallet_id": 1, "kind": "refund", "amount_minor": 1, "reference": reference}
    with transaction(target, NAMESPACES) as connection:
        connection.execute(insert(entries).values(**row, operation_id=op(target, number)))


def add_scan(target: Target, number: int) -> None:
    row = {"wallet_id": 1, "gateway_id": 1, "direction": "out", "is_accepted": False, "fee_minor": 0}
    with transaction(target, NAMESPACES) as connection:
        connection.execute(insert(scans).values(**row, operation_id=op(target, number)))


def test_what_has_a_row_was_committed_and_what_has_none_was_not(venue: Target) -> None:
    for number, operation, outcome in (
        (1, "sell", "unknown"),
        (2, "sell", "unknown"),
        (3, "sell", "ok"),
        (4, "refund_sale", "unknown"),
        (5, "scan_out", "declined"),
        (7, "sell", "unavailable"),
    ):
        add_call(venue, number, operation, outcome)
    add_call(venue, 6, "sell", "unknown", run_id="other")
    for number in (1, 3, 6):
        add_sale(venue, number)
    add_entry(venue, 4, reference=900)

    settlement = settle(venue, GHOSTPASS, "run", project=PROJECT)

    assert (settlement.unknown, settlement.committed, settlement.absent, settlement.untraceable) == (3, 2, 1, 0)
    assert (settlement.twice, settlement.open_sessions) == (0, 0)
    assert settlement.operations == {
        "refund_sale": {"unknown": 1, "committed": 1, "absent": 0, "untraceable": 0},
        "sell": {"unknown": 2, "committed": 1, "absent": 1, "untraceable": 0},
    }


def test_of_an_operation_that_leaves_no_row_when_it_is_ok_nothing_can_be_told(venue: Target) -> None:
    add_call(venue, 1, "look", "ok")
    add_call(venue, 2, "look", "unknown")

    settlement = settle(venue, GHOSTPASS, "run", project=PROJECT)

    assert (settlement.unknown, settlement.committed, settlement.absent, settlement.untraceable) == (1, 0, 0, 1)


def test_a_row_that_carries_no_operation_id_is_told_by_the_operation_s_mark(venue: Target) -> None:
    """As a file of SQL has it: `-- stores: entries.reference = :reference`; a row that another operation names is none."""
    withdraw = replace(
        GHOSTPASS.operations["sell"],
        name="withdraw",
        arguments={},
        marks=(Mark("entries", "reference", argument="reference", schema="ghostpass"),),
    )
    system = replace(GHOSTPASS, operations={"withdraw": withdraw}, endpoints=None)
    for number, (operation, outcome) in enumerate(
        (("withdraw", "ok"), ("withdraw", "unknown"), ("withdraw", "unknown"), ("look", "ok"), ("look", "unknown")), 1
    ):
        add_call(venue, number, operation, outcome, reference=900 + number)
    for reference in (901, 902, 905):
        add_entry(venue, 1000 + reference, reference=reference)

    settlement = settle(venue, system, "run", project=PROJECT)

    assert settlement.operations == {
        "look": {"unknown": 1, "committed": 0, "absent": 0, "untraceable": 1},
        "withdraw": {"unknown": 2, "committed": 1, "absent": 1, "untraceable": 0},
    }


def test_a_call_that_took_effect_twice_is_counted(venue: Target) -> None:
    """A retry that happened again: two scans of one call. That of a call which was ok is the audit's business."""
    add_call(venue, 1, "scan_out", "unknown")
    add_call(venue, 2, "scan_out", "ok")
    for number in (1, 1, 2, 2):
        add_scan(venue, number)

    settlement = settle(venue, GHOSTPASS, "run", project=PROJECT)

    assert (settlement.unknown, settlement.committed, settlement.twice) == (1, 1, 1)


def test_what_took_effect_twice_is_not_known_of_a_system_that_does_not_say_where_effects_stand(venue: Target) -> None:
    add_call(venue, 1, "scan_out", "unknown")
    settlement = settle(venue, replace(GHOSTPASS, name="kiosk"), "run", project=PROJECT)
    assert (settlement.twice, settlement.reason) == (None, "kiosk has no invariant call-at-most-once")


def test_without_unknown_calls_there_is_nothing_to_settle(venue: Target) -> None:
    add_call(venue, 1, "sell", "ok")
    assert settle(venue, GHOSTPASS, "run", project=PROJECT).unknown == 0


def test_sessions_of_the_run_that_do_not_end_are_told(
    make_database: Callable[[str | None], Target], monkeypatch: pytest.MonkeyPatch
) -> None:
    """What such a session holds could still be committed."""
    target = make_database(None)
    seed_system(target, guard(target, None), GHOSTPASS, sizes={"wallets": 20}, seed=1, mode=Mode.NEW)
    monkeypatch.setattr("integrity.runs.settlement.QUIET_S_MOST", 0.0)
    with closing(target.connect(application_name=APPLICATION_NAME)):
        assert settle(target, GHOSTPASS, "run", project=PROJECT).open_sessions == 1
