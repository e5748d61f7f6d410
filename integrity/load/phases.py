"""Phases: a run cut into the pieces of its shape, each measured by itself, and what the pieces say together.

A phase is a stage, a step, or the whole of a steady run. A call belongs to the phase in which it returned. Of a step its
beginning is left out. Where a search for the breaking point stands is decided here: which threshold failed first and how,
and when the system gave way.
"""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace

from integrity.load.judging import ThresholdJudgement, judge
from integrity.load.profile import OpenProfile
from integrity.load.shape import LoadSteps, Pace
from integrity.load.thresholds import Grade, Threshold
from integrity.measure.calls import Measures
from integrity.measure.distribution import Distribution, Held, percentiles
from integrity.measure.marks import OperationMarks, mark_operations, measures_since

FAILURE_SHARE_BROKEN = 0.05
SENT_SHARE_BROKEN = 0.9
OFFERED_LEAST = 50
"""Gave way: more failures than that, or fewer calls answered than that of those offered. Of fewer calls than the last,
chance says too much."""


@dataclass(frozen=True, slots=True)
class Mark:
    """Where the measures stood at a moment."""

    at_s: float
    offered: int
    lags: Held
    operations: OperationMarks


@dataclass(slots=True)
class Phase:
    """One piece of a run, measured.

    Args:
        factor: of the load at its end.
        from_s, to_s: of the run; what is judged begins at judged_from_s.
        offered: arrivals in what is judged.
        rate: of the arrivals in what is judged, on average, times the profile's own.
        lags_ms: how late the generator was.
        measures: of what is judged.
        judgements: of the thresholds, on that.
    """

    name: str
    part: str
    factor: float
    from_s: float
    judged_from_s: float
    to_s: float = 0.0
    rate: float = 1.0
    offered: int = 0
    lags_ms: Distribution = field(default_factory=Distribution)
    measures: Measures = field(default_factory=Measures)
    judgements: Sequence[ThresholdJudgement] = ()

    @property
    def lag_p99_ms(self) -> float | None:
        return percentiles(self.lags_ms)["p99_ms"]

    def judge(self, thresholds: Sequence[Threshold]) -> None:
        """Judge those of the thresholds that are of a phase."""
        own = [each.at_rate(self.rate) for each in thresholds if not each.is_of_the_whole]
        self.judgements = judge(own, self.measures, self.lag_p99_ms, seconds=self.seconds)

    @property
    def seconds(self) -> float:
        return self.to_s - self.judged_from_s

    @property
    def offered_per_s(self) -> float:
        return self.offered / self.seconds if self.seconds > 0 else 0.0

    @property
    def answered(self) -> int:
        """Calls that were answered, ok or declined, those of webhooks and streams among them."""
        return sum(measure.answered for measure in self.measures.operations.values())

    @property
    def arrivals_answered(self) -> int:
        """Of what was offered, what was answered."""
        return sum(measure.arrivals_answered for measure in self.measures.operations.values())

    @property
    def failure_share(self) -> float:
        made = sum(measure.calls - measure.abandoned for measure in self.measures.operations.values())
        return sum(measure.faults for measure in self.measures.operations.values()) / made if made else 0.0

    @property
    def p95_ms(self) -> float | None:
        latencies = [measure.latencies_ms for measure in self.measures.operations.values()]
        return percentiles(Distribution.of(latencies))["p95_ms"]

    def failed(self) -> list[ThresholdJudgement]:
        """Return the thresholds that failed here."""
        return [judgement for judgement in self.judgements if judgement.state is Grade.FAILED]

    @property
    def is_kept(self) -> bool:
        """Whether every threshold was measured here and none failed."""
        return all(each.state in (Grade.PASSED, Grade.WARNING) for each in self.judgements)

    def warned(self) -> list[ThresholdJudgement]:
        """Return the thresholds that are over their warning or failed here."""
        return [each for each in self.judgements if each.state in (Grade.WARNING, Grade.FAILED)]

    def gave_way(self) -> str:
        """Return how the system gave way in this phase; empty: it did not."""
        if self.offered >= OFFERED_LEAST and self.failure_share > FAILURE_SHARE_BROKEN:
            return f"{self.failure_share:.1%} of the calls failed: {_commonest_error(self.measures)}"
        if self.offered >= OFFERED_LEAST and self.arrivals_answered < SENT_SHARE_BROKEN * self.offered:
            return f"{self.arrivals_answered / self.offered:.0%} of the calls offered were answered"
        return ""


