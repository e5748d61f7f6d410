"""Shapes: arrivals keep their order and number, only their times change; steps go on as what was measured says."""

import itertools
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import cast

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from integrity.history import Outcome, Returned
from integrity.load.end_states import times_of
from integrity.load.judging import RowTimes, ThresholdJudgement, judge
from integrity.load.phases import Ladder, Phase, PhaseLog, Pieces, PlayedSchedule, judge_search, judge_steps
from integrity.load.profile import OpenProfile, load_profile, profile_names
from integrity.load.result import _arrivals, result_of
from integrity.load.row_limits import with_end_states
from integrity.load.shape import LoadSteps, Pace
from integrity.load.shape_result import _sweep
from integrity.load.thresholds import Grade, Threshold
from integrity.measure.calls import Measures
from integrity.measure.distribution import Distribution
from integrity.registry import SYSTEMS
from integrity.report.run_text import render_run
from integrity.runs.result import OperationResult
from integrity.systems.system import System
from tests.documents import make_result

OK = Returned(Outcome.OK, {}, "", 1)
FAILED = Returned(Outcome.FAILED, None, "53300 too many clients", 1)
P95 = Threshold.model_validate({"statistic": "p95", "most": 100, "source": "a plan"})
RESOURCE = Threshold.model_validate({"statistic": "database_cpu_share", "most": 0.7, "source": "a plan"})

factors = st.floats(0.0, 50.0)
lengths = st.floats(0.01, 500.0)


def profile(**shape: object) -> OpenProfile:
    stream = {"name": "bar", "operations": ["sell"], "per_minute": 60}
    settings = {"title": "", "model": "open", "clients": 5, "connections": 1, "streams": [stream], **shape}
    return OpenProfile.model_validate(settings)


def phase(
    *returns: Returned, latency_ms: float = 10.0, factor: float = 1.0, offered: int | None = None, followed: int = 0
) -> Phase:
    """Return a phase of one second in which these calls returned, and so many webhooks that followed from them."""
    measures = Measures()
    log = PhaseLog(measures, [P95], Distribution())
    log.begin("x", factor, at_s=0.0, judged_from_s=0.0)
    log.settle(0.0, 0)
    for returned in returns:
        measures.of("sell").add(returned, latency_ms)
        measures.of("sell").arrivals_answered += returned.outcome.is_answer
    for _ in range(followed):
        measures.of("confirm").add(OK, latency_ms)
    ended = log.end(1.0, len(returns) if offered is None else offered)
    assert ended is not None
    return ended


def test_at_a_steady_factor_time_runs_that_much_faster() -> None:
    pace = Pace()
    pace.extend(10.0, 1.0, 1.0)
    assert [pace.when(at_s) for at_s in (0.0, 9.5, 10.0)] == [0.0, 9.5, None]
    pace.extend(10.0, 4.0, 4.0)
    assert [pace.when(at_s) for at_s in (10.0, 30.0, 49.9, 50.0)] == [10.0, 15.0, pytest.approx(19.975), None]


@pytest.mark.parametrize(("elapsed_s", "per_s"), [(5.0, 1.0), (12.0, 1.68), (20.0, 5.2), (40.0, 4.6)])
def test_the_planned_rate_is_that_of_the_shape_as_far_as_it_was_played(elapsed_s: float, per_s: float) -> None:
    """55 calls a second in a spike were "of 9.9/s planned": ten times less than the plan had them."""
    pace, steady = Pace(), profile(duration_s=40)
    for duration_s, *factors in ((10.0, 1.0, 1.0), (10.0, 4.0, 14.8), (20.0, 0.0, 8.0)):
        if pace.horizon_s < elapsed_s:
            pace.extend(duration_s, *factors)
    loop, total = SimpleNamespace(pace=pace, offered=10, sent=10), cast(OperationResult, SimpleNamespace(mean_ms=1.0))
    said = _arrivals(steady, cast(PlayedSchedule, loop), total, elapsed_s, 1.0)
    assert said.planned_per_s == pytest.approx(per_s * steady.arrivals_per_s, abs=0.01)


