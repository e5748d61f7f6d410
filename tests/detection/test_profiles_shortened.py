"""Every shipped profile, played for some seconds at its own rates: the data holds, and no share or rate is missed.

Latencies are this machine's, and what a fault does while it is in force is asked of the faults' own tests.
"""

import pytest

from integrity.engines.embedded.server import EmbeddedServer
from integrity.engines.target import Target
from integrity.load.forecast import find_doubts
from integrity.load.profile import OpenProfile, Profile, load_profile, profile_names, scale
from integrity.load.request import RunRequest
from integrity.load.run import run
from integrity.load.statistics import STATISTICS, Kind
from integrity.load.suite import carried
from integrity.project import Project, Settings
from integrity.registry import SYSTEMS
from integrity.systems.system import System
from tests.detection.worlds import judge, make_seeded, violated

PLAYED_S = 4.0
PROFILES = [(system, name) for system in SYSTEMS.values() for name in profile_names(system, {})]
_SEEDED: dict[str, Target] = {}


def seeded(server: EmbeddedServer, system: System) -> Target:
    if system.name not in _SEEDED:
        _SEEDED[system.name] = make_seeded(server, system, f"shortened_{system.name}")
    return _SEEDED[system.name]


def shortened(system: System, name: str) -> Profile:
    """Return the profile shortened at its own rates, without the limits that so few calls say nothing of."""
    profile = load_profile(system, name, {})
    factor = max(1.0, profile.duration_s / PLAYED_S)
    if not isinstance(profile, OpenProfile):
        return load_profile(system, name, {}, {"duration_s": PLAYED_S})
    return carried(scale(profile, rate=1 / factor, time=factor))[0].model_copy(update={"faults": ()})


@pytest.mark.exhaustive
@pytest.mark.parametrize(("system", "name"), PROFILES, ids=[f"{system.name}-{name}" for system, name in PROFILES])
def test_a_shipped_profile_can_be_played_and_leaves_the_data_right(
    system: System, name: str, server: EmbeddedServer, tmp_path_factory: pytest.TempPathFactory
) -> None:
    project = Project(tmp_path_factory.mktemp(name), Settings())
    target, profile = seeded(server, system), shortened(system, name)
    request = RunRequest(system=system, profile_name=name, profile=profile, target=target, project=project, seed=1)
    result = run(request).result
    assert violated(judge(target, project, system)) == set()
    assert (result.state, result.is_answered) == ("finished", True)
    assert (result.shortened is not None) == (load_profile(system, name, {}).duration_s > PLAYED_S)
    if find_doubts(profile):
        return  # said before a run: this machine cannot
    failed = [
        f"{each.operation or 'all'} {each.statistic}: {each.measured}"
        for each in result.thresholds
        if each.state == "failed"
        and STATISTICS[each.statistic].kind in (Kind.SHARE, Kind.RATE)
        and each.statistic != "declined_share"  # of a limiter, which is met at the full length alone
    ]
    assert failed == []
