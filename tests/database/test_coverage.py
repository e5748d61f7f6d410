"""An audit says "holds" of calls only where it knows them: a history that is missing, cut short or damaged is said."""

import shutil
from collections.abc import Callable
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import UUID

import pytest

import integrity.engines.postgresql.snapshot as snapshot_module
from integrity.audit import AuditSettings, audit
from integrity.chain import Chain
from integrity.cli.main import main
from integrity.database.namespace import create_schemas
from integrity.engines.postgresql.session_settings import QUESTIONS, audit_settings
from integrity.engines.target import Target
from integrity.errors import UsageError
from integrity.events import InvariantJudged
from integrity.history import Call, Outcome, encode_invoked, encode_returned
from integrity.invariants.load import load_invariants
from integrity.project import Project, Settings
from integrity.reference.ghostpass.system import GHOSTPASS
from integrity.reference.instainstru.system import INSTAINSTRU
from integrity.runs.coverage import Known, find_doubts
from integrity.runs.folder import Recorder, RunFolder, make_run_folder
from integrity.runs.heartbeat import Heartbeat
from integrity.runs.unfinished import find_beating, forget_run, load_unfinished, note_running
from integrity.verdict import InvariantVerdict, Verdict
from tests.documents import make_settings

ASKED, STORED, BALANCE = (
    f"ghostpass/{name}" for name in ("row-was-asked-for", "acknowledged-call-is-stored", "balance-equals-entries")
)
BEGAN = datetime.now(UTC) - timedelta(hours=2)


@pytest.fixture(params=["postgresql", "sqlite"])
def venue(request: pytest.FixtureRequest, tmp_path: Path) -> Target:
    """A venue with one wallet, on either engine."""
    target: Target = (
        Target.parse(f"sqlite:///{tmp_path}/venue.db") if request.param == "sqlite" else request.getfixturevalue("database")
    )
    create_schemas(target, [GHOSTPASS])
    execute(target, "insert into ghostpass.wallets (id, code, balance_minor) values (1, 'GP-1', 0)")
    return target


@pytest.fixture
def project(tmp_path: Path) -> Project:
    return Project(tmp_path, Settings())


def execute(target: Target, statement: str) -> None:
    if target.dialect == "sqlite":
        with closing(target.connect_sqlite(("integrity", "ghostpass"))) as connection:
            connection.execute(statement)
    else:
        with target.connect() as connection:
            connection.execute(statement.encode())


def fund(target: Target, number: int, *, after_s: int) -> None:
    """Make a funding, so many seconds after the run began, with the number as its id and its call's."""
    at = (BEGAN + timedelta(seconds=after_s)).strftime("%Y-%m-%d %H:%M:%S.%f")
    at = at if target.dialect == "sqlite" else f"{at}+00"
    columns = "insert into ghostpass.fundings (id, wallet_id, amount_minor, status, operation_id, requested_at, settled_at)"
    override = "" if target.dialect == "sqlite" else "overriding system value"
    execute(target, f"{columns} {override} values ({number}, 1, 500, 'failed', '{UUID(int=number)}', '{at}', '{at}')")


def begin(target: Target, project: Project, name: str = "r1", *, calls: int = 10) -> RunFolder:
    """Begin a run and kill it: in each second of it a funding was asked for, and made."""
    folder = make_run_folder(project.runs_folder, name)
    began_us = round(BEGAN.timestamp() * 1_000_000)
    settings = make_settings(started_at_us=began_us)
    recorder = Recorder(folder, settings)
    note_running(target, folder.run_id, settings)
    for number in range(1, calls + 1):
        at_us = began_us + number * 1_000_000
        arguments = {"wallet_id": 1, "amount_minor": 500}
        times = (at_us, at_us, at_us + 1000)
        call = Call(UUID(int=number), "request_funding", arguments, 1, *times, Outcome.OK, {"funding_id": number})
        recorder.append(encode_invoked(call))
        recorder.append(encode_returned(call))
        fund(target, number, after_s=number)
    recorder.close()
    long_ago = BEGAN + timedelta(minutes=1)
    text = long_ago.strftime("%Y-%m-%d %H:%M:%S.%f") + ("" if target.dialect == "sqlite" else "+00")
    execute(target, f"update integrity.runs set alive_until = '{text}'")
    return folder


def judge(target: Target, project: Project, *, is_read_only: bool = False) -> dict[str, InvariantVerdict]:
    """Load what can be loaded, and return what an audit finds."""
    files = load_invariants(project)
    unfinished = load_unfinished(target, project, is_read_only=is_read_only)
    known = Known(unfinished.alive, unfinished.reasons, str(project.runs_folder))
    events = audit(target, [files[name] for name in (ASKED, STORED, BALANCE)], AuditSettings(known=known))
    return {event.finding.name: event.finding for event in events if isinstance(event, InvariantJudged)}


def verdicts(findings: dict[str, InvariantVerdict]) -> list[Verdict]:
    return [findings[name].verdict for name in (ASKED, STORED)]


def cut(file: Path, *, lines: int) -> None:
    file.write_bytes(b"".join(file.read_bytes().splitlines(keepends=True)[:lines]))