def _commonest_error(measures: Measures) -> str:
    errors: Counter[str] = Counter()
    for name, measure in measures.operations.items():
        errors.update({f"{name}: {error}": count for error, count in measure.errors.items()})
        if measure.not_sent:
            errors[f"{name}: not sent, nobody was free to send it"] += measure.not_sent
    return errors.most_common(1)[0][0] if errors else "no reason known"


class PhaseLog:
    """Cuts a run's measures into phases.

    Args:
        offered: says how many arrivals there have been.
        lags_ms: the generator's lags so far.
    """

    def __init__(self, measures: Measures, thresholds: Sequence[Threshold], lags_ms: Distribution) -> None:
        self.phases: list[Phase] = []
        self._measures = measures
        self._thresholds = thresholds
        self._lags_ms = lags_ms
        self._open: Phase | None = None
        self._mark: Mark | None = None

    def begin(
        self, name: str, factor: float, *, at_s: float, judged_from_s: float, part: str = "", rate: float = 1.0
    ) -> None:
        self._open = Phase(name, part, factor, at_s, judged_from_s, rate=rate)
        self._mark = None

    def settle(self, at_s: float, offered: int) -> None:
        """Begin to judge, if it is time for that."""
        if self._open is not None and self._mark is None and at_s >= self._open.judged_from_s:
            self._mark = self._take_mark(at_s, offered)

    def end(self, at_s: float, offered: int) -> Phase | None:
        """End the phase that is open, and return it; None when none is, or nothing of it was judged."""
        phase, mark = self._open, self._mark
        self._open = self._mark = None
        if phase is None or mark is None:
            return None
        phase.to_s, phase.offered = at_s, offered - mark.offered
        phase.measures = measures_since(self._measures, mark.operations)
        phase.lags_ms = self._lags_ms.since(mark.lags)
        phase.judge(self._thresholds)
        self.phases.append(phase)
        return phase

    def _take_mark(self, at_s: float, offered: int) -> Mark:
        return Mark(at_s, offered, self._lags_ms.held(), mark_operations(self._measures))


class Ladder:
    """Says which step comes next.

    In a search, the step that first fails a threshold is the first break; the search goes on until the system gives way.
    """

    def __init__(self, steps: LoadSteps) -> None:
        self.steps = steps
        self.first_break: Phase | None = None
        self.hard_break: Phase | None = None
        self.ended_because = ""
        self._number = 0

    def first(self) -> float:
        """Return the first factor."""
        return self.steps.factors[0]

    def next(self, phase: Phase | None) -> float | None:
        """Return the factor of the step after this one; None: there is none."""
        steps = self.steps
        self._number += 1
        if steps.goal == "sweep":
            return steps.factors[self._number] if self._number < len(steps.factors) else None
        if phase is None:
            self.ended_because = "a step in which nothing could be judged"
            return None
        if phase.gave_way():
            self.first_break = self.first_break or phase
            self.hard_break = phase
            self.ended_because = phase.gave_way()
            return None
        if any(judgement.state is Grade.UNKNOWN for judgement in phase.judgements):
            self.ended_because = "the load generator itself was late, so nothing more can be said of the system"
            return None
        if phase.failed() and self.first_break is None:
            self.first_break = phase
        factor = phase.factor * (steps.growth_after if self.first_break else steps.growth)
        if factor > steps.factor_most:
            self.ended_because = f"the load is at its bound, {steps.factor_most:g} times the profile's"
            return None
        return factor


