"""What of an application is watched beside a database: its processes and its logs, as whoever starts a watch names them."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from stat import S_ISREG

from integrity.errors import UsageError
from integrity.monitor.processes import OWN, SERVER, Process, parse_process


@dataclass(frozen=True, slots=True)
class WatchedApplication:
    """Processes that limits on applications are held against, and files that its logs are written to."""

    processes: Sequence[Process] = ()
    logs: Sequence[Path] = ()

    @property
    def is_empty(self) -> bool:
        return not self.processes and not self.logs


NOTHING_WATCHED = WatchedApplication()


def read_watched(processes: Sequence[str], logs: Sequence[Path] = ()) -> WatchedApplication:
    """Return what is to be watched.

    Args:
        processes: PID or NAME=PID.
        logs: a file that is named twice is watched once.

    Raises:
        UsageError: there is no such process or file, it cannot be read, or two processes have one name.
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
    for log in logs:
        _check_log(log)
    return WatchedApplication(watched, tuple(dict.fromkeys(logs)))


def _check_log(log: Path) -> None:
    try:
        mode = log.stat().st_mode
        is_file = S_ISREG(mode)
        if is_file:
            log.open("rb").close()
    except FileNotFoundError:
        raise UsageError(
            f"--log {log}: there is no such file", hint="Start the application first, or name its log."
        ) from None
    except OSError as error:
        raise UsageError(f"--log {log}: cannot be read: {error.strerror}", hint="Name a file that you may read.") from None
    if not is_file:
        raise UsageError(f"--log {log}: it is no file that lines are added to", hint="Let it log to a file, and name that.")