def test_a_ramp_from_nothing_brings_half_as_many_as_its_end() -> None:
    pace = Pace()
    pace.extend(60.0, 0.0, 10.0)
    found = itertools.takewhile(lambda at_s: at_s is not None, (pace.when(float(n)) for n in itertools.count()))
    times = [at_s for at_s in found if at_s is not None]
    assert len(times) == 300
    assert times[75] == pytest.approx(30.0)  # a quarter of them by half time: the integral of a line
    assert times == sorted(times)


@pytest.mark.parametrize("factor", [1e-300, 3e-190, 7e-226, 1.0, 1e4])
def test_a_ramp_is_of_one_form_however_small_its_factors(factor: float) -> None:
    pace = Pace()
    pace.extend(100.0, 0.0, factor)
    assert pace.when(12.5 * factor) == pytest.approx(50.0)  # a quarter by half time
    pace.extend(100.0, factor, 0.0)
    assert pace.when(87.5 * factor) == pytest.approx(150.0)


@given(st.lists(st.tuples(lengths, factors, factors), min_size=1, max_size=5), st.lists(st.floats(0, 1), max_size=20))
@example([(1.0, 0.0, 3e-190)], [0.0, 0.5, 1.0])
@example([(1.0, 3e-190, 0.0)], [0.0, 0.5, 1.0])
@example([(500.0, 7e-226, 0.0), (1.0, 50.0, 7e-226)], [0.25, 0.5, 0.999])
@example([(0.01, 0.0, 5e-324), (1.0, 5e-324, 5e-324)], [0.25, 0.5, 1.0])
def test_times_keep_their_order_and_stay_within_what_is_known(
    pieces: list[tuple[float, float, float]], shares: list[float]
) -> None:
    pace, last, begun = Pace(), 0.0, 0.0
    for length_s, factor_from, factor_to in pieces:
        scheduled = length_s * (factor_from + factor_to) / 2
        pace.extend(length_s, factor_from, factor_to)
        for share in sorted(shares):
            at_s = pace.when(begun + share * scheduled)
            if at_s is not None:
                assert last - 1e-6 <= at_s <= pace.horizon_s + 1e-6
                last = at_s
        begun += scheduled


def test_stages_give_the_run_its_length_and_another_length_stretches_them() -> None:
    stages = [
        {"name": "before", "duration_s": 20, "factor": 1, "part": "before"},
        {"name": "jump", "duration_s": 0, "factor": 10},
        {"name": "spike", "duration_s": 60, "factor": 10, "part": "spike"},
    ]
    assert profile(stages=stages).duration_s == 80
    shortened = profile(stages=stages, duration_s=8)
    assert [stage.duration_s for stage in shortened.stages] == [2, 0, 6]
    pieces = Pieces(shortened)
    found = [pieces.next(None), pieces.next(None)]
    assert [(p and p.name, p and p.factor_from, p and p.factor_to) for p in found] == [("before", 1, 1), ("spike", 10, 10)]
    assert pieces.next(None) is None


@pytest.mark.parametrize(
    ("shape", "complaint"),
    [
        ({"stages": [{"name": "x", "duration_s": 1, "factor": 1}], "steps": {"goal": "sweep", "step_s": 1}}, "not both"),
        ({"steps": {"goal": "sweep", "step_s": 1, "factors": []}}, "there is none"),
        ({"steps": {"goal": "sweep", "step_s": 1, "factors": [1], "headings": ["a", "b"]}}, "2 for 1"),
        ({"steps": {"goal": "sweep", "step_s": 1, "scales": "subscribers"}}, "no subscribers"),
        ({"steps": {"goal": "brake", "step_s": 1}}, "goal"),
    ],
)
def test_a_shape_that_makes_no_sense_is_refused(shape: dict[str, object], complaint: str) -> None:
    with pytest.raises(ValueError, match=complaint):
        profile(**shape)


def test_a_phase_counts_what_returned_in_it_alone() -> None:
    measures = Measures()
    log = PhaseLog(measures, [P95], Distribution())
    for latency_ms, name in ((10.0, "first"), (500.0, "second")):
        log.begin(name, 1.0, at_s=0.0, judged_from_s=0.5)
        measures.of("sell").add(OK, 9_999.0)  # settling: not judged
        log.settle(0.4, 1)
        log.settle(0.6, 1)
        for _ in range(100):
            measures.of("sell").add(OK, latency_ms)
        log.end(1.0, 101)
    first, second = log.phases
    assert (first.answered, first.p95_ms, first.offered, first.failed()) == (100, 10.0, 100, [])
    assert (second.p95_ms, [judgement.measured for judgement in second.failed()]) == (500.0, [500.0])


