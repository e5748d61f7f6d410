"""Seeding: a system made and filled in one transaction, which commits everything or leaves the database as it was."""

import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from enum import Enum
from pathlib import Path
from typing import Any, TypeVar

from sqlalchemy import Connection, Integer, MetaData, Table, func, select, text

from integrity.database.bookkeeping import drop_runs_of, find_note, put_note
from integrity.database.constraints import complete, strip
from integrity.database.made import OURS
from integrity.database.names import name_of
from integrity.database.namespace import Contents, create_tables, drop_tables
from integrity.engines.known import find_engine
from integrity.engines.occupancy import occupy
from integrity.engines.places import TableName, schema_of
from integrity.engines.schemas import schema_in
from integrity.engines.target import Target
from integrity.engines.transaction import transaction
from integrity.errors import SeedError, UsageError
from integrity.events import Event, Job, Listener, listen
from integrity.systems.seeder import Seeder, Start
from integrity.systems.system import System

SEED_MOST = 2**63 - 1

Made = TypeVar("Made")


class Mode(Enum):
    """What to do with what is there: nothing may be there; it goes; it stays and is added to."""

    NEW = "new"
    REPLACE = "replace"
    APPEND = "append"


class SeedingPhase(Enum):
    """What seeding is busy with."""

    ROWS = "rows"
    INDEXES = "indexes"


@dataclass(frozen=True, slots=True)
class SeedAdvanced(Event):
    """How far seeding a system is: so many of all, in the phase of rows; then constraints and indexes are made.

    Args:
        unit: what is counted: the seeder's first size.
    """

    system: str
    phase: SeedingPhase
    unit: str
    done: int
    count: int


@dataclass(frozen=True, slots=True)
class Seeded:
    """What seeding made.

    Args:
        sizes: what was asked for, e.g. {"wallets": 5000}.
        row_counts: table -> rows that were added.
        places: table -> the table with its schema.
        rows_s, indexes_s: seconds of the phases; in all there is a little more.
        removed: table with its schema -> rows that were there before and are gone.
    """

    system: str
    seed: int
    sizes: Mapping[str, int]
    row_counts: Mapping[str, int]
    places: Mapping[str, str]
    rows_s: float
    indexes_s: float
    removed: Mapping[str, int] = field(default_factory=dict)

    @property
    def row_count(self) -> int:
        return sum(self.row_counts.values())

    @property
    def rows_per_second(self) -> float:
        """Rows per second of both phases together."""
        return self.row_count / (self.rows_s + self.indexes_s)


def seed_system(
    target: Target,
    contents: Contents,
    system: System,
    *,
    sizes: Mapping[str, int],
    seed: int,
    mode: Mode,
    listeners: Sequence[Listener] = (),
) -> Seeded:
    """Fill a system as `fill` does, and tell the listeners."""
    return listen(fill(target, contents, system, sizes=sizes, seed=seed, mode=mode), *listeners)


