"""`integrity db` starts, finds, enters and stops the embedded server, and says why it will not."""

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from integrity.engines.embedded.server import EmbeddedServer
from integrity.engines.occupancy import occupy
from integrity.engines.target import Target
from integrity.errors import Unreachable
from tests.conftest import LayData

Run = Callable[..., "subprocess.CompletedProcess[str]"]
ELSEWHERE = "postgresql://user:hunter2@127.0.0.1:1/name"


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Run]:
    """Run `integrity db` in a folder of the test's own; its server is stopped afterwards."""
    monkeypatch.delenv("INTEGRITY_DATABASE_URL", raising=False)
    with running_in(tmp_path) as run:
        yield run


@contextmanager
def running_in(folder: Path) -> Iterator[Run]:
    """Run `integrity db` in a folder; its server is stopped afterwards."""

    def run(*words: str, stdin: str = "") -> "subprocess.CompletedProcess[str]":
        command = [sys.executable, "-m", "integrity", "db", *words]
        return subprocess.run(command, input=stdin, capture_output=True, text=True, cwd=folder, check=False, timeout=60)

    try:
        yield run
    finally:
        EmbeddedServer(folder / ".integrity/postgres").stop()


@pytest.fixture
def _has_data(tmp_path: Path, lay_data: LayData) -> None:
    """The server of the test's folder was started before."""
    lay_data(tmp_path / ".integrity" / "postgres")


def test_the_server_outlives_the_command_until_it_is_stopped(run: Run, tmp_path: Path) -> None:
    started = run("start")
    assert started.returncode == 0, started.stderr
    running = json.loads(run("status", "--json").stdout)
    assert running["is_running"] is True
    assert running["version"] == 18
    assert running["folder"] == str(tmp_path / ".integrity/postgres")
    assert f"pid {running['pid']}" in run("start").stdout, "the same server"
    assert run("url").stdout == f"{running['url']}\n"
    assert run("stop").stdout == "Stopped.\n"
    stopped = run("status", "--json")
    assert stopped.returncode == 3
    assert json.loads(stopped.stdout)["pid"] is None
    assert run("stop").stdout == "It was not running.\n"


