"""Shrinking: from a schedule that went wrong to the smallest that goes wrong in the same way.

The hit is handed to Hypothesis as a list of preemption points, (position, actor), beside its calls. Of each part it may be
drawn whether it is kept, moved or left out, kept being the likely choice; so the first examples are the hit or close to it,
and shrinking, which makes choices smaller and fewer, ends with the fewest actors and points and the simplest arguments.
Smaller counts only if the same checks fail by the same oracle.
"""

from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from itertools import count
from random import Random
from string import ascii_uppercase
from typing import TYPE_CHECKING

from integrity.domain import Key, World
from integrity.operation import Operation
from integrity.race.judge.judge import Judge, Judgement
from integrity.race.play.deadline import BudgetOver
from integrity.race.play.scheduler import PlayedSchedule, Scheduler
from integrity.race.program.planned_calls import PlannedCall
from integrity.race.program.program import Program
from integrity.race.program.schedule import Choice, Decide, continue_with, count_preemptions, shorten
from integrity.race.search.exploration import Hit

if TYPE_CHECKING:
    from hypothesis.strategies import DrawFn, SearchStrategy

RUNS_MAX = 400
TRIES_MAX = 120
"""For a race that takes more than one preemption or two calls."""
_KEPT_SHARE = 8  # of so many draws all but one keep what the hit had

Point = tuple[int, str]
"""At this letter, from 0, this actor goes on, if it can, in place of the one before."""


@dataclass(frozen=True, slots=True)
class Shrunk:
    """The smallest schedule that was found.

    Args:
        program: of the actors that are left.
        kept: places of those actors in the program that was given.
        calls: theirs, if the program was made of calls.
        run, judgement: of the last time it was played.
        tries: schedules played to find it.
    """

    program: Program
    kept: tuple[int, ...]
    calls: tuple[PlannedCall, ...]
    run: PlayedSchedule
    judgement: Judgement
    tries: int

    @property
    def schedule(self) -> str:
        """The shortest text that plays it."""
        return shorten(self.run.choices)


@dataclass(frozen=True, slots=True)
class Variation:
    """How the calls of a program may be made simpler.

    Args:
        calls: those of the program.
        operations: by name.
        world: names of the stage's keys.
        rebuild: makes the program of other calls.
    """

    calls: tuple[PlannedCall, ...]
    operations: dict[str, Operation]
    world: World
    rebuild: Callable[[Sequence[PlannedCall]], Program]


@dataclass(frozen=True, slots=True)
class _Example:
    kept: tuple[int, ...]
    points: tuple[Point, ...]
    calls: tuple[PlannedCall, ...]


def points_of(choices: Sequence[Choice]) -> tuple[Point, ...]:
    """Return where a schedule departs from going on: the letters that would not follow by themselves."""
    return tuple(
        (position, choice.chosen)
        for position, choice in enumerate(choices)
        if choice.chosen != continue_with(choice.ready, choice.previous)
    )


def at_points(points: Sequence[Point]) -> Decide:
    """Return who decides by points: to be used for one run."""
    by_position = dict(points)
    position = -1

    def decide(ready: str, previous: str) -> str:
        nonlocal position
        position += 1
        wanted = by_position.get(position, "")
        return wanted if wanted and wanted in ready else continue_with(ready, previous)

    return decide


def find_one_preemption(scheduler: Scheduler, program: Program, hit: Hit) -> Shrunk | None:
    """Return the first schedule of a program of two calls with one preemption that goes wrong like the hit, or None.

    Most races need no more, and this finds the one that is easiest to read, a call interrupted as early as may be by
    another one as a whole, in a few tries: for ghostpass's bugs 0.1 to 0.6 s, where shrinking takes 5 to 11 s.
    """
    if len(program.actors) != 2 or not hit.preemptions:
        return None
    judge = Judge(scheduler, program)
    tries = 0
    for first, other in ("AB", "BA"):
        start = ((0, first),) if first == "B" else ()
        for position in count(1):
            run = scheduler.play(program, decide=at_points((*start, (position, other))))
            if not count_preemptions(run.choices):
                break  # the first one had come to its end
            judgement = judge.judge(run)
            tries += 1
            if not run.cut and hit.is_alike(judgement):
                return Shrunk(program, (0, 1), (), run, judgement, tries)
    return None


