"""What a program asks for comes out as the commands have it."""

from pathlib import Path

import pytest

from integrity import Audit, AuditError, Race, Seed, Target, Verdict
from integrity.events import Event, InvariantJudged
from integrity.reference.ghostpass.system import GHOSTPASS
from integrity.seeds.load import Mode


def test_a_program_seeds_and_audits_and_is_told_on_the_way(tmp_path: Path) -> None:
    target = Target.parse(f"sqlite:///{tmp_path / 'venue.db'}")
    (seeded,) = Seed(GHOSTPASS, target, {"wallets": 20}, folder=tmp_path)()
    assert seeded.row_counts["wallets"] == 20
    told: list[Event] = []
    select = ("ghostpass/balance-*", "ghostpass/sale-*")
    report = Audit(target, GHOSTPASS, select, folder=tmp_path)(told.append)
    assert {judged.finding.verdict for judged in report.judged} == {Verdict.HOLDS}
    assert len(report.judged) == sum(isinstance(event, InvariantJudged) for event in told) > 1
    again = Seed(GHOSTPASS, target, {"wallets": 10}, mode=Mode.REPLACE, folder=tmp_path)()
    assert again[0].row_counts["wallets"] == 10


def test_what_cannot_be_done_is_an_error_with_a_hint(database: Target, tmp_path: Path) -> None:
    for wanted in (
        Seed(GHOSTPASS, database, {"walets": 1}, folder=tmp_path),
        Race(GHOSTPASS, database, ("sel",), folder=tmp_path),
        Audit(database, select=("nothing/*",), folder=tmp_path),
    ):
        with pytest.raises(AuditError) as refused:
            wanted()
        assert refused.value.hint
    assert not (tmp_path / ".integrity").exists()
