"""`integrity race`, `replay` and `reproduce` on SQLite: on a scratch file, and the one that is named stays as it is."""

import hashlib
import json
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from random import Random

import pytest

from integrity.engines.target import Target
from integrity.history import Call, Outcome, encode_invoked, encode_returned, make_operation_id
from integrity.invariants.load import load_invariants
from integrity.project import Project, Settings
from integrity.race.export.export import export_pytest
from integrity.race.finding.discovery import make_finding
from integrity.race.judge.contest import Ground, survey
from integrity.race.search.explore import Budget, explore
from integrity.race.trial.arena import Arena
from integrity.reference.ghostpass.system import GHOSTPASS
from tests.database.race_commands import Command, runs_commands
from tests.documents import make_settings, verdicts_json

URL = "sqlite:///venue.db"
OVERDRAW = ("race", "ghostpass", "sell", "sell", "--bug", "overdraw", "--database", URL)
FINDING = ".integrity/races/ghostpass-overdraw-sell-sell-sqlite.json"


@pytest.fixture
def integrity(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Iterator[Command]:
    """Run a command in an empty project; no scratch file may be left behind."""
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("TMPDIR", str(scratch))
    monkeypatch.setattr(tempfile, "tempdir", None)
    monkeypatch.delenv("INTEGRITY_DATABASE_URL", raising=False)

    yield runs_commands(capsys)
    assert list(scratch.glob("integrity-*")) == []


@pytest.fixture
def seeded(integrity: Command) -> Command:
    """The same beside a file that holds the system."""
    assert integrity("seed", "--system", "ghostpass", "--wallets", "20", "--database", URL)[0] == 0
    return integrity


def digest_files() -> dict[str, str]:
    """Return what is in the files of the database."""
    return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in sorted(Path().glob("venue*"))}


def test_a_race_is_found_explained_and_replayed_and_the_file_stays_as_it_was(seeded: Command) -> None:
    before = digest_files()
    assert len(before) == 3
    code, out, _ = seeded(*OVERDRAW)
    assert code == 1
    assert "race  ghostpass  SQLite  bug overdraw" in out
    assert "schedule AB, 1 preemption" in out
    assert "violated  ghostpass/balance-not-negative  1 row" in out
    assert "A before B: B read balance_minor 3000, not 1001" in out
    assert "stale check" in out
    assert out.endswith(f"replay: integrity replay {FINDING} --database {URL}\n")
    code, out, _ = seeded("replay", FINDING, "--times", "20", "--database", URL)
    assert code == 1
    assert "came back 20 of 20 times: ghostpass/balance-not-negative" in out
    assert digest_files() == before


def test_the_cures_that_are_tried_are_those_that_sqlite_has(integrity: Command) -> None:
    code, out, _ = integrity(*OVERDRAW, "--json")
    (finding,) = json.loads(out)["findings"]
    assert (code, finding["dialect"]) == (1, "sqlite")
    assert {(cure["kind"], cure["name"], cure["is_prevented"]) for cure in finding["cures"]} == {
        ("transaction", "all of sell in one transaction, begun immediate", True),
        ("constraint", "wallets.wallets_balance_not_negative", True),
        ("operation", "the sound sell", True),
    }


def test_a_race_that_the_lock_prevents_is_searched_to_the_bound_and_not_found(integrity: Command) -> None:
    code, out, _ = integrity("race", "ghostpass", "sell", "sell", "--bug", "lost_update", "--database", URL)
    assert code == 0
    assert "sound on SQLite: no schedule of 1 pair with at most 2 preemptions goes wrong" in out
    assert " lock waits" in out


def test_a_schedule_that_is_asked_for_is_played_and_shown(integrity: Command) -> None:
    arguments = ("race", "ghostpass", "sell", "sell", "--database", URL, "--schedule")
    code, out, _ = integrity(*arguments, "AB")
    assert code == 0
    assert "… waits for A" in out
    assert "B waited for A, then declined: insufficient_balance" in out
    code, _, err = integrity(*arguments, "ABB")
    assert code == 2
    assert "letter 3 is 'B', and B waits for a lock of A there" in err


