"""One verdict for a run and its data: critical findings reach it, and empty tables do where writes were acknowledged."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from integrity.exit_codes import Shortfall, verdict_of
from integrity.jobs.validate import has_acknowledged_writes
from integrity.load.request import EndedRun
from integrity.monitor.findings import Alert
from integrity.monitor.summary import summarize
from integrity.reference.ghostpass.system import GHOSTPASS
from integrity.report.run_text import render_run
from integrity.report.suite_text import render_suite
from integrity.runs.effects import FaultEffect
from integrity.runs.folder import RunFolder
from integrity.runs.loading import LoadedRun
from integrity.runs.result import RunResult
from integrity.runs.suites import SuiteRecord, make_step
from tests.documents import make_result

LOCKS = Alert("critical", "lock-wait", "", "a session waited 9.0 s for a lock", 9.0, 5.0, 3.0, "our own: a second is felt")
SEARCH = {"held_per_s": None, "first_break": None, "hard_break": None, "ended_because": "it is a test"}


def result(*alerts: Alert, faults: tuple[tuple[float, float], ...] = (), **given: Any) -> RunResult:
    """Return the result of a run beside which the monitor found these, with faults from and to those seconds."""
    made = make_result(**given)
    effects = tuple(FaultEffect.model_construct(from_s=from_s, healed_s=to_s) for from_s, to_s in faults)
    return made.model_copy(update={"monitor": replace(summarize({}, []), alerts=alerts), "faults": effects})


def ended(of: RunResult) -> EndedRun:
    return EndedRun(RunFolder(Path("r1")), of, LoadedRun("r1", "finished", 14, 0))


def busy(name: str, source: str) -> Alert:
    return replace(LOCKS, name=name, source=source)


@pytest.mark.parametrize(
    ("alert", "given", "counts"),
    [
        (LOCKS, {}, True),
        (LOCKS, {"model": "open"}, True),
        (replace(LOCKS, level="warn"), {}, False),
        (LOCKS, {"faults": ((2.0, 4.0),)}, False),  # at 3 s: what it did
        (LOCKS, {"faults": ((20.0, 24.0),)}, True),
        (replace(LOCKS, at_s=None), {"faults": ((20.0, 24.0),)}, False),  # of the whole, the fault's part, too
        (busy("database-cpu", "our own: waiting grows"), {}, False),  # a closed loop goes as fast as it can
        (busy("database-cpu", "our own: waiting grows"), {"model": "open"}, True),
        (busy("database-cpu", "our own: waiting grows"), {"model": "open", "search": SEARCH}, False),
        (busy("pool", "our own: calls wait"), {"model": "open"}, False),
        (busy("cache-hit", "our own: it does not fit"), {"model": "open"}, False),
        (busy("pool", "a plan: below 95%"), {"model": "open"}, False),  # a threshold's, where a plan says so
    ],
)
def test_a_critical_finding_that_nobody_asked_for_ends_a_run_as_a_missed_threshold(
    alert: Alert, given: dict[str, Any], counts: bool
) -> None:
    """A run passed beside two of them."""
    found = result(alert, **given)
    assert (Shortfall.MISSED in ended(found).shortfalls) == counts
    assert ended(found).exit_code == (4 if counts else 0)
    assert ("1 critical finding of the monitor" in " ".join(render_run(result(alert)).split())) == (
        result(alert).critical != ()
    )


def test_a_suite_says_one_verdict_for_each_run_and_its_data_and_one_for_all() -> None:
    steps = [
        make_step(made, audit="All hold.", violated=(), made={}, exit_codes=(0, 0), verdict=verdict)
        for made, verdict in ((result(), "passed"), (result(LOCKS), "failed"))
    ]
    record = SuiteRecord(
        suite="ci", seed=1, shorten=1, planned=2, steps=tuple(steps), verdict=verdict_of({Shortfall.MISSED}), exit_code=4
    )
    shown = " ".join(render_suite(record, Path("ci.json")).split())
    assert "verdict of all runs and their data: failed (ghostpass hammer failed)" in shown
    assert f"critical: {LOCKS.sentence}" in shown
    assert [step["verdict"] for step in record.to_json()["steps"]] == ["passed", "failed"]
    assert verdict_of({Shortfall.MISSED, Shortfall.VIOLATED}) == "data violated"
    assert verdict_of(()) == "passed"


def test_a_suite_says_of_each_limit_what_it_is_of_and_what_was_measured() -> None:
    """A share of rows was told as that of "all", a limit beside faults as one that was told twice."""
    of = {"most": 300.0, "least": None, "warning": None, "critical": None, "source": "a plan", "reason": ""}
    rows = {"rows": "safebox/taps-accepted", "within_ms": 2000.0, "least": 0.99, "most": None}
    given = [
        {**of, "operation": "vote", "statistic": "p95", "measured": 405.0, "sample_count": 200, "state": "failed"},
        {**of, "operation": "vote", "statistic": "p95", "measured": 405.0, "sample_count": 200, "state": "failed"}
        | {"is_beside_faults": True},
        {
            **of,
            **rows,
            "operation": None,
            "statistic": "reached_share",
            "measured": 0.5,
            "sample_count": 200,
            "state": "failed",
        },
        {**of, "operation": "sell", "statistic": "p95", "measured": None, "sample_count": 9, "state": "not measured"}
        | {"reason": "p95 needs 100 samples"},
        {**of, "operation": None, "statistic": "recovery_s", "measured": None, "sample_count": 9, "state": "not measured"}
        | {"reason": "after db_latency: not as before"},
    ]
    made = result(thresholds=given, recovery_s=None, recovery_looked_s=9.2)
    step = make_step(made, audit="All hold.", violated=(), made={}, exit_codes=(4, 0), verdict="failed")
    record = SuiteRecord(suite="ci", seed=1, shorten=1, planned=1, steps=(step,), verdict="failed", exit_code=4)
    shown = " ".join(render_suite(record, Path("ci.json")).split())
    assert "failed: vote p95 405 ms (<= 300 ms), vote p95 beside faults 405 ms (<= 300 ms), safebox/taps-accepted " in shown
    assert "safebox/taps-accepted reached share within 2000 ms 50.00% (>= 99.00%)" in shown
    assert "not measured: sell p95, all recovery s (after db_latency: not as before)" in shown
    assert "did not recover in the 9 s behind the spike" in shown


def test_writes_are_acknowledged_where_an_operation_changes_rows_or_nobody_knows() -> None:
    """An empty table is no table that was never written to then."""
    reading = {name: replace(each, tables=frozenset()) for name, each in GHOSTPASS.operations.items()}
    reads_only = replace(GHOSTPASS, operations=reading)
    changing = replace(GHOSTPASS, operations={**reading, "sell": replace(reading["sell"], is_changing=True)})
    answered = result()
    found = [has_acknowledged_writes(system, answered) for system in (GHOSTPASS, reads_only, changing)]
    assert found == [True, False, True]
    nothing = [{**row.model_dump(), "ok": 0} for row in answered.operations]
    assert not has_acknowledged_writes(GHOSTPASS, result(operations=nothing))
