"""A stranger's system: every command takes it, on both engines. Its tables are in `public`, and its project alone names it.

The project is that of docs/your-own-system.md: tests/own_system, as a user would have it in a folder.
"""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from integrity.cli.main import main
from integrity.engines.target import Target
from tests.database.served import serving

PROJECT = Path(__file__).parents[1] / "own_system"
INVARIANTS = [
    "bank/acknowledged-call-is-stored",
    "bank/balance-equals-movements",
    "bank/call-at-most-once",
    "bank/failed-call-left-nothing",
    "money/no-balance-below-zero",
]
BUG = ("--bug", "lost_update")

Command = Callable[..., tuple[int, str]]


@pytest.fixture(params=["postgresql", "sqlite"])
def integrity(
    request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Iterator[Command]:
    """Run a command in a copy of the project, on an empty database of each engine; gives its code and what it printed."""
    shutil.copytree(PROJECT, tmp_path, dirs_exist_ok=True, ignore=shutil.ignore_patterns("__pycache__"))
    sqlite = f"sqlite:///{tmp_path / 'bank.db'}"
    url = request.getfixturevalue("database").text if request.param == "postgresql" else sqlite
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("INTEGRITY_DATABASE_URL", url)
    monkeypatch.setattr(sys, "path", [*sys.path])

    def run(*words: str) -> tuple[int, str]:
        with pytest.raises(SystemExit) as ended:
            main(list(words))
        captured = capsys.readouterr()
        assert "error of integrity's own" not in captured.err
        assert isinstance(ended.value.code, int)
        return ended.value.code, captured.out or captured.err

    yield run
    sys.modules.pop("bank", None)  # the next test's is another file


def test_it_is_listed_seeded_judged_and_asked(integrity: Command) -> None:
    _, listed = integrity("list", "--system", "bank", "--json")
    assert [each["name"] for each in json.loads(listed)["invariants"]] == INVARIANTS
    code, seeded = integrity("seed", "--size", "accounts=40", "--json")
    assert (code, json.loads(seeded)["systems"][0]["rows"]) == (0, {"accounts": 40, "movements": 40})
    assert integrity("health", "--system", "bank")[0] == 0
    code, judged = integrity("validate", "--format", "json")
    verdicts = {each["name"]: each["verdict"] for each in json.loads(judged)["invariants"]}
    assert (code, verdicts) == (0, dict.fromkeys(INVARIANTS, "holds"))
    assert integrity("validate", "--system", "bank")[0] == 0
    assert integrity("queries", "run", "--system", "bank")[0] == 0
    assert integrity("monitor", "--duration", "1s", "--process", f"tests={os.getpid()}")[0] == 0


def test_it_is_served_over_http(integrity: Command, tmp_path: Path) -> None:
    integrity("seed", "--size", "accounts=4")
    with serving(Target.parse(os.environ["INTEGRITY_DATABASE_URL"]), tmp_path, "bank") as server:
        status, _, said = server.ask("POST", "/accounts/1/deposits", {}, b'{"amount_minor": 100}')
        assert (status, json.loads(said).keys()) == (201, {"balance_minor"})
        status, _, said = server.ask("POST", "/accounts/1/withdrawals", {}, b'{"amount_minor": 900000000}')
        assert (status, json.loads(said)) == (402, {"outcome": "declined", "reason": "insufficient_balance"})
    assert integrity("validate", "--system", "bank")[0] == 0


def test_where_effects_stand_is_said_once_and_what_is_said_wrongly_is_one_unknown(integrity: Command) -> None:
    integrity("seed", "--size", "accounts=4")
    declared = Path("invariants/bank/effects.toml")
    code, shown = integrity("explain", "bank/call-at-most-once")
    assert (code, str(declared) in shown, "    from movements\n" in shown) == (0, True, True)
    text = declared.read_text()
    declared.write_text(f"{text}where = \"movements.kind = 'paid'\"\n")
    code, told = integrity("validate", "--select", "bank/call-at-most-once")
    assert (code, f"{declared}:" in told, "movements.kind" in told) == (3, True, True)
    declared.write_text(f"{text}where = 5\n")
    code, told = integrity("validate")
    assert (code, told.splitlines()[-1]) == (3, "1 of 3 invariants unknown: bank/effects.toml.")
    assert f"{declared}:8: where of the effect in 'movements': '5' is neither a text nor a list of texts" in told


def test_what_a_run_breaks_is_found_and_brought_back(integrity: Command) -> None:
    integrity("seed", "--size", "accounts=4")
    run = ("run", "hammer", "--system", "bank", "--bug", "forgotten_movement", "--duration", "2s")
    assert integrity(*run)[0] == 0
    (settings,) = Path(".integrity/runs").glob("*/settings.json")
    assert json.loads(settings.read_bytes())["reference"] == "bank:BANK"
    code, judged = integrity("validate", "--json")
    violated = [each["name"] for each in json.loads(judged)["invariants"] if each["verdict"] == "violated"]
    assert (code, violated) == (1, INVARIANTS[:2])
    code, told = integrity("reproduce", "bank/balance-equals-movements")
    assert code == 1
    assert "replay: integrity replay .integrity/races/bank-forgotten_movement-deposit" in told
    assert integrity("health", "--system", "bank", "--after")[0] == 0
    code, told = integrity()
    assert (code, "hammer of bank with the bug forgotten_movement, ended, shortened: 2 s of" in told) == (0, True)
    assert "  2 of 5 invariants violated: bank/acknowledged-call-is-stored, bank/balance-equals-movements.\n" in told
    assert "  integrity replay .integrity/races/bank-forgotten_movement-deposit" in told


def test_a_race_is_found_replayed_and_exported_and_the_sound_one_is_silent(integrity: Command, tmp_path: Path) -> None:
    assert integrity("race", "bank", "withdraw", "deposit", "--preemptions", "1")[0] == 0
    code, raced = integrity("race", "bank", "withdraw", *BUG, "--pytest", "test_bank.py", "--output", "race.json")
    assert code == 1
    assert "violated  bank/balance-equals-movements" in raced
    assert json.loads((tmp_path / "race.json").read_bytes())["reference"] == "bank:BANK"
    assert integrity("replay", "race.json", "--times", "3")[0] == 1
    environment = {**os.environ, "DATABASE_URL": os.environ["INTEGRITY_DATABASE_URL"]}
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "test_bank.py"]
    exported = subprocess.run(
        command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False, timeout=60
    )
    assert (exported.returncode, "1 failed" in exported.stdout) == (1, True), exported.stdout


