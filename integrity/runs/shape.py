"""What a run's shape found, in its result: phases, where it broke, what may be promised, and what rises."""

from typing import Literal

from integrity.runs.documents import DocumentPart
from integrity.runs.percentiles import Percentiles


class PhaseThreshold(DocumentPart):
    """A threshold judged over one phase.

    Args:
        operation: or group; rows: the query whose rows it is of, in place of calls. None: of all.
    """

    operation: str | None
    rows: str | None = None
    statistic: str
    measured: float | None
    state: Literal["passed", "warning", "failed", "not measured", "unknown"]


class PhaseResult(Percentiles):
    """A stretch of the run at one load.

    Args:
        part: which of the shape's parts it is, e.g. "spike".
        factor: of the profile's own load.
        answered: calls, whose latencies the percentiles are of; 0 of a run before that was kept.
    """

    name: str
    part: str
    factor: float
    from_s: float
    to_s: float
    offered_per_s: float
    answered: int = 0
    answered_per_s: float | None
    failure_share: float
    lag_p99_ms: float | None
    thresholds: tuple[PhaseThreshold, ...]


class FirstBreak(DocumentPart):
    """The first load over a threshold; operation: the one that is furthest over it, None: none by itself."""

    name: str
    offered_per_s: float
    operation: str | None
    how: str


class HardBreak(DocumentPart):
    """The load at which it gave way."""

    offered_per_s: float
    how: str


class Search(DocumentPart):
    """How far the load could rise; None: it did not come to that, or its steps were too short, as no_claim says."""

    held_per_s: float | None
    first_break: FirstBreak | None
    hard_break: HardBreak | None
    ended_because: str
    no_claim: str = ""


class SweepLoad(DocumentPart):
    """One load of a sweep; is_kept: each limit was measured there, and none missed."""

    name: str
    load: float
    is_kept: bool = True


class FirstWarning(DocumentPart):
    """The first load over a warning."""

    load: float
    how: str


class LoadSweep(DocumentPart):
    """Where latency bends, and what may be promised; `of` is the unit of every load; no_claim as a search has it.

    Args:
        figure: the latency that is drawn over the load, e.g. "open_stream lag p95".
        points: at how many loads that was measured; None of a sweep before that was kept.
    """

    of: str
    loads: tuple[SweepLoad, ...]
    knee: float | None
    first_warning: FirstWarning | None
    safe_ceiling: float | None
    no_claim: str = ""
    figure: str = ""
    points: int | None = None


KNEE_POINTS_LEAST = 3
"""Loads at which a latency must be known to tell where it bends: two are a straight line, whatever lies between."""

WATCHED_S_LEAST = 600.0
"""How long the memory and the connections of a server or an application must have been watched to tell a trend."""

SlopeName = Literal["p95_ms", "failure_share", "rss_mb", "own_mb", "connections", "cpu_share", "descriptors", "owed"]
SlopeVerdict = Literal["rising", "falling", "unclear", "flat", "too short"]


class SlopeResult(DocumentPart):
    """How something changed over a run.

    Args:
        name: rss_mb is the generator's memory, own_mb that of another process, without what it shares; cpu_share is of all
            cores; owed is background work that the server has still to do.
        process: whose memory; empty: the generator's, or the figure is of none.
        start, end: of the line that fits it.
        per_hour: its slope; uncertainty: the half width of its 95% interval.
        verdict: "rising" or "falling" where the interval leaves zero out and the change is of any size; else "flat", or
            "unclear" where even a doubling over the run would fit; "too short" of what needs longer to settle than it ran.
    """

    name: SlopeName
    process: str = ""
    start: float
    end: float
    per_hour: float
    uncertainty: float
    verdict: SlopeVerdict