def fill(
    target: Target,
    contents: Contents,
    system: System,
    *,
    sizes: Mapping[str, int],
    seed: int,
    mode: Mode,
    settings: Path | None = None,
    hold: Callable[[Any], None] | None = None,
) -> Job[Seeded]:
    """Fill a system with a past of that size; the same seed and sizes make the same rows everywhere.

    Args:
        sizes: by name; those that are not given are the seeder's defaults, those that it does not know are not its own.
        settings: as Start has them.
        contents: what the database holds; whether that may be worked on is asked before (`guard`).
        hold: told the driver's connection, so that another thread can end a statement under way.

    Yields:
        SeedAdvanced as it goes.

    Raises:
        UsageError: a number that makes no sense, or a system without a seeder.
        SeedError: the database is not in the state that the mode needs.
        DatabaseError: the database refused something, or somebody works there; nothing was changed.
    """
    seeder, metadata, name = seeder_of(system), system.metadata, system.name
    check_numbers(system, sizes, seed)
    sizes = seeder.complete(sizes)
    unit = seeder.sizes[0].name
    check_state(contents, system, mode)
    with (
        occupy(target, f"seed --system {name}", part=name, is_exclusive=mode is Mode.REPLACE),
        transaction(target, (*system.schemas, OURS)) as connection,
    ):
        started = time.perf_counter()
        removed: dict[str, int] = {}
        if hold is not None:
            hold(connection.connection.driver_connection)
        find_engine(connection.dialect.name).catalogue.prepare_load(connection)
        if mode is Mode.APPEND:
            start = replace(_find_start(connection, metadata, seeder), settings=settings)
            noted = {size: int(find_note(connection, f"{size}:{name}") or 0) for size in sizes}
            for each in seeder.sizes:
                if noted[each.name] + sizes[each.name] > each.most:
                    there, more = noted[each.name], sizes[each.name]
                    raise UsageError(f"{there} {each.name} and {more} more are over the limit of {each.most:,}")
        else:
            start = Start({name_of(table): 1 for table in _numbered(metadata)}, {}, settings)
            noted = dict.fromkeys(sizes, 0)
            if name in contents.made:
                removed = _count_rows(connection, contents.made[name])
                drop_tables(connection, name, contents)
                drop_runs_of(connection, name)
            create_tables(connection, system)
            put_note(connection, f"seed:{name}", str(seed))
            strip(connection, metadata)
        for size, count in sizes.items():
            put_note(connection, f"{size}:{name}", str(noted[size] + count))
        row_counts = yield from _load(connection, system, start, sizes, seed, is_new=mode is not Mode.APPEND)
        loaded = time.perf_counter()
        yield SeedAdvanced(name, SeedingPhase.INDEXES, unit, sizes[unit], sizes[unit])
        if mode is not Mode.APPEND:
            complete(connection, system)
        _finish(connection, metadata)
    places = {name_of(table): f"{schema_of(table)}.{table.name}" for table in metadata.sorted_tables}
    return Seeded(name, seed, sizes, row_counts, places, loaded - started, time.perf_counter() - loaded, removed)


def seeder_of(system: System) -> Seeder:
    """Return the system's seeder.

    Raises:
        UsageError: it has none.
    """
    if system.seeder is None:
        raise UsageError(
            f"{system.name} has no seeder",
            hint="Its rows are made elsewhere; a seeder is given to the system as System(seeder=...).",
        )
    return system.seeder


def check_numbers(system: System, sizes: Mapping[str, int], seed: int) -> None:
    """Refuse numbers that make no sense.

    Raises:
        UsageError: says which.
    """
    for size in seeder_of(system).sizes:
        count = sizes.get(size.name, size.default)
        if not 1 <= count <= size.most:
            raise UsageError(
                f"--{size.name} {count}: expected 1 to {size.most:,}",
                hint=f"{system.name} has {size.default:,} {size.name} by default; beyond the limit nothing new is learnt.",
            )
    if not 0 <= seed <= SEED_MOST:
        raise UsageError(f"--seed {seed}: expected 0 to {SEED_MOST}")


def is_made(contents: Contents, system: System, sizes: Mapping[str, int], seed: int) -> bool:
    """Return whether the database holds the system as it would be made anew: of the same seed and sizes."""
    wanted = {"seed": seed, **seeder_of(system).complete(sizes)}
    return system.name in contents.systems and all(
        contents.notes.get(f"{name}:{system.name}") == str(number) for name, number in wanted.items()
    )


