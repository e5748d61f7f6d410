"""The monitor on a real server: provoked trouble is seen and named, and nothing stops it from watching."""

import json
import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import psycopg
import pytest

from integrity.database.namespace import guard
from integrity.engines.embedded.server import EmbeddedServer
from integrity.engines.target import Target
from integrity.errors import Unreachable
from integrity.load.profile import load_profile
from integrity.load.request import EndedRun, RunRequest
from integrity.load.run import run
from integrity.monitor import sampler
from integrity.monitor.database import DatabaseWatch
from integrity.monitor.findings import find_alerts
from integrity.monitor.processes import Process, find_server, parse_process, start_mark
from integrity.monitor.questions import QUESTIONS, choose
from integrity.monitor.sample import DatabaseSample, Sample
from integrity.monitor.sample_file import read_file
from integrity.monitor.sampler import Monitor
from integrity.monitor.summary import MonitorSummary
from integrity.project import Project, Settings
from integrity.reference.ghostpass.system import GHOSTPASS
from integrity.report.run_text import render_run
from integrity.seeds.load import Mode, seed_system

WAIT_S_MAX = 30


@pytest.fixture
def shop(database: Target) -> Target:
    """A database with a table of 20,000 rows and one of two."""
    with closing(database.connect()) as server:
        server.execute("create table orders (id bigint primary key, note text)")
        server.execute("insert into orders select number, 'x' from generate_series(1, 20000) as number")
        server.execute("create table wallets (id bigint primary key, balance bigint)")
        server.execute("insert into wallets values (1, 100), (2, 100)")
        server.execute("vacuum analyze")
    return database


@contextmanager
def watching(target: Target) -> Iterator[DatabaseWatch]:
    watch = DatabaseWatch(target)
    watch.open()
    yield watch
    watch.close()


def sample_until(
    watch: DatabaseWatch, is_seen: Callable[[DatabaseSample], Any], *, is_full: bool = False
) -> DatabaseSample:
    """Return the first sample that shows it."""
    deadline = time.monotonic() + WAIT_S_MAX
    while time.monotonic() < deadline:
        sample = watch.sample(is_full=is_full)
        if is_seen(sample):
            return sample
    raise AssertionError(f"not seen within {WAIT_S_MAX} s; last: {sample}")


def alerts_of(watch: DatabaseWatch, *databases: DatabaseSample) -> dict[str, Any]:
    samples: list[Sample] = [
        {"at_us": 0, "elapsed_s": float(at_s), "database": database} for at_s, database in enumerate(databases)
    ]
    return {alert.name: alert for alert in find_alerts(watch.facts or {}, samples)}


def on_thread(act: Callable[[], object]) -> threading.Thread:
    thread = threading.Thread(target=act)
    thread.start()
    return thread


def test_a_lock_holder_is_named_with_the_table_and_those_who_wait(shop: Target) -> None:
    """The extension brings its schema onto the search path: tables keep theirs in their names all the same."""
    with closing(shop.connect()) as session:
        session.execute("create extension pg_stat_statements")
    with watching(shop) as watch, closing(shop.connect(application_name="holder")) as holder:
        holder.execute("begin")
        holder.execute("update wallets set balance = 0 where id = 1")

        def wait() -> None:
            with closing(shop.connect(application_name="waiter")) as waiter:
                waiter.execute("update wallets set balance = 1 where id = 1")

        threads = [on_thread(wait), on_thread(wait)]
        seen = sample_until(
            watch, lambda s: len(s.get("blocking", ())) >= 2 and min(pair["waited_s"] for pair in s["blocking"]) > 1
        )
        holder.execute("commit")
        for thread in threads:
            thread.join()

    assert seen["activity"]["lock_waiters"] == 2
    assert seen["activity"]["idle_in_transaction"] == 1
    assert seen["activity"]["longest_idle_in_transaction_s"] > 1
    assert {pair["relation"] for pair in seen["blocking"]} == {"public.wallets"}
    alert = alerts_of(watch, seen)["lock-wait"]
    assert "lock contention on public.wallets: 2 sessions wait" in alert.sentence
    assert "behind holder (pid " in alert.sentence
    assert "idle in transaction" in alert.sentence
    assert alert.sentence.endswith("update wallets set balance = 0 where id = 1")


