"""`integrity suite`: its plan, its runs, the audit after each, and one report."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from integrity.cli.main import main
from integrity.database.namespace import guard
from integrity.engines.target import Target
from integrity.jobs.validate import validate
from integrity.reference.ghostpass.system import GHOSTPASS
from integrity.seeds.load import Mode, seed_system
from tests.database.served import serving

SUITES = """
[suites.brief]
title = "two runs"
steps = [{ profile = "smoke", duration_s = 1.0 }, { profile = "hammer", duration_s = 3.0 }]

[suites.broken]
title = "a bug that the sound system has not"
steps = [{ profile = "nobody" }]

[profiles.ghostpass.burst]
extends = "smoke"
title = "a spike that is over at once"
stages = [
    { name = "before", duration_s = 3, factor = 2.0, part = "before" },
    { name = "spike", duration_s = 1, factor = 4.0, part = "spike" },
    { name = "jump", duration_s = 0, factor = 2.0 },
    { name = "after", duration_s = 4, factor = 2.0, part = "after" },
]

[suites.races]
title = "what a planted bug gives away"
steps = [{ profile = "hammer", duration_s = 3.0 }]

[suites.crowded]
title = "more connections than any server has"
steps = [{ profile = "smoke", duration_s = 1.0 }, { profile = "crowd" }]

[profiles.ghostpass.crowd]
extends = "smoke"
title = "many"
connections = 4000

[suites.asking]
title = "a limit on the rows of a query that is not there"
steps = [{ profile = "smoke", duration_s = 1.0 }, { profile = "asks" }]

[profiles.ghostpass.asks]
extends = "smoke"
title = "asks"
thresholds = [{ rows = "ghostpass/nothing", statistic = "reached_share", least = 1.0, source = "our own" }]

