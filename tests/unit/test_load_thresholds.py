"""A threshold passes only when it was measured, by a generator that kept its own times."""

import pytest

from integrity.clients.driver import Returned
from integrity.exit_codes import exit_code_of
from integrity.history import Outcome
from integrity.load.thresholds import Grade, Threshold, judge, shortfalls_of
from integrity.measure.calls import Measures, summarize
from integrity.measure.distribution import percentiles

OK = Returned(Outcome.OK, {}, "", 1)
DECLINED = Returned(Outcome.DECLINED, {"reason": "no"}, "", 1)
UNAVAILABLE = Returned(Outcome.UNAVAILABLE, {"reason": "mint_did_not_answer"}, "", 1)
FAILED = Returned(Outcome.FAILED, None, "23505 duplicate key", 3)
UNKNOWN = Returned(Outcome.UNKNOWN, None, "connection lost: gone", 1)
DIED = Returned(Outcome.UNKNOWN, None, "abandoned: the client died before step 2, statement", 1, was_abandoned=True)


def measured(*returns: Returned, latency_ms: float = 10.0) -> Measures:
    measures = Measures()
    for returned in returns:
        measures.of("sell").add(returned, latency_ms)
    return measures


def limit(statistic: str, most: float, operation: str | None = "sell") -> Threshold:
    return Threshold.model_validate({"operation": operation, "statistic": statistic, "most": most, "source": "a plan"})


def state_of(threshold: Threshold, measures: Measures, lag_p99_ms: float | None = None) -> Grade:
    (judgement,) = judge([threshold], measures, lag_p99_ms, seconds=2)
    return judgement.state


@pytest.mark.parametrize("statistic", ["mean", "p50", "p95", "p99", "max"])
def test_a_latency_passes_up_to_its_limit_and_not_beyond(statistic: str) -> None:
    measures = measured(OK, OK, DECLINED)

    assert state_of(limit(statistic, 10), measures) is Grade.PASSED
    assert state_of(limit(statistic, 9.99), measures) is Grade.FAILED


@pytest.mark.parametrize("statistic", ["p95", "settled_mean", "failure_share"])
def test_what_has_no_samples_is_not_measured(statistic: str) -> None:
    assert state_of(limit(statistic, 1000), Measures()) is Grade.NOT_MEASURED
    assert state_of(limit(statistic, 1000, operation="refund_sale"), measured(OK)) is Grade.NOT_MEASURED


def test_calls_that_only_failed_have_no_latency() -> None:
    assert state_of(limit("p95", 1000), measured(FAILED, UNKNOWN)) is Grade.NOT_MEASURED


def test_declined_is_no_failure_and_failed_and_unknown_are() -> None:
    (judgement,) = judge([limit("failure_share", 0.3, None)], measured(OK, DECLINED, FAILED, UNKNOWN), None, seconds=2)

    assert (judgement.measured, judgement.state) == (0.5, Grade.FAILED)


def test_an_outside_service_that_answers_nothing_fails_the_share_and_has_no_latency() -> None:
    measures = measured(UNAVAILABLE, UNAVAILABLE)

    (judgement,) = judge([limit("failure_share", 0.3, None)], measures, None, seconds=2)

    assert (judgement.measured, judgement.state) == (1.0, Grade.FAILED)
    assert state_of(limit("declined_share", 0), measures) is Grade.PASSED
    assert state_of(limit("p95", 1000), measures) is Grade.NOT_MEASURED


def test_why_calls_were_unavailable_is_counted_with_the_errors() -> None:
    assert measured(UNAVAILABLE, UNAVAILABLE, FAILED).of("sell").errors == {
        "unavailable: mint_did_not_answer": 2,
        "23505 duplicate key": 1,
    }


def test_a_call_that_was_not_sent_counts_as_failed() -> None:
    measures = measured(OK)
    measures.of("sell").not_sent = 1

    (judgement,) = judge([limit("failure_share", 0.3, None)], measures, None, seconds=2)

    assert judgement.measured == 0.5


def test_a_client_that_was_made_to_die_is_no_failure_of_the_systems() -> None:
    assert state_of(limit("failure_share", 0), measured(OK, DIED)) is Grade.PASSED


def test_a_late_generator_makes_a_latency_unknown_and_leaves_the_failures_alone() -> None:
    measures = measured(OK)

    assert state_of(limit("p95", 500), measures, lag_p99_ms=50) is Grade.PASSED
    assert state_of(limit("p95", 500), measures, lag_p99_ms=50.1) is Grade.UNKNOWN
    assert state_of(limit("p95", 5), measures, lag_p99_ms=50.1) is Grade.UNKNOWN
    assert state_of(limit("failure_share", 0.1), measures, lag_p99_ms=1000) is Grade.PASSED


