"""The process of a station, beside a worker of Locust's: from its beginning to its end."""

import asyncio
import socket
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from integrity.clients.http import server_of
from integrity.errors import AuditError
from integrity.history import Returned
from integrity.http.origin import find_origin
from integrity.load.client import Clock
from integrity.load.stations.messages import Messages
from integrity.load.stations.order import StationOrder, key_of
from integrity.load.stations.station import Station
from integrity.load.workload import Workload
from integrity.project import find_project
from integrity.registry import Registry


class StationProcess:
    """What comes from the worker, and what goes back."""

    def __init__(self, project_folder: Path) -> None:
        self._folder = project_folder
        self._clock = Clock()
        self._station: Station | None = None
        self._messages: Messages
        self._over = asyncio.Event()
        self._ending: asyncio.Task[None] | None = None

    async def run(self, connection: socket.socket) -> None:
        """Return when the run is over."""
        self._messages = await Messages.over(connection, self._take, self._over.set)
        await self._over.wait()
        self._messages.close()

    def _take(self, message: Mapping[str, Any]) -> None:
        match message["kind"]:
            case "call":
                assert self._station is not None, "users wait until it is ready"
                user = message["user"]
                self._station.call(user, lambda name, returned, ms: self._returned(user, name, returned, ms))
            case "heard":
                self._hear(message["what"])

    def _hear(self, what: Mapping[str, Any]) -> None:
        """Hear what the run says."""
        match what["kind"]:
            case "clock":
                self._tell_run("clock", asked_us=what["asked_us"], here_us=self._clock.now_us())
            case "order":
                self._begin(what)
            case "made":
                if self._station is not None:
                    self._station.take_made(what["pool"], key_of(what["key"]))
            case "end":
                self._ending = asyncio.create_task(self._end())

    def _begin(self, what: Mapping[str, Any]) -> None:
        try:
            order = StationOrder.read(what)
            project = find_project(self._folder)
            system = Registry(project).find(order.system_name)
            system = system.of({name: system.operations[name] for name in order.operations})
            origin = find_origin(order.over, project, place="--host")
            server = server_of(origin, system)
        except AuditError as error:
            self._tell_run("failed", error=str(error), hint=error.hint)
            return
        clock = Clock(self._clock.offset_ns - order.ahead_us * 1000)
        workload = Workload(system, order.profile, None, order.seed)
        self._station = Station(order, workload, server, clock, self._tell_run)
        self._messages.tell("ready")

    async def _end(self) -> None:
        if self._station is not None:
            await self._station.end()
        self._tell_run("ended")
        self._over.set()

    def _returned(self, user: int, operation: str, returned: Returned, ms: float) -> None:
        self._messages.tell(
            "returned", user=user, operation=operation, outcome=str(returned.outcome), error=returned.error, ms=ms
        )

    def _tell_run(self, kind: str, **what: Any) -> None:
        self._messages.tell("tell", what={"kind": kind, **what})


def main() -> None:
    """Run the station whose worker has the other end of the open socket that is named last."""
    folder, number = sys.argv[1:]
    asyncio.run(StationProcess(Path(folder)).run(socket.socket(fileno=int(number))))


if __name__ == "__main__":
    main()
