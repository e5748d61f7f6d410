"""Drivers work through the proxy as they do without it: one script, straight and through, with the same results."""

import asyncio
import io
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import asyncpg
import psycopg
import pytest
import sqlalchemy

from integrity.engines.target import Target
from tests.database.proxies import standing

HERE = Path(__file__).parent
Script = Callable[[str], Any]


def straight_and_through(database: Target, script: Script) -> list[str]:
    """Return the statements that passed the proxy, when the script told the same as without it."""
    straight = script(database.text)
    with standing(database) as stood:
        assert script(stood.url) == straight
    assert straight
    assert stood.texts
    assert stood.counts["connections that did not speak the protocol"] == 0
    return stood.texts


def with_psycopg(url: str) -> list[Any]:
    told: list[Any] = []
    notices: list[str | None] = []
    with psycopg.connect(url, autocommit=True) as server:
        server.add_notice_handler(lambda notice: notices.append(notice.message_primary))
        server.execute("create temporary table marks (id int primary key, text text, amount numeric, day date, data bytea)")
        for number in range(8):  # from the fifth on it is prepared by name
            server.execute(
                "insert into marks values (%s, %b, %s, %t, %b)",
                [number, f"text {number}", number / 4, "2026-01-31", b"\0\1"],
            )
        told.append(server.execute("select * from marks order by id").fetchall())
        told.append(server.execute("select * from marks order by id", binary=True).fetchall())
        with server.pipeline():
            cursors = [server.execute("select %s::int + 1", [number]) for number in range(20)]
            told.append([cursor.fetchall() for cursor in cursors])
        try:
            with server.pipeline() as pipeline:
                server.execute("select 1")
                server.execute("select 1 / 0")
                server.execute("select 2")
                pipeline.sync()
        except psycopg.Error as error:
            told.append(error.sqlstate)
        with server.cursor() as cursor:
            with cursor.copy("copy marks (id, text) from stdin") as copy:
                for number in range(100, 400):
                    copy.write_row([number, "x" * number])
            with cursor.copy("copy (select id, text from marks order by id) to stdout (format binary)") as copy:
                told.append(b"".join(bytes(piece) for piece in copy))
            try:
                with cursor.copy("copy marks (id) from stdin") as copy:
                    copy.write_row([0])
            except psycopg.Error as error:
                told.append(error.sqlstate)
        with server.transaction(), server.cursor("by_pieces") as pieces:
            pieces.itersize = 7
            told.append([row[0] for row in pieces.execute("select id from marks order by id")])
        server.execute("do $$ begin raise notice 'hello'; end $$")
        server.execute("listen news")
        server.execute("notify news, 'heard'")
        told.append([notify.payload for notify in server.notifies(timeout=5, stop_after=1)])
        told.append(notices)
    return told


CANCELLING = """
import sys, time, psycopg
from psycopg import pq

IS_ASLEEP = "select 1 from pg_stat_activity where query = 'select pg_sleep(600)' and wait_event = 'PgSleep'"

url = sys.argv[1]
with psycopg.connect(url, autocommit=True) as server, psycopg.connect(url, autocommit=True) as other:
    server.pgconn.send_query(b"select pg_sleep(600)")
    while not other.execute(IS_ASLEEP + " and datname = current_database()").fetchone():
        time.sleep(0.01)  # what is cancelled before it is carried out goes on
    server.cancel_safe()
    while server.pgconn.is_busy():
        server.pgconn.consume_input()
    result = server.pgconn.get_result()
    state = result.error_field(pq.DiagnosticField.SQLSTATE)
    print(state, server.pgconn.get_result(), server.execute("select 1").fetchone())
"""


def with_psycopg_cancelling(url: str) -> list[Any]:
    """In a process of its own: libpq may wait for the proxy's answer without letting other threads of its process run."""
    ran = subprocess.run([sys.executable, "-c", CANCELLING, url], capture_output=True, text=True, check=False, timeout=60)
    assert ran.stdout == "b'57014' None (1,)\n", ran.stderr
    return [ran.stdout]


def with_psycopg2(url: str) -> list[Any]:
    psycopg2 = pytest.importorskip("psycopg2", reason="psycopg2 is not installed")
    server = psycopg2.connect(url)
    told: list[Any] = []
    with server, server.cursor() as cursor:
        cursor.execute("create temporary table marks (id int, text text)")
        cursor.executemany("insert into marks values (%s, %s)", [(1, "one"), (2, None)])
        cursor.copy_expert("copy marks from stdin", io.StringIO("3\tthree\n"))
        out = io.StringIO()
        cursor.copy_expert("copy marks to stdout", out)
        cursor.execute("select * from marks; select count(*) from marks")
        told += [out.getvalue(), cursor.fetchall()]
        cursor.execute("do $$ begin raise notice 'hello'; end $$")
    with server, server.cursor("by_pieces") as cursor:
        cursor.itersize = 1
        cursor.execute("select id from marks")
        told += [cursor.fetchall(), list(server.notices)]
    server.close()
    return told


