"""Profiles are data that is checked: what is mistyped is named, never ignored."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from integrity.errors import UsageError
from integrity.load.profile import ClosedProfile, OpenProfile, load_profile, profile_names, scale
from integrity.reference.ghostpass.system import GHOSTPASS
from integrity.registry import SYSTEMS
from tests.snapshots.kiosk import KIOSK

SHARED = ("ci-smoke", "baseline", "peak", "stress", "soak", "spike", "ramp", "throughput")


def test_every_profile_that_is_declared_can_be_loaded() -> None:
    for system in SYSTEMS.values():
        models = {name: load_profile(system, name, {}).model for name in profile_names(system, {})}
        assert set(models) >= {"smoke", "hammer", *SHARED}
        assert [name for name, model in models.items() if model == "closed"] == ["hammer"]


def test_a_system_with_profiles_of_its_own_can_be_smoked_and_hammered_too(tmp_path: Path) -> None:
    """`seed` leads there, and so do the suites that come with integrity."""
    profiles = tmp_path / "profiles.toml"
    profiles.write_text('main = "rush"\n[rush]\nmodel = "closed"\nclients = 2\nduration_s = 1\nweights = { sell = 1 }\n')
    own = replace(GHOSTPASS, profiles=profiles)
    assert profile_names(own, {})[:3] == ["rush", "smoke", "hammer"]
    assert "usual" not in profile_names(own, {})
    assert load_profile(own, "hammer", {}).title == "as fast as it goes, on hot rows"


def test_an_operation_without_arguments_is_called_like_any_other_where_no_profile_is_declared() -> None:
    """One that only inserts was left out in silence as soon as another one took arguments."""
    take = KIOSK.operations["take"]
    system = replace(KIOSK, operations={"take": take, "open": replace(take, name="open", arguments={})}, profiles=None)
    hammer, smoke = (load_profile(system, name, {}) for name in ("hammer", "smoke"))
    assert isinstance(hammer, ClosedProfile)
    assert isinstance(smoke, OpenProfile)
    assert hammer.weights == {"take": 1, "open": 1}
    assert [stream.operations for stream in smoke.streams] == [("take",), ("open",)]


def test_a_shape_takes_the_main_profile_and_its_own_length() -> None:
    pilot, spike, soak, peak = (load_profile(GHOSTPASS, name, {}) for name in ("pilot", "spike", "soak", "peak"))
    assert isinstance(pilot, OpenProfile)
    assert isinstance(spike, OpenProfile)
    assert isinstance(soak, OpenProfile)
    assert isinstance(peak, OpenProfile)
    assert spike.streams == soak.streams == pilot.streams
    assert spike.thresholds[:-1] == pilot.thresholds
    assert spike.thresholds[-1].statistic == "recovery_s"
    assert (spike.duration_s, soak.duration_s, soak.watches_trends) == (600, 14_400, True)
    assert peak.arrivals_per_s == pytest.approx(3 * pilot.arrivals_per_s)
    shortened = load_profile(GHOSTPASS, "spike", {}, {"duration_s": 6.0})
    assert isinstance(shortened, OpenProfile)
    assert [stage.duration_s for stage in shortened.stages] == [1.2, 0, 3.0, 0, pytest.approx(1.8)]
    compressed = scale(spike, time=10)
    assert (compressed.duration_s, compressed.stages[0].duration_s) == (60, 12)


def test_the_pilot_is_the_plans() -> None:
    """2 doors, each 100 entries and 100 exits a minute, 4 terminals at 30 sales, 50 fundings at once, 2,000 guests."""
    pilot = load_profile(GHOSTPASS, "pilot", {})
    assert isinstance(pilot, OpenProfile)

    rates = {stream.name: stream.per_minute for stream in pilot.streams}

    assert [rates[f"door-{n}"] for n in (1, 2)] == [200, 200]
    assert [rates[f"terminal-{n}"] for n in (1, 2, 3, 4)] == [30, 30, 30, 30]
    assert [burst.count for burst in pilot.bursts] == [50]
    assert pilot.connections >= 50
    assert (pilot.clients, pilot.duration_s) == (2000, 1200)
    assert {(t.operation, t.statistic, t.most) for t in pilot.thresholds} == {
        ("scan_in", "p95", 500),
        ("scan_out", "p95", 500),
        ("sell", "p95", 800),
        ("request_funding", "settled_mean", 5000),
        (None, "failure_share", 0.005),
    }


def test_a_compressed_profile_has_the_same_number_of_arrivals() -> None:
    pilot = load_profile(GHOSTPASS, "pilot", {})
    assert isinstance(pilot, OpenProfile)

    compressed = scale(pilot, time=40)

    assert compressed.duration_s == 30
    assert compressed.arrivals_per_s * 30 == pytest.approx(pilot.arrivals_per_s * 1200)


def test_a_project_replaces_keys_and_extends_profiles() -> None:
    overrides: Mapping[str, Mapping[str, Any]] = {
        "hammer": {"clients": 3},
        "sales": {"extends": "hammer", "weights": {"sell": 1}},
    }

    sales = load_profile(GHOSTPASS, "sales", overrides, {"duration_s": 2.0})

    assert isinstance(sales, ClosedProfile)
    assert (sales.clients, sales.duration_s, sales.weights) == (3, 2.0, {"sell": 1})
    assert profile_names(GHOSTPASS, overrides)[-1] == "sales"


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        ({"hammer": {"weights": {"sel": 1}}}, "unknown operation 'sel'"),
        ({"hammer": {"weights": {"sell": 0}}}, "weights: at least one must be above 0"),
        ({"hammer": {"clients": 0}}, "clients: Input should be greater than or equal to 1"),
        ({"hammer": {"clients": "many"}}, "clients: Input should be a valid integer"),
        ({"hammer": {"colour": "red"}}, "colour: there is no such setting"),
        ({"hammer": {"hot_share": 1.5}}, "hot_share: Input should be less than or equal to 1"),
        ({"hammer": {"services": {"bank": {}}}}, "unknown service 'bank'"),
        ({"hammer": {"abandon": {"sel": 0.1}}}, "unknown operation 'sel'"),
        ({"hammer": {"extends": "hammer"}}, "extends itself"),
        ({"pilot": {"own": ["purses"]}}, "unknown pool 'purses'"),
        ({"pilot": {"streams": [], "bursts": []}}, "nothing would arrive"),
        (
            {"pilot": {"streams": [{"name": "d", "operations": ["sell"], "per_minute": 1, "pin": {"gateway_id": 1}}]}},
            "unknown argument of sell 'gateway_id'",
        ),
        (
            {
                "pilot": {
                    "streams": [{"name": "d", "operations": ["sell"], "per_minute": 1, "pin": {"terminal_id": "bars"}}]
                }
            },
            "unknown pool 'bars'",
        ),
    ],
)
def test_a_mistake_in_a_profile_is_named(overrides: Mapping[str, Mapping[str, Any]], message: str) -> None:
    (name,) = overrides

    with pytest.raises(UsageError) as caught:
        load_profile(GHOSTPASS, name, overrides)

    assert caught.value.message.startswith(f"profile {name} of ghostpass")
    assert message in caught.value.message


def test_an_unknown_profile_is_told_the_known_ones() -> None:
    with pytest.raises(UsageError, match="no profile 'pique'") as caught:
        load_profile(GHOSTPASS, "pique", {})

    assert (caught.value.hint or "").startswith("Perhaps you meant spike. Its profiles are: smoke, pilot, entry-scan, ")


def test_a_closed_loop_has_no_connections_of_its_own_number() -> None:
    with pytest.raises(UsageError, match="profile hammer of ghostpass has no connections: its model is closed"):
        load_profile(GHOSTPASS, "hammer", {}, {"connections": 5})


def test_a_system_that_declares_no_profiles_is_loaded_by_all_of_its_operations_alike() -> None:
    names = profile_names(KIOSK, {})
    assert set(names) == {"smoke", "usual", "hammer", *SHARED, "sustained", "burst", "capacity", "chaos"}
    for name in names:
        profile = load_profile(KIOSK, name, {})
        assert sorted(profile.operations) == sorted(KIOSK.operations)
        shares = (
            set(profile.weights.values())
            if isinstance(profile, ClosedProfile)
            else {stream.per_minute for stream in profile.streams}
        )
        assert len(shares) == 1


def test_a_system_that_declares_no_limits_is_held_to_one_on_calls_that_fail_which_says_whose_it_is() -> None:
    for name in profile_names(KIOSK, {}):
        limit, *recovery = load_profile(KIOSK, name, {}).thresholds
        assert (limit.operation, limit.statistic) == (None, "failure_share")
        assert limit.most == (0 if name == "smoke" else 0.01)  # a share of 1% needs a hundred calls
        assert [each.statistic for each in recovery] == (["recovery_s"] if name in ("spike", "chaos") else [])
        assert all(each.source.startswith("a default of ours") for each in (limit, *recovery))


def test_a_project_may_hold_its_system_to_no_limit_or_to_its_own() -> None:
    own = {"statistic": "p95", "most": 200, "source": "our promise"}

    assert load_profile(KIOSK, "usual", {"usual": {"thresholds": []}}).thresholds == ()
    assert [limit.statistic for limit in load_profile(KIOSK, "usual", {"usual": {"thresholds": [own]}}).thresholds] == [
        "p95"
    ]


def test_a_system_without_services_is_sent_no_webhook_twice() -> None:
    chaos = load_profile(KIOSK, "chaos", {})
    assert isinstance(chaos, OpenProfile)
    assert "db_latency@5%-10%" in chaos.faults
    assert not any(fault.startswith("webhook") for fault in chaos.faults)


def test_a_smoke_of_full_length_must_touch_every_operation_and_stream_and_nothing_made_of_it_must() -> None:
    for system in SYSTEMS.values():
        smoke = load_profile(system, "smoke", {})
        more = smoke.all_thresholds[len(smoke.thresholds) :]
        assert {each.operation for each in more if each.statistic == "answered"} == set(smoke.operations)
        assert {each.operation for each in more if each.statistic == "received"} == {
            each.operation for each in smoke.subscribers
        }
        shortened = load_profile(system, "smoke", {}, {"duration_s": 1.0})
        assert shortened.all_thresholds == shortened.thresholds
        own = load_profile(system, "brief", {"brief": {"extends": "smoke"}})
        assert own.all_thresholds == own.thresholds
