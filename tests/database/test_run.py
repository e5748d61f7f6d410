"""A run on a real server: what it counts, measures and leaves behind."""

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing
from itertools import pairwise
from pathlib import Path
from typing import Any, cast

import orjson
import pytest

from integrity.database.namespace import guard
from integrity.engines.embedded.server import EmbeddedServer
from integrity.engines.target import Target
from integrity.errors import DatabaseError, HistoryError, SeedError, UnsafeDatabase, UsageError
from integrity.events import Event, Listener
from integrity.exit_codes import ExitCode
from integrity.history import Call, Outcome, decode
from integrity.load.closed_loop import ClosedLoop
from integrity.load.profile import load_profile
from integrity.load.request import EndedRun, RunAdvanced, RunPrepared, RunRequest
from integrity.load.run import run
from integrity.project import Project, Settings
from integrity.reference.ghostpass.system import GHOSTPASS
from integrity.runs.loading import load_history
from integrity.seeds.load import Mode, seed_system
from tests.waiting import wait_until

CALM = {"extends": "hammer", "abandon": {}, "duration_s": 1.0}


def seed(target: Target, wallet_count: int = 200) -> Target:
    seed_system(target, guard(target, None), GHOSTPASS, sizes={"wallets": wallet_count}, seed=1, mode=Mode.NEW)
    return target


@pytest.fixture(scope="module")
def template(server: EmbeddedServer) -> Iterator[str]:
    """The name of a seeded database."""
    name = "test_run_template"
    with closing(server.target.connect()) as admin:
        admin.execute(f"create database {name}".encode())
        seed(Target(server.target.url.set(database=name)))
        yield name
        admin.execute(f"drop database {name}".encode())


@pytest.fixture
def venue(template: str, make_database: Callable[[str | None], Target]) -> Target:
    """A seeded venue."""
    return make_database(template)


def run_profile(
    target: Target,
    folder: Path,
    settings: Mapping[str, Any],
    *,
    listener: Listener | None = None,
    bug: str | None = None,
    number: int = 1,
) -> EndedRun:
    request = RunRequest(
        system=GHOSTPASS,
        profile_name="test",
        profile=load_profile(GHOSTPASS, "test", {"test": settings}),
        target=target,
        project=Project(folder, Settings()),
        seed=number,
        bug=GHOSTPASS.bugs[bug] if bug else None,
    )
    return run(request, *([listener] if listener else []))


def ask(target: Target, query: str) -> list[tuple[Any, ...]]:
    if target.dialect == "sqlite":
        with closing(target.connect_sqlite(("ghostpass", "integrity"), is_read_only=True)) as connection:
            return [tuple(row) for row in connection.execute(query)]
    with closing(target.connect()) as server:
        return server.execute(query.encode()).fetchall()


def history_of(result: EndedRun) -> list[Call]:
    with result.folder.history.open("rb") as lines:
        return list(decode(lines, place="history"))


# What a run leaves behind.


def test_a_run_leaves_its_calls_in_the_folder_and_in_the_database(venue: Target, tmp_path: Path) -> None:
    processor = {"latency_most_s": 0.002, "timeout_share": 0.2, "timeout_s": 0.002}
    result = run_profile(venue, tmp_path, {**CALM, "abandon": {"default": 0.05}, "services": {"processor": processor}})

    calls = history_of(result)
    stored = ask(venue, "select operation_id, operation, outcome, client, attempts, error from integrity.calls")
    assert sorted(stored) == sorted(
        (c.operation_id, c.operation, c.outcome.value, c.client, c.attempts, c.error) for c in calls
    )
    assert len(calls) == result.result.operations[-1].calls == result.loaded.call_count > 10
    asked = result.result.dependencies
    assert ask(venue, "select count(*), count(returned_at) from integrity.requests where returned_at >= requested_at") == [
        (sum(sum(each.answers.values()) for each in asked),) * 2
    ]
    assert ask(venue, "select count(*) from integrity.requests") == [(sum(each.requests for each in asked),)]
    assert ask(venue, "select run_id, system, profile, bug, seed, state from integrity.runs") == [
        (result.folder.run_id, "ghostpass", "test", None, 1, "finished")
    ]
    assert {one.name for one in result.folder.path.iterdir()} == {
        "settings.json",
        "history.jsonl",
        "requests.jsonl",
        "received.jsonl",
        "metrics.jsonl",
        "monitor.jsonl",
        "result.json",
    }


