"""Every result fits an 80-column screen: no line is wider, but for a word that cannot be broken and SQL as it stands."""

import shutil
from pathlib import Path

import pytest

from integrity.cli.main import invoke
from integrity.engines.target import Target

EXAMPLE = Path(__file__).parents[2] / "examples" / "bank"
OWN = (
    "",
    "list",
    "list --all",
    "explain balance-equals-movements",
    "init other",
    "new invariant --from",
    "new invariant --from no-negative-balance --table accounts",
    "new operation pay --table accounts",
    "new query account-by-id --table accounts",
    "health",
    "health --after",
    "monitor --duration 1s",
    "validate",
    "validate --plan",
    "queries list",
    "queries run",
    "queries ask account-by-id --set id=1",
    "faults",
    "faults lost_commit_ack",
    "snapshot --list",
    "rollback --dry-run",
    "race withdraw withdraw",
    "race transfer transfer",
    "race withdraw withdraw --schedule ABAB",
    "replay .integrity/races/bank-withdraw-withdraw.json --show",
)
REFERENCE = (
    "seed --system ghostpass --wallets 50",
    "run hammer --system ghostpass --bug double_credit --duration 2s --seed 1",
    "validate --system ghostpass",
    "validate --system ghostpass --plan",
    "",
    "list --system ghostpass",
    "explain ghostpass/balance-equals-entries",
    "queries list",
    "queries run --system ghostpass --explain",
    "health",
    "suite quick --system ghostpass --plan",
    "race ghostpass sell sell --bug lost_update",
    "rollback --dry-run",
    "rollback --yes",
    "rollback --yes",
)


@pytest.fixture
def project(database: Target, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    shutil.copytree(EXAMPLE, tmp_path, dirs_exist_ok=True)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("INTEGRITY_DATABASE_URL", database.text)
    monkeypatch.delenv("COLUMNS")
    return tmp_path


def wide_lines(commands: tuple[str, ...], capsys: pytest.CaptureFixture[str]) -> dict[str, list[str]]:
    """Return command -> what it printed that is wider than a screen and has a blank to be broken at."""
    found: dict[str, list[str]] = {}
    for command in commands:
        invoke(command.split())
        shown = capsys.readouterr().out.partition("\nselect" if command.startswith("explain") else "\0")[0]
        if wide := [line for line in shown.splitlines() if len(line) > 80 and " " in line.strip().removeprefix("file: ")]:
            found[command] = wide
    return found


def test_results_of_an_own_project_fit_a_screen(
    project: Path, database: Target, capsys: pytest.CaptureFixture[str]
) -> None:
    with database.connect() as connection:
        for name in ("schema.sql", "data.sql"):
            connection.execute((project / name).read_text(encoding="utf-8"))
    assert wide_lines(OWN, capsys) == {}


def test_results_of_a_reference_system_fit_a_screen(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert wide_lines(REFERENCE, capsys) == {}
