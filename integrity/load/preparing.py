"""Preparing a run: is the database fit to be hammered, and which keys may its calls name."""

from collections.abc import Mapping

from integrity.database.constraints import plant, restore
from integrity.database.names import located
from integrity.database.namespace import Contents, guard, keep_books
from integrity.domain import Key, KeyOf
from integrity.engines.server_facts import ServerFacts
from integrity.engines.snapshot import QueryFailed
from integrity.engines.target import Target
from integrity.engines.transaction import refusal
from integrity.errors import SeedError, UsageError
from integrity.load.profile import OpenProfile, Profile
from integrity.monitor.limits import SPARE_CONNECTIONS
from integrity.numbers import counted
from integrity.systems.system import Bug, System

TIMEOUT_S = 300


def prepare(system: System, profile: Profile, target: Target, bug: Bug | None, test_database: str | None) -> ServerFacts:
    """Return the server's facts when the run may begin; the bug is planted then, or the sound schema whole again.

    Raises:
        UnsafeDatabase: it holds tables that we did not make.
        SeedError: the system is not there, or a bug has broken its data.
        UsageError: more connections than the server takes, or a bug that would alter tables that we did not make.
    """
    contents = guard(target, test_database)
    is_seeded = f"seed:{system.name}" in contents.notes
    if not is_seeded:
        _check_tables(system, target, contents)
    if bug is not None and bug.dropped and not is_seeded:
        raise UsageError(
            f"{target}: bug {bug.name} leaves out {', '.join(bug.dropped)}, and the tables of {system.name} are not ours",
            hint="Nothing that somebody made is altered: run it where integrity seed has made them.",
        )
    facts = target.engine.read_server(target)
    _check_room(target, profile, facts)
    if not is_seeded:
        keep_books(target, system)
    elif bug is not None:
        plant(target, system, bug.dropped, bug=bug.name)
    else:
        restore(target, system)
    return facts


def _check_tables(system: System, target: Target, contents: Contents) -> None:
    """Refuse a system that was not seeded, unless somebody else made all its tables."""
    missing = [located(table, "") for table in system.metadata.sorted_tables if not contents.has(table)]
    if contents.of_others(system) and missing:
        raise SeedError(
            f"{target}: tables of {system.name} are missing: {', '.join(missing)}",
            hint="Make them as you made the others; the system's metadata says which it has.",
        )
    if not contents.of_others(system):
        made = f"integrity seed --system {system.name}" if system.seeder else "it has no seeder, so by its own means"
        raise SeedError(f"{target}: there is no data of {system.name} to run on", hint=f"Make it first: {made}")


def _check_room(target: Target, profile: Profile, facts: ServerFacts) -> None:
    if facts.slots is None:
        return
    free = facts.slots - facts.used - SPARE_CONNECTIONS
    if profile.connection_count > free:
        option = "--connections" if isinstance(profile, OpenProfile) else "--clients"
        asked = counted(profile.connection_count, "connection is", "connections are")
        raise UsageError(
            f"{asked} asked for, and {target} has {max(free, 0)} to give "
            f"({facts.slots} in all, {facts.used} in use, {SPARE_CONNECTIONS} kept free)",
            hint=f"Ask for fewer with {option}, or raise the server's max_connections.",
        )


def read_keys(system: System, profile: Profile, target: Target) -> dict[str, list[Key]]:
    """Return the system's pools of keys, as the database holds them now.

    Raises:
        SeedError: a pool is empty that the profile's calls draw from, or a stream stands at a door that is not there.
    """
    spelled = target.engine.spelling.statement
    questions = {pool: spelled(query) for pool, query in system.pools.items()}
    with target.open_snapshot(connections=1, timeout_s=TIMEOUT_S) as snapshot:
        read = snapshot.sessions[0].read
        try:
            keys = {pool: [next(iter(row.values())) for row in read(query)] for pool, query in questions.items()}
        except QueryFailed as failed:
            raise refusal(target, Exception(failed.reason)) from None
    needed = _needed_keys(system, profile)
    for pool, count in needed.items():
        if len(keys.get(pool, ())) < count:
            raise SeedError(
                f"{target}: the profile needs {count} of {system.name}'s {pool}, and there are {len(keys.get(pool, ()))}",
                hint=f"Seed a whole world: integrity seed --system {system.name} --replace",
            )
    return keys


def _needed_keys(system: System, profile: Profile) -> dict[str, int]:
    """Return how many keys of each pool there must be: one to draw, and each that a stream is pinned to."""
    needed: dict[str, int] = {}
    pins: list[tuple[str, Mapping[str, int]]] = [(operation, {}) for operation in profile.operations]
    if isinstance(profile, OpenProfile):
        needed = dict.fromkeys(profile.own, 1)
        pins += [(operation, stream.pin) for stream in profile.streams for operation in stream.operations]
    for operation, pin in pins:
        for argument, domain in system.operations[operation].arguments.items():
            if isinstance(domain, KeyOf):
                needed[domain.pool] = max(needed.get(domain.pool, 1), pin.get(argument, 1))
    return needed
