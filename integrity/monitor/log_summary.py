"""What samples of logs come to: how many lines showed which pattern, when, and examples of them. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass

from integrity.monitor.logs import PATTERNS
from integrity.monitor.sample import Sample

SPAN_GAP_S = 10.0


@dataclass(frozen=True, slots=True)
class LogFinding:
    """Lines of a log that showed a pattern.

    Args:
        level: "critical" or "warn".
        spans: from when to when they were seen, from the first sample on; those nearer than 10 s are one.
        examples: a few that are unlike each other.
    """

    pattern: str
    level: str
    count: int
    spans: tuple[tuple[float, float], ...]
    examples: tuple[str, ...]

    @property
    def name(self) -> str:
        """Of its alert, e.g. "log-fatal"."""
        return f"log-{self.pattern.split()[0].lower()}"


@dataclass(frozen=True, slots=True)
class LogSummary:
    """What was added to a log.

    Args:
        unread: why it, or the end of it, could not be read; else empty.
    """

    file: str
    read_bytes: int
    findings: tuple[LogFinding, ...]
    unread: str


def sum_up_logs(samples: Sequence[Sample]) -> list[LogSummary]:
    """Return what was added to each log that was watched, the worst pattern first."""
    files = dict.fromkeys(log["file"] for sample in samples for log in sample.get("logs", ()))
    return [_sum_up(file, samples) for file in files]


def _sum_up(file: str, samples: Sequence[Sample]) -> LogSummary:
    moments = [(sample["elapsed_s"], log) for sample in samples for log in sample.get("logs", ()) if log["file"] == file]
    findings = []
    for name, pattern in PATTERNS.items():
        seen = [(at_s, log["counts"][name]) for at_s, log in moments if log["counts"].get(name)]
        if seen:
            examples = tuple(line for _, log in moments for line in log["examples"].get(name, ()))
            count = sum(count for _, count in seen)
            findings.append(LogFinding(name, pattern.level, count, _spans([at_s for at_s, _ in seen]), examples))
    read_bytes = sum(log["bytes"] for _, log in moments)
    return LogSummary(file, read_bytes, tuple(findings), moments[-1][1].get("error", ""))


def _spans(times: Sequence[float]) -> tuple[tuple[float, float], ...]:
    spans: list[tuple[float, float]] = []
    for at_s in times:
        if spans and at_s - spans[-1][1] <= SPAN_GAP_S:
            spans[-1] = spans[-1][0], at_s
        else:
            spans.append((at_s, at_s))
    return tuple(spans)
