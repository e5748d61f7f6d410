"""What samples of a Redis show: its CPU, memory, connections, hits and policy, held against limits."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import pairwise
from typing import Any

from integrity.monitor.limits import CRITICAL, WARN, Limit, limit_of, show
from integrity.monitor.sample import RedisSample, Sample
from integrity.monitor.series import find_peak, moving_mean
from integrity.numbers import counted

CPU_SAMPLES = 5
LOOKUPS_LEAST = 1_000
POLICY = "volatile-lru"

Found = tuple[str, str, str, float, float | None, float | None, str]
"""level, name, sentence, value, limit, at_s, source."""


def find_of_redis(facts: Mapping[str, Any], samples: Sequence[Sample]) -> Iterator[Found]:
    """Yield what is over a limit, or not as it is to be."""
    series = [(sample["elapsed_s"], sample["redis"]) for sample in samples if "redis" in sample]
    if not series:
        return
    failed = [(at_s, each) for at_s, each in series if "error" in each]
    name = series[0][1]["name"]
    if failed:
        at_s, first = failed[0]
        sentence = (
            f"redis {name} did not answer in {len(failed)} of {counted(len(series), 'sample')}, first at {at_s:.0f} s"
        )
        said = f"{sentence}: {first['error']}"
        yield CRITICAL, "redis-unreachable", said, len(failed), 0, at_s, "our own: it is to be there"
    answered = [(at_s, each) for at_s, each in series if "error" not in each]
    yield from _peaks(name, facts, answered)
    if not answered:
        return
    policy = answered[-1][1]["policy"]
    if answered[-1][1]["most_bytes"] and policy != POLICY:
        sentence = f"redis {name} evicts by {policy}, and is to by {POLICY}: what has no time to live must stay"
        yield WARN, "redis-policy", sentence, 1, None, None, "our own, as the plan of votes has it"
    hits, misses = lookups_of([each for _, each in answered])
    if hits + misses >= LOOKUPS_LEAST:
        share = hits / (hits + misses)
        words = f"low hits of redis {name}: {show(share, 'share')} of {hits + misses:,} look-ups"
        yield from _over("redis-hits", facts, share, None, words)


def _peaks(name: str, facts: Mapping[str, Any], answered: Sequence[tuple[float, RedisSample]]) -> Iterator[Found]:
    def read(of: Callable[[RedisSample], float | None]) -> list[tuple[float, float]]:
        return [(at_s, value) for at_s, each in answered if (value := of(each)) is not None]

    shares = moving_mean(read(lambda each: each.get("cpu_share")), CPU_SAMPLES)
    filled = read(lambda each: _share(each["used_bytes"], each["most_bytes"]))
    taken = read(lambda each: _share(each["connections"], each["connections_most"]))
    for which, values, words in (
        ("redis-cpu", shares, "CPU of redis"),
        ("redis-memory", read(lambda each: each["used_bytes"]), "memory of redis"),
        ("redis-memory-share", filled, "maxmemory used of redis"),
        ("redis-connections", taken, "clients of redis"),
    ):
        peak = find_peak(values)
        if peak is not None:
            unit = limit_of(which, facts).unit
            yield from _over(which, facts, peak.value, peak.at_s, f"{words} {name}: {show(peak.value, unit)}")


def _over(which: str, facts: Mapping[str, Any], value: float, at_s: float | None, words: str) -> Iterator[Found]:
    limit: Limit = limit_of(which, facts)
    level = limit.level(value)
    if level is not None:
        passed = limit.passed(value)
        when = "" if at_s is None else f" at {at_s:.0f} s"
        side = "under" if limit.is_least else "over"
        sentence = f"{words}{when}, {side} {show(passed, limit.unit)}"
        yield level, which, sentence, round(value, 4), passed, at_s, limit.source


def lookups_of(answered: Sequence[RedisSample]) -> tuple[int, int]:
    """Return how many look-ups found something meanwhile, and how many did not."""
    hits, misses = [each["hits"] for each in answered], [each["misses"] for each in answered]
    return sum(_rises(hits)), sum(_rises(misses))


def _share(part: float, whole: float) -> float | None:
    return part / whole if whole else None


def _rises(counts: Sequence[int]) -> Iterator[int]:
    """Yield how much a counter rose each time; after a restart it begins anew."""
    for before, after in pairwise(counts):
        yield after - before if after >= before else after
