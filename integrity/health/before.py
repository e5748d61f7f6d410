"""Health before a run: is the target there, is it what it should be, and would what a run says of it be worth anything?"""

import shutil
import time
from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from ipaddress import ip_address
from pathlib import Path
from typing import Any

import psycopg

from integrity.database.contents import Contents
from integrity.database.namespace import inspect_database
from integrity.engines.refusals import LOCKED
from integrity.engines.target import Target
from integrity.engines.transaction import refusal
from integrity.errors import DatabaseError
from integrity.health.btree import check_structure
from integrity.health.check import HealthCheck, failed, ok, some, unreachable, warning
from integrity.health.constraints import check_constraints
from integrity.health.pooler import check_pooler
from integrity.health.server import Server, open_server
from integrity.health.systems import SystemNeeds, check_system
from integrity.monitor.database import DatabaseWatch
from integrity.systems.system import System
from integrity.typed import typed

FREE_BYTES_WARN = 2_000_000_000
FREE_BYTES_LEAST = 256_000_000
CLOCK_S_WARN = 0.5
CLOCK_S_MOST = 60.0
VERSION_TESTED = 18
ROWS_WORTH_AN_INDEX = 10_000

Needs = Mapping[str, SystemNeeds]
"""By system."""


def check_before(
    target: Target, systems: Sequence[System], needs: Needs, *, is_required: bool, test_database: str | None = None
) -> list[HealthCheck]:
    """Return what a run would want to know of the target.

    Args:
        systems: to look for; those that are not there are passed over.
        needs: system -> profile -> the connections that it asks for.
        is_required: a system that is not there is a failure: it was asked for by name.
        test_database: the name of the database that is declared to be a test database, as guard takes it.
    """
    contents = partial(_check_contents, target, systems, needs, is_required=is_required, test_database=test_database)
    try:
        if not target.engine.has_server:
            return [*_check_file(target), *contents(None)]
        with open_server(target) as server:
            facts = server.ask("server")[0]
            return [
                ok("reachable", f"{target} answered in {server.answer_ms:.0f} ms"),
                *_check_server(facts),
                *_check_clock(server),
                *_check_disk(facts),
                check_pooler(target, server, facts),
                *check_constraints(server),
                *_check_indexes(server),
                *check_structure(server),
                _check_monitoring(target),
                *_as_far_as_it_may(contents(facts)),
            ]
    except psycopg.Error as error:
        return [unreachable(refusal(target, error))]
    except DatabaseError as error:
        return [unreachable(error)]


def _check_server(facts: Mapping[str, Any]) -> Iterator[HealthCheck]:
    version = facts["version"].split()[0]
    if facts["version_major"] > VERSION_TESTED:
        yield warning("version", f"PostgreSQL {version}, newer than what was tested", f"Tested up to {VERSION_TESTED}.")
    else:
        yield ok("version", f"PostgreSQL {version}")
    if facts["is_standby"]:
        yield ok("rights", "a standby: it can be audited; seeding and runs need the primary")
    elif facts["is_read_only"]:
        yield ok("rights", "this role's transactions are read only: it can audit; seeding and runs need another")
    elif not facts["may_create"]:
        yield ok("rights", "this role may not create schemas here: it can audit; seeding needs `grant create on database`")
    elif not facts["can_see_all"]:
        yield warning(
            "rights", "this role may create schemas, and not see other roles' sessions", "grant pg_read_all_stats"
        )
    else:
        yield ok("rights", "this role may create schemas and see all sessions")
    lost = [name for name in ("synchronous_commit", "fsync", "full_page_writes") if facts[name] == "off"]
    if lost:
        said = ", ".join(f"{name} is off" for name in lost)
        yield warning(
            "durability", f"{said}: what was acknowledged can be lost in a crash", "Switch it on before judging crashes."
        )
    else:
        yield ok("durability", f"synchronous_commit is {facts['synchronous_commit']}, fsync is on")


def _check_clock(server: Server) -> Iterator[HealthCheck]:
    ahead_s, exact_s = server.measure_clock()
    side = "ahead of" if ahead_s > 0 else "behind"
    said = f"the server's is {abs(ahead_s) * 1000:.1f} ms {side} ours, ± {exact_s * 1000:.1f} ms"
    hint = "Let both keep time by NTP: rows have the server's times and calls have ours."
    if abs(ahead_s) - exact_s > CLOCK_S_MOST:
        yield failed("clock", said, hint)
    elif abs(ahead_s) - exact_s > CLOCK_S_WARN:
        yield warning("clock", said, hint)
    else:
        yield ok("clock", said)


def _check_disk(facts: Mapping[str, Any]) -> Iterator[HealthCheck]:
    address, folder = facts["address"], facts["data_folder"]
    is_local = address is None or ip_address(address).is_loopback
    # A server in a container may be reached by loopback, too: its folder is not one of ours then.
    if is_local and folder is not None and Path(folder, "PG_VERSION").exists():
        yield from _free_disk(Path(folder), facts["size_bytes"])


