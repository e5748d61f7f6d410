"""A fault's window and the unknown outcomes read as sentences that a reader can act on."""

from dataclasses import replace
from typing import Any

import pytest

from integrity.report.fault_text import render_fault, render_unknown_outcomes
from integrity.runs.effects import MET_NOTHING, FaultEffect
from integrity.runs.settlement import Settlement

PHASE = {
    "calls": 12,
    "calls_per_s": 5.04,
    "ok": 7,
    "declined": 1,
    "unavailable": 2,
    "failed": 1,
    "unknown": 1,
    "p50_ms": 1.24,
    "p95_ms": 120.4,
}
EFFECT: dict[str, Any] = {
    "fault": "db_latency",
    "asked": "db_latency@1-2",
    "arguments": {"ms": 20.0, "direction": "both"},
    "from_s": 1.0,
    "to_s": 2.0,
    "healed_s": 2.0,
    "did": {"pieces delayed": 12},
    "phases": {"before": PHASE, "during": PHASE, "after": {**PHASE, "p50_ms": None}},
    "recovery_s": 0.25,
    "question": "Is it right?",
    "invariants": ["balance-*", "call-at-most-once"],
}


def effect(**given: Any) -> FaultEffect:
    return FaultEffect.model_validate({**EFFECT, **given})


def test_a_window_says_what_it_did_and_shows_before_during_and_after() -> None:
    assert render_fault(effect()).splitlines() == [
        "fault db_latency (ms=20, direction=both), 1.0 s to 2.0 s: 12 pieces delayed; all as before 0.25 s after it",
        "          calls    calls/s    ok    declined    unavailable    failed    unknown    p50 ms    p95 ms",
        "------  -------  ---------  ----  ----------  -------------  --------  ---------  --------  --------",
        "before       12        5.0     7           1              2         1          1         –         –",
        "during       12        5.0     7           1              2         1          1         –         –",
        "after        12        5.0     7           1              2         1          1         –         –",
        "–: of too few answered calls to be a figure: p50 needs 10, p95 needs 100. --json has it all the same.",
        "asks: Is it right?",
        "answered by: balance-*, call-at-most-once",
    ]


def test_a_window_that_met_nothing_or_was_not_recovered_from_says_so() -> None:
    first = render_fault(effect(recovery_s=None, looked_s=2.5)).splitlines()[0]
    assert first.endswith("12 pieces delayed; not yet as before in the 2.5 s behind it")
    first = render_fault(effect(recovery_s=None, recovery_unknown="too few calls to tell")).splitlines()[0]
    assert first.endswith("12 pieces delayed; too few calls to tell")
    first = render_fault(effect(did={}, recovery_s=None, recovery_unknown=MET_NOTHING)).splitlines()[0]
    assert first.endswith("1.0 s to 2.0 s: it met nothing to act on")


def test_settling_times_stand_beside_the_calls_where_webhooks_settle_them() -> None:
    settled = {**PHASE, "settled": 30, "settled_mean_ms": 1200.0, "settled_p95_ms": 2500.0}
    lines = render_fault(effect(phases={**EFFECT["phases"], "during": settled})).splitlines()
    assert lines[1].split()[-5:] == ["p95", "ms", "settled", "in", "ms"]
    assert lines[3].split()[-2] == "0"
    assert lines[4].split()[-2:] == ["30", "1200"]


SETTLED = Settlement(unknown=7, committed=4, absent=3)


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({}, "7 calls of unknown outcome: 4 turned out committed, 3 not; none twice."),
        ({"unknown": 0, "committed": 0, "absent": 0}, ""),
        ({"twice": 2}, "7 calls of unknown outcome: 4 turned out committed, 3 not; 2 took effect TWICE."),
        (
            {"absent": 1, "untraceable": 2},
            "7 calls of unknown outcome: 4 turned out committed, 1 not, 2 of operations that leave no row to tell by; "
            "none twice.",
        ),
        (
            {"twice": None, "reason": "no table x"},
            "7 calls of unknown outcome: 4 turned out committed, 3 not; whether any took effect twice is not known "
            "(no table x).",
        ),
        (
            {"open_sessions": 1},
            "7 calls of unknown outcome: 4 turned out committed, 3 not; none twice. "
            "1 session of the run was still open then, and could yet commit.",
        ),
    ],
)
def test_unknown_outcomes_are_one_sentence(changes: dict[str, Any], text: str) -> None:
    assert render_unknown_outcomes(replace(SETTLED, **changes)) == text


def test_what_a_fault_did_once_is_told_of_one() -> None:
    did = {
        "servers killed": 1,
        "server processes killed": 1,
        "requests to tls": 1,
        "tls answered with status": 1,
        "webhooks": 2,
    }
    told = "1 server killed, 1 server process killed, 1 request to tls, 1 tls answered with status, 2 webhooks"
    assert told in " ".join(render_fault(effect(did=did)).split())
