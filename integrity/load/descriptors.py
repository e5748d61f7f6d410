"""Descriptors: each connection of a run is an open file of this process, and the system bounds how many there may be."""

import contextlib
from pathlib import Path

from integrity.errors import UsageError
from integrity.numbers import counted

try:
    import resource
except ImportError:  # Windows, which has no such bound
    resource = None  # type: ignore[assignment]

OTHERS = 64
"""Beside the connections of its clients: the run's folder, its monitor, libraries, what else a process opens."""


def make_room(connections: int, *, processes: int = 1) -> None:
    """Raise this process's bound on open files to what the system allows it, and see that connections fit.

    Args:
        processes: that share them, each with the bound of this one, which starts them.

    Raises:
        UsageError: they do not.
    """
    if resource is None:
        return
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft < hard or soft == resource.RLIM_INFINITY:
        with contextlib.suppress(OSError, ValueError):  # a sandbox may forbid it: the bound stays then, and is judged
            resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
            soft = hard
    if soft == resource.RLIM_INFINITY:
        return
    free = soft - _open_count() - OTHERS
    most = -(-connections // processes)
    if most > free:
        of_each = f", {most:,} in each of {processes} processes" if processes > 1 else ""
        raise UsageError(
            f"{counted(connections, 'connection is', 'connections are')} asked for{of_each}, and this process may open "
            f"{counted(max(0, free), 'more file')} "
            f"({soft:,} in all, {OTHERS} kept for others)",
            hint=f"Allow it more: ulimit -n {most + _open_count() + OTHERS}; or ask for fewer connections.",
        )


def _open_count() -> int:
    try:
        return len(list(Path("/proc/self/fd").iterdir()))
    except OSError:  # no Linux: standard input and output, and a few more
        return 16
