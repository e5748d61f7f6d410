"""A run ends when it owes nothing any more, or says what it still owes; what it left open for good is stuck at once."""

from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from integrity.engines.embedded.server import EmbeddedServer
from integrity.engines.target import Target
from integrity.load import work as working
from integrity.load.profile import load_profile
from integrity.load.request import EndedRun, RunRequest
from integrity.load.run import run
from integrity.project import Project, Settings
from integrity.reference.ghostpass.system import GHOSTPASS
from integrity.reference.inbox.system import INBOX
from integrity.reference.safebox.system import SAFEBOX
from integrity.report.run_text import render_run
from integrity.runs.result import Owed, Unfinished
from integrity.systems.system import Bug, System
from tests.detection.worlds import make_seeded, stuck

OPEN = {
    "safebox": "select count(*) from safebox.payments where status = 'processing'",
    "inbox": "select count(*) from inbox.media where status = 'pending'",
}
LEAVES_OPEN: Mapping[str, Mapping[str, Any]] = {
    # A mint and a store whose answers are often lost, and clients that die: much is open when the time is up.
    "safebox": {"weights": {"pay_address": 1}, "services": {"mint": {"timeout_share": 0.5, "timeout_s": 0.005}}},
    "inbox": {"weights": {"upload_media": 1}, "services": {"store": {"timeout_share": 0.3, "timeout_s": 0.005}}},
}


def play(
    target: Target, system: System, folder: Path, settings: Mapping[str, Any], *, bug: Bug | None = None, **more: Any
) -> EndedRun:
    profile = load_profile(system, "test", {"test": {"extends": "hammer", "duration_s": 0.5, **settings}})
    project = Project(folder, Settings())
    request = RunRequest(
        system=system, profile_name="test", profile=profile, target=target, project=project, seed=1, bug=bug
    )
    return run(request, **more)


def count(target: Target, query: str) -> int:
    with target.connect() as connection:
        row = connection.execute(query.encode()).fetchone()
    assert row is not None
    return int(row[0])


@pytest.mark.parametrize("system", [SAFEBOX, INBOX], ids=lambda system: system.name)
def test_what_was_left_open_is_taken_up_before_a_run_ends(server: EmbeddedServer, tmp_path: Path, system: System) -> None:
    target = make_seeded(server, system, f"settles_{system.name}")

    result = play(target, system, tmp_path, LEAVES_OPEN[system.name]).result

    assert result.owed == Owed(webhooks=0, open={})
    assert (result.settled_at_us or 0) > result.started_at_us
    assert count(target, OPEN[system.name]) == 0
    assert result.unfinished is not None
    assert set(result.unfinished.counts.values()) == {0}
    assert stuck(target, system) == {}
    assert stuck(target, system, later=timedelta(minutes=20)) == {}
    assert stuck(target, system, later=timedelta(hours=9)) == {}


def test_what_nobody_takes_up_is_stuck_as_soon_as_the_run_has_ended(server: EmbeddedServer, tmp_path: Path) -> None:
    target = make_seeded(server, SAFEBOX, "settles_in_vain")

    ended = play(target, SAFEBOX, tmp_path, LEAVES_OPEN["safebox"], bug=SAFEBOX.bugs["stuck_processing"])

    left = count(target, OPEN["safebox"])
    assert ended.result.settled_at_us is not None
    assert stuck(target, SAFEBOX)["safebox/payment-not-stuck"] == left > 0
    assert stuck(target, SAFEBOX, later=timedelta(hours=9))["safebox/payment-not-stuck"] == left
    assert "Left open for good: " in render_run(ended.result)
    assert ended.result.unfinished is not None
    assert ended.result.unfinished.counts["payments that the mint has not ended"] == left


@pytest.fixture
def venue(server: EmbeddedServer) -> Target:
    return make_seeded(server, GHOSTPASS, f"settles_{datetime.now(UTC):%H%M%S%f}")


SLOW = {"weights": {"request_funding": 1}, "services": {"processor": {"delay_least_s": 30, "delay_most_s": 60}}}


def test_a_run_that_is_stopped_does_not_wait_for_the_moment_at_which_a_webhook_was_to_come(
    venue: Target, tmp_path: Path, stopped_soon: Callable[[], None]
) -> None:
    stopped_soon()

    result = play(venue, GHOSTPASS, tmp_path, {**SLOW, "clients": 2, "duration_s": 30}).result

    assert result.state == "interrupted"
    assert result.owed == Owed(webhooks=0, open={})
    assert count(venue, "select count(*) from ghostpass.fundings where status = 'pending'") == 0


def test_what_a_run_still_owes_is_listed_and_not_held_against_the_system(venue: Target, tmp_path: Path) -> None:
    ended = play(venue, GHOSTPASS, tmp_path, {**SLOW, "drain_s": 0.1})

    pending = count(venue, "select count(*) from ghostpass.fundings where status = 'pending'")
    assert ended.result.owed is not None
    assert ended.result.owed.webhooks >= pending > 0
    assert ended.result.unfinished == Unfinished(counts={"fundings that the processor has not settled": pending})
    assert f"by the rows: {pending:,} fundings that" in " ".join(render_run(ended.result).split())
    assert ended.result.settled_at_us is None
    assert "Not settled at its end: what waits for that is not judged as stuck." in render_run(ended.result)
    assert stuck(venue, GHOSTPASS) == stuck(venue, GHOSTPASS, later=timedelta(hours=9)) == {}


def test_a_client_that_died_before_it_asked_the_processor_accuses_nobody(venue: Target, tmp_path: Path) -> None:
    result = play(
        venue, GHOSTPASS, tmp_path, {"weights": {"request_funding": 1}, "abandon": {"request_funding": 0.5}}
    ).result

    assert result.settled_at_us is not None
    assert count(venue, "select count(*) from ghostpass.fundings where status = 'pending'") > 0
    assert stuck(venue, GHOSTPASS) == stuck(venue, GHOSTPASS, later=timedelta(hours=9)) == {}


@pytest.fixture
def stopped_soon(monkeypatch: pytest.MonkeyPatch) -> Callable[[], None]:
    """Let the next run be stopped, as Ctrl-C does, when its first second is over."""

    def arrange() -> None:
        original = working.Work._look

        def look(work: Any) -> None:
            original(work)
            if work.watching.samples:
                work.stop()

        monkeypatch.setattr(working.Work, "_look", look)
        # A busy machine may take longer than a person would wait; the webhooks were to come later than that all the same.
        monkeypatch.setattr(working, "STOPPED_DRAIN_S", 25.0)

    return arrange


@pytest.mark.parametrize("clients", [1, 8])
def test_a_run_of_so_many_calls_ends_with_them_long_before_its_time(venue: Target, tmp_path: Path, clients: int) -> None:
    scanning = {"weights": {"scan_in": 1}, "abandon": {}, "clients": clients, "duration_s": 60, "calls_most": 100}

    result = play(venue, GHOSTPASS, tmp_path, scanning).result

    assert (result.state, result.total.calls) == ("finished", 100)
    assert result.elapsed_s < result.duration_s
