"""What an application tells of itself: read as Prometheus has it, held to limits, and its counters against rows."""

import os
import socket
import sqlite3
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from integrity.engines.target import Target
from integrity.errors import UsageError
from integrity.http.origin import read_origin
from integrity.jobs.watching import SERVER, find_metrics, with_target
from integrity.load.counters import Counted, CountedRows
from integrity.measure.trends import find_watched_slopes
from integrity.monitor.findings import find_alerts
from integrity.monitor.listening import find_listener
from integrity.monitor.sample import Sample
from integrity.monitor.sampler import Monitor
from integrity.monitor.scraping import CALLS, MetricsSource, Unscraped, parse, series
from integrity.monitor.watched import NOTHING_WATCHED
from integrity.project import find_project
from tests.unit.http_server import Got, Reply, serving

TEXT = """# HELP db_pool_connections connections of the pool
# TYPE db_pool_connections gauge
db_pool_connections{state="size"} 20
db_pool_connections{state="in_use"} 5 1700000000000
operation_calls_total{operation="vote",outcome="ok"} 7
operation_calls_total{operation="tap",outcome="ok"} 2
http_server_duration_seconds_bucket{http_route="/a",le="+Inf"} 9
http_server_duration_seconds_count{http_method="GET",http_route="/a{id}",http_status_code="200"} 9
event_loop_lag_seconds 1.5e-3
broken NaN
"""


def test_a_scrape_is_read_by_families_and_by_values_of_their_labels() -> None:
    told = parse(TEXT, place="here")

    assert told["operation_calls_total"] == 9
    assert told[series(CALLS, operation="vote", outcome="ok")] == 7
    assert told['db_pool_connections{state="in_use"}'] == 5
    assert told["http_server_duration_seconds_count"] == 9
    assert told["event_loop_lag_seconds"] == 0.0015
    assert not [name for name in told if "bucket" in name or "broken" in name]


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (Reply(404), "was answered with HTTP 404"),
        (Reply(body="<html>"), "line 1 is none of Prometheus's text format"),
        (Reply(body="a b c d"), "line 1 is none of Prometheus's text format"),
        (None, "Remote end closed"),
    ],
)
def test_what_cannot_be_read_is_no_figure(answer: Reply | None, said: str, tmp_path: Path) -> None:
    with serving(lambda _: answer) as site, pytest.raises(Unscraped, match=said):
        find_metrics(site.url, find_project(tmp_path)).scrape()
    with pytest.raises(UsageError, match="--metrics: "):
        find_metrics("http://shop.example/metrics", find_project(tmp_path))


def told(**figures: float) -> dict[str, float]:
    """Return metrics as a scrape has them; in_use and size are of the pool."""
    names = {
        "in_use": 'db_pool_connections{state="in_use"}',
        "size": 'db_pool_connections{state="size"}',
        "open": 'db_pool_connections{state="open"}',
        "clients": "ws_clients_connected",
        "lag_s": "event_loop_lag_seconds",
        "owed": "background_tasks_owed",
        "given_up": "background_tasks_given_up",
    }
    return {names[name]: value for name, value in figures.items()}


def samples(*each: Mapping[str, float], descriptors: Sequence[int] = (), kills: Sequence[int] = ()) -> list[Sample]:
    found = []
    for number, metrics in enumerate(each):
        process: dict[str, Any] = {"name": "app", "pid": 7, "is_alive": True}
        process |= {"descriptors": descriptors[number]} if descriptors else {}
        process |= {"oom_kills": kills[number]} if kills else {}
        found.append({"at_us": number, "elapsed_s": float(number), "metrics": metrics, "processes": [process]})
    return cast(list[Sample], found)


FACTS = {"named_processes": ["app"], "cores": 2}
SOUND = (told(in_use=0, size=20, open=2, clients=0, lag_s=0.001, owed=0, given_up=0),) * 3
ALERTS: Mapping[str, tuple[list[Sample], str, str]] = {
    "server-loop-lag": (samples(told(lag_s=0.3)), "warn", "the server's event loop was late by 300 ms"),
    "server-pool": (samples(told(in_use=15, size=20)), "warn", "near exhaustion: 75% in use at 0 s, over 70%"),
    "server-tasks": (samples(told(given_up=1), told(given_up=3)), "critical", "gave up 2 webhooks and jobs"),
    "server-connections": (samples(told(clients=1), told(clients=40)), "critical", "still counts 39 connections"),
    "descriptors-left": (
        samples(told(open=2), told(open=12), descriptors=(40, 140)),
        "critical",
        "90 descriptors more of app than at first",
    ),
    "oom-kill": (samples({}, {}, kills=(1, 2)), "critical", "the kernel ended 1 process beside app"),
}


@pytest.mark.parametrize("name", ALERTS)
def test_what_a_server_tells_is_held_to_limits_and_a_sound_one_is_silent(name: str) -> None:
    taken, level, words = ALERTS[name]
    found = {alert.name: alert for alert in find_alerts(FACTS, taken)}

    assert (found[name].level, words in found[name].sentence) == (level, True)
    assert find_alerts(FACTS, samples(*SOUND, descriptors=(40, 60, 52), kills=(1, 1, 1))) == []


