"""Locust's users make the calls of a run: what Locust counts is what the history holds, and an audit of it as ever."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

from integrity.engines.embedded.server import EmbeddedServer
from integrity.exit_codes import ExitCode
from integrity.history import Call, Outcome
from integrity.load.stations.order import CLIENTS_OF_ONE
from integrity.reference.streamvote.system import STREAMVOTE
from integrity.runs.folder import RunFolder
from integrity.runs.histories import open_calls
from tests.database.served import Server, serving
from tests.detection.test_detection import MakeDatabase, seeded

if find_spec("locust") is None:  # to import it would patch this process for gevent
    pytest.skip("Locust is an extra: pip install integrity[locust]", allow_module_level=True)

__all__ = ["seeded"]  # a fixture

LOCUSTFILE = """
from integrity.locust import IntegrityUser

class Voter(IntegrityUser):
    pass
"""
PATIENCE_S = 120
JUDGED = (ExitCode.OK, ExitCode.UNKNOWN, ExitCode.THRESHOLD)
"""What a run's limits come to is a matter of how busy the machine is."""


class Played:
    """A folder with a locustfile, and a server that is asked."""

    def __init__(self, folder: Path, database: str, server: Server) -> None:
        self.folder, self.database, self.server = folder, database, server
        (folder / "locustfile.py").write_text(LOCUSTFILE)

    def start(self, *words: str) -> "subprocess.Popen[str]":
        """Start Locust."""
        command = [sys.executable, "-m", "locust", "-f", "locustfile.py", *words]
        return subprocess.Popen(
            command, cwd=self.folder, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True
        )

    def asked(self, *words: str, host: str | None = None, profile: str = "hammer") -> list[str]:
        """Return the words of a test without a web page."""
        given = {"host": host or self.server.url, "integrity-system": "streamvote", "integrity-profile": profile}
        named = [word for name, value in given.items() for word in (f"--{name}", value)]
        return ["--headless", "--json", "--stop-timeout", "20", "--integrity-database", self.database, *named, *words]

    def calls(self) -> list[Call]:
        """Return the calls of the only run."""
        (folder,) = (self.folder / ".integrity/runs").iterdir()
        with open_calls(RunFolder(folder)) as calls:
            return list(calls)

    def validate(self) -> tuple[int, dict[str, Any]]:
        """Return the exit code of the audit, and what it printed."""
        words = ["validate", "--system", "streamvote", "--database", self.database, "--json"]
        command = [sys.executable, "-m", "integrity", *words]
        done = subprocess.run(command, cwd=self.folder, capture_output=True, text=True, timeout=PATIENCE_S, check=False)
        return done.returncode, json.loads(done.stdout)


@pytest.fixture
def played(
    seeded: Callable[[Any], str], make_database: MakeDatabase, server: EmbeddedServer, tmp_path: Path
) -> Iterator[Played]:
    del server
    target = make_database(seeded(STREAMVOTE))
    with serving(target, tmp_path, "streamvote", "--profile", "hammer") as asked:
        yield Played(tmp_path, target.text, asked)


@contextmanager
def ended(*processes: "subprocess.Popen[str]") -> Iterator[None]:
    """End processes, and what they started, by force where they have not."""
    try:
        yield
    finally:
        for process in processes:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)
            process.communicate()


def count_by_locust(printed: str) -> Counter[str]:
    """Return how often which operation was asked for, as Locust printed it."""
    return Counter({each["name"]: each["num_requests"] for each in json.loads(printed[printed.index("[\n") :])})


def drawn(calls: Sequence[Call]) -> Counter[str]:
    """Return how often which operation was called by stations, without the deliveries that follow."""
    return Counter(call.operation for call in calls if call.client >= CLIENTS_OF_ONE)


def test_what_locust_counts_is_in_the_history_and_holds(played: Played) -> None:
    locust = played.start(*played.asked("-u", "4", "-r", "4", "-t", "15s"))
    with ended(locust):
        out, err = locust.communicate(timeout=PATIENCE_S)
    assert locust.returncode in JUDGED, err[-3000:]
    assert "streamvote hammer, seed" in out, err[-3000:]
    counted, calls = count_by_locust(out), played.calls()
    assert counted.total() > 0
    assert {name: drawn(calls)[name] for name in counted} == dict(counted)
    code, judged = played.validate()
    assert (code, judged["counts"]["violated"], judged["counts"]["unknown"]) == (ExitCode.OK, 0, 0)


def test_a_worker_that_is_killed_leaves_unknown_and_nothing_violated(played: Played) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = str(free.getsockname()[1])
    at = ("--master-host", "127.0.0.1", "--master-port", port)
    workers = [played.start("--worker", *at) for _ in range(2)]
    master = played.start(
        "--master", "--master-bind-host", "127.0.0.1", "--master-bind-port", port, "--expect-workers", "2",
        *played.asked("-u", "6", "-r", "6", "-t", "30s"),
    )  # fmt: skip
    with ended(master, *workers):
        history = wait_for_calls_of_two(played)
        os.killpg(workers[0].pid, signal.SIGKILL)
        out, err = master.communicate(timeout=PATIENCE_S)
    assert master.returncode in JUDGED, err[-3000:]
    assert "was lost: what it had not told" in err
    assert "Not all that was done is known" in " ".join(out.split())
    assert history
    stations = {call.client // CLIENTS_OF_ONE for call in played.calls() if call.outcome is Outcome.OK}
    assert {1, 2} <= stations
    code, judged = played.validate()
    assert [each["name"] for each in judged["invariants"] if each["verdict"] == "violated"] == []
    assert code in (ExitCode.OK, ExitCode.UNKNOWN)  # unknown are the rows whose calls it had not told, where there are some


def wait_for_calls_of_two(played: Played) -> bool:
    """Return whether both workers made calls, as soon as they did."""
    give_up_at = time.monotonic() + PATIENCE_S
    while time.monotonic() < give_up_at:
        for history in (played.folder / ".integrity/runs").glob("*/history.jsonl"):
            text = history.read_text()
            if '"client":1000' in text and '"client":2000' in text:
                return True
        time.sleep(0.2)
    return False


def test_a_run_that_is_refused_ends_locust_with_its_words(played: Played) -> None:
    refused = (
        ("http://192.0.2.1:8000", "hammer", "is not on this machine"),
        (None, "baseline", "says itself when its calls are made"),
    )
    for host, profile, said in refused:
        locust = played.start(*played.asked("-u", "2", "-t", "60s", host=host, profile=profile))
        with ended(locust):
            _, err = locust.communicate(timeout=PATIENCE_S)
        assert locust.returncode == ExitCode.USAGE
        assert said in " ".join(err.split())
        assert "Traceback" not in err
