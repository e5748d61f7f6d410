"""Metrics: counted as things happen, written as Prometheus reads them (text format 0.0.4)."""

from bisect import bisect_left
from collections.abc import Callable, Iterator, Mapping

BUCKETS_S = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.15, 0.25, 0.35, 0.5, 1.0, 1.5, 2.5, 5.0, 10.0)

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"

Labels = tuple[str, ...]


class Counter:
    """Counts; with labels apart for each of their values."""

    kind = "counter"

    def __init__(self, name: str, title: str, *labels: str) -> None:
        self.name, self.title, self.labels = name, title, labels
        self._counts: dict[Labels, int] = {} if labels else {(): 0}

    @property
    def count(self) -> int:
        """All of it."""
        return sum(self._counts.values())

    def add(self, *values: str) -> None:
        self._counts[values] = self._counts.get(values, 0) + 1

    def lines(self) -> Iterator[str]:
        for values, count in self._counts.items():
            yield f"{self.name}{_spell(self.labels, values)} {count}"


class Gauge:
    """Says what is so when it is asked."""

    kind = "gauge"

    def __init__(self, name: str, title: str, read: Callable[[], Mapping[Labels, float]], *labels: str) -> None:
        self.name, self.title, self.labels = name, title, labels
        self._read = read

    def lines(self) -> Iterator[str]:
        for values, value in self._read().items():
            yield f"{self.name}{_spell(self.labels, values)} {value:g}"


class Histogram:
    """Durations in seconds."""

    kind = "histogram"

    def __init__(self, name: str, title: str, *labels: str) -> None:
        self.name, self.title, self.labels = name, title, labels
        self._counts: dict[Labels, list[int]] = {}
        self._sums: dict[Labels, float] = {}

    @property
    def count(self) -> int:
        """How many were observed."""
        return sum(sum(counts) for counts in self._counts.values())

    def observe(self, seconds: float, *values: str) -> None:
        counts = self._counts.setdefault(values, [0] * (len(BUCKETS_S) + 1))
        counts[bisect_left(BUCKETS_S, seconds)] += 1
        self._sums[values] = self._sums.get(values, 0.0) + seconds

    def lines(self) -> Iterator[str]:
        for values, counts in self._counts.items():
            total = 0
            for bound, count in zip((*map(str, BUCKETS_S), "+Inf"), counts, strict=True):
                total += count
                yield f"{self.name}_bucket{_spell((*self.labels, 'le'), (*values, bound))} {total}"
            yield f"{self.name}_sum{_spell(self.labels, values)} {self._sums[values]:.9g}"
            yield f"{self.name}_count{_spell(self.labels, values)} {total}"


class Metrics:
    """What a server counts.

    Args:
        counters: name -> the operation whose calls that are ok, and wrote, it counts.
    """

    def __init__(self, counters: Mapping[str, str]) -> None:
        self.requests = Histogram(
            "http_server_duration_seconds", "how long requests took", "http_method", "http_route", "http_status_code"
        )
        self.tasks = Histogram("background_task_duration_seconds", "how long webhooks and jobs took", "task", "outcome")
        self.calls = Counter("operation_calls_total", "calls by how they ended", "operation", "outcome")
        self.forged = Counter("webhook_signatures_rejected_total", "webhooks that nobody signed who may", "http_route")
        self.named = {
            operation: Counter(name, f"calls of {operation} that took effect") for name, operation in counters.items()
        }
        self.gauges: list[Gauge] = []
        self.streams: list[Counter | Gauge | Histogram] = []

    def note_call(self, operation: str, outcome: str, *, has_written: bool = False) -> None:
        """Count a call.

        Args:
            has_written: what was answered again, as its key was answered before, is counted once.
        """
        self.calls.add(operation, outcome)
        if outcome == "ok" and has_written and operation in self.named:
            self.named[operation].add()

    def render(self) -> str:
        """Return all of them."""
        metrics: tuple[Counter | Gauge | Histogram, ...]
        metrics = (self.requests, self.tasks, self.calls, self.forged, *self.named.values(), *self.gauges, *self.streams)
        return "".join(f"{line}\n" for metric in metrics for line in _lines(metric))


def _lines(metric: Counter | Gauge | Histogram) -> Iterator[str]:
    yield f"# HELP {metric.name} {metric.title}"
    yield f"# TYPE {metric.name} {metric.kind}"
    yield from metric.lines()


def _spell(names: Labels, values: Labels) -> str:
    if not names:
        return ""
    return "{" + ",".join(f'{name}="{_escape(value)}"' for name, value in zip(names, values, strict=True)) + "}"


def _escape(value: str) -> str:
    return value.replace("\\", "\\\\").replace("\n", "\\n").replace('"', '\\"')