def test_a_wait_for_another_insert_of_the_same_key_names_the_table(shop: Target) -> None:
    """The waiter holds no row yet: it waits for the end of a transaction."""
    with watching(shop) as watch, closing(shop.connect()) as holder:
        holder.execute("begin")
        holder.execute("insert into wallets values (3, 0)")

        def wait() -> None:
            with closing(shop.connect()) as waiter:
                waiter.execute("insert into wallets values (3, 1) on conflict do nothing")

        thread = on_thread(wait)
        seen = sample_until(watch, lambda s: s.get("blocking"))
        holder.execute("rollback")
        thread.join()
    assert [pair["relation"] for pair in seen["blocking"]] == ["public.wallets"]


def test_a_prepared_transaction_that_blocks_is_told_apart(tmp_path: Path) -> None:
    server = EmbeddedServer(tmp_path / "postgres", settings={"max_prepared_transactions": "2", "fsync": "off"})
    target = server.start()
    try:
        with watching(target) as watch, closing(target.connect()) as holder:
            holder.execute("create table wallets (id bigint)")
            holder.execute("begin")
            holder.execute("lock table wallets in access exclusive mode")
            holder.execute("prepare transaction 'forgotten'")

            def wait() -> None:
                with closing(target.connect()) as waiter:
                    waiter.execute("insert into wallets values (1)")

            thread = on_thread(wait)
            seen = sample_until(watch, lambda s: s.get("blocking"))
            holder.execute("rollback prepared 'forgotten'")
            thread.join()
    finally:
        server.reset()
    assert seen["activity"]["prepared"] == 1
    assert [pair["blocker"] for pair in seen["blocking"]] == [0]
    found = alerts_of(watch, seen)["prepared-transaction"]
    assert found.sentence.startswith("1 prepared transaction, and sessions wait for its locks")


def test_a_deadlock_is_counted(shop: Target) -> None:
    both_have_one = threading.Barrier(2)
    outcomes: list[str] = []

    def cross(first: int, second: int) -> None:
        with closing(shop.connect()) as session:
            session.execute("begin")
            session.execute("update wallets set balance = 1 where id = %s", (first,))
            both_have_one.wait()
            try:
                session.execute("update wallets set balance = 1 where id = %s", (second,))
                session.execute("commit")
            except psycopg.errors.DeadlockDetected:
                outcomes.append("deadlock")

    with watching(shop) as watch:
        before = watch.sample(is_full=True)
        threads = [on_thread(lambda: cross(1, 2)), on_thread(lambda: cross(2, 1))]
        for thread in threads:
            thread.join()
        after = sample_until(watch, lambda s: s["database"]["deadlocks"] > before["database"]["deadlocks"])
    assert outcomes == ["deadlock"]
    assert alerts_of(watch, before, after)["deadlocks"].value == 1


def test_sequential_scans_of_a_large_table_are_named_and_index_scans_are_not(shop: Target) -> None:
    with watching(shop) as watch:
        before = watch.sample(is_full=True)
        with closing(shop.connect()) as session:
            for _ in range(12):
                session.execute("select count(*) from orders where note = 'y'")
                session.execute("select note from orders where id = 7")

        def is_counted(sample: DatabaseSample) -> bool:
            # The session reports when it ends, which is a moment after it is closed.
            return any(row["table_name"] == "public.orders" and row["index_scans"] >= 12 for row in sample["tables"])

        after = sample_until(watch, is_counted, is_full=True)
    found = alerts_of(watch, before, after)
    assert found["sequential-scans"].sentence == (
        "sequential scans on public.orders: 12 scans read 240,000 rows, 20,000 each"
    )
    assert [row["table_name"] for row in after["tables"]] == ["public.orders"], "tables that changed only"