def test_the_tightest_limit_says_how_late_the_generator_may_be() -> None:
    thresholds = [limit("p95", 5000), limit("p50", 500)]

    assert [j.state for j in judge(thresholds, measured(OK), 60, seconds=2)] == [Grade.UNKNOWN, Grade.UNKNOWN]


def levels(measured_at: float) -> Grade:
    threshold = Threshold.model_validate(
        {"statistic": "p95", "most": 300, "warning": 500, "critical": 1000, "source": "the messaging plan"}
    )
    return state_of(threshold, measured(OK, latency_ms=measured_at))


def test_between_its_levels_a_threshold_warns_and_above_the_last_it_fails() -> None:
    assert [levels(ms) for ms in (300, 500, 501, 1000, 1001)] == [
        Grade.PASSED,
        Grade.PASSED,
        Grade.WARNING,
        Grade.WARNING,
        Grade.FAILED,
    ]


def test_a_rate_has_a_least_value() -> None:
    threshold = Threshold.model_validate({"statistic": "answered_per_s", "least": 1.5, "source": "a plan"})

    assert state_of(threshold, measured(OK, DECLINED, OK)) is Grade.PASSED  # 3 in 2 s
    assert state_of(threshold, measured(OK, DECLINED, FAILED)) is Grade.FAILED
    assert state_of(threshold, measured(FAILED)) is Grade.NOT_MEASURED


def test_calls_declined_for_one_reason_are_counted_apart() -> None:
    limited = Returned(Outcome.DECLINED, {"reason": "rate_limited"}, "", 1)
    threshold = {"statistic": "declined_share", "most": 0.25, "source": "a plan"}
    measures = measured(OK, DECLINED, DECLINED, limited)

    assert state_of(Threshold.model_validate(threshold), measures) is Grade.FAILED
    assert state_of(Threshold.model_validate({**threshold, "reason": "rate_limited"}), measures) is Grade.PASSED


def test_a_resource_that_nobody_watched_is_not_measured() -> None:
    threshold = Threshold.model_validate({"statistic": "connections_share", "most": 0.7, "source": "a plan"})
    states = [
        judge([threshold], measured(OK), None, seconds=2, resources=resources)[0].state
        for resources in ({}, {"connections_share": 0.7}, {"connections_share": 0.71})
    ]
    assert states == [Grade.NOT_MEASURED, Grade.PASSED, Grade.FAILED]


@pytest.mark.parametrize(
    ("settings", "complaint"),
    [
        ({}, "either most or least"),
        ({"most": 1, "least": 1}, "either most or least"),
        ({"most": 1, "warning": 2}, "come together"),
        ({"most": 3, "warning": 2, "critical": 4}, "must rise"),
        ({"least": 3, "warning": 2, "critical": 4}, "must rise"),
        ({"most": 1, "reason": "x"}, "declined_share only"),
    ],
)
def test_a_limit_that_says_nothing_clear_is_refused(settings: dict[str, object], complaint: str) -> None:
    with pytest.raises(ValueError, match=complaint):
        Threshold.model_validate({"statistic": "p95", "source": "a plan", **settings})


@pytest.mark.parametrize(
    ("states", "code"),
    [
        ([Grade.PASSED, Grade.WARNING], 0),
        ([Grade.NOT_MEASURED, Grade.FAILED, Grade.PASSED], 4),
        ([Grade.UNKNOWN, Grade.FAILED], 4),
        ([Grade.PASSED, Grade.UNKNOWN], 3),
        ([Grade.NOT_MEASURED], 3),
    ],
)
def test_a_threshold_that_was_missed_outranks_one_that_was_not_measured(states: list[Grade], code: int) -> None:
    assert exit_code_of(shortfalls_of(states)) == code


def test_percentiles_are_latencies_that_happened() -> None:
    assert percentiles([float(n) for n in range(1, 101)]) == {"p50_ms": 50, "p95_ms": 95, "p99_ms": 99}
    assert percentiles([3.0]) == {"p50_ms": 3, "p95_ms": 3, "p99_ms": 3}
    assert percentiles([]) == {"p50_ms": None, "p95_ms": None, "p99_ms": None}


def test_the_summary_counts_each_outcome_apart() -> None:
    row, total = summarize(measured(OK, DECLINED, FAILED, UNKNOWN, DIED), elapsed_s=2)

    for record in (row, total):
        assert (record.ok, record.declined, record.failed, record.unknown) == (1, 1, 1, 2)
        assert (record.calls, record.abandoned, record.retries, record.calls_per_s) == (5, 1, 2, 2.5)
    assert (row.operation, total.operation) == ("sell", "total")


def test_errors_are_counted_by_kind_and_their_number_is_bounded() -> None:
    measures = measured(*(Returned(Outcome.FAILED, None, f"XX000 number {n}", 1) for n in range(100)), FAILED)

    errors = measures.of("sell").errors

    assert len(errors) == 11
    assert errors["other errors"] == 91
