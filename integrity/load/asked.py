"""What a run is asked for beside its profile: by options, and by the variables that the plans' own scripts read.

An option outranks a variable, and a variable the profile. Which variable says which number is the profile's matter
(`environment`), as the plans name one for each of their scenarios: USER_COUNTS, S2_USERS, SSE_HOLD_TIMES, S4_DURATION.

    --users 25             so many users, with as many times the streams and the rate
    --users 25,50,75       one after the other, each judged by itself
    --users 50%of:RUN      so much of what that run's sweep found safe
    --hold 30,20,10        users who wait so many seconds between two of their calls
    --key doors=3,4        the rows that streams are pinned to, and that sessions are of
"""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar

from integrity.endpoints.login import read_address
from integrity.errors import UsageError, quote
from integrity.load.profile import OpenProfile, Profile
from integrity.load.shape import LoadSteps
from integrity.numbers import CLIENTS_MOST, DURATION_S_MOST, read_duration, read_integer
from integrity.suggestion import suggest
from integrity.systems.made_stage import pools_of
from integrity.systems.system import System

USERS_VARIABLE = "LOADTEST_USERS"
"""Emails with commas between, as the system's login knows them."""

_SHARE = re.compile(r"(\d+(?:\.\d+)?)\s*% ?of:(\S+)")
_BETWEEN = re.compile(r"[,\s]+")

Number = TypeVar("Number", int, float)

SafeLoad = Callable[[str], float]
"""Returns how many users the sweep of a run found safe; raises UsageError where it found none."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """What options say; None or empty: they do not.

    Args:
        users, hold: as they are written.
        keys: pool -> its keys, as texts.
        accounts: emails.
    """

    users: str | None = None
    hold: str | None = None
    duration_s: float | None = None
    keys: Mapping[str, Sequence[str]] = field(default_factory=dict)
    accounts: Sequence[str] = ()


NOTHING_ASKED = Asked()


@dataclass(frozen=True, slots=True)
class Given:
    """Settings in place of the profile's, and which variables said so, each with what it came to."""

    settings: Mapping[str, Any]
    said: Mapping[str, str]


def settings_of(
    asked: Asked, profile: Profile, system: System, environment: Mapping[str, str], *, safe_load: SafeLoad
) -> Given:
    """Return what options and variables say in place of a profile's own settings.

    Args:
        profile: as it is by itself.
        safe_load: for a share of what another run found.

    Raises:
        UsageError: a number is none, the profile has nothing that it could change, or there is no such pool or account.
    """
    reading = _Reading(profile, system, environment, safe_load)
    reading.read(asked)
    return Given(reading.settings, reading.said)