@pytest.mark.usefixtures("_has_data")
def test_leaving_the_server_behind_gives_no_warning(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONWARNINGS", "error")
    started = run("start")
    assert (started.returncode, started.stderr) == (0, "")


def test_status_of_a_project_without_a_server_makes_nothing(run: Run, tmp_path: Path) -> None:
    asked = run("status")
    assert (asked.returncode, asked.stderr) == (3, "")
    assert "there is no data yet" in asked.stdout
    assert list(tmp_path.iterdir()) == []


@pytest.mark.usefixtures("_has_data")
def test_psql_starts_the_server_and_passes_its_own_arguments_on(run: Run) -> None:
    entered = run("psql", "-At", "-c", "select 41 + 1", "-c", "select current_database()")
    assert (entered.stdout, entered.returncode) == ("42\nintegrity\n", 0)
    assert run("psql", "-At", stdin="select 43;\n").stdout == "43\n"
    assert run("psql", "-c", "select nonsense").returncode == 1


@pytest.mark.usefixtures("_has_data")
def test_reset_asks_first(run: Run, tmp_path: Path) -> None:
    data = tmp_path / ".integrity/postgres/data"
    run("psql", "-c", "create table kept ()")
    nobody_to_ask = run("reset")
    assert nobody_to_ask.returncode == 2
    assert "hint: Without a terminal: integrity db reset --yes" in nobody_to_ask.stderr
    assert run("reset", stdin="n\n").returncode == 2
    assert data.exists()
    assert run("reset", stdin="y\n").stdout == "Deleted.\n"
    assert not data.exists()
    assert run("status").returncode == 3


@pytest.mark.usefixtures("_has_data")
@pytest.mark.parametrize(
    "words", [("stop",), pytest.param(("reset", "--yes"), marks=pytest.mark.exhaustive)], ids=["stop", "reset"]
)
def test_a_server_is_not_stopped_while_a_run_works_in_any_of_its_databases(
    run: Run, tmp_path: Path, words: tuple[str, ...]
) -> None:
    run("start")
    server = EmbeddedServer(tmp_path / ".integrity/postgres")
    elsewhere = Target(server.target.url.set(database="template1"))
    with occupy(elsewhere, "run 20260117-ghostpass-smoke", is_exclusive=False):
        refused = run(*words)
        assert refused.returncode == 2
        assert "a run works there in template1: 20260117-ghostpass-smoke, started 20" in refused.stderr
        assert "integrity stop" in refused.stderr
        assert server.status().is_running
    assert run(*words).returncode == 0
    assert not server.status().is_running


def test_the_url_of_the_embedded_server_may_be_named(lay_data: LayData, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of a long path, whose socket lies elsewhere, tests/database/test_embedded.py says the same."""
    monkeypatch.delenv("INTEGRITY_DATABASE_URL", raising=False)
    with TemporaryDirectory(dir="/tmp") as folder, running_in(Path(folder)) as run:
        lay_data(Path(folder) / ".integrity" / "postgres")
        own = Target.parse(run("url").stdout.strip())
        other = Target(own.url.set(database="library"))
        monkeypatch.setenv("INTEGRITY_DATABASE_URL", other.text)
        with pytest.raises(Unreachable, match='database "library" does not exist') as missing, other.asking():
            pass
        assert "integrity db start" not in str(missing.value.hint)
        assert run("status").returncode == 0
        assert run("stop").stdout == "Stopped.\n"
        with pytest.raises(Unreachable) as stopped, other.asking():
            pass
        assert str(stopped.value.hint).endswith("and stopped; there: integrity db start")
        assert run("status").returncode == 3


@pytest.mark.parametrize("act", ["start", "stop", "status", "reset"])
def test_another_database_is_not_the_embedded_servers_to_manage(run: Run, act: str) -> None:
    refused = run(act, "--database", ELSEWHERE)
    assert refused.returncode == 2
    assert f"db {act} is for the embedded server, but --database names postgresql://user:***@127.0.0.1:1" in refused.stderr
    assert "hint: Leave --database out." in refused.stderr


def test_the_place_that_names_another_database_is_told(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "integrity.toml").write_text(f'[database]\nurl = "{ELSEWHERE}"\n')
    assert "but integrity.toml names" in run("stop").stderr
    monkeypatch.setenv("INTEGRITY_DATABASE_URL", "sqlite:///venue.db")
    assert "but INTEGRITY_DATABASE_URL names sqlite:///venue.db" in run("stop").stderr


def test_url_and_psql_work_with_another_database_and_hide_its_password(run: Run) -> None:
    assert run("url", "--database", ELSEWHERE).stdout == "postgresql://user:***@127.0.0.1:1/name\n"
    entered = run("psql", "--database", ELSEWHERE, "-c", "select 1")
    assert entered.returncode == 2
    assert "Connection refused" in entered.stderr
    assert "hunter2" not in entered.stderr


def test_psql_has_the_password_and_its_command_line_has_not(tmp_path: Path) -> None:
    """A stand-in for psql says what every user of the machine could read of it, and what it alone can."""
    program = tmp_path / "psql"
    program.write_text('#!/bin/sh\ntr "\\0" " " < /proc/$$/cmdline\necho\nread -r line < "$PGPASSFILE"\necho "$line"\n')
    for name in ("psql", "postgres", "initdb"):
        (tmp_path / name).write_text(program.read_text())
        (tmp_path / name).chmod(0o755)
    url = "postgresql://user:with%20hunter2@127.0.0.1:1/name?sslpassword=hunter3&sslmode=prefer"
    environment = {**os.environ, "INTEGRITY_PG_BIN": str(tmp_path), "INTEGRITY_DATABASE_URL": url}
    command = [sys.executable, "-m", "integrity", "db", "psql", "-At"]
    ran = subprocess.run(command, env=environment, capture_output=True, text=True, cwd=tmp_path, check=False, timeout=60)
    line, secret = ran.stdout.splitlines()
    assert line.endswith("-At --dbname postgresql://user@127.0.0.1:1/name?sslmode=prefer "), ran.stderr
    assert secret == "*:*:*:*:with hunter2"


@pytest.mark.parametrize(
    ("words", "reason"),
    [
        (["nosuch"], "no such command 'nosuch'"),
        (["start", "--nosuch"], "no such option"),
        (["start", "--project", "nosuch"], "Directory 'nosuch' does not exist"),
        (["psql", "--database", "sqlite:///venue.db"], "is not PostgreSQL"),
        (["url", "--database", "venue"], "not a database URL: 'venue'"),
    ],
)
def test_bad_input_is_told_in_a_few_lines(run: Run, words: list[str], reason: str) -> None:
    refused = run(*words)
    assert refused.returncode == 2
    assert refused.stdout == ""
    assert reason in refused.stderr
    assert "Traceback" not in refused.stderr


def test_a_folder_that_cannot_be_made_is_told(run: Run, tmp_path: Path) -> None:
    (tmp_path / ".integrity").write_text("a file\n")
    refused = run("start")
    assert refused.returncode == 2
    assert f"{tmp_path}/.integrity: cannot be written: File exists" in refused.stderr


def test_programs_that_do_not_run_are_told(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("INTEGRITY_PG_BIN", str(tmp_path))
    refused = run("start")
    assert refused.returncode == 2
    assert f"Tried: {tmp_path} (INTEGRITY_PG_BIN" in refused.stderr
    assert "Traceback" not in refused.stderr
