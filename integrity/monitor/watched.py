"""What of an application is watched beside a database: its processes and its logs, as whoever starts a watch names them."""

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from stat import S_ISREG

from integrity.errors import UsageError
from integrity.monitor.logs import LogWatch
from integrity.monitor.processes import OWN, SERVER, KnownProcess, Process, parse_process
from integrity.monitor.redis import check_redis
from integrity.monitor.scraping import MetricsSource


@dataclass(frozen=True, slots=True)
class WatchedApplication:
    """Processes that limits on applications are held against, and files that its logs are written to.

    Args:
        known: the processes as they were when they were named, or as the last watch left them.
        metrics: that it tells of itself; None: nobody asks.
        redis: the URL of one that it uses; empty: none.
        open_logs: those that one watch after the other reads on; None: each watch opens them for itself.
    """

    processes: Sequence[Process] = ()
    logs: Sequence[Path] = ()
    known: dict[str, KnownProcess] = field(default_factory=dict, compare=False, repr=False)
    open_logs: Sequence[LogWatch] | None = field(default=None, compare=False, repr=False)
    metrics: MetricsSource | None = None
    redis: str = field(default="", repr=False)

    @property
    def is_empty(self) -> bool:
        return not self.processes and not self.logs and self.metrics is None and not self.redis

    def beside(self, found: Process | None, metrics: MetricsSource | None) -> "WatchedApplication":
        """Return it with a process that was found, unless it was named, and metrics, unless others were.

        What is known of the process is kept for the watches that follow.
        """
        is_new = found is not None and all(found.pid != each.pid and found.name != each.name for each in self.processes)
        processes = (*self.processes, found) if found is not None and is_new else tuple(self.processes)
        return replace(self, processes=processes, metrics=self.metrics or metrics)

    @contextmanager
    def over_runs(self) -> "Iterator[WatchedApplication]":
        """Yield it for several watches, one after the other: what happens between two is told by the second."""
        with ExitStack() as stack:
            opened = [_open_log(log) for log in self.logs]
            for log in opened:
                stack.callback(log.close)
            yield replace(self, open_logs=opened)


NOTHING_WATCHED = WatchedApplication()


def read_watched(
    processes: Sequence[str],
    logs: Sequence[Path] = (),
    metrics: MetricsSource | None = None,
    redis: str | None = None,
) -> WatchedApplication:
    """Return what is to be watched.

    Args:
        processes: PID or NAME=PID.
        logs: a file that is named twice is watched once.
        metrics: that it tells of itself.
        redis: its URL.

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
    known = {process.name: KnownProcess.of(process) for process in watched}
    used = check_redis(redis, place="--redis") if redis is not None else ""
    return WatchedApplication(watched, tuple(dict.fromkeys(logs)), known, metrics=metrics, redis=used)


def _open_log(log: Path) -> LogWatch:
    _check_log(log)
    return LogWatch(log)


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