def test_a_file_with_a_log_is_raced_with_one(seeded: Command) -> None:
    """A write-ahead log lets readers and the writer pass each other; who waits for whom follows the file that is named."""
    target = Target.parse(URL)
    with closing(target.connect_sqlite(["ghostpass"])) as connection:
        assert connection.execute("pragma ghostpass.journal_mode = wal").fetchone()[0] == "wal"
    with Arena(target, GHOSTPASS) as arena:
        assert arena.scheduler().engine.journal_mode == "wal"
    with Arena(Target.parse("sqlite:///other.db"), GHOSTPASS) as arena:
        assert arena.scheduler().engine.journal_mode == "delete"
    assert seeded(*OVERDRAW, "--schedule", "AB")[0] == 1


@pytest.mark.parametrize(
    ("arguments", "place", "next_step"),
    [
        (
            ("race", "ghostpass", "--isolation", "serializable", "--database", URL),
            "SQLite has a single level",
            "--isolation",
        ),
        (("race", "ghostpass", "sell", "--database", "sqlite:///nowhere/venue.db"), "no folder", "Name the file"),
    ],
)
def test_what_sqlite_does_not_have_is_said(
    integrity: Command, arguments: tuple[str, ...], place: str, next_step: str
) -> None:
    code, out, err = integrity(*arguments)
    assert (code, out) == (2, "")
    assert place in err
    assert next_step in err
    assert "Traceback" not in err


def test_a_finding_is_replayed_on_the_engine_that_it_was_made_on(integrity: Command) -> None:
    integrity(*OVERDRAW, "--schedule", "AB")
    code, _, err = integrity("replay", FINDING, "--database", "postgresql://nobody@localhost:1/none")
    assert code == 2
    assert "made on SQLite" in err
    assert "--database sqlite:///FILE" in err


def test_a_search_shared_by_processes_comes_to_the_same(integrity: Command) -> None:
    code, out, _ = integrity(*OVERDRAW, "--jobs", "2", "--json")
    assert code == 1
    assert json.loads(out)["findings"][0]["schedule"] == "AB"


def test_taking_a_transaction_apart_turns_the_search_red(integrity: Command) -> None:
    code, out, _ = integrity("race", "ghostpass", "scan_in", "--mutate", "--database", URL, "--json", "--budget", "60s")
    words = {each["protection"]: each["verdict"] for each in json.loads(out)["mutations"]}
    assert words["scan_in: its transaction"] == "needed"
    assert code == 3, "another protection is vacuous where scan_in only meets itself"
    assert not any("for update" in protection for protection in words), "SQLite has none"


# The exported test.


def run_pytest(file: Path) -> "subprocess.CompletedProcess[str]":
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "--rootdir", str(file.parent), str(file)]
    return subprocess.run(command, cwd=file.parent, capture_output=True, text=True, check=False, timeout=60)


CODE = '''

def stale(connection):
    """Check, then debit in another transaction."""
    (balance,) = connection.execute("select balance_minor from ghostpass.wallets where id = 1").fetchone()
    if balance < 1999:
        return
    connection.execute("update ghostpass.wallets set balance_minor = balance_minor - 1999 where id = 1")


def fixed(connection):
    """Check and debit in one transaction."""
    connection.execute("begin immediate")
    stale(connection)
    connection.commit()


def fixed_by_the_driver(connection):
    """The same in a transaction that the driver begins; it is refused, since it read before it wrote."""
    connection.isolation_level = "DEFERRED"
    connection.execute("update ghostpass.terminals set name = name where id = 1")
    stale(connection)
    connection.commit()


'''


