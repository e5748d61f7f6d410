"""A distribution says of any number of values what the values themselves would say, within its precision."""

import math
import sys
from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from integrity.load.recent import known_of_all, known_percentiles
from integrity.measure.distribution import Distribution, percent_of
from integrity.runs.percentiles import Percentiles

VALUES = st.lists(st.floats(0.001, 1e6) | st.sampled_from([1.0, 2.0, 500.0]), min_size=1, max_size=60)
PERCENTS = st.sampled_from([1, 50, 95, 99, 100])


def distribution(values: Sequence[float]) -> Distribution:
    made = Distribution()
    for value in values:
        made.append(value)
    return made


def exact(values: Sequence[float], p: int) -> float:
    return float(np.percentile(values, p, method="inverted_cdf"))


@given(values=VALUES, p=PERCENTS)
def test_a_percentile_is_a_value_that_occurred_at_most_a_fifth_of_a_percent_above_the_exact_one(
    values: list[float], p: int
) -> None:
    found = distribution(values).percentile(p)
    assert found in values
    assert exact(values, p) <= found <= exact(values, p) * 1.002 * (1 + 1e-9)


def test_values_that_are_three_tenths_of_a_percent_apart_are_told_apart() -> None:
    values = [0.01 * 1.003**number for number in range(4000)]  # up to a quarter of an hour
    made = distribution(values)
    assert [made.percentile(p) for p in range(1, 101)] == [exact(values, p) for p in range(1, 101)]


@given(values=VALUES)
def test_number_mean_and_greatest_are_exact(values: list[float]) -> None:
    made = distribution(values)
    assert len(made) == len(values)
    assert made.mean == pytest.approx(math.fsum(values) / len(values))
    assert made.greatest == max(values)


@given(values=VALUES, others=VALUES, p=PERCENTS)
def test_several_are_one_of_all_their_values(values: list[float], others: list[float], p: int) -> None:
    together = Distribution.of([distribution(values), distribution(others)])
    assert len(together) == len(values) + len(others)
    assert together.percentile(p) == distribution([*values, *others]).percentile(p)


@given(values=VALUES, later=VALUES, p=PERCENTS)
def test_what_came_later_is_told_apart(values: list[float], later: list[float], p: int) -> None:
    made = distribution(values)
    held = made.held()
    for value in later:
        made.append(value)
    since = made.since(held)
    assert len(since) == len(later)
    assert since.mean == pytest.approx(math.fsum(later) / len(later), rel=1e-6, abs=1e-6 * max(values))
    found = since.percentile(p)
    assert found is not None
    assert exact(later, p) <= found <= exact(later, p) * 1.002 * (1 + 1e-9)
    assert len(made) == len(values) + len(later), "the whole stays as it was"


def test_none_has_no_percentile() -> None:
    empty = Distribution()
    assert (len(empty), empty.mean, empty.greatest, empty.percentile(50)) == (0, None, None, None)
    assert empty.since(empty.held()).percentile(99) is None


def test_what_is_out_of_its_range_counts_in_the_last_bucket() -> None:
    made = distribution([0.0, 1e12])
    assert (made.percentile(50), made.percentile(100)) == (0.0, 1e12)


def test_its_memory_does_not_grow() -> None:
    made = distribution([1.0])
    before = sys.getsizeof(made._counts) + sys.getsizeof(made._greatest)
    for value in range(20_000):
        made.append(float(value))
    assert sys.getsizeof(made._counts) + sys.getsizeof(made._greatest) == before


@pytest.mark.parametrize(("name", "percent"), [("p5", 5), ("p50", 50), ("p99", 99), ("p999", 99.9), ("p9999", 99.99)])
def test_a_percentile_is_of_the_percent_that_it_is_called_after(name: str, percent: float) -> None:
    assert percent_of(name) == percent


def test_who_watches_a_run_is_shown_no_percentile_of_fewer_calls_than_it_needs() -> None:
    """The line of progress of nine calls a second had a p95 of a handful of each."""
    few, enough = np.array([1.0] * 60), np.array([2.0] * 60)
    assert known_percentiles(few) == Percentiles(p50_ms=1.0, p95_ms=None, p99_ms=None)
    assert known_of_all({"scan_in": few, "sell": enough}) == Percentiles(p50_ms=1.0, p95_ms=2.0, p99_ms=None)
    assert known_of_all({}) == Percentiles(p50_ms=None, p95_ms=None, p99_ms=None)
