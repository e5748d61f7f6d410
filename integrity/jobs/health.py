"""The job of checking a target's health: before a run, or after it."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from sqlalchemy import MetaData

from integrity.engines.target import Target
from integrity.errors import Unreachable, UsageError
from integrity.health.after import check_after
from integrity.health.before import check_before
from integrity.health.check import HealthCheck
from integrity.health.systems import ProfileNeeds, SystemNeeds
from integrity.load.profile import load_profile, profile_names
from integrity.load.workload import Workload
from integrity.project import Project
from integrity.registry import Registry
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
