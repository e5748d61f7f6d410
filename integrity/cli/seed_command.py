"""`integrity seed`: fill the database with a consistent world."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from integrity.cli.number_types import Integer
from integrity.cli.options import (
    Command,
    database_option,
    json_option,
    open_project,
    open_target,
    project_option,
    test_database_option,
)
from integrity.errors import UsageError, quote
from integrity.exit_codes import ExitCode
from integrity.numbers import read_integer
from integrity.registry import SYSTEMS
from integrity.report.terminal import write_note
from integrity.typed import typed

if TYPE_CHECKING:
    from integrity.engines.target import Target
    from integrity.events import Job
    from integrity.jobs.seed import Seeding
    from integrity.project import Project
    from integrity.seeds.schema.fill import SchemaSeeded
    from integrity.systems.seeder import Size


def _size_options(command: Command) -> Command:
    """An option for each size of the reference systems' seeders; others' are given as --size NAME=N.

    Options stand before it is known which project's systems there are, and so for those that every project has.
    """
    sizes: dict[str, list[tuple[str, Size]]] = {}
    for system in SYSTEMS.values():
        for size in system.seeder.sizes if system.seeder else ():
            sizes.setdefault(size.name, []).append((system.name, size))
    for name, owners in reversed(sizes.items()):
        *others, last = [owner for owner, _ in owners]
        of = f"{', '.join(others)} and {last}" if others else last
        text = f"{name.capitalize()} of {of}; default: {owners[0][1].default:,}."
        command = click.option(f"--{name}", type=Integer(), metavar="N", help=text)(command)
    return command


@click.command()
@click.option("--system", "system_names", metavar="NAME", multiple=True, help="Seed this system (repeatable); else all.")
@_size_options
@click.option("--size", "pairs", metavar="NAME=N", multiple=True, help="So many of what another system's seeder counts.")
@click.argument("file", required=False, type=click.Path(path_type=Path), metavar="[FILE]")
@click.option("--schema", "schemas", metavar="NAME", multiple=True, help="Fill the tables that stand in this schema.")
@click.option("--rows", "rows", metavar="TABLE=N", multiple=True, help="So many rows of a table; others follow from it.")
@click.option("--seed", type=Integer(), default=1, show_default=True, help="The same seed makes the same rows everywhere.")
@click.option("--replace", is_flag=True, help="Make it anew, and forget the runs that were made on it.")
@click.option("--append", is_flag=True, help="Add as many to what is there.")
@database_option
@project_option
@test_database_option
@json_option
def command(
    *,
    system_names: tuple[str, ...],
    pairs: tuple[str, ...],
    file: Path | None,
    schemas: tuple[str, ...],
    rows: tuple[str, ...],
    seed: int,
    replace: bool,
    append: bool,
    database: str | None,
    project_folder: Path,
    test_database: str | None,
    is_json: bool,
    **given: int | None,
) -> int:
    """Fill the database with a consistent world, in which every invariant holds.

    Interrupted between two systems, the same command goes on with those that are missing. With --schema, --rows or a FILE
    (seeds/shop.toml) it fills tables of your own instead, so that all their constraints hold, in a declared test database.

    \b
    Example: integrity seed --wallets 5000
             integrity seed --schema public --rows orders=50000
    """
    from integrity.jobs.seed import choose, mode_of
    from integrity.jobs.seed_schema import seed_schema

    mode = mode_of(replaces=replace, appends=append)
    project = open_project(project_folder)
    counts = {name: count for name, count in given.items() if count is not None}
    if file is not None or schemas or rows:
        _refuse_beside_schema(bool(system_names or pairs or append or counts))
        target, counted = open_target(project, database), _read_sizes(rows, "rows", "orders")
        job = seed_schema(
            target,
            schemas=schemas,
            file=file,
            rows=counted,
            seed=seed,
            test_database=test_database,
            replaces=replace,
            project=project,
        )
        return _fill(job, target, is_json=is_json)
    sizes = counts | _read_sizes(pairs, "size", "accounts")
    seeding = choose(project, system_names=system_names, sizes=sizes, seed=seed, mode=mode)
    return _seed(seeding, project, database, test_database=test_database, is_json=is_json)


def _seed(seeding: "Seeding", project: "Project", database: str | None, *, test_database: str | None, is_json: bool) -> int:
    """Make the worlds of systems."""
    from integrity.events import listen
    from integrity.report.progress import write_notes
    from integrity.report.seed_text import show_seeding, write_seeded

    try:
        target = open_target(project, database)
        with show_seeding() as show:
            listen(seeding.play(target, test_database=test_database), show, write_notes)
    except KeyboardInterrupt:
        write_note(f"integrity: {seeding.describe_interruption()}")
        return ExitCode.INTERRUPTED
    write_seeded(target, seeding.mode, seeding.seeded, is_json=is_json)
    if not is_json:
        write_note(f"Next: {typed(f'run smoke --system {seeding.systems[0].name}')}")
    return ExitCode.OK


def _fill(job: "Job[SchemaSeeded]", target: "Target", *, is_json: bool) -> int:
    """Fill tables that others made."""
    from integrity.events import listen
    from integrity.report.progress import write_notes
    from integrity.report.seed_text import show_seeding, write_schema_seeded

    try:
        with show_seeding() as show:
            seeded = listen(job, show, write_notes)
    except KeyboardInterrupt:
        write_note("integrity: interrupted; the tables are as they were before.")
        return ExitCode.INTERRUPTED
    write_schema_seeded(target, seeded, is_json=is_json)
    return ExitCode.OK


def _refuse_beside_schema(is_of_systems: bool) -> None:
    if is_of_systems:
        raise UsageError(
            "--schema, --rows and a file fill tables of your own, and go with --seed and --replace only",
            hint="Seed a system by another command.",
        )


def _read_sizes(pairs: Sequence[str], option: str, example: str) -> dict[str, int]:
    """Return the sizes that were given as NAME=N."""
    sizes: dict[str, int] = {}
    for pair in pairs:
        name, sign, number = pair.rpartition("=")
        hint = f"Write it as --{option} {example}=500."
        if not sign or not name:
            raise UsageError(f"--{option} {quote(pair)}: it does not say how many of what", hint=hint)
        if "," in name or "=" in name:
            each = " ".join(f"--{option} {part.strip()}" for part in pair.split(","))
            raise UsageError(f"--{option} {quote(pair)}: it says several", hint=f"Give each its own: {each}")
        if name in sizes:
            raise UsageError(f"--{option} {quote(pair)}: {name} was given before, as {sizes[name]}", hint="Give it once.")
        try:
            sizes[name] = read_integer(number, least=None, most=None)
        except ValueError as error:
            raise UsageError(f"--{option} {quote(pair)}: {error}", hint=hint) from None
    return sizes