def change_a_line(file: Path) -> None:
    file.write_bytes(file.read_bytes().replace(b'"amount_minor":500', b'"amount_minor":900', 1))


def test_a_run_whose_folder_is_gone_leaves_unknown_what_is_asked_of_its_calls(venue: Target, project: Project) -> None:
    shutil.rmtree(begin(venue, project).path)

    found = judge(venue, project)

    assert verdicts(found) == [Verdict.UNKNOWN, Verdict.UNKNOWN]
    assert "run r1 is noted as running, and is not" in found[ASKED].reason
    assert found[ASKED].reason.endswith("or give the run up: integrity forget r1")
    assert found[BALANCE].verdict is not Verdict.UNKNOWN


def test_what_calls_that_are_known_violate_stays_violated_beside_a_run_that_is_missing(
    venue: Target, project: Project
) -> None:
    begin(venue, project)
    load_unfinished(venue, project)
    execute(venue, "delete from ghostpass.fundings where id = 3")
    shutil.rmtree(begin(venue, project, "r2", calls=0).path)

    assert verdicts(judge(venue, project)) == [Verdict.UNKNOWN, Verdict.VIOLATED]


def test_a_run_that_was_given_up_lets_the_others_be_judged_and_is_not_accused(venue: Target, project: Project) -> None:
    shutil.rmtree(begin(venue, project).path)

    forget_run(venue, project, "r1")

    assert verdicts(judge(venue, project)) == [Verdict.HOLDS, Verdict.HOLDS]
    with pytest.raises(UsageError, match="has been given up already"):
        forget_run(venue, project, "r1")


def test_a_run_that_lives_elsewhere_cannot_be_given_up(venue: Target, project: Project) -> None:
    shutil.rmtree(begin(venue, project).path)
    execute(venue, "update integrity.runs set alive_until = '2999-01-01 00:00:00'")
    with Heartbeat(venue, "r1"):
        until_it_beats(venue)
        with pytest.raises(UsageError, match="the run r1 is running"):
            forget_run(venue, project, "r1")


def until_it_beats(target: Target) -> None:
    """Return when a session has told that the run lives; on SQLite there is none to be seen."""
    while not find_beating(target):
        continue


def test_a_run_that_was_given_up_is_loaded_when_its_folder_is_found_after_all(
    venue: Target, project: Project, tmp_path: Path
) -> None:
    folder = begin(venue, project).path
    shutil.move(folder, tmp_path / "elsewhere")
    forget_run(venue, project, "r1")
    shutil.move(tmp_path / "elsewhere", folder)

    assert [run.call_count for run in load_unfinished(venue, project).loaded] == [10]


def test_a_run_that_gave_a_sign_of_life_elsewhere_is_waited_for(venue: Target, project: Project) -> None:
    """On SQLite, or seen from another machine: there is no lock and no process to look at, but a time."""
    shutil.rmtree(begin(venue, project).path)
    execute(venue, "update integrity.runs set alive_until = '2999-01-01 00:00:00'")
    files = load_invariants(project)

    events = list(audit(venue, [files[ASKED]], AuditSettings()))

    assert [event.finding.verdict for event in events if isinstance(event, InvariantJudged)] == [Verdict.HOLDS]


def test_a_killed_run_whose_history_is_all_there_holds(venue: Target, project: Project) -> None:
    """Every call is written down before it is sent: nobody made anything after the last line."""
    begin(venue, project)
    assert verdicts(judge(venue, project)) == [Verdict.HOLDS, Verdict.HOLDS]


def test_rows_younger_than_the_last_whole_line_of_a_history_leave_it_unknown_who_asked(
    venue: Target, project: Project
) -> None:
    cut(begin(venue, project).history, lines=10)

    found = judge(venue, project)

    assert verdicts(found) == [Verdict.UNKNOWN, Verdict.HOLDS]
    assert found[ASKED].reason.startswith("5 rows are of a time that the history of run r1 does not cover")


def test_a_history_that_breaks_off_still_tells_of_rows_that_are_older(venue: Target, project: Project) -> None:
    folder = begin(venue, project)
    cut(folder.history, lines=10)
    fund(venue, 99, after_s=3)

    found = judge(venue, project)

    assert found[ASKED].verdict is Verdict.VIOLATED
    assert found[ASKED].violation_count == 1


def test_the_whole_folder_brought_back_makes_it_known(venue: Target, project: Project) -> None:
    folder = begin(venue, project)
    whole = folder.history.read_bytes()
    cut(folder.history, lines=10)
    assert verdicts(judge(venue, project))[0] is Verdict.UNKNOWN
    folder.history.write_bytes(whole)
    end(folder)

    assert verdicts(judge(venue, project)) == [Verdict.HOLDS, Verdict.HOLDS]


def end(folder: RunFolder) -> None:
    """End each file in good order, as the run would have done."""
    for file in (folder.history, folder.requests, folder.received):
        chain = Chain()
        for line in file.read_bytes().splitlines(keepends=True):
            chain.seal(b"{" + line.split(b",", 2)[2])
        file.write_bytes(file.read_bytes() + chain.end())


