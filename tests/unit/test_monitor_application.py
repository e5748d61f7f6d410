"""Processes of an application beside a watch: that one ends, or is started anew, is seen, named and critical."""

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from integrity.engines.target import Target
from integrity.errors import UsageError
from integrity.events import listen
from integrity.exit_codes import Shortfall
from integrity.jobs.monitor import choose, watch
from integrity.monitor import processes
from integrity.monitor.findings import find_alerts
from integrity.monitor.processes import Process, ProcessWatch
from integrity.monitor.sample import ProcessSample, Sample
from integrity.monitor.watched import WatchedApplication, read_watched

Start = Callable[[], "subprocess.Popen[bytes]"]


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    """Start the same command again and again; whatever is left of them is ended."""
    with ExitStack() as stack:

        def begin() -> "subprocess.Popen[bytes]":
            words = [sys.executable, "-S", "-c", "print(flush=True); input()", str(tmp_path)]
            child = stack.enter_context(subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE))
            stack.callback(end, child)
            assert child.stdout is not None
            assert child.stdout.readline()  # before that its words may not be its own yet
            return child

        yield begin


def end(child: "subprocess.Popen[bytes]") -> None:
    child.kill()
    child.wait()


def told(*moments: ProcessSample) -> list[tuple[str, str, str]]:
    samples: list[Sample] = [
        {"at_us": 0, "elapsed_s": float(at_s), "processes": [each]} for at_s, each in enumerate(moments)
    ]
    return [(alert.level, alert.name, alert.sentence) for alert in find_alerts({"named_processes": ["app"]}, samples)]


def test_processes_that_make_the_calls_of_a_run_are_counted_with_its_own(start: Start) -> None:
    one, others = start(), [start(), start()]
    pids: list[int] = []
    watch = ProcessWatch([Process("integrity", one.pid, has_children=False, is_followed=False, others=lambda: pids)])
    (alone,) = watch.sample(is_full=True)
    pids += [other.pid for other in others]
    (together,) = watch.sample(is_full=True)
    assert (alone["processes"], together["processes"]) == (1, 3)
    assert together["descriptors"] >= 3 * alone["descriptors"]
    end(others[0])
    assert watch.sample(is_full=True)[0]["is_alive"]


def test_what_is_started_in_place_of_a_process_that_ended_is_watched_on_and_both_are_told(start: Start) -> None:
    sibling, first = start(), start()  # the same command, and there before: not started in its place
    watch = ProcessWatch([Process("app", first.pid)])
    moments = watch.sample(is_full=True)
    assert moments[0]["descriptors"] >= 3
    end(first)
    moments += watch.sample(is_full=False)
    assert moments[1] == {"name": "app", "pid": first.pid, "is_alive": False}
    assert told(*moments) == [("critical", "process-ended", f"process app (pid {first.pid}) had ended at 1 s")]
    second = start()
    moments += watch.sample(is_full=True)
    assert (moments[2]["pid"], moments[2]["is_alive"], moments[2]["restarts"]) == (second.pid, True, 1)
    assert moments[2]["rss_bytes"] > 0
    anew = f"process app (pid {first.pid}) had ended and was started anew at 2 s, as pid {second.pid}"
    assert told(*moments) == [("critical", "process-restarted", anew)]
    end(second)
    moments += watch.sample(is_full=False)
    last = f"process app (pid {second.pid}) had ended at 3 s"
    assert told(*moments) == [("critical", "process-restarted", anew), ("critical", "process-ended", last)]
    assert sibling.poll() is None


def test_over_several_runs_an_end_is_told_by_the_one_in_which_it_is_seen_and_by_no_later_one(start: Start) -> None:
    """Runs of a suite were to find anew whom a process id means: what was started in its place was another's."""
    first = start()
    with read_watched([f"app={first.pid}"]).over_runs() as application:

        def watched_run() -> list[tuple[str, str, str]]:
            watch = ProcessWatch(application.processes, application.known)
            return told(*watch.sample(is_full=False), *watch.sample(is_full=False))

        assert watched_run() == []
        end(first)  # between two runs, and so is its start
        second = start()
        anew = f"process app (pid {first.pid}) had ended and was started anew at 0 s, as pid {second.pid}"
        assert watched_run() == [("critical", "process-restarted", anew)]
        assert watched_run() == []
        end(second)
        last = f"process app (pid {second.pid}) had ended at 0 s"
        assert watched_run() == [("critical", "process-ended", last)]
        assert watched_run() == []
        third = start()
        assert watched_run() == []
        end(third)
        assert watched_run() == [("critical", "process-ended", f"process app (pid {third.pid}) had ended at 0 s")]


def test_several_restarts_are_one_finding_with_their_number() -> None:
    moments: list[ProcessSample] = [
        {"name": "app", "pid": 41 + count, "is_alive": True, "restarts": count} for count in range(1, 6)
    ]
    ((_, _, said),) = told({"name": "app", "pid": 41, "is_alive": True}, *moments)
    assert said == "process app (pid 41) had ended and was started anew 5 times, first at 1 s, as pid 42, 43, 44, …"


def test_a_named_process_that_was_gone_before_the_first_sample_is_no_pass(start: Start, tmp_path: Path) -> None:
    child = start()
    application = read_watched([f"app={child.pid}"])
    end(child)
    job = watch(Target.parse(f"sqlite:///{tmp_path}/shop.db"), choose(application, None), every_s=0.1, duration_s=0)
    watched = listen(job)
    assert watched.shortfalls == {Shortfall.MISSED}
    assert [alert.name for alert in watched.summary.alerts] == ["process-ended"]


def test_two_processes_of_one_name_are_refused_as_is_one_of_a_name_of_ours(start: Start) -> None:
    pid = start().pid
    assert read_watched([f"app={pid}", f"worker={pid}"]) == WatchedApplication(
        [Process("app", pid), Process("worker", pid)]
    )
    for words in ([f"app={pid}", f"app={pid}"], [f"database={pid}"]):
        with pytest.raises(UsageError, match=f"={pid}: there is another process of that name") as refused:
            read_watched(words)
        assert refused.value.hint is not None
        assert f"--process app{pid}={pid}" in refused.value.hint


def test_the_time_of_children_that_have_ended_is_of_the_whole_time_in_which_they_had_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """45 sessions closed at once: the last tenth of a second was said to have taken 595% of two cores."""
    now_s, used_s = 100.0, 10.0
    monkeypatch.setattr("integrity.monitor.processes.time.monotonic", lambda: now_s)
    monkeypatch.setattr(processes, "_measure", lambda pids, has_children: processes._Used(used_s, 1, 1))
    monkeypatch.setattr("integrity.monitor.processes.os.cpu_count", lambda: 2)
    watch = ProcessWatch([Process("database", os.getpid())])
    shares = []
    for now_s, used_s in ((101.0, 10.4), (102.0, 7.4), (102.1, 11.5), (103.0, 20.0)):  # noqa: B007
        (sample,) = watch.sample(is_full=False)
        shares.append(sample.get("cpu_share"))
    assert shares == [None, None, 0.5, 1.0]
