"""What a monitor says about its samples: each limit on both sides, the words and the figure."""

import re
from pathlib import Path
from typing import Any, cast

import pytest

from integrity.errors import UsageError
from integrity.monitor import questions
from integrity.monitor.findings import Alert, find_alerts
from integrity.monitor.limits import LIMITS, limit_of, read_limits, show
from integrity.monitor.questions import QUESTIONS, STATEMENTS, TEXT_MOST, is_own
from integrity.monitor.sample import DatabaseSample, ProcessSample, Sample
from integrity.monitor.sample_file import read_file
from integrity.monitor.sampler import Monitor
from integrity.monitor.summary import named_apart, summarize
from integrity.project import find_project
from integrity.reference.streamvote.system import STREAMVOTE
from integrity.registry import SYSTEMS
from integrity.report.monitor_text import render_monitor, render_statements
from integrity.systems.planned_limit import PlannedLimit
from integrity.systems.system import System

FACTS = {"cores": 2, "max_connections": 103, "reserved_connections": 3, "deadlock_timeout_ms": 200, "pool_size": 50}
CALM = {
    "connections": 10,
    "busy": 5,
    "lock_waiters": 0,
    "idle_in_transaction": 0,
    "longest_idle_in_transaction_s": 0.0,
    "oldest_transaction_s": 0.0,
    "prepared": 0,
}
COUNTERS = dict.fromkeys(
    (
        "commits", "rollbacks", "deadlocks", "blocks_hit", "blocks_read", "rows_inserted", "rows_updated", "rows_deleted",
        "temp_bytes", "wal_bytes",
    ), 0,
)  # fmt: skip
TABLE = dict.fromkeys(
    (
        "sequential_scans", "sequential_rows", "index_scans", "rows_inserted", "rows_updated", "rows_updated_hot",
        "rows_deleted", "rows_live", "rows_dead",
    ), 0,
)  # fmt: skip


def sample(at_s: float = 0.0, **database: Any) -> Sample:
    """A sample of a calm database, but for the answers that are given."""
    activity = {**CALM, **database.pop("activity", {})}
    answered = cast(DatabaseSample, {"activity": activity, "took_ms": 3.0, **database})
    return {"at_us": 0, "elapsed_s": at_s, "database": answered, "processes": []}


def counted(*values: dict[str, int]) -> list[Sample]:
    return [sample(float(at_s), database={**COUNTERS, **value}) for at_s, value in enumerate(values)]


def names(samples: list[Sample]) -> list[tuple[str, str]]:
    return [(alert.level, alert.name) for alert in find_alerts(FACTS, samples)]


def only(samples: list[Sample]) -> Alert:
    (alert,) = find_alerts(FACTS, samples)
    return alert


def test_a_calm_database_and_no_sample_at_all_give_no_alert() -> None:
    assert find_alerts(FACTS, [sample()]) == []
    assert find_alerts(FACTS, []) == []
    assert find_alerts({}, [{"at_us": 0, "elapsed_s": 0.0, "processes": []}]) == []


@pytest.mark.parametrize(
    ("activity", "expected"),
    [
        # The monitor's own connection is one of them.
        ({"connections": 79}, []),
        ({"connections": 80}, [("warn", "connections")]),
        ({"connections": 94}, [("warn", "connections")]),
        ({"connections": 95}, [("critical", "connections")]),
        ({"busy": 35}, []),
        ({"busy": 36}, [("warn", "pool")]),
        ({"busy": 48}, [("critical", "pool")]),
        ({"longest_idle_in_transaction_s": 5.0}, []),
        ({"longest_idle_in_transaction_s": 5.1}, [("warn", "idle-in-transaction")]),
        ({"oldest_transaction_s": 30.5}, [("warn", "long-transaction")]),
        ({"prepared": 1}, [("warn", "prepared-transaction")]),
    ],
)
def test_a_figure_of_the_sessions_is_held_against_its_limit(
    activity: dict[str, Any], expected: list[tuple[str, str]]
) -> None:
    assert names([sample(), sample(1.0, activity=activity), sample(2.0)]) == expected


