"""The job of being outside parties: those of some systems as one server, until Ctrl-C (or SIGTERM) ends it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from integrity.errors import UsageError
from integrity.events import Job
from integrity.load.interruption import first_signal
from integrity.load.profile import load_profile
from integrity.project import Project
from integrity.registry import Registry
from integrity.serve.served import DependenciesOpened, ServedDependencies
from integrity.systems.service import ServiceSettings
from integrity.systems.system import System


@dataclass(frozen=True, slots=True)
class DependenciesAsked:
    """What is to be served.

    Args:
        systems: with how their services behave; those that are not named behave well.
        faults: as the option has them.
        may_be_reached: from other machines.
    """

    systems: tuple[tuple[System, Mapping[str, ServiceSettings]], ...]
    faults: tuple[str, ...]
    host: str
    port: int
    may_be_reached: bool
    seed: int


def choose_dependencies(
    project: Project,
    names: Sequence[str],
    *,
    profile_name: str | None,
    faults: Sequence[str],
    latency_ms: float,
    host: str,
    port: int,
    may_be_reached: bool,
    seed: int,
) -> DependenciesAsked:
    """Return what is to be served.

    Args:
        profile_name: services behave as it says, of each system; None: well.
        latency_ms: that every answer takes more.

    Raises:
        UsageError: there is no such system or profile, or it has no outside parties.
    """
    chosen = []
    for name in dict.fromkeys(names):
        system = Registry(project).find(name)
        outside = frozenset(system.services) - system.own_services
        if not outside or system.endpoints is None:
            lacks = "outside parties" if not outside else "endpoints that they could send webhooks to"
            raise UsageError(f"system {name} has no {lacks}", hint="Name another system.")
        behaving: Mapping[str, ServiceSettings] = {}
        if profile_name is not None:
            behaving = load_profile(system, profile_name, project.settings.profiles.get(name, {})).services
        chosen.append((system, {each: _slowed(behaving.get(each), latency_ms) for each in outside}))
    return DependenciesAsked(tuple(chosen), tuple(faults), host, port, may_be_reached, seed)


def serve_dependencies(asked: DependenciesAsked) -> Job[ServedDependencies]:
    """Serve until somebody ends it.

    Raises:
        UsageError: the port is taken, others could reach it, or a fault is none of services.
    """
    from integrity.clients.http import server_of
    from integrity.serve.dependencies import Dependencies, Party, make_web
    from integrity.serve.dependency_faults import play, read_faults
    from integrity.serve.listening import listen_on, serve, url_of

    parties = [Party(system, settings, seed=asked.seed) for system, settings in asked.systems]
    windows = read_faults(asked.faults, parties)
    with listen_on(asked.host, asked.port, may_be_reached=asked.may_be_reached) as made:
        dependencies = Dependencies(parties, server_of)
        web = make_web(dependencies, [play(window, parties) for window in windows])
        served = {party.system.name: sorted(party.services) for party in parties}
        opened = DependenciesOpened(served, url_of(made), asked.may_be_reached)
        yield from serve(web, made, opened, stopping=first_signal, ending=lambda: None)
    told = dependencies.dependencies
    return ServedDependencies(told.durations.count, told.deliveries.count, told.drops.count, dependencies.left_owed)


def _slowed(settings: ServiceSettings | None, latency_ms: float) -> ServiceSettings:
    found = settings or ServiceSettings()
    more_s = latency_ms / 1000
    return replace(found, latency_least_s=found.latency_least_s + more_s, latency_most_s=found.latency_most_s + more_s)
