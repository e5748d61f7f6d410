"""Arrivals: when calls are to be made, decided before any is made, and whatever the system does."""

import heapq
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from random import Random

from integrity.workload.profile import Burst, OpenProfile, Stream


@dataclass(frozen=True, slots=True)
class Arrival:
    """One call that is to be made.

    Args:
        at_s: seconds after the run's start.
        source: the stream or burst it is of.
        operations: one, or several that a session does in turn.
        pin: as Stream.pin.
    """

    at_s: float
    source: str
    operations: tuple[str, ...]
    pin: Mapping[str, int]


def schedule(profile: OpenProfile, seed: int) -> Iterator[Arrival]:
    """Yield the arrivals of a run in the order of their times. The same profile and seed give the same arrivals."""
    streams = [_stream(stream, profile.duration_s, Random(f"{seed}/stream/{stream.name}")) for stream in profile.streams]
    bursts = [_burst(burst, profile.duration_s) for burst in profile.bursts]
    return heapq.merge(*streams, *bursts, key=lambda arrival: arrival.at_s)


def _stream(stream: Stream, duration_s: float, random: Random) -> Iterator[Arrival]:
    period_s = 60.0 / stream.per_minute
    # Even streams start at a random phase: those of one rate would otherwise all arrive at the same instants.
    at_s = random.random() * period_s if stream.spacing == "even" else random.expovariate(1 / period_s)
    while at_s < duration_s:
        yield Arrival(at_s, stream.name, stream.operations, stream.pin)
        at_s += period_s if stream.spacing == "even" else random.expovariate(1 / period_s)


def _burst(burst: Burst, duration_s: float) -> Iterator[Arrival]:
    at_s = burst.every_s / 2
    while at_s < duration_s:
        for _ in range(burst.count):
            yield Arrival(at_s, burst.name, (burst.operation,), {})
        at_s += burst.every_s
