"""What each fault did to a run: the calls before, during and after it, and how long until all was as before.

A call belongs to *during* when any part of it was in the window: so what a fault held up counts there, however late it came
back. *Before* and *after* reach to the window next to it. Recovered is a run from the first quarter of a second on, after
the window, in which neither the 95th percentile of latency nor the share of calls that were not answered is above the worst
that was seen in any such quarter before; and the next quarter must agree.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from integrity.faults.player import PlayedFault
from integrity.history import Outcome, decode
from integrity.runs.effects import EffectPhase, EffectPhases, FaultEffect
from integrity.runs.folder import RunFolder
from integrity.runs.parts import open_lines

BIN_US = 250_000
BIN_CALLS_LEAST = 5  # with fewer, a percentile says nothing

_OUTCOMES = (Outcome.OK, Outcome.DECLINED, Outcome.UNAVAILABLE, Outcome.FAILED, Outcome.UNKNOWN)
_NUMBERS = {outcome: number for number, outcome in enumerate(_OUTCOMES)}
_ANSWERED = 2  # ok and declined are below this


@dataclass(frozen=True, slots=True)
class _Calls:
    """The calls of a run, a column each; one without a return returned at the end of time."""

    invoked_us: "npt.NDArray[np.int64]"
    returned_us: "npt.NDArray[np.int64]"
    latency_ms: "npt.NDArray[np.float64]"
    outcome: "npt.NDArray[np.int8]"

    def where(self, chosen: "npt.NDArray[np.bool_]") -> "_Calls":
        return _Calls(self.invoked_us[chosen], self.returned_us[chosen], self.latency_ms[chosen], self.outcome[chosen])

    def p95_ms(self) -> float | None:
        answered = self.latency_ms[self.outcome < _ANSWERED]
        return float(np.percentile(answered, 95, method="inverted_cdf")) if len(answered) else None

    def failure_share(self) -> float:
        return float(np.mean(self.outcome >= _ANSWERED)) if len(self.outcome) else 0.0


def describe_effects(
    folder: RunFolder, played: Sequence[PlayedFault], *, began_at_us: int, ended_at_us: int
) -> tuple[FaultEffect, ...]:
    """Return one record a window, in their order; none for a run without faults.

    Args:
        began_at_us, ended_at_us: when the first call could be made, and when the run was over.
    """
    if not played:
        return ()
    calls = _read(folder)
    effects = []
    for number, window in enumerate(played):
        since_us = max((other.healed_us for other in played[:number]), default=began_at_us)
        until_us = min((other.from_us for other in played[number + 1 :]), default=ended_at_us)
        effects.append(
            _describe(calls, window, since_us=min(since_us, window.from_us), until_us=until_us, zero_us=began_at_us)
        )
    return tuple(effects)


def _read(folder: RunFolder) -> _Calls:
    never = np.iinfo(np.int64).max
    with open_lines(folder.history) as lines:
        rows = [
            (
                call.invoked_at_us,
                call.returned_at_us if call.returned_at_us is not None else never,
                ((call.returned_at_us or call.intended_at_us) - call.intended_at_us) / 1000,
                _NUMBERS[call.outcome],
            )
            for call in decode(lines, place=str(folder.history))
        ]
    invoked, returned, latency, outcome = zip(*rows, strict=True) if rows else ((), (), (), ())
    return _Calls(
        np.array(invoked, dtype=np.int64),
        np.array(returned, dtype=np.int64),
        np.array(latency, dtype=np.float64),
        np.array(outcome, dtype=np.int8),
    )


def _describe(calls: _Calls, played: PlayedFault, *, since_us: int, until_us: int, zero_us: int) -> FaultEffect:
    from_us, to_us = played.from_us, played.to_us
    before = calls.where((calls.invoked_us >= since_us) & (calls.returned_us < from_us))
    during = calls.where((calls.invoked_us < to_us) & (calls.returned_us >= from_us))
    after = calls.where((calls.invoked_us >= to_us) & (calls.invoked_us < until_us))
    recovery_s = _recovery_s(before, after, since_us=since_us, from_us=from_us, to_us=to_us)
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
            before=_phase(before, from_us - since_us),
            during=_phase(during, to_us - from_us),
            after=_phase(after, until_us - to_us),
        ),
        recovery_s=recovery_s,
    )


def _phase(calls: _Calls, length_us: int) -> EffectPhase:
    answered = calls.latency_ms[calls.outcome < _ANSWERED]
    values = np.percentile(answered, (50, 95), method="inverted_cdf") if len(answered) else None
    return EffectPhase(
        calls=len(calls.outcome),
        calls_per_s=round(len(calls.outcome) / length_us * 1e6, 1) if length_us > 0 else None,
        **{outcome.value: int(np.sum(calls.outcome == number)) for outcome, number in _NUMBERS.items()},
        p50_ms=round(float(values[0]), 3) if values is not None else None,
        p95_ms=round(float(values[1]), 3) if values is not None else None,
    )


def _recovery_s(before: _Calls, after: _Calls, *, since_us: int, from_us: int, to_us: int) -> float | None:
    """Return the seconds from the window's end until all was as before; None: not seen, or nothing to compare with."""
    usual = [each for each in _bins(before, since_us, from_us) if each is not None]
    if not usual or not len(after.invoked_us):
        return None
    latency_most, failure_most = max(p95_ms for p95_ms, _ in usual), max(share for _, share in usual)
    bins = _bins(after, to_us, int(after.invoked_us.max()) + 1)
    good = [each is not None and each[0] <= latency_most and each[1] <= failure_most for each in bins]
    for number, is_good in enumerate(good):
        if is_good and (number + 1 == len(good) or good[number + 1]):
            return number * BIN_US / 1e6
    return None


def _bins(calls: _Calls, start_us: int, end_us: int) -> list[tuple[float, float] | None]:
    """Return p95 and failure share of each quarter of a second; None where too few calls were answered."""
    found: list[tuple[float, float] | None] = []
    for begin_us in range(start_us, end_us, BIN_US):
        part = calls.where((calls.invoked_us >= begin_us) & (calls.invoked_us < begin_us + BIN_US))
        p95_ms = part.p95_ms()
        has_enough = len(part.outcome) >= BIN_CALLS_LEAST and p95_ms is not None
        found.append((p95_ms or 0.0, part.failure_share()) if has_enough else None)
    return found
