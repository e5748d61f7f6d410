"""A run whose calls several processes make is one run: whole, judged on all calls, stopped and broken off as one."""

import os
import signal
import subprocess
import sys
from collections.abc import Mapping
from itertools import takewhile
from pathlib import Path
from typing import Any

import orjson
import pytest

import integrity
from integrity.engines.embedded.server import EmbeddedServer
from integrity.engines.target import Target
from integrity.exit_codes import ExitCode
from integrity.history import Outcome, decode
from integrity.load.arrivals import schedule
from integrity.load.profile import OpenProfile, load_profile
from integrity.load.request import EndedRun
from integrity.measure.distribution import Distribution, percentiles
from integrity.project import Project, Settings
from integrity.reference.ghostpass.system import GHOSTPASS
from integrity.reference.inbox.system import INBOX
from integrity.reference.safebox.system import SAFEBOX
from integrity.reference.streamvote.system import STREAMVOTE
from integrity.runs.histories import open_calls, open_received
from integrity.runs.result import Owed
from integrity.systems.system import System
from tests.detection.worlds import judge, make_seeded, violated
from tests.waiting import wait_until


def play(target: Target, system: System, folder: Path, profile: str, processes: int = 2, **given: Any) -> EndedRun:
    return integrity.Run(
        system=system, target=target, profile=profile, folder=folder, processes=processes, seed=1, **given
    )()


def ask(target: Target, query: str) -> list[tuple[Any, ...]]:
    with target.connect() as connection:
        return connection.execute(query.encode()).fetchall()


@pytest.mark.parametrize("system", [SAFEBOX, INBOX], ids=lambda system: system.name)
def test_a_run_of_two_processes_is_one_run_over_all_their_calls(
    server: EmbeddedServer, tmp_path: Path, system: System
) -> None:
    """Services remember, webhooks come back, what is left open is taken up: with one memory of a mint, or a false alarm."""
    target = make_seeded(server, system, f"processes_{system.name}")

    ended = play(target, system, tmp_path, "hammer", clients=5, duration_s=2.0)

    result = ended.result
    assert (result.state, result.owed) == ("finished", Owed(webhooks=0, open={}))
    assert result.settled_at_us is not None
    with open_calls(ended.folder) as history:
        calls = list(history)
        assert history.is_whole
    # The figures are those of all calls, and the history is theirs.
    assert len(calls) == result.total.calls == ended.loaded.call_count > 50
    latencies_ms = Distribution()
    for call in calls:
        if call.outcome in (Outcome.OK, Outcome.DECLINED) and call.returned_at_us is not None:
            latencies_ms.append((call.returned_at_us - call.intended_at_us) / 1000)
    assert percentiles(latencies_ms) == {name: getattr(result.total, name) for name in percentiles(latencies_ms)}
    samples = ended.folder.samples()
    assert sum(each.calls for each in samples) == sum(each.calls for each in samples[-1].operations.values()) > 0
    # Each process has made its share, under numbers of its own.
    numbers = [{call.client for call in calls_of(ended, process)} for process in (1, 2)]
    assert numbers[0] & numbers[1] == set()
    assert [each & set(range(5)) for each in numbers] == [{0, 2, 4}, {1, 3}]
    assert violated(judge(target, Project(tmp_path, Settings()), system)) == set()
    assert children_of(os.getpid()) == []


def test_arrivals_streams_and_faults_of_a_run_reach_all_its_processes(server: EmbeddedServer, tmp_path: Path) -> None:
    """Every arrival comes once; a fault on the wire, of clients, of services and of streams acts on both, and heals."""
    target = make_seeded(server, STREAMVOTE, "processes_faults")
    faults = [
        "stream_disconnect:share=1@0.5-1.2",
        "connection_reset:share=1,every_s=0@1.4-1.6",
        "client_crash:share=1@1.8-2.4",
        "service_error:share=1@2.6-3.4",
    ]

    ended = play(target, STREAMVOTE, tmp_path, "smoke", duration_s=4.0, connections=4, faults=faults)

    result, profile = ended.result, load_profile(STREAMVOTE, "smoke", {}, {"duration_s": 4.0, "connections": 4})
    assert isinstance(profile, OpenProfile)
    assert result.arrivals is not None
    assert result.arrivals.offered == sum(1 for _ in takewhile(lambda each: each.at_s < 4.0, schedule(profile, 1)))
    assert {each.fault: bool(sum(each.did.values())) for each in result.faults} == {
        "stream_disconnect": True,
        "connection_reset": True,
        "client_crash": True,
        "service_error": True,
    }
    # Both lose their connections, and both have streams that bring what was sent.
    assert result.faults[1].did["connections reset"] == 4 + sum(each.connections for each in profile.subscribers)
    with open_received(ended.folder) as received:
        listeners = {event.client for event in received}
    assert {client % 2 for client in listeners} == {0, 1}
    assert violated(judge(target, Project(tmp_path, Settings()), STREAMVOTE)) == set()


