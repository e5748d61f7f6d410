"""How fast `integrity seed --schema` fills somebody's own tables: a million rows, beside the server's own COPY of the same.

    python -m benchmarks.seeding_schema [--rows 1000000] [--rounds 3]

Per round, alternating, each into a new database of its own:

- ours:    the tables are made as their owner made them, with all keys, indexes and checks; then they are filled: the
           catalogue is read, rows are planned, made, encoded and sent, foreign keys and indexes put back, tables analysed;
- server:  the tables are made bare, the same rows read from files (binary, frozen), then keys, indexes and foreign keys
           built and tables analysed, in one transaction: what a good hand would do with psql.

Printed are medians of wall and processor seconds, ours with the client's own, and the ratios round by round.
"""

import argparse
import os
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psycopg
from psycopg import sql

from integrity.engines.embedded.server import EmbeddedServer
from integrity.engines.target import Target
from integrity.events import listen
from integrity.jobs.seed_schema import seed_schema

BARE = """
    create table customers (
        id bigint generated always as identity, email text not null, name varchar(40) not null, country char(2) not null,
        created_at timestamptz not null default now()
    );
    create table products (
        id bigint generated always as identity, code varchar(12) not null, title text not null,
        price numeric(10, 2) not null check (price > 0), is_sold boolean not null
    );
    create table orders (
        id bigint generated always as identity, customer_id bigint not null,
        status text not null check (status in ('open', 'paid', 'sent', 'cancelled')),
        total numeric(12, 2) not null check (total >= 0), placed_at timestamptz not null, paid_at timestamptz,
        constraint paid_has_a_time check ((status in ('paid', 'sent')) = (paid_at is not null))
    );
    create table order_items (
        order_id bigint not null, line integer not null check (line > 0), product_id bigint not null,
        quantity integer not null check (quantity between 1 and 20), price numeric(10, 2) not null
    );
"""
DRESSED = """
    alter table customers add primary key (id);
    alter table customers add unique (email);
    alter table products add primary key (id);
    alter table products add unique (code);
    alter table orders add primary key (id);
    create index orders_customer on orders (customer_id);
    create index orders_placed on orders (placed_at);
    alter table order_items add primary key (order_id, line);
    create index order_items_product on order_items (product_id);
    alter table orders add foreign key (customer_id) references customers;
    alter table order_items add foreign key (order_id) references orders;
    alter table order_items add foreign key (product_id) references products;
"""
TABLES = ("customers", "products", "orders", "order_items")

Connection = psycopg.Connection[Any]


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--rows", type=int, default=1_000_000)
    arguments.add_argument("--rounds", type=int, default=3)
    given = arguments.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        server = EmbeddedServer(Path(folder) / "postgres", dies_with_parent=True)
        server.start()
        try:
            compare(server.target, given.rows, given.rounds)
        finally:
            server.reset()


def compare(target: Target, row_count: int, rounds: int) -> None:
    """Print the seconds of both ways and their ratios."""
    sizes = {
        "orders": row_count // 4,
        "customers": row_count // 20,
        "products": row_count // 200,
        "order_items": row_count - row_count // 4 - row_count // 20 - row_count // 200,
    }
    with target.connect() as admin:
        main_pid = int(
            Path(str(admin.execute("show data_directory").fetchall()[0][0]), "postmaster.pid").read_text().split()[0]
        )
        ours = Target(target.url.set(database="ours"))
        made = make_database(admin, "ours", BARE + DRESSED)
        fill(made, sizes)
        folder = str(admin.execute("show data_directory").fetchall()[0][0])
        with ours.connect() as connection:
            for table in TABLES:
                copy = sql.SQL("copy {} to {} (format binary)").format(
                    sql.Identifier(table), sql.Literal(f"{folder}/{table}.copy")
                )
                connection.execute(copy)
        ways: dict[str, Callable[[Target], None]] = {
            "ours": lambda made: fill(made, sizes),
            "server": lambda made: load(made, folder),
        }
        wall: dict[str, list[float]] = {name: [] for name in ways}
        processor: dict[str, list[float]] = {name: [] for name in ways}
        for _ in range(rounds):
            for name, way in ways.items():
                made = make_database(admin, name, BARE + DRESSED if name == "ours" else "select")
                admin.execute("checkpoint")
                started, used = time.perf_counter(), server_seconds(main_pid) + time.process_time()
                way(made)
                wait_for_its_end(admin, name)
                wall[name].append(time.perf_counter() - started)
                processor[name].append(server_seconds(main_pid) + time.process_time() - used)
    print(f"{row_count:,} rows, {rounds} rounds, medians")
    for what, seconds in (("wall", wall), ("processor", processor)):
        ratios = [own / other for own, other in zip(seconds["ours"], seconds["server"], strict=True)]
        medians = ", ".join(f"{name} {statistics.median(seconds[name]):.2f} s" for name in seconds)
        spread = f"{statistics.median(ratios):.2f} [{min(ratios):.2f}-{max(ratios):.2f}]"
        print(f"  {what:9} {medians}, ours/server {spread}")


def make_database(admin: Connection, name: str, ddl: str) -> Target:
    """Make a database anew, with these tables."""
    admin.execute(sql.SQL("drop database if exists {} with (force)").format(sql.Identifier(name)))
    admin.execute(sql.SQL("create database {} template template0").format(sql.Identifier(name)))
    with admin.cursor() as cursor:
        info = cursor.connection.info
        target = Target.parse(f"postgresql://{info.user}@/{name}?host={info.host}&port={info.port}")
    with target.connect() as connection:
        connection.execute(ddl.encode())
    return target


def fill(target: Target, sizes: dict[str, int]) -> None:
    """Fill the tables as `integrity seed --schema public` does."""
    listen(seed_schema(target, rows=sizes, seed=1, test_database=target.url.database))


def load(target: Target, folder: str) -> None:
    """Make and load the tables as a good hand would."""
    with target.connect() as connection, connection.transaction():
        connection.execute(BARE.encode())
        for table in TABLES:
            file = sql.Literal(f"{folder}/{table}.copy")
            connection.execute(sql.SQL("copy {} from {} (format binary, freeze)").format(sql.Identifier(table), file))
        connection.execute(DRESSED.encode())
        for table in TABLES:
            connection.execute(sql.SQL("analyze {}").format(sql.Identifier(table)))


def wait_for_its_end(admin: Connection, name: str) -> None:
    """Return when nobody is connected to a database any more: what a process used is its parent's when it has ended."""
    while admin.execute("select from pg_stat_activity where datname = %s", (name,)).fetchall():
        time.sleep(0.01)


def server_seconds(main_pid: int) -> float:
    """Return the processor seconds that the server has used: of its processes, those that have ended included."""
    ticks = 0
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            pid, _, rest = stat.read_text(encoding="utf-8").partition(" (")
            fields = rest.rpartition(") ")[2].split()
        except (FileNotFoundError, ProcessLookupError):
            continue
        if int(pid) == main_pid:
            ticks += sum(map(int, fields[11:15]))
        elif int(fields[1]) == main_pid:
            ticks += sum(map(int, fields[11:13]))
    return ticks / os.sysconf("SC_CLK_TCK")


if __name__ == "__main__":
    main()
