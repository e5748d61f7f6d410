"""Whatever dies in the middle of a run, every acknowledged call is in the database and an unknown one at most once."""

import os
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from integrity.database.namespace import guard
from integrity.engines.embedded.server import EmbeddedServer
from integrity.engines.target import Target
from integrity.errors import Unreachable
from integrity.events import Event
from integrity.history import Outcome, decode
from integrity.load.profile import load_profile
from integrity.load.request import EndedRun, RunAdvanced, RunRequest
from integrity.load.run import run
from integrity.project import Project, Settings
from integrity.reference.ghostpass.system import GHOSTPASS
from integrity.runs.unfinished import Unfinished, load_unfinished
from integrity.seeds.load import Mode, seed_system
from tests.waiting import wait_until

# Each ok of these writes exactly one audit row under its operation_id, in the transaction that it is about; so does a scan
# that is declined, but for an unknown wallet's. A declined sale, refund or webhook leaves nothing.
EFFECTS = """
    select calls.operation, calls.outcome, calls.reply ->> 'reason', count(audit_log.id)
    from integrity.calls as calls
    left join ghostpass.audit_log on audit_log.operation_id = calls.operation_id
    group by calls.run_id, calls.operation_id, calls.operation, calls.outcome, calls.reply ->> 'reason'
"""

UNCLAIMED = """
    select count(*)
    from ghostpass.audit_log
    where audit_log.id > :newest
      and not exists (select from integrity.calls where calls.operation_id = audit_log.operation_id)
"""


def seed(target: Target) -> Target:
    seed_system(target, guard(target, None), GHOSTPASS, sizes={"wallets": 200}, seed=1, mode=Mode.NEW)
    return target


@pytest.fixture
def own_server(tmp_path: Path) -> Iterator[EmbeddedServer]:
    """A server that may be killed. It does not die with the thread that started it: the run that revives it goes on."""
    server = EmbeddedServer(tmp_path / "postgres", settings={"shared_buffers": "64MB"})
    server.start()
    yield server
    server.reset()


def newest_audit_row(target: Target) -> int:
    with closing(target.connect()) as server:
        row = server.execute("select max(id) from ghostpass.audit_log").fetchone()
    assert row is not None
    return int(row[0])


def check_effects(target: Target, newest_before: int) -> Counter[str]:
    """Check each call's effect against its outcome; return the outcomes."""
    with closing(target.connect()) as server:
        effects = server.execute(EFFECTS.encode()).fetchall()
        unclaimed = server.execute(UNCLAIMED.replace(":newest", str(newest_before)).encode()).fetchone()
    outcomes: Counter[str] = Counter()
    for operation, outcome, reason, count in effects:
        outcomes[outcome] += 1
        if outcome == Outcome.OK:
            assert count == 1, operation
        elif outcome == Outcome.FAILED:
            assert count == 0, operation
        elif outcome == Outcome.UNKNOWN:
            assert count <= 1, operation
        else:
            assert count == (1 if operation.startswith("scan_") else 0), (operation, reason)
    assert unclaimed == (0,)
    return outcomes


def request(target: Target, folder: Path, *, server: EmbeddedServer | None, duration_s: float = 4.0) -> RunRequest:
    profile = load_profile(GHOSTPASS, "hammer", {}, {"duration_s": duration_s})
    return RunRequest(
        system=GHOSTPASS,
        profile_name="hammer",
        profile=profile,
        target=target,
        project=Project(folder, Settings()),
        seed=1,
        revive=server.start if server else None,
    )


def run_and_kill_server(target: Target, folder: Path, server: EmbeddedServer, *, revives: bool) -> EndedRun:
    """Run; after the first second, kill -9 the postmaster."""
    pid = server.status().pid
    assert pid is not None
    pids = [pid]

    def kill(event: Event) -> None:
        if pids and isinstance(event, RunAdvanced):
            os.kill(pids.pop(), signal.SIGKILL)

    return run(request(target, folder, server=server if revives else None), kill)


def test_a_run_goes_on_after_its_server_was_killed_and_loses_nothing_it_was_told(
    own_server: EmbeddedServer, tmp_path: Path
) -> None:
    target = seed(own_server.target)
    newest = newest_audit_row(target)

    result = run_and_kill_server(target, tmp_path, own_server, revives=True)

    assert result.result.state == "finished"
    assert result.result.reconnects >= 8
    with result.folder.history.open("rb") as lines:
        calls = list(decode(lines, place="history"))
    last_lost_us = max(c.invoked_at_us for c in calls if c.error.startswith("connection lost"))
    assert sum(c.outcome is Outcome.OK and c.invoked_at_us > last_lost_us for c in calls) > 0
    outcomes = check_effects(target, newest)
    assert outcomes["ok"] > 10
    assert outcomes["failed"] + outcomes["unknown"] > 0


def test_a_server_that_stays_away_ends_the_run_and_keeps_its_history(
    own_server: EmbeddedServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nobody brings it back: the run ends with the reason; when it is back, the next audit finds and loads the calls."""
    monkeypatch.setattr("integrity.clients.reconnecting.PATIENCE_S", 0.2)
    target = seed(own_server.target)
    newest = newest_audit_row(target)

    with pytest.raises(Unreachable):
        run_and_kill_server(target, tmp_path, own_server, revives=False)
    own_server.start()
    (loaded,) = load_unfinished(target, Project(tmp_path, Settings())).loaded

    assert loaded.state == "interrupted"
    assert loaded.call_count > 10
    assert check_effects(target, newest)["ok"] > 10


def test_a_killed_client_leaves_a_history_that_the_next_audit_loads(database: Target, tmp_path: Path) -> None:
    target = seed(database)
    newest = newest_audit_row(target)
    project = Project(tmp_path, Settings())
    command = [sys.executable, "-m", "integrity", "run", "hammer", "--duration", "10m", "--seed", "1"]
    process = subprocess.Popen(
        [*command, "--project", str(tmp_path), "--database", target.text],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    histories = tmp_path / ".integrity/runs"
    wait_until(
        lambda: (
            process.poll() is not None
            or any(each.read_bytes().count(b"\n") > 1000 for each in histories.glob("*/history.jsonl"))
        )
    )
    while_alive = load_unfinished(target, project)
    process.kill()
    said = process.communicate(timeout=30)[1]
    assert process.returncode == -signal.SIGKILL, said
    wait_for_backends_to_end(target)

    (loaded,) = load_unfinished(target, project).loaded

    assert while_alive == Unfinished(alive=frozenset({loaded.run_id}))  # another's run is left alone while it lives
    assert (loaded.state, loaded.call_count > 400) == ("interrupted", True)
    assert 1 <= loaded.unknown_count <= 8 + loaded.call_count // 10
    assert check_effects(target, newest)["ok"] > 10
    assert load_unfinished(target, project) == Unfinished()


def wait_for_backends_to_end(target: Target) -> None:
    """A killed client's last statements may still be carried out: return when the server has let go of all its sessions."""
    with closing(target.connect()) as server:
        while server.execute(
            "select 1 from pg_stat_activity where datname = current_database() and application_name = 'integrity-run'"
        ).fetchone():
            continue


def test_a_database_that_is_not_ours_is_not_loaded_into(database: Target, tmp_path: Path) -> None:
    with closing(database.connect()) as server:
        server.execute("create schema integrity")
        server.execute("create table integrity.runs (run_id text)")

    assert load_unfinished(database, Project(tmp_path, Settings())) == Unfinished()