[suites.bursts]
title = "a spike"
steps = [{ profile = "burst" }]
"""


def run(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str, str]:
    """Return exit code, stdout and stderr of `integrity suite ...`."""
    with pytest.raises(SystemExit) as ended:
        main(["suite", *arguments])
    printed = capsys.readouterr()
    assert isinstance(ended.value.code, int)
    return ended.value.code, printed.out, printed.err


def result_of(step: Any) -> Any:
    return json.loads((Path(step["folder"]) / "result.json").read_bytes())


@pytest.fixture
def project(tmp_path: Path) -> Path:
    (tmp_path / "integrity.toml").write_text(SUITES)
    return tmp_path


@pytest.fixture
def venue(database: Target) -> Target:
    seed_system(database, guard(database, None), GHOSTPASS, sizes={"wallets": 300}, seed=1, mode=Mode.NEW)
    return database


def test_a_suite_runs_each_profile_and_judges_the_data_after_each(
    capsys: pytest.CaptureFixture[str], venue: Target, project: Path
) -> None:
    where = ("--database", venue.text, "--project", str(project))
    code, out, err = run(capsys, "brief", "--seed", "5", "--json", "--processes", "2", *where)
    record = json.loads(out)
    assert code == 0
    assert [(step["profile"], step["seed"], step["state"]) for step in record["steps"]] == [
        ("smoke", 5, "finished"),
        ("hammer", 6, "finished"),
    ]
    assert all("invariants hold" in step["audit"] for step in record["steps"])
    assert all(step["total"]["ok"] > 10 for step in record["steps"])
    assert "suite brief: two runs; 2 runs, each of 2 processes, at most 12 s" in " ".join(err.split())
    (kept,) = (project / ".integrity" / "suites").iterdir()
    assert json.loads(kept.read_bytes())["steps"] == record["steps"]
    assert [result_of(step)["processes"] for step in record["steps"]] == [2, 2]


def test_a_suite_over_http_asks_the_server_in_each_of_its_runs_and_judges_the_data(
    capsys: pytest.CaptureFixture[str], venue: Target, project: Path
) -> None:
    with serving(venue, project, "ghostpass", "--profile", "hammer") as server:
        where = ("--target", server.url, "--database", venue.text, "--project", str(project))
        code, out, err = run(capsys, "brief", "--seed", "5", "--json", *where)
    steps = json.loads(out)["steps"]
    assert code == 0, err
    assert [(step["state"], result_of(step)["over"]) for step in steps] == [("finished", server.url)] * 2
    assert all(step["total"]["ok"] > 10 and "invariants hold" in step["audit"] for step in steps)


def test_what_becomes_of_an_application_between_two_runs_is_a_finding_of_the_second(
    capsys: pytest.CaptureFixture[str], venue: Target, project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    log = project / "app.log"
    log.write_text("FATAL long ago\n")
    app = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)

    def judge_and_break(*args: Any, **options: Any) -> Any:
        app.kill()
        app.wait()
        with log.open("a") as lines:
            lines.write("ERROR the application is gone\n")
        return validate(*args, **options)

    monkeypatch.setattr("integrity.jobs.suite.validate", judge_and_break)
    watched = ("--process", f"app={app.pid}", "--log", str(log))
    with app:
        code, out, _ = run(capsys, "brief", *watched, "--json", "--database", venue.text, "--project", str(project))
    steps = json.loads(out)["steps"]
    assert (code, [step["exit_codes"][0] for step in steps]) == (4, [0, 4])
    assert [step["critical"] for step in steps] == [[], [f"process app (pid {app.pid}) had ended at 0 s"]]
    (of_log,) = result_of(steps[1])["monitor"]["logs"]
    assert [(each["pattern"], each["count"]) for each in of_log["findings"]] == [("ERROR", 1)]


def test_what_is_wrong_before_the_first_run_is_told_before_it_and_apart_from_what_the_suite_makes(
    capsys: pytest.CaptureFixture[str], venue: Target, project: Path
) -> None:
    """It is the exit code all the same: the data is wrong."""
    with venue.connect() as connection:
        connection.execute("update ghostpass.wallets set balance_minor = balance_minor + 1 where id = 7")
    where = ("--database", venue.text, "--project", str(project))
    code, out, err = run(capsys, "brief", *where)
    assert code == 1
    told = " ".join(err.partition("[1/2]")[0].split())
    assert f"before the first run 1 invariant is violated already: {FOUND} (1 row)" in told
    said = " ".join(out.split())
    assert f"violated before the first run: {FOUND} (1 row); the runs made nothing wrong beside that." in said
    assert "next: " not in out  # no call of a run touched it

    code, out, _ = run(capsys, "races", "--bug", "lost_update", "--seed", "1", "--json", *where)
    record = json.loads(out)
    (step,) = record["steps"]
    assert (code, record["before"]) == (1, {FOUND: 1})
    assert FOUND in step["violated"]
    assert step["made"][FOUND] > 0


def test_what_a_suite_finds_is_kept_where_reproduce_looks_for_it(
    capsys: pytest.CaptureFixture[str], venue: Target, project: Path
) -> None:
    where = ("--database", venue.text, "--project", str(project))
    code, out, _ = run(capsys, "races", "--system", "ghostpass", "--bug", "lost_update", "--seed", "1", *where)
    assert code == 1
    (folder,) = (project / ".integrity" / "runs").iterdir()
    assert f"next: integrity reproduce {FOUND} --run {folder.name}" in out

    with pytest.raises(SystemExit) as ended:
        main(["reproduce", FOUND, *where])

    assert ended.value.code == 1
    assert "a race." in capsys.readouterr().out


FOUND = "ghostpass/balance-equals-entries"


def test_a_spike_says_how_long_recovery_took(capsys: pytest.CaptureFixture[str], venue: Target, project: Path) -> None:
    code, out, _ = run(capsys, "bursts", "--seed", "1", "--json", "--database", venue.text, "--project", str(project))
    (step,) = json.loads(out)["steps"]
    assert step["recovery_unknown"] == ""
    assert code == (4 if step["recovery_s"] is None else 0)


def test_a_plan_is_shown_and_nothing_run(capsys: pytest.CaptureFixture[str], project: Path) -> None:
    arguments = ("full", "--system", "ghostpass", "--plan", "--project", str(project))
    code, out, _ = run(capsys, *arguments)
    assert code == 0
    assert "soak" in out
    assert not (project / ".integrity").exists()
    _, shortened, _ = run(capsys, *arguments, "--shorten", "100")
    assert "shortened 100 times" in shortened


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (("nightly",), "no suite is called 'nightly'"),
        (("broken", "--system", "ghostpass"), "has no profile 'nobody'"),
        (("brief", "--system", "ghostpas"), "unknown system 'ghostpas'"),
        (("brief",), "holds no system"),
        (("brief", "--shorten", "0"), "--shorten"),
        (("brief", "--system", "ghostpass", "--bug", "nope"), "nope"),
        (("brief", "--system", "ghostpass", "--processes", "64"), "ghostpass smoke: --processes 64: the profile has"),
        (("brief", "--system", "ghostpass", "--process", "app=2147483647"), "there is no process 2147483647"),
        (("brief", "--system", "ghostpass", "--system", "inbox", "--bug", "overdraw"), "a bug is one system's"),
    ],
)
def test_bad_input_is_told_with_its_reason(
    capsys: pytest.CaptureFixture[str], database: Target, project: Path, arguments: tuple[str, ...], complaint: str
) -> None:
    code, out, err = run(capsys, *arguments, "--database", database.text, "--project", str(project))
    assert (code, out) == (2, "")
    assert complaint in err


def test_a_suite_is_refused_before_its_first_run_where_a_later_one_could_not_begin(
    capsys: pytest.CaptureFixture[str], venue: Target, project: Path
) -> None:
    """It ended there, and nothing was recorded of the runs before."""
    where = ("--database", venue.text, "--project", str(project))
    for arguments, said in (
        (("crowded",), "ghostpass crowd: 4,000 connections are asked for, and"),
        (("asking",), "ghostpass asks: no query is called 'ghostpass/nothing'"),
        (("brief", "--target", "http://127.0.0.1:1"), "ghostpass smoke: --target http://127.0.0.1:1: "),
    ):
        code, out, err = run(capsys, *arguments, *where)
        assert (code, out) == (2, "")
        assert said in " ".join(err.split())
        assert "[1/2]" not in err
    assert not (project / ".integrity" / "runs").exists()


def test_a_suite_with_a_fault_that_cannot_be_here_is_refused_before_its_first_run(
    capsys: pytest.CaptureFixture[str], project: Path, tmp_path: Path
) -> None:
    venue = Target.parse(f"sqlite:///{tmp_path}/venue.db")
    seed_system(venue, guard(venue, None), GHOSTPASS, sizes={"wallets": 50}, seed=1, mode=Mode.NEW)

    code, out, err = run(capsys, "quick", "--database", venue.text, "--project", str(project))

    assert (code, out) == (2, "")
    assert "suite quick: 1 of 6 runs cannot be made on" in err
    assert "ghostpass chaos, where db_latency needs the run's connections to go through the proxy" in err
    assert not (project / ".integrity" / "runs").exists()
