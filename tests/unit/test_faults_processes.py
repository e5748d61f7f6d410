"""The processes of a server are found by their parent, stopped and killed together, and never stay stopped."""

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from integrity.faults.processes import children_of, kill_family
from integrity.faults.server_stopped import stop_family

pytestmark = pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="needs /proc")

# A parent that starts two children, says so, and waits for its input to end.
PARENT = "sleep 600 & sleep 600 & echo; read -r _"


@pytest.fixture
def parent() -> Iterator["subprocess.Popen[bytes]"]:
    with subprocess.Popen(["/bin/sh", "-c", PARENT], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        process.stdout.readline()
        children = children_of(process.pid)
        yield process
        for pid in (process.pid, *children):
            if Path(f"/proc/{pid}").exists():
                kill_family(pid)


def wait_for_state(state: str, *pids: int) -> None:
    """Return when all are in that state: T is stopped, S asleep. A signal is taken when its process gets a turn."""
    while {_state_of(pid) for pid in pids} != {state}:
        continue


def _state_of(pid: int) -> str:
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]


def test_children_are_found_and_killed_with_their_parent(parent: "subprocess.Popen[bytes]") -> None:
    children = children_of(parent.pid)
    assert len(children) == 2
    assert kill_family(parent.pid) == 3
    assert parent.wait(10) == -9


@pytest.mark.timeout(30)
def test_a_family_is_stopped_until_its_guard_is_told(parent: "subprocess.Popen[bytes]") -> None:
    family = [parent.pid, *children_of(parent.pid)]
    guard = stop_family(parent.pid)
    wait_for_state("T", *family)
    guard.communicate(timeout=10)
    wait_for_state("S", *family)


STOPPER = """
import sys
from integrity.faults.server_stopped import stop_family
guard = stop_family(int(sys.argv[1]))
print("stopped", flush=True)
sys.stdin.read()
"""


@pytest.mark.timeout(30)
def test_a_family_goes_on_when_whoever_stopped_it_is_killed(parent: "subprocess.Popen[bytes]") -> None:
    """Else a server would stand still for ever when a run of ours is killed (-9)."""
    command = [sys.executable, "-c", STOPPER, str(parent.pid)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as stopper:
        assert stopper.stdout is not None
        assert stopper.stdout.readline() == b"stopped\n"
        wait_for_state("T", parent.pid)
        stopper.kill()
    wait_for_state("S", parent.pid)
