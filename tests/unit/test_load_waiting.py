"""A limiter that counts by the hour is met in one hour, by somebody who has sent nothing in it."""

import pytest

from integrity.domain import World
from integrity.load.profile import OpenProfile, load_profile
from integrity.load.suite import Suite, load_suite, plan_suite
from integrity.load.waiting import HOUR_S, MARGIN_S, seconds_to_wait
from integrity.load.workload import Workload
from integrity.reference.inbox.system import INBOX
from integrity.registry import shipped_suites


@pytest.mark.parametrize(
    ("minute", "duration_s", "waits_s"),
    [
        (0, 120, 0),
        (57, 120, 0),
        (58, 120, 120),  # with the margin it reaches into the next
        (59.5, 120, 30),
        (10, 3000, 3000),  # exactly fifty minutes are left, and the margin is not
        (59, HOUR_S - MARGIN_S, 60),
        (59, HOUR_S, 0),  # no hour has room for it
    ],
)
def test_a_run_waits_until_it_fits_into_an_hour(minute: float, duration_s: float, waits_s: float) -> None:
    assert seconds_to_wait(1_796_000_400 + minute * 60, duration_s) == pytest.approx(waits_s)


@pytest.mark.parametrize("name", ["limit-kept", "limit-passed"])
def test_the_limiter_is_met_by_one_who_has_sent_nothing_within_the_hour(name: str) -> None:
    """Played twice within the hour it failed, as the window of the first still counted."""
    profile = load_profile(INBOX, name, {})
    assert isinstance(profile, OpenProfile)
    assert profile.fits_hour
    (stream,) = [each for each in profile.streams if each.operations == ("send_whatsapp",)]
    assert stream.pin == {"conversation_id": "unused_whatsapp"}
    assert Workload(INBOX, profile, None, 1).needed_keys["unused_whatsapp"] == 1
    world = World(keys={"whatsapp": [1, 2, 3], "unused_whatsapp": [3]})
    assert (world.pinned("whatsapp", "unused_whatsapp"), world.pinned("whatsapp", 2)) == (3, 2)


def test_in_a_suite_who_has_sent_nothing_within_the_hour_is_asked_for_before_anybody_sends() -> None:
    """Behind a soak of two hours everybody had: the suite of the plan ended on its tenth run, with nothing recorded."""
    steps = [each.profile for each in load_suite("plan-inbox", shipped_suites()).steps]
    of_hour = [load_profile(INBOX, name, {}) for name in steps[:2]]
    assert all(isinstance(each, OpenProfile) and each.fits_hour for each in of_hour)
    assert not {"limit-kept", "limit-passed"} & set(steps[2:])


def test_a_suite_that_is_shortened_passes_without_what_is_of_the_whole_length() -> None:
    suite = Suite.model_validate({"title": "limits", "steps": [{"profile": "limit-passed", "duration_s": 10}]})
    (planned,) = plan_suite("limits", suite, [INBOX], {}, shorten=1.0).runs
    assert list(map(str, planned.spared)) == ["send_whatsapp declined share (of the whole length only)"] * 2
