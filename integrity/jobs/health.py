"""The job of checking a target's health: before a run, or after it."""

import asyncio
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace

import orjson
from sqlalchemy import MetaData

from integrity.clients.http import server_of
from integrity.domain import Key
from integrity.engines.target import Target
from integrity.errors import DatabaseError, Unreachable, UsageError
from integrity.health.after import check_after
from integrity.health.before import check_before
from integrity.health.check import HealthCheck
from integrity.health.over_http import HEALTH_S, check_server
from integrity.health.redis import check_redis_server
from integrity.health.systems import ProfileNeeds, SystemNeeds
from integrity.http.answer import Unanswered
from integrity.http.connection import HttpConnection, RawAnswer
from integrity.http.origin import Origin
from integrity.jobs.plan_names import SERVICE_TARGET, TARGETS, find_target
from integrity.load.over_http import HEALTH
from integrity.load.profile import load_profile, profile_names
from integrity.load.workload import Workload
from integrity.monitor.redis import check_redis
from integrity.project import Project
from integrity.registry import Registry
from integrity.systems.keys import read_keys
from integrity.systems.system import System


@dataclass(frozen=True, slots=True)
class ExpectedSystems:
    """The systems that are looked for.

    Args:
        is_required: the one was named; else those that are there are looked at.
        passed_over: of each that cannot be imported, why.
    """

    systems: Sequence[System]
    is_required: bool
    passed_over: Sequence[str] = ()


def choose(project: Project, system_name: str | None) -> ExpectedSystems:
    """Return what is to be looked for: the system of that name, or all.

    Raises:
        UsageError: there is no such system.
    """
    registry = Registry(project)
    if system_name is not None:
        return ExpectedSystems([registry.find(system_name)], is_required=True)
    systems = list(registry.usable(registry))
    return ExpectedSystems(systems, is_required=False, passed_over=registry.describe_passed_over())


def check(
    target: Target, project: Project, expected: ExpectedSystems, *, is_after: bool, test_database: str | None = None
) -> list[HealthCheck]:
    """Return the checks of a target that a run is to be made on, or was.

    Args:
        test_database: as guard takes it, so that what a run is let do is found fit for one.

    Raises:
        UsageError: a profile of a system cannot be read.
    """
    systems = list(_on(target, expected))
    if is_after:
        return check_after(target, systems, project)
    needs = {system.name: _needs_of(system, project) for system in systems}
    return check_before(target, systems, needs, is_required=expected.is_required, test_database=test_database)


def find_over(given: str | None, environment: Mapping[str, str]) -> str | None:
    """Return the server that is named, by an option or a variable; None: none is, and the database alone is looked at."""
    said = (environment.get(name, "").strip() for name in (*TARGETS, SERVICE_TARGET))
    return given if given is not None else next(filter(None, said), None)


def check_target(
    over: str, project: Project, system_name: str | None, target: Target | None, environment: Mapping[str, str]
) -> tuple[list[HealthCheck], str]:
    """Return the checks of a server that a run is to ask, and the name of its system.

    Args:
        over: its URL, or what the project calls it.
        system_name: None: the one that it says it serves.
        target: the database that it works on, whose rows are asked for; None: none is known.

    Raises:
        UsageError: there is no such system, it has no endpoints, or the server may not be asked.
    """
    registry = Registry(project)
    name = system_name or _served_there(over, project, registry, environment)
    system = registry.find(name) if name else registry.default
    asked = find_target(over, project, system, environment)
    assert asked is not None
    if system.endpoints is None:
        raise UsageError(
            f"{asked.place}: {system.name} has no table of endpoints, so nobody knows what its server is asked",
            hint="Check its database: leave it out.",
        )
    return check_server(server_of(asked.origin, system), system, _keys_of(target, system)), system.name


def check_cache(redis: str | None) -> list[HealthCheck]:
    """Return the checks of a Redis; none where none is named.

    Raises:
        UsageError: it is no URL of one, or there is no client.
    """
    return [] if redis is None else list(check_redis_server(check_redis(redis, place="--redis")))


def _served_there(over: str, project: Project, registry: Registry, environment: Mapping[str, str]) -> str | None:
    """Return which system a server says that it serves; None: it does not say, or nobody answers."""
    asked = find_target(over, project, registry.default, environment)
    assert asked is not None
    with suppress(Unanswered, orjson.JSONDecodeError, TimeoutError):
        said = orjson.loads(asyncio.run(_ask_health(asked.origin)).body)
        name = said.get("system") if isinstance(said, dict) else None
        return name if isinstance(name, str) and name in registry else None
    return None


async def _ask_health(origin: Origin) -> RawAnswer:
    connection = HttpConnection(origin)
    try:
        async with asyncio.timeout(HEALTH_S):
            return await connection.ask("GET", HEALTH, {}, None)
    finally:
        connection.abort()


def _keys_of(target: Target | None, system: System) -> Mapping[str, Sequence[Key]]:
    """Return the keys of the rows that a server works on; none where its database cannot be asked."""
    if target is None:
        return {}
    try:
        return read_keys(target, system.on(target))
    except (DatabaseError, UsageError):  # the database's own checks tell why
        return {}


def _on(target: Target, expected: ExpectedSystems) -> Iterator[System]:
    """Yield the systems with their tables; of those that nobody named, one that has none there is left out."""
    for system in expected.systems:
        try:
            yield system.on(target)
        except Unreachable:  # which is what is told first, and all that is
            yield replace(system, metadata=MetaData())
        except UsageError:
            if expected.is_required:
                raise


def _needs_of(system: System, project: Project) -> SystemNeeds:
    """Return what each profile of the system needs."""
    own = project.settings.profiles.get(system.name, {})
    profiles = {name: load_profile(system, name, own) for name in profile_names(system, own)}
    return {
        name: ProfileNeeds(profile.connection_count, Workload(system, profile, None, seed=0).needed_keys)
        for name, profile in profiles.items()
    }
