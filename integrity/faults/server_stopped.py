"""The server stands still, as on a machine that is moved or swaps, and then goes on as if nothing had been."""

import asyncio
import subprocess
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from integrity.faults.fault import KEPT, MONEY, Fault, Given, Need, Number, number
from integrity.faults.processes import check_processes, children_of, postmaster_of
from integrity.faults.scene import Scene

# Stopped by a shell that lets them go on when its input ends: with the window, or when we die before that.
STOP = "kill -STOP $*; echo; read -r _; kill -CONT $*"


@asynccontextmanager
async def inject(scene: Scene, given: Given) -> AsyncIterator[None]:
    """Stop every process of the server, and let them go on."""
    patience_s = number(given, "patience_s")
    with scene.conduct.changed(is_down=True, patience_s=patience_s or None):
        guard = await asyncio.to_thread(lambda: stop_family(postmaster_of(scene.own_server)))
        scene.counts["servers stopped"] += 1
        try:
            yield
        finally:
            await asyncio.to_thread(guard.communicate)


def stop_family(postmaster: int) -> "subprocess.Popen[bytes]":
    """Stop a postmaster and its children; return the shell that lets them go on when its input ends."""
    pids = [str(pid) for pid in (postmaster, *children_of(postmaster))]
    guard = subprocess.Popen(  # noqa: S603  a fixed script, with numbers for arguments
        ["/bin/sh", "-c", STOP, "sh", *pids], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
    )
    assert guard.stdout is not None
    guard.stdout.readline()
    return guard


FAULT = Fault(
    name="server_stopped",
    title="all processes of the server are stopped (SIGSTOP) and later go on",
    question="Is what a client gave up waiting for counted once, when the server wakes up and finishes it?",
    invariants=(*KEPT, *MONEY),
    inject=inject,
    needs=frozenset({Need.EMBEDDED}),
    arguments={"patience_s": Number("seconds after which a client gives up and hangs up; 0: it waits", 0.3, 0.0, 3600.0)},
    check=check_processes,
)
