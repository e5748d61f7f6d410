"""What a shortened run is spared: limits that it brings too few calls for are not measured by it, and need not be.

That is said before it begins. What such a limit has is judged all the same, and a run of which nothing else was measured
says nothing.
"""

import math
from dataclasses import dataclass

from integrity.load.forecast import expected_calls, expected_compared
from integrity.load.profile import OpenProfile, Profile
from integrity.load.statistics import Kind
from integrity.load.thresholds import Threshold
from integrity.numbers import counted
from integrity.runs.result import RunResult, ThresholdResult

CLOSED_CALLS_PER_S = 150.0
"""Of a closed loop, on the slowest machine that anything is promised for."""


@dataclass(frozen=True, slots=True)
class Spared:
    """A limit that a shortened profile need not reach the samples of; what it has is judged all the same.

    Args:
        why: in words.
        is_known: that it is so is known beforehand; else it is where there are some samples, and too few.
    """

    threshold: Threshold
    why: str
    is_known: bool = True

    def __str__(self) -> str:
        return f"{self.threshold.about} {self.threshold.statistic.replace('_', ' ')} ({self.why})"


_PARTS = ("own", "write", "settled", "lag")
"""Of latency: not each call has them."""


def find_spared(profile: Profile) -> tuple[Spared, ...]:
    """Return the limits that a shortened profile brings too few calls for.

    Counted are calls that arrive by plan. How many rows will be found, streams opened, calls made by others, or followed by
    a webhook in time, nobody knows: their limits are spared as far as there are some and too few. How soon all is as before
    is for the plan's length to say.
    """
    if profile.shortened is None:
        return ()
    spared = []
    for each in profile.thresholds:
        is_counted = each.rows is None and each.group is None and each.operation in (None, *profile.operations)
        if each.of_whole_length:
            spared.append(Spared(each, "of the whole length only"))
        elif each.kind is Kind.RECOVERY:
            spared.append(Spared(each, _find_lack_to_compare(profile) or "where too little is seen to tell"))
        elif each.kind is Kind.RESOURCE:
            continue
        elif each.samples_least <= 1:
            continue  # it is judged on whatever there is
        elif each.kind is Kind.RATE:
            few = f"if there are fewer than {counted(each.samples_least, 'call')}, or fewer by chance than it asks for"
            spared.append(Spared(each, few, is_known=False))
        elif is_counted and (count := _expected(profile, each.operation)) < each.samples_least:
            spared.append(Spared(each, f"about {count:,.0f} of {counted(each.samples_least, 'call')} that it needs"))
        elif not is_counted or each.statistic.partition("_")[0] in _PARTS:
            needed = counted(each.samples_least, "row" if each.rows is not None else "sample")
            spared.append(Spared(each, f"if there are fewer than {needed}", is_known=False))
    return tuple(spared)


def _find_lack_to_compare(profile: Profile) -> str:
    """Return what recovery from a spike or from a fault has too little of to be told; empty: nothing."""
    compared = expected_compared(profile) if isinstance(profile, OpenProfile) else ()
    for count, least in compared:
        if count < least:
            return f"about {count:,.0f} of {counted(least, 'call')} to compare with"
    return ""


def _expected(profile: Profile, operation: str | None) -> float:
    if isinstance(profile, OpenProfile):
        return expected_calls(profile, operation)
    share = 1.0 if operation is None else profile.weights.get(operation, 0.0) / sum(profile.weights.values())
    return CLOSED_CALLS_PER_S * profile.duration_s * share


def describe_spared(profile: Profile) -> str:
    """Return which limits a shortened profile is spared, for a sentence; empty: none."""
    return ", ".join(map(str, find_spared(profile)))


def with_spared(result: RunResult, profile: Profile) -> RunResult:
    """Return the result with the mark on limits that were not measured and need not be."""
    spared = {_key(each.threshold): each for each in find_spared(profile)}
    steps = profile.steps if isinstance(profile, OpenProfile) else None
    is_brief = steps is not None and bool(steps.no_claim)
    limits = tuple(_marked(each, spared.get(_key(each)), is_brief=is_brief) for each in result.thresholds)
    return result.model_copy(update={"thresholds": limits})


def _marked(limit: ThresholdResult, spared: Spared | None, *, is_brief: bool) -> ThresholdResult:
    if spared is None or limit.state != "not measured" or limit.is_beside_faults:
        return limit
    # Without any nobody knows whether there were to be some, but for streams, which stay open, and for the rows of a step
    # that is over in a moment; with enough it is for another reason.
    least = 0 if limit.statistic == "broken_share" or (is_brief and limit.rows is not None) else 1
    most = math.inf if spared.threshold.kind is Kind.RATE else spared.threshold.samples_least  # chance needs no few
    is_spared = spared.is_known or least <= limit.sample_count < most
    return limit.model_copy(update={"is_spared": True}) if is_spared else limit


_OF = ("operation", "group", "rows", "statistic", "within_ms", "most", "warning", "critical", "least")


def _key(limit: Threshold | ThresholdResult) -> tuple[object, ...]:
    return tuple(getattr(limit, of) for of in _OF)
