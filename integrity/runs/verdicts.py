"""Verdicts, verdicts.json: an audit, with the rows that each violated invariant returned; of a run, in its folder.

Plain data classes: `validate` writes them, also to stdout, and does not wait for models to be built that only readers need.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from integrity.runs.files import VERDICTS_FILE
from integrity.typed import typed
from integrity.verdict import Severity, Verdict


@dataclass(frozen=True, slots=True, kw_only=True)
class JudgedInvariant:
    """One invariant's verdict; its fields are those of events.InvariantJudged and verdict.Finding."""

    name: str
    verdict: Verdict
    severity: Severity
    title: str
    source: str
    why: str
    hint: str
    path: str
    violation_count: int
    rows: Sequence[Mapping[str, Any]]
    method: str
    seconds: float
    reason: str
    rows_estimate: int | None
    operation_count: int
    calls: Sequence[Mapping[str, Any]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdicts:
    """An audit.

    Args:
        target: the database, without its password.
        taken_at: the server's time of the snapshot, as ISO 8601 has it.
        consistency, caution: as events.AuditStarted has them.
        sentence: what was found, in one.
        counts: of the invariants, by verdict.
    """

    format: Literal[1] = 1
    target: str
    taken_at: str
    consistency: str
    caution: str
    seconds: float
    sentence: str
    exit_code: int
    counts: Mapping[Verdict, int]
    invariants: Sequence[JudgedInvariant]

    @property
    def violated(self) -> Mapping[str, JudgedInvariant]:
        """Those that were violated, by name."""
        return {each.name: each for each in self.invariants if each.verdict is Verdict.VIOLATED}


def read_verdicts(folder: Path) -> Verdicts:
    """Return the verdicts that are kept in a folder.

    Raises:
        HistoryError: there are none, they cannot be read, or are of another format.
    """
    from integrity.runs.documents import DocumentKind, read_document

    kind = DocumentKind(VERDICTS_FILE, Verdicts, format=1, hint=f"Audit the run again: {typed('validate')}")
    return read_document(folder, kind)