def with_asyncpg(url: str) -> list[Any]:
    async def work() -> list[Any]:
        server = await asyncpg.connect(url)
        told: list[Any] = []
        await server.execute("create temporary table marks (id int primary key, text text); select 1")
        await server.executemany("insert into marks values ($1, $2)", [(number, f"text {number}") for number in range(50)])
        told.append([tuple(row) for row in await server.fetch("select * from marks where id < $1 order by id", 9)])
        async with server.transaction():
            told.append([row["id"] async for row in server.cursor("select id from marks order by id", prefetch=7)])
        try:
            await server.execute("insert into marks values ($1, 'again')", 1)
        except asyncpg.UniqueViolationError as error:
            told.append(error.sqlstate)
        await server.copy_records_to_table("marks", records=[(number, None) for number in range(100, 120)])
        out = io.BytesIO()
        await server.copy_from_query("select id from marks order by id", output=out)
        told.append(out.getvalue())
        try:
            await server.fetch("select pg_sleep(600)", timeout=0.05)
        except TimeoutError:
            told.append("cancelled")
        heard: asyncio.Queue[Any] = asyncio.Queue()
        await server.add_listener("news", lambda *what: heard.put_nowait(what[-1]))
        await server.execute("notify news, 'heard'")
        told.append(await asyncio.wait_for(heard.get(), 10))
        await server.close()
        return told

    return asyncio.run(work())


def with_sqlalchemy(url: str) -> list[Any]:
    engine = sqlalchemy.create_engine(url.replace("postgresql://", "postgresql+psycopg://"), pool_pre_ping=True)
    told: list[Any] = []
    for _ in range(2):  # the second time with a connection of the pool
        with engine.begin() as server:
            server.execute(sqlalchemy.text("create temporary table if not exists marks (id int, text text)"))
            rows = [{"id": number, "text": "x"} for number in range(3)]
            server.execute(sqlalchemy.text("insert into marks values (:id, :text)"), rows)
            told.append([tuple(row) for row in server.execute(sqlalchemy.text("select * from marks"))])
    engine.dispose()
    return told


def with_sqlalchemy_on_asyncpg(url: str) -> list[Any]:
    pytest.importorskip("greenlet", reason="greenlet is not installed, without which SQLAlchemy has no asyncpg")
    from sqlalchemy.ext.asyncio import create_async_engine

    async def work() -> list[Any]:
        engine = create_async_engine(url.replace("postgresql://", "postgresql+asyncpg://"))
        async with engine.begin() as server:
            await server.execute(sqlalchemy.text("create temporary table marks (id int)"))
            await server.execute(sqlalchemy.text("insert into marks values (:id)"), [{"id": 1}, {"id": 2}])
            told = [tuple(row) for row in await server.execute(sqlalchemy.text("select * from marks"))]
        await engine.dispose()
        return told

    return asyncio.run(work())


@pytest.mark.parametrize(
    "script",
    [with_psycopg, with_psycopg_cancelling, with_psycopg2, with_asyncpg, with_sqlalchemy, with_sqlalchemy_on_asyncpg],
)
def test_a_driver_works_through_it_as_it_does_without(database: Target, script: Script) -> None:
    straight_and_through(database, script)


def test_every_statement_of_a_pipeline_is_known_with_its_parameters_and_rows(database: Target) -> None:
    with standing(database) as stood, psycopg.connect(stood.url, autocommit=True) as server, server.pipeline():
        for number in range(10):
            server.execute("select n, %s::int as own from generate_series(1, %s) n", [number, number])
    told = [(each["parameters"], each["row_count"], each["tag"]) for cycle in stood.cycles for each in cycle["statements"]]
    assert [one for one in told if one[0]] == [([str(n), str(n)], n, f"SELECT {n}") for n in range(10)]


def run(command: list[str], url: str) -> str:
    target = Target.parse(url)
    options = {"PGPASSWORD": "", "PGOPTIONS": "-c client_min_messages=warning"}
    ran = subprocess.run(
        [*command, target.text], capture_output=True, text=True, check=False, timeout=60, env={**os.environ, **options}
    )
    assert ran.returncode == 0, ran.stderr
    return ran.stdout


@pytest.mark.parametrize("protocol", ["simple", "extended", "prepared"])
def test_pgbench_runs_through_it(database: Target, protocol: str) -> None:
    if shutil.which("pgbench") is None:
        pytest.skip("pgbench is not installed")

    def bench(url: str) -> str:
        run(["pgbench", "--initialize", "--quiet", "--init-steps", "dtgvp"], url)
        return run(["pgbench", "-n", "-c", "3", "-t", "30", "--protocol", protocol], url).split("processed: ")[1].split()[0]

    texts = straight_and_through(database, bench)
    assert sum(text.lower().startswith("end") for text in texts) == 90


def test_a_dump_is_the_same_through_it(database: Target) -> None:
    dumps = "pg_dump"
    if shutil.which(dumps) is None:
        pytest.skip("pg_dump is not installed")
    with database.connect() as server:
        server.execute(
            "create table if not exists dumped as select n, repeat('x', n) as text from generate_series(1, 500) n"
        )
        version = server.info.server_version // 10000
    said = subprocess.run([dumps, "--version"], capture_output=True, text=True, check=True).stdout.split()[2]
    if int(said.split(".")[0]) < version:
        pytest.skip(f"pg_dump {said} does not dump a server of version {version}")

    def dump(url: str) -> list[str]:
        return [line for line in run([dumps], url).splitlines() if "restrict " not in line]  # that has a random word

    straight_and_through(database, dump)


def test_node_pg_works_through_it(database: Target) -> None:
    if shutil.which("node") is None:
        pytest.skip("node is not installed")
    found = subprocess.run(["node", "-e", "require('pg')"], capture_output=True, check=False, cwd=HERE)
    if found.returncode:
        pytest.skip("the package pg of node is not installed: NODE_PATH names the folder that has it")

    def script(url: str) -> Any:
        return json.loads(subprocess.run(["node", HERE / "driver_script.js", url], capture_output=True, check=True).stdout)

    straight_and_through(database, script)
