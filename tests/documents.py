"""Documents of a run's folder, whole but for what a test is about."""

from typing import Any

from integrity.runs.result import RunResult
from integrity.runs.settings import RunSettings

SETTINGS: dict[str, Any] = {
    "system": "ghostpass",
    "profile": "hammer",
    "bug": None,
    "seed": 1,
    "time_scale": 1.0,
    "database": "postgresql://u@/venue",
    "server": "PostgreSQL 18.0",
    "synchronous_commit": "on",
    "started_at_us": 1_000_000,
    "pid": 1,
    "process_mark": None,
    "versions": {"integrity": "0.1.0", "python": "3.13.0"},
    "machine": {"platform": "Linux", "cores": 2},
    "commit": None,
    "settings": {},
}

COUNTS = {
    "calls": 14,
    "ok": 5,
    "declined": 4,
    "unavailable": 2,
    "failed": 2,
    "unknown": 1,
    "abandoned": 1,
    "not_sent": 0,
    "retries": 3,
}
LATENCIES = {"mean_ms": 2.5, "p50_ms": 2.0, "p95_ms": 9.0, "p99_ms": 150.4, "max_ms": 151.0}
ROW = {**COUNTS, **LATENCIES, "calls_per_s": 6.0}

RESULT: dict[str, Any] = {
    "run_id": "r1",
    "folder": "/venue/.integrity/runs/r1",
    "system": "ghostpass",
    "profile": "hammer",
    "bug": None,
    "seed": 7,
    "time_scale": 1,
    "database": "postgresql://u@/venue",
    "started_at_us": 1_000_000,
    "state": "finished",
    "model": "closed",
    "clients": 8,
    "connections": 8,
    "duration_s": 2,
    "elapsed_s": 2.0,
    "ended_at_us": 3_000_000,
    "operations": [{"operation": "sell", **ROW}, {"operation": "total", **ROW}],
    "settled": [],
    "streams": [],
    "errors": [{"operation": "sell", "error": "23505 duplicate key", "count": 2}],
    "undelivered": 0,
    "owed": {"webhooks": 0, "open": {}},
    "settled_at_us": 1,
    "reconnects": 0,
    "loop_lag_p99_ms": None,
    "arrivals": None,
    "thresholds": [],
    "generator": {"cpu_share": 0.25, "rss_mb": 90.0},
}


def make_settings(**given: Any) -> RunSettings:
    """Return the settings of a run; what is given replaces what is usual."""
    return RunSettings.model_validate({**SETTINGS, **given})


def make_result(**given: Any) -> RunResult:
    """Return the result of a run; what is given replaces what is usual."""
    return RunResult.model_validate({**RESULT, **given})


def verdicts_json(invariant: str, row: dict[str, Any]) -> dict[str, Any]:
    """Return the verdicts of an audit that found one invariant violated, by one row."""
    judged = {
        "name": invariant,
        "verdict": "violated",
        "severity": "error",
        **dict.fromkeys(("title", "source", "why", "hint", "path", "method", "reason"), ""),
        "violation_count": 1,
        "rows": [row],
        "seconds": 0.1,
        "rows_estimate": None,
        "operation_count": 0,
        "calls": [],
    }
    return {
        "format": 1,
        **dict.fromkeys(("target", "consistency", "caution", "sentence"), ""),
        "taken_at": "2026-01-17T12:00:00+00:00",
        "seconds": 0.1,
        "exit_code": 1,
        "counts": {"violated": 1},
        "invariants": [judged],
    }
