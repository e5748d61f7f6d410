"""What of a run can go over HTTP: the rest is left out by name, or refused, and never counts as kept."""

import resource
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from random import Random
from typing import Any, cast

import pytest

from integrity.clients.http import Server
from integrity.domain import World
from integrity.endpoints.record import PASSWORD, PATH
from integrity.endpoints.table import Endpoints
from integrity.engines.target import Target
from integrity.errors import UsageError
from integrity.faults.catalogue import FAULTS
from integrity.faults.conduct import Conduct
from integrity.faults.scene import Scene
from integrity.faults.schedule import find_unmet, read_schedule, read_window
from integrity.http.origin import read_origin
from integrity.load import descriptors, ports
from integrity.load.descriptors import make_room
from integrity.load.over_http import TRIALS, OverHttp, asked_over_http, try_out
from integrity.load.profile import OpenProfile, load_profile, profile_names
from integrity.load.workload import Workload
from integrity.registry import SYSTEMS
from integrity.systems.system import System
from tests.unit.http_server import Got, Reply, serving


def without_endpoints(system: System, *names: str) -> System:
    """Return the system as it would be if these had no endpoints."""
    assert system.endpoints is not None
    table = tuple(each for each in system.endpoints.table if each.operation not in names)
    acts = {name: act for name, act in system.endpoints.acts.items() if name not in names and act.operation not in names}
    streams = tuple(each for each in system.endpoints.streams if each.operation not in names)
    return replace(system, endpoints=replace(system.endpoints, table=table, acts=acts, streams=streams))


def test_a_profile_goes_on_without_what_has_no_endpoint_and_without_streams_and_says_so() -> None:
    """What takes up what was left open is left out, too, where it cannot be asked for."""
    streamvote = without_endpoints(SYSTEMS["streamvote"], "vote", "tap", "check_invoice", "open_stream")
    name = next(each for each in profile_names(streamvote, {}) if load_profile(streamvote, each, {}).subscribers)
    profile = load_profile(streamvote, name, {})
    assert isinstance(profile, OpenProfile)

    system, left, not_run = asked_over_http(streamvote, profile)

    reasons = {each.operation: each.reason for each in not_run}
    assert {"vote", "tap"} & set(profile.operations) <= reasons.keys()
    assert not {"vote", "tap"} & set(left.operations)
    assert (left.subscribers, bool(profile.subscribers)) == ((), True)
    assert "have no path in the table" in reasons[profile.subscribers[0].operation]
    assert [each.operation for each in streamvote.sweeps if each not in system.sweeps] == ["check_invoice"]
    assert "is left open" in reasons["check_invoice"]
    assert isinstance(left, OpenProfile)
    assert left.thresholds == profile.thresholds  # what was not run is not measured, and no pass


@pytest.mark.parametrize("name", SYSTEMS)
def test_every_operation_that_clients_of_a_shipped_system_call_can_go_over_http(name: str) -> None:
    system = SYSTEMS[name]
    hammer = load_profile(system, "hammer", {})
    _, left, not_run = asked_over_http(system, hammer)

    assert left.operations == hammer.operations
    assert left.subscribers == hammer.subscribers
    assert not_run == ()


def test_a_system_without_endpoints_and_a_profile_of_nothing_else_are_refused() -> None:
    streamvote = SYSTEMS["streamvote"]
    hammer = load_profile(streamvote, "hammer", {})
    for system in (replace(streamvote, endpoints=None), replace(streamvote, endpoints=Endpoints(()))):
        with pytest.raises(UsageError, match=r"^--target: "):
            asked_over_http(system, hammer)


SERVERS_OWN = {
    "db_latency",
    "connection_reset",
    "half_open",
    "lost_commit_ack",
    "lost_commit",
    "statement_timeout",
    "service_latency",
    "service_timeout",
    "service_error",
    "webhook_delay",
    "webhook_duplicate",
    "webhook_reorder",
    "webhook_replay",
    "webhook_drop",
}
"""Faults of what a run over HTTP leaves to its server."""


def test_faults_of_what_the_server_has_are_unmet_and_those_of_the_database_and_of_clients_are_not() -> None:
    safebox = SYSTEMS["safebox"]
    scene = Scene(
        target=Target.parse("postgresql://127.0.0.1/shop"),
        system=safebox,
        conduct=Conduct({}, safebox.services),
        random=Random(1),
        keys={},
        has_subscribers=True,
        server=cast(Any, object()),
        is_over_http=True,
    )
    windows = read_schedule([f"{name}@0-1" for name in FAULTS], duration_s=1.0, may_overlap=True)

    assert {window.fault.name for window, _ in find_unmet(windows, scene)} == SERVERS_OWN


def test_faults_of_a_profile_that_are_the_servers_are_left_out_by_name_and_the_others_stay() -> None:
    """Nobody gave them, so that nobody can leave them out."""
    for system in SYSTEMS.values():
        for name in profile_names(system, {}):
            profile = load_profile(system, name, {})
            if not isinstance(profile, OpenProfile):
                continue
            _, left, not_run = asked_over_http(system, profile)
            assert isinstance(left, OpenProfile)
            of_servers = [
                each
                for each in profile.faults
                if read_window(each, duration_s=profile.duration_s).fault.name in SERVERS_OWN
            ]
            said = [each.operation for each in not_run if each.operation.startswith("fault ")]
            assert said == [f"fault {each}" for each in of_servers]
            assert [*left.faults] == [each for each in profile.faults if each not in of_servers]