def test_an_alert_says_the_worst_value_when_it_was_the_limit_and_its_source() -> None:
    facts = {**FACTS, "limits": Monitor(None, limits=STREAMVOTE.limits).facts["limits"]}
    (alert,) = find_alerts(facts, [sample(), sample(7.0, activity={"busy": 48}), sample(8.0, activity={"busy": 40})])
    assert alert.sentence == "pool near exhaustion: 48 of 50 busy (96%) at 7 s, over 95%"
    assert (alert.value, alert.limit, alert.at_s) == (0.96, 0.95, 7.0)
    assert "load test plan" in alert.source


def pair(pid: int, blocker: int, *, waited_s: float, **more: Any) -> dict[str, Any]:
    return {
        "pid": pid,
        "blocker": blocker,
        "locktype": "transactionid",
        "mode": "ShareLock",
        "relation": "shop.wallets",
        "waited_s": waited_s,
        "waiter": "app",
        "statement": f"update wallets -- {pid}",
        "blocker_name": "app",
        "blocker_state": "idle in transaction",
        "blocker_statement": "select 1\n  for update",
        "blocker_transaction_s": 4.0,
        **more,
    }


def test_lock_contention_names_what_is_waited_for_and_who_holds_all_up() -> None:
    """12 waits for 11, and 11 for 10: it is 10 that has to end."""
    queue = [pair(11, 10, waited_s=0.5), pair(12, 11, waited_s=0.9, blocker_state="active", blocker_statement="update")]
    assert find_alerts(FACTS, [sample(blocking=queue)]) == [], "under a second"

    queue[1]["waited_s"] = 0.99
    queue[0]["waited_s"] = 1.01
    alert = find_alerts({**FACTS, "deadlock_timeout_ms": 1000}, [sample(blocking=queue)])[0]

    assert alert.level == "warn"
    assert alert.subject == "shop.wallets"
    assert alert.sentence == (
        "lock contention on shop.wallets: 2 sessions wait, the longest 1.0 s at 0 s, behind app (pid 10), "
        "idle in transaction, its transaction 4.0 s old: select 1 for update"
    )


def test_a_wait_past_five_deadlock_timeouts_is_critical() -> None:
    samples = [sample(blocking=[pair(11, 10, waited_s=1.1)])]
    assert names(samples) == [("critical", "lock-wait")], "deadlock_timeout is 200 ms here"


def test_many_short_waits_are_contention_too() -> None:
    waiting = sample(activity={"lock_waiters": 3, "busy": 5}, blocking=[pair(11, 10, waited_s=0.01)])
    assert names([waiting] * 4) == [], "too few samples to say"
    assert only([waiting] * 5).sentence == (
        "lock contention: on average 60% of the busy sessions wait for a lock, mostly on shop.wallets"
    )


def test_counters_count_from_the_first_sample_and_anew_after_a_crash() -> None:
    before = {"commits": 1000, "deadlocks": 7}
    assert names(counted(before, {"commits": 1100, "deadlocks": 7})) == []
    alert = only(counted(before, {"commits": 10, "deadlocks": 2}))
    assert alert.sentence == "2 deadlocks; the server ended one transaction in each"


@pytest.mark.parametrize(
    ("risen", "expected"),
    [
        ({"commits": 50, "rollbacks": 51}, "rollbacks: 51 of 101 transactions (50%)"),
        ({"deadlocks": 1}, "1 deadlock; the server ended one transaction in each"),
        ({"blocks_hit": 900, "blocks_read": 100}, "low cache hits: 90% of 1,000 blocks, 100 read from outside"),
        ({"temp_bytes": 200_000_000}, "temporary files: 200.0 MB did not fit into work_mem"),
    ],
)
def test_counters_over_their_limit_are_said_in_words(risen: dict[str, int], expected: str) -> None:
    assert only(counted({}, risen)).sentence == expected


@pytest.mark.parametrize(
    "risen",
    [{"commits": 50, "rollbacks": 50}, {"blocks_hit": 899, "blocks_read": 100}, {"blocks_hit": 950, "blocks_read": 50}],
)
def test_counters_within_their_limit_or_too_few_to_judge_are_not(risen: dict[str, int]) -> None:
    assert names(counted({}, risen)) == []


def test_a_low_cache_hit_share_is_critical_from_the_plans_limit_on() -> None:
    assert names(counted({}, {"blocks_hit": 790, "blocks_read": 210})) == [("critical", "cache-hit")]


