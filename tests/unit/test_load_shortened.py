"""A run that is shorter than its plan says so wherever it is read, and claims nothing that its length does not carry."""

from collections.abc import Callable

import pytest

from integrity.load.forecast import expected_calls
from integrity.load.judging import RowTimes, judge
from integrity.load.phases import Ladder, Phase, PhaseLog
from integrity.load.profile import OpenProfile, Profile, load_profile, scale
from integrity.load.result import result_of
from integrity.load.shape import CLAIM_STEP_S_LEAST
from integrity.load.shape_result import _search, _sweep
from integrity.load.spared import find_spared, with_spared
from integrity.load.suite import Suite, load_suite, plan_suite
from integrity.load.thresholds import Threshold
from integrity.measure.calls import Measures
from integrity.measure.distribution import Distribution
from integrity.reference.ghostpass.system import GHOSTPASS
from integrity.reference.instainstru.system import INSTAINSTRU
from integrity.reference.streamvote.system import STREAMVOTE
from integrity.registry import SYSTEMS
from integrity.report.run_text import render_run
from integrity.report.suite_text import render_plan
from integrity.runs.result import Shortened
from integrity.systems.system import System
from tests.documents import make_result


def of_suite(profile: str, *, shorten: float = 1.0, duration_s: float | None = None) -> Profile:
    step = {"profile": profile} if duration_s is None else {"profile": profile, "duration_s": duration_s}
    suite = Suite.model_validate({"title": "", "steps": [step]})
    return plan_suite("s", suite, [GHOSTPASS], {}, shorten=shorten).runs[0].profile


def compressed() -> Profile:
    peak = load_profile(GHOSTPASS, "peak", {})
    assert isinstance(peak, OpenProfile)
    return scale(peak, time=120)


@pytest.mark.parametrize(
    ("made", "mark"),
    [
        (lambda: load_profile(GHOSTPASS, "soak", {}, {"duration_s": 18.0}), "18 s of the plan's 4h"),
        (lambda: load_profile(GHOSTPASS, "spike", {}, {"duration_s": 6.0}), "6 s of the plan's 10m"),
        (lambda: load_profile(GHOSTPASS, "hammer", {}, {"duration_s": 1.0}), "1 s of the plan's 10s"),
        (compressed, "10 s of the plan's 20m"),
        (lambda: of_suite("soak", shorten=100), "144 s of the plan's 4h"),
        (lambda: of_suite("hammer", shorten=10), "1 s of the plan's 10s"),
        (lambda: of_suite("baseline", shorten=2, duration_s=20.0), "10 s of the plan's 10m"),
    ],
)
def test_whatever_shortens_a_profile_leaves_the_plans_length_on_it(made: Callable[[], Profile], mark: str) -> None:
    shortened = made().shortened
    assert shortened is not None
    assert shortened.mark == mark


def test_a_profile_of_its_own_length_or_longer_is_not_shortened() -> None:
    assert load_profile(GHOSTPASS, "soak", {}).shortened is None
    assert load_profile(GHOSTPASS, "hammer", {}, {"duration_s": 60.0}).shortened is None
    assert load_profile(GHOSTPASS, "brief", {"brief": {"extends": "hammer", "duration_s": 1}}).shortened is None


def test_a_shortened_run_says_so_in_its_text_and_its_document() -> None:
    result = make_result(shortened={"ran_s": 18.0, "plan_s": 14_400.0})
    assert "finished, shortened: 18 s of the plan's 4h; thresholds" in " ".join(render_run(result).split())
    assert result.to_json()["shortened"] == {"ran_s": 18.0, "plan_s": 14_400.0}
    assert "shortened" not in render_run(make_result(shortened=None))


def test_a_plan_of_a_suite_says_what_is_shorter_than_its_plan() -> None:
    suite = Suite.model_validate({"title": "", "steps": [{"profile": "soak", "duration_s": 20.0}, {"profile": "hammer"}]})
    lines = render_plan(plan_suite("s", suite, [GHOSTPASS], {}, shorten=1.0)).splitlines()
    (soak,) = (line for line in lines if line.endswith("  24 s of 4 h"))
    (hammer,) = (line for line in lines if line.endswith("  14 s"))
    assert ("soak" in soak, "hammer" in hammer) == (True, True)


def test_a_shortened_spike_or_chaos_with_too_few_calls_to_compare_need_not_tell_recovery() -> None:
    steps = [
        {"profile": "spike", "duration_s": 30.0, "rate_factor": 0.2},
        {"profile": "chaos", "duration_s": 60.0},
        {"profile": "chaos", "duration_s": 200.0},
    ]
    suite = Suite.model_validate({"title": "", "steps": steps})
    planned = plan_suite("s", suite, [GHOSTPASS, STREAMVOTE], {}, shorten=1.0).runs
    assert [[each for each in map(str, run.spared) if "recovery" in each] for run in planned] == [
        ["all recovery s (about 2 of 100 calls to compare with)"],
        ["all recovery s (about 9 of 50 calls to compare with)"],
        *[["all recovery s (where too little is seen to tell)"]] * 4,
    ]


