"""`integrity reproduce` on a real server: from a violated row to a race, a call that is wrong alone, a client that died."""

import json
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from random import Random
from typing import Any

import pytest

from integrity.engines.target import Target
from integrity.history import Call, Outcome, encode_invoked, encode_returned, make_operation_id
from tests.database.race_commands import Command, run_beside
from tests.documents import make_settings, verdicts_json

FINDING = ".integrity/races/ghostpass-lost_update-sell-sell.json"


@pytest.fixture
def integrity(
    database: Target, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Iterator[Command]:
    yield from run_beside(database, tmp_path, monkeypatch, capsys)


def write_run(project: Path, bug: str, calls: list[Call], invariant: str, row: dict[str, Any]) -> None:
    """Write the folder of a run that was audited."""
    folder = project / ".integrity/runs/20260117-120000-ghostpass-hammer"
    folder.mkdir(parents=True)
    (folder / "settings.json").write_text(json.dumps(make_settings(bug=bug).to_json()))
    (folder / "history.jsonl").write_bytes(b"".join(encode_invoked(call) + encode_returned(call) for call in calls))
    (folder / "verdicts.json").write_text(json.dumps(verdicts_json(invariant, row)))


def make_call(number: int, operation: str, arguments: dict[str, Any], *, outcome: Outcome = Outcome.OK) -> Call:
    """Return a call of a run, all of whose calls overlap."""
    start_us = int(datetime(2026, 1, 17, 12, tzinfo=UTC).timestamp()) * 1_000_000
    return Call(
        operation_id=make_operation_id(start_us // 1000, Random(number)),
        operation=operation,
        arguments=arguments,
        client=number,
        intended_at_us=start_us + number,
        invoked_at_us=start_us + number,
        returned_at_us=start_us + 5_000,
        outcome=outcome,
        reply={},
    )


def sale(number: int, wallet_id: int, amount_minor: int, *, outcome: Outcome = Outcome.OK) -> Call:
    arguments = {"wallet_id": wallet_id, "terminal_id": 3, "amount_minor": amount_minor}
    return make_call(number, "sell", arguments, outcome=outcome)


def test_a_violated_row_leads_back_to_the_schedule_that_broke_it(integrity: Command, tmp_path: Path) -> None:
    calls = [
        sale(1, 41, 500),
        sale(2, 41, 700),
        sale(3, 7, 300),
        make_call(4, "request_funding", {"wallet_id": 7, "amount_minor": 500}),
    ]
    row = {"wallet_id": 41, "operation_ids": f"{calls[0].operation_id} {calls[1].operation_id}"}
    write_run(tmp_path, "lost_update", calls, "ghostpass/balance-equals-entries", row)
    code, out, _ = integrity("reproduce", "balance-equals-entries#1")
    assert code == 1
    assert "2 calls of the run touched it; 1 kind of pairs of them raced" in out
    assert f"taken at {verdicts_json('', {})['taken_at']}" in " ".join(out.split())
    assert "a race." in out
    assert "A = sell(wallet_id=wallets_1, terminal_id=terminals_1, amount_minor=500)" in out
    assert "schedule AB, 1 preemption" in out
    assert integrity("replay", FINDING)[0] == 1


def test_a_call_that_is_wrong_by_itself_is_told_from_a_race(integrity: Command, tmp_path: Path) -> None:
    calls = [sale(1, 41, 500), sale(2, 41, 1_020)]
    row = {"sale_id": 12, "wallet_id": 41, "operation_id": str(calls[1].operation_id)}
    write_run(tmp_path, "split_rounding", calls, "ghostpass/sale-equals-splits", row)
    code, out, _ = integrity("reproduce", "ghostpass/sale-equals-splits", "--json")
    document = json.loads(out)
    assert code == 1
    assert document["kind"] == "alone"
    assert document["finding"]["calls"]["A"]["arguments"]["amount_minor"] == 1_020
    assert document["finding"]["schedule"] == ""


def test_a_client_that_died_is_told_from_a_race(integrity: Command, tmp_path: Path) -> None:
    calls = [sale(1, 41, 500), sale(2, 41, 700, outcome=Outcome.UNKNOWN)]
    row = {"sale_id": 12, "wallet_id": 41, "operation_id": str(calls[1].operation_id)}
    write_run(tmp_path, "unlogged_sale", calls, "ghostpass/sale-is-logged", row)
    code, out, _ = integrity("reproduce", "sale-is-logged", "--json")
    document = json.loads(out)
    assert code == 1
    assert document["kind"] == "crash"
    assert document["crash"]["after"][-1] == "commit"
    assert document["crash"]["call"].startswith("sell(")


def test_what_nothing_brings_back_is_said_to_be_inconclusive(integrity: Command, tmp_path: Path) -> None:
    """The operation is sound: the row was broken by something else."""
    calls = [make_call(number, "scan_out", {"wallet_id": 41, "gateway_id": 1}) for number in (1, 2)]
    row = {"wallet_id": 41, "operation_ids": str(calls[0].operation_id)}
    write_run(tmp_path, "lost_update", calls, "ghostpass/balance-equals-entries", row)
    code, out, _ = integrity("reproduce", "balance-equals-entries")
    assert code == 3
    assert "Nothing brought it back" in out
    assert "raced: scan_out(wallet_id=wallets_1" in out


@pytest.mark.parametrize(
    ("violation", "place", "next_step"),
    [
        ("balance-equals-entries#9", "the audit kept 1 row of", "--limit-evidence"),
        ("balance-not-negative", "'balance-not-negative' was not violated", "ghostpass/balance-equals-entries"),
        ("balance-equals-entries#1", "no call in the run's history touched this row", "#2"),
    ],
)
def test_a_violation_that_cannot_be_reproduced_is_named(
    integrity: Command, tmp_path: Path, violation: str, place: str, next_step: str
) -> None:
    write_run(tmp_path, "lost_update", [sale(1, 7, 300)], "ghostpass/balance-equals-entries", {"wallet_id": 41})
    code, _, err = integrity("reproduce", violation)
    assert code == 2
    assert place in err
    assert next_step in err


def test_an_invariant_that_cannot_be_asked_about_a_race_is_named_with_the_reason(
    integrity: Command, tmp_path: Path
) -> None:
    file = tmp_path / "invariants" / "ghostpass" / "few-notes.sql"
    file.parent.mkdir(parents=True)
    file.write_text("-- title: there are few notes\nselect notes.key from integrity.notes where notes.key = 'many'\n")
    reason = "it asks integrity.notes, which a race does not have"
    code, out, _ = integrity("race", "ghostpass", "scan_out", "--preemptions", "0")
    assert (code, f"not asked: ghostpass/few-notes: {reason}\n" in out) == (0, True)
    code, out, _ = integrity("race", "ghostpass", "scan_out", "--preemptions", "0", "--json")
    assert json.loads(out)["left_out"] == [{"name": "ghostpass/few-notes", "reason": reason}]
