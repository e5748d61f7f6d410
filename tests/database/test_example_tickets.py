"""The example of a whole project in Python, examples/tickets, used as by a user: a copy of it, commands, a server."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from integrity.engines.target import Target

PROJECT = Path(__file__).parents[2] / "examples" / "tickets"
INVARIANTS = [
    "shop/money-is-for-tickets",
    "tickets/acknowledged-call-is-stored",
    "tickets/call-at-most-once",
    "tickets/failed-call-left-nothing",
    "tickets/not-oversold",
    "tickets/sold-equals-orders",
]

Ran = subprocess.CompletedProcess[str]
Run = Callable[..., Ran]


@pytest.fixture
def run(tmp_path: Path, database: Target) -> Run:
    """Run a Python module in a copy of the project's folder, with what is installed and nothing of these tests."""
    folder = tmp_path / "tickets"
    shutil.copytree(PROJECT, folder, ignore=shutil.ignore_patterns("__pycache__", ".*"))
    kept = {key: value for key, value in os.environ.items() if not key.startswith(("INTEGRITY_", "PYTHON", "PYTEST"))}
    environment = {**kept, "INTEGRITY_DATABASE_URL": database.text, "DATABASE_URL": database.text}

    def in_folder(module: str, *words: str) -> Ran:
        command = [sys.executable, "-P", "-m", module, *words]
        return subprocess.run(
            command, cwd=folder, env=environment, capture_output=True, text=True, check=False, timeout=200
        )

    return in_folder


def verdicts(audited: Ran) -> dict[str, str]:
    return {each["name"]: each["verdict"] for each in json.loads(audited.stdout)["invariants"]}


def test_from_an_empty_database_to_a_finding_that_is_brought_back(run: Run) -> None:
    seeded = run("integrity", "seed", "--size", "shows=20")
    assert (seeded.returncode, seeded.stderr.splitlines()[-1]) == (0, "Next: integrity run smoke --system tickets")
    assert run("integrity", "run", "smoke", "--duration", "2s", "--system", "tickets").returncode == 0
    sound = run("integrity", "validate", "--json")
    assert (sound.returncode, verdicts(sound)) == (0, dict.fromkeys(INVARIANTS, "holds"))
    assert run("integrity", "run", "hammer", "--bug", "forgotten_refund", "--duration", "2s").returncode == 0
    wrong = run("integrity", "validate", "--json")
    violated = {name for name, verdict in verdicts(wrong).items() if verdict == "violated"}
    assert (wrong.returncode, violated) == (1, {"shop/money-is-for-tickets", "tickets/acknowledged-call-is-stored"})
    reproduced = run("integrity", "reproduce", "shop/money-is-for-tickets")
    assert reproduced.returncode == 1, reproduced.stderr
    assert "replay: integrity replay .integrity/races/tickets-forgotten_refund-give_back" in reproduced.stdout


def test_its_race_is_found_and_kept_and_the_sound_twin_is_silent(run: Run) -> None:
    assert run("integrity", "race", "buy", "buy").returncode == 0
    raced = run("integrity", "race", "buy", "buy", "--bug", "oversold", "--pytest", "test_buy.py", "--output", "buy.json")
    assert raced.returncode == 1, raced.stderr
    assert "violated  tickets/sold-equals-orders" in raced.stdout
    assert "No order gives this: lost update" in raced.stdout
    assert run("integrity", "replay", "buy.json").returncode == 1
    exported = run("pytest", "-q", "-p", "no:cacheprovider", "test_buy.py")
    assert (exported.returncode, "1 failed" in exported.stdout) == (1, True), exported.stdout


def test_what_protects_it_is_needed(run: Run) -> None:
    mutated = run("integrity", "race", "tickets", "--mutate", "--json")
    told = {each["protection"]: each["verdict"] for each in json.loads(mutated.stdout)["mutations"]}
    assert told["give_back: status = 'paid'"] == "needed"
    assert told["buy: sold_count + :count <= seat_count"] == "redundant"  # the table refuses it, too
    assert told["shows: shows_not_oversold"] == "redundant"


def test_hypothesis_finds_nothing_wrong_with_its_sequences(run: Run) -> None:
    played = run("pytest", "-q", "-p", "no:cacheprovider", "test_tickets.py")
    assert (played.returncode, "1 passed" in played.stdout) == (0, True), played.stdout
