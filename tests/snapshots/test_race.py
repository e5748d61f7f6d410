"""What `race` prints, whole: wrong rows, a deadlock, a call that dies, answers told apart, a sound pair."""

import re
from collections.abc import Callable
from pathlib import Path

import pytest

from integrity.cli.main import main
from integrity.engines.target import Target
from tests.snapshots.kiosk import STOCK_PLUS_SOLD
from tests.snapshots.recorded_text import assert_recorded, normalize

pytestmark = pytest.mark.usefixtures("no_columns")

SPREAD_KEY = re.compile(r"\b[1-9]\d{6}\b")  # scratch tables number their rows from a million of their own on

Race = Callable[..., tuple[int, str]]

MESSAGES = {
    "race-wrong-rows": ("sell", "sell"),
    "race-deadlock": ("move", "move_back"),
    "race-failing-call": ("label", "label"),
    "race-answers-apart": ("print_label", "print_label"),
    "race-strict-replies": ("print_label", "print_label", "--strict-replies"),
    "race-sound": ("take", "take"),
}
ENDS = {"race-answers-apart": 0, "race-sound": 0}


@pytest.fixture
def race(database: Target, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Race:
    """Race operations of the kiosk in a project that has its invariant; gives exit code and stdout."""
    folder = tmp_path / "invariants" / "kiosk"
    folder.mkdir(parents=True)
    (folder / "stock-and-sold-make-ten.sql").write_text(STOCK_PLUS_SOLD)
    (tmp_path / "integrity.toml").write_text('[systems]\nkiosk = "tests.snapshots.kiosk:KIOSK"\n')
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("INTEGRITY_DATABASE_URL", database.text)

    def run(*operations: str) -> tuple[int, str]:
        with pytest.raises(SystemExit) as ended:
            main(["race", "kiosk", *operations])
        captured = capsys.readouterr()
        assert captured.err.startswith("databases of races (integrity_tmp_race_...) are made beside this one")
        assert captured.err.count("\n") == 1
        assert isinstance(ended.value.code, int)
        return ended.value.code, captured.out

    return run


@pytest.mark.parametrize(("message", "operations"), MESSAGES.items(), ids=MESSAGES)
def test_a_message_is_as_it_was_looked_at(race: Race, message: str, operations: tuple[str, ...], tmp_path: Path) -> None:
    code, out = race(*operations)
    assert_recorded(message, SPREAD_KEY.sub("KEY    ", normalize(out, folder=tmp_path)))
    assert code == ENDS.get(message, 1)