def test_a_run_that_the_database_refuses_to_note_leaves_no_folder(venue: Target, tmp_path: Path) -> None:
    with venue.connect() as server:
        server.execute("alter table integrity.runs add constraint not_today check (profile <> 'test')")

    with pytest.raises(DatabaseError, match="not_today"):
        run_profile(venue, tmp_path, CALM)

    assert list((tmp_path / ".integrity/runs").iterdir()) == []


def test_a_run_that_is_refused_before_its_first_call_leaves_nothing(
    venue: Target, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def refuse(model: ClosedLoop) -> None:
        raise DatabaseError("no connection is left")

    monkeypatch.setattr(ClosedLoop, "open", refuse)

    with pytest.raises(DatabaseError, match="no connection is left"):
        run_profile(venue, tmp_path, CALM)

    assert list((tmp_path / ".integrity/runs").iterdir()) == []
    assert ask(venue, "select run_id from integrity.runs") == []


def test_every_acknowledged_call_is_in_the_database_and_no_failed_one_is(venue: Target, tmp_path: Path) -> None:
    run_profile(venue, tmp_path, {**CALM, "abandon": {"default": 0.05, "request_funding": 0.0}})

    effects = """
        select calls.outcome, count(distinct audit_log.id) as logged
        from integrity.calls as calls
        left join ghostpass.audit_log on audit_log.operation_id = calls.operation_id
        where calls.operation in ('sell', 'refund_sale', 'request_funding', 'scan_in', 'scan_out')
        group by calls.operation_id, calls.outcome
    """
    seen = set(ask(venue, effects))

    assert seen >= {("ok", 1), ("failed", 0), ("unknown", 1)}
    assert not seen & {("ok", 0), ("failed", 1)}
    assert max(count for _, count in seen) == 1


def test_loading_a_history_twice_changes_nothing(venue: Target, tmp_path: Path) -> None:
    result = run_profile(venue, tmp_path, CALM)

    again = load_history(venue, result.folder)

    assert again == result.loaded
    assert ask(venue, "select count(*) from integrity.calls") == [(result.loaded.call_count,)]


def test_a_history_is_not_loaded_into_a_database_that_it_was_not_made_on(venue: Target, tmp_path: Path) -> None:
    result = run_profile(venue, tmp_path, CALM)
    with closing(venue.connect()) as server:
        server.execute("delete from integrity.calls; delete from integrity.runs")

    with pytest.raises(HistoryError, match="did not run on"):
        load_history(venue, result.folder)


def test_metrics_are_sampled_every_second_and_add_up(venue: Target, tmp_path: Path) -> None:
    told: list[Event] = []

    result = run_profile(venue, tmp_path, {**CALM, "duration_s": 2.2}, listener=told.append)

    samples = [orjson.loads(line) for line in (result.folder.path / "metrics.jsonl").read_bytes().splitlines()]
    assert [round(sample["elapsed_s"]) for sample in samples] == [1, 2, 2]
    assert [sample["operations"]["sell"]["calls"] for sample in samples] == sorted(
        sample["operations"]["sell"]["calls"] for sample in samples
    )
    assert isinstance(told[0], RunPrepared)
    phases = [event.phase for event in told if isinstance(event, RunAdvanced)]
    assert phases[:2] == ["running", "running"]
    assert phases[-1] == "storing"


def test_settings_tell_how_to_repeat_the_run_and_not_the_password(venue: Target, tmp_path: Path) -> None:
    secret = Target(venue.url.set(password="tops3cret"))

    result = run_profile(secret, tmp_path, CALM, number=77)

    settings = result.folder.settings()
    assert (settings.system, settings.profile, settings.bug, settings.seed) == ("ghostpass", "test", None, 77)
    assert settings.server.startswith("PostgreSQL ")
    weights = settings.settings["weights"]
    assert isinstance(weights, dict)
    assert weights["sell"] == 50
    for file in result.folder.path.iterdir():
        assert b"tops3cret" not in file.read_bytes()


def test_one_client_draws_the_same_calls_from_the_same_seed(
    template: str, make_database: Callable[[str | None], Target], tmp_path: Path
) -> None:
    """The bounds of time differ, so one run may get further than the other; up to there they are the same."""
    at_once = {"processor": {"failure_share": 0.2, "duplicate_share": 0.5}}
    alone = {**CALM, "clients": 1, "services": at_once, "abandon": {"default": 0.1, "request_funding": 0.0}}

    def drawn(number: int) -> list[tuple[str, Mapping[str, Any], Outcome]]:
        result = run_profile(make_database(template), tmp_path, alone, number=number)
        first_retry = next((n for n, c in enumerate(history_of(result)) if c.error and "webhook" in c.operation), None)
        return [(c.operation, c.arguments, c.outcome) for c in history_of(result)[:first_retry]]

    one, again, other = drawn(5), drawn(5), drawn(6)

    length = min(len(one), len(again))
    assert length >= 10
    assert one[:length] == again[:length]
    assert one[:10] != other[:10]


# Webhooks.


def test_webhooks_are_sent_until_they_are_answered_so_nothing_stays_pending(venue: Target, tmp_path: Path) -> None:
    """Half of the deliveries die half way; at the end each funding is settled all the same, and once."""
    before = ask(venue, "select count(*) from ghostpass.fundings")
    hectic = {
        **CALM,
        "weights": {"request_funding": 1},
        "abandon": {"receive_funding_webhook": 0.5},
        "services": {"processor": {"delay_most_s": 0.2, "duplicate_share": 0.5, "retry_s": 0.02}},
    }

    result = run_profile(venue, tmp_path, hectic)

    rows = {row.operation: row for row in result.result.operations}
    requested = rows["request_funding"].ok
    assert requested > 2
    assert rows["receive_funding_webhook"].abandoned > 1
    assert rows["receive_funding_webhook"].declined > 2  # the second of two deliveries
    assert result.result.undelivered == 0
    assert result.result.settled[0].count == requested
    assert ask(venue, "select count(*) from ghostpass.fundings where status = 'pending'") == [(0,)]
    assert ask(venue, "select count(*) from ghostpass.fundings") == [(before[0][0] + requested,)]


# Open loop.


def test_latency_counts_from_the_intended_start_so_a_frozen_server_shows(venue: Target, tmp_path: Path) -> None:
    """All sales of the first second wait for a lock. A closed loop would have eight slow calls, and a p95 of nothing."""
    steady = {
        "title": "",
        "model": "open",
        "duration_s": 2,
        "clients": 200,
        "connections": 4,
        "streams": [{"name": "bar", "operations": ["sell"], "per_minute": 1200, "spacing": "even"}],
    }
    with closing(venue.connect()) as holder:
        holder.execute("begin")
        holder.execute("lock table ghostpass.wallets in exclusive mode")

        def let_go(event: Event) -> None:
            if isinstance(event, RunAdvanced):
                holder.execute("rollback")

        result = run_profile(venue, tmp_path, steady, listener=let_go)

    (sell, _) = result.result.operations
    arrivals = result.result.arrivals
    assert arrivals is not None
    assert (arrivals.offered, arrivals.sent, arrivals.not_sent) == (40, 40, 0)
    assert sell.p50_ms is not None
    assert sell.p95_ms is not None
    assert sell.p95_ms > 800
    assert sell.p50_ms < sell.p95_ms
    waited = [call for call in history_of(result) if call.invoked_at_us - call.intended_at_us > 100_000]
    assert len(waited) >= 10  # for a connection: the person had come, the application was full


def test_what_nobody_is_free_to_do_is_not_sent_and_no_failure_but_a_rate_that_was_not_achieved(
    venue: Target, tmp_path: Path
) -> None:
    crowd = {
        "title": "",
        "model": "open",
        "duration_s": 1.2,
        "clients": 5,
        "connections": 2,
        "bursts": [{"name": "rush", "operation": "sell", "count": 8, "every_s": 1}],
        "thresholds": [
            {"statistic": "achieved_share", "least": 0.9, "source": "test"},
            {"statistic": "failure_share", "most": 0, "source": "test"},
        ],
    }

    result = run_profile(venue, tmp_path, crowd)

    assert result.result.arrivals is not None
    assert result.result.arrivals.not_sent == 3
    achieved, failures = result.result.thresholds
    assert (achieved.measured, achieved.state) == (5 / 8, "failed")
    assert failures.measured == 0.0
    assert (failures.state, failures.left_out) == ("passed", "3 calls not sent")
    assert result.exit_code == ExitCode.THRESHOLD


def test_a_stream_stands_at_its_door_and_a_guest_who_came_in_goes_out_next(venue: Target, tmp_path: Path) -> None:
    door = {"name": "door-2", "operations": ["scan_in", "scan_out"], "per_minute": 1800, "pin": {"gateway_id": 2}}
    guests = {"title": "", "model": "open", "duration_s": 1, "clients": 3, "connections": 4, "own": ["wallets"]}

    result = run_profile(venue, tmp_path, {**guests, "streams": [door]})

    calls = history_of(result)
    assert {call.arguments["gateway_id"] for call in calls} == {2}
    assert len({call.arguments["wallet_id"] for call in calls}) <= 3
    for number in range(3):
        visits = [c.operation for c in sorted(calls, key=lambda c: c.invoked_at_us) if c.client == number]
        assert all(one != following for one, following in pairwise(visits))


# Thresholds and errors.


def test_a_threshold_that_was_not_measured_is_no_pass(venue: Target, tmp_path: Path) -> None:
    limits = [{"operation": "refund_sale", "statistic": "p95", "most": 1000, "source": "test"}]

    result = run_profile(venue, tmp_path, {**CALM, "weights": {"sell": 1}, "thresholds": limits, "duration_s": 0.2})

    assert result.result.thresholds[0].state == "not measured"
    assert result.exit_code == ExitCode.UNKNOWN


def test_a_threshold_that_was_missed_exits_4(venue: Target, tmp_path: Path) -> None:
    limits = [{"statistic": "p50", "most": 0.001, "source": "test"}]

    result = run_profile(venue, tmp_path, {**CALM, "thresholds": limits, "duration_s": 0.2})

    assert result.exit_code == ExitCode.THRESHOLD


def test_a_database_that_was_not_seeded_is_named_with_the_next_step(database: Target, tmp_path: Path) -> None:
    with pytest.raises(SeedError, match="no data of ghostpass") as caught:
        run_profile(database, tmp_path, CALM)

    assert caught.value.hint == "Make it first: integrity seed --system ghostpass"
    assert not list(tmp_path.rglob("history.jsonl"))


def test_a_strangers_tables_are_not_hammered(venue: Target, tmp_path: Path) -> None:
    with closing(venue.connect()) as server:
        server.execute("create table customers (id int)")

    with pytest.raises(UnsafeDatabase, match="customers"):
        run_profile(venue, tmp_path, CALM)


def test_more_connections_than_the_server_has_are_refused_before_the_run(venue: Target, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="5,000 connections are asked for") as caught:
        run_profile(venue, tmp_path, {**CALM, "clients": 5000})

    assert caught.value.hint is not None
    assert "--clients" in caught.value.hint


def test_a_bug_leaves_its_constraint_out_and_a_sound_run_makes_it_again(venue: Target, tmp_path: Path) -> None:
    query = "select count(*) from pg_constraint where conname = 'wallets_balance_not_negative'"

    run_profile(venue, tmp_path, {**CALM, "weights": {"scan_out": 1}, "duration_s": 0.2}, bug="overdraw")
    during = ask(venue, query)
    run_profile(venue, tmp_path, {**CALM, "weights": {"scan_out": 1}, "duration_s": 0.2})

    assert (during, ask(venue, query)) == ([(0,)], [(1,)])


# SQLite.


def test_on_sqlite_clients_wait_for_the_one_writer_and_every_acknowledged_call_is_there(tmp_path: Path) -> None:
    target = seed(Target.parse(f"sqlite:///{tmp_path}/venue.db"), wallet_count=50)

    result = run_profile(target, tmp_path, {**CALM, "clients": 4, "duration_s": 1.5})

    total = result.result.operations[-1]
    assert total.ok > 10
    assert (total.failed, total.unknown) == (0, 0)
    missing = """
        select count(*)
        from integrity.calls as calls
        left join ghostpass.audit_log on audit_log.operation_id = calls.operation_id
        where calls.outcome = 'ok' and audit_log.id is null
    """
    assert ask(target, missing) == [(0,)]
    assert ask(target, "select count(*) from integrity.calls") == [(total.calls,)]
    assert ask(target, "select state from integrity.runs") == [("finished",)]


# The command.


def start(folder: Path, target: Target, *arguments: str) -> "subprocess.Popen[str]":
    command = [sys.executable, "-m", "integrity", "run", *arguments, "--project", str(folder), "--database", target.text]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=folder)


