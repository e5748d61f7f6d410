"""Mutations: each protection of the sound operations is taken away, one at a time, and the search must find a race.

A protection without which nothing goes wrong is redundant (another one guards the same), or vacuous here: then either it
guards nothing, or the search is too weak to show it. Which of these is tried: the constraints of the tables that the
operation writes are taken away along with it, then the other protections of the operation, too.

Calls that go wrong with everything in place tell of no protection, so that pairs of them are searched first and left out.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import combinations_with_replacement

from integrity.engines.target import Target
from integrity.errors import UsageError
from integrity.events import Event
from integrity.operation import Isolation, Statement
from integrity.race.judge.contest import Contest, Ground, survey
from integrity.race.judge.judge import Judge
from integrity.race.play.deadline import BudgetOver, Deadline
from integrity.race.play.recording import record
from integrity.race.search.exploration import Exploration, Hit
from integrity.race.search.explore import Budget, explore
from integrity.race.search.settings import RaceSubject
from integrity.race.trial.arena import Arena
from integrity.race.trial.choices import by_pattern
from integrity.race.trial.protections import (
    Protection,
    find_constraints,
    find_in_statements,
    find_levels,
    find_transactions,
    tell_apart,
)

SCHEDULES_MAX = 300  # of each pair, with each choice of arguments
CHOICES_MAX = 4  # of which keys the calls share; with others of the same pattern nothing else goes wrong, as a rule


@dataclass(frozen=True, slots=True)
class Attempt:
    """What the search found without some protections.

    Args:
        removed: their names.
        operations: the pair that went wrong; empty when none did.
        hit: how; None when none did.
        pairs, choices, schedules: searched; choices of arguments, of all pairs.
    """

    removed: tuple[str, ...]
    operations: tuple[str, ...]
    hit: Hit | None
    pairs: int
    choices: int
    schedules: int


@dataclass(frozen=True, slots=True)
class Mutation(Event):
    """What a protection is good for.

    Args:
        is_constraint: it is one of a table, rather than a part of an operation.
        attempts: all that was tried; the last one went wrong, unless the protection is vacuous.
    """

    protection: str
    is_constraint: bool
    attempts: tuple[Attempt, ...]

    @property
    def word(self) -> str:
        """ "needed", "redundant", "vacuous", or "untried" where the time did not suffice."""
        if not self.attempts:
            return "untried"
        if self.attempts[-1].hit is None:
            return "vacuous"
        return "redundant" if self.partners else "needed"

    @property
    def partners(self) -> tuple[str, ...]:
        """Those that guard the same: it takes all of them away to go wrong."""
        return tuple(name for each in self.attempts[-1:] for name in each.removed if name != self.protection)


@dataclass(frozen=True, slots=True)
class Unguarded(Event):
    """A pair that goes wrong with every protection in place: none is judged by it.

    Args:
        attempt: nothing was removed.
    """

    attempt: Attempt


def mutate_system(
    target: Target,
    race: RaceSubject,
    names: Sequence[str],
    *,
    test_database: str | None = None,
) -> Iterator[Mutation | Unguarded]:
    """Yield the pairs that are racy as they are, then what each protection of a system's operations is good for.

    Raises:
        UsageError: the system cannot be raced on this target, or each pair is racy as it is.
        DatabaseError: the server is gone.
    """
    system, settings = race.system, race.settings
    deadline = Deadline.within(settings.seconds)
    with Arena(target, system, test_database=test_database, deadline=deadline) as arena:
        with deadline.lifted():
            ground = survey(arena.scheduler(), system.raced_as(names), race.files)
        mutator = Mutator(
            arena,
            ground,
            settings.isolation,
            Budget(preemptions=settings.preemptions, schedules=SCHEDULES_MAX),
            settings.seed,
            CHOICES_MAX,
        )
        yield from mutator.mutate(names)


@dataclass(frozen=True, slots=True)
class Mutator:
    """Takes protections away and searches; what was not at its end by the arena's deadline is untried.

    Args:
        isolation: that the sound operations run at.
        budget: of each search, of one pair with one choice of arguments.
        choices_max: of ways in which calls share keys, for each pair.
    """

    arena: Arena
    ground: Ground
    isolation: Isolation
    budget: Budget
    seed: int
    choices_max: int
    _attempts: dict[frozenset[Protection], Attempt] = field(default_factory=dict)
    _racy: set[frozenset[str]] = field(default_factory=set)
    _wrong: dict[tuple[tuple[str, ...], str], frozenset[tuple[str, str]]] = field(default_factory=dict)

    def mutate(self, names: Sequence[str]) -> Iterator[Mutation | Unguarded]:
        """Yield the racy pairs, then what each protection is good for; constraints that no race needs come last.

        Raises:
            UsageError: each pair is racy.
            DatabaseError: the server is gone.
        """
        yield from self._leave_out_racy(names)
        try:
            statements = {name: self._observe(name) for name in names}
        except BudgetOver:  # before anybody knows which protections there are
            yield from (Mutation(f"{name}: its protections", is_constraint=False, attempts=()) for name in names)
            return
        constraints = tell_apart(list(find_constraints(self.ground.system.metadata, statements)))
        has_one_writer = self.arena.kind.has_one_writer
        found = [
            protection
            for name in names
            for protection in (
                *find_in_statements(self.ground.system, name, statements[name], has_row_locks=not has_one_writer),
                *find_levels(name, self.isolation),
                *find_transactions(name, statements[name], has_one_writer=has_one_writer),
            )
        ]
        own = tell_apart(found)
        seen: list[Mutation] = []
        for protection in own:
            if not self._pairs((protection,), names):
                continue
            try:
                seen.append(self._judge(protection, constraints, own, names))
            except BudgetOver:
                seen.append(Mutation(protection.name, is_constraint=False, attempts=()))
            yield seen[-1]
        yield from self._judge_constraints(constraints, seen, names)

    def _leave_out_racy(self, names: Sequence[str]) -> Iterator[Unguarded]:
        pairs = list(combinations_with_replacement(names, 2))
        for pair in pairs:
            try:
                attempt = self._search((), [pair])
            except BudgetOver:
                return
            if attempt.hit:
                self._racy.add(frozenset(pair))
                yield Unguarded(attempt)
        if len(self._racy) == len(pairs):
            raise UsageError(
                f"{', '.join(' + '.join(pair) for pair in pairs)}: racy with all protections in place",
                hint="Leave --mutate out, and see what is wrong; with --strict-replies answers are judged, too.",
            )

    def _judge_constraints(
        self, constraints: list[Protection], known: list[Mutation], names: Sequence[str]
    ) -> Iterator[Mutation]:
        """Yield what each constraint is good for; if nothing goes wrong without all of them, none is tried alone."""
        constraints = [each for each in constraints if self._pairs((each,), names)]
        together: Attempt | None = None
        for protection in constraints:
            try:
                together = together or self._attempt(tuple(constraints), names)
                alone = self._attempt((protection,), names) if together.hit else together
            except BudgetOver:
                yield Mutation(protection.name, is_constraint=True, attempts=())
                continue
            partner = next((mutation for mutation in known if protection.name in mutation.partners), None)
            if alone.hit or partner is None:
                yield Mutation(protection.name, bool(protection.constraint), (alone,))
            else:
                yield Mutation(protection.name, bool(protection.constraint), (alone, partner.attempts[-1]))

    def _judge(
        self, protection: Protection, constraints: list[Protection], own: list[Protection], names: Sequence[str]
    ) -> Mutation:
        attempts = [self._attempt((protection,), names)]
        if attempts[-1].hit:
            return Mutation(protection.name, bool(protection.constraint), tuple(attempts))
        backing = tuple(each for each in constraints if each.operations & protection.operations)
        others = tuple(each for each in own if each.owner == protection.owner and each is not protection)
        for along in (backing, *((each,) for each in others), *((each, *backing) for each in others)):
            if not along or self._attempt(along, names).hit:  # it goes wrong whether this one is there or not
                continue
            attempt = self._attempt((protection, *along), names)
            if attempt.hit:
                return Mutation(
                    protection.name,
                    bool(protection.constraint),
                    (*attempts, self._narrow(protection, along, attempt)),
                )
        return Mutation(protection.name, bool(protection.constraint), tuple(attempts))

    def _narrow(self, protection: Protection, along: tuple[Protection, ...], attempt: Attempt) -> Attempt:
        """Return an attempt on the same pair that goes wrong with the fewest of those taken away along with it."""
        for each in along:
            alone = self._search((protection, each), [attempt.operations])
            if alone.hit:
                return alone
        needed = list(along)
        for each in along:
            fewer = [other for other in needed if other is not each]
            narrower = self._search((protection, *fewer), [attempt.operations])
            if narrower.hit:
                needed, attempt = fewer, narrower
        return attempt

    def _attempt(self, removed: tuple[Protection, ...], names: Sequence[str]) -> Attempt:
        """Search the pairs that would feel the loss until one goes wrong."""
        key = frozenset(removed)
        if key not in self._attempts:
            self._attempts[key] = self._search(removed, self._pairs(removed, names))
        return self._attempts[key]

    def _pairs(self, removed: tuple[Protection, ...], names: Sequence[str]) -> list[tuple[str, ...]]:
        """Return the pairs that would feel the loss, an operation with itself first; none that is racy as it is."""
        felt = removed[0].operations
        if removed[0].constraint:
            felt = felt.union(*(each.operations for each in removed))
        pairs = [(name, name) for name in names if name in felt]
        pairs += [(one, other) for one in names if one in felt for other in names if other != one]
        distinct = {frozenset(pair): pair for pair in pairs}
        return [pair for key, pair in distinct.items() if key not in self._racy]

    def _search(self, removed: tuple[Protection, ...], pairs: Sequence[tuple[str, ...]]) -> Attempt:
        removed_names = tuple(each.name for each in removed)
        schedules = choices = 0
        for number, pair in enumerate(pairs, start=1):
            for choice in self._choices(pair):
                contest = choice
                choices += 1
                for protection in removed:
                    contest = protection.strip(contest)
                found = self._explore(contest)
                if not removed:
                    self._wrong[choice.names, str(choice.calls)] = frozenset().union(
                        *(each.fingerprint for each in found.hits)
                    )
                schedules += found.coverage.played
                hit = next((each for each in found.hits if self._is_of_loss(each, choice, removed)), None)
                if hit is not None:
                    return Attempt(removed_names, pair, hit, number, choices, schedules)
        return Attempt(removed_names, (), None, len(pairs), choices, schedules)

    def _explore(self, contest: Contest) -> Exploration:
        scheduler = self.arena.scheduler(contest.dropped)
        program = contest.program()
        # Not of calls that fail: one that then changes nothing shows that something else guards the same.
        judge = Judge(scheduler, program, are_failures_judged=False, is_strict=True)
        found = explore(scheduler, program, budget=self.budget, seed=self.seed, judge=judge)
        if not found.hits:
            self.arena.deadline.check()
        return found

    def _is_of_loss(self, hit: Hit, choice: Contest, removed: tuple[Protection, ...]) -> bool:
        """Return whether a hit is a race that the loss of these lets through; if nothing is lost, whether it is a race.

        Calls that go wrong in the same way one after the other, with everything in place, tell of no loss.
        """
        if not removed:
            return hit.is_race
        return not hit.fingerprint <= self._wrong.get((choice.names, str(choice.calls)), frozenset())

    def _choices(self, pair: Sequence[str]) -> list[Contest]:
        """Return the contests of a pair, one of each way in which the calls share keys."""
        return by_pattern(self.ground.vary(pair, isolation=self.isolation))[0][: self.choices_max]

    def _observe(self, name: str) -> list[Statement]:
        """Return the statements of an operation, each text once: of a call, and of another after it on the same rows."""
        statements: dict[str, Statement] = {}
        for contest in self._choices((name, name)):
            recording = record(self.arena.scheduler(), contest.program(), "")
            steps = [each.step for played in recording.played.values() for each in played]
            for step in steps:
                if isinstance(step, Statement):
                    statements.setdefault(step.sql, step)
        return list(statements.values())