def test_an_idle_transaction_gets_older(shop: Target) -> None:
    with watching(shop) as watch, closing(shop.connect()) as forgotten:
        forgotten.execute("begin")
        forgotten.execute("select 1")
        first = watch.sample(is_full=False)["activity"]
        second = watch.sample(is_full=False)["activity"]
    assert first["idle_in_transaction"] == second["idle_in_transaction"] == 1
    assert 0 < first["longest_idle_in_transaction_s"] < second["longest_idle_in_transaction_s"]
    assert first["oldest_transaction_s"] < second["oldest_transaction_s"]


def test_its_own_connection_counts_neither_as_busy_nor_as_idle(shop: Target) -> None:
    with watching(shop) as watch:
        alone = watch.sample(is_full=False)["activity"]
        with closing(shop.connect()):
            joined = watch.sample(is_full=False)["activity"]
    assert (alone["connections_here"], alone["busy"]) == (0, 0)
    assert (joined["connections_here"], joined["busy"]) == (1, 0)


def test_it_reads_only_and_is_ended_by_the_server_when_it_takes_long(shop: Target) -> None:
    with watching(shop) as watch, closing(shop.connect()) as server:
        settings = server.execute("select 1").fetchall()
        session = watch._connection
        assert session is not None
        assert settings == [(1,)]
        assert session.execute("show default_transaction_read_only").fetchone() == ("on",)
        with pytest.raises(psycopg.errors.QueryCanceled):
            session.execute("select pg_sleep(10)")
        with pytest.raises(psycopg.errors.ReadOnlySqlTransaction):
            session.execute("delete from public.wallets")


def test_a_role_without_rights_is_told_what_it_does_not_see(shop: Target) -> None:
    role = f"onlooker_{os.getpid()}"
    with closing(shop.connect()) as server:
        server.execute(f"create role {role} login".encode())
        try:
            onlooker = Target(shop.url.set(username=role))
            with watching(onlooker) as watch:
                activity = watch.sample(is_full=True)["activity"]
            assert activity["hidden"] >= 1
            assert activity["connections"] == activity["hidden"]
            assert "what sessions of other roles do: grant pg_read_all_stats to this role to see it" in watch.notes
        finally:
            server.execute(f"drop role {role}".encode())


def test_slow_statements_are_named_where_the_server_keeps_them(tmp_path: Path) -> None:
    """The embedded server does from its start on; the extension is found in whatever schema it is."""
    server = EmbeddedServer(tmp_path / "postgres", settings={"fsync": "off"})
    target = server.start()
    try:
        with closing(target.connect()) as session:
            session.execute("create schema elsewhere")
            session.execute("alter extension pg_stat_statements set schema elsewhere")
            has_begun = threading.Event()
            monitor = Monitor(target, listener=lambda sample: has_begun.set())
            monitor.start()
            assert has_begun.wait(WAIT_S_MAX)
            for _ in range(20):
                session.execute("select count(*) from generate_series(1, 50000)")
            summary = monitor.stop()
    finally:
        server.reset()
    slowest = summary.statements[0]
    assert slowest.statement == "select count(*) from generate_series($1, $2)"
    assert slowest.calls == 20
    assert summary.notes == ()


def test_an_extension_that_is_not_loaded_is_noted_once_and_not_asked_again(shop: Target) -> None:
    with closing(shop.connect()) as session:
        session.execute("create extension pg_stat_statements")
    with watching(shop) as watch:
        first, second = watch.sample(is_full=True), watch.sample(is_full=True)
    assert "must be loaded" in first["missed"]["statements"]
    assert "missed" not in second
    assert first["activity"]["connections"] >= 0
    assert len([note for note in watch.notes if note.startswith("statements: ")]) == 1


def test_every_version_of_postgresql_is_asked_each_question_at_most_once() -> None:
    for version in range(13, 20):
        chosen, notes = choose({"version_major": version, "statements_schema": "public", "can_see_all": True})
        names = [question.name for question in chosen]
        assert len(names) == len(set(names)), version
        assert {question.name for question in QUESTIONS} - set(names) == (set() if version >= 16 else {"io"})
        assert len(notes) == (0 if version >= 16 else 1)


