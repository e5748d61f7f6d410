"""Verdicts: what was found out about one invariant. Neither unknown nor nothing to judge is ever shown as holds."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any


class Verdict(StrEnum):
    """Holds; violated; unknown: a timeout, a broken query, a missing table; empty: nothing to judge.

    Nothing to judge is what a query says that was asked and returned no row, of tables that all have no row.
    """

    HOLDS = "holds"
    VIOLATED = "violated"
    UNKNOWN = "unknown"
    EMPTY = "empty"

    @property
    def words(self) -> str:
        """What people read."""
        return "nothing to judge" if self is Verdict.EMPTY else self.value


class Severity(StrEnum):
    """How much a violation matters: a violated warning is reported and leaves the exit code as it is."""

    ERROR = "error"
    WARNING = "warning"


@dataclass(frozen=True, slots=True)
class InvariantVerdict:
    """The verdict on one invariant with its evidence.

    Args:
        name: the invariant, e.g. "ghostpass/balance-equals-entries".
        verdict: what was found out.
        violation_count: rows that violate it; exact; 0 unless violated.
        rows: the first of those rows, column name -> value, in the query's own order: integers and booleans by the
            column's type, all else the server's text. None, with a reason, where they could not be had.
        seconds: how long finding it out took.
        method: how it was found out, e.g. "scan shared by 4", "fingerprint", "query".
        reason: of unknown and empty, in one sentence; of violated: why no rows are shown; else empty.
    """

    name: str
    verdict: Verdict
    violation_count: int
    rows: Sequence[Mapping[str, Any]]
    seconds: float
    method: str
    reason: str = ""