def scanned(scans: int, rows: int, **more: int) -> list[Sample]:
    first = {"table_name": "shop.orders", **TABLE, "sequential_scans": 5, "sequential_rows": 5, "rows_live": 50_000}
    last = {**first, "sequential_scans": 5 + scans, "sequential_rows": 5 + rows, **more}
    return [sample(tables=[first]), sample(1.0), sample(2.0, tables=[last])]


def test_scans_of_a_large_table_are_named_and_those_of_a_small_one_or_a_few_are_not() -> None:
    assert only(scanned(10, 500_000)).sentence == (
        "sequential scans on shop.orders: 10 scans read 500,000 rows, 50,000 each"
    )
    assert names(scanned(9, 450_000)) == []
    assert names(scanned(100, 1_000_000)) == [], "10,000 rows a scan is the limit"


def test_a_table_that_appears_later_counts_from_zero() -> None:
    made = {"table_name": "shop.orders", **TABLE, "sequential_scans": 20, "sequential_rows": 400_000}
    assert only([sample(tables=[]), sample(1.0, tables=[made])]).subject == "shop.orders"


def test_dead_rows_are_a_finding_when_vacuum_does_not_keep_up() -> None:
    assert only(scanned(0, 0, rows_live=8_000, rows_dead=2_001)).name == "dead-rows"
    assert names(scanned(0, 0, rows_live=7_000, rows_dead=2_000)) == [], "a small table"


def process(name: str, cpu_share: float, **more: Any) -> ProcessSample:
    usual = {"name": name, "pid": 42, "is_alive": True, "cpu_share": cpu_share, "rss_bytes": 1_000_000}
    return cast(ProcessSample, {**usual, **more})


def measured(*processes: ProcessSample) -> list[Sample]:
    return [{**sample(float(at_s)), "processes": [each]} for at_s, each in enumerate(processes)]


def test_cpu_is_judged_over_five_samples_so_that_a_spike_is_no_finding() -> None:
    assert names(measured(*[process("database", 0.1)] * 4, process("database", 1.0))) == []
    assert names(measured(*[process("database", 0.75)] * 4)) == [], "too few samples"
    alert = only(measured(*[process("database", 0.75)] * 5))
    assert alert.sentence == "CPU of database: 75% of 2 cores at 4 s, over 70%"
    assert names(measured(*[process("database", 0.86)] * 5)) == [("critical", "database-cpu")]


def test_limits_of_an_application_hold_for_processes_that_were_named() -> None:
    busy = measured(*[process("app", 0.9, rss_bytes=1.7e9)] * 5)
    assert names(busy) == [], "not named: whoever it is, its plan is not known"
    named = find_alerts({**FACTS, "named_processes": ["app"]}, busy)
    assert [(alert.level, alert.name) for alert in named] == [("critical", "process-cpu"), ("warn", "process-memory")]
    assert named[1].sentence == "memory of app: 1.70 GB at 0 s, over 1.60 GB"


def test_a_process_that_ended_and_descriptors_that_run_out_are_named() -> None:
    gone: ProcessSample = {"name": "app", "pid": 42, "is_alive": False}
    alert = only(measured(process("app", 0.1), gone))
    assert alert.sentence == "process app (pid 42) had ended at 1 s"
    assert names(measured(gone)) == [], "it never was there: the command line refuses that"
    assert names(measured(process("app", 0.1, descriptors=90, descriptors_share=0.9))) == [("warn", "descriptors")]


def test_a_database_that_was_away_is_critical_and_comes_first() -> None:
    away: Sample = {
        "at_us": 0,
        "elapsed_s": 3.0,
        "database": {"error": "connection refused", "took_ms": 1.0},
        "processes": [],
    }
    found = find_alerts(FACTS, [sample(activity={"busy": 36}), away, away])
    assert [alert.name for alert in found] == ["unreachable", "pool"]
    assert found[0].sentence == "the database could not be asked in 2 of 3 samples, first at 3 s: connection refused"


def test_slow_answers_and_a_late_event_loop_are_findings() -> None:
    late: Sample = {**sample(took_ms=1500.0), "loop_lag_ms": 150.0}
    assert names([late]) == [("warn", "answer"), ("warn", "loop-lag")]


def limits(folder: Path, text: str) -> dict[str, PlannedLimit]:
    (folder / "integrity.toml").write_text(text)
    return read_limits(find_project(folder))