def test_a_search_goes_up_until_a_threshold_fails_and_on_until_the_system_gives_way() -> None:
    ladder = Ladder(LoadSteps(goal="break", step_s=1, growth=2.0, growth_after=1.5))
    assert ladder.first() == 1.0
    assert ladder.next(phase(*[OK] * 100, factor=1.0)) == 2.0
    slow = phase(*[OK] * 100, latency_ms=150, factor=2.0)
    assert ladder.next(slow) == 3.0
    assert ladder.next(phase(*[OK] * 100, latency_ms=150, factor=3.0)) == 4.5
    broken = phase(*[OK, FAILED] * 30, factor=4.5)
    assert ladder.next(broken) is None
    assert (ladder.first_break, ladder.hard_break) == (slow, broken)
    assert "50.0% of the calls failed: sell: 53300 too many clients" in ladder.ended_because


def test_a_limit_with_too_few_calls_at_the_first_load_is_kept_where_a_higher_one_kept_it() -> None:
    """A search of a minute had 23 calls at its own load: all of its limits were "not measured", whatever it bore."""
    few = phase(*[OK] * 23)
    ((kept,), (missed,), (own,), (none,)) = (
        judge_steps([few, few, phase(*[OK] * 200, factor=16.0), phase(*[OK] * 200, latency_ms=150, factor=32.0)]),
        judge_steps([few, phase(*[OK] * 200, latency_ms=150, factor=2.0), phase(*[OK] * 200, factor=4.0)]),
        judge_steps([phase(*[OK] * 200, latency_ms=150), phase(*[OK] * 200, factor=2.0)]),
        judge_steps([few]),
    )
    assert (kept.state, kept.measured, kept.sample_count) == (Grade.PASSED, 10.0, 200)
    assert kept.reason == "at 16 times the load: its own had too few calls"
    assert [each.state for each in (missed, own, none)] == [Grade.NOT_MEASURED, Grade.FAILED, Grade.NOT_MEASURED]


def test_a_system_that_answers_too_few_of_the_calls_offered_gave_way() -> None:
    assert phase(*[OK] * 89, offered=100).gave_way() == "89% of the calls offered were answered"
    assert phase(*[OK] * 90, offered=100).gave_way() == ""
    assert phase(*[OK] * 20, offered=40).gave_way() == "", "too few to say"
    assert phase(*[OK] * 60, offered=100, followed=40).gave_way().startswith("60%"), "webhooks are no answers to what was"


def test_a_search_ends_at_its_bound_and_where_the_generator_is_late() -> None:
    ladder = Ladder(LoadSteps(goal="break", step_s=1, factor_most=2.0))
    assert ladder.next(phase(OK, factor=1.5)) is None
    assert "bound" in ladder.ended_because
    measures = Measures()
    lags_ms = Distribution()
    late = PhaseLog(measures, [P95], lags_ms)
    late.begin("x", 1.0, at_s=0.0, judged_from_s=0.0)
    late.settle(0.0, 0)
    for _ in range(10):
        lags_ms.append(50.0)
    for _ in range(100):
        measures.of("sell").add(OK, 90.0)  # 50 ms more or less decide
    measures.of("sell").arrivals_answered = 100
    ladder = Ladder(LoadSteps(goal="break", step_s=1))
    assert ladder.next(late.end(1.0, 100)) is None
    assert "generator" in ladder.ended_because


def test_a_sweep_goes_through_its_factors_whatever_happens() -> None:
    ladder = Ladder(LoadSteps(goal="sweep", step_s=1, factors=(1, 2, 4)))
    assert [ladder.first(), ladder.next(phase(FAILED)), ladder.next(None), ladder.next(None)] == [1, 2, 4, None]


