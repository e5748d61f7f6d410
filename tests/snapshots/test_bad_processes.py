"""Bad input as whole processes: what only a process has (streams, a folder, signals) and a sample of the tables."""

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest

from integrity.engines.target import Target
from tests.snapshots.bad_input import Bad, assert_one_paragraph, bad, lay_out
from tests.waiting import wait_until

INTEGRITY = [sys.executable, "-m", "integrity"]
WAIT_S = 60

Start = Callable[..., "subprocess.Popen[str]"]


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    """Start a command in an empty project; it ends with the test."""
    started: list[subprocess.Popen[str]] = []

    def begin(*words: str | bytes, prefix: tuple[str, ...] = (), **options: Any) -> "subprocess.Popen[str]":
        environment = {key: value for key, value in os.environ.items() if key != "INTEGRITY_DATABASE_URL"}
        given: dict[str, Any] = {"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
        given |= {"cwd": tmp_path, "text": True, **options, "env": {**environment, **options.get("env", {})}}
        started.append(subprocess.Popen([*prefix, *INTEGRITY, *words], **given))
        return started[-1]

    yield begin
    for process in started:
        if process.poll() is None:
            process.kill()
        process.communicate()


def _end(process: "subprocess.Popen[str]") -> tuple[int, str, str]:
    out, err = process.communicate(timeout=WAIT_S)
    return process.returncode, out or "", err or ""


SAMPLE = [
    bad("run smoke --rate inf", "'--rate'", "'inf'", "from 0.001 to 1,000,000"),
    bad("validate --timeout nan", "'--timeout'", "'nan'"),
    bad(("validate", "--database", ""), "--database is empty"),
    bad("seed", "INTEGRITY_DATABASE_URL is empty", INTEGRITY_DATABASE_URL=""),
    bad("sed", "Perhaps you meant seed."),
    bad("validate --database postgresql://u:hunter2@127.0.0.1:1/x", "cannot connect", "u:***@127.0.0.1:1/x"),
    bad("list", "integrity.toml: cannot be read", files={"integrity.toml": f"x = {'[' * 5000}"}),
    bad("replay f.json", "f.json: not the file of a finding", files={"f.json": "[" * 100_000}),
    bad(("explain", "\x1b]0;owned\x07"), "\\x1b]0;owned\\x07"),
    bad(("explain", "größe"), "gr\\xf6\\xdfe", PYTHONIOENCODING="ascii"),
]


@pytest.mark.parametrize("case", SAMPLE, ids=str)
def test_a_process_ends_as_the_command_does(start: Start, case: Bad, tmp_path: Path) -> None:
    lay_out(case, tmp_path)
    assert_one_paragraph(_end(start(*case.words, env=dict(case.environment))), code=case.code, said=case.said)


def test_an_argument_that_is_no_text_is_spelt_out(start: Start) -> None:
    assert_one_paragraph(_end(start("explain", b"caf\xe9")), code=2, said=("caf", "\\udce9"))


@pytest.mark.parametrize("words", ["list", "list --json", "--help", "run --help", "--version"])
def test_a_result_that_fits_nowhere_is_an_error_and_no_verdict(start: Start, words: str) -> None:
    with Path("/dev/full").open("w") as full:
        process = start(*words.split(), stdout=full)
        assert_one_paragraph(_end(process), code=3, said=("could not be written to stdout", "No space left"))


@pytest.mark.parametrize("words", ["list", "--help"])
def test_a_pipe_that_nobody_reads_ends_a_command_in_silence(start: Start, words: str) -> None:
    read, write = os.pipe()
    os.close(read)
    process = start(*words.split(), stdout=write)
    os.close(write)
    assert _end(process) == (141, "", "")


def test_a_closed_stdout_is_an_error(start: Start) -> None:
    process = start("list", prefix=("sh", "-c", 'exec "$@" >&-', "sh"))
    assert_one_paragraph(_end(process), code=3, said=("stdout is closed",))


def test_a_closed_stderr_changes_no_verdict(start: Start) -> None:
    code, out, err = _end(start("explain", "nothing", prefix=("sh", "-c", 'exec "$@" 2>&-', "sh")))
    assert (code, out, err) == (2, "", "")


def test_a_closed_stdin_is_nobody_who_answers(start: Start) -> None:
    process = start("db", "reset", prefix=("sh", "-c", 'exec "$@" <&-', "sh"))
    assert_one_paragraph(_end(process), code=2, said=("nobody answered", "--yes"))


def test_a_folder_that_is_gone_is_said(start: Start, tmp_path: Path) -> None:
    (tmp_path / "gone").mkdir()
    process = start("validate", cwd=tmp_path / "gone", prefix=("sh", "-c", 'rmdir "$PWD" && exec "$@"', "sh"))
    assert_one_paragraph(_end(process), code=2, said=("the current folder no longer exists", "--project"))


@pytest.fixture
def waiting(start: Start, seeded: Target) -> Iterator[tuple["subprocess.Popen[str]", "psycopg.Connection[Any]", int]]:
    """A command that waits for a lock on our own notes; with a connection that sees it, and its session."""
    with seeded.connect() as holder, seeded.connect() as watcher:
        holder.execute("begin; lock table integrity.notes in access exclusive mode")
        process = start("rollback", "--dry-run", env={"INTEGRITY_DATABASE_URL": seeded.text})
        asked = "select pid from pg_catalog.pg_locks where not granted and relation = 'integrity.notes'::regclass"

        def find() -> "tuple[Any, ...] | None":
            assert process.poll() is None, process.communicate()
            return watcher.execute(asked).fetchone()

        found = wait_until(find)
        assert found is not None
        yield process, watcher, found[0]
        holder.execute("rollback")


Waiting = tuple["subprocess.Popen[str]", "psycopg.Connection[Any]", int]


def test_a_command_that_waits_is_interrupted_at_once(waiting: Waiting) -> None:
    process, _, _ = waiting
    process.send_signal(signal.SIGINT)
    assert _end(process) == (130, "", "integrity: interrupted\n")


def test_a_session_that_is_ended_under_a_command_is_said(waiting: Waiting) -> None:
    process, watcher, session = waiting
    watcher.execute("select pg_terminate_backend(%s)", (session,))
    code, out, err = _end(process)
    assert_one_paragraph((code, out, err), code=code, said=("terminating connection due to administrator command",))
    assert code in (2, 3)


def test_a_lock_on_our_own_notes_is_said_and_not_waited_for(waiting: Waiting) -> None:
    process, _, _ = waiting
    assert_one_paragraph(_end(process), code=2, said=("integrity.notes", "lock timeout", "Another session"))
