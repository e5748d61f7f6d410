"""`integrity seed`: fill the database with a consistent world."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from integrity.cli.number_types import Integer
from integrity.cli.options import (
    Command,
    database_option,
    go_on,
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

if TYPE_CHECKING:
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

    Interrupted between two systems, the same command goes on with those that are missing.

    \b
    Example: integrity seed --wallets 5000
    """
    from integrity.events import listen
    from integrity.jobs.seed import choose, mode_of
    from integrity.report.progress import write_notes
    from integrity.report.seed_text import show_seeding, write_seeded

    mode = mode_of(replaces=replace, appends=append)
    project = open_project(project_folder)
    sizes = {name: count for name, count in given.items() if count is not None} | _read_sizes(pairs)
    seeding = choose(project, system_names=system_names, sizes=sizes, seed=seed, mode=mode)
    try:
        target = open_target(project, database)
        with show_seeding() as show:
            listen(seeding.play(target, test_database=test_database), show, write_notes)
    except KeyboardInterrupt:
        write_note(f"integrity: {seeding.describe_interruption()}")
        return ExitCode.INTERRUPTED
    write_seeded(target, mode, seeding.seeded, is_json=is_json)
    if not is_json:
        write_note(f"Next: {go_on(f'integrity run smoke --system {seeding.systems[0].name}', target, database)}")
    return ExitCode.OK


def _read_sizes(pairs: Sequence[str]) -> dict[str, int]:
    """Return the sizes that were given as NAME=N."""
    sizes = {}
    for pair in pairs:
        name, _, number = pair.partition("=")
        try:
            sizes[name] = read_integer(number, least=None, most=None)
        except ValueError as error:
            raise UsageError(f"--size {quote(pair)}: {error}", hint="Write it as --size accounts=500.") from None
    return sizes
