"""How fast each system is seeded: all its tables, beside the server's own COPY of the same rows from files.

    python -m benchmarks.seeding_systems [--scale 4] [--rounds 5] [--whole]

Per system and round, alternating, into its tables without constraints and indexes, emptied in the same transaction (rows
are frozen, as seed writes them):

- ours:  the past is generated, encoded and sent, in batches as `integrity seed` does;
- copy:  the server reads the same rows from files in binary format: the limit.

Then the whole of `integrity seed`, all systems, beside the same tables made by hand: the same statements, each table read
from a file, the same indexes. Printed are medians, and the ratio of the server's time to ours in each round. With --whole
only the last is measured, at --scale times the default sizes.
"""

import argparse
import statistics
import tempfile
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import psycopg
from psycopg import sql

from integrity.database.constraints import complete, strip
from integrity.database.namespace import create_tables, drop_schemas
from integrity.engines.embedded.server import EmbeddedServer
from integrity.engines.postgresql.bulk import load
from integrity.engines.target import Target
from integrity.engines.transaction import transaction
from integrity.events import listen
from integrity.jobs.seed import choose
from integrity.project import find_project
from integrity.registry import SYSTEMS
from integrity.seeds.load import Mode, ahead, seeder_of
from integrity.systems.seeder import Start
from integrity.systems.system import System

Connection = psycopg.Connection[Any]


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--scale", type=float, default=4.0, help="times the default sizes")
    arguments.add_argument("--rounds", type=int, default=5)
    arguments.add_argument("--whole", action="store_true")
    given = arguments.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        server = EmbeddedServer(Path(folder) / "postgres", dies_with_parent=True)
        server.start()
        try:
            for system in () if given.whole else SYSTEMS.values():
                sizes = {size.name: round(size.default * given.scale) for size in seeder_of(system).sizes}
                compare(server.target, system, sizes, given.rounds)
                drop_schemas(server.target)
            compare_all(server.target, given.scale if given.whole else 1.0, given.rounds)
        finally:
            server.reset()


def compare(target: Target, system: System, sizes: Mapping[str, int], rounds: int) -> None:
    """Print the seconds of both ways and their ratio."""
    with transaction(target, (system.name, "integrity")) as made:
        create_tables(made, system)
        strip(made, system.metadata)
    names = [table.name for table in system.metadata.sorted_tables]
    tables = sql.SQL(", ").join(sql.Identifier(system.name, name) for name in names)
    with target.connect() as connection:
        folder = connection.execute("show data_directory").fetchall()[0][0]  # the server may write there
        with connection.transaction():
            connection.execute(sql.SQL("truncate {}").format(tables))
            row_count = send(connection, system, sizes)
        files = {name: f"{folder}/{name}.copy" for name in names}
        for name, file in files.items():
            table = sql.Identifier(system.name, name)
            connection.execute(sql.SQL("copy {} to {} (format binary)").format(table, sql.Literal(file)))

        def copy() -> None:
            for name, file in files.items():
                table = sql.Identifier(system.name, name)
                text = sql.SQL("copy {} from {} (format binary, freeze)").format(table, sql.Literal(file))
                connection.execute(text)

        ways: dict[str, Callable[[], object]] = {"ours": lambda: send(connection, system, sizes), "copy": copy}
        seconds: dict[str, list[float]] = {name: [] for name in ways}
        for _ in range(rounds):
            for name, way in ways.items():
                connection.execute("checkpoint")
                started = time.perf_counter()
                with connection.transaction():
                    connection.execute(sql.SQL("truncate {}").format(tables))
                    way()
                seconds[name].append(time.perf_counter() - started)
    ratios = [copied / own for copied, own in zip(seconds["copy"], seconds["ours"], strict=True)]
    own_s = statistics.median(seconds["ours"])
    print(
        f"{system.name:12} {row_count:>10,} rows  ours {own_s:.2f} s ({row_count / own_s:,.0f} rows/s), copy "
        f"{statistics.median(seconds['copy']):.2f} s, copy/ours {statistics.median(ratios):.2f} "
        f"[{min(ratios):.2f}-{max(ratios):.2f}]"
    )


