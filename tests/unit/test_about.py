"""`integrity` alone says what the current folder is and what to type next; nothing is started for that."""

from pathlib import Path

import pytest

from integrity.cli.main import main
from integrity.invariants import load
from integrity.project import reference_folder
from integrity.runs.folder import Recorder, make_run_folder
from tests.documents import make_result, make_settings


def about(capsys: pytest.CaptureFixture[str]) -> tuple[object, str, str]:
    with pytest.raises(SystemExit) as ended:
        main([])
    captured = capsys.readouterr()
    return ended.value.code, captured.out, captured.err


def test_an_empty_folder_is_led_to_the_demo_and_to_a_database_of_ones_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("INTEGRITY_DATABASE_URL", raising=False)
    code, out, _ = about(capsys)
    assert code == 0
    assert "database    an embedded PostgreSQL, made when a command needs it\nits own     nothing yet\n" in out
    assert "  integrity demo  " in out
    assert "  integrity init --database URL  " in out
    assert list(tmp_path.iterdir()) == []


def test_a_project_is_told_with_its_database_and_what_is_its_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "integrity.toml").write_text('[database]\nurl = "postgresql://app:secret-of-mine@127.0.0.1:1/shop"\n')
    for name in ("invariants/money/a.sql", "invariants/b.sql", "operations/withdraw.sql", "queries/c.sql"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("-- title: one\nselect 1 as one where false;\n")
    (tmp_path / "below").mkdir()
    monkeypatch.chdir(tmp_path / "below")
    monkeypatch.delenv("INTEGRITY_DATABASE_URL", raising=False)
    code, out, _ = about(capsys)
    assert code == 0
    assert out.startswith(f"project     {tmp_path}\n")
    assert "secret-of-mine" not in out
    assert "@127.0.0.1:1/shop (integrity.toml)" in out
    assert "its own     2 invariants, 1 operation (withdraw), 1 query\n" in out
    assert "  integrity validate\n  integrity race withdraw withdraw\n" in out


def test_the_last_run_is_told_with_what_it_has_of_its_plan(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("INTEGRITY_DATABASE_URL", raising=False)
    folder = make_run_folder(tmp_path / ".integrity/runs", "r1")
    recorder = Recorder(folder, make_settings())
    recorder.end()
    recorder.close()
    for state, shortened, told in (
        ("interrupted", {"ran_s": 93.0, "plan_s": 1500.0}, "interrupted, shortened: 93 s of the plan's 25m\n"),
        ("finished", None, "ended\n"),
    ):
        folder.write_result(make_result(state=state, shortened=shortened))
        assert told in about(capsys)[1]
    (folder.path / "result.json").write_text('{"shortened": {"ran_s": "x"}, "state": 4}')
    assert "last run" in about(capsys)[1]


@pytest.mark.parametrize("folder", ["an empty one", "our own"])
def test_files_that_are_not_the_projects_own_are_not_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], folder: str
) -> None:
    read: list[Path] = []
    monkeypatch.setattr(load, "read_sql_file", lambda path, name: read.append(path))
    monkeypatch.chdir(tmp_path if folder == "an empty one" else reference_folder("invariants").parent)
    monkeypatch.delenv("INTEGRITY_DATABASE_URL", raising=False)
    assert about(capsys)[0] == 0
    assert read == []


def test_settings_that_cannot_be_read_are_said_instead(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "integrity.toml").write_text("[databse]\n")
    monkeypatch.chdir(tmp_path)
    code, out, err = about(capsys)
    assert (code, out, "databse: there is no such setting" in err) == (2, "", True)