@pytest.mark.parametrize(("hard", "fits"), [(200, True), (20, False)])
def test_open_files_are_raised_to_what_the_system_allows_and_counted(
    hard: int, fits: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    bounds = [(16, hard)]
    monkeypatch.setattr(descriptors, "_open_count", lambda: 6)
    monkeypatch.setattr(resource, "getrlimit", lambda kind: bounds[-1])
    monkeypatch.setattr(resource, "setrlimit", lambda kind, new: bounds.append(new))

    if fits:
        make_room(130)
    else:
        with pytest.raises(UsageError, match=r"130 connections .* may open 0 more files \(20 in all, 64 kept") as caught:
            make_room(130)
        assert caught.value.hint is not None
        assert "ulimit -n 200" in caught.value.hint
    assert bounds[-1] == (hard, hard)


def test_processes_that_share_connections_have_room_for_a_share_each(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(descriptors, "_open_count", lambda: 6)
    monkeypatch.setattr(resource, "getrlimit", lambda kind: (200, 200))

    make_room(260, processes=2)
    with pytest.raises(UsageError, match=r"261 connections are asked for, 131 in each of 2 processes, .* 130 more files"):
        make_room(261, processes=2)


def test_ports_are_counted_before_a_run_takes_them(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Those to the same port count, whatever becomes of them (06: TIME_WAIT); others do not."""
    there, table = tmp_path / "range", tmp_path / "tcp"
    there.write_text("40000\t40099\n")
    rows = ["0100007F:9C40 0100007F:1F40 01", "0100007F:9C41 0100007F:1F40 06", "0100007F:9C40 0100007F:1538 01"]
    table.write_text("\n".join(["sl local rem st", *(f"{at}: {row} 0" for at, row in enumerate(rows))]))
    monkeypatch.setattr(ports, "RANGE", there)
    monkeypatch.setattr(ports, "TABLES", (table, tmp_path / "none"))

    ports.check_ports(98, to_port=8000)
    with pytest.raises(UsageError, match=r"99 connections to port 8000 .* has 100 ports for them, of which 2 are in use"):
        ports.check_ports(99, to_port=8000)
    monkeypatch.setattr(ports, "RANGE", tmp_path / "none")
    ports.check_ports(1_000_000, to_port=8000)


def server_of(health: Reply, read: Reply | None, login: Reply) -> Callable[[Got], Reply | None]:
    def answer(got: Got) -> Reply | None:
        return health if got.path == "/health" else login if got.path == "/api/login" else read

    return answer


def keeps_its_record(got: Got) -> Reply | None:
    """Let everybody call, and tell its record to those of its own password."""
    is_own = not got.path.startswith(PATH) or got.headers.get(PASSWORD) == "other"
    return server_of(WELL, DECLINED, TOKEN)(got) if is_own else Reply(401, "another password")


WELL = Reply(body='{"status": "ok", "system": "streamvote"}')
TOKEN = Reply(body='{"access_token": "abc"}')
DECLINED = Reply(429, '{"outcome": "declined", "reason": "rate_limited"}')


def try_it(answer: Callable[[Got], Reply | None]) -> list[str]:
    """Try a server out; return what it was asked."""
    system = SYSTEMS["streamvote"]
    workload = Workload(system, load_profile(system, "hammer", {}), None, seed=1)
    world = World({pool: [7] for pool in system.pools}, hot_share=0.0, hot_count=1)
    with serving(answer) as site:
        try_out(OverHttp(Server(read_origin(site.url, place="here"), system, password="pw")), workload, world)
    return [path for got in site.got if (path := got.path.partition("?")[0]) not in {"/api/login", PATH}]


def test_a_run_begins_with_a_look_at_the_servers_health_and_some_reads() -> None:
    health, *reads = try_it(server_of(WELL, DECLINED, TOKEN))

    assert (health, len(reads)) == ("/health", TRIALS - 1)
    assert set(reads) > {"/api/config"}


@pytest.mark.parametrize(
    ("answer", "said"),
    {
        "no server of ours": (server_of(Reply(404, "nothing here"), None, TOKEN), "/health was answered with HTTP 404"),
        "it is not well": (server_of(Reply(503, '{"status": "unavailable"}'), None, TOKEN), "HTTP 503"),
        "another system's": (
            server_of(Reply(body='{"system": "inbox"}'), None, TOKEN),
            "it serves 'inbox', not streamvote",
        ),
        "nobody is let in": (server_of(WELL, DECLINED, Reply(401, "no")), "POST /api/login was answered with HTTP 401"),
        "its record is not told": (keeps_its_record, "it does not tell at /integrity/record"),
        "another database": (server_of(WELL, Reply(500, "relation does not exist"), TOKEN), "unknown: HTTP 500: relation"),
        "it answers no more": (server_of(WELL, None, TOKEN), "the connection was closed before an answer"),
        "it points elsewhere": (server_of(WELL, Reply(301, "", (("Location", "/new"),)), TOKEN), "it points to '/new'"),
    }.values(),
)
def test_a_run_does_not_begin_on_a_server_that_does_not_answer_as_the_system_does(
    answer: Callable[[Got], Reply | None], said: str
) -> None:
    with pytest.raises(UsageError) as caught:
        try_it(answer)
    assert caught.value.message.startswith("--target http://127.0.0.1:")
    assert said in caught.value.message
    assert caught.value.hint
    assert ("LOADTEST_PASSWORD" in caught.value.hint) >= ("401" in said or "/integrity/record" in said)
    assert "pw" not in str(caught.value).split()


def test_a_run_does_not_begin_where_nobody_listens() -> None:
    system = SYSTEMS["streamvote"]
    with serving(server_of(WELL, None, TOKEN)) as site:
        over = OverHttp(Server(read_origin(site.url, place="here"), system))
    workload = Workload(system, load_profile(system, "hammer", {}), None, seed=1)
    with pytest.raises(UsageError, match="connection refused") as caught:
        try_out(over, workload, World({}, hot_share=0.0, hot_count=1))
    assert "serve streamvote" in str(caught.value.hint)
