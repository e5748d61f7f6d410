"""Jobs are asked for from Python as from the command line: they yield one family of events, and print nothing."""

from pathlib import Path

import pytest

from integrity.database.namespace import create_schemas
from integrity.engines.target import Target
from integrity.events import (
    Advanced,
    AuditFinished,
    AuditStarted,
    Event,
    FileWritten,
    InvariantJudged,
    Job,
    ReturnedValue,
    listen,
)
from integrity.jobs import race, replay, validate
from integrity.jobs.findings import Wanted
from integrity.project import Project, Settings
from integrity.race.finding.finding import read_finding
from integrity.race.raced import FindingKept
from integrity.reference.ghostpass.system import GHOSTPASS
from integrity.report.audit_report import Reported
from integrity.runs.files import VERDICTS_FILE
from integrity.runs.folder import make_run_folder


@pytest.fixture
def project(tmp_path: Path) -> Project:
    return Project(tmp_path, Settings())


@pytest.fixture
def venue(tmp_path: Path) -> Target:
    target = Target.parse(f"sqlite:///{tmp_path / 'venue.db'}")
    create_schemas(target, [GHOSTPASS])
    return target


def hear(job: Job[ReturnedValue]) -> tuple[list[Event], ReturnedValue]:
    """Return the events of a job, and what came out of it."""
    events: list[Event] = []
    outcome = listen(job, events.append)
    return events, outcome


def test_an_audit_is_reported_before_its_verdicts_are_kept(
    project: Project, venue: Target, capsys: pytest.CaptureFixture[str]
) -> None:
    """A disk that is full costs the kept verdicts, and not the report."""
    folder = make_run_folder(project.runs_folder, "20260101-ghostpass-hammer")
    chosen = validate.choose(project, patterns=("ghostpass/balance-*",))

    events, report = hear(validate.validate(venue, project, chosen, folder=folder))

    judged = [InvariantJudged] * len(report.judged)
    assert len(judged) >= 2
    assert [type(event) for event in events] == [AuditStarted, *judged, AuditFinished, Reported, FileWritten]
    assert events[-1] == FileWritten((folder.path / VERDICTS_FILE,), is_told=False)
    assert (folder.path / VERDICTS_FILE).exists()
    assert capsys.readouterr() == ("", "")


def test_after_a_run_its_system_is_judged_and_the_projects_own_rules_and_no_other_system(project: Project) -> None:
    for name in ("mine", "inbox/theirs", "ghostpass/ours"):
        file = project.folder / "invariants" / f"{name}.sql"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text("-- title: none\nselect id from ghostpass.wallets where id < 0\n")

    chosen = {file.name for file in validate.choose_of_run(project, "ghostpass").files}

    assert {"mine", "ghostpass/ours", "ghostpass/balance-not-negative"} <= chosen
    assert [name for name in chosen if name.startswith("inbox/")] == []


def test_a_race_is_kept_before_it_is_studied_and_told_with_what_would_prevent_it(
    project: Project, venue: Target, capsys: pytest.CaptureFixture[str]
) -> None:
    chosen = race.choose(project, ("ghostpass", "sell", "sell"), bug_name="overdraw")
    wanted = Wanted(project.folder / "mine.json", project.folder / "test_mine.py")

    events, raced = hear(race.race(chosen, venue, project, wanted))

    assert events == [
        Advanced("racing", "", 0, 1),
        Advanced("racing", "sell + sell", 1, 1),
        FileWritten((project.folder / "mine.json",), is_told=False),
        FileWritten((project.folder / "test_mine.py", project.folder / "test_mine.sql")),
        *raced.found,
    ]
    (found,) = raced.found
    assert isinstance(found, FindingKept)
    assert found.finding.cures
    assert read_finding(found.file) == found.finding
    assert (raced.exit_code, capsys.readouterr()) == (1, ("", ""))

    kept = replay.choose(project, found.file)
    assert isinstance(kept, replay.ChosenFinding)
    _, replayed = hear(replay.replay(kept, venue, times=2))
    assert ([each.is_back for each in replayed.replays], replayed.exit_code) == ([True, True], 1)