def shrink(
    scheduler: Scheduler,
    program: Program,
    hit: Hit,
    *,
    variation: Variation | None = None,
    runs_max: int = RUNS_MAX,
    seed: int = 0,
) -> Shrunk:
    """Return the smallest schedule that goes wrong like the hit; of those that were tried until the deadline.

    Args:
        variation: how calls may be made simpler; without it only actors and points are left out.
        runs_max: so many schedules are played at most, about.

    Raises:
        DatabaseError: the server is gone.
    """
    import hypothesis

    shrinker = _Shrinker(scheduler, program, hit, variation)
    settings = hypothesis.settings(
        max_examples=runs_max,
        database=None,
        deadline=None,
        suppress_health_check=list(hypothesis.HealthCheck),
        verbosity=hypothesis.Verbosity.quiet,
    )
    example = shrinker.whole
    if not scheduler.deadline.is_over:
        with suppress(hypothesis.errors.NoSuchExample):
            example = hypothesis.find(shrinker.examples(), shrinker.fails_alike, settings=settings, random=Random(seed))
    return shrinker.result(example)


class _Shrinker:
    def __init__(self, scheduler: Scheduler, program: Program, hit: Hit, variation: Variation | None) -> None:
        self._scheduler = scheduler
        self._program = program
        self._hit = hit
        self._is_race = hit.preemptions > 0
        self._variation = variation
        self._judges: dict[str, tuple[Program, Judge]] = {}
        self._tries = 0
        self._known: dict[str, bool] = {}
        calls = variation.calls if variation else ()
        self.whole = _Example(tuple(range(len(program.actors))), points_of(hit.run.choices), calls)

    def examples(self) -> "SearchStrategy[_Example]":
        """Return the strategy of examples, the hit among the likely ones."""
        from hypothesis import strategies

        is_kept = strategies.sampled_from([False] + [True] * (_KEPT_SHARE - 1))

        @strategies.composite
        def example(draw: "DrawFn") -> _Example:
            kept = [place for place in self.whole.kept if draw(is_kept)]
            points: list[Point] = []
            for position, actor in self.whole.points:
                place = ascii_uppercase.index(actor)
                moved = draw(strategies.sampled_from([*range(position), *[position] * (_KEPT_SHARE * position + 1)]))
                if draw(is_kept) and place in kept:
                    points.append((moved, ascii_uppercase[kept.index(place)]))
            calls = tuple(self._simpler(draw, is_kept, self.whole.calls[place]) for place in kept if self.whole.calls)
            return _Example(tuple(kept), tuple(points), calls)

        return example()

    def fails_alike(self, example: _Example) -> bool:
        """Return whether an example goes wrong like the hit, which is asked of the server once.

        Hypothesis asks again, and raises where the answer is another one, as that of an application may be.
        """
        if not example.kept:
            return False
        name = str(example)
        if name not in self._known:
            self._tries += 1
            try:
                self._known[name] = self._goes_wrong_alike(example)
            except BudgetOver:  # Hypothesis would look for the smallest example of that
                return False
        return self._known[name]

    def _goes_wrong_alike(self, example: _Example) -> bool:
        run, judgement = self._play(example)
        if self._is_race and not count_preemptions(run.choices):
            return False  # wrong for another reason: it needs no other actor
        return self._hit.is_alike(judgement)

    def result(self, example: _Example) -> Shrunk:
        with self._scheduler.deadline.lifted():
            run, judgement = self._play(example)
        program, _ = self._judge_of(example)
        return Shrunk(program, example.kept, example.calls, run, judgement, self._tries)

    def _simpler(self, draw: "DrawFn", is_kept: "SearchStrategy[bool]", call: PlannedCall) -> PlannedCall:
        assert self._variation is not None
        domains = self._variation.operations[call.operation].arguments
        arguments: dict[str, Key] = {}
        for name, value in call.arguments.items():
            # Both are always drawn: fewer choices would count as simpler than a smaller value.
            is_old, new = draw(is_kept), draw(domains[name].strategy(self._variation.world))
            arguments[name] = value if is_old else new
        return replace(call, arguments=arguments)

    def _play(self, example: _Example) -> tuple[PlayedSchedule, Judgement]:
        program, judge = self._judge_of(example)
        run = self._scheduler.play(program, decide=at_points(example.points))
        return run, judge.judge(run)

    def _judge_of(self, example: _Example) -> tuple[Program, Judge]:
        name = f"{example.kept} {'; '.join(map(str, example.calls))}"
        if name not in self._judges:
            if self._variation and example.calls:
                program = self._variation.rebuild(example.calls)
            else:
                actors = tuple(self._program.actors[place] for place in example.kept)
                program = replace(self._program, actors=actors, standing=self._program.standing.of_part())
            self._judges[name] = program, Judge(self._scheduler, program)
        return self._judges[name]