def check_state(contents: Contents, system: System, mode: Mode) -> None:
    """Refuse a mode that does not suit what the database holds.

    Raises:
        SeedError: says what to use.
    """
    name = system.name
    is_there = name in contents.systems
    if mode is Mode.NEW and is_there:
        noted = [(size.name, contents.notes.get(f"{size.name}:{name}", "?")) for size in seeder_of(system).sizes]
        held = ", ".join(f"{count} {size}" for size, count in noted)
        raise SeedError(
            f"database {contents.name!r} already holds {name} ({held}, seed {contents.notes.get(f'seed:{name}', '?')})",
            hint="--replace makes it anew and forgets its runs; --append adds to what is there.",
        )
    if mode is Mode.APPEND and not is_there:
        raise SeedError(f"database {contents.name!r} holds no {name} that could be added to", hint="Leave --append out.")
    taken = contents.of_others(system)
    if taken:
        raise SeedError(
            f"database {contents.name!r} holds {taken[0]}, which we did not make, and {name} has a table of that name",
            hint=f"Seed {name} in another database; nothing that somebody made is dropped or filled.",
        )


def _count_rows(connection: Connection, tables: Sequence[TableName]) -> dict[str, int]:
    return {
        f"{schema}.{name}": connection.execute(
            select(func.count()).select_from(Table(name, MetaData(schema=schema)))
        ).scalar_one()
        for schema, name in tables
    }


def _find_start(connection: Connection, metadata: MetaData, seeder: Seeder) -> Start:
    """Return where to go on, with the tables locked: what is running there would take the same ids."""
    engine = find_engine(connection.dialect.name)
    tables = [(schema_of(table), table.name) for table in metadata.sorted_tables]
    engine.catalogue.lock(connection, tables, shuts_out_readers=False)
    next_ids = {
        name_of(table): connection.execute(select(func.coalesce(func.max(table.c.id), 0) + 1)).scalar_one()
        for table in _numbered(metadata)
    }
    reads = {name: text(engine.spelling.statement(query)) for name, query in seeder.reads.items()}
    with engine.catalogue.names_of_its_own(connection):  # the seeder's queries are the system's, and may name no schema
        found = {name: [tuple(row) for row in connection.execute(query)] for name, query in reads.items()}
    return Start(next_ids, found)


def _numbered(metadata: MetaData) -> list[Table]:
    """Return the tables whose rows have a number of their own."""
    return [table for table in metadata.sorted_tables if "id" in table.c and isinstance(table.c.id.type, Integer)]


def _load(
    connection: Connection,
    system: System,
    start: Start,
    sizes: Mapping[str, int],
    seed: int,
    *,
    is_new: bool,
) -> Job[dict[str, int]]:
    driver_connection = connection.connection.driver_connection
    assert driver_connection is not None
    seeder, tables = seeder_of(system), {name_of(table): table for table in system.metadata.sorted_tables}
    engine = find_engine(connection.dialect.name)
    row_counts: Counter[str] = Counter()
    done, unit = 0, seeder.sizes[0].name
    yield SeedAdvanced(system.name, SeedingPhase.ROWS, unit, 0, sizes[unit])
    for batch in ahead(seeder.generate(sizes, seed, start)):
        for rows in batch.tables:
            table = tables[rows.table]
            schema = schema_in(connection.dialect.name, schema_of(table))
            row_counts[rows.table] += engine.load(driver_connection, schema, table.name, rows.columns, is_new=is_new)
        if batch.done:
            done += batch.done
            yield SeedAdvanced(system.name, SeedingPhase.ROWS, unit, done, sizes[unit])
    return dict(row_counts)


def ahead(batches: Iterator[Made]) -> Iterator[Made]:
    """Yield the batches, each next one made in a thread while the last one is loaded: the server has its own processor."""
    with ThreadPoolExecutor(max_workers=1) as maker:
        making = maker.submit(next, batches, None)
        while (batch := making.result()) is not None:
            making = maker.submit(next, batches, None)
            yield batch


def _finish(connection: Connection, metadata: MetaData) -> None:
    """Let generated ids go on after those that were loaded, and let the planner know the tables."""
    catalogue = find_engine(connection.dialect.name).catalogue
    catalogue.finish_load(connection, metadata.sorted_tables, numbered=_numbered(metadata))
