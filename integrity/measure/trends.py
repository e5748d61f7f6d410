"""Trends: what a run's samples say over time. Whether something rises, how sure that is, and how long recovery took.

A slope without its uncertainty says nothing: a shortened soak has wide intervals, and says so. Samples of neighbouring
seconds resemble each other, so they are averaged into blocks first, and the interval is that of a line through the blocks.
"""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from integrity.monitor.processes import OWN, SERVER
from integrity.monitor.sample import ProcessSample, Sample
from integrity.monitor.scraping import TASKS
from integrity.monitor.series import figures
from integrity.runs.samples import RunSample
from integrity.runs.shape import KNEE_POINTS_LEAST, WATCHED_S_LEAST, SlopeName, SlopeResult, SlopeVerdict

BLOCKS = 24
BLOCKS_LEAST = 6
SETTLE_SHARE = 0.1
"""Of a soak, at its beginning: caches fill and connections warm, which is no trend."""

RECOVERED_SAMPLES = 3
TOLERANCE = 1.5
TOLERANCE_MS = 2.0
"""Back to normal: p95 within this factor of what it was before, or within so many ms of it, for so many samples on end."""

RECOVERED_CALLS = 100
"""Of the time before, and at its rate of the time after, that the two can be compared: a p95 of fewer is chance."""

# Two-sided 95% points of Student's t, by degrees of freedom; from 30 on the normal's is near enough.
_T95 = {
    4: 2.776, 5: 2.571, 6: 2.447, 7: 2.365, 8: 2.306, 9: 2.262, 10: 2.228, 11: 2.201, 12: 2.179, 13: 2.160, 14: 2.145,
    15: 2.131, 16: 2.120, 17: 2.110, 18: 2.101, 19: 2.093, 20: 2.086, 21: 2.080, 22: 2.074,
}  # fmt: skip


SLOPE_NAMES: tuple[SlopeName, ...] = ("p95_ms", "failure_share", "rss_mb")


def find_slopes(samples: Sequence[RunSample]) -> list[SlopeResult]:
    """Return the slopes of latency, failures and our own memory; none from a run too short to have blocks."""
    kept = list(samples)[int(len(samples) * SETTLE_SHARE) :]
    slopes = []
    for name in SLOPE_NAMES:
        points = [(sample.elapsed_s, value) for sample in kept if (value := _value(sample, name)) is not None]
        if (slope := fit(name, points)) is not None:
            slopes.append(slope)
    return slopes


def _value(sample: RunSample, name: SlopeName) -> float | None:
    if name == "failure_share":
        return sample.faults / sample.calls if sample.calls else None
    return sample.p95_ms if name == "p95_ms" else sample.rss_mb


