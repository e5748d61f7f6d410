"""What a run prints: every outcome counted apart, and nothing unmeasured shown as passed."""

import dataclasses
import io
from typing import Any, cast

import pytest

from integrity.load.profile import load_profile
from integrity.load.request import EndedRun, RunAdvanced
from integrity.load.result import find_think_time_s
from integrity.load.spared import with_spared
from integrity.load.thresholds import Threshold
from integrity.reference.ghostpass.system import GHOSTPASS
from integrity.report.run_text import render_run, show_progress
from integrity.runs.folder import RunFolder
from integrity.runs.loading import LoadedRun
from integrity.runs.percentiles import Percentiles
from integrity.runs.samples import Counts
from tests.documents import COUNTS, ROW, make_result


def threshold(state: str, measured: float | None, reason: str = "") -> dict[str, Any]:
    return {
        "operation": "sell",
        "statistic": "p95",
        "most": 800.0,
        "warning": None,
        "critical": None,
        "least": None,
        "measured": measured,
        "sample_count": 9,
        "state": state,
        "reason": reason,
        "source": "a plan",
    }


def test_every_outcome_has_its_column() -> None:
    header, _, sell, total = render_run(make_result()).splitlines()[:4]

    assert "calls ok declined unavailable failed unknown retries" in " ".join(header.split())
    assert sell.split() == ["sell", "14", "5", "4", "2", "2", "1", "3", "6", "–", "–", "–", "151"]
    assert total.split()[1:] == sell.split()[1:]


def test_a_percentile_is_shown_on_as_many_answered_calls_as_it_needs_and_what_else_it_needs_is_said_below() -> None:
    shown = {}
    for ok in (9, 10, 99, 100, 499, 500):
        row = {**ROW, "ok": ok, "declined": 0}
        table, *_ = render_run(make_result(operations=[{"operation": name, **row} for name in ("sell", "total")])).split(
            "\n\n"
        )
        shown[ok] = (*table.splitlines()[2].split()[-4:], "p50 needs" in table)
    assert shown == {
        9: ("–", "–", "–", "151", True),
        10: ("2.0", "–", "–", "151", True),
        99: ("2.0", "–", "–", "151", True),
        100: ("2.0", "9.0", "–", "151", True),
        499: ("2.0", "9.0", "–", "151", True),
        500: ("2.0", "9.0", "150", "151", False),
    }


def test_a_sentence_of_few_samples_has_no_percentile_either_and_says_so() -> None:
    latencies = {"mean_ms": 2.5, "p50_ms": 2.0, "p95_ms": 9.0, "p99_ms": 9.9}
    settled = [{"operation": "pay", "count": count, **latencies} for count in (9, 10, 100)]
    assert [line for line in render_run(make_result(settled=settled)).splitlines() if "webhook" in line] == [
        "pay settled by webhook: 9 times, too few for mean and p95, from the intended start.",
        "pay settled by webhook: 10 times, mean 2.5 ms, too few for p95, from the intended start.",
        "pay settled by webhook: 100 times, mean 2.5 ms, p95 9.0 ms, from the intended start.",
    ]


def test_a_run_ends_with_its_seed_its_folder_and_the_next_step() -> None:
    assert render_run(make_result()).splitlines()[-3:] == [
        "ghostpass hammer, seed 7: finished; thresholds: none",
        "run folder: /venue/.integrity/runs/r1",
        "next: integrity validate",
    ]


def test_a_run_that_was_stopped_says_so_and_names_its_bug() -> None:
    shown = render_run(make_result(state="interrupted", bug="overdraw"))

    assert "hammer with bug overdraw, seed 7: interrupted; what was done is recorded and loaded" in shown


def test_what_was_not_measured_is_not_shown_as_passed() -> None:
    limits = [threshold("passed", 9.0), threshold("not measured", None, "no call"), threshold("unknown", 9.0, "late")]

    shown = render_run(make_result(thresholds=limits))

    assert "thresholds: 1 passed, 1 not measured, 1 unknown" in shown
    lines = [" ".join(line.split()) for line in shown.splitlines()]
    assert "passed sell p95 9.0 ms <= 800 ms 9 a plan" in lines
    assert "not measured sell p95 – <= 800 ms 9 no call" in lines
    assert "unknown sell p95 9.0 ms <= 800 ms 9 late" in lines


