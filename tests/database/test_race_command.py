"""`integrity race` and `replay` on a real server: what they find, print and write."""

import json
import os
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from integrity.engines.target import Target
from integrity.invariants.load import load_invariants
from integrity.operation import Statement, Steps
from integrity.project import Project, Settings
from integrity.race.export.export import export_pytest
from integrity.race.finding.discovery import make_finding
from integrity.race.judge.contest import survey
from integrity.race.search.explore import Budget, explore
from integrity.race.trial.arena import Arena
from integrity.reference.ghostpass.system import GHOSTPASS
from integrity.registry import Registry
from tests.database.race_commands import Command, run_beside

LOST_UPDATE = ("race", "ghostpass", "sell", "sell", "--bug", "lost_update")
FINDING = ".integrity/races/ghostpass-lost_update-sell-sell.json"


@pytest.fixture
def integrity(
    database: Target, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Iterator[Command]:
    yield from run_beside(database, tmp_path, monkeypatch, capsys)


def test_a_race_is_found_explained_and_comes_back_each_time_it_is_replayed(integrity: Command) -> None:
    code, out, _ = integrity(*LOST_UPDATE)
    assert code == 1
    assert "schedule AB, 1 preemption" in out
    assert "violated  ghostpass/balance-equals-entries  1 row" in out
    assert "A before B: B read balance_minor 3000, not 1001" in out
    told = " ".join(out.split())
    for_all = r"prevented for all \d choices of arguments tried"
    assert re.search(f"isolation level repeatable read: {for_all}: A was refused with 40001", told)
    assert re.search(f"for update: {for_all}: B waited for A, then declined: insufficient_balance", told)
    assert out.endswith(f"replay: integrity replay {FINDING}\n")
    code, out, _ = integrity("replay", FINDING, "--times", "20")
    assert code == 1
    assert "came back 20 of 20 times: ghostpass/balance-equals-entries" in out


@pytest.mark.exhaustive
def test_what_went_wrong_before_is_tried_first(integrity: Command) -> None:
    """A finding that is kept is the next search's first schedule; one that cannot be read is passed over."""
    _, out, _ = integrity(*LOST_UPDATE, "--json")
    (found,) = json.loads(out)["findings"]
    Path(".integrity/races/of-another-version.json").write_text('{"format": 0}')
    code, out, _ = integrity(*LOST_UPDATE, "--json")
    (again,) = json.loads(out)["findings"]
    assert code == 1
    assert (found["schedules_played"] > 1, again["schedules_played"]) == (True, 1)
    assert again["schedule"] == found["schedule"]


@pytest.mark.exhaustive
def test_a_kept_schedule_that_no_longer_fits_does_not_stop_a_search(integrity: Command) -> None:
    integrity(*LOST_UPDATE)
    file = Path(FINDING)
    file.write_text(json.dumps(json.loads(file.read_text()) | {"letters": "B" * 60}))
    assert integrity(*LOST_UPDATE)[0] == 1
    assert integrity("race", "ghostpass", "sell", "sell")[0] == 0


def test_cures_are_tried_and_those_that_do_not_help_are_said_not_to(integrity: Command) -> None:
    """Overdraw checks in one transaction and debits in the next: no isolation level sees that."""
    code, out, _ = integrity("race", "ghostpass", "sell", "sell", "--bug", "overdraw", "--json")
    (finding,) = json.loads(out)["findings"]
    assert code == 1
    prevented = {cure["name"]: cure["is_prevented"] for cure in finding["cures"]}
    assert prevented["repeatable read"] is False
    assert prevented["serializable"] is False
    assert prevented["wallets.wallets_balance_not_negative"] is True
    assert prevented["the sound sell"] is True


@pytest.mark.exhaustive
def test_a_replay_says_what_is_not_as_it_was_when_the_finding_was_made(integrity: Command) -> None:
    integrity(*LOST_UPDATE)
    file = Path(FINDING)
    finding = json.loads(file.read_text())
    finding["bug"] = None  # as if the operation had been mended since
    finding["tables"]["wallets"] = "another"
    finding["tables"]["vouchers"] = "gone"
    file.write_text(json.dumps(finding))
    code, out, _ = integrity("replay", FINDING, "--json")
    replayed = json.loads(out)
    assert code == 0
    assert replayed["came_back"] == 0
    assert replayed["differences"][:2] == ["table vouchers is gone", "table wallets is defined otherwise"]
    assert replayed["differences"][2].startswith("A = sell: statement 1 was `select balance_minor from")


def test_sound_operations_are_reported_with_what_was_covered(integrity: Command) -> None:
    code, out, _ = integrity("race", "ghostpass", "refund_sale")
    assert code == 0
    assert "12 schedules (1 more known without playing), complete to every schedule there is" in out
    assert "sound at read committed: no schedule of 1 pair with at most 2 preemptions goes wrong" in out


def test_a_budget_ends_the_whole_race_also_a_letter_that_is_under_way(integrity: Command) -> None:
    """A call that sleeps for a minute was waited for, and its cures were searched for minutes behind the budget."""
    Path("operations").mkdir()
    Path("operations/doze.sql").write_text("begin;\nselect pg_sleep(60);\nselect a from naps for update;\ncommit;\n")
    with Target.parse(os.environ["INTEGRITY_DATABASE_URL"]).connect() as server:
        server.execute(b"create table naps (a int primary key)")
    for words, told in (((), "s was spent"), (("--mutate",), "doze: its protections\n  untried")):
        began = time.monotonic()
        code, out, err = integrity("race", "doze", "doze", "--budget", "1s", *words)
        assert (code, told in f"{out}{err}", time.monotonic() - began < 15) == (3, True, True), f"{out}{err}"


def test_a_search_that_its_budget_ends_is_inconclusive(integrity: Command) -> None:
    code, out, _ = integrity("race", "ghostpass", "scan_in", "scan_out", "sell", "--preemptions", "6", "--budget", "0.5s")
    assert code == 3
    assert "inconclusive at read committed: 1 of 1 group not searched to the bound" in out
    assert "the budget of 0.5" in out


def test_one_schedule_is_played_and_shown(integrity: Command) -> None:
    code, out, _ = integrity("race", "ghostpass", "sell", "sell", "--schedule", "AB")
    assert code == 0
    assert "… waits for" not in out
    assert "nothing goes wrong; A declined: insufficient_balance." in out
    code, out, _ = integrity("race", "--bug", "double_credit", "ghostpass", "--schedule", "AB")
    assert code == 1
    assert "violated  ghostpass/event-applied-once" in out


def test_an_operation_that_never_ends_is_cut_off_and_the_search_is_inconclusive(
    integrity: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Neither a hang nor a verdict: the schedules are cut at so many letters, and the search at its budget."""

    def poll(*, operation_id: object, wallet_id: int) -> Steps:
        while True:
            yield Statement("select balance_minor from ghostpass.wallets where id = :id", {"id": wallet_id})

    sound = GHOSTPASS.operations["request_funding"]
    endless = replace(sound, name="poll", steps=poll, arguments={"wallet_id": sound.arguments["wallet_id"]})
    system = replace(GHOSTPASS, operations={**GHOSTPASS.operations, "poll": endless})
    monkeypatch.setattr(Registry, "__getitem__", lambda _registry, _name: system)
    began = time.monotonic()
    code, out, _ = integrity("race", "ghostpass", "poll", "sell", "--budget", "2s")
    assert code == 3
    assert "inconclusive at read committed: 1 of 1 pair not searched to the bound" in out
    code, out, _ = integrity("race", "ghostpass", "poll", "sell", "--schedule", "AB")
    assert code == 3
    assert "cut off, more than 400 letters" in out
    code, out, _ = integrity("race", "ghostpass", "poll", "sell", "--budget", "2s", "--database", "sqlite:///venue.db")
    assert code == 3
    assert "inconclusive on SQLite" in out
    assert time.monotonic() - began < 40


MISTAKES = [
    (("race", "ghostpas"), "unknown system 'ghostpas'", "Perhaps you meant ghostpass."),
    (("race", "sell", "sell"), "'sell' is no system", "integrity race ghostpass sell sell"),
    (("race", "ghostpass", "sel"), "no operation 'sel'", "Perhaps you meant sell."),
    (("race", "ghostpass", "--bug", "double_spend"), "no bug 'double_spend'", "double_credit"),
    (("race", "ghostpass", "--bug", "split_rounding", "--schedule", "AB"), "--schedule plays the calls", "--schedule ABBA"),
    (("race", "ghostpass", "sell", "sell", "--schedule", "AXB"), "letter 2 is 'X'", "The actors here are A, B."),
    (("race", "ghostpass", "sell", "sell", "--schedule", "AAAAAAAAA"), "A is at its end there", "end the schedule earlier"),
    (("race", "ghostpass", "sell", "--pytest", "race.txt"), "race.txt: not the name of a test", "test_race.py"),
    (("race", "ghostpass", "--mutate", "--bug", "overdraw"), "--mutate", "Leave --bug"),
    (("race", "ghostpass", "--isolation", "snapshot"), "snapshot", "repeatable read"),
    (("race", "ghostpass", "sell", "--actors", "99"), "--actors", "99"),
    (("replay", "nothing.json"), "there is no such file", "integrity race"),
    (("reproduce", "ghostpass/balance-equals-entries"), "has been audited", "integrity validate"),
]


@pytest.mark.parametrize(("arguments", "place", "next_step"), MISTAKES)
def test_a_mistake_is_named_with_the_next_step(
    integrity: Command, arguments: tuple[str, ...], place: str, next_step: str
) -> None:
    code, out, err = integrity(*arguments)
    assert (code, out) == (2, "")
    assert place in err
    assert next_step in err
    assert "Traceback" not in err


def run_pytest(file: Path, target: Target) -> "subprocess.CompletedProcess[str]":
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "--rootdir", str(file.parent), str(file)]
    environment = {**os.environ, "DATABASE_URL": target.text}
    return subprocess.run(
        command, cwd=file.parent, env=environment, capture_output=True, text=True, check=False, timeout=60
    )


FIXED = '''

def fixed(connection):
    """What the team's code is now: check and debit in one statement."""
    debited = connection.execute(
        "update ghostpass.wallets set balance_minor = balance_minor - 1999 "
        "where id = 1 and balance_minor >= 1999 returning balance_minor"
    ).fetchone()
    if debited is None:
        connection.rollback()
        return
    connection.execute(
        "insert into ghostpass.entries (account, wallet_id, kind, amount_minor, reference, operation_id) "
        "values ('wallet', 1, 'sale', -1999, nextval('ghostpass.sales_id_seq'), gen_random_uuid())"
    )
    connection.commit()


def stale(connection):
    """What it was: read, compute, write back."""
    (balance,) = connection.execute("select balance_minor from ghostpass.wallets where id = 1").fetchone()
    if balance < 1999:
        connection.rollback()
        return
    connection.execute("update ghostpass.wallets set balance_minor = %s where id = 1", (balance - 1999,))
    connection.execute(
        "insert into ghostpass.entries (account, wallet_id, kind, amount_minor, reference, operation_id) "
        "values ('wallet', 1, 'sale', -1999, nextval('ghostpass.sales_id_seq'), gen_random_uuid())"
    )
    connection.commit()


'''


@pytest.mark.exhaustive
def test_the_exported_test_is_red_by_itself_and_green_with_fixed_code_in_it(
    integrity: Command, tmp_path: Path, database: Target
) -> None:
    file = tmp_path / "exported" / "test_lost_update.py"
    code, _, err = integrity(*LOST_UPDATE, "--pytest", str(file))
    assert code == 1
    assert str(file.with_suffix(".sql")) in err
    text = file.read_text()
    assert "import integrity" not in text
    red = run_pytest(file, database)
    assert red.returncode == 1, red.stdout
    assert "assert wrong == [], RULE" in red.stdout
    assert "1 failed" in red.stdout
    file.write_text(text + FIXED + 'CALLS = {"A": stale, "B": stale}\n')
    stale = run_pytest(file, database)
    assert stale.returncode == 1, "code that reads decides by the order of the turns"
    file.write_text(text + FIXED + 'CALLS = {"A": fixed, "B": fixed}\n')
    green = run_pytest(file, database)
    assert green.returncode == 0, green.stdout
    assert "1 passed" in green.stdout


@pytest.mark.parametrize("name", ["double_credit", "duplicate_entry", "overdraw"])
def test_each_exported_race_is_red_and_well_formed(integrity: Command, tmp_path: Path, database: Target, name: str) -> None:
    """With a statement that waits for a lock, and with a statement outside a transaction, too."""
    file = tmp_path / f"test_{name}.py"
    assert integrity("race", "ghostpass", "--bug", name, "--schedule", "AB", "--pytest", str(file))[0] == 1
    red = run_pytest(file, database)
    assert (red.returncode, "assert wrong == [], RULE" in red.stdout) == (1, True), red.stdout
    for check in (["check"], ["format", "--check"]):
        ran = subprocess.run(
            [sys.executable, "-m", "ruff", *check, "--isolated", str(file)], capture_output=True, check=False
        )
        assert ran.returncode == 0, ran.stdout.decode()


@pytest.mark.exhaustive
def test_a_race_that_only_serial_equivalence_sees_is_exported_with_the_rows_of_the_serial_orders(
    database: Target, tmp_path: Path
) -> None:
    bug = GHOSTPASS.bugs["lost_update"]
    with Arena(database, GHOSTPASS) as arena:
        scheduler = arena.scheduler(frozenset(bug.dropped))
        files = load_invariants(Project(tmp_path, Settings())).values()
        ground = replace(survey(scheduler, GHOSTPASS, list(files)), checks=())
        contest = next(ground.vary(bug.race, bug=bug))
        hit = explore(scheduler, contest.program(), budget=Budget()).hits[0]
        finding = make_finding(scheduler, ground, contest, hit, seed=0)
        assert [alarm.oracle for alarm in finding.alarms] == ["serial equivalence"]
        file = tmp_path / "test_serial.py"
        export_pytest(arena, contest, finding, file, files=[], replay_command="")
    red = run_pytest(file, database)
    assert red.returncode == 1
    assert "assert found in SERIAL_ORDERS, RULE" in red.stdout


@pytest.mark.exhaustive
def test_equal_findings_give_equal_files(integrity: Command, tmp_path: Path) -> None:
    integrity("race", "ghostpass", "--bug", "double_credit", "--schedule", "AB", "--output", "found.json")
    texts = []
    for name in ("one", "other"):
        file = tmp_path / name / "test_race.py"
        integrity("replay", "found.json", "--pytest", str(file))
        texts.append(file.read_text() + file.with_suffix(".sql").read_text())
    assert texts[0] == texts[1]


@pytest.mark.slow
def test_the_matrix_names_the_racy_pairs_and_several_processes_share_it(integrity: Command) -> None:
    code, out, _ = integrity("race", "ghostpass", "--bug", "duplicate_entry", "--jobs", "2", "--budget", "60s", "--json")
    document = json.loads(out)
    assert code == 1
    verdicts = {tuple(group["operations"]): group["verdict"] for group in document["groups"]}
    assert len(verdicts) == 21
    assert verdicts["scan_in", "scan_in"] == "violated"
    assert all(verdict != "violated" for pair, verdict in verdicts.items() if "scan_in" not in pair)
    assert all(Path(finding["file"]).exists() for finding in document["findings"])


@pytest.mark.slow
def test_a_protection_that_is_taken_away_turns_the_search_red(integrity: Command) -> None:
    code, out, _ = integrity("race", "ghostpass", "scan_in", "--mutate", "--json")
    found = {mutation["protection"]: mutation for mutation in json.loads(out)["mutations"]}
    lock = found["scan_in: for update"]
    assert lock["verdict"] == "redundant", "the unique index of scans is a second guard"
    assert lock["redundant_with"] == ["scans: scans_one_per_entry_number"]
    assert lock["attempts"][-1]["violated"]
    assert found["scans: scans_one_per_entry_number"]["redundant_with"] == ["scan_in: for update"]
    assert found["scans: scans_direction_known"]["verdict"] == "vacuous"
    assert code == 3, "its debit is one that no race of scan_in with itself needs"
