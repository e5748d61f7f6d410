"""Arrivals: when calls are to be made, decided before any is made, and whatever the system does.

They are drawn at the profile's steady rates, without an end. A shape then brings them closer together or further apart
(shape.Pace), so that the same seed makes the same calls in the same order whatever the shape.
"""

import heapq
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import islice
from random import Random

from integrity.load.profile import Burst, OpenProfile, Stream
from integrity.load.share import WHOLE, Share


@dataclass(frozen=True, slots=True)
class Arrival:
    """One call that is to be made.

    Args:
        at_s: seconds after the run's start, at steady rates.
        source: the stream or burst it is of.
        operations: one, or several that a session does in turn.
        pin: as Stream.pin.
    """

    at_s: float
    source: str
    operations: tuple[str, ...]
    pin: Mapping[str, int | str]


def schedule(profile: OpenProfile, seed: int, share: Share = WHOLE) -> Iterator[Arrival]:
    """Yield arrivals in the order of their times, for ever. The same profile and seed give the same arrivals.

    Args:
        share: of them, in turn: all shares together are the arrivals of one process.
    """
    streams = [_stream(stream, Random(f"{seed}/stream/{stream.name}")) for stream in profile.streams]
    merged = heapq.merge(*streams, *map(_burst, profile.bursts), key=lambda arrival: arrival.at_s)
    return islice(merged, share.number, None, share.count)


def _stream(stream: Stream, random: Random) -> Iterator[Arrival]:
    period_s = 60.0 / stream.per_minute
    # Even streams start at a random phase: those of one rate would otherwise all arrive at the same instants.
    at_s = random.random() * period_s if stream.spacing == "even" else random.expovariate(1 / period_s)
    while True:
        yield Arrival(at_s, stream.name, stream.operations, stream.pin)
        at_s += period_s if stream.spacing == "even" else random.expovariate(1 / period_s)


def _burst(burst: Burst) -> Iterator[Arrival]:
    at_s = burst.every_s / 2
    while True:
        for _ in range(burst.count):
            yield Arrival(at_s, burst.name, (burst.operation,), {})
        at_s += burst.every_s
