"""Shapes: how the load of an open profile changes while it runs, as data.

Without a shape the rates are steady. `stages` change them by a plan: each ramps from the factor before it to its own, so a
ramp, a spike and a plateau are stages. `steps` hold one factor after another and judge each by itself: a sweep goes through
the factors it was given; a search for the breaking point goes up until a threshold fails, then by smaller steps until the
system gives way altogether.

A factor multiplies all arrivals of the profile, or the number of subscribers that keep streams open.
"""

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from integrity.load.bounds import BoundedSettings, Seconds
from integrity.numbers import DURATION_S_MOST, counted

CLAIM_STEP_S_LEAST = 30.0
"""How long a step is held at least for a claim of capacity. One that answers a tenth less than it is asked has a queue of
3 s then, over every limit on latency that the plans have; in a shorter one an overload may still pass."""

Level = Annotated[float, Field(ge=0, le=10_000)]
"""How many times the arrivals, or the subscribers, that the profile declares."""


class LoadStage(BoundedSettings):
    """A piece of the run.

    Args:
        name: as results call it, e.g. "spike".
        duration_s: 0: the factor jumps here.
        factor: reached at its end, in a straight line from the factor before.
        part: what it is to the others: recovery is measured from the end of a spike, against what was before it.
    """

    name: str
    duration_s: float = Field(ge=0, le=DURATION_S_MOST)
    factor: Level
    part: Literal["", "before", "spike", "after"] = ""


class LoadSteps(BoundedSettings):
    """Levels of load, each held and judged by itself.

    Args:
        goal: "sweep": all of `factors`. "break": from the first factor on, each times `growth` until a threshold fails;
            from there times `growth_after` until calls are no longer answered.
        factors: of a sweep all of them; of a break the first.
        growth, growth_after: of a break, from step to step: until a threshold fails, and from there on.
        scales: what a factor multiplies: the arrivals, or the subscribers.
        step_s: how long a step is held.
        settle_share: of a step, at its beginning, that is not judged: queues fill and caches warm.
        factor_most: a search that has found nothing by then ends.
        headings: the steps' names in results, e.g. "hold 30 s"; none: the factor.
    """

    goal: Literal["sweep", "break"]
    step_s: Seconds
    factors: tuple[Level, ...] = (1.0,)
    headings: tuple[str, ...] = ()
    scales: Literal["arrivals", "subscribers"] = "arrivals"
    growth: Annotated[float, Field(gt=1, le=10)] = 1.5
    growth_after: Annotated[float, Field(gt=1, le=10)] = 1.2
    factor_most: Level = 64.0
    settle_share: Annotated[float, Field(ge=0, lt=1)] = 0.1

    @model_validator(mode="after")
    def _fits(self) -> Self:
        if not self.factors:
            raise ValueError("factors: there is none")
        if self.headings and len(self.headings) != len(self.factors):
            raise ValueError(f"headings: {len(self.headings)} for {counted(len(self.factors), 'factor')}")
        return self

    @property
    def count_most(self) -> int:
        """How many steps there are at most."""
        if self.goal == "sweep":
            return len(self.factors)
        count, factor = 1, self.factors[0]
        while (factor := factor * self.growth_after) <= self.factor_most:
            count += 1
        return count

    @property
    def no_claim(self) -> str:
        """Why steps of this length say nothing of capacity; empty: they do."""
        if self.step_s >= CLAIM_STEP_S_LEAST:
            return ""
        return f"steps of {self.step_s:.3g} s are shorter than the {CLAIM_STEP_S_LEAST:g} s in which an overload shows"

    def heading(self, number: int, factor: float) -> str:
        """Return the name of a step, counted from 0."""
        return self.headings[number] if number < len(self.headings) else f"x{factor:g}"


class Pace:
    """Turns a steady schedule into one of changing rates, piece by piece, as the pieces become known.

    The schedule's own time runs at the factor: while it is 2, two seconds of the schedule pass in one of the run. So
    arrivals stay exactly as they were drawn, only closer together.
    """

    def __init__(self) -> None:
        self.horizon_s = 0.0
        self._horizon = 0.0  # the same in the schedule's time
        self._from_s = self._from = 0.0
        self._duration_s = self._greatest = self._first = self._last = 0.0

    def extend(self, duration_s: float, factor_from: float, factor_to: float) -> None:
        """Add a piece in which the factor goes in a straight line from one value to the other."""
        self._from_s, self._from = self.horizon_s, self._horizon
        self._duration_s, self._greatest = duration_s, max(factor_from, factor_to)
        # As shares of the greater one: the square of a small factor would be nothing.
        self._first, self._last = (factor / (self._greatest or 1) for factor in (factor_from, factor_to))
        self.horizon_s += duration_s
        self._horizon += duration_s * (factor_from + factor_to) / 2

    def when(self, scheduled_s: float) -> float | None:
        """Return when in the run that moment of the schedule is; None: after all that is known.

        Args:
            scheduled_s: not before the last piece began.
        """
        if scheduled_s >= self._horizon:
            return None
        passed = (scheduled_s - self._from) / self._duration_s / self._greatest if self._greatest else 0
        if passed <= 0:  # also at a factor of 0, where time stands still
            return self._from_s
        # passed = first * t + (last - first) * t² / 2, solved for t, a share of the piece, in the form that loses no digits
        # where the slope is small.
        root: float = max(0.0, self._first**2 + 2 * (self._last - self._first) * passed) ** 0.5
        return self._from_s + self._duration_s * min(1.0, 2 * passed / (self._first + root))

    def passed(self, at_s: float) -> float:
        """Return how much of the schedule's time has passed by that moment of the run.

        Args:
            at_s: not before the last piece began.
        """
        share = min(1.0, (at_s - self._from_s) / self._duration_s) if self._duration_s else 0.0
        area = self._first * share + (self._last - self._first) * share**2 / 2
        return self._from + self._duration_s * self._greatest * area
