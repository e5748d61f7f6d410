"""Series of samples: how much a counter rose, and where a figure peaked. Pure functions over what the monitor wrote.

Counters start again from zero when a server comes back from a crash: what was counted since then is what it rose by.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, cast

from integrity.monitor.sample import Sample


@dataclass(frozen=True, slots=True)
class Peak:
    """The largest of a figure's values.

    Args:
        at_s: when, from the first sample on.
        sample_count: samples that have the figure.
    """

    value: float
    at_s: float
    sample_count: int


def find_peak(values: Iterable[tuple[float, float]], *, least: bool = False) -> Peak | None:
    """Return the peak of (at_s, value) pairs, the earliest of equals; None without any."""
    pairs = list(values)
    if not pairs:
        return None
    at_s, value = (min if least else max)(pairs, key=lambda pair: pair[1])
    return Peak(value, at_s, len(pairs))


def figures(samples: Iterable[Sample], section: str, read: Callable[[Mapping[str, Any]], Any]) -> list[tuple[float, float]]:
    """Return (at_s, value) of the samples in which the database answered the question."""
    found = []
    for sample in samples:
        answer = _answers(sample).get(section)
        if answer and (value := read(answer)) is not None:
            found.append((sample["elapsed_s"], float(value)))
    return found


def rise(samples: Iterable[Sample], section: str, counter: str) -> float:
    """Return by how much a counter of a one-row answer rose."""
    return _rise([value for _, value in figures(samples, section, lambda answer: answer.get(counter))])


def rise_of_rows(samples: Sequence[Sample], section: str, key: str) -> dict[str, dict[str, float]]:
    """Return by how much each counter of each row rose: key -> counter -> rise.

    The first sample has all rows and later ones those that changed. A row that the first lacks was made since, or was
    below the others then: it counts from zero.
    """
    answers = [_answers(sample)[section] for sample in samples if section in _answers(sample)]
    values: dict[str, dict[str, list[float]]] = {}
    for number, rows in enumerate(answers):
        for row in rows:
            counters = values.setdefault(row[key], {})
            for name, value in row.items():
                if isinstance(value, int | float):
                    counters.setdefault(name, [] if number == 0 else [0.0]).append(float(value))
    return {row: {name: _rise(counted) for name, counted in counters.items()} for row, counters in values.items()}


def last_rows(samples: Iterable[Sample], section: str, key: str) -> dict[str, Mapping[str, Any]]:
    """Return each row as it was last seen."""
    found: dict[str, Mapping[str, Any]] = {}
    for sample in samples:
        for row in _answers(sample).get(section, ()):
            found[row[key]] = row
    return found


def _answers(sample: Sample) -> Mapping[str, Any]:
    """Return what the database answered, by question; nothing where none was watched."""
    return cast(Mapping[str, Any], sample.get("database") or {})


def moving_mean(values: Sequence[tuple[float, float]], count: int) -> list[tuple[float, float]]:
    """Return the means over `count` values at a time, each at the time of its last; none where there are fewer."""
    return [
        (values[end - 1][0], sum(value for _, value in values[end - count : end]) / count)
        for end in range(count, len(values) + 1)
    ]


def _rise(values: Sequence[float]) -> float:
    risen = 0.0
    for before, after in pairwise(values):
        risen += after - before if after >= before else after
    return risen
