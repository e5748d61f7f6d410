"""What a process is told that is to make a share of a run's calls.

A system is functions: a reference to it crosses, and what was read of a database for it.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from integrity.clients.http import Server, server_of
from integrity.clients.requests import RequestServer
from integrity.domain import World
from integrity.errors import UsageError
from integrity.http.origin import Origin
from integrity.http.target import TargetRequests
from integrity.load.over_http import asked_over_http
from integrity.load.profile import Profile
from integrity.load.share import Share
from integrity.load.workload import Workload
from integrity.systems.loading import load_system, with_place
from integrity.systems.reflect import Reflected
from integrity.systems.system import System, SystemReference


@dataclass(frozen=True, slots=True)
class SentSystem:
    """What of a system crosses to another process.

    Args:
        operations: the names of those that are called.
        metadata: of tables that were read of the database; None: the system has a model of its own.
        requested: the whole system, where it is requests and so has no functions of somebody's.
    """

    reference: SystemReference
    operations: tuple[str, ...]
    pools: Mapping[str, str]
    metadata: Reflected | None
    requested: System | None = None

    @classmethod
    def of(cls, system: System) -> "SentSystem":
        """Return what crosses of a system.

        Raises:
            UsageError: other processes cannot be told where to find it.
        """
        if system.is_requested and system.reference is not None:
            return cls(system.reference, (), {}, None, replace(system, stage=None))
        if (reference := find_reference(system)) is None:
            raise UsageError(
                f"system {system.name} was passed as an object, and other processes cannot be told where to find it",
                hint="Run it in one process; or make it in a module that they can import, not in the script that runs.",
            )
        metadata = system.metadata if isinstance(system.metadata, Reflected) else None
        return cls(reference, tuple(system.operations), system.pools, metadata)

    def load(self) -> System:
        """Return the system, in another process. Raises what load_system does."""
        if self.requested is not None:
            return self.requested
        system = load_system(self.reference)
        operations = {name: system.operations[name] for name in self.operations}
        metadata = system.metadata if self.metadata is None else self.metadata
        return replace(system.of(operations), pools=self.pools, metadata=metadata, stage=None)


def find_reference(system: System) -> SystemReference | None:
    """Return where other processes find a system; None: they cannot."""
    return system.reference or with_place(system).reference


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """What a process is told.

    Args:
        share: of the run's clients.
        bug_name: of the one that is planted; None: the sound system.
        offset_ns: of the run's clock, which is the same on all of a machine.
        folder: of the run.
        database, startup: how connections reach the database, with passwords, and what they say as they begin.
        has_faults: some are planned.
        can_revive: the server is brought back when it is gone.
        origin: of the server that calls go to; None: to the database.
        requests: what somebody's own application is asked; None: it is a server of the system's.
    """

    share: Share
    system: SentSystem
    bug_name: str | None
    profile: Profile
    seed: int
    world: World
    offset_ns: int
    folder: Path
    database: str
    startup: Mapping[str, str]
    has_faults: bool
    can_revive: bool
    origin: Origin | None = None
    requests: TargetRequests | None = None

    def workload(self) -> Workload:
        """Return what clients do. Raises what load_system does."""
        system = self.system.load()
        if self.origin is not None:
            system, _, _ = asked_over_http(system, self.profile)
        bug = system.find_bug(self.bug_name) if self.bug_name is not None else None
        return Workload(system, self.profile, bug, self.seed)

    def server(self, workload: Workload) -> Server | RequestServer | None:
        """Return the server that calls go to; None: they go to the database."""
        if self.origin is None:
            return None
        if self.requests is not None:
            return RequestServer(self.origin, self.requests)
        return server_of(self.origin, workload.system)
