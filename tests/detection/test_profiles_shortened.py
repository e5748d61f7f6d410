"""Every shipped profile, played for some seconds at its own rates: the data holds, and no count, share or rate is missed.

Latencies are this machine's: one is missed only where the generator, on the same machine, was late. What a fault does while
it is in force is asked of the faults' own tests.
"""

import pytest

from integrity.engines.embedded.server import EmbeddedServer
from integrity.engines.target import Target
from integrity.load.forecast import find_doubts
from integrity.load.profile import OpenProfile, Profile, load_profile, profile_names, scale
from integrity.load.request import RunRequest
from integrity.load.run import run
from integrity.load.spared import find_spared
from integrity.load.statistics import STATISTICS, Kind
from integrity.project import Project, Settings
from integrity.registry import SYSTEMS
from integrity.runs.result import ThresholdResult
from integrity.systems.system import System
from tests.detection.worlds import judge, make_seeded, violated

PLAYED_S = 4.0
CALLS_LEAST = 10
"""A profile that makes a call every few seconds is played for as long as these take."""

IDLE_LAG_MS = 5.0
"""How late the generator is at p99 on a machine that has room for it."""

PROFILES = [(system, name) for system in SYSTEMS.values() for name in profile_names(system, {})]
_SEEDED: dict[str, Target] = {}


def seeded(server: EmbeddedServer, system: System, profile: Profile) -> Target:
    """Return a world of the system's; who has sent nothing within the hour is found in one that is its own."""
    of_hour = isinstance(profile, OpenProfile) and profile.fits_hour
    name = f"{system.name}_{len(_SEEDED)}" if of_hour else system.name
    if name not in _SEEDED:
        _SEEDED[name] = make_seeded(server, system, f"shortened_{name}")
    return _SEEDED[name]


def shortened(system: System, name: str) -> Profile:
    """Return the profile shortened at its own rates, without the limits that so few calls say nothing of."""
    profile = load_profile(system, name, {})
    if not isinstance(profile, OpenProfile):
        return load_profile(system, name, {}, {"duration_s": PLAYED_S})
    factor = max(1.0, profile.duration_s / played_s(profile))
    short = scale(profile, rate=1 / factor, time=factor)
    spared = [each.threshold for each in find_spared(short) if each.is_known]
    held = tuple(each for each in short.thresholds if each not in spared)
    return short.model_copy(update={"thresholds": held, "faults": ()})


def played_s(profile: OpenProfile) -> float:
    first_burst_s = min((burst.every_s / 2 for burst in profile.bursts), default=PLAYED_S + 1)
    streamed_s = CALLS_LEAST * 60 / sum(stream.per_minute for stream in profile.streams)
    return PLAYED_S if first_burst_s < PLAYED_S else max(PLAYED_S, streamed_s)


def is_timed(threshold: ThresholdResult) -> bool:
    """Return whether it is of how long something took."""
    return STATISTICS[threshold.statistic].kind is Kind.LATENCY or threshold.within_ms is not None


@pytest.mark.exhaustive
@pytest.mark.parametrize(("system", "name"), PROFILES, ids=[f"{system.name}-{name}" for system, name in PROFILES])
def test_a_shipped_profile_can_be_played_and_leaves_the_data_right(
    system: System, name: str, server: EmbeddedServer, tmp_path_factory: pytest.TempPathFactory
) -> None:
    project = Project(tmp_path_factory.mktemp(name), Settings())
    profile = shortened(system, name)
    target = seeded(server, system, profile)
    request = RunRequest(system=system, profile_name=name, profile=profile, target=target, project=project, seed=1)
    result = run(request).result
    assert violated(judge(target, project, system)) == set()
    assert (result.state, result.is_answered) == ("finished", True)
    assert (result.shortened is not None) == (load_profile(system, name, {}).duration_s > profile.duration_s)
    of_rows = [each for each in result.thresholds if each.rows is not None]
    assert [each.rows for each in of_rows] == [each.rows for each in profile.thresholds if each.rows is not None]
    if result.sweep is not None:
        assert not of_rows or any(each.sample_count for each in of_rows), "rows of no step"
    if find_doubts(profile):
        return  # said before a run: this machine cannot
    failed = [each for each in result.thresholds if each.state == "failed"]
    kept = (Kind.SHARE, Kind.COUNT, Kind.RECOVERY)
    wrong = [each for each in failed if STATISTICS[each.statistic].kind in kept and not is_timed(each)]
    if isinstance(profile, OpenProfile) and profile.own:
        # Each of this world's few wallets is many people's, who are limited together.
        wrong = [each for each in wrong if each.statistic != "declined_share"]
    assert [f"{each.subject}: {each.measured}" for each in wrong] == []
    lags_ms = (result.loop_lag_p99_ms or 0.0, (result.arrivals and result.arrivals.dispatch_lag_p99_ms) or 0.0)
    late = [f"{each.subject}: {each.measured}, {lags_ms}" for each in failed if is_timed(each)]
    assert late == [] or max(lags_ms) > IDLE_LAG_MS, late
