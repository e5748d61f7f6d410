"""Requests and commands are begun as calls, each told once what it came to."""

import os
import queue
import shlex
import sys
import threading
from functools import partial
from pathlib import Path
from uuid import UUID

from integrity.http.client import Client, Kept
from integrity.http.request import read_inline
from integrity.operation import Declined, Ok
from integrity.race.program.trace import Failed, Return
from integrity.scenarios.launching import Commands, launch_requests
from tests.unit.http_server import Got, Reply, serving

ID = UUID(int=0)


def _same(kept: Kept) -> Kept:
    return kept


def _put(told: "queue.Queue[tuple[str, Return]]", who: str, value: Return) -> None:
    told.put((who, value))


def test_two_actors_are_under_way_at_once_each_with_a_session_of_its_own() -> None:
    both_are_here = threading.Barrier(2, timeout=60)

    def answer(got: Got) -> Reply:
        both_are_here.wait()
        status = 200 if got.cookies["who"] == "ann" else 409
        return Reply(status, '{"left": 3, "at": "12:00"}' if status == 200 else '{"error": "sold out"}')

    told: queue.Queue[tuple[str, Return]] = queue.Queue()
    requests = [read_inline('POST /buy {"seat": {seat}}', place="p")]
    with serving(answer) as site, Client(site.url) as client:
        for who in ("ann", "bob"):
            kept = Kept(cookies={"who": who})
            begin = launch_requests(
                client, requests, values=lambda: {"seat": 1}, kept=partial(_same, kept), volatile=["at"]
            )({"seat": 7}, ID)
            begin(partial(_put, told, who))
        returns = dict(told.get(timeout=60) for _ in range(2))
        assert returns == {"ann": Ok({"status": 200, "left": 3}), "bob": Declined("409 sold out")}
        assert [got.body for got in site.got] == ['{"seat": 7}'] * 2


def test_a_command_took_effect_where_it_ends_with_nought(tmp_path: Path) -> None:
    told: queue.Queue[Return] = queue.Queue()
    commands = Commands(tmp_path, {"PAYER": "ann"})
    commands.launch('echo begun; echo "$PAYER pays $WALLET"')({"wallet": 7}, ID)(told.put)
    assert told.get(timeout=60) == Ok({"printed": "ann pays 7"})
    commands.launch("echo no money >&2; exit 3")({}, ID)(told.put)
    assert told.get(timeout=60) == Failed(None, "exit 3: no money")
    commands.close()


def test_a_command_that_still_runs_is_ended(tmp_path: Path) -> None:
    told: queue.Queue[Return] = queue.Queue()
    commands = Commands(tmp_path, {})
    program = "import time; open('fifo', 'w').close(); time.sleep(600)"
    os.mkfifo(tmp_path / "fifo")
    commands.launch(f"{shlex.quote(sys.executable)} -c {shlex.quote(program)}")({}, ID)(told.put)
    (tmp_path / "fifo").read_text()  # it is there, from here on
    commands.close()
    assert told.get(timeout=60) == Failed(None, "exit -9: ")
