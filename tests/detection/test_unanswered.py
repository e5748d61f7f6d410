"""A service that answers nothing for a whole run does not pass for one that did, and data that is right is not accused."""

from pathlib import Path

import pytest

from integrity.engines.embedded.server import EmbeddedServer
from integrity.load.profile import load_profile
from integrity.load.request import RunRequest
from integrity.load.run import run
from integrity.project import Project, Settings
from integrity.registry import SYSTEMS
from tests.detection.worlds import judge, make_seeded, violated

ASKED = (
    ("ghostpass", "processor", "processor"),
    ("safebox", "mint", "mint"),
    ("safebox", "relay", "relay"),
    ("streamvote", "provider", "provider"),
    ("inbox", "whatsapp", "provider"),
)


@pytest.mark.parametrize(("name", "service", "party"), ASKED, ids=[f"{name}-{service}" for name, service, _ in ASKED])
def test_a_service_that_answers_nothing_fails_the_run_and_is_named_and_the_data_is_right(
    name: str, service: str, party: str, server: EmbeddedServer, tmp_path: Path
) -> None:
    system, project = SYSTEMS[name], Project(tmp_path, Settings())
    target = make_seeded(server, system, f"unanswered_{name}_{service}")
    silent = {"extends": "smoke", "services": {service: {"timeout_share": 1.0, "timeout_s": 0.02}}}
    profile = load_profile(system, "silent", {"silent": silent}, {"duration_s": 2.0, "drain_s": 1.0})

    result = run(
        RunRequest(system=system, profile_name="silent", profile=profile, target=target, project=project, seed=1)
    ).result

    assert "failed" in {each.state for each in result.thresholds if each.statistic == "failure_share"}
    assert f"unavailable: {party}_did_not_answer" in {each.error for each in result.errors}
    assert violated(judge(target, project, system)) == set()
