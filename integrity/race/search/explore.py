"""Exploration: plays the schedules of a program, fewest preemptions first, until something is wrong or all are done.

Order: the serial orders; a fair rotation, which shows most symmetric races at once; then every schedule with one
preemption, with two, and so on (Musuvathi and Qadeer, PLDI 2007). A switch away from an actor that waits or is done costs
nothing. Where the next bound will not fit into the budget, the rest of it goes to schedules drawn by random priorities
with few change points (PCT: Burckhardt and others, ASPLOS 2010). Only actors that can go on are ever chosen, so no order
is generated that cannot happen.

Schedules that `independence` foresees to be one that was played, up to the order of letters that do not touch, count as
done without being played.
"""

import math
import time
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from heapq import heappop, heappush
from random import Random
from string import ascii_uppercase

from integrity.numbers import counted
from integrity.race.judge.end_state import EndState
from integrity.race.judge.failures import DEADLOCK, SERIALIZATION_FAILURE, unexpected_failures
from integrity.race.judge.judge import Judge, Judgement, Judging
from integrity.race.judge.unfinished import why_unfinished
from integrity.race.play.again import order_of, play_again
from integrity.race.play.deadline import BudgetOver
from integrity.race.play.footprint import Footprint, is_dependent
from integrity.race.play.scheduler import PlayedSchedule, Scheduler
from integrity.race.program.program import Program
from integrity.race.program.schedule import (
    Choice,
    Decide,
    ScheduleError,
    continue_with,
    count_preemptions,
    letters_of,
)
from integrity.race.program.trace import Failed, StepPhase
from integrity.race.program.wire import GoesOn
from integrity.race.rows.keeping import StillOpen
from integrity.race.search.exploration import Coverage, Exploration, Hit
from integrity.race.search.idle import Effects
from integrity.race.search.independence import Independence, Occurrence
from integrity.race.search.orders import PCT_DEPTHS, Priorities, rotate
from integrity.verdict import Verdict

_VISITS_MAX = 64  # of one schedule, until its calls go on in the order that it takes for granted
SCHEDULES_MAX = 10_000
"""Of one search. Tens to a hundred are all that two sound calls have at two preemptions, three of them a thousand or so."""

CUTS_MAX = 32
CUTS_MAX_SLOW = 4
"""Of calls that are not ours to step: each is given seconds to come to its end."""

Queue = list[tuple[int, int, int, str]]
"""A heap of prefixes: the most interesting first, then the oldest, each followed by those with as many preemptions that it
led to: who was delayed there is delayed for longer in these. Three calls that must follow each other need that."""

_WATCHED_LEAST = 32  # schedules, after which footprints are looked at only if that has spared some
_SPARED_SHARE_LEAST = 0.1


@dataclass(frozen=True, slots=True)
class Budget:
    """How far a search goes, in work: what it comes to does not depend on how fast the machine is.

    Args:
        preemptions: the bound: all schedules with at most so many are played, if the rest allows.
        schedules: at most so many are played.
        seconds: at most so long, if somebody wants an end by then.
        cuts: schedules that were not played to their end, after which a search can come to nothing any more.
    """

    preemptions: int = 2
    schedules: int = SCHEDULES_MAX
    seconds: float = math.inf
    cuts: int = CUTS_MAX


def explore(
    scheduler: Scheduler,
    program: Program,
    *,
    budget: Budget,
    seed: int = 0,
    kept: Sequence[str] = (),
    is_pruned: bool = True,
    stops_at_first: bool = True,
    judge: Judging | None = None,
    on_run: Callable[[Coverage], None] | None = None,
) -> Exploration:
    """Return what the schedules of a program come to.

    Args:
        seed: for random schedules.
        kept: schedules that went wrong before, tried first; one that no longer fits the calls is left out.
        is_pruned: spare schedules that are foreseen.
        stops_at_first: at the first in which the data is wrong; else the search goes on to its bound and keeps the first
            hit of each kind.
        judge: who says what is wrong; by default both oracles.
        on_run: called behind each schedule.

    Raises:
        DatabaseError: the server is gone, or refuses the stage or a check.
        StillOpen: a stranger's transaction is in the way from the beginning; of a later one, what was found is kept.
    """
    search = _Search(
        scheduler,
        program,
        judge or Judge(scheduler, program),
        budget,
        is_pruned=is_pruned,
        stops_at_first=stops_at_first,
        on_run=on_run,
    )
    search.run(seed, kept)
    return search.result()