def test_a_limit_on_a_rate_goes_with_the_rate_and_says_so() -> None:
    """ci-smoke and chaos of streamvote were held to the votes of the whole plan at a fifth and a quarter of its rate."""
    whole, fifth, quarter = (
        [each for each in load_profile(STREAMVOTE, name, {}).thresholds if each.statistic == "answered_per_s"]
        for name in ("votes", "ci-smoke", "chaos")
    )
    assert [each.least for each in (*whole, *fifth, *quarter)] == [190, pytest.approx(38), 47.5]
    assert fifth[0].source.endswith("; here 0.2 times the rate")
    votes = load_profile(STREAMVOTE, "votes", {})
    assert isinstance(votes, OpenProfile)
    assert {each.least for each in scale(votes, rate=0.5).thresholds if each.statistic == "answered_per_s"} == {95}
    latencies = [each for each in votes.thresholds if each.is_latency]
    assert [each for each in scale(votes, rate=0.5).thresholds if each.is_latency] == latencies


def test_a_limit_on_a_rate_is_judged_at_the_rate_of_each_phase() -> None:
    answered = Threshold.model_validate({"statistic": "answered_per_s", "least": 100, "source": "a plan"})
    log = PhaseLog(Measures(), [answered], Distribution())
    for rate in (0.5, 4.0):
        log.begin("x", rate, at_s=0.0, judged_from_s=0.0, rate=rate)
        log.settle(0.0, 0)
        log.end(1.0, 1)
    assert [phase.judgements[0].threshold.least for phase in log.phases] == [50, 400]


def steps_of(step_s: float, goal: str) -> OpenProfile:
    factors = {"factors": [1.0, 2.0]} if goal == "sweep" else {}
    profile = load_profile(
        GHOSTPASS, "x", {"x": {"extends": "pilot", "steps": {"goal": goal, "step_s": step_s, **factors}}}
    )
    assert isinstance(profile, OpenProfile)
    return profile


def an_overload(factor: float) -> Phase:
    """Return a phase in which too few calls were answered."""
    return Phase("x", "", factor, 0.0, 0.0, to_s=10.0, offered=1000)


@pytest.mark.parametrize("step_s", [0.5, CLAIM_STEP_S_LEAST / 1.01, CLAIM_STEP_S_LEAST])
def test_steps_too_short_for_it_make_no_claim_of_capacity(step_s: float) -> None:
    is_long = step_s >= CLAIM_STEP_S_LEAST
    searching = steps_of(step_s, "break")
    assert searching.steps is not None
    ladder = Ladder(searching.steps)
    assert ladder.next(an_overload(1.0)) is None
    search = _search(ladder, [an_overload(1.0)], searching.steps.no_claim)
    assert (search.hard_break is not None) == is_long
    assert (search.no_claim == "") == is_long
    sweep = _sweep(steps_of(step_s, "sweep"), [an_overload(1.0), an_overload(2.0)])
    assert (sweep.no_claim == "") == is_long
    shown = " ".join(render_run(make_result(search=search.model_dump(), sweep=sweep.model_dump())).split())
    assert ("gave way at" in shown) == is_long
    assert (shown.count("no claim of capacity: steps of") == 2) == (not is_long)


def test_the_mark_is_of_what_ran() -> None:
    assert Shortened.of(600.0, 600.0) is None
    assert Shortened.of(599.99, 600.0) is None
    assert Shortened.of(4.2, 600.0) == Shortened(ran_s=4.2, plan_s=600.0)


def test_where_no_stream_was_opened_anew_their_breaking_need_not_be_measured_and_their_lag_must() -> None:
    """The first load of a search of a minute opens none: they are there, and stay."""
    profile = load_profile(INSTAINSTRU, "stress", {}, {"duration_s": 60})
    limits: dict[str, Threshold] = {each.statistic: each for each in profile.thresholds if each.operation == "open_stream"}
    of = ("operation", "group", "rows", "statistic", "within_ms", "most", "warning", "critical", "least", "source")
    results = [
        {name: getattr(limits[statistic], name) for name in of}
        | {"measured": None, "sample_count": count, "state": "not measured", "reason": ""}
        for statistic, count in (("broken_share", 0), ("broken_share", 8), ("lag_p95", 0), ("lag_p95", 8))
    ]
    marked = with_spared(make_result(thresholds=results), profile)
    assert [each.is_spared for each in marked.thresholds] == [True, True, False, True]


