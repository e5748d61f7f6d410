"""How fast each system is seeded: all its tables, beside the server's own COPY of the same rows from files.

    python -m benchmarks.seeding_systems [--scale 4] [--rounds 5]

Per system and round, alternating, into its tables without constraints and indexes, emptied in the same transaction (rows
are frozen, as seed writes them):

- ours:  the past is generated, encoded and sent, in batches as `integrity seed` does;
- copy:  the server reads the same rows from files in binary format: the limit.

Then `integrity seed` of all systems with their default sizes, constraints and indexes included. Printed are medians, and
the ratio of the server's time to ours in each round.
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

from integrity.database.constraints import strip
from integrity.database.namespace import create_tables, drop_schemas, guard
from integrity.engines.embedded.server import EmbeddedServer
from integrity.engines.postgresql.bulk import load
from integrity.engines.target import Target
from integrity.engines.transaction import transaction
from integrity.registry import SYSTEMS
from integrity.seeds.load import Mode, ahead, seed_system, seeder_of
from integrity.systems.seeder import Start
from integrity.systems.system import System

Connection = psycopg.Connection[Any]


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--scale", type=float, default=4.0, help="times the default sizes")
    arguments.add_argument("--rounds", type=int, default=5)
    given = arguments.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        server = EmbeddedServer(Path(folder) / "postgres", dies_with_parent=True)
        server.start()
        try:
            for system in SYSTEMS.values():
                sizes = {size.name: round(size.default * given.scale) for size in seeder_of(system).sizes}
                compare(server.target, system, sizes, given.rounds)
                drop_schemas(server.target)
            seed_all(server.target)
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


def seed_all(target: Target) -> None:
    """Print how long `integrity seed` takes with its defaults."""
    started, row_count = time.perf_counter(), 0
    for system in SYSTEMS.values():
        contents = guard(target, None)
        row_count += seed_system(target, contents, system, sizes={}, seed=1, mode=Mode.NEW).row_count
    seconds = time.perf_counter() - started
    print(f"seed of all {len(SYSTEMS)} systems with defaults: {row_count:,} rows in {seconds:.1f} s")


if __name__ == "__main__":
    main()
