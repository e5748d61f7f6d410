"""A run's folder is its owner's alone: calls hold what clients sent."""

import json
import os
from datetime import datetime
from pathlib import Path

from integrity.project import Project, Settings, make_state_folder
from integrity.runs.folder import Recorder, make_run_folder
from integrity.runs.order import find_runs
from integrity.runs.samples import RunSample
from tests.documents import make_result, make_settings


def test_a_run_folder_and_all_that_is_in_it_is_nobody_elses_to_read(tmp_path: Path) -> None:
    project = Project(tmp_path, Settings())
    before = os.umask(0o022)
    try:
        project.state_folder.mkdir(mode=0o755)
        folder = make_run_folder(project.runs_folder, "one")
        recorder = Recorder(folder, make_settings())
        recorder.append(b"{}\n")
        recorder.append_sample(RunSample(at_us=1, elapsed_s=0.0, calls=0, faults=0, p95_ms=None, operations={}, rss_mb=0.0))
        recorder.close()
        folder.write_result(make_result())
    finally:
        os.umask(before)
    assert folder.path.stat().st_mode & 0o777 == 0o700
    assert {file.name: oct(file.stat().st_mode & 0o777) for file in folder.path.iterdir()} == {
        file.name: "0o600" for file in folder.path.iterdir()
    }
    for above in (project.state_folder, project.runs_folder):
        assert above.stat().st_mode & 0o066 == 0, "nobody else looks into it"


def test_a_state_folder_that_was_open_is_closed(tmp_path: Path) -> None:
    project = Project(tmp_path, Settings())
    project.state_folder.mkdir()
    project.state_folder.chmod(0o777)
    make_state_folder(project)
    assert project.state_folder.stat().st_mode & 0o066 == 0


def test_runs_are_in_the_order_in_which_they_began_whatever_their_folders_are_called(tmp_path: Path) -> None:
    """Two of one second, one by a clock that was set back, one whose settings are still to come or were torn."""
    noon_us = int(datetime(2026, 11, 30, 12).astimezone().timestamp()) * 1_000_000
    began = {
        "20261130-120001-shop-usual": noon_us + 1_500_002,
        "20261130-120001-shop-smoke": noon_us + 1_500_003,
        "20261130-115959-shop-late": noon_us + 9_000_000,
        "20261130-120000-shop-first": noon_us + 300_000,
    }
    for name, at_us in began.items():
        (tmp_path / name).mkdir()
        (tmp_path / name / "settings.json").write_text(json.dumps(make_settings(started_at_us=at_us).to_json()))
    (tmp_path / "20261130-120004-shop-torn").mkdir()
    (tmp_path / "20261130-120004-shop-torn" / "settings.json").write_text("{")
    (tmp_path / "renamed").mkdir()
    assert [folder.run_id.rpartition("-")[2] for folder in find_runs(tmp_path)] == [
        "renamed", "first", "usual", "smoke", "torn", "late"
    ]  # fmt: skip
