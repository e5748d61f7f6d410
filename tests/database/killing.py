"""Ending a command of ours at a statement: a real process, stopped before the statement is sent, and then killed -9; or
sent a signal right behind it."""

import subprocess
import sys
import time
from pathlib import Path

from integrity.engines.target import Target

WAIT_S_MAX = 60

_CHILD = """
import itertools, sys
import psycopg
from integrity.cli.main import main

said, numbers, pids = sys.argv[1], itertools.count(), []
connect, execute = psycopg.Connection.connect.__func__, psycopg.Cursor.execute

def connect_and_note(kind, *words, **options):
    connection = connect(kind, *words, **options)
    pids.append(connection.info.backend_pid)
    return connection

def stop_before(self, query, *values, **options):
    text = query if isinstance(query, str) else query.decode() if isinstance(query, bytes) else query.as_string(self)
    writes = not text.lstrip().lower().startswith(("select", "show", "set "))
    if (writes and next(numbers) == int(said)) if said.isdigit() else said in text:
        print("stopped", *pids, flush=True)
        sys.stdin.read()
    return execute(self, query, *values, **options)

psycopg.Connection.connect, psycopg.Cursor.execute = classmethod(connect_and_note), stop_before
main(sys.argv[2:])
"""


def kill_before(target: Target, statement: str | int, *words: str, folder: Path) -> bool:
    """Run a command on the target and kill it before a statement; return whether it came to that.

    Args:
        statement: a part of its text; or its number, from 0, among those that change something.
        folder: the project.
    """
    arguments = [*words, "--database", target.text, "--project", str(folder)]
    with subprocess.Popen(
        [sys.executable, "-c", _CHILD, str(statement), *arguments],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None
        for line in process.stdout:
            if line.startswith("stopped"):
                process.kill()
                pids = [int(pid) for pid in line.split()[1:]]
                assert pids, "it has connected in a way that is not noted"
                _wait_until_gone(target, pids)
                return True
    return False


_SIGNALLED = """
import os, sys
import psycopg
from integrity.__main__ import main

number, said = int(sys.argv[1]), sys.argv[2]
sys.argv[1:] = sys.argv[3:]
execute = psycopg.Cursor.execute

def execute_and_signal(self, query, *values, **options):
    global said
    text = query if isinstance(query, str) else query.decode() if isinstance(query, bytes) else query.as_string(self)
    done = execute(self, query, *values, **options)
    if said and said in text:
        said = ""
        print("signalled", file=sys.stderr, flush=True)
        os.kill(os.getpid(), number)
    return done

psycopg.Cursor.execute = execute_and_signal
main()
"""


def signal_behind(target: Target, number: int, statement: str, *words: str, folder: Path) -> tuple[int, str]:
    """Run a command on the target and send it a signal behind a statement; return its exit code and what it noted.

    Args:
        statement: a part of its text.
        folder: the project.
    """
    arguments = [*words, "--database", target.text, "--project", str(folder)]
    command = [sys.executable, "-c", _SIGNALLED, str(int(number)), statement, *arguments]
    ended = subprocess.run(command, capture_output=True, text=True, check=False, timeout=WAIT_S_MAX)
    return ended.returncode, ended.stderr


def _wait_until_gone(target: Target, pids: list[int]) -> None:
    """Return when the killed command's sessions have ended: the server hears of the kill a moment later."""
    deadline = time.monotonic() + WAIT_S_MAX
    with Target(target.url.set(database="postgres")).connect() as server:
        while server.execute("select from pg_stat_activity where pid = any (%s)", (pids,)).fetchone() is not None:
            assert time.monotonic() < deadline, "a session of a killed command lives on"
