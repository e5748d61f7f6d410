"""Figures as people read them: a latency, a share, a rate; and none where too few samples stand behind it.

How many a statistic needs is said once, by what judges thresholds (integrity/load/statistics.py). A percentile of fewer is
kept in the documents, with the counts beside it, and is no figure to be read off a screen.
"""

import math
from collections.abc import Callable, Mapping

from integrity.load.statistics import STATISTICS
from integrity.runs.result import ThresholdResult

NONE = "–"
"""In place of a figure that there is not: nothing was measured, or on too few samples."""


def show_ms(value: float | None) -> str:
    """Return a latency, without its unit."""
    if value is None:
        return NONE
    return f"{value:.1f}" if value < 100 else f"{value:.0f}"


def show_number(value: float | None) -> str:
    """Return a count or a rate."""
    if value is None:
        return NONE
    return f"{value:.0f}" if value == math.floor(value) or value >= 100 else f"{value:.1f}"


def show_share(value: float) -> str:
    """Return a share in percent."""
    return f"{value * 100:.2f}%"


def show_statistic(name: str, value_ms: float | None, samples: int) -> str:
    """Return a statistic of latencies, e.g. its "p95"; NONE on fewer samples than it needs."""
    return show_ms(value_ms if samples >= STATISTICS[name].samples_least else None)


def explain_none(names: tuple[str, ...], samples: list[int], *, of: str = "answered calls") -> str:
    """Return what NONE means in a table of these statistics; empty: it has no such cell.

    Args:
        samples: of each row. One without any explains itself.
        of: what these are.
    """
    least = {name: STATISTICS[name].samples_least for name in names}
    if not any(0 < count < needed for count in samples for needed in least.values()):
        return ""
    needs = ", ".join(f"{name} needs {needed}" for name, needed in least.items())
    return f"{NONE}: of too few {of} to be a figure: {needs}. --json has it all the same."


def list_statistics(values_ms: Mapping[str, float | None], samples: int) -> str:
    """Return statistics in a sentence, e.g. "mean 3.0 ms, p95 4.1 ms", without those that have too few samples."""
    told = [
        f"{name} {show_ms(value)} ms"
        for name, value in values_ms.items()
        if value is not None and samples >= STATISTICS[name].samples_least
    ]
    lacking = [name for name in values_ms if samples < STATISTICS[name].samples_least]
    return ", ".join([*told, *([f"too few for {' and '.join(lacking)}"] if lacking else [])])


def shower_of(statistic: str) -> Callable[[float], str]:
    """Return what shows a value of a statistic, with its unit."""
    if statistic.endswith("_share"):
        return show_share
    if statistic in ("answered", "received", "counter_off"):
        return show_number
    if statistic == "recovery_s":
        return lambda value: f"{value:.2f} s"
    units = {"answered_per_s": "/s", "rss_mb": " MB"}
    if statistic in units:
        return lambda value: f"{show_number(value)}{units[statistic]}"
    return lambda value: f"{show_ms(value)} ms"


def show_limit(row: ThresholdResult) -> str:
    """Return the levels of a limit, e.g. "<= 300 ms"."""
    show = shower_of(row.statistic)
    if row.least is not None:
        return f">= {show(row.least)}"
    levels = [level for level in (row.most, row.warning, row.critical) if level is not None]
    return f"<= {' / '.join(show(level) for level in levels)}"