def test_the_command_prints_its_result_and_says_where_it_is(venue: Target, tmp_path: Path) -> None:
    limit = '[{ statistic = "failure_share", most = 0, source = "a second carries no other" }]'
    brief = f'[profiles.ghostpass.brief]\nextends = "hammer"\nduration_s = 1\nthresholds = {limit}\n'
    (tmp_path / "integrity.toml").write_text(brief)

    process = start(tmp_path, venue, "brief", "--seed", "4", "--clients", "3")
    shown, said = process.communicate(timeout=60)

    assert process.returncode == ExitCode.OK, said
    headers = "operation calls ok declined unavailable failed unknown retries calls/s p50 ms p95 ms p99 ms max ms"
    assert " ".join(shown.splitlines()[0].split()) == headers
    assert "ghostpass brief, seed 4: finished; thresholds: 1 passed" in shown
    assert f"run folder: {tmp_path}/.integrity/runs/" in shown
    assert "3 clients on 3 connections, 1 s, seed 4, no bug" in said


def test_the_command_prints_json(venue: Target, tmp_path: Path) -> None:
    process = start(tmp_path, venue, "smoke", "--duration", "2s", "--json")
    shown, said = process.communicate(timeout=60)

    assert process.returncode == ExitCode.OK, said
    result = orjson.loads(shown)
    assert result["state"] == "finished"
    assert orjson.loads((Path(result["folder"]) / "result.json").read_bytes()) == result


