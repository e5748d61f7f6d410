"""What a profile asks for and what can be had of it here, reckoned before its first call.

By Little's law: so many clients, each busy for as long as a call takes, make so many calls a second at most. How long a
call takes is the profile's own reckoning (call_ms), so the figures are a forecast; what was answered is in the result.
"""

import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from math import ceil, sqrt

from integrity.faults.schedule import read_schedule
from integrity.load.fault_windows import APART_SHARE_MOST, SETTLING_US
from integrity.load.profile import OpenProfile, Profile
from integrity.measure.effects import COMPARED_CALLS
from integrity.measure.trends import RECOVERED_CALLS
from integrity.numbers import counted
from integrity.runs.effects import time_covered

GENERATOR_CALLS_PER_S = 2_500
"""What one process of the generator makes on a core of its own, webhooks and looks of subscribers included; measured, at
0.4 ms of CPU a call."""

CALL_BYTES = 2_000
"""What a call leaves at least: its history in the run's folder (0.75 kB) and in the database (0.6 kB), and its rows;
measured, with indexes."""

DELIVERY_S = 0.01
"""How long a webhook that follows is reckoned to take."""

USERS_HAD_MOST = 10_000
"""More of them are played as the calls that they would make: what they would keep open is not there."""

FACTOR_WARNED = 5.0
"""From so many times the usual load on, what else the server does will suffer."""


@dataclass(frozen=True, slots=True)
class Level:
    """A stretch at one rate.

    Args:
        seconds: how long.
        per_s: arrivals a second, on average.
        per_s_most: at its highest.
    """

    seconds: float
    per_s: float
    per_s_most: float


@dataclass(frozen=True, slots=True)
class Forecast:
    """What an open profile asks for, and what can be had.

    Args:
        planned: calls that are to arrive; of a search those of all its steps.
        possible: of those, how many its clients and connections can make.
        busy_most: clients that are busy at the highest rate, on average.
        connections_busy_most: likewise, with those that deliver webhooks.
        needed: clients that it takes, with those that arrive at one instant.
        call_s: how long a call is reckoned to take, on average.
        generator_per_s: calls a second that the generator would have to make at the highest rate.
    """

    planned: float
    possible: float
    busy_most: float
    connections_busy_most: float
    needed: int
    call_s: float
    generator_per_s: float


def levels_of(profile: OpenProfile) -> list[Level]:
    """Return the stretches of the profile's shape; those of a search up to the factor where it ends at last."""
    rate = profile.arrivals_per_s
    if profile.stages:
        levels, factor = [], profile.stages[0].factor
        for stage in profile.stages:
            if stage.duration_s:
                mean, most = (factor + stage.factor) / 2, max(factor, stage.factor)
                levels.append(Level(stage.duration_s, rate * mean, rate * most))
            factor = stage.factor
        return levels
    if profile.steps is None or profile.steps.scales == "subscribers":
        return [Level(profile.duration_s, rate, rate)]
    steps, factors = profile.steps, list(profile.steps.factors)
    if steps.goal == "break":
        factors = factors[:1]
        while (factor := factors[-1] * steps.growth) <= steps.factor_most:
            factors.append(factor)
    return [Level(steps.step_s, rate * factor, rate * factor) for factor in factors]


def foresee(profile: OpenProfile) -> Forecast:
    """Return what the profile asks for, and what can be had of it."""
    levels = levels_of(profile)
    call_s = _call_s(profile)
    connected_s = call_s + (profile.calls_per_arrival - 1) * DELIVERY_S
    limit = min(profile.clients / call_s, profile.connections / connected_s)
    highest = max(level.per_s_most for level in levels)
    at_once = max((burst.count for burst in profile.bursts), default=0)
    busy = highest * call_s
    return Forecast(
        planned=sum(level.seconds * level.per_s for level in levels),
        possible=sum(level.seconds * min(level.per_s, limit) for level in levels),
        busy_most=busy,
        connections_busy_most=highest * connected_s,
        needed=ceil(busy + 4 * busy**0.5) + at_once,
        call_s=call_s,
        generator_per_s=highest * profile.calls_per_arrival
        + sum(each.count * _most_of(profile) / each.poll_s for each in profile.subscribers),
    )


def _call_s(profile: OpenProfile) -> float:
    """Return how long a call takes on average, by how often each arrives."""
    rates = [(stream.per_minute / 60, stream.operations) for stream in profile.streams]
    rates += [(burst.count / burst.every_s, (burst.operation,)) for burst in profile.bursts]
    times = [(rate / len(names), profile.call_s(name)) for rate, names in rates for name in names]
    return sum(rate * seconds for rate, seconds in times) / sum(rate for rate, _ in times)


def _most_of(profile: OpenProfile) -> float:
    """Return by how much the number of subscribers is multiplied at most."""
    steps = profile.steps
    return max(steps.factors) if steps is not None and steps.scales == "subscribers" else 1.0


def expected_calls(profile: OpenProfile, operation: str | None) -> float:
    """Return how many calls of an operation arrive, of all together where none is named, in what is judged of the run."""
    steps = profile.steps
    if steps is not None:
        first = 1.0 if steps.scales == "subscribers" else steps.factors[0]
        seconds = steps.step_s * (1 - steps.settle_share) * first
    elif profile.stages:
        seconds = sum(level.seconds * level.per_s for level in levels_of(profile)) / profile.arrivals_per_s
    else:
        seconds = profile.duration_s
    seconds *= _judged_share(profile)
    streamed = sum(
        stream.per_minute
        / 60
        * seconds
        * sum(operation in (None, each) for each in stream.operations)
        / len(stream.operations)
        for stream in profile.streams
    )
    # The first burst comes after half a period; one at the very end comes no more.
    burst = sum(
        max(0, ceil(seconds / each.every_s - 0.5)) * each.count
        for each in profile.bursts
        if operation in (None, each.operation)
    )
    return _at_least(streamed) + burst


