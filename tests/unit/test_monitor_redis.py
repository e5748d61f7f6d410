"""What a monitor says about a Redis: each limit of the plans on both sides, and what is no URL of one."""

from typing import Any

import pytest

from integrity.errors import UsageError
from integrity.monitor.findings import find_alerts
from integrity.monitor.redis import check_redis, name_of
from integrity.monitor.sample import RedisSample, Sample
from integrity.monitor.summary import summarize
from integrity.report.monitor_text import render_monitor

CALM: RedisSample = {
    "name": "127.0.0.1:6379",
    "took_ms": 0.4,
    "cpu_share": 0.1,
    "used_bytes": 100_000_000,
    "most_bytes": 1_000_000_000,
    "policy": "volatile-lru",
    "connections": 20,
    "connections_most": 10_000,
    "hits": 0,
    "misses": 0,
    "evicted": 0,
}


def samples(*changes: dict[str, Any]) -> list[Sample]:
    return [
        {"at_us": 0, "elapsed_s": float(at_s), "redis": {**CALM, **change}}  # type: ignore[typeddict-item]
        for at_s, change in enumerate(changes)
    ]


@pytest.mark.parametrize(
    ("name", "figure", "sound", "passed"),
    [
        ("redis-cpu", "cpu_share", 0.50, [(0.51, "warn", 0.50), (0.66, "warn", 0.65), (0.81, "critical", 0.80)]),
        ("redis-memory", "used_bytes", 3e8, [(301e6, "warn", 3e8), (401e6, "warn", 4e8), (451e6, "critical", 45e7)]),
        ("redis-memory-share", "most_bytes", 10**8 / 0.6, [(10**8 / 0.61, "warn", 0.60)]),
        ("redis-connections", "connections", 8_000, [(8_001, "warn", 0.80), (9_501, "critical", 0.95)]),
    ],
)
def test_each_limit_of_a_redis_is_held_on_both_sides(
    name: str, figure: str, sound: float, passed: list[tuple[float, str, float]]
) -> None:
    assert find_alerts({}, samples(*[{figure: sound}] * 5)) == []
    for value, level, limit in passed:
        found = find_alerts({}, samples(*[{figure: value}] * 5))
        assert [(each.level, each.name, each.limit) for each in found] == [(level, name, limit)]


def test_hits_count_from_the_first_look_and_on_through_a_restart_and_few_say_nothing() -> None:
    before, after = {"hits": 90_000, "misses": 10}, {"hits": 90_799, "misses": 211}
    found = find_alerts({}, samples(before, after))
    assert [(each.name, each.level, each.value, each.limit) for each in found] == [("redis-hits", "warn", 0.799, 0.8)]
    assert find_alerts({}, samples(before, {"hits": 90_800, "misses": 210})) == []
    assert find_alerts({}, samples(before, {"hits": 90_100, "misses": 800})) == [], "too few"
    assert [each.name for each in find_alerts({}, samples(before, {"hits": 500, "misses": 600}))] == ["redis-hits"]


def test_a_policy_that_forgets_what_must_stay_and_a_redis_that_is_away_are_told() -> None:
    assert [each.name for each in find_alerts({}, samples({"policy": "allkeys-lru"}))] == ["redis-policy"]
    assert find_alerts({}, samples({"policy": "noeviction", "most_bytes": 0})) == [], "nothing is ever evicted"
    gone: Sample = {"at_us": 0, "elapsed_s": 2.0, "redis": {"name": "127.0.0.1:6379", "error": "connection refused"}}
    found = find_alerts({}, [*samples({}, {}), gone])
    assert [(each.level, each.name, each.at_s) for each in found] == [("critical", "redis-unreachable", 2.0)]
    assert "did not answer in 1 of 3 samples, first at 2 s: connection refused" in found[0].sentence
    text = render_monitor(summarize({}, [*samples({}, {"hits": 3, "misses": 1}), gone]))
    assert "redis 127.0.0.1:6379: at most 10% CPU, 100.0 MB, 20 clients; hits 75%, volatile-lru" in text
    assert summarize({}, [gone]).redis is None


@pytest.mark.parametrize("url", ["http://127.0.0.1", "redis://", "127.0.0.1:6379", "redis://h:99999", "redis://[::1"])
def test_what_is_no_url_of_a_redis_is_refused(url: str) -> None:
    with pytest.raises(UsageError, match=r"--redis: .* is no URL of Redis"):
        check_redis(url, place="--redis")


def test_its_password_is_not_in_its_name() -> None:
    assert name_of("redis://:secret@cache.example:7000/2") == "cache.example:7000"
