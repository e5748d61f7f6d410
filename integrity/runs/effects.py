"""What a fault did to a run, a record of its result for each window."""

from collections.abc import Mapping

from integrity.runs.documents import DocumentPart


class EffectPhase(DocumentPart):
    """The calls before, during or after a window."""

    calls: int
    calls_per_s: float | None
    ok: int
    declined: int
    unavailable: int = 0  # of a run before that was told apart
    failed: int
    unknown: int
    p50_ms: float | None
    p95_ms: float | None


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
        recovery_s: from its end until all was as before; None: not seen, or nothing to compare with.
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
