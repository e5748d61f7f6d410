"""Each shipped profile, at its full length, brings each of its limits as many samples as its statistic needs.

Counted from rates and lengths; arrivals at random come four standard deviations short of their mean now and then. What a
service, a stream or a client causes is counted from the calls that cause it, with the share of them that does.
"""

import math

import pytest

from integrity.faults.schedule import read_schedule
from integrity.load.profile import ClosedProfile, OpenProfile, Profile, load_profile, profile_names
from integrity.load.statistics import Kind
from integrity.load.thresholds import Threshold
from integrity.measure.trends import RECOVERED_CALLS
from integrity.registry import SYSTEMS
from integrity.systems.system import System

CLOSED_CALLS_PER_S = 150
"""Of a closed loop on the slowest machine that anything is promised for."""

CAUSED = {
    ("ghostpass", "receive_funding_webhook"): {"request_funding": 0.5},
    ("safebox", "confirm_invoice"): {"create_invoice": 0.5, "create_pos_sale": 0.25},
    ("safebox", "answer_nfc_request"): {"request_nfc_payment": 0.8},
    ("streamvote", "vote"): {"tap": 0.9},
    ("instainstru", "received"): {"send_message": 2.0},  # by the sender's own stream, too
    ("instainstru", "instainstru/messages-delivered"): {"send_message": 0.4},  # to others who listen
    ("streamvote", "received"): {"tap": 0.9},  # by each who watches
    ("streamvote", "streamvote/updates-received"): {"tap": 0.03},  # of many events, of which a few are watched
    ("streamvote", "streamvote/polls-behind"): {"poll_event": 1.0},
    ("streamvote", "streamvote/searches-cached"): {"list_streamers": 0.8},  # for what was looked for before
    ("inbox", "inbox/messages-delivered"): {"send_whatsapp": 0.9, "send_email": 0.9, "send_sms": 0.9},
    ("inbox", "received"): {"send_whatsapp": 10.0},  # by each who listens to its business
    ("inbox", "inbox/webhooks-applied"): {"send_whatsapp": 0.9, "send_email": 0.9, "send_sms": 0.9},
    ("safebox", "safebox/taps-accepted"): {"request_nfc_payment": 0.8},  # on cards that are valid, and can pay
    # a listener has one of the wallets, and an invoice is not all that wallets are told of
    ("safebox", "received"): {"create_invoice": 0.25},
    ("safebox", "safebox/notifications-received"): {"create_invoice": 0.25},
    ("safebox", "safebox/payments-visible"): {"create_invoice": 0.5, "create_pos_sale": 0.25},
}


def full_s(profile: OpenProfile) -> float:
    """Return how many seconds at the profile's own rate the judged part of it is worth."""
    if profile.steps:
        return profile.steps.step_s * profile.steps.factors[0] * (1 - profile.steps.settle_share)
    if not profile.stages:
        return profile.duration_s
    worth, factor = 0.0, profile.stages[0].factor
    for stage in profile.stages:
        worth += stage.duration_s * (factor + stage.factor) / 2
        factor = stage.factor
    return worth


def calls(system: str, profile: Profile, operation: str | None) -> tuple[float, float]:
    """Return how many calls of the operation the profile makes at random times, and how many at certain ones."""
    caused = CAUSED.get((system, operation or ""))
    if caused:
        causes = [(share, *calls(system, profile, cause)) for cause, share in caused.items()]
        return sum(share * random for share, random, _ in causes), sum(share * certain for share, _, certain in causes)
    opened = sum(each.count for each in profile.subscribers if operation in (None, each.operation))
    if isinstance(profile, ClosedProfile):
        whole = sum(profile.weights.values())
        weight = whole if operation is None else profile.weights.get(operation, 0)
        return 0.0, opened + CLOSED_CALLS_PER_S * profile.duration_s * weight / whole
    seconds = full_s(profile)
    streamed = sum(
        each.per_minute
        / 60
        * seconds
        * sum(operation in (None, each_one) for each_one in each.operations)
        / len(each.operations)
        for each in profile.streams
    )
    # The first burst comes after half a period; more than there are clients find nobody to send them.
    bursts = sum(
        int(seconds / each.every_s + 0.5) * min(each.count, profile.clients)
        for each in profile.bursts
        if operation in (None, each.operation)
    )
    reopened = sum(
        each.count * each.disconnect_share * profile.duration_s / each.poll_s
        for each in profile.subscribers
        if operation == each.operation
    )
    return streamed + reopened, opened + bursts


