"""The percentiles that samples, results and phases of a run have."""

from integrity.runs.documents import DocumentPart


class Percentiles(DocumentPart):
    """Each the latency of a call that happened; None without calls. What has no field here is worked out nowhere.

    "p999_ms" is that of 99.9 in a hundred. A field that earlier runs have not needs None as its default.
    """

    p50_ms: float | None
    p95_ms: float | None
    p99_ms: float | None
