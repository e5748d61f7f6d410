"""A search and the backends that serve it share a core, and nobody else is moved."""

import os
import signal
import socket
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from integrity.engines.embedded.server import EmbeddedServer
from integrity.engines.target import Target
from integrity.jobs.race_calls import CallRace
from integrity.operation import Statement
from integrity.race.play.one_core import OneCore
from integrity.race.play.postgresql.engine import PostgresEngine
from integrity.race.play.scheduler import Scheduler
from integrity.race.program.program import Program
from integrity.systems.stage import Ref, Stage, StagedRow

_PID = Statement("select pg_backend_pid() as pid")

pytestmark = pytest.mark.skipif(
    not hasattr(os, "sched_getaffinity") or len(os.sched_getaffinity(0)) == 1, reason="there is one core to be on"
)


@pytest.fixture
def cores() -> Iterator[set[int]]:
    """The cores that the tests may use; they may use them all again afterwards."""
    cores = os.sched_getaffinity(0)
    yield cores
    os.sched_setaffinity(0, cores)


def _play(scheduler: Scheduler) -> None:
    scheduler.play(Program((), lambda: Stage([StagedRow("box", "boxes", {"n": 0})], {"box": Ref("box")})))


def test_a_search_and_its_backends_share_a_core_until_it_is_over(database: Target, cores: set[int]) -> None:
    with database.connect() as connection:
        connection.execute("create table boxes (id bigint generated always as identity primary key, n bigint not null)")
        with Scheduler(database) as scheduler:
            _play(scheduler)
            (core,) = os.sched_getaffinity(0)
            engine = scheduler.engine
            assert isinstance(engine, PostgresEngine)
            pid = engine.ask([_PID])[0].rows[0]["pid"]
            assert os.sched_getaffinity(pid) == {core}
            assert os.sched_getaffinity(connection.info.backend_pid) == cores, "a stranger was moved"
        assert os.sched_getaffinity(0) == cores


def test_calls_that_are_not_ours_and_their_backends_come_along_and_nobody_else(database: Target, cores: set[int]) -> None:
    told: list[tuple[set[int], set[int]]] = []

    def call() -> None:
        with psycopg.connect(race.url) as connection:
            connection.execute("select count(*) from pg_class")
            told.append((os.sched_getaffinity(0), os.sched_getaffinity(connection.info.backend_pid)))

    is_over = threading.Event()
    beside = threading.Thread(target=is_over.wait)
    beside.start()
    with database.connect() as stranger:
        with CallRace(database, test_database=database.url.database) as race:
            race(call)
            assert os.sched_getaffinity(stranger.info.backend_pid) == cores
        assert beside.native_id is not None
        assert os.sched_getaffinity(0) == os.sched_getaffinity(beside.native_id) == cores
    is_over.set()
    beside.join()
    assert [at for at in told if len(at[0]) == 1 and at[0] == at[1]], told


def test_a_process_comes_along_with_its_children(server: EmbeddedServer, cores: set[int]) -> None:
    with (
        server.target.connect() as connection,
        subprocess.Popen(
            ["sh", "-c", "sleep 60 & echo $!; wait"], stdout=subprocess.PIPE, start_new_session=True
        ) as parent,
    ):
        assert parent.stdout is not None
        child = int(parent.stdout.readline())
        core = OneCore()
        core.add(connection.info.backend_pid, connection.fileno())
        core.accompany(parent.pid, with_children=True)
        core.keep()
        (kept,) = os.sched_getaffinity(0)
        assert os.sched_getaffinity(parent.pid) == os.sched_getaffinity(child) == {kept}
        core.close()
        assert os.sched_getaffinity(parent.pid) == os.sched_getaffinity(child) == os.sched_getaffinity(0) == cores
        os.killpg(parent.pid, signal.SIGKILL)


def test_it_moves_now_and_then(database: Target, cores: set[int], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("integrity.race.play.one_core._MOVE_EVERY_SECONDS", 0.0)
    with database.connect() as connection:
        connection.execute("create table boxes (id bigint generated always as identity primary key, n bigint not null)")
    with Scheduler(database) as scheduler:
        kept = []
        for _ in range(4):
            _play(scheduler)
            kept.append(len(os.sched_getaffinity(0)))
        assert kept == [1, len(cores), 1, len(cores)]


def test_a_process_that_only_has_a_backends_pid_is_left_alone(server: EmbeddedServer, cores: set[int]) -> None:
    with server.target.connect() as connection:
        backend, end = connection.info.backend_pid, connection.fileno()
        one, other = socket.socketpair()
        with one, other:
            core = OneCore()
            core.add(backend, one.fileno())  # at the other end is not its server
            core.add(os.getpid(), end)  # not what serves at the other end
            core.keep()
        assert os.sched_getaffinity(backend) == cores
        assert os.sched_getaffinity(0) == cores


def test_a_server_by_tcp_is_left_alone(cores: set[int]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listening, socket.create_connection(listening.getsockname()) as end:
        core = OneCore()
        core.add(os.getpid(), end.fileno())
        core.keep()
        assert os.sched_getaffinity(0) == cores


def test_a_backend_that_is_gone_is_forgotten(server: EmbeddedServer, cores: set[int]) -> None:
    core = OneCore()
    with server.target.connect() as connection:
        pid = connection.info.backend_pid
        core.add(pid, connection.fileno())
    while Path(f"/proc/{pid}").exists():
        pass
    core.keep()
    core.release()
    assert os.sched_getaffinity(0) == cores