class _Outgrown(Exception):
    """More ends of transactions were seen to be letters than the schedules so far have: they are not those of today."""


class _Ended(Exception):
    """Behind this schedule none can be played."""


class _Search:
    def __init__(
        self,
        scheduler: Scheduler,
        program: Program,
        judge: Judging,
        budget: Budget,
        *,
        is_pruned: bool,
        stops_at_first: bool,
        on_run: Callable[[Coverage], None] | None,
    ) -> None:
        self._scheduler = scheduler
        self._program = program
        self._judge = judge
        self._budget = budget
        self._is_pruned = is_pruned
        self._stops_at_first = stops_at_first
        self._on_run = on_run
        self._started = time.monotonic()
        self._begin()

    def _begin(self) -> None:
        """Know nothing of the program's schedules."""
        self._standing = self._program.standing.holds
        self._independence = Independence()
        self._coverage = Coverage()
        self._hits: dict[frozenset[tuple[str, str]], Hit] = {}
        self._apart: dict[frozenset[tuple[str, str]], Hit] = {}
        self._outcomes: set[EndState] = set()
        self._longest = 1
        self._cuts = 0
        self._cut_as: set[str] = set()
        self._added = 0
        self._footprints: dict[tuple[str, int], Footprint] = {}
        self._interest: dict[tuple[str, int], int] = {}
        self._failed: dict[str, Failed] = {}
        self._returned: set[str] = set()
        self._effects = Effects(self._scheduler.dialect)
        self._ended = 0

    def result(self) -> Exploration:
        coverage = self._coverage
        coverage.failing |= {} if self._hits else self._never_carried_out()
        coverage.idle = None if self._hits or coverage.failing else self._effects.why_idle(self._program, self._ended)
        if self._hits:
            verdict = Verdict.VIOLATED
        elif coverage.abstentions and not self._program.checks:
            coverage.cut.append(f"{counted(coverage.abstentions, 'schedule')} could not be judged: a call failed half done")
            verdict = Verdict.UNKNOWN
        elif coverage.reasons or coverage.bound_completed < self._budget.preemptions:
            verdict = Verdict.UNKNOWN
        else:
            verdict = Verdict.HOLDS
        seconds = time.monotonic() - self._started
        hits = tuple(sorted(self._hits.values(), key=lambda hit: hit.rank))
        apart = tuple(self._apart.values())
        return Exploration(verdict, hits, coverage, frozenset(self._outcomes), seconds, apart)

    def _never_carried_out(self) -> dict[str, str]:
        """Return the calls that failed in every schedule, also alone: what they do was raced by nobody."""
        never = {actor: failed for actor, failed in self._failed.items() if actor not in self._returned}
        told: dict[str, str] = {}
        for letter, failed in sorted(never.items()):
            actor = self._program.actors[ascii_uppercase.index(letter)]
            place = failed.refused_at.partition(",")[0] or actor.place
            error = f"{failed.sqlstate or ''} {failed.reason}".strip()
            told[f"{actor.operation}{f' ({place})' if place else ''}"] = error
        return told

    def run(self, seed: int, kept: Sequence[str]) -> None:
        while True:
            try:
                self._run(Random(seed), kept)
            except _Outgrown:
                self._begin()
            except StillOpen as error:
                if not self._coverage.played:
                    raise
                self._coverage.cut.append(error.message)
                return
            except BudgetOver:
                is_own = math.isfinite(self._budget.seconds)
                self._coverage.cut.append(self._spent_seconds if is_own else "the budget was over")
                return
            except GoesOn as error:
                self._coverage.cut.append(error.message)
                return
            except _Ended:
                return
            else:
                return

    def _run(self, random: Random, kept: Sequence[str]) -> None:
        for letters in kept:
            if self._is_wanted():
                with suppress(ScheduleError):
                    self._play(letters)
        queues: list[Queue] = [[] for _ in range(self._budget.preemptions + 2)]
        queues[0].append((0, 0, 0, ""))
        for bound in range(self._budget.preemptions + 1):
            if bound == 1 and self._is_wanted():
                self._play("", decide=rotate)
            if bound > 1 and not self._fits(len(queues[bound])):
                self._play_random(random)
                return
            while queues[bound] and self._is_wanted():
                _, root, _, prefix = heappop(queues[bound])
                self._branch(prefix, self._visit(prefix), queues, bound=bound, root=root)
            if queues[bound] or not self._is_wanted():
                if not self._is_found:
                    self._coverage.cut.append(self._why_over())
                return
            self._coverage.bound_completed = bound
        self._coverage.is_exhaustive = not any(queues)

    @property
    def _is_watched(self) -> bool:
        """Footprints cost a question a letter; where every order matters, none is spared by them."""
        spared, played = self._coverage.spared, self._coverage.played
        return self._is_pruned and (played < _WATCHED_LEAST or spared > _SPARED_SHARE_LEAST * (spared + played))

    def _visit(self, prefix: str) -> tuple[Choice, ...]:
        """Play a schedule, or know it; return its choices."""
        if self._is_watched:
            foreseen = self._independence.foresee(prefix)
            if foreseen and foreseen.signature in self._independence.played:
                self._coverage.spared += 1
                return foreseen.choices
        for _ in range(_VISITS_MAX):
            with suppress(ScheduleError):  # two that one commit woke went on in another order than in the run it is from
                return self._play(prefix)
        cut = "a schedule did not come about again: its calls do not always go on in the same order"
        self._coverage.cut += [cut] if cut not in self._coverage.cut else []
        return ()

    def _branch(self, prefix: str, choices: tuple[Choice, ...], queues: list[Queue], *, bound: int, root: int) -> None:
        """Add the schedules that differ from this one in one choice behind the prefix.

        Args:
            bound: the queue that it came from.
            root: the oldest that it comes from with as many preemptions.
        """
        letters = letters_of(choices)
        preemptions = count_preemptions(choices[: len(prefix)])
        numbers = Counter(letters[: len(prefix)])
        for position in range(len(prefix), len(choices)):
            choice = choices[position]
            interest = self._interest.get((choice.chosen, numbers[choice.chosen]), 0)
            numbers[choice.chosen] += 1
            for other in choice.ready:
                if other == choice.chosen:
                    continue
                cost = preemptions + Choice(choice.ready, choice.previous, other).is_preemption
                if cost < len(queues):
                    self._added += 1
                    age = root if cost == bound else self._added
                    heappush(queues[cost], (-interest, age, self._added, letters[:position] + other))
            preemptions += choice.is_preemption

    def _play(self, letters: str, *, decide: Decide = continue_with) -> tuple[Choice, ...]:
        if not self._hits:  # whose rows are still to be shown
            self._scheduler.sweep()
        recorder = self._independence.record() if self._is_watched else None
        run = self._scheduler.play(self._program, letters, decide=decide, recorder=recorder)
        if run.is_last:
            self._note_cut(run)
            raise _Ended
        if self._program.standing.holds != self._standing:
            raise _Outgrown
        coverage = self._coverage
        coverage.played += 1
        if run.cut:
            self._note_cut(run)
            return run.choices
        if run.unseen and run.unseen not in coverage.cut:
            coverage.cut.append(run.unseen)
        self._longest = max(self._longest, len(run.choices))
        if recorder:
            self._independence.remember(run.choices[0].ready if run.choices else "", recorder.occurrences)
            self._learn(recorder.occurrences)
        self._count(run)
        judgement = self._judge.judge(run)
        coverage.abstentions += judgement.has_abstained
        self._outcomes.add(judgement.outcome)
        if judgement.alarms:
            self._keep(run, judgement)
        elif judgement.apart and not self._apart:
            told = replace(judgement, alarms=judgement.apart)
            seconds = time.monotonic() - self._started
            hit = Hit(run, told, coverage.played, seconds, is_repeatable=True)  # its finding plays it again
            self._apart[hit.fingerprint] = hit
        if self._on_run:
            self._on_run(coverage)
        return run.choices

    def _note_cut(self, run: PlayedSchedule) -> None:
        self._cuts += 1
        self._coverage.unfinished = self._coverage.unfinished or run
        if run.cut not in self._cut_as:
            self._cut_as.add(run.cut)
            self._coverage.cut.append(why_unfinished(run, self._program))

    def _keep(self, run: PlayedSchedule, judgement: Judgement) -> None:
        fingerprint = judgement.fingerprint
        if fingerprint in self._hits:
            return
        seconds = time.monotonic() - self._started
        order = order_of(run.trace.events)
        with self._scheduler.deadline.lifted():
            again = self._judge.judge(play_again(lambda: self._scheduler.play(self._program, run.letters), order))
        is_repeatable = again.fingerprint == fingerprint
        self._hits[fingerprint] = Hit(run, judgement, self._coverage.played, seconds, is_repeatable)

    def _count(self, run: PlayedSchedule) -> None:
        coverage = self._coverage
        self._ended += 1
        self._effects.add(run)
        coverage.waits += sum(event.phase is StepPhase.WAITS for event in run.trace.events)
        coverage.levels |= {event.level for event in run.trace.events}
        refused = Counter(event.refusal.sqlstate for event in run.trace.events if event.refusal)
        coverage.deadlocks += refused[DEADLOCK]
        coverage.serialization_failures += refused[SERIALIZATION_FAILURE]
        unexpected = unexpected_failures(run, self._program, dialect=self._scheduler.dialect)
        self._failed |= unexpected
        self._returned |= run.trace.returns.keys() - unexpected.keys()
        failed = (value.sqlstate for value in run.trace.returns.values() if isinstance(value, Failed))
        coverage.refusals += sum(each not in (DEADLOCK, SERIALIZATION_FAILURE) for each in failed)
        done = [(event.actor, event.number) for event in run.trace.events if event.phase is not StepPhase.WAITS]
        for place, later in enumerate(done):
            for earlier in done[:place]:
                if earlier[0] != later[0] and self._touch(earlier, later):
                    coverage.pairs.setdefault(min((earlier, later), (later, earlier)), set()).add(earlier < later)

    def _touch(self, one: tuple[str, int], other: tuple[str, int]) -> bool:
        """Return whether two letters were seen to touch."""
        footprint, another = self._footprints.get(one), self._footprints.get(other)
        return footprint is not None and another is not None and is_dependent(footprint, another)

    def _learn(self, occurrences: list[Occurrence]) -> None:
        """Note what letters touch, and which are worth delaying: the first that writes (what was read before it may be
        old by then), then commits. That decides the order within a bound only, not what is played."""
        have_written: set[str] = set()
        for each in occurrences:
            self._footprints[each.actor, each.number] = each.footprint
            writes = bool(each.footprint.rows | each.footprint.whole)
            first = writes and each.actor not in have_written
            self._interest[each.actor, each.number] = 2 if first and each.number else int(each.footprint.is_end)
            if writes:
                have_written.add(each.actor)

    def _play_random(self, random: Random) -> None:
        """Spend what is left of the budget on random priorities with few change points."""
        while self._is_wanted():
            before = self._coverage.played
            self._play("", decide=Priorities(random, depth=random.choice(PCT_DEPTHS), letters=self._longest))
            self._coverage.random += self._coverage.played - before
        if not self._is_found:
            self._coverage.cut.append(self._why_over())

    def _is_wanted(self) -> bool:
        return not (self._is_found and self._stops_at_first) and not self._why_over()

    @property
    def _is_found(self) -> bool:
        """The data was seen to go wrong; a call that fails, or a deadlock, may be all there is, or only the first sign."""
        return any(hit.is_of_data for hit in self._hits.values())

    def _fits(self, schedules: int) -> bool:
        """Return whether so many more schedules fit into the budget, at the pace so far."""
        coverage = self._coverage
        spent = time.monotonic() - self._started
        share_played = coverage.played / max(1, coverage.played + coverage.spared)
        to_play = schedules * share_played
        seconds = to_play * spent / max(1, coverage.played)
        return coverage.played + to_play <= self._budget.schedules and spent + seconds <= self._budget.seconds

    @property
    def _spent_seconds(self) -> str:
        return f"the budget of {self._budget.seconds:.3g} s was spent"

    def _why_over(self) -> str:
        if self._coverage.played >= self._budget.schedules:
            return f"the budget of {counted(self._budget.schedules, 'schedule')} was spent"
        if time.monotonic() - self._started >= self._budget.seconds:
            return self._spent_seconds
        if self._cuts >= self._budget.cuts:
            return f"{counted(self._cuts, 'schedule was', 'schedules were')} not played to their end"
        return ""
