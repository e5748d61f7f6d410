"""The percentiles that samples, results and phases of a run have."""

from integrity.runs.documents import DocumentPart


class Percentiles(DocumentPart):
    """Each the latency of a call that happened; None without calls. What has no field here is worked out nowhere."""

    p50_ms: float | None
    p95_ms: float | None
    p99_ms: float | None
