"""Dependencies: what calls asked of outside services, how that was answered, and how long each answer took.

As of calls, a latency is that of what was answered: a service that refuses at once, or never answers, is not a quick one.
"""

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Self

from integrity.measure.distribution import Distribution, percentiles
from integrity.measure.marks import with_fewer_kinds
from integrity.runs.result import DependencyResult
from integrity.systems.service import is_answered

ANSWERS_MOST = 10
"""Kinds of answer that are listed."""

OTHER_ANSWERS = "other answers"


@dataclass(slots=True)
class DependencyMeasure:
    """What is known of one request to one service, as often as it was made.

    Args:
        answers: how it was answered, e.g. "settled" or "error 500"; what nobody waited for is in none.
        latencies_ms: until it was answered.
    """

    requests: int = 0
    answered: int = 0
    answers: Counter[str] = field(default_factory=Counter)
    latencies_ms: Distribution = field(default_factory=Distribution)

    def add(self, answer: Mapping[str, Any], latency_ms: float) -> None:
        """Count an answer that came, or what stood for it when its caller gave up."""
        kind = _kind_of(answer)
        self.answers[kind if kind in self.answers or len(self.answers) < ANSWERS_MOST else OTHER_ANSWERS] += 1
        if is_answered(answer):
            self.answered += 1
            self.latencies_ms.append(latency_ms)


class Dependencies:
    """The measures of a run by service and by what was asked of it, in the order in which they were first asked."""

    def __init__(self) -> None:
        self._measures: dict[tuple[str, str], DependencyMeasure] = {}

    @classmethod
    def merged(cls, shares: Sequence["Dependencies"]) -> Self:
        """Return the measures of what several processes asked, as if one had asked all of it."""
        whole = cls()
        parts: defaultdict[tuple[str, str], list[DependencyMeasure]] = defaultdict(list)
        for share in shares:
            for key, measure in share._measures.items():
                parts[key].append(measure)
        for key, of_one in parts.items():
            whole._measures[key] = DependencyMeasure(
                sum(each.requests for each in of_one),
                sum(each.answered for each in of_one),
                with_fewer_kinds(sum((each.answers for each in of_one), Counter()), ANSWERS_MOST, OTHER_ANSWERS),
                Distribution.of(each.latencies_ms for each in of_one),
            )
        return whole

    def of(self, service: str, asked: str) -> DependencyMeasure:
        measure = self._measures.get((service, asked))
        if measure is None:
            measure = self._measures[service, asked] = DependencyMeasure()
        return measure

    def summarize(self) -> list[DependencyResult]:
        """Return one record for each, the busiest service first."""
        busy: Counter[str] = Counter()
        for (service, _), measure in self._measures.items():
            busy[service] += measure.requests
        found = sorted(self._measures.items(), key=lambda item: (-busy[item[0][0]], item[0][0], -item[1].requests))
        return [_summary(service, asked, measure) for (service, asked), measure in found]


def _summary(service: str, asked: str, measure: DependencyMeasure) -> DependencyResult:
    times_ms = measure.latencies_ms
    return DependencyResult(
        service=service,
        asked=asked,
        requests=measure.requests,
        answered=measure.answered,
        answers=dict(measure.answers.most_common()),
        mean_ms=None if times_ms.mean is None else round(times_ms.mean, 3),
        **percentiles(times_ms),
        max_ms=None if times_ms.greatest is None else round(times_ms.greatest, 3),
    )


def _kind_of(answer: Mapping[str, Any]) -> str:
    """Return in a word or two how a service answered."""
    status = str(answer.get("status", "answered"))
    return f"{status} {answer['code']}" if "code" in answer else status
