"""The least that goes wrong: of calls that are made of parts, as an actor of a scenario is of requests.

Fewest calls first, then fewest parts of each, then fewest preemptions, and these as early as may be. Two calls with one
preemption are tried before all else: most races are that. What takes more is shrunk (shrink.py), and each part that is left
out is searched for anew, since the letters are others then. Smaller counts only if the same checks fail by the same oracle.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import combinations

from integrity.race.judge.judge import Judge, Judgement
from integrity.race.play.scheduler import PlayedSchedule, Scheduler
from integrity.race.program.program import Program
from integrity.race.program.schedule import count_preemptions
from integrity.race.search.exploration import Hit
from integrity.race.search.explore import Budget, explore
from integrity.race.search.shrink import TRIES_MAX, find_one_preemption, shrink

Cast = tuple[tuple[int, tuple[int, ...]], ...]
"""Some of the actors, by their numbers, each with those of its parts that it has."""


@dataclass(frozen=True, slots=True)
class Least:
    """What was found.

    Args:
        run, judgement: of the last time it was played.
    """

    cast: Cast
    program: Program
    run: PlayedSchedule
    judgement: Judgement


def find_least(
    scheduler: Scheduler, whole: Program, hit: Hit, *, cast: Cast, make: Callable[[Cast], Program], seed: int = 0
) -> Least:
    """Return the least that goes wrong like the hit.

    Args:
        whole: what the hit is of.
        cast: all actors, with all of their parts.
        make: makes the program of fewer.

    Raises:
        DatabaseError: the server is gone.
    """
    least = _of_two(scheduler, whole, hit, cast=cast, make=make)
    if least is None:
        shrunk = shrink(scheduler, whole, hit, runs_max=TRIES_MAX, seed=seed)
        left = tuple(cast[place] for place in shrunk.kept)
        least = Least(left, shrunk.program, shrunk.run, shrunk.judgement)
    is_smaller = True
    while is_smaller:
        is_smaller = False
        for fewer in _fewer(least.cast):
            if (found := _search(scheduler, make(fewer), hit, least)) is not None:
                least, is_smaller = Least(fewer, *found), True
                break
    return least


def _of_two(scheduler: Scheduler, whole: Program, hit: Hit, *, cast: Cast, make: Callable[[Cast], Program]) -> Least | None:
    seen: set[tuple[int, int]] = set()
    for one, other in combinations(range(len(cast)), 2):
        alike = id(whole.actors[one]), id(whole.actors[other])  # an actor that comes several times is one and the same
        if alike in seen:
            continue
        seen.add(alike)
        pair = (cast[one], cast[other])
        program = whole if len(cast) == 2 else make(pair)
        if found := find_one_preemption(scheduler, program, hit):
            return Least(pair, program, found.run, found.judgement)
    return None


def _fewer(cast: Cast) -> Iterator[Cast]:
    """Yield the casts in which one part is left out; each actor keeps one."""
    for number, (actor, parts) in enumerate(cast):
        for place in range(len(parts) if len(parts) > 1 else 0):
            yield (*cast[:number], (actor, parts[:place] + parts[place + 1 :]), *cast[number + 1 :])


def _search(
    scheduler: Scheduler, program: Program, hit: Hit, least: Least
) -> tuple[Program, PlayedSchedule, Judgement] | None:
    """Return a schedule of a program, with no more preemptions, that goes wrong like the hit."""
    if found := find_one_preemption(scheduler, program, hit):
        return program, found.run, found.judgement
    preemptions = count_preemptions(least.run.choices)
    if len(program.actors) == 2 and preemptions == 1:
        return None
    judge = Judge(scheduler, program)
    budget = Budget(preemptions=preemptions, schedules=TRIES_MAX)
    searched = explore(scheduler, program, budget=budget, judge=judge, stops_at_first=False)
    alike = (each for each in (*searched.hits, *searched.apart) if hit.is_alike(each.judgement))
    return next(((program, each.run, each.judgement) for each in alike), None)
