"""`integrity stop` ends a run by its own process, in good order, and no other process ever."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest

from integrity.database.namespace import guard
from integrity.engines.target import Target
from integrity.errors import HistoryError, UsageError
from integrity.project import Project, Settings
from integrity.reference.ghostpass.system import GHOSTPASS
from integrity.runs import stopping
from integrity.runs.folder import Recorder, RunFolder, make_run_folder
from integrity.runs.stopping import Ending, find_run, find_running, stop_run
from integrity.seeds.load import Mode, seed_system
from tests.documents import make_settings
from tests.waiting import wait_until

WAIT_S_MAX = 60


@pytest.fixture
def venue(database: Target) -> Target:
    seed_system(database, guard(database, None), GHOSTPASS, sizes={"wallets": 200}, seed=1, mode=Mode.NEW)
    return database


@pytest.fixture
def begin(venue: Target, tmp_path: Path) -> Iterator[Callable[[], "subprocess.Popen[str]"]]:
    """Begin a run of ten minutes; it is ended after the test."""
    begun: list[subprocess.Popen[str]] = []

    def begin() -> "subprocess.Popen[str]":
        command = [sys.executable, "-m", "integrity", "run", "smoke", "--duration", "10m", "--database", venue.text]
        process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, cwd=tmp_path)
        begun.append(process)
        running = len(begun)
        until(process, lambda: sum(has_calls(folder) for folder in find_running(project(tmp_path))) == running)
        return process

    yield begin
    for process in begun:
        process.kill()
        process.communicate()


def project(folder: Path) -> Project:
    return Project(folder, Settings())


def has_calls(folder: RunFolder) -> bool:
    return folder.history.read_bytes().count(b"\n") > 20


def until(process: "subprocess.Popen[str]", is_so: Callable[[], bool]) -> None:
    def is_so_while_it_runs() -> bool:
        assert process.poll() is None, f"the run ended: {process.communicate()[0]}"
        return is_so()

    wait_until(is_so_while_it_runs)


def stop(*words: str, folder: Path) -> "subprocess.CompletedProcess[str]":
    command = [sys.executable, "-m", "integrity", "stop", *words]
    return subprocess.run(command, capture_output=True, text=True, cwd=folder, timeout=120, check=False)


def test_a_run_is_stopped_in_good_order_and_its_history_is_loaded(
    begin: Callable[[], "subprocess.Popen[str]"], venue: Target, tmp_path: Path
) -> None:
    process = begin()
    (folder,) = find_running(project(tmp_path))

    stopped = stop(folder=tmp_path)

    assert stopped.returncode == 0, stopped.stderr
    result = folder.result()
    assert result is not None
    calls = result.total.calls
    assert stopped.stdout.startswith(f"{folder.run_id}: stopped after ")
    assert stopped.stdout.endswith(f", with {calls} calls.\n")
    assert process.wait(WAIT_S_MAX) == 130
    with closing(venue.connect()) as server:
        noted = server.execute(
            "select state, count(*) from integrity.runs join integrity.calls using (run_id) group by state"
        ).fetchall()
    assert noted == [("interrupted", calls)]
    assert stop(folder=tmp_path).stdout == "No run is running here.\n"
    assert stop(folder.run_id, folder=tmp_path).stdout == f"{folder.run_id} is not running.\n"


def test_of_two_runs_one_has_to_be_named_or_all(begin: Callable[[], "subprocess.Popen[str]"], tmp_path: Path) -> None:
    first, second = begin(), begin()
    refused = stop(folder=tmp_path)
    assert refused.returncode == 2
    assert "2 runs are running: " in refused.stderr
    assert (first.poll(), second.poll()) == (None, None)
    said = json.loads(stop("--all", "--json", folder=tmp_path).stdout)["runs"]
    assert {each["pid"] for each in said} == {first.pid, second.pid}
    assert {each["ending"] for each in said} == {"ended"}


def test_a_run_that_does_not_end_by_itself_is_ended(
    begin: Callable[[], "subprocess.Popen[str]"], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A process that stands still hears nothing; once it goes on, both signals are there."""
    monkeypatch.setattr(stopping, "TERMINATE_S_MOST", 0.2)
    process = begin()
    (folder,) = find_running(project(tmp_path))
    process.send_signal(signal.SIGSTOP)
    stuck = stop_run(folder, grace_s=0.2)
    assert (stuck.ending, stuck.call_count) == (Ending.STILL_RUNNING, None)
    assert folder.is_alive()
    process.send_signal(signal.SIGCONT)
    process.wait(WAIT_S_MAX)
    assert not folder.is_alive()
    assert stop_run(folder, grace_s=0.2).ending is Ending.ENDED, "nobody is there any more"


def test_another_process_with_the_runs_id_is_left_alone(tmp_path: Path) -> None:
    """Its run's history is locked by somebody, but the process of that id began at another time."""
    bystander = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    folder = make_run_folder(tmp_path / ".integrity/runs", "20260101-000000-ghostpass-smoke")
    recorder = Recorder(folder, make_settings(pid=bystander.pid, process_mark="another-boot:1"))
    try:
        assert find_running(project(tmp_path)) == [folder]
        with pytest.raises(HistoryError, match=f"of its process {bystander.pid} that is another process now"):
            stop_run(folder, grace_s=0.1)
        told = stop(folder=tmp_path)
        assert told.returncode == 2
        assert "stop it there" in told.stderr
        assert bystander.poll() is None
        bystander.communicate(b"\n")
        with pytest.raises(HistoryError, match="there is no such process here"):
            stop_run(folder, grace_s=0.1)
    finally:
        recorder.close()
        bystander.kill()
        bystander.communicate()


def test_a_run_that_ended_is_not_running_whoever_has_its_process_id_now(tmp_path: Path) -> None:
    folder = make_run_folder(tmp_path / ".integrity/runs", "20260101-000000-ghostpass-smoke")
    Recorder(folder, make_settings(pid=os.getpid(), process_mark="another-boot:1")).close()
    assert find_running(project(tmp_path)) == []
    assert stop_run(folder, grace_s=0.1).ending is Ending.ENDED
    assert stop(folder=tmp_path).stdout == "No run is running here.\n"


def test_a_run_is_found_by_the_start_of_its_name(tmp_path: Path) -> None:
    for name in ("20260101-a", "20260101-b", "20260102-c"):
        Recorder(make_run_folder(tmp_path / ".integrity/runs", name), make_settings()).close()
    assert find_run(project(tmp_path), "20260102").run_id == "20260102-c"
    assert find_run(project(tmp_path), "20260101-a").run_id == "20260101-a"
    with pytest.raises(UsageError, match="2 runs begin with '20260101': 20260101-a, 20260101-b"):
        find_run(project(tmp_path), "20260101")
    with pytest.raises(UsageError) as unknown:
        find_run(project(tmp_path), "20260102-d")
    runs = f"Runs are the folders in {tmp_path / '.integrity/runs'}. The newest are: 20260102-c, 20260101-b, 20260101-a."
    assert unknown.value.hint == f"Perhaps you meant 20260102-c. {runs}"
    refused = stop("nosuch", folder=tmp_path)
    assert refused.returncode == 2
    assert "there is no run 'nosuch'" in refused.stderr
