"""`integrity proxy`, as it is typed: what it says first, how it ends, and what it cannot do."""

import json
import signal
import socket
import subprocess
import sys
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import psycopg
import pytest

from integrity.cli.main import main
from integrity.engines.target import Target
from integrity.jobs.proxy import ProxyAsked, serve

Refused = Callable[..., str]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_it_names_the_url_counts_what_it_struck_and_ends_in_good_order(
    database: Target, tmp_path: Path, number: signal.Signals
) -> None:
    with database.connect() as server:
        server.execute("create table if not exists payments (id int)")
    command = [
        sys.executable,
        "-m",
        "integrity",
        "proxy",
        "--database",
        database.text,
        "--record",
        "record.jsonl",
        "--json",
    ]
    fault = ["--fault", "lost_commit_ack:nth=1,table=payments"]
    ended = subprocess.Popen(
        [*command, *fault], cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True
    )
    assert ended.stderr is not None
    try:
        url = next(line.partition("=")[2].strip() for line in ended.stderr if "DATABASE_URL=" in line)
        with closing(psycopg.connect(url, autocommit=True)) as client, pytest.raises(psycopg.OperationalError):
            client.execute("insert into payments values (1)")
        with closing(psycopg.connect(url, autocommit=True)) as client:
            client.execute("select 1")
            ended.send_signal(number)
            out, _ = ended.communicate(timeout=60)
            with pytest.raises(psycopg.OperationalError):
                client.execute("select 2")
    finally:
        ended.kill()
        ended.wait()
    assert ended.returncode == 0
    told = json.loads(out)
    assert (told["connection_count"], told["statement_count"]) == (2, 2)
    assert told["did"] == {"commits hidden from their client": 1}
    assert [(each["matched_count"], each["struck_count"]) for each in told["faults"]] == [(1, 1)]
    records = [json.loads(line) for line in (tmp_path / "record.jsonl").read_text().splitlines()]
    assert len(records) == told["record_count"]
    assert [record["event"] for record in records] == ["connected", "cycle", "ended"] * 2


def test_behind_it_ctrl_c_is_answered_as_before_it_when_its_time_was_over_and_nobody_pressed_it(database: Target) -> None:
    before = signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)
    assert len(list(serve(database, ProxyAsked(duration_s=0.0)))) == 1
    assert (signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)) == before


@pytest.fixture
def refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Refused:
    """Give what a command says that ends with a mistake."""
    monkeypatch.chdir(tmp_path)

    def run(*words: str) -> str:
        with pytest.raises(SystemExit) as ended:
            main(["proxy", *words])
        captured = capsys.readouterr()
        assert (ended.value.code, captured.out) == (2, "")
        return " ".join(captured.err.split())

    return run


@pytest.mark.parametrize(
    ("fault", "says"),
    [
        ("lost_comit_ack", ("there is no fault 'lost_comit_ack'", "lost_commit_ack")),
        ("lock_holder", ("lock_holder does not happen on the wire", "On the wire there are:")),
        ("lost_commit_ack@1-2", ("has no window",)),
        ("lost_commit_ack:nht=2", ("lost_commit_ack has no 'nht'", "Perhaps you meant nth.")),
        ("lost_commit_ack:nth=0", ("nth:", "'0'")),
        ("lost_commit_ack:nth=2,every=3", ("nth and every are two ways to say which",)),
        ("lost_commit_ack:table=", ("table has no value",)),
        ("lost_commit_ack:share=2", ("share:", "2")),
        ("connection_reset:every_s=2", ("every_s is for a run",)),
    ],
)
def test_a_fault_that_cannot_be_read_is_named_with_what_was_meant(
    refused: Refused, fault: str, says: tuple[str, ...]
) -> None:
    said = refused("--fault", fault)
    assert f"--fault '{fault}'" in said
    assert [words for words in says if words not in said] == []


def test_a_port_that_is_taken_a_file_that_is_there_and_a_database_without_a_server_are_refused(
    refused: Refused, database: Target, tmp_path: Path
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        assert f"--listen {port}: nothing can listen there" in refused("--listen", str(port), "--database", database.text)
    (tmp_path / "there.jsonl").touch()
    assert "there is such a file already" in refused("--record", "there.jsonl", "--database", database.text)
    assert "nothing on the wire" in refused("--database", "sqlite:///venue.db")
    assert "sslmode=verify-full" in refused("--database", "postgresql://u@127.0.0.1/d?sslmode=verify-full")
    unreachable = refused("--database", "postgresql://nobody:geheim@127.0.0.1:1/d")
    assert ("127.0.0.1" in unreachable, "geheim" in unreachable) == (True, False)