class _Reading:
    """Takes one after the other; `place` in messages is the option or variable that says it."""

    def __init__(self, profile: Profile, system: System, environment: Mapping[str, str], safe_load: SafeLoad) -> None:
        self.settings: dict[str, Any] = {}
        self.said: dict[str, str] = {}
        self._profile = profile
        self._system = system
        self._environment = environment
        self._safe_load = safe_load

    def read(self, asked: Asked) -> None:
        named = self._profile.environment
        if said := self._find("--users", asked.users, named.users):
            self._take_users(*said)
        if said := self._find("--hold", asked.hold, named.hold):
            self._take_hold(*said)
        if asked.duration_s is not None:
            self.settings["duration_s"] = asked.duration_s
        elif said := self._find("--duration", None, named.duration):
            self.settings["duration_s"] = _number(said, lambda each: read_duration(each, most_s=DURATION_S_MOST))
        self._take_keys(asked)

    def _find(self, option: str, given: str | None, variable: str | None) -> tuple[str, str] | None:
        """Return who says it, and what; None: nobody does."""
        if given is not None:
            return option, given
        text = self._environment.get(variable, "").strip() if variable else ""
        if not text:
            return None
        assert variable is not None
        self.said[variable] = text
        return variable, text

    def _take_users(self, place: str, text: str) -> None:
        profile = self._open(place, "users")
        share = _SHARE.fullmatch(text.strip())
        if share is not None:
            count = round(float(share[1]) / 100 * self._safe_load(share[2]))
            if count < 1:
                raise UsageError(f"{place} {text}: that is not one user", hint="Name a larger share, or a number.")
            counts = [count]
        else:
            counts = [_number((place, each), _read_count) for each in _parts(place, text)]
        scales_streams = profile.steps is not None and profile.steps.scales == "subscribers"
        if len(counts) == 1 and not scales_streams:
            self.settings["users"] = counts[0]
            return
        base = sum(each.count for each in profile.subscribers) if scales_streams else profile.clients
        self._take_steps(
            place,
            [each / base for each in counts],
            [f"{each} {'streams' if scales_streams else 'users'}" for each in counts],
            scales="subscribers" if scales_streams else "arrivals",
        )
        if not scales_streams:
            self.settings["clients"] = max(base, *counts)

    def _take_hold(self, place: str, text: str) -> None:
        profile = self._open(place, "hold_s")
        if profile.hold_s is None:
            raise UsageError(
                f"{place}: nobody holds anything in this profile, it has no hold_s",
                hint="Leave it out, or say in the profile how long a user waits between two of his calls: hold_s = 10.",
            )
        held = [_number((place, each), lambda each: read_duration(each, least_s=0.01)) for each in _parts(place, text)]
        if len(held) == 1 and profile.steps is None:
            self.settings["rate_factor"] = profile.hold_s / held[0]
            return
        headings = [f"hold {each:g} s" for each in held]
        self._take_steps(place, [profile.hold_s / each for each in held], headings, scales="arrivals")

    def _take_steps(self, place: str, factors: Sequence[float], headings: Sequence[str], *, scales: str) -> None:
        if "steps" in self.settings:
            raise UsageError(f"{place}: users and times to hold are both several", hint="Let one of them be one number.")
        profile = self._profile
        assert isinstance(profile, OpenProfile)
        steps = profile.steps
        own = steps.model_dump() if steps is not None else {"step_s": profile.duration_s}
        goal = {"goal": "sweep", "factors": tuple(factors), "headings": tuple(headings), "scales": scales}
        self.settings |= {"steps": LoadSteps.model_validate({**own, **goal}).model_dump(), "stages": (), "duration_s": None}

    def _open(self, place: str, setting: str) -> OpenProfile:
        if isinstance(self._profile, OpenProfile):
            return self._profile
        raise UsageError(
            f"{place}: the profile is a closed loop, it has no {setting}",
            hint="In a closed loop each client has a connection of its own and there is no rate. --clients says how many.",
        )

    def _take_keys(self, asked: Asked) -> None:
        named = {pool: (f"--key {pool}", tuple(keys)) for pool, keys in asked.keys.items()}
        for pool, variables in self._profile.environment.keys.items():
            texts = {each: text for each in variables if (text := self._environment.get(each, "").strip())}
            if pool in named or not texts:
                continue
            if lacking := next((each for each in variables if each not in texts), None):
                raise UsageError(
                    f"{lacking} is not set, and {' and '.join(texts)} is",
                    hint=f"Set all of {', '.join(variables)}, or none: the streams stand there one by one.",
                )
            self.said |= texts
            named[pool] = (" and ".join(variables), tuple(texts.values()))
        emails, said_by = list(asked.accounts), "--user"
        if not emails and (said := self._find("--user", None, USERS_VARIABLE)):
            said_by, emails = said[0], _parts(*said)
        for pool, of_pool in self._keys_of(emails, said_by).items():
            named.setdefault(pool, (said_by, tuple(of_pool)))
        for pool, (place, _) in named.items():
            self._check_pool(pool, place)
        if named:
            self.settings["keys"] = {**self._profile.keys, **{pool: keys for pool, (_, keys) in named.items()}}

    def _keys_of(self, emails: Sequence[str], place: str) -> Mapping[str, Sequence[str]]:
        """Return the keys of the pools that accounts are of."""
        found: dict[str, list[str]] = {}
        login = self._system.endpoints.login if self._system.endpoints is not None else None
        for email in emails:
            claim, key = read_address(email) if login is not None else ("", "")
            if login is None or claim not in login.kinds:
                known = ", ".join(f"{each}.1@example.org" for each in (login.kinds if login is not None else ()))
                raise UsageError(
                    f"{place}: nobody of {self._system.name} logs in as {quote(email)}",
                    hint=f"They do as {known}." if known else "Leave it out: nobody logs in there.",
                )
            pools = {
                pool
                for operation in self._system.operations.values()
                for argument, domain in operation.arguments.items()
                if argument == claim
                for pool in pools_of([[domain]])
            }
            pools = pools & self._profile.held_pools(self._system) or pools
            for pool in pools:
                found.setdefault(pool, []).append(key)
        return found

    def _check_pool(self, pool: str, place: str) -> None:
        pools = self._system.pools
        if pool not in pools:
            raise UsageError(
                f"{place}: {self._system.name} has no pool {quote(pool)}",
                hint=suggest(pool, pools, always=f"Its pools are: {', '.join(pools) or 'none'}."),
            )
        if pool not in self._profile.held_pools(self._system):
            raise UsageError(
                f"{place}: in this profile no stream is pinned to one of {pool}, and no session is one's",
                hint="Leave it out, or run a profile in which one is.",
            )


def _parts(place: str, text: str) -> list[str]:
    parts = [each for each in _BETWEEN.split(text.strip()) if each]
    if not parts:
        raise UsageError(f"{place}: it says nothing", hint="Write numbers with commas between: 25,50,75.")
    return parts


def _read_count(text: str) -> int:
    return read_integer(text, least=1, most=CLIENTS_MOST)


def _number(said: tuple[str, str], read: Callable[[str], Number]) -> Number:
    place, text = said
    try:
        return read(text)
    except ValueError as error:
        raise UsageError(f"{place}: {error}", hint="Write one, or several with commas between.") from None