@pytest.mark.parametrize(("name", "is_spared"), [("stress", True), ("baseline", False)])
def test_rows_that_a_step_of_a_moment_has_none_of_need_not_be_measured_and_those_of_a_run_must(
    name: str, is_spared: bool
) -> None:
    """A step of 0.6 s in which no update was told to anybody ended the suite as unknown."""
    profile = load_profile(STREAMVOTE, name, {}, {"duration_s": 15})
    asked = [each for each in profile.thresholds if each.rows == "streamvote/updates-received"]
    found = judge(asked, Measures(), None, seconds=0.6, rows={"streamvote/updates-received": RowTimes()})
    result = make_result(thresholds=[]).model_copy(update={"thresholds": tuple(map(result_of, found))})
    assert [(each.state, each.is_spared) for each in with_spared(result, profile).thresholds] == [
        ("not measured", is_spared)
    ] * 2


def test_limits_of_a_shortened_chaos_are_reckoned_without_what_its_faults_take() -> None:
    """Two thirds of 50 s of chaos are not judged: 213 polls were too few for a p99 that all 625 would have carried."""
    suite = Suite.model_validate({"title": "", "steps": [{"profile": "chaos", "duration_s": 200.0}]})
    (short,), (whole,) = (plan_suite("s", suite, [STREAMVOTE], {}, shorten=by).runs for by in (4.0, 1.0))
    of_polls = [each for each in map(str, short.spared) if each.startswith("poll_event p99")]
    assert of_polls == ["poll_event p99 (about 169 of 500 calls that it needs)"]
    assert not any(str(each).startswith("poll_event") for each in whole.spared)


def test_a_burst_at_the_very_end_is_not_reckoned_with_nor_a_webhook_for_each_call() -> None:
    """30 s of ghostpass have 6 fundings, whose 50 at once come with the 30th: the suite ended as unknown."""
    of_fundings = {
        duration_s: [
            (str(each), each.is_known)
            for each in find_spared(load_profile(GHOSTPASS, "baseline", {}, {"duration_s": duration_s}))
            if each.threshold.operation == "request_funding"
        ]
        for duration_s in (30.0, 31.0)
    }
    assert of_fundings == {
        30.0: [("request_funding settled mean (about 1 of 10 calls that it needs)", True)],
        31.0: [("request_funding settled mean (if there are fewer than 10 samples)", False)],
    }


def test_a_run_that_is_all_fault_is_reckoned_whole_as_it_is_judged() -> None:
    of = {"x": {"extends": "pilot", "duration_s": 100, "faults": ["db_latency@0%-60%"]}}
    with_fault, without = (
        load_profile(GHOSTPASS, "x", {"x": {**of["x"], "faults": faults}}) for faults in (of["x"]["faults"], [])
    )
    assert isinstance(with_fault, OpenProfile)
    assert isinstance(without, OpenProfile)
    assert expected_calls(with_fault, "scan_in") == expected_calls(without, "scan_in")


def test_a_rate_that_lacks_by_chance_alone_is_spared_where_the_run_is_shortened_and_one_that_was_missed_is_not() -> None:
    """A step of 0.6 s of stress had 111 votes of the 112 that its rate asks for: the suite ended as unknown."""
    profile = load_profile(STREAMVOTE, "votes", {}, {"duration_s": 1.0})
    (limit,) = [each for each in profile.thresholds if each.statistic == "answered_per_s"]
    marked = []
    for calls, not_sent in ((180, 0), (150, 0), (180, 20)):
        measures = Measures()
        measures.of("vote").ok, measures.of("vote").not_sent = calls, not_sent
        result = make_result(thresholds=[])
        judged = judge([limit], measures, None, seconds=1.0)
        result = result.model_copy(update={"thresholds": tuple(map(result_of, judged))})
        (found,) = with_spared(result, profile).thresholds
        marked.append((found.state, found.is_spared))
    assert marked == [("not measured", True), ("unknown", False), ("failed", False)]


def test_a_plan_of_a_suite_says_beforehand_where_nothing_is_measured_and_what_carries_it() -> None:
    """Five seconds of ghostpass were said to pass, and ended the suite as unknown."""
    suite = Suite.model_validate({"title": "", "steps": [{"profile": "baseline", "duration_s": 60.0}]})
    shown = " ".join(render_plan(plan_suite("s", suite, [GHOSTPASS], {}, shorten=8.0)).split())
    assert "1 ghostpass baseline is so short that none of its limits is measured: it ends as unknown" in shown
    assert "With --shorten 2 one is." in shown
    assert "passes though these are not measured" not in shown
    # That calls end, whatever is broken, is a limit of each run with faults.
    suite = Suite.model_validate({"title": "", "steps": [{"profile": "chaos"}, {"profile": "stress"}]})
    assert [each.carried_by for each in plan_suite("s", suite, [GHOSTPASS], {}, shorten=60.0).runs] == [None, None]


@pytest.mark.parametrize("system", SYSTEMS.values(), ids=SYSTEMS)
def test_each_run_of_the_shipped_suites_is_long_enough_to_measure_something(system: System) -> None:
    for name in ("ci", "quick", "full"):
        runs = plan_suite(name, load_suite(name, {}), [system], {}, shorten=1.0).runs
        assert [each.profile_name for each in runs if each.carried_by is not None] == [], name