def test_the_exported_test_needs_nothing_but_python_and_is_green_with_fixed_code_in_it(
    integrity: Command, tmp_path: Path
) -> None:
    file = tmp_path / "exported" / "test_overdraw.py"
    assert integrity(*OVERDRAW, "--schedule", "AB", "--pytest", str(file))[0] == 1
    text = file.read_text()
    assert "import integrity" not in text
    assert "psycopg" not in text
    for check in (["check"], ["format", "--check"]):
        ran = subprocess.run(
            [sys.executable, "-m", "ruff", *check, "--isolated", str(file)], capture_output=True, check=False
        )
        assert ran.returncode == 0, ran.stdout.decode()
    red = run_pytest(file)
    assert (red.returncode, "assert wrong == [], RULE" in red.stdout) == (1, True), red.stdout
    for code, outcome in (("stale", 1), ("fixed", 0), ("fixed_by_the_driver", 0)):
        file.write_text(text + CODE + f'CALLS = {{"A": {code}, "B": {code}}}\n')
        ran_code = run_pytest(file)
        assert ran_code.returncode == outcome, f"{code}: {ran_code.stdout}"


def test_a_race_that_only_serial_equivalence_sees_is_exported_with_the_rows_of_the_serial_orders(tmp_path: Path) -> None:
    bug = GHOSTPASS.bugs["overdraw"]
    file = tmp_path / "test_serial.py"
    with Arena(Target.parse(f"sqlite:///{tmp_path}/venue.db"), GHOSTPASS) as arena:
        contest = next(without_checks(arena).vary(bug.race, bug=bug))
        scheduler = arena.scheduler(contest.dropped)
        hit = explore(scheduler, contest.program(), budget=Budget(preemptions=1)).hits[0]
        finding = make_finding(scheduler, without_checks(arena), contest, hit, seed=0)
        export_pytest(arena, contest, finding, file, files=[], replay_command="")
    red = run_pytest(file)
    assert (red.returncode, "assert found in SERIAL_ORDERS, RULE" in red.stdout) == (1, True), red.stdout


def without_checks(arena: Arena) -> Ground:
    """Return the ground on which only serial equivalence speaks."""
    files = [file for file in load_invariants(Project(Path(), Settings())).values() if file.name.startswith("ghostpass/")]
    return replace(survey(arena.scheduler(), GHOSTPASS, files), checks=())


# Reproduce.


def test_a_violated_row_leads_back_to_the_schedule_that_broke_it(integrity: Command, tmp_path: Path) -> None:
    folder = tmp_path / ".integrity/runs/20260117-120000-ghostpass-hammer"
    folder.mkdir(parents=True)
    calls = [make_sale(number) for number in (1, 2)]
    row = {"wallet_id": 41, "operation_ids": " ".join(str(call.operation_id) for call in calls)}
    (folder / "settings.json").write_text(json.dumps(make_settings(bug="overdraw").to_json()))
    (folder / "history.jsonl").write_bytes(b"".join(encode_invoked(call) + encode_returned(call) for call in calls))
    (folder / "verdicts.json").write_text(json.dumps(verdicts_json("ghostpass/balance-not-negative", row)))
    code, out, _ = integrity("reproduce", "balance-not-negative", "--database", URL)
    assert code == 1
    assert "a race." in out
    assert "schedule AB, 1 preemption" in out
    assert out.rstrip().endswith(f"--database {URL}")


def make_sale(number: int) -> Call:
    start_us = int(datetime(2026, 1, 17, 12, tzinfo=UTC).timestamp()) * 1_000_000
    return Call(
        operation_id=make_operation_id(start_us // 1000, Random(number)),
        operation="sell",
        arguments={"wallet_id": 41, "terminal_id": 3, "amount_minor": 1_999},
        client=number,
        intended_at_us=start_us + number,
        invoked_at_us=start_us + number,
        returned_at_us=start_us + 5_000,
        outcome=Outcome.OK,
        reply={},
    )
