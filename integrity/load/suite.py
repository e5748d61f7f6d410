"""Suites: ordered lists of profiles, declared as data, and how long they will take."""

import math
import tomllib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

from pydantic import Field, ValidationError

from integrity.errors import UsageError, describe_mistake, quote
from integrity.load.bounds import BoundedSettings, Factor, Seconds
from integrity.load.profile import OpenProfile, Profile, load_profile, scale
from integrity.load.spared import Spared, find_spared
from integrity.suggestion import suggest
from integrity.systems.system import Bug, System

GivenTo: TypeAlias = Callable[[System, Profile], tuple[Mapping[str, Any], tuple[str, ...]]]

AROUND_S = 4.0
"""Of each step, about: what is prepared before it, and loaded and judged after it."""

_FILE = Path(__file__).parent / "suites.toml"


class SuiteRun(BoundedSettings):
    """One profile of a suite.

    Args:
        profile: its name.
        duration_s: shortens or lengthens it at the same rates; None: the profile's own.
        rate_factor: multiplies its arrivals, and its limits on rates.
    """

    profile: str
    duration_s: Seconds | None = None
    rate_factor: Factor = 1.0


class Suite(BoundedSettings):
    """A suite as declared.

    Args:
        title: in a few words.
        steps: its profiles, in their order.
        system: of which it is alone; none: of any.
    """

    title: str
    system: str | None = None
    steps: tuple[SuiteRun, ...] = Field(min_length=1)


@dataclass(frozen=True, slots=True)
class Planned:
    """One run of a suite.

    Args:
        notes: what the environment said of it.
        length_s: how long it will take at most, all told: a search may end sooner.
        spared: the limits that it does not fall short of where they are not measured.
        carried_by: where it is so short that none of its limits is measured: the greatest whole number that a suite may be
            shortened by for one to be; 0: there is none, None: one is measured.
    """

    system: System
    profile_name: str
    profile: Profile
    length_s: float
    spared: tuple[Spared, ...] = ()
    notes: tuple[str, ...] = ()
    carried_by: int | None = None


@dataclass(frozen=True, slots=True)
class PlannedSuite:
    """All runs of a suite, in their order.

    Args:
        shorten: by which every length is divided.
        bug: planted in each; None: the sound system.
        processes: that share the calls of each.
        free_bytes: on the disk that its runs are kept on; None: nobody looked.
    """

    name: str
    title: str
    shorten: float
    runs: tuple[Planned, ...]
    bug: Bug | None = None
    processes: int = 1
    free_bytes: int | None = None


def suite_names(declared: Mapping[str, Mapping[str, Any]]) -> list[str]:
    """Return the names of all suites, the project's own last."""
    return list(_known(declared))


def load_suite(name: str, declared: Mapping[str, Mapping[str, Any]]) -> Suite:
    """Return the suite of that name.

    Args:
        declared: the project's own, as integrity.toml has them.

    Raises:
        UsageError: there is none, or it cannot be read.
    """
    known = _known(declared)
    if name not in known:
        hint = suggest(name, known, always=f"The suites are: {', '.join(known)}.")
        raise UsageError(f"no suite is called {quote(name)}", hint=hint)
    try:
        return Suite.model_validate(known[name])
    except ValidationError as error:
        mistake = describe_mistake(error.errors(include_url=False)[0])
        raise UsageError(f"suite {name}: {mistake}", hint="Suites are in integrity.toml, [suites.<name>].") from None


def _known(declared: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    return {**tomllib.loads(_FILE.read_text(encoding="utf-8")), **declared}


def plan_suite(
    name: str,
    suite: Suite,
    systems: Sequence[System],
    profiles: Mapping[str, Mapping[str, Mapping[str, Any]]],
    *,
    shorten: float,
    given_to: GivenTo = lambda _system, _profile: ({}, ()),
) -> PlannedSuite:
    """Return the runs of a suite in their order, a system after the other.

    Args:
        profiles: system -> profile -> settings, as integrity.toml has them.
        shorten: by which every length is divided, at the same rates.
        given_to: returns the settings that somebody else gives a system's profile, and what is to be said of them.

    Raises:
        UsageError: a profile that a system lacks, or cannot have.
    """
    planned = []
    for system in systems:
        for step in suite.steps:
            own = profiles.get(system.name, {})
            given, notes = given_to(system, load_profile(system, step.profile, own))
            if step.duration_s is not None:
                given = {**given, "duration_s": step.duration_s}
            profile = load_profile(system, step.profile, own, given)
            if step.rate_factor != 1.0 and isinstance(profile, OpenProfile):
                profile = scale(profile, rate=step.rate_factor)
            short = _shortened(profile, shorten)
            carried_by = None
            if not _measures_something(short):
                fewer = range(math.ceil(shorten) - 1, 0, -1)
                carried_by = next((each for each in fewer if _measures_something(_shortened(profile, each))), 0)
            length_s = short.duration_s + AROUND_S
            planned.append(Planned(system, step.profile, short, length_s, find_spared(short), notes, carried_by))
    return PlannedSuite(name, suite.title, shorten, tuple(planned))


def _measures_something(profile: Profile) -> bool:
    """Return whether a run of the profile may measure one of its limits, if it has any.

    A search may at a higher load; and where something is broken on purpose, calls are to end all the same.
    """
    if isinstance(profile, OpenProfile) and (profile.steps is not None or profile.faults):
        return True
    surely_not = [each for each in find_spared(profile) if each.is_known]
    return len(surely_not) < len(profile.thresholds) or not profile.thresholds


def _shortened(profile: Profile, factor: float) -> Profile:
    if factor == 1.0:
        return profile
    if isinstance(profile, OpenProfile):
        return scale(profile, rate=1 / factor, time=factor)
    return profile.model_copy(update={"duration_s": profile.duration_s / factor, "plan_s": profile.whole_s})
