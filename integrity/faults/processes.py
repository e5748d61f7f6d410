"""The processes of a server that is ours: a postmaster and its children, by their pids and never by name."""

import os
import signal
from contextlib import suppress
from pathlib import Path

from integrity.engines.embedded.server import EmbeddedServer
from integrity.errors import EmbeddedError, UsageError
from integrity.faults.fault import Given
from integrity.faults.scene import Scene
from integrity.typed import typed

PROCESSES = Path("/proc")


def check_processes(scene: Scene, given: Given) -> None:
    """Raise UsageError where the processes of a server cannot be seen."""
    del scene, given
    if not PROCESSES.joinpath("self", "stat").exists():
        raise UsageError(
            "faults on the server's processes need /proc, as Linux has it",
            hint="Use backend_terminated or connection_reset, which need none.",
        )


def postmaster_of(server: EmbeddedServer) -> int:
    """Return the pid of the server's postmaster.

    Raises:
        EmbeddedError: it does not run.
    """
    pid = server.status().pid
    if pid is None:
        raise EmbeddedError(f"{server.home}: the embedded server does not run", hint=f"Start it: {typed('db start')}")
    return pid


def children_of(parent: int) -> list[int]:
    """Return the pids of the living children of a process."""
    found = []
    for entry in PROCESSES.glob("[0-9]*/stat"):
        with suppress(OSError):  # it ended meanwhile
            # The name, in parentheses, may hold anything; after it come the state and the parent.
            if int(entry.read_text(errors="replace").rpartition(")")[2].split()[1]) == parent:
                found.append(int(entry.parent.name))
    return found


def kill_family(postmaster: int) -> int:
    """Kill (-9) a postmaster and then its children; return how many processes those were."""
    family = [postmaster, *children_of(postmaster)]
    for pid in family:
        with suppress(ProcessLookupError):  # a child that ended by itself
            os.kill(pid, signal.SIGKILL)
    return len(family)
