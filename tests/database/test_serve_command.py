"""`integrity serve`, as it is typed: every endpoint answers, what is wrong is refused, and it ends in good order."""

import json
import signal
import socket
from collections.abc import Mapping
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from random import Random
from typing import Any

import pytest

from integrity.cli.main import main
from integrity.clients.http import server_of
from integrity.database.constraints import find_missing
from integrity.database.namespace import guard
from integrity.domain import KeyOf, World
from integrity.endpoints.endpoint import Endpoint
from integrity.endpoints.kinds import Kind
from integrity.engines.occupancy import occupy
from integrity.engines.target import Target
from integrity.health.over_http import check_server
from integrity.history import Outcome, Returned
from integrity.http.origin import read_origin
from integrity.load.profile import load_profile
from integrity.load.run_database import RunDatabase
from integrity.load.workload import Workload
from integrity.reference.streamvote.system import STREAMVOTE
from integrity.registry import SYSTEMS
from integrity.seeds.load import Mode, seed_system
from integrity.systems.keys import read_keys
from integrity.systems.system import System
from tests.database.served import Server, serving
from tests.detection.worlds import SIZES


def seed(target: Target, system: System) -> World:
    seed_system(target, guard(target, None), system, sizes=SIZES, seed=1, mode=Mode.NEW)
    return World(keys=read_keys(target, system))


def arguments_of(endpoint: Endpoint, system: System, world: World, *, known: bool) -> dict[str, Any]:
    """Return arguments: of rows that there are, or of none."""
    random = Random(endpoint.name)
    drawn: dict[str, Any] = {}
    for name, domain in system.operations[endpoint.operation].arguments.items():
        if not isinstance(domain, KeyOf) or (known and world.keys.get(domain.pool)):
            drawn[name] = domain.draw(random, world)
        else:
            drawn[name] = "x" if endpoint.arguments[name].kind is Kind.TEXT else 1 if known else 10**15
    return drawn


def call_all(server: Server, system: System, world: World, *, known: bool) -> dict[str, tuple[Returned, Any]]:
    """Return how a call by each endpoint ended, and what it pushed."""
    assert system.endpoints is not None
    return {
        endpoint.name: server.call(system.endpoints, endpoint, arguments_of(endpoint, system, world, known=known))
        for endpoint in system.endpoints.table
    }


def call_all_with_one_strange(server: Server, system: System, world: World) -> dict[str, tuple[Returned, Any]]:
    """Return how a call by each endpoint ended that names one row that there is not, and else those that there are."""
    assert system.endpoints is not None
    ended = {}
    for endpoint in system.endpoints.table:
        known, strange = (arguments_of(endpoint, system, world, known=each) for each in (True, False))
        for name in (
            name for name in known if endpoint.arguments[name].kind is Kind.INTEGER and known[name] != strange[name]
        ):
            given = {**known, name: strange[name]}
            ended[f"{endpoint.name} {name}"] = server.call(system.endpoints, endpoint, given)
    return ended


def refused_by_none(ended: Mapping[str, tuple[Returned, Any]]) -> dict[str, Returned]:
    """Return what is an error of the server's own, and no refusal of what was asked for."""
    return {name: each for name, each in no_answers(ended).items() if not each.error.startswith(("22", "23"))}


def no_answers(ended: Mapping[str, tuple[Returned, Any]]) -> dict[str, Returned]:
    return {name: returned for name, (returned, _) in ended.items() if not returned.outcome.is_answer}


def test_every_endpoint_answers_and_what_is_wrong_is_refused_until_a_signal_ends_it(
    database: Target, tmp_path: Path
) -> None:
    world = seed(database, STREAMVOTE)
    with serving(database, tmp_path, "streamvote") as server:
        status, headers, said = server.ask("GET", "/health", {"x-request-id": "mine"})
        assert (status, headers["x-request-id"], json.loads(said)) == (
            200,
            "mine",
            {"status": "ok", "system": "streamvote"},
        )
        ended = call_all(server, STREAMVOTE, world, known=True)
        assert no_answers(ended) == {}
        assert ended["GET /api/events/{event_id}/updates"][1], "an event that was opened has brought something"
        statuses = [
            server.ask(method, path, {}, body)[0]
            for method, path, body in (
                ("POST", "/api/votes", b"{}"),
                ("PUT", "/api/votes", b"{}"),
                ("GET", "/nothing", b""),
                ("POST", "/api/payments/stars/webhook", b"{"),
                ("POST", "/api/payments/stars/webhook", b"[]"),
                ("POST", "/api/events", b" " * 100_000),
                ("POST", "/api/events", b'{"streamerId": 1000000000000, "priceStars": 1}'),
            )
        ]
        assert statuses == [401, 405, 404, 400, 422, 413, 422]
        told = server.ask("GET", "/metrics")[2].decode()
        is_taken = ended["POST /api/votes"][0].outcome is Outcome.OK
        assert f"votes_submitted_total {is_taken:d}\n" in told
        checks = check_server(server_of(read_origin(server.url, place="here"), STREAMVOTE), STREAMVOTE, world.keys)
        assert {check.name: check.state.value for check in checks} == {
            "server": "ok", "login": "ok", "webhook": "warning", "socket /api/events/live": "ok",
        }  # fmt: skip
        server.process.send_signal(signal.SIGTERM)
        _, words = server.process.communicate(timeout=60)
    assert server.process.returncode == 0
    assert "requests answered" in words