def test_the_server_that_runs_here_is_found_by_its_session_and_no_other_process_is(server: EmbeddedServer) -> None:
    with watching(server.target) as watch:
        facts = watch.facts
        assert facts is not None
        assert find_server(facts) == Process("database", server.status().pid or 0, is_followed=False)
        assert find_server({**facts, "backend_pid": os.getpid()}) is None, "not PostgreSQL's"
        assert find_server({**facts, "backend_started_s": facts["backend_started_s"] - 3600}) is None, "another session"
        assert find_server({**facts, "backend_pid": 2**22 + 1}) is None, "no such process"


def test_a_monitor_writes_facts_and_samples_that_can_be_read_back(shop: Target, tmp_path: Path) -> None:
    file = tmp_path / "monitor.jsonl"
    seen = threading.Event()

    def listen(sample: Sample) -> None:
        if sample["elapsed_s"] > 0.2:
            seen.set()

    monitor = Monitor(
        shop,
        file=file,
        every_s=0.05,
        pool_size=7,
        read_loop_lag_ms=lambda: 1.5,
        listener=listen,
    )
    monitor.start()
    assert seen.wait(WAIT_S_MAX)
    summary = monitor.stop()

    facts, samples = read_file(file)
    assert (facts["pool_size"], facts["version_major"]) == (7, 18)
    assert samples == monitor.read_samples()
    assert summary.sample_count == len(samples) >= 4
    assert summary.answered_count == len(samples)
    assert "tables" in samples[0]["database"]
    assert "tables" not in samples[1]["database"]
    assert "tables" in samples[-1]["database"], "the last one is whole"
    assert {process["name"] for process in samples[-1]["processes"]} == {"integrity", "database"}
    assert all(process["is_alive"] for process in samples[-1]["processes"])
    assert samples[-1]["processes"][-1]["rss_bytes"] > 1_000_000
    assert samples[0]["loop_lag_ms"] == 1.5
    file.write_bytes(file.read_bytes() + b'{"kind":"sample","elap')
    assert read_file(file)[1] == samples, "what a killed process wrote in part is left out"


def test_a_file_that_cannot_be_written_is_noted_and_the_samples_are_kept(shop: Target, tmp_path: Path) -> None:
    monitor = Monitor(shop, file=tmp_path / "nowhere" / "monitor.jsonl")
    monitor.start()
    summary = monitor.stop()
    assert summary.sample_count >= 1
    assert summary.answered_count == summary.sample_count
    (note,) = [note for note in summary.notes if "monitor.jsonl" in note]
    assert "No such file or directory" in note


def test_a_server_that_goes_away_is_noted_and_watched_again_when_it_is_back(tmp_path: Path) -> None:
    server = EmbeddedServer(tmp_path / "postgres", settings={"fsync": "off", "shared_buffers": "16MB"})
    target = server.start()
    heard: list[Sample] = []
    changed = threading.Condition()

    def listen(sample: Sample) -> None:
        with changed:
            heard.append(sample)
            changed.notify_all()

    def wait_for(is_there: Callable[[Sample], Any]) -> Sample:
        with changed:
            assert changed.wait_for(lambda: any(is_there(sample) for sample in heard), WAIT_S_MAX)
            return next(sample for sample in heard if is_there(sample))

    monitor = Monitor(target, every_s=0.05, listener=listen)
    monitor.start()
    try:
        wait_for(lambda s: "activity" in s["database"])
        first_pid = server.status().pid
        assert first_pid is not None
        os.kill(first_pid, signal.SIGKILL)
        away = wait_for(lambda s: "error" in s["database"])
        server.start()
        wait_for(lambda s: s["elapsed_s"] > away["elapsed_s"] and "activity" in s["database"])
        wait_for(lambda s: any(p["pid"] not in (first_pid, os.getpid()) for p in s["processes"]))
        summary = monitor.stop()
    finally:
        monitor.stop()
        server.reset()
    assert summary.answered_count < summary.sample_count
    assert summary.alerts[0].name == "unreachable"


