"""No line of a screen is wider than it, from 60 to 200 columns, and no letter of it is lost; here without a database.

What needs one is in tests/snapshots/test_widths.py.
"""

import re
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest

from integrity.faults.catalogue import FAULTS
from integrity.health.check import Health, HealthCheck
from integrity.report.audit_text import render_text
from integrity.report.fault_text import render_fault, render_fault_list, render_one_fault
from integrity.report.health_text import render_health
from integrity.report.layout import fit_timeline, lay_command
from integrity.report.queries_text import render_rows
from integrity.report.run_text import render_run
from integrity.report.suite_text import render_suite
from integrity.report.terminal import write_note, write_result
from integrity.runs.suites import SuiteRecord, make_step
from integrity.verdict import Severity, Verdict
from tests.documents import ROW, make_result
from tests.unit.test_report_audit import CALL, judged, report
from tests.unit.test_report_faults import effect
from tests.unit.test_report_run import ARRIVALS, threshold

PROSE = "what a person is told who has to mend it by the end of a long day, with a cause and a next step, "
NAME = "receive_funding_webhook_of_a_card"
EVIDENCE = [{"wallet_id": n, "operation_ids": "00000000-0000-7000-8000-000000000002", "note": PROSE[:50]} for n in range(3)]
PHASE = {
    **{"name": "step 12", "part": "step", "factor": 2.5, "from_s": 10.0, "to_s": 20.0, "offered_per_s": 1234.56},
    **{"answered": 900, "answered_per_s": 1200.5, "failure_share": 0.01, "lag_p99_ms": 2.0},
    **{"p50_ms": 2.0, "p95_ms": 9.0, "p99_ms": 150.4},
    "thresholds": [{"operation": NAME, "statistic": "p95", "measured": 9.0, "state": "failed"}],
}
RUN = make_result(
    operations=[{"operation": NAME, **{**ROW, "ok": 1_234_567, "calls": 1_234_571}}, {"operation": "total", **ROW}],
    thresholds=[threshold("failed", 9123.4, PROSE), threshold("not measured", None, PROSE)],
    arrivals=ARRIVALS,
    reasons=[{"operation": NAME, "reason": PROSE * 2, "count": 12}],
    errors=[{"operation": NAME, "error": f"23505 {PROSE}", "count": 3}],
    phases=[PHASE] * 3,
)
AUDIT = report(
    judged(
        "bank/balance-equals-the-sum-of-its-entries",
        Verdict.VIOLATED,
        rows=EVIDENCE,
        count=1200,
        calls=[{**CALL, "returned_at": "18:31:00"}] * 9,
    ),
    judged("bank/late", Verdict.VIOLATED, rows=EVIDENCE[:1], severity=Severity.WARNING),
    judged("bank/gone", Verdict.UNKNOWN, reason=f"bank/gone.sql:3: {PROSE * 2}"),
    judged("bank/right", Verdict.HOLDS),
)
CHECKS = [HealthCheck("invalid indexes", state, PROSE, f"{PROSE}: integrity seed --system ghostpass") for state in Health]
STEP = make_step(RUN, audit=AUDIT.sentence, violated=(), made={NAME: 3}, exit_codes=(4, 1), verdict="data violated")
SUITE = SuiteRecord(suite="ci", seed=1, shorten=1, planned=3, steps=(STEP, STEP), verdict="data violated", exit_code=1)
SCREENS: dict[str, Callable[[], str]] = {
    "audit": lambda: render_text(AUDIT),
    "all of an audit": lambda: render_text(AUDIT, is_verbose=True),
    "run": lambda: render_run(RUN),
    "suite": lambda: render_suite(SUITE, Path("/venue/.integrity/suites/1.json")),
    "effect of a fault": lambda: render_fault(effect()),
    "faults": lambda: render_fault_list(list(FAULTS.values())),
    "each fault": lambda: "\n".join(render_one_fault(each) for each in FAULTS.values()),
    "health": lambda: render_health(CHECKS),
    "rows": lambda: render_rows(EVIDENCE, 3),
    "command": lambda: lay_command(f"integrity race {NAME} {NAME} --database postgresql://a@b/c --isolation serializable"),
    "timeline": lambda: "\n".join(
        fit_timeline(["  1 begin; select 1", f"  2 {' ' * 38}update kiosk.shelves set stock = 9"])
    ),
}


@pytest.mark.parametrize("width", [60, 80, 120, 200])
def test_no_line_of_a_screen_is_wider_than_it_and_no_letter_is_lost(
    width: int, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for name, render in SCREENS.items():
        monkeypatch.setenv("COLUMNS", "10000")
        whole = render()
        monkeypatch.setenv("COLUMNS", str(width))
        shown = render()
        for write in (write_result, write_note):
            write(shown)
            printed = "".join(capsys.readouterr())
            assert [line for line in printed.splitlines() if len(line) > width and " " in line.strip()] == [], name
            kept = re.sub(r"(method +seconds|query +0\.25)$|^  operation_id .*$", "", whole, flags=re.MULTILINE)  # spared
            letters = Counter(re.sub(r"[\W_]", "", kept))
            assert letters - Counter(printed) == Counter(), f"{name}: letters are lost"