ARRIVALS = {
    "offered": 40,
    "sent": 38,
    "not_sent": 2,
    "planned_per_s": 20.0,
    "offered_per_s": 19.9,
    "sent_per_s": 19.0,
    "think_time_s": 360.5,
    "dispatch_lag_p99_ms": 1.2,
}


def test_an_open_loop_shows_what_was_offered_and_what_was_sent() -> None:
    shown = render_run(make_result(arrivals=ARRIVALS, time_scale=40.0))

    assert "40 calls offered, 38 sent, 2 not sent; 19.9/s of 20/s planned" in shown
    assert "shared by 8 clients, that leaves each 360 s from an answer to the next call (worked out" in shown
    assert "the generator was late by 1.2 ms at p99 of 38 calls, and used 25% of all cores" in shown
    assert "compressed 40 times" in shown


def test_clients_who_cannot_keep_up_with_the_rate_are_said_to_be_too_few() -> None:
    assert "8 clients are too few for that rate" in render_run(make_result(arrivals={**ARRIVALS, "think_time_s": -0.3}))


def test_a_client_who_makes_one_call_has_no_pause_between_two() -> None:
    """10,500 clients for one burst of 10,003, all sent and answered, were "too few of them"."""
    assert find_think_time_s(10_500, 10_003, rate=909.0, latency_s=12.0) is None
    assert find_think_time_s(8, 40, rate=20.0, latency_s=0.1) == 0.3


def test_on_sqlite_restarts_are_called_what_they_are() -> None:
    assert "busy" in render_run(make_result(database="sqlite:///venue.db")).splitlines()[0]


def progress(elapsed_s: float, phase: str = "running") -> RunAdvanced:
    recent = {"sell": Percentiles(p50_ms=2.0, p95_ms=9.0, p99_ms=None)}
    return RunAdvanced(phase, elapsed_s, 20, 6.0, {"sell": Counts.model_validate(COUNTS)}, recent, recent["sell"])


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_without_a_terminal_there_is_a_line_every_five_seconds_and_at_each_new_phase() -> None:
    stream = io.StringIO()

    with show_progress(stream) as listen:
        for second in range(1, 12):
            listen(progress(second))
        listen(progress(11.5, "finishing"))

    lines = stream.getvalue().splitlines()
    assert [line.split("  ")[:2] for line in lines] == [
        ["running", "5/20 s"],
        ["running", "10/20 s"],
        ["finishing", "12/20 s"],
    ]
    assert lines[0] == "running  5/20 s  14 calls  6/s  4 errors  1 died  p95 9.0 ms"


def test_a_line_of_progress_fits_a_screen_and_its_errors_and_deaths_are_all_that_the_table_calls_wrong() -> None:
    counts = {**COUNTS, "calls": 1_209_309, "unavailable": 3, "failed": 85, "unknown": 146, "abandoned": 231}
    told = dataclasses.replace(progress(1000, "finishing"), operations={"sell": Counts.model_validate(counts)})
    stream = io.StringIO()

    with show_progress(stream) as listen:
        listen(told)

    (line,) = stream.getvalue().splitlines()
    assert "  3 errors  231 died  " in line
    assert len(line) <= 80


def test_on_a_terminal_there_is_a_live_table() -> None:
    stream = Terminal()

    with show_progress(stream) as listen:
        listen(progress(3))

    assert "sell" in stream.getvalue()
    assert "p95 ms" in stream.getvalue()


def test_calls_that_one_writer_cost_are_told_once_with_what_to_do() -> None:
    errors = [{"operation": name, "error": "40001 database is locked", "count": 2} for name in ("sell", "buy")]
    shown = " ".join(render_run(make_result(database="sqlite:///venue.db", errors=errors)).split())
    assert shown.count("4 calls were given up: the database stayed locked by its one writer") == 1
    assert "hint: Write in short transactions" in shown
    assert "given up" not in render_run(make_result(errors=errors))  # a serialization failure, of a server


def ended(**given: Any) -> EndedRun:
    result = make_result(**{"errors": [], **given})
    return EndedRun(cast("RunFolder", None), result, cast("LoadedRun", None))


SLOPE = {"start": 1.0, "end": 9.0, "per_hour": 8.0, "uncertainty": 0.1}