def _judged_share(profile: OpenProfile) -> float:
    """Return the share of a run that is judged: the windows of its faults are not, and as long as they settle."""
    windows = read_schedule(profile.faults, duration_s=profile.duration_s, may_overlap=True)
    if time_covered((each.from_s, each.to_s) for each in windows) > APART_SHARE_MOST * profile.duration_s:
        return 1.0
    settled = ((each.from_s, min(profile.duration_s, each.to_s + SETTLING_US / 1e6)) for each in windows)
    return 1.0 - time_covered(settled) / profile.duration_s


def expected_compared(profile: OpenProfile) -> Iterator[tuple[float, int]]:
    """Yield of what is compared to tell a recovery how many calls arrive and how many it needs, at spikes and faults."""
    rate = profile.arrivals_per_s
    for each in profile.stages:
        if each.part in ("before", "after"):
            yield _at_least(each.duration_s * each.factor * rate), RECOVERED_CALLS
    usual_from_s = 0.0
    for window in read_schedule(profile.faults, duration_s=profile.duration_s, may_overlap=True):
        yield _at_least((window.from_s - usual_from_s) * rate), COMPARED_CALLS
        usual_from_s = window.to_s


def _at_least(calls: float) -> float:
    """Return how many come at least, of so many on average at random times."""
    return max(0.0, calls - 3 * sqrt(calls))


def describe(profile: Profile) -> list[str]:
    """Return in sentences what is planned and what of that is possible; of a closed loop, which has no plan, nothing."""
    if not isinstance(profile, OpenProfile):
        return []
    seen = foresee(profile)
    at_most = "at most " if profile.steps is not None and profile.steps.goal == "break" else ""
    lines = [f"planned: {at_most}{counted(round(seen.planned), 'call')}; possible: {_possible(profile, seen)}."]
    if profile.clients > USERS_HAD_MOST:
        lines.append(
            f"{profile.clients:,} users are too many to be had: they are played as their arrival rate, "
            f"{profile.arrivals_per_s:,.4g}/s on {counted(profile.connections, 'connection')}."
        )
    return lines


def _possible(profile: OpenProfile, seen: Forecast) -> str:
    each = f"a call is reckoned with {seen.call_s * 1000:,.3g} ms"
    if seen.possible < 0.999 * seen.planned:
        who = f"{counted(profile.clients, 'client')} on {counted(profile.connections, 'connection')}"
        return f"about {seen.possible:,.0f}, as {who} cannot make more ({each})"
    return f"all, with about {max(1, round(seen.busy_most)):,} of {counted(profile.clients, 'client')} busy ({each})"


def find_doubts(profile: Profile, *, processes: int = 1) -> list[str]:
    """Return what this machine, or the profile's own figures, will not let it do; none: nothing is known against it.

    Args:
        processes: that make its calls; more of them than there are cores make no more.
    """
    if not isinstance(profile, OpenProfile):
        return []
    seen = foresee(_begun(profile))
    doubts = []
    cores = os.cpu_count() or 1
    most = GENERATOR_CALLS_PER_S * min(processes, cores)
    if seen.generator_per_s > most:
        where = counted(processes, "process", "processes") if processes > 1 else "one process"
        where += f" on {counted(cores, 'core')}" if processes > cores else ""
        doubts.append(
            f"asks {counted(seen.generator_per_s, 'call')} a second at most of the generator, which makes about "
            f"{most:,} in {where}: above that its latencies are unknown"
        )
    if seen.needed > profile.clients:
        doubts.append(f"needs {counted(seen.needed, 'client')} and has {profile.clients:,}: calls will not be sent")
    if seen.connections_busy_most > profile.connections:
        doubts.append(
            f"keeps {counted(seen.connections_busy_most, 'connection')} busy at its highest rate and has "
            f"{profile.connections:,}: calls will wait for one"
        )
    if cores < 2:
        doubts.append("shares the one core of this machine with the database, if that is here, too")
    return doubts


def find_lack_of_space(profiles: Iterable[Profile], free_bytes: int) -> str:
    """Return why what runs of these leave will not fit where so much is free; empty: it does, as far as is known."""
    opens = [_begun(each) for each in profiles if isinstance(each, OpenProfile)]
    calls = sum(foresee(each).planned * each.calls_per_arrival for each in opens)
    if calls * CALL_BYTES <= free_bytes:
        return ""
    return (
        f"about {counted(round(calls), 'call')} at least leave about {calls * CALL_BYTES / 1e9:,.0f} GB in the folders of "
        f"runs and in the database, and {free_bytes / 1e9:,.0f} GB are free here"
    )


def _begun(profile: OpenProfile) -> OpenProfile:
    """Return a profile without its search, which ends where it does; its beginning must do."""
    is_search = profile.steps is not None and profile.steps.goal == "break"
    return profile.model_copy(update={"steps": None}) if is_search else profile


def find_warning(profile: Profile) -> str:
    """Return what to be warned of before the profile is played; empty: nothing."""
    if not isinstance(profile, OpenProfile):
        return ""
    if profile.steps is not None and profile.steps.goal == "break":
        return "this loads the server until it gives way: what else it does will suffer."
    most = max(level.per_s_most for level in levels_of(profile)) / profile.arrivals_per_s * profile.of_usual
    if most >= FACTOR_WARNED:
        return f"this brings up to {most:,.3g} times the usual load at once: what else the server does will suffer."
    return ""