def calls_of(ended: EndedRun, process: int) -> list[Any]:
    with (ended.folder.path / f"history-{process}.jsonl").open("rb") as lines:
        return list(decode(lines, place=f"history-{process}"))


def children_of(pid: int) -> list[int]:
    """Return the processes that make calls for a run of this one."""
    children = [int(each) for task in Path(f"/proc/{pid}/task").glob("*/children") for each in task.read_text().split()]
    return [each for each in children if is_running(each) and b"load.shards" in Path(f"/proc/{each}/cmdline").read_bytes()]


@pytest.fixture
def venue(server: EmbeddedServer, request: pytest.FixtureRequest) -> Target:
    return make_seeded(server, GHOSTPASS, f"processes_{abs(hash(request.node.name))}")


def start(folder: Path, target: Target, *arguments: str) -> "subprocess.Popen[str]":
    command = [sys.executable, "-m", "integrity", "run", *arguments, "--project", str(folder), "--database", target.text]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=folder)


def start_hammer(folder: Path, target: Target) -> tuple["subprocess.Popen[str]", list[int]]:
    """Return a run of two processes that both make calls, and the ids of these."""
    process = start(folder, target, "hammer", "--duration", "10m", "--seed", "1", "--processes", "2")

    def both() -> bool:
        assert process.poll() is None, process.communicate()[1]
        histories = list(folder.glob(".integrity/runs/*/history-*.jsonl"))
        return len(histories) == 2 and all(each.read_bytes().count(b"\n") > 100 for each in histories)

    wait_until(both)
    shown = subprocess.run(
        ["ps", "-o", "pid=,args=", "--ppid", str(process.pid)], capture_output=True, text=True, check=True
    )
    return process, [int(line.split()[0]) for line in shown.stdout.splitlines() if "load.shards" in line]


def wait_for_end(ids: list[int]) -> None:
    wait_until(lambda: not any(is_running(each) for each in ids))


def is_running(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    except OSError:
        return False


def run(folder: Path, *words: str) -> tuple[int, Mapping[str, Any], str]:
    done = subprocess.run(
        [sys.executable, "-m", "integrity", *words, "--project", str(folder), "--json"],
        capture_output=True, text=True, cwd=folder, check=False,
    )  # fmt: skip
    return done.returncode, orjson.loads(done.stdout or "{}"), done.stderr


def test_ctrl_c_stops_all_processes_keeps_what_was_done_and_the_rest_is_made_by_as_many(
    venue: Target, tmp_path: Path
) -> None:
    process, ids = start_hammer(tmp_path, venue)
    os.kill(process.pid, signal.SIGINT)
    shown, said = process.communicate(timeout=60)

    assert process.returncode == ExitCode.INTERRUPTED, said
    assert "interrupted; what was done is recorded and loaded" in " ".join(shown.split())
    assert "Traceback" not in said
    wait_for_end(ids)
    (folder,) = (tmp_path / ".integrity/runs").iterdir()
    result = orjson.loads((folder / "result.json").read_bytes())
    total = next(each["calls"] for each in result["operations"] if each["operation"] == "total")
    assert ask(venue, "select count(*), max(run_id) from integrity.calls") == [(total, folder.name)]
    assert ask(venue, "select count(*) from ghostpass.fundings where status = 'pending'") == [(0,)]
    told = start(tmp_path, venue, "--resume", folder.name, "--processes", "2").communicate(timeout=60)[1]
    assert "goes on as it was asked for, without --processes" in " ".join(told.split())


def test_a_process_that_is_killed_ends_the_run_which_says_so_and_its_open_calls_are_unknown(
    venue: Target, tmp_path: Path
) -> None:
    process, ids = start_hammer(tmp_path, venue)
    assert len(ids) == 2
    os.kill(ids[0], signal.SIGKILL)
    said = process.communicate(timeout=60)[1]

    assert process.returncode == ExitCode.UNKNOWN
    told = " ".join(said.split())
    assert "of the 2 that made the calls of the run was killed by SIGKILL" in told
    assert "under way, and nobody knows how they ended" in told
    wait_for_end(ids)
    code, audit, said = run(tmp_path, "validate", "--system", "ghostpass", "--database", venue.text)
    assert code == ExitCode.OK, said
    assert audit
    (noted,) = ask(venue, "select state, calls_until is not null from integrity.runs")
    assert noted == ("interrupted", True)
    unknown = ask(venue, "select count(*) from integrity.calls where returned_at is null")[0][0]
    assert f"{unknown} call" in told


def test_no_process_outlives_the_run_that_is_killed(venue: Target, tmp_path: Path) -> None:
    process, ids = start_hammer(tmp_path, venue)
    process.kill()
    process.communicate(timeout=60)
    wait_for_end(ids)
    code, _, said = run(tmp_path, "validate", "--system", "ghostpass", "--database", venue.text)
    assert code == ExitCode.OK, said
    assert ask(venue, "select count(*) > 100 from integrity.calls") == [(True,)]
