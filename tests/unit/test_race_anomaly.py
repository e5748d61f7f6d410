"""Each anomaly is named by what was read otherwise and what was changed; a phantom only where rows were looked for."""

from pathlib import Path

import pytest

from integrity.race.judge.anomaly import Anomaly, AnomalyKind, Difference, name_anomaly

FEWER, MORE = AnomalyKind.FEWER, AnomalyKind.MORE
ROW, OTHER = frozenset({"row"}), frozenset({"other"})
NONE: frozenset[str] = frozenset()


def read(actor: str, kind: AnomalyKind, *, is_insert: bool = False, is_write: bool = False) -> list[Difference]:
    """What one serial order shows: this call, first, in this way."""
    return [Difference(actor, 0, "", kind, is_insert, is_write)]


@pytest.mark.parametrize(
    ("orders", "changed", "name"),
    [
        ([read("B", AnomalyKind.VALUE), read("A", AnomalyKind.VALUE)], (ROW, ROW), Anomaly.LOST_UPDATE),
        ([read("B", AnomalyKind.VALUE), read("A", AnomalyKind.VALUE)], (ROW, OTHER), Anomaly.WRITE_SKEW),
        ([read("B", AnomalyKind.VALUE), read("B", AnomalyKind.VALUE)], (ROW, OTHER), Anomaly.READ_SKEW),
        ([read("B", AnomalyKind.VALUE), read("A", AnomalyKind.VALUE)], (NONE, NONE), Anomaly.PHANTOM),
        ([read("B", FEWER), read("A", FEWER)], (NONE, NONE), Anomaly.PHANTOM),
        ([read("B", AnomalyKind.OTHERWISE, is_insert=True), read("A", AnomalyKind.OTHERWISE)], (ROW, ROW), Anomaly.PHANTOM),
        ([read("B", MORE), read("A", MORE)], (ROW, ROW), Anomaly.LOST_PRECONDITION),
        ([read("B", FEWER, is_write=True), read("A", FEWER, is_write=True)], (ROW, ROW), Anomaly.LOST_PRECONDITION),
        ([read("B", FEWER, is_write=True), read("A", FEWER)], (ROW, OTHER), Anomaly.PHANTOM),
        ([[], []], (ROW, ROW), Anomaly.CYCLE),
    ],
)  # fmt: skip
def test_two_calls_go_wrong_by_name(
    orders: list[list[Difference]], changed: tuple[frozenset[str], frozenset[str]], name: Anomaly
) -> None:
    assert name_anomaly(orders, count=2, changed=changed) is name


def test_three_calls_go_wrong_in_a_cycle() -> None:
    assert name_anomaly([read("B", FEWER)], count=3, changed=()) is Anomaly.CYCLE


def test_every_name_stands_in_the_documents_with_its_code() -> None:
    table = (Path(__file__).parents[2] / "docs" / "races.md").read_text(encoding="utf-8")
    rows = {tuple(cell.strip() for cell in line.split("|")[1:3]) for line in table.splitlines() if line.startswith("|")}
    named = {(anomaly.words.partition(":")[0], anomaly.code) for anomaly in Anomaly}
    assert named <= rows
