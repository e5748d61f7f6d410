"""`integrity seed`: fill the database with a consistent world."""

import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
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
from integrity.engines.target import Target
from integrity.errors import UsageError, quote
from integrity.exit_codes import ExitCode
from integrity.numbers import read_integer
from integrity.registry import SYSTEMS, Registry
from integrity.report.terminal import open_console, write_json, write_note, write_result

if TYPE_CHECKING:
    from integrity.seeds.load import Progress, Seeded
    from integrity.systems.seeder import Size
    from integrity.systems.system import System

Listen = Callable[["Progress"], None]


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
    from integrity.database.namespace import guard
    from integrity.seeds.load import Mode, check_numbers, check_state, is_made, seed_system

    if replace and append:
        raise UsageError("--replace and --append exclude each other", hint="Name one of them.")
    mode = Mode.REPLACE if replace else Mode.APPEND if append else Mode.NEW
    project = open_project(project_folder)
    registry = Registry(project)
    systems = [registry.find(name) for name in dict.fromkeys(system_names)] or registry.seeded()
    sizes = {name: count for name, count in given.items() if count is not None} | _read_sizes(pairs)
    _check_known(sizes, systems)
    for system in systems:
        check_numbers(system, sizes, seed)
    seeded: list[Seeded] = []
    left = systems
    try:
        target = open_target(project, database)
        contents = guard(target, test_database)
        if mode is Mode.NEW:  # of several: those that an interrupted seed has made by now
            left = [system for system in systems if not is_made(contents, system, sizes, seed)] or systems
            for system in systems:
                if system not in left:
                    write_note(f"{system.name}: is there already, as asked for")
        for system in left:
            check_state(contents, system, mode)
        while left:
            with _progress(left[0].name) as listen:
                seeded.append(
                    seed_system(
                        target,
                        guard(target, test_database),
                        left[0],
                        sizes=sizes,
                        seed=seed,
                        mode=mode,
                        listen=listen,
                    )
                )
            left = left[1:]
    except KeyboardInterrupt:
        write_note(f"integrity: interrupted; {left[0].name} is as it was before. {_go_on(left, seeded, mode.value, sizes)}")
        return ExitCode.INTERRUPTED
    if is_json:
        write_json(_fields(target, mode.value, seeded))
    else:
        write_result(_table(seeded))
        write_note(f"Next: {go_on(f'integrity run smoke --system {systems[0].name}', target, database)}")
    return ExitCode.OK


def _go_on(left: "Sequence[System]", seeded: "Sequence[Seeded]", mode: str, sizes: Mapping[str, int]) -> str:
    """Return how to go on after an interruption: only what was added to must not be added to again."""
    if not seeded:
        return "Seed again when you like."
    made = ", ".join(each.system for each in seeded)
    if mode != "append":
        return f"Made by now: {made}. Give the same command again."
    from integrity.seeds.load import seeder_of

    known = {size.name for system in left for size in seeder_of(system).sizes}
    words = ["--append", *(f"--system {system.name}" for system in left), f"--seed {seeded[0].seed}"]
    words += [_option(name, str(count)) for name, count in sizes.items() if name in known]
    return f"Added to by now: {made}. To go on, on the same database: integrity seed {' '.join(words)}"


def _check_known(sizes: Mapping[str, int], systems: "Sequence[System]") -> None:
    """Raise for a size that none of the systems has."""
    from integrity.seeds.load import seeder_of

    known = dict.fromkeys(size.name for system in systems for size in seeder_of(system).sizes)
    for name in sizes:
        if name not in known:
            raise UsageError(
                f"{_option(name)}: {' and '.join(system.name for system in systems)} has no {name}",
                hint=f"Its sizes are: {', '.join(map(_option, known))}.",
            )


def _option(name: str, count: str = "") -> str:
    """Return the option that gives a size, with its number."""
    if name in {parameter.name for parameter in command.params}:
        return f"--{name} {count}".strip()
    return f"--size {name}={count or 'N'}"


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


@contextmanager
def _progress(system: str) -> Iterator[Listen]:
    """Yield what listens to progress: a bar on a terminal, else a line every few seconds."""
    from integrity.seeds.load import Phase, Progress

    if sys.stderr.isatty():
        from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeElapsedColumn
        from rich.progress import Progress as Bar

        columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
        with Bar(*columns, console=open_console(), transient=True) as bar:
            task = bar.add_task(system, total=None)

            def draw(progress: Progress) -> None:
                what = progress.unit if progress.phase is Phase.ROWS else "constraints, indexes"
                bar.update(
                    task,
                    description=f"{system}: {what}",
                    completed=progress.done,
                    total=progress.count,
                )

            yield draw
        return

    last = -LINE_EVERY_S

    def say(progress: Progress) -> None:
        nonlocal last
        now = time.monotonic()
        if progress.phase is Phase.INDEXES:
            write_note(f"{system}: making constraints and indexes")
        elif progress.done == 0:
            write_note(f"{system}: making {progress.count:,} {progress.unit}")
            last = now
        elif now - last >= LINE_EVERY_S:
            write_note(f"{system}: {progress.done:,} of {progress.count:,} {progress.unit}")
            last = now

    yield say


LINE_EVERY_S = 5.0


def _table(seeded: "list[Seeded]") -> str:
    from tabulate import tabulate

    parts = []
    for made in seeded:
        seconds = made.rows_s + made.indexes_s
        rows = [[f"{made.system}.{table}", f"{count:,}"] for table, count in made.row_counts.items()]
        rows.append(["together", f"{made.row_count:,}"])
        parts.append(tabulate(rows, headers=["table", "rows added"], colalign=("left", "right"), disable_numparse=True))
        parts.append(
            f"\n{made.system}: {', '.join(f'{count:,} {name}' for name, count in made.sizes.items())}, seed {made.seed}: "
            f"{seconds:.1f} s "
            f"(rows {made.rows_s:.1f}, constraints and indexes {made.indexes_s:.1f}), {made.rows_per_second:,.0f} rows/s"
        )
    if len(seeded) > 1:
        seconds = sum(made.rows_s + made.indexes_s for made in seeded)
        parts.append(f"\n{len(seeded)} systems: {sum(made.row_count for made in seeded):,} rows in {seconds:.1f} s")
    return "\n".join(parts)


def _fields(target: Target, mode: str, seeded: "list[Seeded]") -> dict[str, object]:
    systems = [
        {
            "system": made.system,
            "sizes": dict(made.sizes),
            "seed": made.seed,
            "rows": dict(made.row_counts),
            "rows_s": round(made.rows_s, 3),
            "indexes_s": round(made.indexes_s, 3),
            "rows_per_second": round(made.rows_per_second),
        }
        for made in seeded
    ]
    return {"database": str(target), "mode": mode, "systems": systems}
