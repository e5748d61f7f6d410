"""Autovacuum works when it likes: a scratch database is dropped in its midst, and a race does not change with it."""

import time
from collections.abc import Iterator
from contextlib import closing
from string import Formatter
from typing import Any

import pytest

from integrity.engines.embedded.server import EmbeddedServer
from integrity.engines.postgresql.copies import drop, server_beside, take
from integrity.engines.target import Target
from integrity.race.export.postgresql.template import TEMPLATE
from integrity.race.play.engine import Scratch
from integrity.race.play.postgresql.scratch import fill
from integrity.race.rows.postgresql.copy import is_busy
from integrity.reference.ghostpass.system import GHOSTPASS

WORKED_ON = """
    create table t (number integer) with (
        autovacuum_vacuum_cost_delay = 100, autovacuum_vacuum_cost_limit = 1, autovacuum_vacuum_threshold = 1
    );
    insert into t select generate_series(1, 300000);
    delete from t;
"""
"""A table that keeps a worker busy for minutes."""


@pytest.fixture(scope="module")
def busy_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmbeddedServer]:
    """A server whose autovacuum looks for work every second, with an ordinary user."""
    settings = {"autovacuum_naptime": "1s", "fsync": "off"}
    server = EmbeddedServer(tmp_path_factory.mktemp("busy"), settings=settings, dies_with_parent=True)
    server.start()
    with closing(server.target.connect()) as admin:
        admin.execute("create role maker login createdb")
    yield server
    server.reset()


def wait_for_a_worker(server: EmbeddedServer, database: str | None) -> None:
    asked = "select from pg_stat_activity where datname = %s and backend_type = 'autovacuum worker'"
    with closing(server.target.connect()) as admin:
        until = time.monotonic() + 120
        while not admin.execute(asked, (database,)).fetchall():
            assert time.monotonic() < until, "no worker came"
            time.sleep(0.05)


def test_an_ordinary_users_scratch_database_is_dropped_while_autovacuum_works_there(
    busy_server: EmbeddedServer,
) -> None:
    target = Target(busy_server.target.url.set(username="maker"))
    with target.make_scratch("race") as scratch:
        with closing(scratch.connect()) as connection:
            connection.execute(WORKED_ON)
        wait_for_a_worker(busy_server, scratch.url.database)
    with closing(busy_server.target.connect()) as admin:
        assert admin.execute("select datname from pg_database where datname like 'integrity_tmp_%'").fetchall() == []


def test_an_ordinary_users_database_is_copied_while_autovacuum_works_there(busy_server: EmbeddedServer) -> None:
    target = Target(busy_server.target.url.set(username="maker"))
    with closing(target.connect()) as admin:
        admin.execute("create database ledger")
    ledger = Target(target.url.set(database="ledger"))
    with closing(ledger.connect()) as connection:
        connection.execute(WORKED_ON)
    wait_for_a_worker(busy_server, "ledger")
    with server_beside(ledger) as server:
        assert not is_busy(server, "ledger")
    copy, ended = take(ledger, "before", may_end_sessions=False)
    assert ended == ()
    drop(ledger, copy)


def test_an_ordinary_users_exported_test_drops_its_database_while_autovacuum_works_there(
    busy_server: EmbeddedServer,
) -> None:
    exported: dict[str, Any] = {}
    head = (
        TEMPLATE[: TEMPLATE.index("RULE = ")] + "\n" + TEMPLATE[TEMPLATE.index("def drop(") : TEMPLATE.index("def play(")]
    )
    fields = {name: "" for _, name, _, _ in Formatter().parse(head) if name}
    exec(head.format(**fields), exported)  # noqa: S102 -- as pytest runs it, without its race
    target = Target(busy_server.target.url.set(username="maker"))
    with closing(target.connect()) as admin:
        admin.execute("create database race_made")
        with closing(Target(target.url.set(database="race_made")).connect()) as connection:
            connection.execute(WORKED_ON)
        wait_for_a_worker(busy_server, "race_made")
        exported["drop"](admin, "race_made")
        assert admin.execute("select from pg_database where datname = 'race_made'").fetchall() == []


def test_no_table_of_a_race_is_looked_after_by_autovacuum(database: Target) -> None:
    fill(Scratch(database, like=database, system=GHOSTPASS, dropped=(), bug="", is_spread=True))
    kept = "relkind = 'r' and relnamespace = 'ghostpass'::regnamespace"
    with closing(database.connect()) as connection:
        (tables,) = connection.execute(f"select count(*) from pg_class where {kept}").fetchall()
        asked = f"select relname from pg_class where {kept} and not ('autovacuum_enabled=false' = any (reloptions)) is true"
        assert connection.execute(asked).fetchall() == []
    assert tables == (len(GHOSTPASS.metadata.sorted_tables),)
