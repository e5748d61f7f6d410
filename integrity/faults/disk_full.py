"""The disk is full: a table's file cannot grow any more."""

import asyncio
import resource
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

from integrity.errors import UsageError
from integrity.faults.fault import KEPT, MONEY, Fault, Given, Need
from integrity.faults.processes import children_of, postmaster_of
from integrity.faults.scene import Scene
from integrity.typed import typed

FILE_BYTES_MOST = 2**30  # PostgreSQL begins another file then

LARGEST = """
    select schemas.nspname, tables.relname, pg_relation_size(tables.oid),
        (select setting::bigint from pg_settings where name = 'wal_segment_size')
    from pg_class as tables
    join pg_namespace as schemas on schemas.oid = tables.relnamespace
    where schemas.nspname = any (%s) and tables.relkind = 'r'
    order by 3 desc
    limit 1
"""


@asynccontextmanager
async def inject(scene: Scene, given: Given) -> AsyncIterator[None]:
    """Limit the size of files to that of the largest table, for the server's processes, which report it as they report a
    full disk. What is smaller still grows, and the write-ahead log, in files of a fixed and smaller size, goes on: a server
    that cannot write that ends itself, and that is what server_killed is for.
    """
    del given
    _, name, size, _ = (await scene.ask_soon(LARGEST, (list(scene.system.schemas),)))[0]
    postmaster = postmaster_of(scene.own_server)
    before = await asyncio.to_thread(_limit, postmaster, size)
    scene.counts[f"files limited to the {size / 2**20:.0f} MB of {name}"] += 1
    try:
        yield
    finally:
        await asyncio.to_thread(_limit, postmaster, before)


def _limit(postmaster: int, size: int) -> int:
    """Set the limit, which new children inherit; return the postmaster's before."""
    assert sys.platform == "linux"
    before, hard = resource.prlimit(postmaster, resource.RLIMIT_FSIZE)
    for pid in (postmaster, *children_of(postmaster)):
        with suppress(ProcessLookupError):  # it ended meanwhile
            resource.prlimit(pid, resource.RLIMIT_FSIZE, (size, hard))
    return before


def check(scene: Scene, given: Given) -> None:
    """Raise UsageError where it cannot be done without harm."""
    del given
    if sys.platform != "linux":
        raise UsageError("fault disk_full: needs Linux, where the limits of a running process can be set")
    schema, name, size, segment = scene.ask(LARGEST, (list(scene.system.schemas),))[0]
    if not segment < size < FILE_BYTES_MOST:
        raise UsageError(
            f"fault disk_full: it stops the largest table from growing, and {schema}.{name} has "
            f"{size / 2**20:.1f} MB; it must have less than 1 GB and more than a segment of the write-ahead log "
            f"({segment / 2**20:.0f} MB), or that would be stopped too and the server would end itself",
            hint=f"Seed a larger world: {typed(f'seed --system {scene.system.name} --replace')}, with larger numbers.",
        )
    postmaster = postmaster_of(scene.own_server)
    try:
        resource.prlimit(postmaster, resource.RLIMIT_FSIZE)
    except PermissionError:
        raise UsageError(
            f"fault disk_full: the limits of the server's process {postmaster} may not be set by this user",
            hint="Run as the user that the server runs under.",
        ) from None


FAULT = Fault(
    name="disk_full",
    title="the largest table cannot grow any more, as on a full disk",
    question="Is an operation that could not write everything rolled back whole, and reported as failed?",
    invariants=(*KEPT, *MONEY),
    inject=inject,
    needs=frozenset({Need.EMBEDDED}),
    check=check,
)
