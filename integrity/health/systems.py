"""Health of a system in a database: its tables, what is declared of them, its rows, and room for its profiles."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from integrity.database.constraints import find_missing
from integrity.database.misfits import find_misfits
from integrity.database.names import name_of
from integrity.database.namespace import Contents, count_rows
from integrity.engines.places import schema_of
from integrity.engines.target import Target
from integrity.health.check import HealthCheck, failed, ok, some, warning
from integrity.monitor.limits import SPARE_CONNECTIONS
from integrity.numbers import counted
from integrity.systems.keys import read_keys
from integrity.systems.system import System
from integrity.typed import typed


@dataclass(frozen=True, slots=True)
class ProfileNeeds:
    """What a run of a profile asks of a database.

    Args:
        keys: pool -> how many keys there must be to draw from.
    """

    connections: int
    keys: Mapping[str, int] = field(default_factory=dict)


SystemNeeds = Mapping[str, ProfileNeeds]
"""By profile."""


def check_system(
    target: Target, system: System, contents: Contents, needs: SystemNeeds, facts: Mapping[str, Any] | None
) -> Iterator[HealthCheck]:
    """Yield the checks of a system that is in the database.

    Args:
        facts: of the server; None: there is none.
    """
    yield from _check_schema(target, system, contents, needs)
    yield from _check_rows(target, system, contents)
    yield from _check_keys(target, system, contents, needs)
    if facts is not None:
        yield _check_connections(system, needs, facts)


def _check_schema(target: Target, system: System, contents: Contents, needs: SystemNeeds) -> Iterator[HealthCheck]:
    expected = system.metadata.sorted_tables
    gone = [name_of(table) for table in expected if not contents.has(table)]
    is_ours = f"seed:{system.name}" in contents.notes
    name = f"{system.name}: tables"
    if gone:
        hint = _seed_anew(system) if is_ours else "Make them, too."
        yield failed(name, f"{len(gone)} of {len(expected)} are missing: {some(gone)}", hint)
        return
    yield ok(name, f"all {len(expected)}")
    yield _check_declared(target, system, contents, next(iter(needs), "PROFILE"))


def _check_declared(target: Target, system: System, contents: Contents, profile_name: str) -> HealthCheck:
    """Return whether all is there that is declared of the tables; what is missing, a run makes again where it can."""
    name = f"{system.name}: indexes"
    missing = find_missing(target, system.metadata)
    if not missing:
        return ok(name, "every constraint and index of the schema")
    bug = contents.notes.get(f"bug:{system.name}")
    why = f", as bug {bug} leaves them out" if bug else ""
    many = counted(len(missing), "constraint or index is", "constraints or indexes are")
    found = f"{many} missing{why}: {some(missing)}"
    if f"seed:{system.name}" not in contents.notes:
        hint = "The system declares them; races have them, and what is said of races holds with them only."
        return warning(name, found, hint)
    misfits = find_misfits(target, system.metadata, missing)
    if misfits:
        said = f"{found}; rows that came in meanwhile do not allow {some(misfits)} any more, so no sound run can begin"
        return failed(name, said, _seed_anew(system))
    hint = f"{typed(f'run {profile_name} --system {system.name}')}, without --bug, makes them again."
    return (warning if bug else failed)(name, found, hint)


def _check_rows(target: Target, system: System, contents: Contents) -> Iterator[HealthCheck]:
    """Runs add rows and take none away: fewer than were seeded are too few."""
    tables = {table.name: table for table in system.metadata.sorted_tables if contents.has(table)}
    noted = {
        tables[size.name]: int(contents.notes[f"{size.name}:{system.name}"])
        for size in (system.seeder.sizes if system.seeder else ())
        if size.name in tables and f"{size.name}:{system.name}" in contents.notes
    }
    counts = {table.name: count_rows(target, schema_of(table), [table.name])[table.name] for table in noted}
    few = [f"{counts[table.name]:,} {table.name} of {most:,}" for table, most in noted.items() if counts[table.name] < most]
    if few:
        hint = _seed_anew(system)
        yield failed(f"{system.name}: rows", f"fewer than were seeded: {some(few)}", hint)
    elif counts:
        yield ok(f"{system.name}: rows", ", ".join(f"{count:,} {name}" for name, count in counts.items()))


def _check_keys(target: Target, system: System, contents: Contents, needs: SystemNeeds) -> Iterator[HealthCheck]:
    """Say what a run could not draw from: it draws from keys that are there when it begins. Enough of them is no news."""
    is_whole = all(contents.has(table) for table in system.metadata.sorted_tables)
    if not is_whole or not any(asked.keys for asked in needs.values()):
        return
    pools = read_keys(target, system)
    short: dict[str, list[str]] = {}
    for profile, asked in needs.items():
        for pool, count in asked.keys.items():
            if len(pools.get(pool, ())) < count:
                short.setdefault(f"{len(pools.get(pool, ()))} {pool}", []).append(profile)
    if short:
        said = "; ".join(f"{pool}, too few for {some(profiles)}" for pool, profiles in short.items())
        concerned = {profile for profiles in short.values() for profile in profiles}
        state = failed if len(concerned) == len(needs) else warning
        yield state(f"{system.name}: keys", said, _seed_anew(system))


def _seed_anew(system: System) -> str:
    return f"Make the data anew: {typed(f'seed --system {system.name} --replace')}"


def _check_connections(system: System, needs: SystemNeeds, facts: Mapping[str, Any]) -> HealthCheck:
    free = facts["slots"] - facts["slots_used"] - SPARE_CONNECTIONS
    name = f"{system.name}: connections"
    said = f"{free} to give ({facts['slots']} in all, {facts['slots_used']} in use, {SPARE_CONNECTIONS} kept free)"
    asked_for = {profile: asked.connections for profile, asked in sorted(needs.items())}
    short = {profile: count for profile, count in asked_for.items() if count > free}
    if needs and len(short) == len(needs):
        return failed(name, f"{said}, too few for any profile", "Raise the server's max_connections.")
    if short:
        asked = some([f"{profile} asks for {count}" for profile, count in short.items()])
        return warning(name, f"{said}; {asked}", "Raise max_connections, or ask for fewer with --connections or --clients.")
    return ok(name, f"{said}; no profile asks for more than {max(asked_for.values(), default=0)}")
