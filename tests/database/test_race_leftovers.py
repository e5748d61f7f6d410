"""What races leave behind on a server, also where they are interrupted, killed, or may not make databases: nothing."""

import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from psycopg import sql

from integrity.database.namespace import create_schemas, inspect_database
from integrity.engines.embedded.server import EmbeddedServer
from integrity.engines.target import Target
from integrity.reference.ghostpass.system import GHOSTPASS
from tests.database.race_commands import Command, run_beside, scratch_databases
from tests.waiting import wait_until

LOST_UPDATE = ("race", "ghostpass", "sell", "sell", "--bug", "lost_update")


@pytest.fixture
def integrity(
    database: Target, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Iterator[Command]:
    yield from run_beside(database, tmp_path, monkeypatch, capsys)


def test_an_interrupted_race_leaves_no_database(database: Target, tmp_path: Path) -> None:
    command = [sys.executable, "-m", "integrity", "race", "--database", database.text, "--jobs", "2", "--budget", "5m"]
    race = subprocess.Popen(command, cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    wait_until(lambda: len(busy_schemas(database)) == 2)
    race.send_signal(signal.SIGINT)
    _, err = race.communicate(timeout=30)
    told = "databases of races (integrity_tmp_race_...) are made beside this one, and dropped at the end"
    said, *others = err.strip().splitlines()
    assert said.startswith("racing ghostpass, which ships, as nothing was named: 21 pairs of operations")
    assert (race.returncode, others) == (130, [told, "integrity: interrupted"])
    assert scratch_databases(database) == []


@pytest.mark.exhaustive
def test_what_a_killed_race_left_is_dropped_by_the_next(integrity: Command, database: Target, tmp_path: Path) -> None:
    command = [sys.executable, "-m", "integrity", "race", "--database", database.text, "--budget", "5m"]
    race = subprocess.Popen(command, cwd=tmp_path, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    wait_until(lambda: len(busy_schemas(database)) == 1)
    race.kill()
    race.wait()
    left = scratch_databases(database)
    assert len(left) == 1
    wait_until(lambda: not backends_in(database, left[0]))
    assert integrity("race", "ghostpass", "sell", "--schedule", "AB")[0] == 0
    assert scratch_databases(database) == []


@pytest.mark.exhaustive
def test_the_processes_of_a_killed_race_end_with_it(integrity: Command, database: Target, tmp_path: Path) -> None:
    command = [sys.executable, "-m", "integrity", "race", "--database", database.text, "--jobs", "2", "--budget", "5m"]
    race = subprocess.Popen(command, cwd=tmp_path, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    wait_until(lambda: len(busy_schemas(database)) == 2)
    race.kill()
    race.wait()
    left = scratch_databases(database)
    assert len(left) == 2
    wait_until(lambda: not any(backends_in(database, name) for name in left))
    assert integrity("race", "ghostpass", "sell", "--schedule", "AB")[0] == 0
    assert scratch_databases(database) == []


def test_a_server_that_dies_in_the_middle_is_said_to_have(tmp_path: Path) -> None:
    server = EmbeddedServer(tmp_path / "server", dies_with_parent=True)
    server.start()
    try:
        command = [sys.executable, "-m", "integrity", "race", "--database", server.target.text, "--budget", "5m"]
        race = subprocess.Popen(command, cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        wait_until(lambda: len(busy_schemas(server.target)) == 1)
        pid = server.status().pid
        assert pid is not None
        os.kill(pid, signal.SIGQUIT)  # an immediate shutdown
        _, err = race.communicate(timeout=60)
    finally:
        server.reset()
    assert race.returncode == 2
    assert re.search(r"the connection to postgresql://\S+ broke|cannot connect to postgresql://", err), err
    assert "Traceback" not in err


@pytest.fixture
def poor(database: Target, server: EmbeddedServer) -> Iterator[Target]:
    """The database, as a user who owns it and may not create another."""
    with server.target.connect() as admin:
        admin.execute("create role poor login")
        admin.execute(sql.SQL("alter database {} owner to poor").format(sql.Identifier(str(database.url.database))))
        yield Target(database.url.set(username="poor"))
        with database.connect() as inside:
            inside.execute("reassign owned by poor to current_user")
            inside.execute("drop owned by poor")
        admin.execute("drop role poor")


def test_a_user_who_may_not_create_databases_races_in_an_empty_one(integrity: Command, poor: Target) -> None:
    code, out, _ = integrity(*LOST_UPDATE, "--database", poor.text, "--schedule", "AB")
    assert code == 1, out
    assert inspect_database(poor).is_empty


def test_a_user_who_may_not_create_databases_does_not_race_in_a_seeded_one(integrity: Command, poor: Target) -> None:
    create_schemas(poor, [GHOSTPASS])
    code, _, err = integrity("race", "ghostpass", "sell", "--database", poor.text)
    assert code == 2
    assert "may not create databases" in err
    assert "createdb" in err
    assert inspect_database(poor).systems == ("ghostpass",)


def test_actors_who_need_more_connections_than_there_are_are_told(
    integrity: Command, poor: Target, server: EmbeddedServer
) -> None:
    with server.target.connect() as admin:
        admin.execute("alter role poor connection limit 4")
    code, _, err = integrity("race", "ghostpass", "sell", "--actors", "4", "--schedule", "A", "--database", poor.text)
    assert code == 2
    assert "4 actors need 5 connections" in err
    assert "Race fewer actors" in err


def busy_schemas(target: Target) -> list[str]:
    """Return the scratch databases in which actors are at work."""
    with target.connect() as connection:
        found = connection.execute(
            """
            select datname from pg_stat_activity where starts_with(datname, 'integrity_tmp_race_')
            and application_name = 'integrity race'
            group by datname having count(*) >= 3 and bool_or(query = 'commit')
            """
        )
        return [name for (name,) in found.fetchall()]


def backends_in(target: Target, name: str) -> int:
    with target.connect() as connection:
        found = connection.execute("select count(*) from pg_stat_activity where datname = %s", (name,)).fetchone()
        assert found is not None
        return int(found[0])
