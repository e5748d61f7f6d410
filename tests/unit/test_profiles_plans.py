"""Profiles against the plans: each figure that a plan gives for its load, by the row of the requirements."""

import re
from dataclasses import replace
from typing import Any

import pytest

from integrity.jobs.run import windows_of
from integrity.load.fault_windows import APART_SHARE_MOST, SETTLING_US
from integrity.load.forecast import (
    CALL_BYTES,
    FACTOR_WARNED,
    describe,
    find_doubts,
    find_lack_of_space,
    find_warning,
    foresee,
    levels_of,
)
from integrity.load.profile import OpenProfile, load_profile, profile_names, scale
from integrity.load.suite import Suite, load_suite, plan_suite
from integrity.registry import SYSTEMS, shipped_suites
from integrity.report.suite_text import render_plan
from integrity.systems.system import System

SENDS = ("send_whatsapp", "send_email", "send_sms")
ENTRIES, SALES = ("scan_in",), ("sell",)


def open_profile(system: str, name: str, given: dict[str, Any] | None = None) -> OpenProfile:
    profile = load_profile(SYSTEMS[system], name, {}, given)
    assert isinstance(profile, OpenProfile)
    return profile


def per_s(profile: OpenProfile, *operations: str) -> float:
    """Return how many calls of these operations arrive a second at the profile's own rate; of none named, of all."""
    names = operations or tuple(profile.operations)
    streamed = sum(
        each.per_minute / 60 * sum(name in names for name in each.operations) / len(each.operations)
        for each in profile.streams
    )
    return streamed + sum(each.count / each.every_s for each in profile.bursts if each.operation in names)


def streams(profile: OpenProfile) -> int:
    return sum(each.count for each in profile.subscribers)


def peak_factor(profile: OpenProfile) -> float:
    return max(level.per_s_most for level in levels_of(profile)) / profile.arrivals_per_s


def part_s(profile: OpenProfile, name: str) -> float:
    return sum(stage.duration_s for stage in profile.stages if name in (stage.part, stage.name))


def come_s(profile: OpenProfile) -> float:
    """Return within how many seconds its users have come: those who stream, and the calls of all of them."""
    (listeners,) = profile.subscribers
    assert listeners.come_share * profile.duration_s == pytest.approx(profile.stages[1].duration_s, rel=0.03)
    return profile.stages[1].duration_s


def share(profile: OpenProfile, *operations: str) -> float:
    return per_s(profile, *operations) / per_s(profile, *READS, *PAYMENTS, *CARDS, *SALE)


def burst_count(profile: OpenProfile, operation: str) -> int:
    return next(each.count for each in profile.bursts if each.operation == operation)


