"""Lines that are added to a log while it is watched: what they tell of, through rotation and cuts, bounded and masked."""

from pathlib import Path

import pytest

from integrity.engines.target import Target
from integrity.errors import UsageError
from integrity.events import listen
from integrity.jobs.monitor import choose, watch
from integrity.monitor.findings import find_alerts
from integrity.monitor.logs import EXAMPLES_MOST, LogWatch
from integrity.monitor.sample import LogSample, Sample
from integrity.monitor.sampler import Monitor
from integrity.monitor.watched import WatchedApplication, read_watched
from integrity.report.monitor_text import render_monitor


@pytest.fixture
def log(tmp_path: Path) -> Path:
    file = tmp_path / "app.log"
    file.write_text("FATAL of yesterday\n")
    return file


def add(file: Path, *lines: str) -> None:
    with file.open("a") as opened:
        opened.write("".join(f"{line}\n" for line in lines))


@pytest.mark.parametrize(
    ("line", "pattern"),
    [
        ("2026-01-01 ERROR cannot sell", "ERROR"),
        ('{"level":"error","msg":"cannot sell"}', "ERROR"),
        ("level=fatal msg=gone", "FATAL"),
        ("FATAL:  the database system is shutting down", "FATAL"),
        ("CRITICAL root: gone", "FATAL"),
        ("PANIC:  could not write to file", "PANIC"),
        ("panic: runtime error: index out of range", "PANIC"),
        ("Traceback (most recent call last):", "Traceback"),
        ("ERROR:  deadlock detected", "deadlock detected"),
        ("java.lang.OutOfMemoryError: Java heap space", "OOM"),
        ("ERROR:  out of memory", "OOM"),
        ("web-1 exited with code 137", "OOM"),
        ("systemd: shop.service: main process exited, code=exited, status=137", "OOM"),
        ("shop.service: Main process exited, code=killed, status=9/KILL", "OOM"),
        ("[CRIT] WORKER TIMEOUT (pid:4711)", "worker timeout"),
        ("invoice 137 paid, next exits at noon", None),
        ("INFO 0 errors, error_count=0, non-fatal, ERRORS_TOTAL 3, room, level=info", None),
    ],
)
def test_a_line_counts_once_as_the_worst_that_it_shows(line: str, pattern: str | None, log: Path) -> None:
    watch = LogWatch(log)
    add(log, line)
    assert watch.sample(is_last=True)["counts"] == ({} if pattern is None else {pattern: 1})
    watch.close()


def test_a_log_is_followed_where_it_is_rotated_cut_and_gone(log: Path) -> None:
    watch = LogWatch(log)

    def counts(*, is_last: bool = False) -> dict[str, int]:
        return watch.sample(is_last=is_last)["counts"]

    assert counts() == {}, "what stood there before"
    add(log, "ERROR one", "ok")
    with log.open("a") as opened:
        opened.write("ERR")
    assert counts() == {"ERROR": 1}
    add(log, "OR two, in two parts")
    assert counts() == {"ERROR": 1}
    add(log, "PANIC at the end of the old one")
    log.rename(log.with_suffix(".1"))
    moved = watch.sample(is_last=False)
    assert (moved["counts"], moved.get("error")) == ({"PANIC": 1}, "there is no such file any more")
    add(log.with_suffix(".1"), "FATAL still to the old one")
    add(log, "ERROR first of the new one")
    assert counts() == {"FATAL": 1, "ERROR": 1}
    log.write_text("ERROR behind the cut\n")  # shorter than what was read
    assert counts() == {"ERROR": 1}
    log.write_text("ok\n" * 50 + "ERROR behind another cut, and longer than before it\n")
    assert counts() == {"ERROR": 1}
    with log.open("a") as opened:
        opened.write("FATAL without an end")
    assert counts() == {}
    assert counts(is_last=True) == {"FATAL": 1}
    watch.close()


def test_examples_are_few_unlike_each_other_and_without_passwords(log: Path) -> None:
    watch = LogWatch(log)
    add(
        log,
        *(f"12:00:{second:02} ERROR pid {second}: postgresql://app:secret{second}@db/shop is away" for second in range(60)),
    )
    add(log, *(f"ERROR of kind {kind}" for kind in "pqrstuvw"))
    (examples,) = watch.sample(is_last=True)["examples"].values()
    assert len(examples) == EXAMPLES_MOST
    assert examples[0] == "12:00:00 ERROR pid 0: postgresql://app:***@db/shop is away"
    assert "kind p" in examples[1]
    watch.close()


def test_a_watch_says_what_was_logged_and_ends_as_critical(log: Path, tmp_path: Path) -> None:
    job = watch(
        Target.parse(f"sqlite:///{tmp_path}/shop.db"), choose(read_watched([], [log, log]), None), every_s=0.1, duration_s=0
    )
    assert listen(job).shortfalls == frozenset()
    with Monitor(
        None, application=WatchedApplication(logs=[log]), own_process=False, file=tmp_path / "kept.jsonl"
    ) as monitor:
        add(log, "ERROR one", "FATAL gone")
    assert [(alert.level, alert.name) for alert in monitor.summary.alerts] == [
        ("critical", "log-fatal"),
        ("warn", "log-error"),
    ]
    assert f"log {log}: 1 line with FATAL, first at 0 s: FATAL gone" in monitor.summary.alerts[0].sentence
    assert "added: FATAL 1, ERROR 1\n  FATAL gone\n  ERROR one" in render_monitor(monitor.summary)


def test_what_is_logged_between_two_runs_is_told_by_the_second_of_them_alone(log: Path) -> None:
    with WatchedApplication(logs=[log]).over_runs() as application:
        alerts = []
        for lines in (["ERROR one"], ["FATAL between", "ERROR one"], []):
            add(log, *lines)
            with Monitor(None, application=application, own_process=False) as monitor:
                pass
            alerts.append([(alert.name, alert.value) for alert in monitor.summary.alerts])
    assert alerts == [[("log-error", 1)], [("log-fatal", 1), ("log-error", 1)], []]


def test_a_log_whose_end_was_not_read_is_no_pass() -> None:
    found: LogSample = {"file": "app.log", "bytes": 0, "counts": {}, "examples": {}, "error": "Permission denied"}
    sample: Sample = {"at_us": 0, "elapsed_s": 1.0, "logs": [found]}
    assert [(a.level, a.name, a.sentence) for a in find_alerts({}, [sample])] == [
        ("warn", "log-unread", "log app.log: Permission denied")
    ]


def test_what_is_no_log_is_refused_with_the_next_step(log: Path, tmp_path: Path) -> None:
    for file, said in ((tmp_path / "ap.log", "there is no such file"), (tmp_path, "it is no file that lines are added to")):
        with pytest.raises(UsageError, match=f"--log {file}: {said}") as refused:
            read_watched([], [file])
        assert refused.value.hint
