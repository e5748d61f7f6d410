"""Files that cannot be read, or say what cannot be: each is named, with the place in it."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.snapshots.bad_input import Bad, Ended, assert_one_paragraph, bad, on_database

TOML = "integrity.toml"
RUN = ".integrity/runs/20260101-000000-ghostpass-hammer"


def _toml(text: str | bytes) -> dict[str, str | bytes]:
    return {TOML: text}


def _suite(text: str) -> dict[str, str | bytes]:
    return _toml(f"[suites.mine]\ntitle = 't'\n{text}\n")


SETTINGS = [
    bad("list", "integrity.toml:1:6: cannot be read", files=_toml("this is no TOML")),
    bad("list", "integrity.toml: cannot be read", "utf-8", files=_toml(b"[database]\nurl = '\xff'\n")),
    bad("list", "integrity.toml: databse", "Known sections", files=_toml("[databse]\nurl = 'x'\n")),
    bad("validate", "integrity.toml: database.urll", files=_toml("[database]\nurll = 'x'\n")),
    bad("list", "integrity.toml: profiles", files=_toml("profiles = 5\n")),
    bad("list", "integrity.toml: profiles.nope: unknown system 'nope'", "ghostpass", files=_toml("[profiles.nope.x]\n")),
    bad("run smoke", "integrity.toml: profiles.nope", files=_toml("[profiles.nope.smoke]\nclients = 2\n")),
    bad("validate", "integrity.toml: profiles.nope", files=_toml("[profiles.nope.smoke]\nclients = 2\n")),
    bad("run smoke", "smoke of ghostpass: clint", files=_toml("[profiles.ghostpass.smoke]\nclint = 2\n")),
    bad("run mine", "'open'", files=_toml("[profiles.ghostpass.mine]\nmodel = 'half open'\n")),
    bad("run mine", "mine of ghostpass", files=_toml("[profiles.ghostpass.mine]\nmodel = 'closed'\n")),
    bad("run a", "extends itself: a -> b -> a",
        files=_toml("[profiles.ghostpass.a]\nextends = 'b'\n[profiles.ghostpass.b]\nextends = 'a'\n")),
    bad("run mine", f"{TOML}: profiles.ghostpass.mine.extends: system ghostpass has no profile 'nothing'",
        files=_toml("[profiles.ghostpass.mine]\nextends = 'nothing'\n")),
    bad("run mine", "unknown operation 'fly'", "sell",
        files=_toml("[profiles.ghostpass.mine]\nextends = 'hammer'\nweights = {fly = 1}\n")),
    bad("run mine", "at least one must be above 0",
        files=_toml("[profiles.ghostpass.mine]\nextends = 'hammer'\nweights = {sell = 0}\n")),
    bad("run mine", "neither a stream nor a burst",
        files=_toml("[profiles.ghostpass.mine]\nextends = 'pilot'\nstreams = []\nbursts = []\n")),
    bad("run mine", "unknown service 'bank'",
        files=_toml("[profiles.ghostpass.mine]\nextends = 'hammer'\nservices = {bank = {}}\n")),
    bad("suite mine --plan --system ghostpass", "suite mine: steps", files=_suite("steps = []")),
    bad("suite mine --plan --system ghostpass", "suite mine", "stpes",
        files=_suite("steps = [{profile = 'smoke'}]\nstpes = []")),
    bad("suite mine --plan --system ghostpass", "no profile 'peek'",
        files=_suite("steps = [{profile = 'peek'}]")),
]  # fmt: skip


@pytest.mark.parametrize("case", SETTINGS, ids=str)
def test_a_setting_that_cannot_be_is_named_with_its_place(refuse: Callable[[Bad], None], case: Bad) -> None:
    refuse(case)


FINDINGS = [
    bad("replay f.json", "f.json: not the file of a finding", files={"f.json": ""}),
    bad("replay f.json", "f.json: not the file of a finding", files={"f.json": "{"}),
    bad("replay f.json", "f.json: not a finding", "no format", files={"f.json": "[]"}),
    bad("replay f.json", "f.json: not a finding", "format 99", files={"f.json": '{"format": 99}'}),
    bad("replay f.json", "f.json: not the file of a finding", files={"f.json": b"\x00\xff\xfe"}),
    bad("replay f.json", "f.json", files={"f.json": "[" * 100_000}),
    bad("replay f.json", "f.json", files={"f.json": '{"format": ' + "9" * 5000 + "}"}),
    bad("replay folder", "folder", files={"folder/file": ""}),
    bad("reproduce x", f"{RUN}/verdicts.json: cannot be read", files={f"{RUN}/verdicts.json": "{"}),
    bad("reproduce x", f"{RUN}/verdicts.json", "another version", files={f"{RUN}/verdicts.json": "[]"}),
    bad("reproduce x", f"{RUN}/verdicts.json", "another version", files={f"{RUN}/verdicts.json": '{"format": -1}'}),
]


@pytest.mark.parametrize("case", FINDINGS, ids=str)
def test_a_file_of_ours_that_was_changed_is_named(refuse: Callable[[Bad], None], case: Bad) -> None:
    refuse(case)


STATES = [
    bad("seed", ".integrity: cannot be written", "--project", files={".integrity": "a file"}),
    bad("validate", ".integrity: cannot be written", files={".integrity": "a file"}),
    bad("db start", ".integrity: cannot be written", files={".integrity": "a file"}),
    bad("demo", ".integrity: cannot be written", files={".integrity": "a file"}),
]


@pytest.mark.parametrize("case", STATES, ids=str)
def test_a_state_folder_that_cannot_be_is_named(refuse: Callable[[Bad], None], case: Bad) -> None:
    refuse(case)


@pytest.mark.parametrize("command", ["db status", "db start", "validate", "seed --system ghostpass"])
@pytest.mark.parametrize("version", ["", "eighteen", "99", "9" * 5000, "\x1b[31m18"], ids=repr)
def test_data_of_an_unknown_version_is_no_data_of_ours(
    run_here: Callable[..., Ended], tmp_path: Path, command: str, version: str
) -> None:
    data = tmp_path / ".integrity/postgres/data"
    data.mkdir(parents=True)
    (data / "PG_VERSION").write_text(version + "\n")
    code, out, err = run_here(*command.split())
    if command == "db status" and version == "99":
        assert (code, err) == (3, "")
        assert "PostgreSQL 99" in out
        return
    assert_one_paragraph((code, out, err), code=2, said=("PG_VERSION: holds" if version != "99" else "99",))
    assert (data / "PG_VERSION").read_text() == version + "\n"


OUTPUTS = [
    on_database("validate --output file/report.txt", "file/report.txt: cannot be written", files={"file": ""}),
    on_database("validate --format junit --output /dev/full", "/dev/full: cannot be written", "No space"),
    on_database("monitor --duration 1s --output old.jsonl", "old.jsonl", "Name a new one", files={"old.jsonl": "{}\n"}),
    on_database("seed --project empty", "already holds", files={"empty/x": ""}),
]


@pytest.mark.parametrize("case", OUTPUTS, ids=str)
def test_a_file_that_cannot_be_written_is_named(refuse: Callable[[Bad], None], case: Bad) -> None:
    refuse(case)


def test_a_link_to_nowhere_is_no_project(run_here: Callable[..., Ended], tmp_path: Path) -> None:
    (tmp_path / ".integrity").symlink_to(tmp_path / "nowhere/at/all")
    ended = run_here("seed")
    assert_one_paragraph(ended, code=2, said=(".integrity: cannot be written",))


def test_settings_that_are_a_folder_or_a_loop_are_none(run_here: Callable[..., Ended], tmp_path: Path) -> None:
    (tmp_path / TOML).symlink_to(tmp_path / TOML)
    assert run_here("list")[0] == 0
    (tmp_path / TOML).unlink()
    (tmp_path / TOML).mkdir()
    assert run_here("list")[0] == 0


def test_a_current_folder_that_is_gone_is_said(run_here: Callable[..., Ended], tmp_path: Path) -> None:
    gone = tmp_path / "gone"
    gone.mkdir()
    os.chdir(gone)
    gone.rmdir()
    for command in ("validate", "seed", "list", "db status", "run hammer", "race", "health", "stop"):
        assert_one_paragraph(run_here(*command.split()), code=2, said=("the current folder no longer exists", "--project"))
    os.chdir(tmp_path)
