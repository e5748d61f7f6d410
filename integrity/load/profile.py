"""Profiles: how a system is loaded, declared as data.

A system's profiles are in `profiles.toml` beside it, where `main` names the one that says how it is used; the shapes that
every system can be loaded in are in the `shared_profiles.toml` beside this module, and extend the main one; a system that
declares none has those of `default_profiles.toml`, and one that has no `smoke` or `hammer` those (declared.py). A project
overrides them, or adds its own with `extends`, in integrity.toml under [profiles.<system>.<profile>]. A key that is given
replaces the whole key below it.

Two models. Closed: each client sends its next call when the last one returned; as fast as it goes, and blind to stalls,
because a frozen system is asked less. Open: calls have intended times, whatever the system does; latency counts from them.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Annotated, Any, Literal, Self

from pydantic import Field, TypeAdapter, ValidationError, model_validator

from integrity.errors import UsageError, describe_mistake, quote
from integrity.load.bounds import (
    Amount,
    BoundedSettings,
    ClientCount,
    ConnectionCount,
    Count,
    Factor,
    Rate,
    Seconds,
    Share,
)
from integrity.load.declared import declared_profiles
from integrity.load.named import FromEnvironment, pinned_pools
from integrity.load.shape import LoadStage, LoadSteps
from integrity.load.thresholds import Threshold
from integrity.numbers import (
    CLIENTS_MOST,
    CONNECTIONS_MOST,
    DURATION_S_LEAST,
    DURATION_S_MOST,
    RATE_MOST,
    show_duration,
)
from integrity.project import SETTINGS_FILE
from integrity.runs.result import Shortened
from integrity.suggestion import suggest
from integrity.systems.service import ServiceSettings
from integrity.systems.system import System

CALL_MS = 20.0
"""How long a call is reckoned to take where nobody says: a few statements, and a wait for a lock now and then."""


class Stream(BoundedSettings):
    """Arrivals of one kind at a steady rate.

    Args:
        name: as results call it.
        operations: one operation, or several that a session does in turn, e.g. scan_in, scan_out, scan_in, ...
        per_minute: how many, of all of them together.
        spacing: at equal distances, or at random ones.
        pin: argument -> the how-manieth key of its pool, from 1: this stream is that door, that terminal; or the name of a
            pool whose first key it is: somebody of whom more is known.
    """

    name: str
    operations: tuple[str, ...] = Field(min_length=1)
    per_minute: Rate
    spacing: Literal["even", "poisson"] = "poisson"
    pin: Mapping[str, Count | str] = {}


class Burst(BoundedSettings):
    """So many arrivals at the same instant, again and again, the first after half a period.

    Args:
        name: as results call it.
        operation: what all of them are.
        count: how many.
        every_s: the period.
    """

    name: str
    operation: str
    count: Count
    every_s: Seconds


class Subscribers(BoundedSettings):
    """Clients that each keep one stream open as long as the run lasts.

    Args:
        name: as results call it.
        operation: what opens it: one of the system's subscriptions.
        count: how many clients.
        poll_s: how often an open stream is looked at for what has come.
        disconnect_share: of those looks, how many find it cut off; the client comes back and says what it saw last.
        connections: that the streams share.
        come_share: of the run's length, or of a step's: over which they come, one after the other; 0: all at once.
        pin: as a stream of arrivals has it.
    """

    name: str
    operation: str
    count: ClientCount
    poll_s: Seconds = 0.1
    disconnect_share: Share = 0.0
    connections: ConnectionCount = 2
    come_share: Share = 0.0
    pin: Mapping[str, Count | str] = {}

    def times(self, factor: float) -> Self:
        """Return so many times the clients, on as many times the connections."""
        return self.model_copy(
            update={
                "count": min(CLIENTS_MOST, max(1, round(self.count * factor))),
                "connections": min(CONNECTIONS_MOST, max(1, round(self.connections * factor))),
            }
        )


class Common(BoundedSettings):
    """What both models have.

    Args:
        title: in a few words.
        duration_s: how long calls are drawn.
        clients: how many.
        hot_share, hot_count: the share of draws that meet on each pool's hot keys, and how many those are.
        hot_turn_calls: after so many calls, others become the hot keys; 0: never. What was broken is then left as it is,
            where the next calls would have covered it up.
        abandon: operation -> the share of its calls in which the client dies half way; "default": of the others.
        services: how the outside services behave.
        subscribers: who keeps streams open.
        call_ms: operation -> how long a call is reckoned to take, with the services that it asks; "default": the others.
            Before a run it is said from this how many calls its clients can make.
        calls_per_arrival: with the webhooks that follow, on average; reckoned with likewise.
        touches_all: every operation must be answered, and every stream bring something, at the profile's full length.
        thresholds: what a run must keep. Under more_thresholds stand those that a profile has beside those it extends.
        drain_s: how long, at the end, what is outstanding may take.
        plan_s: how long the plan is, where this is a shortened form of it; a run says so. None: as long as this.
        keys: pool -> keys of its rows: streams are pinned to them in this order, and sessions are of no others.
        environment: which variables of the environment say what, where no option does.
    """

    title: str
    duration_s: Seconds
    clients: ClientCount
    hot_share: Share = 0.0
    hot_count: Count = 16
    hot_turn_calls: Annotated[int, Field(ge=0, le=1_000_000_000)] = 0
    abandon: Mapping[str, Share] = {}
    services: Mapping[str, ServiceSettings] = {}
    subscribers: tuple[Subscribers, ...] = ()
    call_ms: Mapping[str, Amount] = {}
    calls_per_arrival: Annotated[float, Field(ge=1, le=100)] = 1.0
    thresholds: tuple[Threshold, ...] = ()
    touches_all: bool = False
    drain_s: Seconds = 30.0
    plan_s: Seconds | None = None
    keys: Mapping[str, tuple[str, ...]] = {}
    environment: FromEnvironment = FromEnvironment()

    @property
    def whole_s(self) -> float:
        """How long the plan is."""
        return max(self.plan_s or 0.0, self.duration_s)

    @property
    def shortened(self) -> Shortened | None:
        """The mark of a profile that is shorter than its plan; None: it is not."""
        return Shortened.of(self.duration_s, self.whole_s)

    def call_s(self, operation: str) -> float:
        """Return how long a call is reckoned to take."""
        return self.call_ms.get(operation, self.call_ms.get("default", CALL_MS)) / 1000

    @property
    def all_thresholds(self) -> tuple[Threshold, ...]:
        """The thresholds, and those that the profile makes by what it is."""
        brought = dict.fromkeys(each.operation for each in self.subscribers)
        return (*self.thresholds, *self.touching(self.operations), *self.touching(brought, "received"))

    def touching(
        self, operations: Iterable[str], statistic: Literal["answered", "received"] = "answered"
    ) -> Sequence[Threshold]:
        """Return the thresholds that ask whether operations were touched; none where not everything is to be."""
        if not self.touches_all or self.shortened is not None:
            return ()
        source = "everything is touched"
        return [Threshold(operation=each, statistic=statistic, least=1, source=source) for each in operations]

    @property
    def operations(self) -> list[str]:
        """Which operations clients call."""
        raise NotImplementedError

    def held_pools(self, system: System) -> set[str]:
        """Return the pools of which streams and sessions have keys that are not drawn anew for each call."""
        pins = [(each.operation, each.pin) for each in self.subscribers]
        return pinned_pools(pins, system)

    def abandon_share(self, operation: str) -> float:
        return self.abandon.get(operation, self.abandon.get("default", 0.0))


class ClosedProfile(Common):
    """As fast as it goes: each client has a connection of its own.

    Args:
        model: "closed".
        weights: operation -> how often it is called, relative to the others.
        calls_most: with so many calls, deliveries among them, it is over, if its time is not; 0: time alone ends it. So
            what it shows does not depend on how fast the machine is.
    """

    model: Literal["closed"]
    weights: Mapping[str, Amount]
    calls_most: Annotated[int, Field(ge=0, le=1_000_000_000)] = 0

    @model_validator(mode="after")
    def _has_weight(self) -> Self:
        if sum(self.weights.values()) <= 0:
            raise ValueError("weights: at least one must be above 0")
        return self

    @property
    def connection_count(self) -> int:
        return self.clients

    @property
    def operations(self) -> list[str]:
        return [operation for operation, weight in self.weights.items() if weight]


class OpenProfile(Common):
    """Arrivals at their intended times. Clients are sessions, that is people: each does one thing at a time.

    Args:
        model: "open".
        connections: a session borrows one of these for a call.
        own: pools of which each session draws one key when the run begins, and keeps it.
        in_flight_most: arrivals beyond this are not sent, and counted as failed.
        streams: arrivals at a steady rate.
        bursts: arrivals at the same instant.
        rate_factor: multiplies all arrivals, and limits on their rates.
        users: instead of `clients`: so many, with as many times the subscribers, arrivals and limits on rates.
        hold_s: how long a user waits between two of his calls at a rate_factor of 1: --hold sets that by it.
        of_usual: by what users, rate_factor, --rate and --time-scale have multiplied the arrivals.
        watches_trends: a soak: say whether latency, failures or memory rise.
        fits_hour: it waits, before it begins, until all of it lies in one hour of the clock: limiters that count by the
            hour begin anew with the next.
        faults: what goes wrong on purpose and when, as `--fault` takes it.
        stages, steps: how the load changes; neither: it does not. The run is as long as they are.
    """

    model: Literal["open"]
    connections: ConnectionCount
    own: tuple[str, ...] = ()
    in_flight_most: Count = 2000
    streams: tuple[Stream, ...] = ()
    bursts: tuple[Burst, ...] = ()
    rate_factor: Factor = 1.0
    users: ClientCount | None = None
    hold_s: Seconds | None = None
    of_usual: Rate = 1.0
    watches_trends: bool = False
    fits_hour: bool = False
    faults: tuple[str, ...] = ()
    stages: tuple[LoadStage, ...] = ()
    steps: LoadSteps | None = None

    @model_validator(mode="before")
    @classmethod
    def _has_the_length_of_its_shape(cls, settings: Any) -> Any:
        """Let duration_s follow from the shape; one that is given besides stretches or shrinks it."""
        if not isinstance(settings, dict) or not (settings.get("stages") or settings.get("steps")):
            return settings
        given = settings.get("duration_s")
        if settings.get("stages"):
            stages = [LoadStage.model_validate(stage) for stage in settings["stages"]]
            length_s = sum(stage.duration_s for stage in stages)
            factor = given / length_s if given and length_s else 1.0
            stages = [stage.model_copy(update={"duration_s": stage.duration_s * factor}) for stage in stages]
            return {**settings, "stages": tuple(stages), "duration_s": length_s * factor}
        steps = LoadSteps.model_validate(settings["steps"])
        step_s = given / steps.count_most if given else steps.step_s
        return {
            **settings,
            "steps": steps.model_copy(update={"step_s": step_s}),
            "duration_s": step_s * steps.count_most,
        }

    @model_validator(mode="after")
    def _has_one_shape(self) -> Self:
        if self.stages and self.steps:
            raise ValueError("stages: a profile has stages or steps, not both")
        if self.steps and self.steps.scales == "subscribers" and not self.subscribers:
            raise ValueError("steps: there are no subscribers that could be scaled")
        return self

    @model_validator(mode="after")
    def _has_arrivals(self) -> Self:
        if not self.streams and not self.bursts:
            raise ValueError("streams: there is neither a stream nor a burst, so nothing would arrive")
        return self

    @property
    def connection_count(self) -> int:
        return self.connections

    @property
    def operations(self) -> list[str]:
        streamed = [operation for stream in self.streams for operation in stream.operations]
        return list(dict.fromkeys([*streamed, *(burst.operation for burst in self.bursts)]))

    def held_pools(self, system: System) -> set[str]:
        pins = [(operation, stream.pin) for stream in self.streams for operation in stream.operations]
        return super().held_pools(system) | pinned_pools(pins, system) | set(self.own)

    @property
    def arrivals_per_s(self) -> float:
        return sum(s.per_minute / 60 for s in self.streams) + sum(b.count / b.every_s for b in self.bursts)


Profile = ClosedProfile | OpenProfile
_PROFILE: TypeAdapter[Profile] = TypeAdapter(Annotated[Profile, Field(discriminator="model")])


def profile_names(system: System, overrides: Mapping[str, Mapping[str, Any]]) -> list[str]:
    """Return the names of the system's profiles, the project's own last."""
    return list(dict.fromkeys([*declared_profiles(system), *overrides]))


def load_profile(
    system: System, name: str, overrides: Mapping[str, Mapping[str, Any]], given: Mapping[str, Any] | None = None
) -> Profile:
    """Return a profile, checked against the system.

    Args:
        overrides: profile -> settings, as integrity.toml has them for this system.
        given: settings that outrank both, as the command line has them.

    Raises:
        UsageError: no profile of that name, or it names what the system lacks, or a value is out of its bounds.
    """
    place = f"profile {name} of {system.name}"
    settings = _resolve(system, name, overrides, ())
    if "clients" in (given or {}):
        settings.pop("users", None)
    settings |= given or {}
    settings = {name: value for name, value in settings.items() if value is not None and name != "extends"}
    unknown = set(given or {}) - _fields(settings.get("model"))
    if unknown:
        option = sorted(unknown)[0]
        raise UsageError(
            f"{place} has no {option}: its model is {settings.get('model')}",
            hint="In a closed loop each client has a connection of its own and there is no rate."
            if settings.get("model") == "closed"
            else None,
        )
    profile = read_profile(settings, place)
    _check_names(profile, system, place)
    if (given or {}).get("duration_s") is not None:
        profile = profile.model_copy(update={"plan_s": load_profile(system, name, overrides).whole_s})
    return _multiplied(profile) if isinstance(profile, OpenProfile) else profile


def read_profile(settings: Mapping[str, Any], place: str) -> Profile:
    """Return the profile of these settings, which extends no other.

    Raises:
        UsageError: there is a mistake in them.
    """
    try:
        return _PROFILE.validate_python(settings)
    except ValidationError as error:
        mistake = describe_mistake(error.errors(include_url=False)[0], without=("open", "closed"))
        raise UsageError(f"{place}: {mistake}", hint=_WHERE_PROFILES_ARE) from None


def _multiplied(profile: OpenProfile) -> OpenProfile:
    """Return the profile with its users and at its rate."""
    of_users = 1.0 if profile.users is None else profile.users / profile.clients
    subscribers = tuple(each.times(of_users) for each in profile.subscribers) if of_users != 1 else profile.subscribers
    rate = profile.rate_factor * of_users
    at_rate = scale(profile, rate=rate) if rate != 1 else profile
    clients = profile.users or profile.clients
    return at_rate.model_copy(update={"clients": clients, "subscribers": subscribers, "users": None, "rate_factor": 1.0})


_WHERE_PROFILES_ARE = (
    "Profiles are declared in the system's profiles.toml and in integrity.toml, [profiles.<system>.<profile>]."
)


def scale(profile: OpenProfile, *, rate: float = 1.0, time: float = 1.0) -> OpenProfile:
    """Return the profile with its rates multiplied, and then compressed: the same arrivals in a `time`-th of its time.

    Limits on rates go with them; what is asked for at a fifth of the rate cannot be held to the whole.

    Raises:
        UsageError: it would have more arrivals, or another length, than a run can have.
    """
    factor = rate * time
    scaled = profile.model_copy(
        update={
            "duration_s": profile.duration_s / time,
            "plan_s": profile.plan_s if time == 1 else profile.whole_s,
            "of_usual": profile.of_usual * factor,
            "thresholds": tuple(each.at_rate(factor) for each in profile.thresholds),
            "streams": tuple(s.model_copy(update={"per_minute": s.per_minute * factor}) for s in profile.streams),
            "bursts": tuple(b.model_copy(update={"every_s": b.every_s / factor}) for b in profile.bursts),
            "stages": tuple(s.model_copy(update={"duration_s": s.duration_s / time}) for s in profile.stages),
            "steps": profile.steps.model_copy(update={"step_s": profile.steps.step_s / time}) if profile.steps else None,
        }
    )
    if scaled.arrivals_per_s > RATE_MOST:
        raise UsageError(
            f"{scaled.arrivals_per_s:,.0f} arrivals a second are more than the {RATE_MOST:,.0f} that a run can make",
            hint="Ask for a smaller --rate, rate_factor or --time-scale.",
        )
    if not DURATION_S_LEAST <= scaled.duration_s <= DURATION_S_MOST:
        raise UsageError(
            f"a run of {scaled.duration_s:,.3g} s is not from {show_duration(DURATION_S_LEAST)} to "
            f"{show_duration(DURATION_S_MOST)} long",
            hint="Ask for a --time-scale or --shorten nearer to 1.",
        )
    return scaled


def _fields(model: object) -> set[str]:
    return set((ClosedProfile if model == "closed" else OpenProfile).model_fields)


def _resolve(
    system: System, name: str, overrides: Mapping[str, Mapping[str, Any]], seen: tuple[str, ...]
) -> dict[str, Any]:
    declared = declared_profiles(system).get(name, {})
    own = overrides.get(name, {})
    if not declared and not own:
        known = profile_names(system, overrides)
        hint = suggest(name, known, always=f"Its profiles are: {', '.join(known) or 'none'}.")
        raise UsageError(f"system {system.name} has no profile {quote(name)}", hint=hint)
    if name in seen:
        raise UsageError(f"profile {name} of {system.name} extends itself: {' -> '.join((*seen, name))}")
    settings = {**declared, **own}
    if "extends" in settings:
        parent, known = str(settings["extends"]), profile_names(system, overrides)
        if parent not in known:
            file = f"{SETTINGS_FILE}: profiles.{system.name}.{name}" if "extends" in own else f"{system.profiles}: {name}"
            hint = suggest(parent, known, always=f"Its profiles are: {', '.join(known)}.")
            raise UsageError(f"{file}.extends: system {system.name} has no profile {quote(parent)}", hint=hint)
        inherited = _resolve(system, parent, overrides, (*seen, name))
        inherited.pop("touches_all", None)  # that its length and rates touch all is said of one profile
        if settings.get("stages") or settings.get("steps"):
            for key in ("duration_s", "stages", "steps"):  # a shape has its own length, and replaces another shape
                inherited.pop(key, None)
        if "clients" in settings or "users" in settings:  # each replaces the other
            inherited.pop("users", None)
        settings = {**inherited, **settings}
    more = settings.pop("more_thresholds", None)
    if more is not None:
        settings["thresholds"] = [*settings.get("thresholds", []), *more]
    return settings


def _check_names(profile: Profile, system: System, place: str) -> None:
    """Raise where the profile names an operation, an argument, a pool or a service that the system lacks."""
    arguments = {name: operation.arguments for name, operation in system.operations.items()}
    named = [*profile.operations, *(t.operation for t in profile.thresholds if t.operation)]
    named += [name for name in (*profile.abandon, *profile.call_ms) if name != "default"]
    _all_known(place, "operation", named, arguments)
    _all_known(place, "service", profile.services, system.services)
    _all_known(place, "subscription", [each.operation for each in profile.subscribers], system.subscriptions)
    groups = dict.fromkeys(operation.group for operation in system.operations.values() if operation.group)
    for threshold in profile.thresholds:
        if threshold.group is not None and not any(threshold.covers("", group) for group in groups):
            _all_known(place, "group", [threshold.group], groups)
    for each in profile.subscribers:
        at = f"{place}: subscribers {each.name}"
        _all_known(at, f"argument of {each.operation}", each.pin, arguments[each.operation])
        _all_known(at, "pool", [which for which in each.pin.values() if isinstance(which, str)], system.pools)
    if isinstance(profile, OpenProfile):
        _all_known(place, "pool", profile.own, system.pools)
        for stream in profile.streams:
            named_pools = [which for which in stream.pin.values() if isinstance(which, str)]
            _all_known(f"{place}: stream {stream.name}", "pool", named_pools, system.pools)
            for operation in stream.operations:
                _all_known(f"{place}: stream {stream.name}", f"argument of {operation}", stream.pin, arguments[operation])


def _all_known(place: str, what: str, names: Any, known: Mapping[str, Any]) -> None:
    for name in names:
        if name not in known:
            raise UsageError(f"{place}: unknown {what} {quote(name)}", hint=f"Known: {', '.join(known) or 'none'}.")