def find_watched_slopes(samples: Sequence[Sample]) -> list[SlopeResult]:
    """Return the slopes of what the monitor watched: the server's connections, and of each process but ours its memory,
    CPU and descriptors; and background work that a server tells that it owes.

    They are those of the second half: caches fill and pools open in the first, as each of a server's 40 sessions comes to
    know each table and statement. 75 MB in four minutes were seen of a sound one. A leak goes on.
    """
    kept = list(samples)[len(samples) // 2 :]
    points: dict[tuple[str, SlopeName], list[tuple[float, float]]] = {}
    for sample in kept:
        for process in sample.get("processes", ()):
            if process["name"] != OWN:
                for name, value in _watched_values(process):
                    points.setdefault((process["name"], name), []).append((sample["elapsed_s"], value))
    owed = [(sample["elapsed_s"], sample["metrics"][TASKS]) for sample in kept if TASKS in sample.get("metrics", {})]
    connections = fit("connections", figures(kept, "activity", lambda activity: activity["connections"]))
    of_processes = ((process, fit(name, found)) for (process, name), found in points.items())
    fitted = [("", connections), *of_processes, ("", fit("owed", owed))]
    watched_s = samples[-1]["elapsed_s"] - samples[0]["elapsed_s"] if samples else 0.0
    lasting = {} if watched_s >= WATCHED_S_LEAST else {"verdict": "too short"}
    return [slope.model_copy(update={"process": name, **lasting}) for name, slope in fitted if slope is not None]


def _watched_values(process: ProcessSample) -> Iterator[tuple[SlopeName, float]]:
    if "own_bytes" in process:
        yield "own_mb", process["own_bytes"] / 1_000_000
    if "cpu_share" in process:
        yield "cpu_share", process["cpu_share"]
    if "descriptors" in process and process["name"] != SERVER:  # those of its sessions are its connections
        yield "descriptors", float(process["descriptors"])


def fit(name: SlopeName, points: Sequence[tuple[float, float]]) -> SlopeResult | None:
    """Return the line through the points, averaged into blocks; None: too few for one.

    Args:
        points: (seconds, value), in order of time.
    """
    count = min(BLOCKS, len(points) // 2)
    if count < BLOCKS_LEAST:
        return None
    blocks = np.array([block.mean(axis=0) for block in np.array_split(np.array(points), count)])
    times, values = blocks[:, 0], blocks[:, 1]
    centred = times - times.mean()
    spread = float((centred**2).sum())
    slope = float((centred * values).sum()) / spread
    residuals = values - values.mean() - slope * centred
    error = math.sqrt(float((residuals**2).sum()) / (count - 2) / spread)
    uncertainty = _T95.get(count - 2, 1.96) * error
    length_s = points[-1][0] - points[0][0]
    start = float(values.mean()) + slope * (points[0][0] - float(times.mean()))
    change, least = slope * length_s, NOTABLE * max(abs(float(values.mean())), _FLOORS[name])
    if abs(slope) > uncertainty and abs(change) > least:
        verdict: SlopeVerdict = "rising" if slope > 0 else "falling"
    elif uncertainty * length_s > max(abs(float(values.mean())), _FLOORS[name]):
        verdict = "unclear"
    else:
        verdict = "flat"
    return SlopeResult(
        name=name,
        start=start,
        end=start + change,
        per_hour=slope * 3600,
        uncertainty=uncertainty * 3600,
        verdict=verdict,
    )


NOTABLE = 0.05
"""A change over the whole run below this share of the mean is no trend that anybody would act on."""

_FLOORS: dict[SlopeName, float] = {
    "p95_ms": 1.0,
    "failure_share": 0.001,
    "rss_mb": 10.0,
    "own_mb": 100.0,
    "connections": 20.0,
    "cpu_share": 2.0,  # so that a tenth of all cores is the least that is a trend: neighbours come and go
    "descriptors": 400.0,
    "owed": 400.0,
}


@dataclass(frozen=True, slots=True)
class Recovery:
    """How long it took until latency and failures were back where they had been.

    Args:
        seconds: from the end of the disturbance; None: not in the time that was looked at, or not known.
        unknown: why it cannot be known; empty: it is.
        looked_s: how long behind its end was looked at.
    """

    seconds: float | None
    unknown: str = ""
    looked_s: float = 0.0


def find_recovery(samples: Sequence[RunSample], *, before_from_s: float, before_to_s: float, from_s: float) -> Recovery:
    """Return how long after `from_s` it took.

    A sample is of the time in which most of it lies: it is taken a little after its second is over.

    Args:
        before_from_s, before_to_s: when it was as usual.
    """
    middles_s = [(last_s + each.elapsed_s) / 2 for last_s, each in zip(_starts_s(samples), samples, strict=True)]
    before = [each for middle_s, each in zip(middles_s, samples, strict=True) if before_from_s < middle_s <= before_to_s]
    usual = [each for each in before if each.p95_ms is not None]
    after = [each for middle_s, each in zip(middles_s, samples, strict=True) if middle_s > from_s]
    looked_s = max(0.0, samples[-1].elapsed_s - from_s) if samples else 0.0
    if unknown := _find_lack(usual, after, calls_per_s=sum(each.calls for each in before) / max(1, len(before))):
        return Recovery(None, unknown, looked_s=looked_s)
    p95_ms = float(np.median([each.p95_ms for each in usual]))
    limit_ms = max(TOLERANCE * p95_ms, p95_ms + TOLERANCE_MS)
    failure_share = sum(each.faults for each in usual) / sum(each.calls for each in usual)
    in_a_row, since_s = 0, 0.0
    for sample in after:
        if not sample.calls:
            continue  # nothing came back: where calls are rare that is usual, and where all stand still it is no recovery
        is_back = (
            sample.p95_ms is None or sample.p95_ms <= limit_ms
        ) and sample.faults / sample.calls <= failure_share + 0.001
        if not is_back:
            in_a_row = 0
            continue
        since_s = since_s if in_a_row else sample.elapsed_s
        in_a_row += 1
        if in_a_row == RECOVERED_SAMPLES:
            return Recovery(max(0.0, since_s - from_s), looked_s=looked_s)
    return Recovery(None, looked_s=looked_s)


def _find_lack(usual: Sequence[RunSample], after: Sequence[RunSample], *, calls_per_s: float) -> str:
    """Return what there is too little of to compare; empty: nothing.

    Behind it the calls are counted that came before it in as long: where fewer come back, that is no lack of calls.
    """
    for when, count in (("before", len(usual)), ("after", len(after))):
        if count < RECOVERED_SAMPLES:
            return f"{count} of the {RECOVERED_SAMPLES} s {when} it that are needed to compare"
    for when, count in (("before", sum(each.calls for each in usual)), ("after", round(calls_per_s * len(after)))):
        if count < RECOVERED_CALLS:
            return f"{count} of the {RECOVERED_CALLS} calls {when} it that are needed to compare"
    return ""


def _starts_s(samples: Sequence[RunSample]) -> list[float]:
    return [0.0, *(each.elapsed_s for each in samples)][: len(samples)]


def find_knee(points: Sequence[tuple[float, float]]) -> int | None:
    """Return which point a curve bends at: the one farthest below the chord from its first to its last; None: none is.

    Args:
        points: (load, latency), by rising load.
    """
    if len(points) < KNEE_POINTS_LEAST:
        return None
    loads, values = np.array(points, dtype=float).T
    if loads[-1] == loads[0] or values[-1] <= values[0]:
        return None
    x = (loads - loads[0]) / (loads[-1] - loads[0])
    y = (values - values[0]) / (values[-1] - values[0])
    below = x - y
    knee = int(below.argmax())
    return knee if below[knee] > KNEE_LEAST else None


KNEE_LEAST = 0.1
"""Of the chord: a curve that bends less is a straight line with noise."""
