"""Waiting: a run that must lie in one hour of the clock begins when there is room for it."""

import time

from integrity.events import Job, Noted
from integrity.load.profile import OpenProfile, Profile
from integrity.numbers import show_duration

HOUR_S = 3600.0
MARGIN_S = 15.0
"""Around a run: it is prepared, and the last calls come late."""


def wait_for_hour(profile: Profile) -> Job[None]:
    """Return when the whole run fits into the hour, where its profile asks for that. Yields Noted, with how long."""
    if not isinstance(profile, OpenProfile) or not profile.fits_hour:
        return
    wait_s = seconds_to_wait(time.time(), profile.duration_s)
    if wait_s:
        told = show_duration(round(wait_s))
        yield Noted(f"waiting for {told}, until the hour is over: the run has to lie in one, and takes longer than that")
        time.sleep(wait_s)


def seconds_to_wait(now_s: float, duration_s: float) -> float:
    """Return how long until a run of that length fits into one hour; 0: it does now, or never will.

    Args:
        now_s: since the epoch, whose hours are the clock's.
    """
    left_s = HOUR_S - now_s % HOUR_S
    needed_s = duration_s + MARGIN_S
    return 0.0 if needed_s <= left_s or needed_s > HOUR_S else left_s
