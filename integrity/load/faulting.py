"""The faults of a run: the scene they act on, the proxy where one is needed, and how connections are made meanwhile."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from random import Random

from integrity.clients.carrier import Carrier
from integrity.clients.connection import Connection, make_connection
from integrity.clients.driver import Driver
from integrity.domain import Key
from integrity.engines.embedded.server import EmbeddedServer
from integrity.engines.target import Target
from integrity.faults.conduct import Conduct
from integrity.faults.player import FAULTS_FILE, PlayedFault, Player
from integrity.faults.scene import Scene
from integrity.faults.schedule import Window, check_schedule, find_unmet, needs_proxy
from integrity.load.workload import Workload
from integrity.proxy.server import Proxy, address_of
from integrity.runs.folder import RunFolder


@dataclass(frozen=True, slots=True)
class PlannedFaults:
    """What goes wrong on purpose in a run.

    Args:
        windows: none: nothing does, and connections go straight to the database.
        may_overlap: as read_schedule takes it.
        server: where it is ours.
        revive: brings the server back when it is gone, if it is ours to bring back.
        is_over_http: the clients' calls go to a server, which has the connections and the outside services.
    """

    windows: Sequence[Window] = ()
    may_overlap: bool = False
    server: EmbeddedServer | None = None
    revive: Callable[[], object] | None = None
    is_over_http: bool = False


class Faulting:
    """The faults of a run. Made before the run begins, so that what cannot be done is said before anything is.

    Args:
        target: the database itself.
        keys: the run's own, which it goes on changing: a fault takes a hot one when it is injected.

    Raises:
        UsageError: a fault cannot be done to this run.
    """

    def __init__(
        self, planned: PlannedFaults, workload: Workload, target: Target, keys: Mapping[str, Sequence[Key]]
    ) -> None:
        self.conduct = Conduct(workload.profile.services, workload.system.services)
        self.revive: Callable[[], object] | None = self._revive if planned.revive is not None else None
        self._planned, self._target, self._schemas = planned, target, workload.system.schemas
        self._seed = workload.seed
        self._player: Player | None = None
        self._folder: RunFolder | None = None
        self._scene = _set_scene(planned, workload, target, self.conduct, keys)
        check_schedule(planned.windows, self._scene)

    @property
    def is_planned(self) -> bool:
        """Whether anything is to go wrong."""
        return bool(self._planned.windows)

    @property
    def played(self) -> Sequence[PlayedFault]:
        """What became of the windows that have been healed."""
        return self._player.played if self._player is not None else ()

    @property
    def began_us(self) -> int:
        """From when the windows count, in microseconds since the epoch."""
        return self._player.began_us if self._player is not None else 0

    def is_active(self) -> bool:
        """Whether a fault is in force."""
        return self._player is not None and self._player.is_active

    @property
    def current(self) -> Sequence[str]:
        """The faults in force, by name."""
        return tuple(self._player.current) if self._player is not None else ()

    async def open(self) -> None:
        """Start the proxy, if a fault needs it."""
        if needs_proxy(self._planned.windows):
            self._scene.proxy = Proxy(address_of(self._target), seed=self._seed)
            await self._scene.proxy.start()

    def keep_in(self, folder: RunFolder) -> None:
        """Write down there what is done."""
        self._folder = folder

    @property
    def way(self) -> tuple[Target, Mapping[str, str]]:
        """How the run's connections reach the database, and what they say as they begin."""
        proxy = self._scene.proxy
        return (self._target, {}) if proxy is None else (proxy.target(self._target), proxy.settings)

    def connect(self) -> Connection:
        """Return a connection of the run's, not yet open."""
        target, startup = self.way
        return make_connection(target, self._schemas, conduct=self.conduct, startup=startup)

    def carry(self, random: Random) -> Carrier:
        """Return what carries calls by SQL, on such a connection of its own."""
        return Driver(self.connect(), random)

    def start(
        self,
        *,
        now_us: Callable[[], int],
        hang_up: Callable[[], int],
        failed: Callable[[], None],
        turned: Callable[[], Awaitable[None]],
    ) -> None:
        """Begin with the windows: they count from now.

        Args:
            hang_up: as Scene has it.
            failed: told when a fault could not be injected or healed.
            turned: as Player has it.
        """
        assert self._folder is not None
        self._scene.hang_up = hang_up
        self._player = Player(
            self._planned.windows,
            self._scene,
            seed=self._seed,
            file=self._folder.path / FAULTS_FILE,
            now_us=now_us,
            may_overlap=self._planned.may_overlap,
            failed=failed,
            turned=turned,
        )
        self._player.start()

    async def finish(self) -> None:
        """Heal what is in force, and inject nothing more.

        Raises:
            AuditError: a fault could not be injected or healed.
        """
        if self._player is not None:
            await self._player.finish()

    async def close(self) -> None:
        """End the proxy. What still goes through it is cut off."""
        if self._scene.proxy is not None:
            await self._scene.proxy.close()

    def _revive(self) -> None:
        if self._planned.revive is not None and not self.conduct.is_down:
            self._planned.revive()


def find_unmet_need(planned: PlannedFaults, workload: Workload, target: Target) -> str:
    """Return what one of the faults cannot do without and a run would lack, e.g. "db_latency needs ..."; empty: nothing.

    Raises:
        UsageError: a server that no proxy can stand before.
    """
    conduct = Conduct(workload.profile.services, workload.system.services)
    unmet = find_unmet(planned.windows, _set_scene(planned, workload, target, conduct, {}))
    return next((f"{window.fault.name} needs {need.value}" for window, need in unmet), "")


def _set_scene(
    planned: PlannedFaults, workload: Workload, target: Target, conduct: Conduct, keys: Mapping[str, Sequence[Key]]
) -> Scene:
    return Scene(
        target=target,
        system=workload.system,
        conduct=conduct,
        random=Random(),
        keys=keys,
        operations=workload.profile.operations,
        has_subscribers=bool(workload.profile.subscribers),
        server=planned.server,
        is_over_http=planned.is_over_http,
    )
