"""What a fault did to a run, a record of its result for each window."""

from collections.abc import Iterable, Mapping

from integrity.runs.documents import DocumentPart

ENDS_WITHIN_S = 10.0
"""After a fault was healed: a call that was under way in it and has not ended by then hangs."""

MET_NOTHING = "it met nothing to act on"
"""In place of a recovery: there is nothing to recover from."""


class EffectPhase(DocumentPart):
    """The calls before, during or after a window.

    Args:
        settled: calls whose first webhook was acknowledged; settled_mean_ms, settled_p95_ms: from the intended start.
    """

    calls: int
    calls_per_s: float | None
    ok: int
    declined: int
    unavailable: int = 0  # of a run before that was told apart
    failed: int
    unknown: int
    p50_ms: float | None
    p95_ms: float | None
    settled: int = 0
    settled_mean_ms: float | None = None
    settled_p95_ms: float | None = None


class EffectPhases(DocumentPart):
    """Around a window."""

    before: EffectPhase
    during: EffectPhase
    after: EffectPhase


class FaultEffect(DocumentPart):
    """One window.

    Args:
        asked: as it was given.
        question: what the fault asks; invariants: what answers it.
        from_s, to_s, healed_s: since the first call could be made.
        did: what it did -> how often.
        recovery_s: from its end until all was as before; None: not in the looked_s that were looked at behind it, or
            recovery_unknown says why that cannot be known.
        unended: operation -> calls under way in the window that had not ended ENDS_WITHIN_S after it was healed.
        unexplained: operation -> calls of the window that ended without an answer and without a word on why.
        cut_off: calls of the window that the run did not wait for until then.
    """

    fault: str
    asked: str
    arguments: Mapping[str, float | str]
    question: str
    invariants: tuple[str, ...]
    from_s: float
    to_s: float
    healed_s: float
    did: Mapping[str, int]
    phases: EffectPhases
    recovery_s: float | None
    recovery_unknown: str = ""
    looked_s: float = 0.0
    unended: Mapping[str, int] = {}
    unexplained: Mapping[str, int] = {}
    cut_off: int = 0


def time_covered(spans: Iterable[tuple[float, float]]) -> float:
    """Return how long any of the spans lasted, each from its beginning to its end; where they overlap, once."""
    covered, reached = 0.0, float("-inf")
    for begins, ends in sorted(spans):
        covered += max(0.0, ends - max(begins, reached))
        reached = max(reached, ends)
    return covered
