"""The seats of examples/seats, used as whoever copies its folder would: Python, and no model of the tables."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from integrity import Race, Target
from integrity.cli.main import main
from integrity.race.search.settings import RaceSettings

EXAMPLE = Path(__file__).parents[2] / "examples" / "seats"

Command = Callable[..., tuple[int, str]]


@pytest.fixture
def integrity(
    database: Target, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Iterator[Command]:
    """Run a command in a copy of the folder, its tables made by its own files; gives its code and what it printed."""
    shutil.copytree(EXAMPLE, tmp_path, dirs_exist_ok=True, ignore=shutil.ignore_patterns("__pycache__"))
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("INTEGRITY_DATABASE_URL", database.text)
    monkeypatch.setattr(sys, "path", [*sys.path])
    with database.connect() as connection:
        connection.execute(Path("schema.sql").read_bytes() + Path("data.sql").read_bytes())

    def run(*words: str) -> tuple[int, str]:
        with pytest.raises(SystemExit) as ended:
            main(list(words))
        captured = capsys.readouterr()
        assert "error of integrity's own" not in captured.err
        assert isinstance(ended.value.code, int)
        return ended.value.code, f"{captured.err}{captured.out}"

    yield run
    sys.modules.pop("seats", None)  # the next test's is another file


def test_both_bugs_are_raced_replayed_and_exported_and_their_sound_twins_are_silent(
    integrity: Command, tmp_path: Path
) -> None:
    for bug, operation, invariant in (("oversell", "buy", "no-event-oversold"), ("double_hold", "hold", "seat-held-once")):
        code, raced = integrity("race", "seats", operation, operation, "--bug", bug, "--pytest", f"test_{operation}.py")
        assert (code, f"violated  {invariant}" in raced) == (1, True)
        code, replayed = integrity("replay", f".integrity/races/seats-{bug}-{operation}-{operation}.json")
        assert (code, "came back 1 of 1 time" in replayed) == (1, True)
        environment = {**os.environ, "DATABASE_URL": os.environ["INTEGRITY_DATABASE_URL"]}
        command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", f"test_{operation}.py"]
        exported = subprocess.run(
            command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False, timeout=60
        )
        assert (exported.returncode, "1 failed" in exported.stdout) == (1, True), exported.stdout
        code, sound = integrity("race", "seats", operation, operation, "--json")
        (group,) = json.loads(sound[sound.index("{") :])["groups"]
        assert (code, group["verdict"]) == (0, "holds")


def test_what_a_run_breaks_is_found_and_brought_back(integrity: Command, database: Target) -> None:
    assert integrity("validate")[0] == 0
    assert integrity("health", "--system", "seats")[0] == 0
    declared = ("--yes-this-is-a-test-database", str(database.url.database))
    integrity("run", "hammer", "--bug", "double_hold", "--duration", "2s", *declared)
    code, judged = integrity("validate")
    assert (code, "violated  seat-held-once" in judged) == (1, True)
    code, brought = integrity("reproduce", "seat-held-once")
    assert (code, "schedule AB" in brought) == (1, True)


def test_its_protections_are_needed(integrity: Command) -> None:
    code, told = integrity("race", "seats", "buy", "--mutate")
    assert (code, "buy: for update\n  needed" in told) == (0, True)


def test_several_processes_race_a_system_that_a_program_passed(
    integrity: Command, database: Target, tmp_path: Path
) -> None:
    sys.path.insert(0, str(tmp_path))
    from seats import SEATS  # type: ignore[import-not-found]

    raced = Race(SEATS, database, ("hold",), bug="double_hold", settings=RaceSettings(jobs=2), folder=tmp_path)()

    assert raced.exit_code == 1
