"""Each fault over a whole run, which is judged as the run: what is down does not pass, and is named; what comes twice,
again or out of order passes; what is late fails where it is later than a limit allows, and only there; and a run without a
fault passes. The data is right.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from integrity.engines.embedded.server import EmbeddedServer
from integrity.engines.target import Target
from integrity.faults.schedule import read_schedule
from integrity.load.profile import OpenProfile, load_profile, profile_names
from integrity.load.request import RunRequest
from integrity.load.run import run
from integrity.project import Project, Settings
from integrity.registry import SYSTEMS
from integrity.runs.result import RunResult
from tests.detection.worlds import judge, make_seeded, violated

SECONDS = 2.0
LIMIT_MS = 3000.0
"""Of answers, and of what webhooks settle, where no plan has one; far from what any machine needs for them."""

ASKING: Mapping[str, str] = {"safebox": "pay_invoice", "streamvote": "poll_event", "inbox": "send_whatsapp"}
"""An operation with a limit of its plan that waits for the answer of a service. That of ghostpass waits for a webhook."""

SOON, LATE = 0.01, 6.0
"""Seconds of a fault: within that limit, and beyond it."""

STARVED_LAG_MS = 50.0
"""How late the generator is at p99 on a machine on which nothing is said by how long anything took."""

PARTIES: Mapping[tuple[str, str], str] = {
    ("ghostpass", "processor"): "processor",
    ("safebox", "mint"): "mint",
    ("safebox", "relay"): "relay",
    ("streamvote", "provider"): "provider",
    ("streamvote", "jobs"): "queue",
    ("inbox", "whatsapp"): "provider",
    ("inbox", "email"): "provider",
    ("inbox", "sms"): "provider",
    ("inbox", "processor"): "processor",
    ("inbox", "store"): "store",
}
"""Who is asked by whose calls -> what the system calls it. The app of streamvote is the caller itself."""

Expected = Callable[[RunResult], None]


def failed(result: RunResult) -> set[str]:
    return {each.statistic for each in result.thresholds if each.state == "failed"}


TIMED = {"p50", "settled_mean"}


def passes(result: RunResult) -> None:
    is_starved = (result.loop_lag_p99_ms or 0.0) > STARVED_LAG_MS
    assert failed(result) <= (TIMED if is_starved else set())


def is_late_for(operation: str) -> Expected:
    def check(result: RunResult) -> None:
        late = {each.operation for each in result.thresholds if each.state == "failed" and each.statistic == "p50"}
        assert operation in late
        assert failed(result) <= TIMED

    return check


def is_late(result: RunResult) -> None:
    assert failed(result)
    assert failed(result) <= TIMED


@dataclass(frozen=True, slots=True)
class Case:
    """A fault in one system, and what it has to come to."""

    system: str
    fault: str
    expected: Expected

    @property
    def name(self) -> str:
        return f"{self.system}-{self.fault or 'none'}"


def is_down(party: str) -> Expected:
    def check(result: RunResult) -> None:
        assert "failure_share" in failed(result)
        assert f"unavailable: {party}_did_not_answer" in {each.error for each in result.errors}

    return check


@cache
def plan_limits(name: str) -> Mapping[tuple[str, str], float]:
    """Return the plan's loosest limit on how long each operation takes, and on how long what it causes; milliseconds.

    Judged on the median: so few calls carry no limit on a p95, and a fault over the whole run is in each of them.
    """
    limits: dict[tuple[str, str], float] = {}
    for each in profile_names(SYSTEMS[name], {}):
        for threshold in load_profile(SYSTEMS[name], each, {}, {}).thresholds:
            timed = threshold.statistic in ("p50", "p95", "p99", "settled_mean")
            if threshold.operation and timed and threshold.most is not None:
                statistic = threshold.statistic if threshold.statistic in TIMED else "p50"
                key = threshold.operation, statistic
                limits[key] = max(limits.get(key, 0.0), threshold.most)
    return limits


def cases_of(name: str) -> list[Case]:
    found = [Case(name, "", passes)]
    for (system, service), party in PARTIES.items():
        if system == name:
            found += [
                Case(name, f"service_timeout:service={service},share=1,timeout_s=0.02", is_down(party)),
                Case(name, f"service_error:service={service},share=1", is_down(party)),
            ]
    if SYSTEMS[name].services:
        found += [
            Case(name, "webhook_duplicate:share=1", passes),
            Case(name, "webhook_replay:share=1", passes),
            Case(name, "webhook_reorder:share=1", passes),
            Case(name, "webhook_drop:share=0.9", is_late),  # of each sending: who loses all of them waits for ever
            Case(name, f"webhook_delay:least_s={SOON},more_s={SOON}", passes),
            Case(name, f"webhook_delay:least_s={LATE},more_s=0", is_late),
            Case(name, f"service_latency:least_s={SOON},more_s={SOON}", passes),
            Case(name, f"service_latency:least_s={LATE},more_s=0", is_late),
        ]
    if operation := ASKING.get(name):
        limit_s = plan_limits(name)[operation, "p50"] / 1000
        found += [
            Case(name, f"service_latency:least_s={limit_s / 4:g},more_s=0", passes),  # some ask more than once
            Case(name, f"service_latency:least_s={limit_s * 1.1:g},more_s=0", is_late_for(operation)),
        ]
    return found


CASES = [case for name in SYSTEMS for case in cases_of(name)]


@cache
def seeded(server: EmbeddedServer, name: str) -> Target:
    return make_seeded(server, SYSTEMS[name], f"matrix_{name}")


def profile_of(name: str) -> OpenProfile:
    """Return the system's smoke with services that behave, and limits on answers and settling for each operation."""
    system = SYSTEMS[name]
    calm: dict[str, Any] = {"extends": "smoke", "services": {each: {"retry_s": 1.0} for each in system.services}}
    given = {"duration_s": SECONDS, "drain_s": 15.0, "connections": 40}
    profile = load_profile(system, "calm", {"calm": calm}, given)
    assert isinstance(profile, OpenProfile)
    limits = [
        {
            "operation": operation,
            "statistic": statistic,
            "most": plan_limits(name).get((operation, statistic), LIMIT_MS),
            "source": "the plan's, or this test's own",
        }
        for operation in profile.operations
        for statistic in ("p50", "settled_mean")
    ]
    share = {"statistic": "failure_share", "most": 0.01, "source": "this test's own"}
    return load_profile(system, "calm", {"calm": {**calm, "thresholds": [share, *limits]}}, given)  # type: ignore[return-value]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_a_fault_over_the_whole_run_comes_to_what_it_is(case: Case, server: EmbeddedServer, tmp_path: Path) -> None:
    system, project = SYSTEMS[case.system], Project(tmp_path, Settings())
    target, profile = seeded(server, case.system), profile_of(case.system)
    windows = read_schedule([f"{case.fault}@0%-100%"] if case.fault else [], duration_s=SECONDS)
    request = RunRequest(
        system=system, profile_name="calm", profile=profile, target=target, project=project, seed=1, faults=windows
    )
    result = run(request).result
    assert result.left_out == (), "a fault over the whole run is the run"
    case.expected(result)
    assert violated(judge(target, project, system)) == set()