@pytest.mark.parametrize("damage", [change_a_line, lambda file: cut(file, lines=0)], ids=["changed", "emptied"])
def test_a_damaged_history_is_said_and_can_be_given_up(
    venue: Target, project: Project, damage: Callable[[Path], None]
) -> None:
    folder = begin(venue, project)
    damage(folder.history)

    found = judge(venue, project)

    assert found[ASKED].verdict is Verdict.UNKNOWN
    assert damage is not change_a_line or f"{folder.history}:1: not a record of a history" in found[ASKED].reason
    forget_run(venue, project, "r1")
    assert verdicts(judge(venue, project)) == [Verdict.HOLDS, Verdict.HOLDS]


def test_a_history_of_before_there_were_checksums_is_judged_like_one_that_breaks_off(
    venue: Target, project: Project
) -> None:
    folder = begin(venue, project)
    lines = folder.history.read_bytes().splitlines(keepends=True)
    folder.history.write_bytes(b"".join(b"{" + line.split(b",", 2)[2] for line in lines[:10]))

    assert verdicts(judge(venue, project)) == [Verdict.UNKNOWN, Verdict.HOLDS]


def test_nothing_is_written_where_nothing_is_to_be_written(
    venue: Target, project: Project, capfd: pytest.CaptureFixture[str]
) -> None:
    begin(venue, project)
    words = ["validate", "--database", venue.text, "--project", str(project.folder), "--select", ASKED]

    with pytest.raises(SystemExit) as read_only:
        main([*words, "--read-only"])

    assert read_only.value.code == 3
    assert "is not loaded, as nothing is to be written" in capfd.readouterr().out
    assert load_unfinished(venue, project, is_read_only=True).loaded == ()
    with pytest.raises(SystemExit) as ended:
        main(words)
    assert ended.value.code == 0
    assert "run r1 was killed: its 10 calls are loaded and judged too" in capfd.readouterr().err


@pytest.mark.parametrize(("part", "unknown"), [("_find_doubts", [STORED, ASKED]), ("_ask_in_gaps", [ASKED])])
def test_what_goes_wrong_with_the_questions_of_coverage_leaves_unknown_what_rests_on_calls_and_nothing_else(
    venue: Target, project: Project, monkeypatch: pytest.MonkeyPatch, part: str, unknown: list[str]
) -> None:
    def stumble(*_: object, **__: object) -> None:
        raise RuntimeError("no such thing")

    folder = begin(venue, project)
    cut(folder.history, lines=1)
    judge(venue, project)
    monkeypatch.setattr(f"integrity.runs.coverage.{part}", stumble)
    found = dict(sorted(judge(venue, project).items()))
    assert [finding.name for finding in found.values() if finding.verdict is not Verdict.HOLDS] == unknown
    assert "an error of integrity's own: RuntimeError: no such thing" in found[ASKED].reason


def test_where_nobody_knows_which_runs_are_noted_no_invariant_over_calls_is_said_to_hold(
    database: Target, monkeypatch: pytest.MonkeyPatch, project: Project
) -> None:
    create_schemas(database, [GHOSTPASS])
    settings = audit_settings
    monkeypatch.setattr(
        snapshot_module, "audit_settings", lambda timeout_s: {**settings(timeout_s), "lock_timeout": "100ms"}
    )
    files = [load_invariants(project)[name] for name in (ASKED, BALANCE)]
    with closing(database.connect()) as other, other.transaction():
        other.execute("lock table integrity.runs in access exclusive mode")
        with database.open_snapshot(connections=1, timeout_s=60) as snapshot:
            doubts = find_doubts(snapshot.sessions[0], files, Known(), {}, now=snapshot.taken_at)
    assert doubts == {ASKED: "which runs are noted cannot be found out: canceling statement due to lock timeout"}


def test_a_lock_on_our_notes_is_said_at_once_and_waited_for_once(
    database: Target, monkeypatch: pytest.MonkeyPatch, project: Project, capsys: pytest.CaptureFixture[str]
) -> None:
    create_schemas(database, [INSTAINSTRU])
    settings = audit_settings
    monkeypatch.setattr(
        snapshot_module, "audit_settings", lambda timeout_s: {**settings(timeout_s), "lock_timeout": "100ms"}
    )
    monkeypatch.setitem(QUESTIONS, "lock_timeout", "100ms")
    asked_again: list[object] = []
    monkeypatch.setattr("integrity.runs.unfinished.load_unfinished", lambda *given, **_: asked_again.append(given))
    with closing(database.connect()) as other, other.transaction():
        other.execute("lock table integrity.runs in access exclusive mode")
        with pytest.raises(SystemExit) as ended:
            main(["validate", "--system", "instainstru", "--project", str(project.folder), "--database", database.text])
    shown = capsys.readouterr()
    assert ended.value.code == 3
    assert asked_again == []
    assert shown.err.count("lock timeout") == 1, shown.err
    assert "which runs there were, and which were killed, cannot be found out" in shown.err
    assert "row-was-asked-for" in shown.out
