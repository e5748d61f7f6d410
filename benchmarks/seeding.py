"""How fast `integrity seed` is: a million entries of ghostpass, beside the server's own COPY of the same rows from a file.

    python benchmarks/seeding.py [--entries 1000000] [--rounds 5] [--wallets 100000]

Per round, alternating, each into a new table with the entries' columns and checks, without keys and indexes, in a
transaction that makes the table (rows are frozen, as seed writes them):

- ours:  the past day is generated, its entries are encoded and sent, in batches as `integrity seed` does;
- load:  the same entries, already generated, are encoded and sent;
- copy:  the server reads the same rows from a file in binary format: the limit.

Then `integrity seed` as a whole, with all tables, constraints and indexes, at the number of wallets given. Printed are
medians, and the ratio of the server's time to ours in each round.
"""

import argparse
import statistics
import tempfile
import time
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

import psycopg
from psycopg import sql
from sqlalchemy import MetaData
from sqlalchemy.dialects import postgresql
from sqlalchemy.schema import CreateTable

from integrity.database.namespace import guard
from integrity.engines.columns import ColumnValues
from integrity.engines.embedded.server import EmbeddedServer
from integrity.engines.postgresql.bulk import load
from integrity.engines.target import Target
from integrity.reference.ghostpass.schema import METADATA, entries
from integrity.reference.ghostpass.system import GHOSTPASS
from integrity.seeds.load import Mode, ahead, seed_system, seeder_of
from integrity.systems.seeder import Start

ENTRIES_A_WALLET = 11

Connection = psycopg.Connection[Any]


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--entries", type=int, default=1_000_000)
    arguments.add_argument("--rounds", type=int, default=5)
    arguments.add_argument("--wallets", type=int, default=100_000)
    given = arguments.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        server = EmbeddedServer(Path(folder) / "postgres", dies_with_parent=True)
        server.start()
        try:
            compare(server.target, given.entries, given.rounds)
            seed_whole(server.target, given.wallets)
        finally:
            server.reset()


def compare(target: Target, entry_count: int, rounds: int) -> None:
    """Print the seconds of the three ways and their ratios."""
    wallet_count = entry_count // ENTRIES_A_WALLET
    made = list(generate(wallet_count))
    row_count = sum(len(columns[0]) for columns in made)
    with target.connect() as connection:
        connection.execute("create schema bench")
        file = f"{connection.execute('show data_directory').fetchall()[0][0]}/entries.copy"  # the server may write there
        new_table(connection)
        send(connection, made)
        connection.execute(sql.SQL("copy bench.entries to {} (format binary)").format(file))
        from_file = sql.SQL("copy bench.entries from {} (format binary, freeze)").format(file)
        ways: dict[str, Callable[[], object]] = {
            "ours": lambda: send(connection, generate(wallet_count)),
            "load": lambda: send(connection, made),
            "copy": lambda: connection.execute(from_file),
        }
        seconds: dict[str, list[float]] = {name: [] for name in ways}
        for _ in range(rounds):
            for name, way in ways.items():
                connection.execute("checkpoint")
                started = time.perf_counter()
                with connection.transaction():
                    new_table(connection)
                    way()
                seconds[name].append(time.perf_counter() - started)
                assert connection.execute("select count(*) from bench.entries").fetchall() == [(row_count,)]
        connection.execute("drop schema bench cascade")
    print(f"{row_count:,} entries, {rounds} rounds, median [least-most] seconds")
    for name, measured in seconds.items():
        ratios = [copied / own for copied, own in zip(seconds["copy"], measured, strict=True)]
        print(
            f"  {name:5} {statistics.median(measured):.2f} [{min(measured):.2f}-{max(measured):.2f}] s, "
            f"copy/{name} {statistics.median(ratios):.2f} [{min(ratios):.2f}-{max(ratios):.2f}]"
        )


def seed_whole(target: Target, wallet_count: int) -> None:
    """Print the rate of `integrity seed`."""
    seeded = seed_system(target, guard(target, None), GHOSTPASS, sizes={"wallets": wallet_count}, seed=1, mode=Mode.NEW)
    print(
        f"seed --wallets {wallet_count:,}: {seeded.row_count:,} rows in {seeded.rows_s:.1f} s, constraints and indexes in "
        f"{seeded.indexes_s:.1f} s; {seeded.rows_per_second:,.0f} rows/s"
    )


def generate(wallet_count: int) -> Iterable[Sequence[ColumnValues]]:
    """Yield the entries of a past day, batch by batch."""
    next_ids = {table.name: 1 for table in METADATA.sorted_tables if "id" in table.columns}
    for batch in ahead(seeder_of(GHOSTPASS).generate({"wallets": wallet_count}, 1, Start(next_ids, {}))):
        yield from (rows.columns for rows in batch.tables if rows.table == "entries")


def send(connection: Connection, batches: Iterable[Sequence[ColumnValues]]) -> None:
    """Encode and load batches of entries."""
    is_new = connection.info.transaction_status is psycopg.pq.TransactionStatus.INTRANS
    for columns in batches:
        load(connection, "bench", "entries", columns, is_new=is_new)


def new_table(connection: Connection) -> None:
    """Make bench.entries, empty: columns and checks."""
    bare = entries.to_metadata(MetaData(), schema="bench")
    for constraint in list(bare.constraints):
        if type(constraint).__name__ != "CheckConstraint":
            bare.constraints.discard(constraint)
    connection.execute("drop table if exists bench.entries")
    connection.execute(str(CreateTable(bare).compile(dialect=postgresql.dialect())).encode())  # type: ignore[no-untyped-call]  # theirs
    connection.execute("alter table bench.entries drop constraint if exists entries_pkey")


if __name__ == "__main__":
    main()