G, S, V, M, B = "ghostpass", "safebox", "streamvote", "instainstru", "inbox"
READS, PAYMENTS = ("access", "poll_status"), ("create_invoice", "pay_invoice", "pay_address")
CARDS, SALE = ("request_nfc_payment", "pay_to_nfc_tag", "tap_sale"), ("create_pos_sale",)
PLANNED: list[tuple[str, str, str, Any, Any]] = [
    # row, system, profile, what it has, the plan's figure
    ("A32", S, "baseline", lambda p: share(p, *READS), 0.60),
    ("A33", S, "baseline", lambda p: share(p, *PAYMENTS), 0.25),
    ("A34", S, "baseline", lambda p: share(p, *CARDS), 0.10),
    ("A35", S, "baseline", lambda p: share(p, *SALE), 0.05),
    ("A79", S, "baseline", lambda p: p.duration_s, 1200),
    ("A80", S, "stress", lambda p: p.steps.step_s, 300),
    ("A37", S, "stress", lambda p: p.steps.growth_after, 1.2),
    ("A38", S, "soak", lambda p: p.duration_s, 4 * 3600),
    ("A40", S, "spike", peak_factor, 4),
    ("A40", S, "spike", lambda p: part_s(p, "spike"), 120),
    ("B09", V, "config", lambda p: (p.clients, part_s(p, "ramp"), part_s(p, "hold")), (5000, 120, 600)),
    ("B13", V, "searches", lambda p: (p.clients, per_s(p, "list_streamers")), (2000, 30)),
    ("B16", V, "polls", lambda p: (p.clients, per_s(p, "poll_event")), (10_000, 50)),
    ("B20", V, "votes", lambda p: (per_s(p, "tap"), p.duration_s), (200, 60)),
    ("B25", V, "invoices", lambda p: (p.clients, per_s(p, "create_invoice")), (200, 5)),
    ("B28", V, "fan-out", streams, 10_000),
    ("B29", V, "fan-out", lambda p: per_s(p, "tap"), 2),
    ("C07", G, "pilot", lambda p: p.clients, 2000),
    ("C08", G, "pilot", lambda p: 60 * per_s(p, *ENTRIES), 200),
    ("C09", G, "pilot", lambda p: 60 * per_s(p, *SALES), 120),
    ("C10", G, "pilot", lambda p: burst_count(p, "request_funding"), 50),
    ("C11", G, "pilot", lambda p: p.duration_s, 1200),
    ("C32", G, "entry-scan", lambda p: [60 * s.per_minute / 2 / 60 for s in p.streams], [100, 100]),
    ("C37", G, "concession", lambda p: [s.per_minute for s in p.streams], [30] * 4),
    ("C42", G, "funding", lambda p: burst_count(p, "request_funding"), 50),
    ("C47", G, "reentry", lambda p: [s.operations for s in p.streams], [("scan_in", "scan_out")]),
    (
        "C54-C58",
        G,
        "chaos",
        lambda p: [f.partition("@")[0] for f in p.faults[:5]],
        [
            "webhook_delay:service=processor",
            "webhook_duplicate:service=processor",
            "device_offline:argument=gateway_id,number=1",
            "device_offline:argument=terminal_id,number=1",
            "db_latency",
        ],
    ),
    ("D02", M, "sanity", lambda p: (p.clients, p.duration_s, come_s(p)), (10, 300, 10 / 2)),
    ("D81", M, "ci-smoke", lambda p: (p.clients, p.duration_s, come_s(p)), (10, 120, 10 / 2)),
    ("D09", M, "capacity", lambda p: [streams(p) * f for f in p.steps.factors], [50, 100, 200, 300, 400]),
    ("D10", M, "capacity", lambda p: round(streams(p) / (p.subscribers[0].come_share * p.steps.step_s)), 20),
    ("D11", M, "capacity", lambda p: p.steps.step_s, 300),
    ("D19", M, "throughput", lambda p: p.clients, 100),
    (
        "D22",
        M,
        "throughput",
        lambda p: [round(60 * per_s(p, "send_message") / 100 * f) for f in p.steps.factors],
        [2, 3, 4, 6, 12],
    ),
    ("D26", M, "burst", lambda p: (p.clients, streams(p), come_s(p), p.duration_s), (250, 250, 250 / 25, 300)),
    ("D26", M, "burst", lambda p: 60 * per_s(p, "send_message") * peak_factor(p) / p.clients, 12),
    ("D33", M, "soak", lambda p: (p.clients, streams(p), p.duration_s), (150, 150, 3600)),
    ("D33", M, "soak", lambda p: 60 * per_s(p, "send_message") / p.clients, 60 / 25),
    ("E64", B, "baseline", lambda p: per_s(p, *SENDS), 200),
    ("E09", B, "peak", lambda p: per_s(p, *SENDS), 600),
    ("E28-E30", B, "messages", lambda p: [per_s(p, each) for each in SENDS], [600, 300, 100]),
    ("E28", B, "messages", lambda p: p.duration_s, 300),
    ("E10", B, "spike", lambda p: (peak_factor(p), part_s(p, "spike")), (10, 300)),
    ("E11", B, "sustained", lambda p: (per_s(p, *SENDS), p.duration_s), (400, 3600)),
    ("E12", B, "ramp", lambda p: (p.stages[0].factor, peak_factor(p), part_s(p, "ramp")), (0, 10, 1800)),
    ("E67", B, "soak", lambda p: (per_s(p, *SENDS), p.duration_s), (400, 7200)),
    ("E66", B, "rush", lambda p: (p.clients, part_s(p, "coming"), part_s(p, "spike")), (5000, 60, 300)),
    (
        "E02",
        B,
        "business",
        lambda p: (p.clients, {key: at for s in p.streams for key, at in s.pin.items()}),
        (100, {"business_id": 1}),
    ),
    ("E02", B, "business", lambda p: all(s.pin for s in p.streams), True),
    ("E04", B, "openings", lambda p: burst_count(p, "load_dashboard"), 10_000),
    ("E18", B, "dashboards", lambda p: [s.duration_s for s in p.stages if s.duration_s], [120, 300, 120, 300, 120]),
    ("E18", B, "dashboards", lambda p: (p.clients, peak_factor(p)), (500, 5)),
    ("E63", B, "quiet", lambda p: (p.clients, p.duration_s), (10, 1800)),
    ("E52", B, "uploads", lambda p: (burst_count(p, "upload_media"), p.duration_s), (50, 300)),
    ("E56", B, "checkouts", lambda p: (burst_count(p, "create_checkout"), p.duration_s), (20, 120)),
    ("E62", B, "limit-kept", lambda p: p.streams[0].per_minute / 60 * p.duration_s, 1000),
    ("F7", B, "limit-passed", lambda p: p.streams[0].per_minute / 60 * p.duration_s, 1100),
]


