"""The most seen outputs, whole: a change of a word in them is a change that somebody reads (recorded_text.py)."""

import os
from collections.abc import Iterable
from itertools import takewhile
from pathlib import Path

import psycopg
import pytest

from integrity.engines.target import Target
from tests.snapshots.conftest import Run
from tests.snapshots.recorded_text import assert_recorded, normalize, without_figures

pytestmark = pytest.mark.usefixtures("no_columns")

WITHOUT_A_DATABASE = {
    "no-command": "sed",
    "no-option": "run hammer --bgu lost_update",
    "no-system": "seed --system ghostpas",
    "no-profile": "run peek",
    "no-bug": "run hammer --bug double_spend",
    "no-invariant": "explain ghostpass/balance-equals-entrys",
    "no-pattern": "validate --select ghostpass/ballance-*",
    "no-operation": "race ghostpass sel",
    "no-fault": "faults lost_comit_ack",
    "no-number": "run smoke --rate inf",
    "no-duration": "run hammer --duration soon",
    "no-url": "validate --database shop",
    "no-server": "validate --database postgresql://app:hunter2@127.0.0.1:1/shop",
    "not-running": "db status",
    "explain": "explain ghostpass/balance-equals-entries",
    "fault": "faults lost_commit_ack",
    "plan-of-a-suite": "suite quick --plan --system inbox",
}


def _transcript(run: Run, lines: Iterable[str], folder: Path) -> str:
    """Return what a reader of a terminal has of these commands, stdout before stderr, with their exit codes."""
    told = []
    for line in lines:
        code, out, err = run(*line.split())
        told.append(f"$ integrity {line}\n{out}{err}exit code {code}\n")
    return normalize("\n".join(told), folder=folder)


@pytest.mark.parametrize(("name", "line"), WITHOUT_A_DATABASE.items(), ids=list(WITHOUT_A_DATABASE))
def test_a_command_without_a_database_says_what_it_always_said(run_here: Run, name: str, line: str, tmp_path: Path) -> None:
    assert_recorded(name, _transcript(run_here, [line], tmp_path))


def test_an_error_of_ours_says_what_it_always_said(run_here: Run, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def fail(*_: object, **__: object) -> None:
        raise psycopg.OperationalError("the connection is lost")

    monkeypatch.setattr("integrity.invariants.load.load_invariants", fail)
    text = _transcript(run_here, ["list"], tmp_path).replace(f"-{os.getpid()}-", "-PID-")
    assert_recorded("error-of-ours", text)


@pytest.fixture
def on_database(run_here: Run, database: Target, monkeypatch: pytest.MonkeyPatch) -> Run:
    monkeypatch.setenv("INTEGRITY_DATABASE_URL", database.text)
    return run_here


def test_a_database_of_others_is_refused_in_the_words_of_old(on_database: Run, database: Target, tmp_path: Path) -> None:
    with database.connect() as connection:
        connection.execute("create table public.orders (id bigint); create table public.customers (id bigint)")
    lines = ["seed --system ghostpass", "rollback --dry-run"]
    assert_recorded("foreign-database", _transcript(on_database, lines, tmp_path))


def test_an_empty_database_is_told_in_the_words_of_old(on_database: Run, tmp_path: Path) -> None:
    lines = ["validate", "run hammer --seed 1", "rollback --yes"]
    assert_recorded("empty-database", _transcript(on_database, lines, tmp_path))


def test_a_missing_database_is_told_in_the_words_of_old(
    on_database: Run, database: Target, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("INTEGRITY_DATABASE_URL", Target(database.url.set(database="no_such_database")).text)
    text = _transcript(on_database, ["validate", "seed --system ghostpass"], tmp_path)
    server = str(database.url.query["host"])
    assert_recorded("missing-database", text.replace(server, "SOCKET"))


def test_a_world_is_made_hammered_and_removed_in_the_words_of_old(on_database: Run, tmp_path: Path) -> None:
    """Seed and health are exact; of the run, its first line and its sentence; what it made is counted in neither."""
    (tmp_path / "integrity.toml").write_text("[profiles.ghostpass.hammer]\nthresholds = []\n")  # a busy machine misses them
    made = _transcript(on_database, ["seed --system ghostpass --wallets 20", "health --system ghostpass"], tmp_path)
    assert_recorded("seed-and-health", without_figures(made))
    code, out, err = on_database("run", "hammer", "--duration", "1s", "--clients", "2", "--seed", "7")
    ending = out.strip().rpartition("\n\n")[2]
    headline = "\n".join([err.splitlines()[0], *takewhile(lambda line: line.startswith("  "), err.splitlines()[1:])])
    assert_recorded("run", without_figures(normalize(f"{headline}\n{ending}\n{code}", folder=tmp_path)))
    removed = _transcript(on_database, ["rollback --dry-run", "rollback", "rollback --yes"], tmp_path)
    assert_recorded("rollback", without_figures(removed))


def test_a_race_is_told_in_the_words_of_old(run_here: Run, seeded: Target, tmp_path: Path) -> None:
    line = f"race ghostpass sell sell --bug overdraw --database {seeded.text}"
    assert_recorded("race", _transcript(run_here, [line], tmp_path))
