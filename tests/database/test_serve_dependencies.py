"""Outside parties as a process of their own, a system as another, and a run against that: nothing is lost between them."""

import json
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from integrity.engines.target import Target
from integrity.registry import SYSTEMS
from tests.database.served import Server, serving
from tests.database.test_serve_command import seed

FAULTS = (
    "service_error:share=0.1,code=429",
    "service_timeout:share=0.05",
    "webhook_drop",
    "webhook_duplicate",
    "webhook_reorder",
    "webhook_replay",
)


@contextmanager
def parties(folder: Path, system: str, *words: str) -> Iterator[Server]:
    command = [sys.executable, "-m", "integrity", "serve-dependencies", system, "--port", "0", "--json", *words]
    process = subprocess.Popen(command, cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert process.stdout is not None
    try:
        yield Server(json.loads(process.stdout.readline())["url"], process)
    finally:
        process.kill()
        process.communicate()


@pytest.mark.parametrize("name", [name for name in SYSTEMS if name != "instainstru"])
def test_a_sound_system_bears_the_faults_of_parties_that_are_servers_of_their_own(
    name: str, database: Target, tmp_path: Path
) -> None:
    seed(database, SYSTEMS[name])
    said = [word for fault in FAULTS for word in ("--fault", fault)]
    with (
        parties(tmp_path, name, *said) as outside,
        serving(database, tmp_path, name, "--dependencies", outside.url, "--dependency-timeout", "0.3") as server,
    ):
        run = ["run", "smoke", "--system", name, "--target", server.url, "--duration", "4s", "--database", database.text]
        ran = subprocess.run(
            [sys.executable, "-m", "integrity", *run],
            cwd=tmp_path,
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
        )
        assert ran.returncode in (0, 3, 4), ran.stdout + ran.stderr  # limits are for parties that behave
        audit = [sys.executable, "-m", "integrity", "validate", "--system", name, "--database", database.text]
        audited = subprocess.run(audit, cwd=tmp_path, capture_output=True, text=True, timeout=120, check=False)
        assert audited.returncode == 0, audited.stdout
        assert "invariants hold" in audited.stdout
        for each in (server, outside):
            each.process.send_signal(signal.SIGTERM)
            each.process.wait(timeout=60)
        assert outside.process.stdout is not None
        told = json.loads(outside.process.stdout.read().splitlines()[-1])
    assert (told["event"], told["left_owed"]) == ("served", 0)
    assert min(told["request_count"], told["delivery_count"], told["lost_count"]) > 0


def test_who_is_not_there_or_has_no_such_party_is_refused(database: Target, tmp_path: Path) -> None:
    seed(database, SYSTEMS["safebox"])
    for words, says in (
        (["safebox", "--dependencies", "http://127.0.0.1:9"], "integrity serve-dependencies safebox"),
        (["safebox", "--dependencies", "http://192.0.2.1:9"], "is not on this machine"),
    ):
        command = [sys.executable, "-m", "integrity", "serve", *words, "--port", "0", "--database", database.text]
        refused = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=60, check=False)
        assert (refused.returncode, refused.stdout) == (2, "")
        assert says in " ".join(refused.stderr.split())