def test_what_rises_fails_a_soak_and_one_too_short_for_a_trend_is_not_measured() -> None:
    """W6: a soak of 8 s printed no trend, and ended with 0."""
    rising = [{"name": "p95_ms", "verdict": "rising", **SLOPE}, {"name": "rss_mb", "verdict": "rising", **SLOPE}]

    assert ended(watches_trends=True).exit_code == 3
    assert "trends: not measured" in render_run(ended(watches_trends=True).result)
    assert ended(watches_trends=True, slopes=rising).exit_code == 4
    assert "failed: p95 rose." in render_run(ended(slopes=rising).result)
    assert ended(watches_trends=True, slopes=rising[1:]).exit_code == 0, "the generator's own memory"


@pytest.mark.parametrize(
    ("slope", "said"),
    [
        ({"name": "own_mb", "process": "database"}, "memory of the database"),
        ({"name": "own_mb", "process": "app"}, "memory of app"),
        ({"name": "connections"}, "connections"),
    ],
)
def test_what_rises_in_a_server_or_an_application_fails_a_soak_that_lasted(slope: dict[str, str], said: str) -> None:
    """W6: nothing of the server or of an application was looked at, and a leak of theirs passed."""
    verdicts = {"rising": 4, "flat": 0, "too short": 3}
    runs = {each: ended(watches_trends=True, slopes=[{**slope, "verdict": each, **SLOPE}]) for each in verdicts}

    assert {each: run.exit_code for each, run in runs.items()} == verdicts
    assert f"failed: {said} rose." in render_run(runs["rising"].result)
    short = " ".join(render_run(runs["too short"].result).split())
    assert f"trends: not measured, the run was too short for that of {said}, which 10 minutes tell." in short


@pytest.mark.parametrize(
    ("states", "said"),
    [
        (["passed"] * 2, "passed"),
        (["passed", *["not measured"] * 4], "1 passed, 4 not measured"),
        (["not measured"], "1 not measured"),
        (["failed", "warning", "unknown", "passed"], "failed: sell p95; unknown: sell p95; warning: sell p95; 1 passed"),
        ([], "–"),
    ],
)
def test_a_phase_shows_every_state_of_its_limits(states: list[str], said: str) -> None:
    """A phase "passed" of whose five limits four were not measured; what failed hid what was unknown."""
    limits = [{"operation": "sell", "statistic": "p95", "measured": None, "state": state} for state in states]
    times = {"p50_ms": None, "p95_ms": None, "p99_ms": None, "lag_p99_ms": None, "failure_share": 0.0}
    phase = {"name": "after", "part": "", "factor": 1.0, "from_s": 0.0, "to_s": 9.0, "offered_per_s": 9.0, **times}
    (table,) = [
        block
        for block in render_run(make_result(phases=[{**phase, "answered_per_s": 9.0, "thresholds": limits}])).split("\n\n")
        if block.startswith("phase")
    ]
    assert table.splitlines()[2].split("  ")[-1].strip() == said


def test_a_spike_that_did_not_recover_fails_at_its_full_length() -> None:
    shortened = {"ran_s": 12.0, "plan_s": 600.0}

    assert [ended(recovery_s=each).exit_code for each in (3.0, None)] == [0, 4]
    assert ended(recovery_s=None, shortened=shortened).exit_code == 0
    unknown = {"recovery_s": None, "recovery_unknown": "2 of the 3 s before it"}
    assert ended(**unknown).exit_code == 3
    assert ended(**unknown, shortened=shortened).exit_code == 0, "it claims none"
    assert ended().exit_code == 0


LIMIT = Threshold(statistic="p95", most=300.0, source="a test")
OTHER = Threshold(statistic="failure_share", most=0.01, source="a test")


def measured(threshold: Threshold, state: str, found: int = 5) -> dict[str, Any]:
    of = ("operation", "rows", "statistic", "within_ms", "most", "warning", "critical", "least")
    figures = {"measured": None, "sample_count": found, "state": state, "reason": "", "source": "a test"}
    return {**{name: getattr(threshold, name) for name in of}, **figures}