def test_a_sound_race_names_the_levels_at_which_its_calls_ran(integrity: Command, request: pytest.FixtureRequest) -> None:
    module = Path("bank.py")
    text = module.read_text()
    looked = """    yield Begin()
    rows: Rows = yield Statement(
        "select balance_minor"""
    assert looked in text
    at_level = looked.replace("Begin()", "Begin(Isolation.REPEATABLE_READ)")
    module.write_text(text.replace(looked, at_level).replace("    Declined,\n", "    Declined,\n    Isolation,\n", 1))
    code, told = integrity("race", "withdraw", "withdraw", "--schedules", "40")
    mixed_code, mixed = integrity("race", "deposit", "withdraw", "--schedules", "40")
    levels = ("at repeatable read: ", "at read committed and repeatable read: ")
    is_postgresql = request.node.callspec.params["integrity"] == "postgresql"
    assert (code, mixed_code) == (0, 0)
    for level, said in zip(levels if is_postgresql else ("on SQLite: ", "on SQLite: "), (told, mixed), strict=True):
        assert f"sound {level}no schedule of 1 pair" in " ".join(said.split())


def test_what_it_is_protected_by_is_needed(integrity: Command) -> None:
    code, told = integrity("race", "bank", "withdraw", "--mutate")
    assert code == 0
    assert "needed" in told


def test_processes_that_share_a_race_find_it_by_its_reference(integrity: Command) -> None:
    code, told = integrity("race", "bank", "--jobs", "2", *BUG, "--json")
    assert (code, json.loads(told)["system"]) == (1, "bank")


def test_it_is_kept_put_back_and_removed(integrity: Command) -> None:
    integrity("seed", "--size", "accounts=3")
    assert integrity("snapshot", "three")[0] == 0
    integrity("seed", "--append", "--size", "accounts=2")
    assert integrity("restore", "three", "--yes")[0] == 0
    _, judged = integrity("queries", "ask", "bank/account-statement", "--set", "account_id=4")
    assert "(0 rows" in judged or "no rows" in judged
    assert integrity("rollback", "--yes")[0] == 0
    code, told = integrity("health", "--system", "bank")
    assert (code, "seed --system bank" in told) == (3, True)


def test_a_suite_plays_its_shared_profiles_and_judges_after_each(integrity: Command) -> None:
    integrity("seed", "--size", "accounts=20")
    with Path("integrity.toml").open("a") as settings:
        settings.write('[suites.short]\ntitle = "short"\nsteps = [{ profile = "smoke", duration_s = 1 }]\n')
    code, told = integrity("suite", "short", "--system", "bank", "--json")
    (step,) = json.loads(told)["steps"]
    assert (code, step["system"], step["audit"]) == (0, "bank", "All 5 invariants hold.")
