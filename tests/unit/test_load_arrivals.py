"""Arrivals are decided before any call is made: by the profile and the seed, and by nothing else."""

from collections import Counter
from itertools import pairwise, takewhile

import pytest

from integrity.load.arrivals import Arrival, schedule
from integrity.load.profile import Burst, OpenProfile, Stream


def profile(*streams: Stream, bursts: tuple[Burst, ...] = (), duration_s: float = 60) -> OpenProfile:
    return OpenProfile(
        title="", model="open", duration_s=duration_s, clients=1, connections=1, streams=streams, bursts=bursts
    )


def arrivals(profile: OpenProfile, seed: int) -> list[Arrival]:
    """Return the arrivals of the profile's time at steady rates."""
    return list(takewhile(lambda arrival: arrival.at_s < profile.duration_s, schedule(profile, seed)))


DOOR = Stream(name="door", operations=("scan_in", "scan_out"), per_minute=100)
BAR = Stream(name="bar", operations=("sell",), per_minute=30, spacing="even")


def test_the_same_seed_gives_the_same_arrivals_and_another_others() -> None:
    once, again, other = (list(arrivals(profile(DOOR, BAR), seed)) for seed in (1, 1, 2))

    assert once == again
    assert once != other


def test_arrivals_come_in_order_and_within_the_run() -> None:
    times = [arrival.at_s for arrival in arrivals(profile(DOOR, BAR), 1)]

    assert times == sorted(times)
    assert times[0] >= 0
    assert times[-1] < 60


def test_an_even_stream_keeps_its_distance() -> None:
    times = [arrival.at_s for arrival in arrivals(profile(BAR), 1)]

    assert len(times) == 30
    assert {round(later - sooner, 6) for sooner, later in pairwise(times)} == {2.0}


def test_even_streams_of_one_rate_are_not_in_lockstep() -> None:
    other = BAR.model_copy(update={"name": "other"})

    assert len({arrival.at_s for arrival in arrivals(profile(BAR, other), 1)}) == 60


def test_a_poisson_stream_keeps_its_rate_on_average() -> None:
    count = sum(1 for _ in arrivals(profile(DOOR, duration_s=6000), 3))

    assert count == pytest.approx(10_000, rel=0.04)  # four standard deviations


def test_a_burst_arrives_at_one_instant() -> None:
    rush = Burst(name="rush", operation="request_funding", count=50, every_s=20)

    times = Counter(arrival.at_s for arrival in arrivals(profile(bursts=(rush,)), 1))

    assert times == {10.0: 50, 30.0: 50, 50.0: 50}
