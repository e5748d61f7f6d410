"""What of an application is watched beside a database: its processes, as whoever starts a watch names them."""

from collections.abc import Sequence
from dataclasses import dataclass

from integrity.errors import UsageError
from integrity.monitor.processes import OWN, SERVER, Process, parse_process


@dataclass(frozen=True, slots=True)
class WatchedApplication:
    """Processes that limits on applications are held against."""

    processes: Sequence[Process] = ()

    @property
    def is_empty(self) -> bool:
        return not self.processes


NOTHING_WATCHED = WatchedApplication()


def read_watched(processes: Sequence[str]) -> WatchedApplication:
    """Return what is to be watched.

    Args:
        processes: PID or NAME=PID.

    Raises:
        UsageError: there is no such process, or two have one name.
    """
    watched = [parse_process(text) for text in processes]
    taken = {OWN, SERVER}
    for process in watched:
        if process.name in taken:
            raise UsageError(
                f"--process {process.name}={process.pid}: there is another process of that name",
                hint=f"Give it a name of its own, e.g. --process app{process.pid}={process.pid}.",
            )
        taken.add(process.name)
    return WatchedApplication(watched)