def in_steps(goal: str, *p95s_ms: float, limits: Sequence[Mapping[str, object]]) -> tuple[OpenProfile, PlayedSchedule]:
    """Return a search of steps of 300 s whose calls took so long, one after the other."""
    factors = {"factors": range(1, len(p95s_ms) + 1)} if goal == "sweep" else {}
    searching = profile(steps={"goal": goal, "step_s": 300, "growth": 2.0, **factors}, thresholds=limits)
    assert searching.steps is not None
    measures, ladder = Measures(), Ladder(searching.steps)
    log = PhaseLog(measures, searching.thresholds, Distribution())
    for number, latency_ms in enumerate(p95s_ms):
        log.begin(f"x{number + 1}", number + 1.0, at_s=300.0 * number, judged_from_s=300.0 * number + 30)
        log.settle(300.0 * number + 30, 0)
        for _ in range(100):
            measures.of("sell").add(OK, latency_ms)
        measures.of("sell").arrivals_answered += 100
        ladder.next(log.end(300.0 * (number + 1), 100 * (number + 1)))
    return searching, PlayedSchedule(1, 1, Distribution(), log.phases, Pace(), ladder, started_at_us=1_000_000)


def judge_all(searching: OpenProfile) -> list[ThresholdJudgement]:
    return judge(searching.thresholds, Measures(), None, seconds=1.0)


def told(judgement: ThresholdJudgement) -> dict[str, object]:
    return result_of(judgement).model_dump(mode="json")


def in_spans(played: PlayedSchedule, *waits_ms: float | None) -> dict[str, RowTimes]:
    """Return the rows of a search: a hundred of each step, which waited so long; None: never came."""
    begins = [datetime.fromtimestamp((from_us + 1) / 1e6, UTC) for from_us, _ in played.spans]
    found = [
        {"began_at": began, "reached_at": None if wait_ms is None else began + timedelta(milliseconds=wait_ms)}
        for began, wait_ms in zip(begins, waits_ms, strict=True)
        for _ in range(100)
    ]
    settling = {"began_at": datetime.fromtimestamp(2, UTC), "reached_at": None}  # it is in no step that is judged
    return {"shop/mail": times_of([*found, settling], spans=played.spans)}


MAIL = {"rows": "shop/mail", "statistic": "p95", "most": 300, "source": "a plan"}
READ = {"rows": "shop/mail", "statistic": "reached_share", "least": 0.9, "source": "a plan"}
LATENCY = {"operation": "sell", "statistic": "p95", "most": 100, "source": "a plan"}


def test_limits_of_rows_are_judged_of_each_step_of_a_search_and_say_where_it_broke() -> None:
    """They were left out without a word: the messages of a sweep that came after 10 s passed it."""
    searching, played = in_steps("break", 5.0, 5.0, 150.0, limits=[LATENCY, MAIL, READ])
    before = make_result(thresholds=[told(each) for each in judge_search(played.phases, judge_all(searching))])
    result = with_end_states(before, searching, played, in_spans(played, 10.0, 900.0, None))
    assert [(each.rows or each.operation, each.state, each.measured) for each in result.thresholds] == [
        ("sell", "passed", 5.0),
        ("shop/mail", "passed", 10.0),
        ("shop/mail", "passed", 1.0),
    ]
    assert [[limit.state for limit in phase.thresholds] for phase in result.phases] == [
        ["passed", "passed", "passed"],
        ["passed", "failed", "passed"],
        ["failed", "not measured", "failed"],
    ]
    assert result.search is not None
    assert result.search.first_break is not None
    broke = result.search.first_break
    assert (broke.name, broke.operation, broke.how) == ("x2", "shop/mail", "p95 900 ms, over 300 ms")
    assert result.search.held_per_s == pytest.approx(100 / 270, abs=0.01)
    assert "failed: shop/mail p95" in " ".join(render_run(result).split())


def test_the_knee_is_of_the_rows_where_they_are_what_the_profile_names() -> None:
    """End to end is of rows; it was drawn of what streams brought, a third of it the senders' own echo."""
    searching, played = in_steps("sweep", 5.0, 5.0, 5.0, 5.0, limits=[MAIL, LATENCY])
    before = make_result(thresholds=[told(each) for each in judge_search(played.phases, judge_all(searching))])
    result = with_end_states(before, searching, played, in_spans(played, 10.0, 11.0, 12.0, 250.0))
    assert result.sweep is not None
    assert result.sweep.figure == "shop/mail p95"
    assert result.sweep.knee == pytest.approx(300 / 270, abs=0.01)


