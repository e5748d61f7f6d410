"""Every result and error fits its screen, from 60 to 200 columns: wider are only words that cannot be broken, and SQL.

What searches is bounded: of a race or a suite the text counts here, and the same listeners write it however long it takes.
"""

import shutil
from pathlib import Path

import pytest

from integrity.cli.main import main
from integrity.engines.target import Target
from integrity.report.layout import WIDTH

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
    "health --after",
    "monitor --duration 1s",
    "validate",
    "validate --plan",
    "queries list",
    "queries run",
    "queries ask account-by-id --set id=1",
    "faults",
    "faults lost_commit_ack",
    "race withdraw withdraw",
    "race transfer transfer --schedules 1",
    "race withdraw_locked withdraw_locked --mutate --schedules 1",
    "replay .integrity/races/bank-withdraw-withdraw.json --show",
    "snapshot {declared} named-as-long-as-one-may-be-30",
    "snapshot --list",
    "restore {declared} --yes named-as-long-as-one-may-be-30",
    "snapshot --drop named-as-long-as-one-may-be-30",
    "snapshot --drop named-as-long-as-one-may-be-30",
    "stop",
    "db url",
    "db status",
    "suite quick --plan {declared}",
    "seed --schema public --rows accounts=3 {declared}",
)
FILLED = (
    "seed --schema public --rows accounts=3 {declared}",
    "validate",
    "seed --schema public --rows accounts=3 {declared}",
    "run smoke --duration 1s {declared}",
    "rollback --dry-run",
    "rollback --yes",
    "rollback --yes",
)
REFERENCE = (
    "seed --system ghostpass --wallets 50",
    "run hammer --system ghostpass --bug double_credit --duration 1s --seed 1",
    "validate --system ghostpass",
    "validate --system ghostpass --plan",
    "",
    "list --system ghostpass",
    "explain ghostpass/balance-equals-entries",
    "queries list",
    "queries run --system ghostpass --explain",
    "health",
    "suite quick --system ghostpass --plan",
    "reproduce ghostpass/funding-credited-once --budget 0.1s",
    "rollback --dry-run",
    "rollback --yes",
    "rollback --yes",
)


@pytest.fixture
def project(database: Target, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    shutil.copytree(EXAMPLE, tmp_path, dirs_exist_ok=True)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("INTEGRITY_DATABASE_URL", database.text)
    return tmp_path


@pytest.fixture(params=[60, 80, 120, 200])
def width(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> int:
    """How wide the screen is; 80 is what there is where nobody says it."""
    columns: int = request.param
    if columns == WIDTH:
        monkeypatch.delenv("COLUMNS")
    else:
        monkeypatch.setenv("COLUMNS", str(columns))
    return columns


def wide_lines(
    commands: tuple[str, ...], capsys: pytest.CaptureFixture[str], width: int, declared: str = ""
) -> dict[str, list[str]]:
    """Return command -> what it printed that is wider than a screen and has a blank to be broken at.

    Args:
        declared: the database's name, which the commands that write there repeat.
    """
    found: dict[str, list[str]] = {}
    for command in commands:
        with pytest.raises(SystemExit):
            main(command.format(declared=f"--yes-this-is-a-test-database {declared}").split())
        captured = capsys.readouterr()
        shown = captured.err + captured.out.partition("\nselect" if command.startswith("explain") else "\0")[0]
        if wide := [
            line for line in shown.splitlines() if len(line) > width and " " in line.strip().removeprefix("file: ")
        ]:
            found[command] = wide
    return found


def test_results_of_an_own_project_fit_a_screen(
    project: Path, database: Target, capsys: pytest.CaptureFixture[str], width: int
) -> None:
    for script, commands in (("schema.sql", FILLED), ("data.sql", OWN)):
        with database.connect() as connection:
            connection.execute((project / script).read_text(encoding="utf-8"))
        assert wide_lines(commands, capsys, width, str(database.url.database)) == {}


def test_results_of_a_reference_system_fit_a_screen(project: Path, capsys: pytest.CaptureFixture[str], width: int) -> None:
    assert wide_lines(REFERENCE, capsys, width) == {}