def test_a_server_that_is_frozen_does_not_hold_the_monitor(shop: Target, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sampler, "STOP_S_MOST", 0.3)
    heard = threading.Event()
    monitor = Monitor(shop, every_s=0.05, listener=lambda sample: heard.set())
    monitor.start()
    assert heard.wait(WAIT_S_MAX)
    backend = monitor.facts["backend_pid"]
    os.kill(backend, signal.SIGSTOP)
    try:
        began = time.monotonic()
        summary = monitor.stop()
        assert time.monotonic() - began < 5
    finally:
        os.kill(backend, signal.SIGCONT)
    assert any("did not answer" in note for note in summary.notes)
    monitor._thread.join(WAIT_S_MAX)
    assert not monitor._thread.is_alive()


def test_on_sqlite_only_processes_are_watched(tmp_path: Path) -> None:
    monitor = Monitor(Target.parse(f"sqlite:///{tmp_path}/venue.db"))
    monitor.start()
    summary = monitor.stop()
    assert summary.database is None
    assert [process.name for process in summary.processes] == ["integrity"]
    assert summary.alerts == ()


def test_a_process_is_known_by_its_start_and_not_by_its_id_alone() -> None:
    child = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    mark = start_mark(child.pid)
    assert mark is not None
    assert mark != start_mark(os.getpid())
    assert parse_process(f"app={child.pid}") == Process("app", child.pid)
    child.communicate(b"\n")
    assert start_mark(child.pid) is None


def monitor_command(*words: str, database: Target, folder: Path) -> "subprocess.CompletedProcess[str]":
    command = [sys.executable, "-m", "integrity", "monitor", "--database", database.text, *words]
    return subprocess.run(command, capture_output=True, text=True, cwd=folder, timeout=60, check=False)


def test_the_command_tells_what_it_saw_and_keeps_it(shop: Target, tmp_path: Path) -> None:
    words = ["--duration", "0.5s", "--every", "0.1s", "--output", "kept.jsonl", "--process", f"tests={os.getpid()}"]
    ran = monitor_command(*words, database=shop, folder=tmp_path)
    assert ran.returncode == 0, ran.stderr
    assert re.search(r"at most (1 connection|\d+ connections), ", ran.stdout)
    assert f"tests (pid {os.getpid()}): CPU " in ran.stdout
    assert ran.stdout.splitlines()[-1].startswith("monitor: nothing to report; ")
    assert len(ran.stderr.splitlines()) >= 4
    assert len(read_file(tmp_path / "kept.jsonl")[1]) >= 4
    again = monitor_command(*words, database=shop, folder=tmp_path)
    assert again.returncode == 2
    assert "kept.jsonl: there is such a file already" in again.stderr


def test_the_command_speaks_json_lines(shop: Target, tmp_path: Path) -> None:
    ran = monitor_command("--duration", "0.3s", "--every", "0.1s", "--json", database=shop, folder=tmp_path)
    lines = [json.loads(line) for line in ran.stdout.splitlines()]
    assert [lines[0]["kind"], lines[1]["kind"], lines[-1]["kind"]] == ["facts", "sample", "summary"]
    assert lines[-1]["sample_count"] == len(lines) - 2
    assert ran.stderr == ""


def test_a_critical_finding_exits_with_4(shop: Target, tmp_path: Path) -> None:
    with closing(shop.connect()) as busy:
        busy.execute("begin")
        ran = monitor_command("--duration", "0.2s", "--pool", "1", database=shop, folder=tmp_path)
    assert ran.returncode == 4
    assert "critical  pool near exhaustion: 1 of 1 busy (100%)" in ran.stdout


def test_ctrl_c_ends_a_monitor_without_a_duration_and_it_says_what_it_saw(shop: Target, tmp_path: Path) -> None:
    command = [sys.executable, "-m", "integrity", "monitor", "--database", shop.text, "--every", "0.1s"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=tmp_path)
    assert process.stderr is not None
    assert re.search(r" (1 connection|\d+ connections), ", process.stderr.readline())
    process.send_signal(signal.SIGINT)
    output = process.communicate(timeout=30)[0]
    assert process.returncode == 0
    assert "monitor: nothing to report" in output


