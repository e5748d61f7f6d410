"""The source of random numbers gives the same numbers for ever, evenly, and its ids are version 7."""

from uuid import UUID

import numpy as np
import pytest

from integrity.seeds.source import Source, make_operation_ids


def test_the_numbers_of_a_seed_never_change() -> None:
    """A change here changes every seeded database: it must be meant."""
    source = Source(1, 1)
    assert source.integers(5, 0, 99).tolist() == [33, 61, 50, 15, 80]
    assert source.integers(5, 500, 10_000, step=500).tolist() == [500, 1000, 4500, 10000, 8500]
    assert source.choices(8, [0.5, 0.3, 0.2]).tolist() == [0, 1, 0, 0, 0, 0, 1, 2]
    assert source.chances(8, 0.5).tolist() == [False, True, True, True, False, True, False, False]
    assert source.below(np.array([1, 2, 10, 10**9])).tolist() == [0, 0, 4, 926562153]


def test_streams_of_other_names_are_other_streams() -> None:
    assert Source(1, 2).words(1)[0] not in (Source(2, 1).words(1)[0], Source(1).words(1)[0], Source(1, 3).words(1)[0])


def test_integers_reach_both_ends_and_nothing_beyond_about_evenly() -> None:
    drawn = Source(3).integers(60_000, -1, 4)
    values, counts = np.unique(drawn, return_counts=True)
    assert values.tolist() == [-1, 0, 1, 2, 3, 4]
    assert counts.min() > 9_600
    assert counts.max() < 10_400


def test_steps_start_at_the_least() -> None:
    assert set(Source(3).integers(1000, 500, 2_100, step=500).tolist()) == {500, 1000, 1500, 2000}


def test_choices_follow_their_shares_and_none_falls_outside() -> None:
    counts = np.bincount(Source(4).choices(100_000, [0.77, 0.18, 0.05, 0.0]), minlength=4)
    assert len(counts) == 4
    assert np.abs(counts / 100_000 - [0.77, 0.18, 0.05, 0]).max() < 0.01


def test_a_chance_of_none_and_of_all_are_certain() -> None:
    assert not Source(5).chances(1000, 0).any()
    assert Source(5).chances(1000, 1).all()


def test_operation_ids_are_version_7_of_their_time_and_differ() -> None:
    times_us = 1_768_645_800_123_000 + 1000 * np.arange(5000)
    ids = [UUID(bytes=value) for value in make_operation_ids(np.repeat(times_us, 2), Source(6)).tolist()]
    assert len(set(ids)) == 10_000
    assert {(one.version, one.variant) for one in ids} == {(7, "specified in RFC 4122")}
    assert [one.int >> 80 for one in ids] == [int(time_us) // 1000 for time_us in np.repeat(times_us, 2)]
    bits = np.bitwise_or.reduce([[one.int >> 64 & 0xFFF, one.int & (1 << 62) - 1] for one in ids], axis=0)
    assert bits.tolist() == [0xFFF, (1 << 62) - 1]  # every random bit is used


def test_a_range_that_would_overflow_is_refused() -> None:
    with pytest.raises(ValueError, match="in two parts"):
        Source(1).integers(3, 0, 2**31)
    with pytest.raises(ValueError, match="in two parts"):
        Source(1).below(np.array([5, 2**31 + 1]))
    assert Source(1).integers(3, 0, 2**31 - 1).min() >= 0
