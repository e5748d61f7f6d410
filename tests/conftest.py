"""Fixtures for tests on a real PostgreSQL: one server a test process, a fresh database a test."""

import gc
import itertools
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import psycopg
import pytest
from hypothesis import settings
from psycopg import sql

from integrity.engines.embedded.server import EmbeddedServer
from integrity.engines.target import Target
from integrity.proxy.tls import find_context
from integrity.typed import forget_given
from tests.sampling import SEED_VARIABLE, draw_seed, mark_exhaustive, seed

# Its core may be loaded once in a process, and what pytester loads first it forgets.
find_context("127.0.0.1")

# A shell ignores SIGINT for what it runs in the background, and children inherit that; tests press Ctrl-C on purpose.
signal.signal(signal.SIGINT, signal.default_int_handler)

# Else each command that a test starts compiles all that it imports, which takes longer than what most of them do.
sys.dont_write_bytecode = False
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)

collect_ignore = ["examples"]
"""A user's own files; tests/docs runs them as a user would."""

# What a message says is asked in many tests, and where it is folded in those of the layout and of whole outputs.
os.environ["COLUMNS"] = "10000"

# How long an example takes on a busy machine says nothing about the property.
settings.register_profile("any machine", deadline=None)
settings.load_profile("any machine")


def pytest_configure() -> None:
    draw_seed()


def pytest_report_header() -> str:
    return f"seed: {seed()}; {SEED_VARIABLE}={seed()} plays the same sample and the same random worlds again"


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Leave to the proof what the suite has no time for."""
    mark_exhaustive(items)


@pytest.hookimpl(trylast=True)
def pytest_collection_finish() -> None:
    """Let what was collected stay: half a million objects, which each full collection, and each run, would look at."""
    gc.collect()
    gc.freeze()


@pytest.fixture(autouse=True)
def ctrl_c_is_given_back() -> Iterator[None]:
    """Behind a test Python itself answers Ctrl-C, as before it: else another test, far from here, waits for it in vain."""
    yield
    left = signal.signal(signal.SIGINT, signal.default_int_handler)
    assert left is signal.default_int_handler, f"Ctrl-C is answered by {left}"


@pytest.fixture(autouse=True)
def nothing_was_typed() -> Iterator[None]:
    """Behind a test that calls a command as a function no command is told with the options of that one."""
    yield
    forget_given()


MakeDatabase = Callable[[str | None], Target]

THROWAWAY_SETTINGS = {
    **{"fsync": "off", "full_page_writes": "off", "shared_buffers": "128MB", "max_wal_size": "512MB"},
    "shared_preload_libraries": "",  # it counts no statements
}
"""What is lost when the machine goes down is of no use to a test; synchronous_commit stays on, as users have it."""


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmbeddedServer]:
    """A running server of this test process's own, which ends with it, even when it is killed."""
    server = EmbeddedServer(tmp_path_factory.mktemp("postgres"), settings=THROWAWAY_SETTINGS, dies_with_parent=True)
    server.start()
    yield server
    server.reset()


LayData = Callable[[Path], None]


@pytest.fixture(scope="session")
def lay_data(tmp_path_factory: pytest.TempPathFactory) -> LayData:
    """Lay into a server's folder the data that its first start would make: a copy, in a tenth of the time."""
    made = EmbeddedServer(tmp_path_factory.mktemp("laid"), settings=THROWAWAY_SETTINGS, dies_with_parent=True)
    made.start()
    made.stop()

    def lay(home: Path) -> None:
        home.mkdir(parents=True)
        subprocess.run(["cp", "-a", made.home / "data", home / "data"], check=True)

    return lay


@pytest.fixture(scope="session")
def _admin(server: EmbeddedServer) -> Iterator["psycopg.Connection[tuple[object, ...]]"]:
    with server.target.connect(application_name="tests") as connection:
        yield connection


@pytest.fixture(scope="session")
def _leave(_admin: "psycopg.Connection[tuple[object, ...]]") -> Iterator[Callable[[str], None]]:
    """Take databases that are done with, and drop them some at a time.

    Each drop waits for a checkpoint, which costs as much as what was written since the last one: in a row, all but the
    first are almost free.
    """
    left: list[str] = []

    def drop() -> None:
        for name in left:
            _admin.execute(sql.SQL("drop database if exists {} with (force)").format(sql.Identifier(name)))
        left.clear()

    def leave(name: str) -> None:
        left.append(name)
        if len(left) >= LEFT_MOST:
            drop()

    yield leave
    drop()


LEFT_MOST = 16
"""Of some 10 MB each."""


@pytest.fixture
def make_database(
    server: EmbeddedServer, _admin: "psycopg.Connection[tuple[object, ...]]", _leave: Callable[[str], None]
) -> Iterator[MakeDatabase]:
    """Make databases: empty ones, or copies of the one that is named, which nobody may be connected to.

    They are dropped some time after the test, whoever is still connected. `Target.url.database` is a database's name.
    """
    made: list[str] = []

    def make(template: str | None = None) -> Target:
        name = f"test_{os.getpid()}_{next(_numbers)}"
        _admin.execute(
            sql.SQL("create database {} template {}").format(sql.Identifier(name), sql.Identifier(template or "template0"))
        )
        made.append(name)
        return Target(server.target.url.set(database=name))

    yield make
    for name in made:
        _admin.execute("select pg_terminate_backend(pid) from pg_stat_activity where datname = %s", (name,))
        _leave(name)


@pytest.fixture
def database(make_database: MakeDatabase) -> Target:
    """A fresh empty database."""
    return make_database(None)


_numbers = itertools.count(1)