def test_a_project_sets_limits_and_what_it_leaves_out_is_the_monitors(tmp_path: Path) -> None:
    read = limits(tmp_path, "[monitor.limits]\ndeadlocks = { warn = 2 }\ncache-hit = { warn = 0.9, critical = 0.7 }")
    facts = {**FACTS, **Monitor(None, own_process=False, limits=read).facts}
    assert (limit_of("deadlocks", facts).warn, limit_of("deadlocks", facts).critical) == (2, None)
    assert (limit_of("cache-hit", facts).level(0.8), limit_of("cache-hit", facts).level(0.6)) == ("warn", "critical")
    assert limit_of("rollbacks", facts) == LIMITS["rollbacks"]


@pytest.mark.parametrize(
    ("text", "said", "hint"),
    [
        ("deadlock = { warn = 2 }", "monitor.limits.deadlock: there is no such limit", "Perhaps you meant deadlocks."),
        ("pool = { warn = 0.99 }", "monitor.limits.pool: it is critical at 0.95, before it warns at 0.99", "together"),
        ("cache-hit = { warn = 0.5 }", "it is critical at 0.8, before it warns at 0.5", "together"),
        ("pool = { warn = nan }", "monitor.limits.pool: a limit is a number", "Leave it out"),
        ("pool = { wran = 0.5 }", "monitor.limits.pool.wran", "limits"),
    ],
)
def test_a_limit_that_cannot_be_is_refused(text: str, said: str, hint: str, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=re.escape(said)) as refused:
        limits(tmp_path, f"[monitor.limits]\n{text}")
    assert hint in (refused.value.hint or "")


def test_a_monitor_writes_the_limits_of_the_plan_with_its_facts() -> None:
    monitor = Monitor(None, own_process=False, limits={"deadlocks": PlannedLimit(2, None, "plan of the bank")})
    assert limit_of("deadlocks", monitor.facts).source == "plan of the bank"
    assert limit_of("rollbacks", monitor.facts) == LIMITS["rollbacks"]


@pytest.mark.parametrize("system", SYSTEMS.values(), ids=lambda system: system.name)
def test_a_systems_plan_limits_what_the_monitor_measures(system: System) -> None:
    assert set(system.limits) <= set(LIMITS)


def test_every_limit_says_where_it_comes_from_and_critical_is_worse_than_warn() -> None:
    """One cited a plan for a share that stands in none: what a plan says is in its own system's limits."""
    for name, limit in LIMITS.items():
        assert limit.source.startswith("our own"), name
        if limit.critical is not None:
            assert (limit.critical < limit.warn) == limit.is_least, name


def test_a_run_is_held_to_the_limit_of_its_systems_plan_and_the_alert_says_whose_it_is() -> None:
    planned = {"deadlocks": {"warn": 2, "critical": 3, "source": "plan of the bank: three are an incident"}}
    samples = counted({"deadlocks": 0}, {"deadlocks": 4})
    (alert,) = find_alerts({**FACTS, "limits": planned}, samples)
    assert (alert.level, alert.limit, alert.source) == ("critical", 3, "plan of the bank: three are an incident")
    assert find_alerts({**FACTS, "limits": planned}, counted({"deadlocks": 0}, {"deadlocks": 2})) == []
    assert find_alerts(FACTS, samples)[0].source.startswith("our own")


@pytest.mark.parametrize(
    ("value", "unit", "expected"),
    [(0.958, "share", "96%"), (0.0123, "share", "1.2%"), (0, "share", "0%"), (1.7e9, "bytes", "1.70 GB"),
     (2e6, "bytes", "2.0 MB"), (1234.0, "count", "1,234"), (3.14159, "s", "3.1 s"), (1500.0, "ms", "1,500 ms")],
)  # fmt: skip
def test_figures_are_shown_in_their_unit(value: float, unit: str, expected: str) -> None:
    assert show(value, unit) == expected


def test_a_summary_counts_rates_over_its_span_and_says_none_where_nothing_was_measured() -> None:
    samples = counted({"commits": 100}, {"commits": 150}, {"commits": 300, "rows_inserted": 20, "rows_deleted": 10})
    summary = summarize({**FACTS, "notes": ["io: not there"]}, samples)
    assert (summary.sample_count, summary.answered_count, summary.elapsed_s) == (3, 3, 2.0)
    assert summary.database is not None
    assert summary.database.commits_per_s == 100.0
    assert summary.database.rows_written_per_s == 15.0
    assert summary.database.cache_hit_share is None
    assert summary.notes == ("io: not there",)
    assert summarize({}, []).database is None