ANSWERED_SHARE = 0.97
"""Of calls: services of the profiles leave so many unanswered at most, and those have no latency."""


def members(system: str, threshold: Threshold) -> list[str]:
    """Return the operations of the threshold's groups."""
    return [name for name, each in SYSTEMS[system].operations.items() if threshold.covers("", each.group)]


def samples(system: str, profile: Profile, threshold: Threshold) -> float:
    """Return on how many samples the threshold will be judged, at the least."""
    if threshold.is_resource:
        return 1
    is_of_events = threshold.statistic.startswith(("lag_", "client_lag_")) or threshold.statistic == "missed_share"
    if threshold.group is not None:
        of_each = [calls(system, profile, name) for name in members(system, threshold)]
        random, certain = sum(each for each, _ in of_each), sum(each for _, each in of_each)
    else:
        random, certain = calls(system, profile, "received" if is_of_events else threshold.rows or threshold.operation)
    share = ANSWERED_SHARE if threshold.is_latency else 1.0
    share *= 0.5 if threshold.statistic.startswith("settled_") else 1.0
    return share * (max(0.0, random - 4 * math.sqrt(random)) + certain)


PROFILES = [(system, name) for system in SYSTEMS.values() for name in profile_names(system, {})]


@pytest.mark.parametrize(("system", "name"), PROFILES, ids=lambda each: getattr(each, "name", each))
def test_a_profile_reaches_the_least_number_of_each_of_its_limits(system: System, name: str) -> None:
    profile = load_profile(system, name, {})
    short = {
        each.rows or f"{each.operation} {each.statistic}": (samples(system.name, profile, each), each.samples_least)
        for each in profile.thresholds
        if each.kind is not Kind.RESOURCE and samples(system.name, profile, each) < each.samples_least
    }
    assert not short


@pytest.mark.parametrize(("system", "name"), PROFILES, ids=lambda each: getattr(each, "name", each))
def test_a_profile_looks_long_enough_for_its_limit_on_recovery(system: System, name: str) -> None:
    profile = load_profile(system, name, {})
    limits = [each.limit for each in profile.thresholds if each.statistic == "recovery_s"]
    if not limits:
        return
    assert isinstance(profile, OpenProfile)
    windows = read_schedule(profile.faults, duration_s=profile.duration_s)
    begins = [*(each.from_s for each in windows[1:]), profile.duration_s]
    looked_s = [begin - each.to_s for begin, each in zip(begins, windows, strict=False)]  # without windows, none
    looked_s += [each.duration_s for each in profile.stages if each.part == "after"]
    assert looked_s
    assert min(looked_s) >= max(limits)
    compared = [each.duration_s * each.factor for each in profile.stages if each.part in ("before", "after")]
    calls_least = min((profile.arrivals_per_s * seconds for seconds in compared), default=math.inf)
    assert calls_least >= RECOVERED_CALLS + 4 * math.sqrt(RECOVERED_CALLS)


ASKED = {"send_whatsapp": "whatsapp", "send_email": "email", "send_sms": "sms", "create_checkout": "processor"}


def test_the_services_of_a_profile_leave_no_more_unanswered_than_its_limits_allow() -> None:
    """At 0.3% of what is sent the sound system missed the 0.1% of the plan's 1,000 messages a second, at any speed."""
    judged = 0
    for name in [name for system, name in PROFILES if system.name == "inbox"]:
        profile = load_profile(SYSTEMS["inbox"], name, {})
        for limit in [each for each in profile.thresholds if each.statistic == "failure_share" and each.group]:
            made = {each: sum(calls("inbox", profile, each)) for each in members("inbox", limit)}
            asked = {each: profile.services[ASKED[each]] for each in made if each in ASKED}
            lost = sum(made[each] * (asked[each].timeout_share + asked[each].error_share) for each in asked)
            assert lost / sum(made.values()) < 0.75 * limit.limit, name
            judged += 1
    assert judged