def send(connection: Connection, system: System, sizes: Mapping[str, int]) -> int:
    """Generate, encode and load the whole past; return how many rows it has."""
    next_ids = {table.name: 1 for table in system.metadata.sorted_tables if "id" in table.columns}
    row_count = 0
    for batch in ahead(seeder_of(system).generate(sizes, 1, Start(next_ids, {}))):
        for rows in batch.tables:
            row_count += load(connection, system.name, rows.table, rows.columns, is_new=True)
    return row_count


def compare_all(target: Target, scale: float, rounds: int) -> None:
    """Print how long the whole of `integrity seed` takes, beside the same by hand."""
    sizes = {size.name: round(size.default * scale) for system in SYSTEMS.values() for size in seeder_of(system).sizes}
    with target.connect() as admin:
        seed_all(make_database(admin, target, "ours"), sizes)
        folder = str(admin.execute("show data_directory").fetchall()[0][0])
        row_count = keep_files(make_target(target, "ours"), folder)
        ways: dict[str, Callable[[Target], None]] = {
            "ours": lambda made: seed_all(made, sizes),
            "psql": lambda made: load_all(made, folder),
        }
        seconds: dict[str, list[float]] = {name: [] for name in ways}
        for _ in range(rounds):
            for name, way in ways.items():
                made = make_database(admin, target, name)
                admin.execute("checkpoint")
                started = time.perf_counter()
                way(made)
                seconds[name].append(time.perf_counter() - started)
    ratios = [by_hand / own for by_hand, own in zip(seconds["psql"], seconds["ours"], strict=True)]
    print(
        f"all {len(SYSTEMS)} systems, {row_count:,} rows: ours {statistics.median(seconds['ours']):.2f} s, "
        f"psql {statistics.median(seconds['psql']):.2f} s, psql/ours {statistics.median(ratios):.2f} "
        f"[{min(ratios):.2f}-{max(ratios):.2f}]"
    )


def make_target(target: Target, name: str) -> Target:
    return Target(target.url.set(database=name))


def make_database(admin: Connection, target: Target, name: str) -> Target:
    """Make a database anew."""
    admin.execute(sql.SQL("drop database if exists {} with (force)").format(sql.Identifier(name)))
    admin.execute(sql.SQL("create database {} template template0").format(sql.Identifier(name)))
    return make_target(target, name)


def seed_all(target: Target, sizes: Mapping[str, int]) -> None:
    """Seed all systems as the command does."""
    seeding = choose(find_project(Path.cwd()), sizes=sizes, seed=1, mode=Mode.NEW)
    listen(seeding.play(target))


def keep_files(target: Target, folder: str) -> int:
    """Write each table to a file of the server's; return how many rows there are."""
    row_count = 0
    with target.connect() as connection:
        for system in SYSTEMS.values():
            for table in system.metadata.sorted_tables:
                place = sql.Identifier(system.name, table.name)
                file = sql.Literal(f"{folder}/{system.name}.{table.name}.copy")
                row_count += connection.execute(sql.SQL("copy {} to {} (format binary)").format(place, file)).rowcount
    return row_count


def load_all(target: Target, folder: str) -> None:
    """Make, load and index all systems as a good hand would: one transaction each, rows frozen, indexes afterwards."""
    for system in SYSTEMS.values():
        with transaction(target, (system.name, "integrity")) as made:
            create_tables(made, system)
            strip(made, system.metadata)
            driver = made.connection.driver_connection
            assert isinstance(driver, psycopg.Connection)
            for table in system.metadata.sorted_tables:
                place = sql.Identifier(system.name, table.name)
                file = sql.Literal(f"{folder}/{system.name}.{table.name}.copy")
                driver.execute(sql.SQL("copy {} from {} (format binary, freeze)").format(place, file))
            complete(made, system)
            for table in system.metadata.sorted_tables:
                driver.execute(sql.SQL("analyze {}").format(sql.Identifier(system.name, table.name)))


if __name__ == "__main__":
    main()