def _free_disk(folder: Path, size_bytes: int) -> Iterator[HealthCheck]:
    free_bytes = shutil.disk_usage(folder).free
    said = f"{free_bytes / 1e9:.1f} GB free, the database has {size_bytes / 1e9:.2f} GB"
    if free_bytes < FREE_BYTES_LEAST:
        yield failed("free disk", said, f"Make room on the disk of {folder}.")
    elif free_bytes < max(FREE_BYTES_WARN, size_bytes):
        yield warning("free disk", said, f"Make room on the disk of {folder}: a long run doubles what is there.")
    else:
        yield ok("free disk", said)


def _check_indexes(server: Server) -> Iterator[HealthCheck]:
    broken = [row["index_name"] for row in server.ask("invalid-indexes")]
    if broken:
        yield failed(
            "valid indexes", f"{len(broken)} not valid: {some(broken)}", "reindex index concurrently …, or drop it"
        )
    else:
        yield ok("valid indexes", "all of them")
    bare = server.ask("foreign-keys-without-index")
    large = [
        f"{row['table_name']} ({row['constraint_name']})" for row in bare if row["rows_estimate"] >= ROWS_WORTH_AN_INDEX
    ]
    if large:
        said = f"{len(large)} without an index on {ROWS_WORTH_AN_INDEX:,} rows or more: {some(large)}"
        yield warning("foreign keys", said, "Index them if their parents are ever deleted or joined from.")
    else:
        few = f"; {len(bare)} on small tables have none" if bare else ""
        yield ok("foreign keys", f"each on a large table has its index{few}")


def _check_monitoring(target: Target) -> HealthCheck:
    watch = DatabaseWatch(target)
    watch.sample(is_full=True)  # the first reads the queries' files, too
    sample = watch.sample(is_full=True)
    watch.close()
    if "error" in sample:
        return warning("monitoring", f"no sample: {sample['error']}", f"{typed('monitor')} says more.")
    unseen = f"; not seen: {'; '.join(watch.notes)}" if watch.notes else ""
    return ok("monitoring", f"a full sample takes {sample['took_ms']:.0f} ms{unseen}")


def _check_file(target: Target) -> Iterator[HealthCheck]:
    began = time.perf_counter()
    target.require()
    with target.open_line(is_read_only=True):
        yield ok("reachable", f"{target} opened in {(time.perf_counter() - began) * 1000:.0f} ms")
    yield ok("version", target.engine.read_server(target).version)
    yield from _free_disk(target.file.absolute().parent, target.file.stat().st_size)


def _as_far_as_it_may(checks: Iterator[HealthCheck]) -> Iterator[HealthCheck]:
    """Yield the checks up to what the role may not read, and what that is."""
    try:
        yield from checks
    except DatabaseError as error:
        reason = error.message.partition(" LINE ")[0]
        rights = "Let it: grant usage on the schema, and select on its tables."
        hint = f"{LOCKED if error.hint == LOCKED else rights} What needs them is unknown in an audit till then."
        yield warning("contents", f"not looked at further: {reason}", hint)


def _check_contents(
    target: Target,
    systems: Sequence[System],
    needs: Needs,
    facts: Mapping[str, Any] | None,
    *,
    is_required: bool,
    test_database: str | None,
) -> Iterator[HealthCheck]:
    contents = inspect_database(target)
    here = [system for system in systems if f"seed:{system.name}" in contents.notes or contents.of_others(system)]
    for system in systems:
        if is_required and system not in here:
            hint = f"{typed(f'seed --system {system.name}')}" if system.seeder else "Make its tables: it has no seeder."
            yield failed(system.name, "it was not seeded here", hint)
    if not here and not is_required:
        yield warning(
            "seeded",
            "no system of ours is here",
            f"{typed('seed')}, or audit your own with {typed('validate')}",
        )
    if contents.foreign:
        yield _check_others(contents, test_database)
    for system in here:
        yield from check_system(target, system, contents, needs.get(system.name, {}), facts)


def _check_others(contents: Contents, test_database: str | None) -> HealthCheck:
    """Say whether what others made is in the way: not where its owner has declared the database."""
    found = f"{len(contents.foreign)} that we did not make: {some(contents.foreign, most=3)}"
    if contents.name == test_database:
        return ok("other tables", f"{found}; {contents.name!r} is declared a test database")
    named = f"it names {test_database!r}, and this is {contents.name!r}" if test_database else f"it is {contents.name!r}"
    return warning(
        "other tables",
        found,
        f"Nothing is seeded or run beside them, unless [database] test or --yes-this-is-a-test-database names it: {named}.",
    )