def test_the_queries_can_be_pasted_into_psql(shop: Target, tmp_path: Path) -> None:
    """psql itself is not needed for that: each is a statement that the server takes as it stands."""
    printed = monitor_command("--print-sql", database=shop, folder=tmp_path).stdout
    wanted = [text for text in printed.split("\n;\n") if text.strip()]
    assert len(wanted) == len(QUESTIONS) + 1
    ran = 0
    with closing(shop.connect()) as session:
        for text in wanted:
            if "and older" in text.splitlines()[0] + text or "pg_stat_statements as statements" in text:
                continue
            session.execute(text.encode())
            ran += 1
    assert ran >= 7


@pytest.mark.parametrize(
    ("words", "reason"),
    [
        (["--process", "nobody"], "--process 'nobody': no process id"),
        (["--process", "app=4194999"], "--process 'app=4194999': there is no process 4194999"),
        (["--every", "0.01s"], "'--every': '0.01s' is not a duration from 100ms to 30 days"),
        (["--database", "postgresql://nobody@127.0.0.1:1/x"], "cannot connect to"),
        (["--database", "sqlite:///venue.db"], "SQLite has no server to watch"),
    ],
)
def test_bad_input_is_told(words: list[str], reason: str, shop: Target, tmp_path: Path) -> None:
    refused = monitor_command(*words, database=shop, folder=tmp_path)
    assert refused.returncode == 2
    assert reason in refused.stderr
    assert "Traceback" not in refused.stderr


def seen(ended: EndedRun) -> MonitorSummary:
    assert ended.result.monitor is not None
    return ended.result.monitor


def run_smoke(target: Target, folder: Path) -> EndedRun:
    profile = load_profile(GHOSTPASS, "smoke", {}, {"duration_s": 1.5})
    seed_system(target, guard(target, None), GHOSTPASS, sizes={"wallets": 200}, seed=1, mode=Mode.NEW)
    request = RunRequest(
        system=GHOSTPASS,
        profile_name="smoke",
        profile=profile,
        target=target,
        project=Project(folder, Settings()),
        seed=1,
    )
    return run(request)


def test_a_run_is_watched_and_keeps_what_was_seen(database: Target, tmp_path: Path) -> None:
    result = run_smoke(database, tmp_path)
    facts, samples = read_file(result.folder.path / "monitor.jsonl")
    assert facts["pool_size"] == 8
    assert len(samples) == seen(result).sample_count >= 2
    assert seen(result).answered_count == len(samples)
    assert max(sample["database"]["activity"]["connections_here"] for sample in samples) >= 8
    assert any(sample["loop_lag_ms"] is not None for sample in samples)
    assert {process["name"] for process in samples[-1]["processes"]} == {"integrity", "database"}
    assert (figures := seen(result).database) is not None
    assert (figures.rows_written_per_s or 0) > 0
    assert any(row.table == "ghostpass.scans" for row in seen(result).tables)
    assert "\nmonitor: " in render_run(result.result)


def test_a_run_on_sqlite_is_watched_by_its_process_only(tmp_path: Path) -> None:
    result = run_smoke(Target.parse(f"sqlite:///{tmp_path}/venue.db"), tmp_path)
    summary = seen(result)
    assert summary.database is None
    assert [process.name for process in summary.processes] == ["integrity"]
    assert "none of a database" in render_run(result.result)


def test_a_run_goes_on_when_it_cannot_be_watched(database: Target, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(watch: DatabaseWatch) -> dict[str, Any]:
        raise Unreachable("too many connections")

    monkeypatch.setattr(DatabaseWatch, "open", refuse)
    result = run_smoke(database, tmp_path)
    assert result.result.state == "finished"
    assert result.result.operations[-1].calls > 10
    (alert,) = [alert for alert in seen(result).alerts if alert.name == "unreachable"]
    assert alert.sentence.endswith("too many connections")