def test_a_recorded_afternoon_is_told_in_five_sentences() -> None:
    """Recorded on PostgreSQL 18: a holder sits on a row for 7 s, two wait for it, two others deadlock, a report scans."""
    facts, samples = read_file(Path(__file__).parent / "recorded" / "monitor-lock-holder.jsonl")
    summary = summarize(facts, samples)
    assert [(alert.level, alert.sentence) for alert in summary.alerts] == [
        (
            "critical",
            "lock contention on public.wallets: 2 sessions wait, the longest 7.0 s at 7 s, behind holder (pid 12139), "
            "idle in transaction, its transaction 7.0 s old: update wallets set balance = 0 where id = 1",
        ),
        (
            "warn",
            "lock contention: on average 65% of the busy sessions wait for a lock, mostly on public.wallets",
        ),
        ("warn", "a session sat idle in a transaction for 7.0 s at 7 s, over 5.0 s"),
        ("warn", "1 deadlock; the server ended one transaction in each"),
        ("warn", "sequential scans on public.orders: 12 scans read 240,000 rows, 20,000 each"),
    ]
    assert [line.split(" (")[0] for line in summary.blocking] == ["holder", "  waiter", "    waiter"]
    assert (summary.statements[0].calls, summary.statements[0].total_ms > 14_000) == (2, True)
    text = render_monitor(summary)
    assert text.endswith("monitor: 5 findings; 9 samples in 7 s")
    assert "the longest wait for a lock:\n  holder (pid 12139), idle in transaction" in text


def test_statements_are_told_with_their_share_of_the_time_and_the_monitors_own_are_left_out() -> None:
    def row(name: str, calls: int, total_ms: float, statement: str) -> dict[str, Any]:
        return {"statement_id": name, "calls": calls, "total_ms": total_ms, "row_count": 0, "statement": statement}

    own = next(question for question in QUESTIONS if question.name == "size").sql.text
    before = [row("a", 10, 100.0, "update wallets"), row("own", 1, 5.0, own)]
    after = [row("a", 30, 400.0, "update wallets"), row("b", 4, 100.0, "insert into\n  entries"), row("own", 9, 900.0, own)]
    samples: list[Sample] = [
        {"at_us": 0, "elapsed_s": float(at_s), "database": {"statements": rows}}
        for at_s, rows in enumerate((before, after))
    ]
    told = summarize({}, samples).statements
    assert [(each.statement, each.calls, each.mean_ms, each.share) for each in told] == [
        ("update wallets", 20, 15.0, 0.75),
        ("insert into entries", 4, 25.0, 0.25),
    ]


def test_a_statement_that_names_the_table_of_another_system_is_said_to_be_of_a_run_s_own() -> None:
    """Since version 18 the same insert into tables of one name is one statement, under the name of the first."""
    texts = (
        "insert into ghostpass.entries (account) values ($1)",
        'update only "safebox".wallets set x = $1',
        "select 1 from integrity.runs",
        "select extract(epoch from $1)",
        "select 1 from safebox.a join ghostpass.b using (id)",
    )
    rows = [{"statement_id": each, "calls": 1, "total_ms": 1.0, "row_count": 0, "statement": each} for each in texts]
    samples: list[Sample] = [
        {"at_us": 0, "elapsed_s": float(at_s), "database": {"statements": kept}} for at_s, kept in enumerate(([], rows))
    ]
    seen = summarize({}, samples)
    told = named_apart(seen, ["safebox"])
    assert {each.statement[:12]: each.names for each in told.statements if each.names} == {"insert into ": "ghostpass"}
    assert "What names ghostpass is of this run's own tables of that name" in render_statements(told)
    assert "What names" not in render_statements(seen)


def test_each_question_of_a_monitor_is_known_as_its_own_however_the_server_keeps_it() -> None:
    """That of the counters has its first constant behind what is kept: it had 100% of a quiet database's time."""
    for question in (questions.FACTS, *QUESTIONS):
        without_comments = re.sub(r"^--.*\n", "", question.sql.text, flags=re.MULTILINE)
        kept = re.sub(r"'[^']*'|\b\d+\b", "$1", without_comments)
        assert is_own(kept[:TEXT_MOST]), question.name
    assert f", {TEXT_MOST})" in STATEMENTS.sql.text
    assert not is_own("select counters.xact_commit from counters")