@pytest.mark.parametrize(
    ("row", "system", "name", "find", "planned"), PLANNED, ids=[f"{row}-{name}" for row, _, name, *_ in PLANNED]
)
def test_a_profile_has_the_plans_figure(row: str, system: str, name: str, find: Any, planned: Any) -> None:
    found = find(open_profile(system, name))
    assert found == (planned if "'" in repr(planned) else pytest.approx(planned)), row


def test_a_sweep_over_streams_is_of_streams_and_not_of_a_handful_of_connections() -> None:
    """400 streams shared four connections: the ceiling that was told was theirs."""
    sweep = open_profile(M, "capacity")
    assert sweep.steps is not None
    assert streams(sweep) * max(sweep.steps.factors) <= 25 * sum(each.connections for each in sweep.subscribers)


def test_users_are_sessions_streams_and_rate_at_once() -> None:
    main = open_profile(M, "messaging")
    fewer = open_profile(M, "messaging", {"users": 25})
    assert (fewer.clients, streams(fewer)) == (25, 25)
    assert per_s(fewer) == pytest.approx(per_s(main) / 4)
    assert open_profile(M, "burst", {"clients": 50}).clients == 50
    votes, half = open_profile(V, "votes"), open_profile(V, "votes", {"users": 2500})
    least = [next(t.least for t in p.thresholds if t.statistic == "answered_per_s") for p in (votes, half)]
    assert least == [190, 95]
    assert half.subscribers[0].connections == 1


SUITES = [(name, system) for name in ("ci", "quick", "full") for system in SYSTEMS.values()]


@pytest.mark.parametrize(("name", "system"), SUITES, ids=[f"{name}-{system.name}" for name, system in SUITES])
def test_the_profiles_of_a_suite_have_the_clients_that_they_need(name: str, system: System) -> None:
    """By Little's law, and with those of a burst. ci-smoke of inbox had 10 clients, and bursts of 50 calls."""
    for each in plan_suite(name, load_suite(name, {}), [system], {}, shorten=1.0).runs:
        profile = each.profile
        if not isinstance(profile, OpenProfile):
            continue
        if profile.steps is not None:
            profile = profile.model_copy(update={"steps": None})  # a search is there to find where that ends
        seen = foresee(profile)
        assert seen.needed <= profile.clients, each.profile_name
        assert seen.needed <= profile.in_flight_most, each.profile_name
        if name != "full":  # there it is said before the suite begins
            assert find_doubts(profile) == [], each.profile_name
            assert seen.possible >= 0.999 * seen.planned


def test_each_plan_is_a_suite_of_its_system() -> None:
    plans = shipped_suites()
    assert set(plans) == {f"plan-{name}" for name in SYSTEMS}
    for name in plans:
        suite = load_suite(name, plans)
        assert suite.system is not None
        assert name == f"plan-{suite.system}"
        assert {step.profile for step in suite.steps} <= set(profile_names(SYSTEMS[suite.system], {}))


def test_a_forecast_counts_calls_and_what_of_them_is_possible() -> None:
    stream = {"name": "s", "operations": ["sell"], "per_minute": 6000, "spacing": "even"}
    overrides = {"x": {"extends": "pilot", "streams": [stream], "bursts": [], "duration_s": 10, "clients": 2}}

    def forecast(**more: Any) -> OpenProfile:
        profile = load_profile(SYSTEMS[G], "x", {"x": {**overrides["x"], **more}})
        assert isinstance(profile, OpenProfile)
        return profile

    few = forecast(call_ms={"sell": 40})
    assert [foresee(few).planned, foresee(few).possible] == pytest.approx([1000, 500])
    (line,) = describe(few)
    assert line.startswith("planned: 1,000 calls; possible: about 500, as 2 clients on 50 connections cannot make more")
    assert any("needs 12 clients and has 2" in doubt for doubt in find_doubts(few))
    enough = forecast(clients=20, call_ms={"sell": 40})
    assert "possible: all, with about 4 of 20 clients busy" in describe(enough)[0]
    assert find_doubts(enough) == []
    crowd = describe(forecast(clients=100_000))
    assert crowd[1].startswith("100,000 users are too many to be had: they are played as their arrival rate, 100/s on 50")
    assert any("of the generator" in doubt for doubt in find_doubts(scale(enough, rate=100)))