def test_an_interrupted_run_goes_on_for_what_is_left_of_it(venue: Target, tmp_path: Path) -> None:
    process = start(tmp_path, venue, "hammer", "--duration", "6s", "--seed", "4", "--bug", "lost_update")
    wait_for_history(process, tmp_path)
    os.kill(process.pid, signal.SIGINT)
    shown, said = process.communicate(timeout=60)
    assert process.returncode == ExitCode.INTERRUPTED, said
    (folder,) = (tmp_path / ".integrity/runs").iterdir()
    assert f"to go on: integrity run --resume {folder.name}" in shown
    before = orjson.loads((folder / "result.json").read_bytes())

    rest = start(tmp_path, venue, "--resume", folder.name, "--json")
    shown, said = rest.communicate(timeout=60)

    assert rest.returncode == ExitCode.OK, said
    assert f"going on with run {folder.name}" in " ".join(said.split())
    result = orjson.loads(shown)
    found = [result[name] for name in ("state", "profile", "bug", "seed", "resumes")]
    assert found == ["finished", "hammer", "lost_update", 5, folder.name]
    assert result["duration_s"] == pytest.approx(6.0 - before["elapsed_s"], abs=0.01)
    assert result["shortened"] == {"ran_s": 6.0, "plan_s": 10.0}
    told = start(tmp_path, venue, "--resume", result["run_id"])
    assert "came to its end" in " ".join(told.communicate(timeout=60)[1].split())
    assert told.returncode == ExitCode.USAGE


