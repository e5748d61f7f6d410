"""An application is started, waited for, told of when it dies, and ended with all that it started."""

import os
import select
import shlex
import socket
import sys
from pathlib import Path

import pytest

from integrity.errors import UsageError
from integrity.http.client import Client
from integrity.http.request import Request
from integrity.scenarios.app import database_environment, running
from integrity.scenarios.scenario import App
from tests.unit.http_server import Got, Reply, serving

SERVER = """
import json, os, subprocess, sys
from http.server import BaseHTTPRequestHandler, HTTPServer
child = subprocess.Popen(["sleep", "600"])
class Handler(BaseHTTPRequestHandler):
    def do_GET(self):
        said = {name: os.environ.get(name) for name in ("DATABASE_URL", "PGUSER", "PGPASSWORD", "MODE")}
        body = json.dumps({**said, "child": child.pid}).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
HTTPServer(("127.0.0.1", int(os.environ["PORT"])), Handler).serve_forever()
"""
URL = "postgresql://ann:hunter2@127.0.0.1:6000/shop"


def _command(tmp_path: Path, program: str) -> str:
    file = tmp_path / "server.py"
    file.write_text(program)
    return f"{shlex.quote(sys.executable)} {shlex.quote(str(file))}"


def _has_gone(process_id: int) -> bool:
    try:
        state = Path(f"/proc/{process_id}/stat").read_text().rpartition(")")[2].split()[0]
    except FileNotFoundError:
        return True
    return state == "Z"


@pytest.mark.parametrize("ready", [None, "/health"])
def test_an_application_is_started_on_a_database_and_ended_with_what_it_started(tmp_path: Path, ready: str | None) -> None:
    app = App(command=_command(tmp_path, SERVER), env={"MODE": "test"}, ready=ready)
    with running(app, folder=tmp_path, log=tmp_path / "log" / "app", database_url=URL) as found:
        with Client(found.url) as client:
            said = client.session().send(Request("GET", "/")).json()
        assert found.how_ended() == ""
        assert found.process_id is not None
        os.kill(found.process_id, 0)
        child = os.pidfd_open(said["child"])
    assert (said["DATABASE_URL"], said["PGUSER"], said["PGPASSWORD"], said["MODE"]) == (URL, "ann", "hunter2", "test")
    assert _has_gone(found.process_id)
    assert select.select([child], [], [], 60)[0]  # can be read from when it has ended: a signal takes its time
    os.close(child)


def test_one_that_dies_is_told_with_the_end_of_what_it_printed_and_no_password(tmp_path: Path) -> None:
    program = "import os\nprint(os.environ['DATABASE_URL'], os.environ['PGPASSWORD'])\nraise SystemExit(3)"
    app = App(command=_command(tmp_path, program), ready_s=60)
    with (
        pytest.raises(
            UsageError, match=r"ended with 3 before it was ready; the end of what it printed:\n  \| \*\*\* \*\*\*"
        ) as told,
        running(app, folder=tmp_path, log=tmp_path / "app.log", database_url=URL),
    ):
        pass
    assert "hunter2" not in str(told.value)
    assert str(tmp_path / "app.log") in str(told.value)


def test_one_that_does_not_get_ready_is_ended_and_told(tmp_path: Path) -> None:
    waits: list[float] = []
    app = App(command="echo $$; exec sleep 600", ready_s=0.2)
    with (
        pytest.raises(UsageError, match=r"is not ready after 0\.2 s: waited for somebody to listen at port \d+"),
        running(app, folder=tmp_path, log=tmp_path / "app.log", on_wait=waits.append),
    ):
        pass
    assert waits == sorted(waits)
    assert waits
    assert _has_gone(int((tmp_path / "app.log").read_text()))


def test_one_that_will_not_end_is_killed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("integrity.scenarios.app.GRACE_S", 0.1)
    program = SERVER.replace(
        "child = subprocess.Popen", "import signal\nsignal.signal(signal.SIGTERM, signal.SIG_IGN)\nchild = subprocess.Popen"
    )
    with running(App(command=_command(tmp_path, program)), folder=tmp_path, log=tmp_path / "app.log") as found:
        assert found.process_id is not None
    assert _has_gone(found.process_id)


def test_one_that_dies_while_it_is_raced_is_told(tmp_path: Path) -> None:
    program = SERVER.replace("said = {", "os._exit(7)\n        said = {")
    with running(App(command=_command(tmp_path, program)), folder=tmp_path, log=tmp_path / "app.log") as found:
        with socket.create_connection(("127.0.0.1", int(found.url.rpartition(":")[2]))) as connection:
            connection.sendall(b"GET / HTTP/1.0\r\n\r\n")
            while connection.recv(1024):
                pass
        assert found.process_id is not None
        os.waitid(os.P_PID, found.process_id, os.WEXITED | os.WNOWAIT)
        assert found.how_ended() == "ended with 7"
        assert "the application ended with 7; it printed nothing\nat AB" in str(found.died("ended with 7", ["at AB"]))


def test_a_port_that_is_taken_is_refused(tmp_path: Path) -> None:
    def answer(_: Got) -> Reply:
        return Reply()

    with (
        serving(answer) as site,
        pytest.raises(UsageError, match="is taken: something else would be raced"),
        running(App(command="exit 1", url=site.url), folder=tmp_path, log=tmp_path / "app.log"),
    ):
        pass


def test_one_that_is_running_already_is_left_running(tmp_path: Path) -> None:
    def answer(_: Got) -> Reply:
        return Reply()

    with serving(answer) as site:
        with running(App(url=site.url, ready="/"), folder=tmp_path, log=tmp_path / "app.log") as found:
            assert (found.url, found.process_id) == (site.url, None)
        with Client(site.url) as client:
            assert client.session().send(Request("GET", "/")).status == 200


@pytest.mark.parametrize("spelling", ["http://127.0.0.1:${PORT}", "http://127.0.0.1:$PORT", "http://127.0.0.1:PORT/"])
def test_an_address_names_the_free_port(tmp_path: Path, spelling: str) -> None:
    app = App(command=_command(tmp_path, SERVER), url=spelling)
    with running(app, folder=tmp_path, log=tmp_path / "app.log") as found:
        assert found.url.startswith("http://127.0.0.1:")
        assert found.url.rpartition(":")[2].isdecimal()


def test_a_driver_in_the_address_is_for_the_application_alone() -> None:
    variables = database_environment("postgresql+asyncpg://ann@h:5/shop")
    assert variables["DATABASE_URL"].startswith("postgresql+asyncpg:")
    assert (variables["PGHOST"], variables["PGPORT"], variables["PGDATABASE"]) == ("h", "5", "shop")
