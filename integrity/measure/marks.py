"""Marks: where the measures of a run stood at a moment, and what came after it, or without it."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from integrity.measure.calls import ERRORS_MOST, OTHER_ERRORS, Measures, OperationMeasure

_COUNTS = (
    "ok",
    "declined",
    "unavailable",
    "failed",
    "unknown",
    "abandoned",
    "not_sent",
    "retries",
    "missed",
    "broken",
    "late",
    "late_answered",
    "arrivals_answered",
)
_TIMES = ("latencies_ms", "own_ms", "writes_ms", "settled_ms", "lags_ms", "client_lags")
_KINDS = ("errors", "reasons", "checks", "checks_held")

OperationMarks = Mapping[str, Mapping[str, Any]]


def mark_operations(measures: Measures) -> OperationMarks:
    """Return where each operation stands, for `measures_since`."""
    return {
        name: {
            **{count: getattr(measure, count) for count in _COUNTS},
            **{times: getattr(measure, times).held() for times in _TIMES},
            **{kinds: Counter(getattr(measure, kinds)) for kinds in _KINDS},
        }
        for name, measure in measures.operations.items()
    }


def measures_since(measures: Measures, mark: OperationMarks) -> Measures:
    """Return the measures of what came after the mark."""
    since = Measures(measures.groups)
    for name, measure in measures.operations.items():
        before = mark.get(name, {})
        new = since.operations[name] = OperationMeasure(measure.group, measure.keeps_stream)
        for count in _COUNTS:
            setattr(new, count, getattr(measure, count) - before.get(count, 0))
        for times in _TIMES:
            setattr(new, times, getattr(measure, times).since(before.get(times)))
        for kinds in _KINDS:
            setattr(new, kinds, getattr(measure, kinds) - before.get(kinds, Counter()))
    return since


def measures_of(parts: Iterable[tuple[str, OperationMeasure]]) -> Measures:
    """Return the measures of several pieces together, each of one operation."""
    pieces: defaultdict[str, list[OperationMeasure]] = defaultdict(list)
    for name, part in parts:
        pieces[name].append(part)
    whole = Measures()
    for name, of_one in pieces.items():
        keeps_stream = any(part.keeps_stream for part in of_one)
        new = whole.operations[name] = OperationMeasure(of_one[0].group, keeps_stream)
        for count in _COUNTS:
            setattr(new, count, sum(getattr(part, count) for part in of_one))
        for times in _TIMES:
            setattr(new, times, type(getattr(new, times)).of(getattr(part, times) for part in of_one))
        for kinds in _KINDS:
            setattr(new, kinds, sum((getattr(part, kinds) for part in of_one), Counter()))
    return whole


def merge_measures(shares: Sequence[Measures]) -> Measures:
    """Return the measures of all calls whose shares were measured each by itself: as if all had been in one place.

    Which kinds of error are listed goes by their number in all of them.
    """
    whole = measures_of((name, measure) for share in shares for name, measure in share.operations.items())
    whole.groups = shares[0].groups if shares else {}
    for measure in whole.operations.values():
        measure.errors = with_fewer_kinds(measure.errors, ERRORS_MOST, OTHER_ERRORS)
    return whole


def with_fewer_kinds(counts: Counter[str], most: int, others: str) -> Counter[str]:
    """Return the counts of so many kinds, the commonest, and of all others as one."""
    if len(counts.keys() - {others}) <= most:
        return counts
    listed = Counter(dict(Counter({kind: count for kind, count in counts.items() if kind != others}).most_common(most)))
    listed[others] = counts.total() - listed.total()
    return listed


def measures_without(measures: Measures, part: Measures) -> Measures:
    """Return the measures of what is not in the part."""
    rest = Measures(measures.groups)
    for name, measure in measures.operations.items():
        less = part.operations.get(name, OperationMeasure())
        new = rest.operations[name] = OperationMeasure(measure.group, measure.keeps_stream)
        for count in _COUNTS:
            setattr(new, count, getattr(measure, count) - getattr(less, count))
        for times in _TIMES:
            setattr(new, times, getattr(measure, times).since(getattr(less, times).held()))
        for kinds in _KINDS:
            setattr(new, kinds, getattr(measure, kinds) - getattr(less, kinds))
    return rest
