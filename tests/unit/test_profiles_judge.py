"""Each limit of each shipped profile, and each statistic that there is, passes just within and fails just beyond."""

import math
from collections.abc import Collection, Iterator
from typing import Any

import pytest

from integrity.history import Outcome, Returned
from integrity.load.judging import RowTimes, judge
from integrity.load.profile import load_profile, profile_names
from integrity.load.statistics import STATISTICS, Kind
from integrity.load.thresholds import Grade, Threshold
from integrity.measure.calls import Measures, OperationMeasure
from integrity.measure.client_lags import HEARD_LEAST
from integrity.measure.trends import Recovery
from integrity.registry import SYSTEMS

OK = Returned(Outcome.OK, {}, "", 1)
FAILED = Returned(Outcome.FAILED, None, "23505 duplicate key", 1)
WITHIN, BEYOND = 0.99, 1.02
SECONDS = 10.0


def shipped() -> Iterator[tuple[str, Threshold]]:
    """Yield the limits of the profiles, each once."""
    seen: set[str] = set()
    for system in SYSTEMS.values():
        for name in profile_names(system, {}):
            for each in load_profile(system, name, {}).all_thresholds:
                key = each.model_dump_json(exclude={"source"})
                if key not in seen:
                    seen.add(key)
                    yield f"{system.name}-{name}-{each.about}-{each.statistic}", each


def others(of_profiles: Collection[str]) -> Iterator[tuple[str, Threshold]]:
    """Yield a limit of each statistic that no profile has one of."""
    for statistic, told in STATISTICS.items():
        if statistic not in of_profiles:
            bound: dict[str, Any] = {"least": 0.5} if told.kind is Kind.RATE else {"most": 0.5}
            bound |= {"operation": "sold_total"} if statistic == "counter_off" else {}
            yield statistic, Threshold.model_validate({"statistic": statistic, "source": "a plan", **bound})


@pytest.fixture(scope="module")
def limits() -> list[tuple[str, Threshold]]:
    found = list(shipped())
    return [*found, *others({each.statistic for _, each in found})]


def value(limit: Threshold, *, is_good: bool) -> float:
    if limit.least is not None:
        return limit.least * (2 - WITHIN if is_good else 2 - BEYOND)
    return limit.limit * WITHIN if is_good else limit.fails_above * BEYOND or 1.0


def count_of(limit: Threshold, whole: int, *, is_good: bool) -> int:
    """Return how many of so many make the share: the last that is right, or the first that is wrong."""
    edge = limit.least if limit.least is not None else limit.limit if is_good else limit.fails_above
    if limit.least is not None:
        return math.ceil(edge * whole - 1e-9) - (not is_good)
    return math.floor(edge * whole + 1e-9) + (not is_good)


def fill(measure: OperationMeasure, limit: Threshold, *, is_good: bool) -> None:
    """Put into the measure what is just within the limit, or just beyond."""
    whole = limit.samples_least * 20
    if limit.statistic == "client_lag_p99":
        for client, lag_ms in ((1, 1.0), (2, value(limit, is_good=is_good))):
            for _ in range(HEARD_LEAST):
                measure.client_lags.add(client, lag_ms)
    elif limit.kind is Kind.LATENCY:
        kind = limit.statistic.rpartition("_")[0]
        times = {"": measure.latencies_ms, "own": measure.own_ms, "write": measure.writes_ms}
        times |= {"settled": measure.settled_ms, "lag": measure.lags_ms}
        for _ in range(limit.samples_least if kind != "client_lag" else 0):
            times[kind].append(value(limit, is_good=is_good))
        for _ in range(HEARD_LEAST if kind == "client_lag" else 0):
            measure.client_lags.add(1, value(limit, is_good=is_good))
    elif limit.kind is Kind.COUNT:
        for _ in range(limit.samples_least if is_good else 0):
            measure.add(OK, 1.0)
            measure.lags_ms.append(1.0)
    elif limit.kind is Kind.RATE:
        asked, answered = round((limit.least or 1) * SECONDS * 2), round(value(limit, is_good=is_good) * SECONDS)
        measure.ok, measure.failed = answered, asked - answered
    elif limit.kind is Kind.SHARE:
        fill_share(measure, limit, count_of(limit, whole, is_good=is_good), whole)


def fill_share(measure: OperationMeasure, limit: Threshold, count: int, whole: int) -> None:
    """Put so many of the whole into the measure."""
    rest = whole - count
    if limit.statistic == "failure_share":
        measure.failed, measure.ok = count, rest
    elif limit.statistic == "declined_share":
        measure.declined, measure.ok = count, rest
        measure.reasons[limit.reason or "no"] = count
    elif limit.statistic == "achieved_share":
        measure.ok, measure.not_sent = count, rest
    elif limit.statistic == "checks_share":
        measure.checks[limit.check or "is right"], measure.checks_held[limit.check or "is right"] = whole, count
    elif limit.statistic == "missed_share":
        measure.missed = count
        for _ in range(rest):
            measure.lags_ms.append(1.0)
    else:
        assert limit.statistic == "broken_share"
        measure.broken, measure.ok = count, whole


def state(limit: Threshold, *, is_good: bool | None) -> Grade:
    """Return how it is judged just within, just beyond, or of nothing (None)."""
    measures, found = Measures(), RowTimes()
    given: dict[str, Any] = {}
    if is_good is not None:
        measure = measures.of(limit.operation or "sell")
        measure.group, measure.keeps_stream = (limit.group or "").replace("*", "one"), True
        if limit.statistic == "reached_share":
            whole = limit.samples_least * 20
            count = count_of(limit, whole, is_good=is_good)
            late_ms = None if limit.within_ms is None else limit.within_ms * BEYOND
            for number in range(whole):
                found.add((limit.within_ms or 1.0) * WITHIN if number < count else late_ms)
        elif limit.rows is not None:
            for _ in range(limit.samples_least):
                found.add(value(limit, is_good=is_good))
        elif limit.kind is Kind.RESOURCE:
            given["resources"] = {limit.statistic: value(limit, is_good=is_good)}
        elif limit.kind is Kind.RECOVERY:
            given["recoveries"] = [("the spike", Recovery(value(limit, is_good=is_good), looked_s=1e6))]
        else:
            fill(measure, limit, is_good=is_good)
    rows = {limit.rows: found} if limit.rows is not None else {}
    (judgement,) = judge([limit], measures, 0.0, seconds=SECONDS, rows=rows, **given)
    return judgement.state


@pytest.mark.parametrize("statistic", STATISTICS)
def test_each_limit_passes_just_within_fails_just_beyond_and_is_not_measured_of_nothing(
    statistic: str, limits: list[tuple[str, Threshold]]
) -> None:
    of_it = [(name, limit) for name, limit in limits if limit.statistic == statistic]
    assert of_it
    for name, limit in of_it:
        nothing = Grade.FAILED if limit.kind is Kind.COUNT else Grade.NOT_MEASURED  # what must be touched has to be
        found = [state(limit, is_good=True), state(limit, is_good=False), state(limit, is_good=None)]
        assert found == [Grade.PASSED, Grade.FAILED, nothing], name
