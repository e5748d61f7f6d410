"""Fault windows: the part of a run in which something was broken on purpose, which its thresholds leave out.

A run does not fail for what a fault did while it lasted, it fails for what stayed broken: calls that returned from the
moment a fault was injected until it was healed, and a second on, are judged apart, in the tables of faults; and what was
under way when it was healed, or waited for a connection then, is so however late it returns. Where faults are to be in
force for most of the run they are what was run, and it is judged as a whole; how long it takes to heal them is nobody's
wish, and makes no fault the run.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TypeAlias

from integrity.faults.player import PlayedFault
from integrity.measure.calls import Measures
from integrity.measure.marks import OperationMarks, mark_operations, measures_since, measures_without, merge_measures
from integrity.runs.effects import ENDS_WITHIN_S, time_covered
from integrity.runs.result import LeftOut

SETTLING_US = 1_000_000
"""How long after a fault calls may still be what it did: connections come back, queues empty."""

UNDER_WAY_US = round(ENDS_WITHIN_S * 1_000_000)
"""How long after a fault what was under way is waited for; what is not back by then hangs."""

APART_SHARE_MOST = 0.5
"""Of a run: faults that are in force for more of it are no part of it, they are what was run."""


@dataclass(frozen=True, slots=True)
class JudgedPart:
    """What thresholds are judged on.

    Args:
        seconds: how long that is.
        left_out: the rest, on the clock of calls; none: it is the whole run.
        apart: the measures of the rest, a piece each.
    """

    measures: Measures
    seconds: float
    left_out: tuple[LeftOut, ...] = ()
    apart: tuple[Measures, ...] = ()


Cut: TypeAlias = tuple[LeftOut, Measures]
"""What returned in a window."""


class FaultWindows:
    """Cuts what returns while faults are in force out of the measures of a run."""

    def __init__(self, measures: Measures) -> None:
        self._measures = measures
        self._mark: OperationMarks | None = None
        self._from_us = 0
        self._ended_us: int | None = None
        self._cut: list[Cut] = []

    def begin(self, at_us: int) -> None:
        """Something is about to be broken; a window whose settling is not over goes on."""
        if self._mark is None:
            self._mark, self._from_us = mark_operations(self._measures), at_us
        self._ended_us = None

    def end(self, at_us: int) -> None:
        """Nothing is broken any more."""
        self._ended_us = at_us

    def settle(self, at_us: int, *, under_way_since_us: int | None = None) -> None:
        """Close the window, if it has settled by now.

        Args:
            under_way_since_us: when the oldest call was to be made that has not returned, if only for want of a connection;
                None: there is none.
        """
        ended_us = self._ended_us
        if ended_us is None or at_us < ended_us + SETTLING_US:
            return
        if under_way_since_us is None or under_way_since_us >= ended_us or at_us >= ended_us + UNDER_WAY_US:
            self.close(at_us)

    def close(self, at_us: int) -> None:
        """Close the window that is open, if one is."""
        if self._mark is not None:
            window = LeftOut(from_us=self._from_us, to_us=at_us)
            self._cut.append((window, measures_since(self._measures, self._mark)))
        self._mark = self._ended_us = None

    @property
    def cut(self) -> Sequence[Cut]:
        """What was cut out, in its order."""
        return tuple(self._cut)

    def judged(self, elapsed_s: float, played: Sequence[PlayedFault]) -> JudgedPart:
        """Return what is to be judged of a run that took so long, and had these faults."""
        return judged_part(self._measures, self._cut, elapsed_s, played)


def judged_part(measures: Measures, cut: Sequence[Cut], elapsed_s: float, played: Sequence[PlayedFault]) -> JudgedPart:
    """Return what is to be judged of a run that took so long, and had these faults: what was not cut out of it."""
    apart_s = sum(window.to_us - window.from_us for window, _ in cut) / 1_000_000
    in_force_s = time_covered((each.from_us, each.to_us) for each in played) / 1_000_000
    if not cut or in_force_s > APART_SHARE_MOST * elapsed_s:
        return JudgedPart(measures, elapsed_s)
    rest = measures
    for _, part in cut:
        rest = measures_without(rest, part)
    windows, parts = zip(*cut, strict=True)
    return JudgedPart(rest, max(0.0, elapsed_s - apart_s), windows, parts)


def merge_cuts(cuts: Iterable[Cut]) -> list[Cut]:
    """Return what several processes cut out of their measures as what one would have: windows that meet are one."""
    merged: list[tuple[LeftOut, list[Measures]]] = []
    for window, measures in sorted(cuts, key=lambda each: each[0].from_us):
        if merged and window.from_us <= merged[-1][0].to_us:
            before, parts = merged[-1]
            joined = LeftOut(from_us=before.from_us, to_us=max(before.to_us, window.to_us))
            merged[-1] = joined, [*parts, measures]
        else:
            merged.append((window, [measures]))
    return [(window, merge_measures(parts)) for window, parts in merged]
