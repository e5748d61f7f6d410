"""A suite's record, `.integrity/suites/<time>-<name>.json`: a step for each run that was made and judged."""

from collections.abc import Mapping
from pathlib import Path
from typing import Literal

from integrity.runs.documents import Document, DocumentPart, write_document
from integrity.runs.result import Arrivals, OperationResult, RunResult, Shortened, ThresholdResult
from integrity.runs.shape import LoadSweep, Search, SlopeResult


class SuiteStep(DocumentPart):
    """One run and the audit after it; its fields are those of the run's result.

    Args:
        total: of all operations.
        audit: what was found, in a sentence; violated: the invariants, by name.
        made: of those: how many rows more are wrong than in the audit before this run.
        critical: findings of the monitor that speak against the system.
        verdict: of the run and the data together, as the exit code has it.
        exit_codes: what the run by itself would have ended with, and the audit.
    """

    run_id: str
    folder: str
    system: str
    profile: str
    seed: int
    state: Literal["finished", "interrupted"]
    thresholds: tuple[ThresholdResult, ...]
    elapsed_s: float
    shortened: Shortened | None = None
    total: OperationResult
    arrivals: Arrivals | None
    search: Search | None = None
    sweep: LoadSweep | None = None
    recovery_s: float | None = None
    recovery_unknown: str = ""
    recovery_looked_s: float = 0.0
    slopes: tuple[SlopeResult, ...] = ()
    audit: str
    violated: tuple[str, ...] = ()
    made: Mapping[str, int] = {}
    critical: tuple[str, ...] = ()
    exit_codes: tuple[int, int]
    verdict: str = ""

    @property
    def has_spike(self) -> bool:
        """Whether it was looked how long it took to recover."""
        return "recovery_s" in self.model_fields_set


class SuiteRecord(Document):
    """What came of a suite.

    Args:
        planned: how many runs it is of; with fewer steps it was interrupted.
        before: invariants that were violated before the first run -> their rows.
        verdict: of all runs and their data together; exit_code: that it ends with.
    """

    format: Literal[1] = 1
    suite: str
    seed: int
    shorten: float
    planned: int
    before: Mapping[str, int] = {}
    steps: tuple[SuiteStep, ...]
    verdict: str = ""
    exit_code: int | None = None


def make_step(
    result: RunResult,
    *,
    audit: str,
    violated: tuple[str, ...],
    made: Mapping[str, int],
    exit_codes: tuple[int, int],
    verdict: str,
) -> SuiteStep:
    """Return the step of a run that was audited; what its result does not say is left out here, too."""
    fields = {name: getattr(result, name) for name in result.model_fields_set & set(SuiteStep.model_fields)}
    more = {"total": result.total, "audit": audit, "violated": violated, "made": made, "exit_codes": exit_codes}
    more |= {"critical": result.critical, "verdict": verdict}
    return SuiteStep.model_validate({**fields, **more})


def write_suite(folder: Path, name: str, record: SuiteRecord) -> Path:
    """Write the record; return its file.

    Raises:
        HistoryError: it cannot be written.
    """
    write_document(folder, f"{name}.json", record)
    return folder / f"{name}.json"
