"""What each fault did to a run: the calls before, during and after it, and how long until all was as before.

A call belongs to *during* when any part of it was in the window: so what a fault held up counts there, however late it came
back. *Before* and *after* reach to the window next to it. Recovered is a run from the first quarter of a second on, after
the window, in which neither the 95th percentile of latency nor the share of calls that were not answered is above the worst
that was seen in any such quarter before; and the next must agree. Where calls are few, longer pieces are looked at.
A fault that met nothing leaves nothing to recover from.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from integrity.faults.player import PlayedFault
from integrity.history import Outcome
from integrity.measure.trends import Recovery
from integrity.runs.effects import ENDS_WITHIN_S, MET_NOTHING, EffectPhase, EffectPhases, FaultEffect
from integrity.runs.folder import RunFolder
from integrity.runs.histories import open_calls

BIN_US = 250_000
BIN_CALLS_LEAST = 5  # with fewer, a percentile says nothing
BIN_CALLS = 10
"""Of a piece on average: then hardly one has fewer than the least."""

BINS_LEAST = 5
"""Before a window, and behind it where it is said that all was not as before. By chance alone the slowest calls come behind
it and none of two pieces in a row is as before: once in 7 times of three and three pieces, once in 27 of five and five."""

COMPARED_CALLS = BINS_LEAST * BIN_CALLS
"""Before a window, about; of fewer nothing is told."""

Settlements = Sequence[tuple[int, int]]
"""When a call was to be made, and when the first webhook that followed was acknowledged; microseconds since the epoch."""

_OUTCOMES = (Outcome.OK, Outcome.DECLINED, Outcome.UNAVAILABLE, Outcome.FAILED, Outcome.UNKNOWN)
_NUMBERS = {outcome: number for number, outcome in enumerate(_OUTCOMES)}
_NEVER = np.iinfo(np.int64).max
_ANSWERED = 2  # ok and declined are below this


@dataclass(frozen=True, slots=True)
class _Calls:
    """The calls of a run, a column each; one without a return returned at the end of time."""

    invoked_us: "npt.NDArray[np.int64]"
    returned_us: "npt.NDArray[np.int64]"
    latency_ms: "npt.NDArray[np.float64]"
    outcome: "npt.NDArray[np.int8]"
    operation: "npt.NDArray[np.int32]"
    says_why: "npt.NDArray[np.bool_]"
    names: Sequence[str]

    def where(self, chosen: "npt.NDArray[np.bool_]") -> "_Calls":
        return _Calls(
            self.invoked_us[chosen],
            self.returned_us[chosen],
            self.latency_ms[chosen],
            self.outcome[chosen],
            self.operation[chosen],
            self.says_why[chosen],
            self.names,
        )

    def by_operation(self) -> dict[str, int]:
        numbers, counts = np.unique(self.operation, return_counts=True)
        return {self.names[number]: int(count) for number, count in zip(numbers, counts, strict=True)}

    def p95_ms(self) -> float | None:
        answered = self.latency_ms[self.outcome < _ANSWERED]
        return float(np.percentile(answered, 95, method="inverted_cdf")) if len(answered) else None

    def failure_share(self) -> float:
        return float(np.mean(self.outcome >= _ANSWERED)) if len(self.outcome) else 0.0


def describe_effects(
    folder: RunFolder,
    played: Sequence[PlayedFault],
    *,
    began_at_us: int,
    ended_at_us: int,
    settled_us: Settlements = (),
    drawn_until_us: int | None = None,
) -> tuple[FaultEffect, ...]:
    """Return one record a window, in their order; none for a run without faults.

    Args:
        began_at_us, ended_at_us: when the first call could be made, and when the run was over.
        drawn_until_us: until when calls were drawn; from then on there is nothing to see. None: until the end.
    """
    if not played:
        return ()
    calls = _read(folder)
    settled = np.array(settled_us, dtype=np.int64).reshape(-1, 2)
    effects = []
    for number, window in enumerate(played):
        since_us = max((other.healed_us for other in played[:number]), default=began_at_us)
        until_us = min((other.from_us for other in played[number + 1 :]), default=ended_at_us)
        effects.append(
            _describe(
                calls,
                settled,
                window,
                since_us=min(since_us, window.from_us),
                until_us=until_us,
                zero_us=began_at_us,
                ended_us=ended_at_us,
                seen_until_us=min(until_us, drawn_until_us or ended_at_us),
            )
        )
    return tuple(effects)


def _read(folder: RunFolder) -> _Calls:
    names: dict[str, int] = {}
    with open_calls(folder) as calls:
        rows = [
            (
                call.invoked_at_us,
                call.returned_at_us if call.returned_at_us is not None else _NEVER,
                ((call.returned_at_us or call.intended_at_us) - call.intended_at_us) / 1000,
                _NUMBERS[call.outcome],
                names.setdefault(call.operation, len(names)),
                bool(call.error or (call.reply or {}).get("reason")),
            )
            for call in calls
        ]
    invoked, returned, latency, outcome, operation, says_why = zip(*rows, strict=True) if rows else ((),) * 6
    return _Calls(
        np.array(invoked, dtype=np.int64),
        np.array(returned, dtype=np.int64),
        np.array(latency, dtype=np.float64),
        np.array(outcome, dtype=np.int8),
        np.array(operation, dtype=np.int32),
        np.array(says_why, dtype=np.bool_),
        list(names),
    )


def _describe(
    calls: _Calls,
    settled: "npt.NDArray[np.int64]",
    played: PlayedFault,
    *,
    since_us: int,
    until_us: int,
    zero_us: int,
    ended_us: int,
    seen_until_us: int,
) -> FaultEffect:
    from_us, to_us = played.from_us, played.to_us
    before = calls.where((calls.invoked_us >= since_us) & (calls.returned_us < from_us))
    during = calls.where((calls.invoked_us < to_us) & (calls.returned_us >= from_us))
    after = calls.where((calls.invoked_us >= to_us) & (calls.invoked_us < until_us))
    recovery = Recovery(None, MET_NOTHING)
    if played.counts:
        recovery = _recovery(before, after, since_us=since_us, from_us=from_us, to_us=to_us, until_us=seen_until_us)
    settled_before = settled[(settled[:, 0] >= since_us) & (settled[:, 1] < from_us)]
    settled_during = settled[(settled[:, 0] < to_us) & (settled[:, 1] >= from_us)]
    settled_after = settled[(settled[:, 0] >= to_us) & (settled[:, 0] < until_us)]
    ends_by_us = played.healed_us + round(ENDS_WITHIN_S * 1_000_000)
    is_late = during.returned_us > ends_by_us if ended_us >= ends_by_us else np.zeros(len(during.outcome), dtype=np.bool_)
    return FaultEffect(
        fault=played.window.fault.name,
        asked=played.window.text,
        arguments=played.window.given,
        question=played.window.fault.question,
        invariants=played.window.fault.invariants,
        from_s=round((from_us - zero_us) / 1e6, 3),
        to_s=round((to_us - zero_us) / 1e6, 3),
        healed_s=round((played.healed_us - zero_us) / 1e6, 3),
        did=played.counts,
        phases=EffectPhases(
            before=_phase(before, settled_before, from_us - since_us),
            during=_phase(during, settled_during, to_us - from_us),
            after=_phase(after, settled_after, until_us - to_us),
        ),
        recovery_s=recovery.seconds,
        recovery_unknown=recovery.unknown,
        looked_s=round(recovery.looked_s, 3),
        unended=during.where(is_late).by_operation(),
        unexplained=during.where(
            (during.outcome >= _ANSWERED) & ~during.says_why & (during.returned_us != _NEVER)
        ).by_operation(),
        cut_off=int(np.sum((during.returned_us == _NEVER) & ~is_late)),
    )


def _phase(calls: _Calls, settled: "npt.NDArray[np.int64]", length_us: int) -> EffectPhase:
    settled_ms = (settled[:, 1] - settled[:, 0]) / 1000
    answered = calls.latency_ms[calls.outcome < _ANSWERED]
    values = np.percentile(answered, (50, 95), method="inverted_cdf") if len(answered) else None
    return EffectPhase(
        calls=len(calls.outcome),
        calls_per_s=round(len(calls.outcome) / length_us * 1e6, 1) if length_us > 0 else None,
        **{outcome.value: int(np.sum(calls.outcome == number)) for outcome, number in _NUMBERS.items()},
        p50_ms=round(float(values[0]), 3) if values is not None else None,
        p95_ms=round(float(values[1]), 3) if values is not None else None,
        settled=len(settled_ms),
        settled_mean_ms=round(float(settled_ms.mean()), 1) if len(settled_ms) else None,
        settled_p95_ms=_p95(settled_ms),
    )


def _p95(values: "npt.NDArray[np.float64]") -> float | None:
    return round(float(np.percentile(values, 95, method="inverted_cdf")), 1) if len(values) else None


def _recovery(before: _Calls, after: _Calls, *, since_us: int, from_us: int, to_us: int, until_us: int) -> Recovery:
    """Return how long after the window's end all was as before."""
    bin_us = _bin_us(before, from_us - since_us)
    usual = [each for each in _bins(before, since_us, from_us, bin_us) if each is not None]
    looked_us = max(0, until_us - to_us)
    if len(usual) < BINS_LEAST:
        pieces = f"enough in {len(usual)} of the {BINS_LEAST} pieces of {bin_us / 1e6:g} s that it takes"
        few = f"too few calls to tell recovery: {len(before.outcome)} before it, {pieces}"
        return Recovery(None, few, looked_s=looked_us / 1e6)
    latency_most, failure_most = max(p95_ms for p95_ms, _ in usual), max(share for _, share in usual)
    bins = _bins(after, to_us, to_us + looked_us, bin_us)
    good = [each is not None and each[0] <= latency_most and each[1] <= failure_most for each in bins]
    for number, is_good in enumerate(good):
        if is_good and (number + 1 == len(good) or good[number + 1]):
            return Recovery(number * bin_us / 1e6, looked_s=looked_us / 1e6)
    if not len(after.invoked_us):
        return Recovery(None, "no call came after it", looked_s=looked_us / 1e6)
    if len(bins) < BINS_LEAST:
        short = f"too little was seen behind it to tell: {looked_us / 1e6:.1f} s of {BINS_LEAST * bin_us / 1e6:.1f} s"
        return Recovery(None, short, looked_s=looked_us / 1e6)
    return Recovery(None, looked_s=looked_us / 1e6)


def _bin_us(before: _Calls, length_us: int) -> int:
    """Return how long a piece is looked at: quarters of a second, as many as bring enough calls."""
    if not len(before.invoked_us):
        return BIN_US
    return max(1, math.ceil(length_us * BIN_CALLS / len(before.invoked_us) / BIN_US)) * BIN_US


def _bins(calls: _Calls, start_us: int, end_us: int, bin_us: int) -> list[tuple[float, float] | None]:
    """Return p95 and failure share of each whole piece; None where too few calls were answered."""
    found: list[tuple[float, float] | None] = []
    for begin_us in range(start_us, end_us - bin_us + 1, bin_us):
        part = calls.where((calls.invoked_us >= begin_us) & (calls.invoked_us < begin_us + bin_us))
        p95_ms = part.p95_ms()
        has_enough = len(part.outcome) >= BIN_CALLS_LEAST and p95_ms is not None
        found.append((p95_ms or 0.0, part.failure_share()) if has_enough else None)
    return found
