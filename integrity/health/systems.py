"""Health of a system in a database: its tables, what is declared of them, its rows, and room for its profiles."""

from collections.abc import Iterator, Mapping
from typing import Any

from integrity.database.constraints import find_missing
from integrity.database.names import name_of
from integrity.database.namespace import Contents, count_rows
from integrity.engines.places import schema_of
from integrity.engines.target import Target
from integrity.health.check import HealthCheck, failed, ok, some, warning
from integrity.monitor.limits import SPARE_CONNECTIONS
from integrity.numbers import counted
from integrity.systems.system import System

SystemNeeds = Mapping[str, int]
"""Profile -> the connections that it asks for."""


def check_system(
    target: Target, system: System, contents: Contents, needs: SystemNeeds, facts: Mapping[str, Any] | None
) -> Iterator[HealthCheck]:
    """Yield the checks of a system that is in the database.

    Args:
        facts: of the server; None: there is none.
    """
    yield from _check_schema(target, system, contents)
    yield from _check_rows(target, system, contents)
    if facts is not None:
        yield _check_connections(system, needs, facts)


def _check_schema(target: Target, system: System, contents: Contents) -> Iterator[HealthCheck]:
    expected = system.metadata.sorted_tables
    gone = [name_of(table) for table in expected if not contents.has(table)]
    is_ours = f"seed:{system.name}" in contents.notes
    name = f"{system.name}: tables"
    if gone:
        hint = f"Make them anew: integrity seed --system {system.name} --replace" if is_ours else "Make them, too."
        yield failed(name, f"{len(gone)} of {len(expected)} are missing: {some(gone)}", hint)
        return
    yield ok(name, f"all {len(expected)}")
    missing = find_missing(target, system.metadata)
    if missing:
        bug = contents.notes.get(f"bug:{system.name}")
        why = f", as bug {bug} leaves them out" if bug else ""
        hint = (
            f"integrity run --system {system.name} without --bug makes them again."
            if is_ours
            else "The system declares them; races have them, and what is said of races holds with them only."
        )
        state = warning if bug or not is_ours else failed
        many = counted(len(missing), "constraint or index is", "constraints or indexes are")
        yield state(
            f"{system.name}: indexes",
            f"{many} missing{why}: {some(missing)}",
            hint,
        )
    else:
        yield ok(f"{system.name}: indexes", "every constraint and index of the schema")


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
        hint = f"Make them anew: integrity seed --system {system.name} --replace"
        yield failed(f"{system.name}: rows", f"fewer than were seeded: {some(few)}", hint)
    elif counts:
        yield ok(f"{system.name}: rows", ", ".join(f"{count:,} {name}" for name, count in counts.items()))


def _check_connections(system: System, needs: SystemNeeds, facts: Mapping[str, Any]) -> HealthCheck:
    free = facts["slots"] - facts["slots_used"] - SPARE_CONNECTIONS
    name = f"{system.name}: connections"
    said = f"{free} to give ({facts['slots']} in all, {facts['slots_used']} in use, {SPARE_CONNECTIONS} kept free)"
    short = {profile: count for profile, count in sorted(needs.items()) if count > free}
    if needs and len(short) == len(needs):
        return failed(name, f"{said}, too few for any profile", "Raise the server's max_connections.")
    if short:
        asked = some([f"{profile} asks for {count}" for profile, count in short.items()])
        return warning(name, f"{said}; {asked}", "Raise max_connections, or ask for fewer with --connections or --clients.")
    return ok(name, f"{said}; no profile asks for more than {max(needs.values(), default=0)}")