def test_a_sweep_says_nothing_of_loads_at_which_it_measured_nothing() -> None:
    """Cut off after two loads it had no knee, "a straight line"; of limits without samples it was above all."""
    searching, played = in_steps("sweep", 5.0, 5.0, limits=[LATENCY])
    two = render_run(make_result(sweep=_sweep(searching, played.phases).model_dump()))
    assert "knee of sell p95: not measured: it is known at 2 of 2 loads, and a bend takes 3." in two
    assert "the ceiling is above 0.74 arrivals per second" in two
    searching, played = in_steps("sweep", 5.0, 5.0, 5.0, limits=[{**LATENCY, "operation": "buy"}])
    none = render_run(make_result(sweep=_sweep(searching, played.phases).model_dump()))
    assert "known at 0 of 3 loads" in none
    assert "nothing is said of a ceiling" in none
    searching, played = in_steps("sweep", 5.0, 5.0, 5.0, limits=[LATENCY])
    assert "knee of sell p95: none: latency" in render_run(make_result(sweep=_sweep(searching, played.phases).model_dump()))


@pytest.mark.parametrize("system", SYSTEMS.values(), ids=SYSTEMS)
def test_every_limit_of_a_profile_stands_in_what_its_search_comes_to(system: System) -> None:
    for name in profile_names(system, {}):
        searching = load_profile(system, name, {})
        if isinstance(searching, OpenProfile) and searching.steps is not None:
            limits = [*searching.thresholds, RESOURCE]
            log = PhaseLog(Measures(), limits, Distribution())
            log.begin("x", 0.333, at_s=0.0, judged_from_s=0.0, rate=0.333)
            log.settle(0.0, 0)
            log.end(1.0, 0)
            found = judge_search(log.phases, judge(limits, Measures(), None, seconds=1.0))
            assert [(each.threshold.about, each.threshold.statistic) for each in found] == [
                (each.about, each.statistic) for each in limits
            ]


def test_the_knee_is_that_of_the_latency_that_the_profile_names() -> None:
    """It was computed on the p95 of all operations mixed: 16 ms, where the messages came after 106."""
    lag = {"operation": "listen", "statistic": "lag_p95", "most": 300, "source": "a plan"}
    sweep = {"goal": "sweep", "step_s": 300, "factors": [1, 2, 3, 4]}
    measures = Measures()
    swept = profile(steps=sweep, thresholds=[lag])
    log = PhaseLog(measures, swept.thresholds, Distribution())
    for factor, lag_ms in ((1.0, 10.0), (2.0, 11.0), (3.0, 12.0), (4.0, 250.0)):
        log.begin(f"x{factor}", factor, at_s=0.0, judged_from_s=0.0)
        log.settle(0.0, 0)
        for _ in range(100):
            measures.of("sell").add(OK, 5.0)
            measures.of("listen").lags_ms.append(lag_ms)
        log.end(1.0, round(100 * factor))
    found = _sweep(swept, log.phases)
    assert (found.figure, found.knee) == ("listen lag p95", 300.0)
    unnamed = _sweep(profile(steps=sweep), log.phases)
    assert (unnamed.figure, unnamed.knee) == ("p95", None)


def test_a_sweep_names_the_first_load_over_a_warning_and_calls_four_fifths_of_it_safe() -> None:
    send = {"operation": "sell", "statistic": "p50", "most": 30, "warning": 50, "critical": 100, "source": "a plan"}
    swept = profile(steps={"goal": "sweep", "step_s": 300, "factors": [1, 2, 3]}, thresholds=[send])
    measures = Measures()
    log = PhaseLog(measures, swept.thresholds, Distribution())
    for factor, latency_ms in ((1.0, 40.0), (2.0, 60.0), (3.0, 200.0)):
        log.begin(f"x{factor}", factor, at_s=0.0, judged_from_s=0.0)
        log.settle(0.0, 0)
        for _ in range(20):
            measures.of("sell").add(OK, latency_ms)
        log.end(1.0, round(100 * factor))
    found = _sweep(swept, log.phases)
    assert found.first_warning is not None
    assert (found.first_warning.load, found.safe_ceiling) == (200.0, 160.0)
    calm = _sweep(swept, log.phases[:1])
    assert (calm.first_warning, calm.safe_ceiling) == (None, None)