def test_metrics_that_were_asked_for_and_are_not_told_are_a_finding_and_those_of_a_target_a_note() -> None:
    lost = cast(list[Sample], [{"at_us": 1, "elapsed_s": 1.0, "metrics_error": "nobody"}])

    assert [(a.name, a.level) for a in find_alerts({"metrics_of": "http://x"}, lost)] == [("metrics-unread", "critical")]
    assert [a.level for a in find_alerts({"metrics_of": "http://x"}, [*samples({}), *lost])] == ["warn"]
    assert find_alerts({}, lost) == []
    asked = []

    def answer(got: Got) -> Reply:
        asked.append(got)
        return Reply(404)

    with serving(answer) as site:
        watched = with_target(NOTHING_WATCHED, read_origin(site.url, place="here"))
        with Monitor(None, application=watched, every_s=0.02, own_process=False) as monitor:
            while len(monitor.read_samples()) < 5:
                pass
    assert len(asked) == 1  # it is no server that tells any, and is let alone
    assert monitor.summary.alerts == ()
    assert any("HTTP 404" in note for note in monitor.summary.notes)


def test_the_process_that_listens_where_calls_go_is_found_unless_it_was_named() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        port = listening.getsockname()[1]
        origin = read_origin(f"http://127.0.0.1:{port}", place="here")
        watched = with_target(NOTHING_WATCHED, origin)
        assert [(each.name, each.pid) for each in watched.processes] == [(SERVER, os.getpid())]
        assert with_target(watched, origin).processes == watched.processes
        assert str(watched.metrics) == f"http://127.0.0.1:{port}/metrics"
    assert find_listener(port, name=SERVER) is None


def rising(by: float) -> list[Sample]:
    taken = samples(*(told(owed=100 + by * number) for number in range(1300)))
    for number, each in enumerate(taken):
        process = cast(dict[str, Any], each["processes"][0])
        process |= {"cpu_share": 0.2 + by * number / 4000, "descriptors": int(50 + by * number)}
    return taken


def test_cpu_descriptors_and_work_that_is_owed_rise_or_do_not() -> None:
    verdicts = {(slope.process, slope.name): slope.verdict for slope in find_watched_slopes(rising(1.0))}
    assert verdicts == {("app", "cpu_share"): "rising", ("app", "descriptors"): "rising", ("", "owed"): "rising"}
    assert {slope.verdict for slope in find_watched_slopes(rising(0.001))} == {"flat"}


class Votes:
    """A server that counts, and the table of what it counts."""

    def __init__(self, folder: Path) -> None:
        (folder / "queries").mkdir()
        (folder / "queries" / "held.sql").write_text("-- title: votes\nselect count(*) as held_count\nfrom votes\n")
        self.database = sqlite3.connect(folder / "votes.db", isolation_level=None, check_same_thread=False)
        self.database.execute("create table votes (id integer primary key)")
        self.count = self.unknown = 5
        self.step = 0

    def answer(self, _: Got) -> Reply:
        self.count += self.step
        unknown = series(CALLS, operation="vote", outcome="unknown")
        return Reply(body=f"votes_total {self.count}\n{unknown} {self.unknown}\n", content_type="text/plain")

    def vote(self, *, rows: int, counted: int, unknown: int = 0) -> None:
        for _ in range(rows):
            self.database.execute("insert into votes default values")
        self.count += counted
        self.unknown += unknown


JUDGED: Mapping[str, tuple[Callable[[Votes], object], str, float | None, str]] = {
    "as many": (lambda votes: votes.vote(rows=3, counted=3), "passed", 0, "it rose by 3, and the rows by 3"),
    "a row too many": (lambda votes: votes.vote(rows=4, counted=3), "failed", 1, "it rose by 3, and the rows by 4"),
    "a count too many": (lambda votes: votes.vote(rows=2, counted=3), "failed", 1, "by 3, and the rows by 2"),
    "perhaps": (lambda votes: votes.vote(rows=4, counted=3, unknown=1), "not measured", None, "itself does not know"),
    "more than perhaps": (lambda votes: votes.vote(rows=5, counted=3, unknown=1), "failed", 2, "the rows by 5"),
    "others call": (lambda votes: setattr(votes, "step", 1), "not measured", None, "somebody else calls"),
    "started anew": (lambda votes: setattr(votes, "count", 0), "not measured", None, "started anew meanwhile"),
}


@pytest.mark.parametrize("case", JUDGED)
def test_a_counter_rises_by_what_the_table_holds_or_fails(
    case: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("integrity.load.counters.PAUSE_S", 0.0)
    harm, state, measured, reason = JUDGED[case]
    votes = Votes(tmp_path)
    with serving(votes.answer) as site:
        source = find_metrics(site.url, find_project(tmp_path))
        target = Target.parse(f"sqlite:///{tmp_path}/votes.db")
        by_name = {True: Counted("held", "vote"), False: Counted("held", "vote", is_asked_for=False)}
        counted = {asked: CountedRows(find_project(tmp_path), target, source, {"votes_total": each})
                   for asked, each in by_name.items()}  # fmt: skip
        for each in counted.values():
            each.begin()
        harm(votes)
        for each in counted.values():
            each.end()
    votes.database.close()
    [judged] = counted[True].judged

    assert (judged.state.value, judged.measured, reason in judged.reason) == (state, measured, True)
    assert len(counted[False].judged) == (state != "not measured")  # what nobody asked for is told, and no more
    assert [reason in note for note in counted[False].notes] == ([True] if state == "not measured" else [])


def test_a_query_that_there_is_not_is_refused_and_without_metrics_nothing_is_asked(tmp_path: Path) -> None:
    target = cast(Target, SimpleNamespace())
    source = MetricsSource("127.0.0.1", 9)
    with pytest.raises(UsageError, match="non"):
        CountedRows(find_project(tmp_path), target, source, {"votes_total": Counted("non/sense")})
    nothing = CountedRows(find_project(tmp_path), target, None, {"votes_total": Counted("non/sense")})
    nothing.begin()
    nothing.end()
    assert (nothing.judged, nothing.notes) == ([], [])
