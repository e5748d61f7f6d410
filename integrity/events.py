"""Events of an audit: what its listeners are told, in this order.

AuditStarted  InvariantJudged (one an invariant, as each is found out)  AuditFinished
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from integrity.verdict import Finding, Severity


@dataclass(frozen=True, slots=True)
class AuditStarted:
    """The snapshot is taken.

    Args:
        target: the database, without its password.
        invariants: the names of those to be judged, in the order of reports.
        taken_at: the server's time of the snapshot.
        consistency: what kind of snapshot it is, in one sentence.
        caution: what the role could do beside reading, and which role could not; empty: it reads only.
    """

    target: str
    invariants: tuple[str, ...]
    taken_at: datetime
    consistency: str
    caution: str = ""


@dataclass(frozen=True, slots=True)
class InvariantJudged:
    """One invariant's verdict with everything a reader needs to understand it.

    Args:
        finding: the verdict and its evidence.
        title, severity, source, why, hint: of the file's header.
        path: the file.
        rows_estimate: of the largest table in scope; None when the server does not know.
        operation_count: operation ids in the evidence rows.
        calls: the first of those operations' calls in the history, column -> value.
    """

    finding: Finding
    title: str
    severity: Severity
    source: str
    why: str
    hint: str
    path: str
    rows_estimate: int | None
    operation_count: int
    calls: Sequence[Mapping[str, Any]]


@dataclass(frozen=True, slots=True)
class AuditFinished:
    """All are judged.

    Args:
        seconds: from the connection to the last verdict.
    """

    seconds: float


Event = AuditStarted | InvariantJudged | AuditFinished
