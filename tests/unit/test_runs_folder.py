"""A run's folder is its owner's alone: calls hold what clients sent."""

import os
from pathlib import Path

from integrity.project import Project, Settings, make_state_folder
from integrity.runs.folder import Recorder, find_runs, make_run_folder
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


def test_runs_of_one_second_are_in_the_order_in_which_they_began(tmp_path: Path) -> None:
    written = {"20261130-071104-shop-smoke": 1, "20261130-071104-shop-rough": 2, "20261130-071103-shop-smoke": 3}
    for name, at_s in written.items():
        (tmp_path / name).mkdir()
        (tmp_path / name / "settings.json").touch()
        os.utime(tmp_path / name / "settings.json", (at_s, at_s))
    assert [folder.run_id for folder in find_runs(tmp_path)] == [
        "20261130-071103-shop-smoke", "20261130-071104-shop-smoke", "20261130-071104-shop-rough"
    ]  # fmt: skip