@dataclass(frozen=True, slots=True)
class Piece:
    """A piece of the shape: see shape.Stage and shape.Steps."""

    name: str
    duration_s: float
    factor_from: float
    factor_to: float
    part: str = ""
    settle_share: float = 0.0


class Pieces:
    """The pieces of a profile's shape, one after the other; which step comes next depends on the one before."""

    def __init__(self, profile: OpenProfile) -> None:
        self.ladder = Ladder(profile.steps) if profile.steps else None
        self.scales_subscribers = profile.steps is not None and profile.steps.scales == "subscribers"
        self._planned = self._plan(profile)
        self._number = 0

    @property
    def is_search(self) -> bool:
        """Whether it goes by what was seen which piece comes next."""
        return self.ladder is not None and self.ladder.steps.goal == "break"

    @staticmethod
    def _plan(profile: OpenProfile) -> Iterator[Piece]:
        if not profile.stages:
            yield Piece("steady", profile.duration_s, 1.0, 1.0)
        factor = profile.stages[0].factor if profile.stages else 1.0
        for stage in profile.stages:
            if stage.duration_s:
                yield Piece(stage.name, stage.duration_s, factor, stage.factor, stage.part)
            factor = stage.factor

    def next(self, ended: Phase | None) -> Piece | None:
        """Return the piece that follows the one that ended; None: the run is over."""
        if self.ladder is None:
            return next(self._planned, None)
        steps = self.ladder.steps
        factor = self.ladder.next(ended) if self._number else self.ladder.first()
        if factor is None:
            return None
        name = steps.heading(self._number, factor)
        self._number += 1
        return Piece(name, steps.step_s, factor, factor, settle_share=steps.settle_share)


def judge_search(phases: Sequence[Phase], whole: Sequence[ThresholdJudgement]) -> list[ThresholdJudgement]:
    """Return the judgements of a search for the load that breaks limits: those at its first load, the profile's own.

    Args:
        whole: all limits of the profile, judged over the whole run: what no phase knows is so.
    """
    at_load = iter(judge_steps(phases))
    return [each if each.threshold.is_of_the_whole else next(at_load) for each in whole]


def judge_steps(phases: Sequence[Phase]) -> list[ThresholdJudgement]:
    """Return what its phases say of a search's first load.

    What too few calls came for there is kept where it was kept at the first higher load that had enough.
    """
    first, *higher = phases
    return [_at_higher_load(each, higher) if each.state is Grade.NOT_MEASURED else each for each in first.judgements]


def _at_higher_load(judgement: ThresholdJudgement, higher: Sequence[Phase]) -> ThresholdJudgement:
    for phase in higher:
        there = next((each for each in phase.judgements if each.threshold == judgement.threshold), judgement)
        if there.state is Grade.PASSED:
            return replace(there, reason=f"at {phase.factor:g} times the load: its own had too few calls")
        if there.state is not Grade.NOT_MEASURED:
            break
    return judgement


@dataclass(frozen=True, slots=True)
class PlayedSchedule:
    """What became of the arrivals of an open loop.

    Args:
        offered, sent: how many came, and how many of them found somebody to send them.
        lags_ms: how late the generator was with each.
        pace: the shape, as far as it was played.
        started_at_us: when its first piece began.
    """

    offered: int
    sent: int
    lags_ms: Distribution
    phases: Sequence[Phase]
    pace: Pace
    ladder: Ladder | None
    started_at_us: int = 0

    @property
    def is_search(self) -> bool:
        """Whether it went on past the profile's own load: that is its first phase's."""
        return self.ladder is not None

    @property
    def spans(self) -> list[tuple[int, int]]:
        """When each phase was judged: from and to, in microseconds since the epoch."""
        ends_s = ((phase.judged_from_s, phase.to_s) for phase in self.phases)
        return [(self._at_us(from_s), self._at_us(to_s)) for from_s, to_s in ends_s]

    def _at_us(self, at_s: float) -> int:
        return self.started_at_us + round(at_s * 1_000_000)