def test_ctrl_c_stops_keeps_and_loads_what_was_done(venue: Target, tmp_path: Path) -> None:
    process = start(tmp_path, venue, "hammer", "--duration", "10m", "--seed", "1")
    history = wait_for_history(process, tmp_path)
    os.kill(process.pid, signal.SIGINT)
    shown, said = process.communicate(timeout=60)

    assert process.returncode == ExitCode.INTERRUPTED, said
    assert "interrupted; what was done is recorded and loaded" in shown
    assert " s of the plan's 10m; thresholds" in " ".join(shown.split())
    assert "Traceback" not in said
    with history.open("rb") as lines:
        calls = list(decode(lines, place="history"))
    assert ask(venue, "select count(*) from integrity.calls") == [(len(calls),)]
    assert ask(venue, "select state from integrity.runs") == [("interrupted",)]
    assert ask(venue, "select count(*) from ghostpass.fundings where status = 'pending'") == [(0,)]


def wait_for_history(process: "subprocess.Popen[str]", folder: Path, lines: int = 400) -> Path:
    """Return the history of the process's run when it has so many lines."""

    def find() -> Path | None:
        assert process.poll() is None, process.communicate()[1]
        histories = folder.glob(".integrity/runs/*/history.jsonl")
        return next((history for history in histories if history.read_bytes().count(b"\n") >= lines), None)

    return cast(Path, wait_until(find))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["pique"], "has no profile 'pique'"),
        (["hammer", "--system", "bank"], "unknown system 'bank'"),
        (["hammer", "--bug", "typo"], "has no bug 'typo'"),
        (["hammer", "--clients", "-1"], "'-1' is not an integer from 1 to 1,000,000"),
        (["hammer", "--clients", "1000001"], "'1000001' is not an integer from 1 to 1,000,000"),
        (["hammer", "--duration", "0s"], "'0s' is not a duration above 0s, up to 30 days"),
        (["hammer", "--duration", "soon"], "is no duration"),
        (["hammer", "--rate", "5"], "--rate: profile hammer is a closed loop"),
        (["hammer", "--time-scale", "5"], "--time-scale: profile hammer is a closed loop"),
        (["hammer", "--connections", "5"], "has no connections"),
        (["pilot", "--rate", "0"], "'0' is not a number from 0.001 to 1,000,000"),
    ],
)
def test_bad_input_is_one_clear_paragraph_and_exit_2(
    arguments: list[str], message: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    from integrity.cli.main import main

    with pytest.raises(SystemExit) as caught:
        main(["run", *arguments, "--project", str(tmp_path), "--database", "postgresql://nobody@localhost:1/none"])

    said = capsys.readouterr().err
    assert caught.value.code == ExitCode.USAGE
    assert message in said
    assert "Traceback" not in said
