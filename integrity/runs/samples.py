"""Samples of a run, metrics.jsonl: one a second; and the counts and percentiles that a result is made of, too."""

from collections.abc import Mapping

from integrity.runs.documents import DocumentPart
from integrity.runs.percentiles import Percentiles


class Counts(DocumentPart):
    """How many calls there were, and how they ended.

    Args:
        abandoned: of the failed and unknown, those of clients that were made to die.
        not_sent: offered, and never sent.
    """

    calls: int
    ok: int
    declined: int
    unavailable: int = 0  # of a run before that was told apart
    failed: int
    unknown: int
    abandoned: int
    not_sent: int
    retries: int


class OperationSample(Percentiles, Counts):
    """One operation's counts so far, and percentiles of what returned since the last sample."""


class RunSample(DocumentPart):
    """A run at one moment.

    Args:
        calls, faults, p95_ms: of all operations, since the last sample.
        rss_mb: of the generator.
    """

    at_us: int
    elapsed_s: float
    calls: int
    faults: int
    p95_ms: float | None
    operations: Mapping[str, OperationSample]
    rss_mb: float