def test_more_processes_make_more_calls_as_far_as_there_are_cores(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.cpu_count", lambda: 2)
    spike = load_profile(SYSTEMS["streamvote"], "spike", {}, {"connections": 500})
    said = [find_doubts(spike, processes=count)[0] for count in (1, 2, 4)]
    assert [each.partition("makes about ")[2].partition(":")[0] for each in said] == [
        "2,500 in one process",
        "5,000 in 2 processes",
        "5,000 in 4 processes on 2 cores",
    ]
    monkeypatch.setattr("os.cpu_count", lambda: 8)
    assert find_doubts(spike, processes=3) == []


def test_what_runs_leave_is_said_where_it_will_not_fit_before_the_first_of_them() -> None:
    """34 hours of the suite `full` were begun on a disk that half of them fill."""
    soak = load_profile(SYSTEMS["streamvote"], "soak", {})
    needed = 14_400 * 338 * 1.6 * CALL_BYTES
    assert find_lack_of_space([soak], round(needed) + 1) == ""
    planned = plan_suite(
        "s", Suite.model_validate({"title": "", "steps": [{"profile": "soak"}]}), [SYSTEMS["streamvote"]], {}, shorten=1
    )
    shown = " ".join(render_plan(replace(planned, free_bytes=round(needed) - 1_000_000_000)).split())
    assert "too little space: about 7,787,520 calls at least leave about 16 GB" in shown
    assert "and 15 GB are free here." in shown


def test_what_loads_a_server_until_it_gives_way_warns_first() -> None:
    for system in SYSTEMS:
        assert "until it gives way" in find_warning(open_profile(system, "stress"))
        assert find_warning(open_profile(system, "baseline")) == ""
    assert f"up to {FACTOR_WARNED:g} times" in find_warning(open_profile(G, "burst"))
    assert "up to 5 times" in find_warning(open_profile(M, "burst"))  # its users are more than usual, and write more often
    assert "up to 7 times" in find_warning(open_profile(V, "votes", {"users": 35_000}))
    assert "up to 20 times" in find_warning(scale(open_profile(G, "pilot"), rate=20))
    assert find_warning(scale(open_profile(G, "pilot"), rate=0.1, time=10)) == ""
    full = render_plan(plan_suite("full", load_suite("full", {}), [SYSTEMS[B]], {}, shorten=1.0))
    assert "inbox stress: this loads the server until it gives way" in full
    assert re.search(r"inbox spike asks [5-6],\d{3} calls a second at most of the generator", " ".join(full.split()))


def test_a_shortened_run_of_a_suite_is_not_held_to_limits_that_it_has_too_few_calls_for_and_says_so() -> None:
    quick = plan_suite("quick", load_suite("quick", {}), [SYSTEMS[B]], {}, shorten=1.0)
    baseline = next(each for each in quick.runs if each.profile_name == "baseline")
    spared = [str(each) for each in baseline.spared]
    assert "create_checkout p95 (about 20 of 100 calls that it needs)" in spared
    assert not any(each.startswith("send_whatsapp p95") for each in spared)
    told = " ".join(render_plan(quick).split())
    assert "3 inbox baseline is shortened, so it passes though these are not measured: " in told
    full = plan_suite("full", load_suite("full", {}), [SYSTEMS[B]], {}, shorten=1.0)
    assert not any(each.spared for each in full.runs)


def test_a_closed_loop_of_a_second_is_not_held_to_a_share_that_takes_two_hundred_calls() -> None:
    step = {"title": "", "steps": [{"profile": "hammer", "duration_s": 1.0}, {"profile": "hammer"}]}
    short, whole = plan_suite("s", Suite.model_validate(step), [SYSTEMS[G]], {}, shorten=1.0).runs
    assert list(map(str, short.spared)) == ["all failure share (about 150 of 200 calls that it needs)"]
    assert whole.spared == ()


@pytest.mark.parametrize(("name", "system"), SUITES, ids=[f"{name}-{system.name}" for name, system in SUITES])
def test_the_faults_of_a_suite_leave_most_of_their_run_to_be_judged(name: str, system: System) -> None:
    """quick's minute of chaos was judged as a whole, and so failed for what the faults did."""
    for each in plan_suite(name, load_suite(name, {}), [system], {}, shorten=1.0).runs:
        windows = windows_of(each.profile)
        apart_s = sum(window.to_s - window.from_s + SETTLING_US / 1_000_000 for window in windows)
        assert apart_s <= APART_SHARE_MOST * each.profile.duration_s, each.profile_name
