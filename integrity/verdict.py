"""Verdicts: what was found out about one invariant. Unknown is never shown as holds."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any


class Verdict(StrEnum):
    """Holds, violated, or unknown: a timeout, a broken query, a missing table, nothing in scope."""

    HOLDS = "holds"
    VIOLATED = "violated"
    UNKNOWN = "unknown"


class Severity(StrEnum):
    """How much a violation matters: a violated warning is reported and leaves the exit code as it is."""

    ERROR = "error"
    WARNING = "warning"


class ExitCode:
    """Exit codes of every command; the first that applies in the order usage, violated, unknown, threshold, tool."""

    OK = 0
    VIOLATED = 1
    USAGE = 2
    UNKNOWN = 3
    THRESHOLD = 4
    TOOL = 5
    INTERRUPTED = 130


def exit_code_of(verdicts: Sequence[Verdict]) -> int:
    """Return the exit code of an audit: violated outranks unknown; no verdict at all is unknown."""
    if Verdict.VIOLATED in verdicts:
        return ExitCode.VIOLATED
    if Verdict.UNKNOWN in verdicts or not verdicts:
        return ExitCode.UNKNOWN
    return ExitCode.OK


@dataclass(frozen=True, slots=True)
class Finding:
    """The verdict on one invariant with its evidence.

    Args:
        name: the invariant, e.g. "ghostpass/balance-equals-entries".
        verdict: holds, violated or unknown.
        violation_count: rows that violate it; exact; 0 unless violated.
        rows: the first of those rows, column name -> value, in the query's own order.
        seconds: how long finding it out took.
        method: how it was found out, e.g. "scan shared by 4", "fingerprint", "query".
        reason: for unknown: what went wrong, in one sentence; else empty.
    """

    name: str
    verdict: Verdict
    violation_count: int
    rows: Sequence[Mapping[str, Any]]
    seconds: float
    method: str
    reason: str = ""
