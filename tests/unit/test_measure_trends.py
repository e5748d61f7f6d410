"""Trends: what rises is said to rise, noise is not, and what cannot be known is unclear."""

import math
from random import Random
from typing import cast

import pytest

from integrity.history import Outcome, Returned
from integrity.measure.calls import Measures
from integrity.measure.trends import Recovery, find_knee, find_recovery, find_slopes, find_watched_slopes, fit
from integrity.monitor.sample import Sample
from integrity.runs.samples import RunSample

RANDOM = 20


def series(seconds: int, start: float, per_hour: float, noise: float, seed: int = 1) -> list[tuple[float, float]]:
    random = Random(seed)
    return [(float(s), start + per_hour * s / 3600 + random.gauss(0, noise)) for s in range(seconds)]


def test_a_leak_is_found_and_its_slope_is_within_its_interval() -> None:
    slope = fit("rss_mb", series(3600, 100.0, 60.0, noise=5.0))
    assert slope is not None
    assert slope.verdict == "rising"
    assert abs(slope.per_hour - 60.0) < 2 * slope.uncertainty
    assert slope.start == pytest.approx(100, abs=2)
    assert slope.end == pytest.approx(160, abs=2)


def test_noise_around_a_level_is_flat_over_many_seeds() -> None:
    verdicts = [fit("p95_ms", series(1200, 20.0, 0.0, noise=3.0, seed=seed)) for seed in range(RANDOM)]
    assert {slope.verdict for slope in verdicts if slope} == {"flat"}


def test_a_falling_level_is_told_apart() -> None:
    slope = fit("p95_ms", series(1200, 50.0, -60.0, noise=1.0))
    assert slope is not None
    assert slope.verdict == "falling"


def test_wild_noise_in_a_short_run_is_unclear() -> None:
    verdicts = {slope.verdict for seed in range(RANDOM) if (slope := fit("p95_ms", series(14, 2.0, 0.0, 20.0, seed)))}
    assert "unclear" in verdicts
    assert "flat" not in verdicts


def test_too_few_samples_have_no_slope() -> None:
    assert fit("p95_ms", series(11, 20.0, 0.0, 1.0)) is None


def samples(*p95s_ms: float | None, faults: dict[int, int] | None = None, calls: int = 100) -> list[RunSample]:
    return [
        RunSample(
            at_us=second * 1_000_000,
            elapsed_s=float(second),
            p95_ms=p95_ms,
            calls=0 if p95_ms is None else calls,
            faults=(faults or {}).get(second, 0),
            operations={},
            rss_mb=50.0,
        )
        for second, p95_ms in enumerate(p95s_ms, start=1)
    ]


def watched(seconds: int, **rise: float) -> list[Sample]:
    """Return samples of a server with 40 connections and 200 MB, and of an application with 300 MB; rise is an hour's."""
    random = Random(1)

    def at(second: int, of: str, start: float) -> float:
        return start + rise.get(of, 0.0) * second / 3600 + random.gauss(0, start / 100)

    return [
        cast(
            "Sample",
            {
                "at_us": 0,
                "elapsed_s": float(second),
                "database": {"activity": {"connections": round(at(second, "connections", 40))}},
                "processes": [
                    {"name": name, "pid": 1, "is_alive": True, "own_bytes": at(second, name, start) * 1e6}
                    for name, start in (("database", 200.0), ("app", 300.0), ("integrity", 90.0))
                ],
            },
        )
        for second in range(seconds)
    ]


@pytest.mark.parametrize("leaking", ["database", "app", "connections"])
def test_a_leak_of_a_server_or_an_application_rises_and_nothing_else_does(leaking: str) -> None:
    slopes = find_watched_slopes(watched(1800, **{leaking: 120.0}))

    verdicts = {each.process or each.name: each.verdict for each in slopes}
    assert verdicts == {"database": "flat", "app": "flat", "connections": "flat", leaking: "rising"}
    too_short = find_watched_slopes(watched(500, **{leaking: 5000.0}))
    assert [each.verdict for each in too_short] == ["too short"] * 3
    assert find_watched_slopes([]) == []


def test_caches_that_fill_in_the_first_half_are_no_leak() -> None:
    """A server of 40 sessions took 98 MB at first, 173 MB after four minutes, and no more."""
    samples = [
        cast(
            "Sample",
            {
                "at_us": 0,
                "elapsed_s": float(second),
                "processes": [
                    {
                        "name": "database",
                        "pid": 1,
                        "is_alive": True,
                        "own_bytes": (173 - 75 * math.exp(-second / 110) + Random(second).gauss(0, 1)) * 1e6,
                    }
                ],
            },
        )
        for second in range(660)
    ]

    assert [each.verdict for each in find_watched_slopes(samples)] == ["flat"]