@pytest.mark.exhaustive
@pytest.mark.parametrize("name", [name for name in SYSTEMS if name != "streamvote"])
def test_every_endpoint_of_every_system_answers_and_a_row_that_there_is_not_is_nobodys_fault(
    name: str, database: Target, tmp_path: Path
) -> None:
    system = SYSTEMS[name]
    world = seed(database, system)
    with serving(database, tmp_path, name) as server:
        assert no_answers(call_all(server, system, world, known=True)) == {}
        assert refused_by_none(call_all(server, system, world, known=False)) == {}
        assert refused_by_none(call_all_with_one_strange(server, system, world)) == {}
        server.process.send_signal(signal.SIGINT)
        server.process.communicate(timeout=60)
    assert server.process.returncode == 0


@pytest.fixture
def in_tmp_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (
            ["streamvote"],
            "there is no data of streamvote to run on hint: Make it first: integrity seed --system streamvote",
        ),
        (["streamvoet"], "unknown system 'streamvoet' hint: Perhaps you meant streamvote."),
        (["streamvote", "--bug", "double_vot"], "has no bug 'double_vot' hint: Perhaps you meant double_vote."),
        (["streamvote", "--profile", "smoek"], "smoek"),
        (["streamvote", "--host", "192.0.2.1"], "hint: Leave --host out, or say --reachable-by-others."),
        (["streamvote", "--port", "{taken}"], "nothing can listen there: Address already in use hint: Name another port"),
        (["streamvote", "--port", "70000"], "--port"),
        (["streamvote", "--connections", "90000"], "--connections"),
    ],
)
def test_what_cannot_be_served_is_refused_with_the_next_step(
    words: list[str], says: str, database: Target, in_tmp_path: None, capsys: pytest.CaptureFixture[str]
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        given = [word.format(taken=taken.getsockname()[1]) for word in words]
        port = [] if "--port" in words else ["--port", "0"]
        with pytest.raises(SystemExit) as ended:
            main(["serve", *port, *given, "--database", database.text])
    captured = capsys.readouterr()
    assert (ended.value.code, captured.out) == (2, "")
    assert says in " ".join(captured.err.split())


def test_what_a_bugs_server_leaves_out_is_told_to_a_run_that_asks_it_and_put_back_at_its_end(tmp_path: Path) -> None:
    target, system = Target.parse(f"sqlite:///{tmp_path}/venue.db"), SYSTEMS["ghostpass"]
    seed(target, system)
    workload = Workload(system, load_profile(system, "hammer", {}), system.find_bug("overdraw"), seed=1)
    served = RunDatabase(target, workload, None)
    asking = RunDatabase(target, replace(workload, bug=None), None, is_served=True)
    assert asking.describe_missing() == ""
    with occupy(target, "serve ghostpass", is_exclusive=False, is_kept=True) as hold:
        served.prepare(hold)
        assert asking.describe_missing().startswith(
            "1 constraint or index is missing: wallets.wallets_balance_not_negative"
        )
        assert served.put_back(hold) == ""
        assert (asking.describe_missing(), find_missing(target, system.metadata)) == ("", [])
        served.prepare(hold)
        with closing(target.connect_sqlite(("ghostpass",))) as connection:
            connection.execute("update ghostpass.wallets set balance_minor = -1 where id = 1")
            connection.commit()
        told = served.put_back(hold)

    assert "what bug overdraw leaves out is not put back" in told
    assert "--replace" in told  # what it broke stays to be seen
    assert "wallets_balance_not_negative" in asking.describe_missing()