def test_what_a_short_run_need_not_measure_is_kept_and_fails_it_all_the_same_where_it_is_missed() -> None:
    """Limits that few calls were expected for were dropped: a suite passed in which half of all calls failed."""
    rows = {"rows": "ghostpass/fundings-settled", "statistic": "reached_share", "least": 0.99, "within_ms": 5000}
    limits = [LIMIT.model_dump(), OTHER.model_dump(), {**rows, "source": "a test"}]
    profiles = {"short": {"extends": "baseline", "thresholds": limits}}

    def exit_code(*states: str, duration_s: float = 2.0, found: int = 5) -> int:
        profile = load_profile(GHOSTPASS, "short", profiles, {"duration_s": duration_s})
        limits = [measured(each, state, found) for each, state in zip(profile.thresholds, states, strict=False)]
        made = ended(thresholds=limits)
        return dataclasses.replace(made, result=with_spared(made.result, profile)).exit_code

    assert exit_code("not measured", "passed") == 0
    assert exit_code("failed", "passed") == 4
    assert exit_code("not measured", "not measured") == 3, "else nothing was measured"
    assert exit_code("not measured", "passed", duration_s=600) == 3, "it is as long as its plan"
    assert exit_code("passed", "passed", "not measured") == 0
    assert exit_code("passed", "passed", "not measured", found=0) == 3, "nobody knows whether there were to be some"
    assert exit_code("passed", "passed", "not measured", found=100) == 3, "it is for another reason"


def test_why_calls_were_declined_is_said() -> None:
    reasons = [{"operation": "sell", "reason": "insufficient_balance", "count": 4}]

    shown = [" ".join(line.split()) for line in render_run(make_result(reasons=reasons)).splitlines()]

    assert "operation declined because" in shown
    assert "sell 4 insufficient_balance" in shown


def test_dependencies_stand_beside_the_time_of_operations_without_them() -> None:
    times = {"p50_ms": 20.2, "p95_ms": 29.5, "p99_ms": 34.9, "max_ms": 34.9, "mean_ms": 20.0}
    dependency = {"service": "mint", "asked": "melt", "requests": 703, "answered": 700, **times}
    answers = {"settled": 700, "error 500": 2, "timeout": 1}
    own = {"operation": "pay_invoice", "count": 99, **times, "p50_ms": 4.5}

    group = {**ROW, "group": "fn:pay", "operations": ["pay_invoice"], "calls": 1200, "failure_share": 0.0025}

    parts = {"own": [own], "writes": [own], "groups": [group]}

    shown = render_run(make_result(dependencies=[{**dependency, "answers": answers}], **parts))

    lines = [" ".join(line.split()) for line in shown.splitlines()]
    assert any(line.startswith("mint melt 703 700 20.2 29.5 34.9 34.9 700 settled") for line in lines)
    assert lines.count("pay_invoice 99 4.5 – – 34.9") == 2
    assert "fn:pay 1200 4 0.25% – – – 151" in lines
    assert " ".join(shown.split()).count("2 error 500, 1 timeout") == 1


def test_a_run_with_faults_says_what_its_thresholds_are_of() -> None:
    phases = {"calls": 9, "calls_per_s": 9.0, "ok": 9, "declined": 0, "failed": 0, "unknown": 0, "p50_ms": 1, "p95_ms": 1}
    fault = {"fault": "x", "asked": "x@0%-60%", "arguments": {}, "question": "?", "invariants": ["y"], "healed_s": 9.0}
    fault |= {"did": {"z": 1}, "recovery_s": None, "phases": dict.fromkeys(("before", "during", "after"), phases)}
    spans = [{**fault, "from_s": 0.0, "to_s": 4.0}, {**fault, "from_s": 3.0, "to_s": 6.0}]

    def said(**given: Any) -> str:
        return " ".join(render_run(make_result(elapsed_s=10.0, **given)).split())

    assert "The thresholds leave out nothing: faults were in force for 6.0 s of 10.0 s, which is most" in said(faults=spans)
    left_out = [{"from_us": 0, "to_us": 5_000_000}]
    assert "The thresholds leave out 5.0 s in which faults were in force" in said(faults=spans[:1], left_out=left_out)
    assert "leave out" not in said()


def test_a_share_of_one_reason_is_told_with_it() -> None:
    row = {**threshold("passed", 0.25), "statistic": "declined_share", "of_reason": "already_inside"}
    assert "sell declined share for already_inside  " in render_run(make_result(thresholds=[row]))
