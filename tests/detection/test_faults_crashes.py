"""A server that is killed (-9, every process of it) while it is hammered keeps what it acknowledged; where it promises
less, what is missing is found and counted. benchmarks/crashes.py does the same with twenty kills.
"""

from collections.abc import Iterator
from pathlib import Path

import pytest

from integrity.engines.embedded.server import EmbeddedServer
from integrity.faults.schedule import read_schedule
from integrity.load.profile import load_profile
from integrity.load.request import RunRequest
from integrity.load.run import run
from integrity.project import find_project
from integrity.registry import SYSTEMS
from integrity.runs.result import RunResult
from tests.detection.worlds import judge, make_seeded, violated

GHOSTPASS = SYSTEMS["ghostpass"]
STORED = "ghostpass/acknowledged-call-is-stored"


@pytest.fixture
def server(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[EmbeddedServer]:
    """A server that may be killed, with the given settings. fsync is off: the kernel outlives the server here."""
    settings = {"shared_buffers": "64MB", "fsync": "off", **request.param}
    server = EmbeddedServer(tmp_path / "postgres", settings=settings)
    server.start()
    yield server
    server.reset()


def hammer_and_kill(server: EmbeddedServer, folder: Path) -> tuple[RunResult, dict[str, int]]:
    """Kill the server in the middle of two runs; return the last result, and how many rows violate what."""
    target = make_seeded(server, GHOSTPASS, "venue")
    project = find_project(folder)
    for seed in (1, 2):
        result = run(
            RunRequest(
                system=GHOSTPASS,
                profile_name="hammer",
                # A webhook about what was lost is refused until it is given up.
                profile=load_profile(GHOSTPASS, "hammer", {}, {"duration_s": 3.0, "drain_s": 2.0}),
                target=target,
                project=project,
                seed=seed,
                revive=server.start,
                server=server,
                faults=read_schedule(["server_killed@40%-45%"], duration_s=3.0),
            )
        ).result
        assert [effect.did["servers killed"] for effect in result.faults] == [1]
        assert result.total.ok > 50
    judged = judge(target, project, GHOSTPASS)
    return result, {name: judged[name].finding.violation_count for name in violated(judged)}


@pytest.mark.slow
@pytest.mark.parametrize("server", [{"synchronous_commit": "on"}], indirect=True)
def test_what_was_acknowledged_survives_when_commits_are_synchronous(server: EmbeddedServer, tmp_path: Path) -> None:
    result, found = hammer_and_kill(server, tmp_path)
    assert found == {}
    unknown = result.unknown_outcomes
    assert unknown is not None
    assert (unknown.twice, unknown.open_sessions) == (0, 0)


@pytest.mark.slow
@pytest.mark.parametrize(
    "server",
    # What is committed within wal_writer_delay of the kill is lost; the default 200 ms would do on a fast machine.
    [{"synchronous_commit": "off", "wal_writer_delay": "2s"}],
    indirect=True,
)
def test_what_is_lost_when_commits_are_not_synchronous_is_found_and_counted(server: EmbeddedServer, tmp_path: Path) -> None:
    _, found = hammer_and_kill(server, tmp_path)
    assert found.pop(STORED) > 0
    # A webhook that was answered and lost comes no more: what it was about waits for ever.
    found.pop("ghostpass/funding-not-stuck", None)
    assert found == {}, "what is lost is lost whole"