def test_slopes_of_a_run_are_of_latency_failures_and_memory() -> None:
    assert {slope.name: slope.verdict for slope in find_slopes(samples(*[10.0] * 60))} == {
        "p95_ms": "flat",
        "failure_share": "flat",
        "rss_mb": "flat",
    }


def test_recovery_is_from_the_end_of_the_spike_to_the_first_of_three_usual_seconds() -> None:
    run = samples(10, 11, 10, 900, 900, 700, 12, 400, 11, 10, 10, 10)
    assert find_recovery(run, before_from_s=0, before_to_s=3, from_s=5) == Recovery(4.0, looked_s=7.0)


def test_failures_that_go_on_are_no_recovery() -> None:
    run = samples(*[10.0] * 12, faults={6: 5, 7: 5, 8: 5})
    assert find_recovery(run, before_from_s=0, before_to_s=3, from_s=5) == Recovery(4.0, looked_s=7.0)


def test_a_run_that_ends_too_soon_did_not_recover() -> None:
    run = samples(10, 10, 10, 900, 900, 700, 10, 10)
    assert find_recovery(run, before_from_s=0, before_to_s=3, from_s=5) == Recovery(None, looked_s=3.0)


@pytest.mark.parametrize(
    ("p95s_ms", "said"),
    [
        ((10, 10, None, 900, 900, 10, 10, 10), "2 of the 3 s before"),
        ((10, 10, 10, 900, 900, 10, 10), "2 of the 3 s after"),
    ],
)
def test_a_recovery_that_has_nothing_to_compare_is_unknown_and_no_failure(
    p95s_ms: tuple[float | None, ...], said: str
) -> None:
    recovery = find_recovery(samples(*p95s_ms), before_from_s=0, before_to_s=3, from_s=5)
    assert recovery.seconds is None
    assert said in recovery.unknown


def test_what_rests_on_a_handful_of_calls_is_unknown_and_what_stands_still_is_no_recovery() -> None:
    """A spike of 30 s was "as before" on nine calls a second for six: the p95 of each was that of its slowest call."""

    def found(before_s: int, after_s: int) -> Recovery:
        run = samples(*[10.0] * before_s, 900, *[10.0] * after_s, calls=10)
        return find_recovery(run, before_from_s=0, before_to_s=before_s, from_s=before_s + 1)

    assert found(9, 20).unknown == "90 of the 100 calls before it that are needed to compare"
    assert found(20, 9).unknown == "90 of the 100 calls after it that are needed to compare"
    assert found(10, 10) == Recovery(1.0, looked_s=10.0)
    still = samples(*[10.0] * 10, 900, *[None] * 10, calls=10)  # nothing comes back: no call of them was few
    assert find_recovery(still, before_from_s=0, before_to_s=10, from_s=11) == Recovery(None, looked_s=10.0)


def test_a_sample_is_of_the_second_in_which_most_of_it_lies() -> None:
    """Each is taken some milliseconds late: the last second before a spike was no sample of before it."""
    late = [
        each.model_copy(update={"elapsed_s": each.elapsed_s + 0.01}) for each in samples(10, 11, 10, 900, 900, 10, 10, 10)
    ]
    assert find_recovery(late, before_from_s=0, before_to_s=3, from_s=5).seconds == pytest.approx(1.01)


def test_the_knee_is_where_a_curve_bends_up() -> None:
    assert find_knee([(1, 10), (2, 10), (4, 11), (8, 12), (16, 300)]) == 3
    assert find_knee([(1, 10), (2, 20), (3, 30), (4, 40)]) is None
    assert find_knee([(1, 10), (2, 9), (3, 8)]) is None
    assert find_knee([(1, 10), (2, 300)]) is None


def test_failures_in_a_trend_are_of_calls_and_not_of_what_was_not_sent() -> None:
    """A saturated soak was told "failures 709.06 %": what nobody could send was counted over what was sent."""
    measures, sampled = Measures(), []
    for second in range(1, 61):
        measures.of("sell").add(Returned(Outcome.OK, {}, "", 1), 10.0)
        measures.of("sell").not_sent += 7
        sampled.append(measures.sample(float(second), at_us=second, rss_mb=50.0))
    (slope,) = [each for each in find_slopes(sampled) if each.name == "failure_share"]
    assert (slope.start, slope.end) == (0.0, 0.0)
