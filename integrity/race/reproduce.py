"""From a violated row to the shortest schedule that breaks it.

The calls that touched the row are found in the history (reproduction/touching.py): those that the evidence names, those
whose arguments name the row or rows that refer to it, those whose operations were seen to change what the invariant reads.
What overlapped in time is raced again, kind by kind, on fresh rows: calls that met on one row meet on one row. Only the
invariant that was violated is asked. A call that breaks it by itself is wrong without any race; one that breaks it when it
is cut off leaves half of its work when its client dies.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from random import Random

from integrity.domain import IntegerIn, World
from integrity.engines.target import Target
from integrity.errors import UsageError
from integrity.events import Job, Noted
from integrity.invariants.evidence import operation_ids_of
from integrity.numbers import counted
from integrity.race.finding.discovery import finding_of_run, make_finding
from integrity.race.finding.finding import Finding, plain_row
from integrity.race.judge.contest import Contest, Ground, survey
from integrity.race.judge.judge import Judge
from integrity.race.play.deadline import BudgetOver, Deadline
from integrity.race.play.scheduler import Scheduler
from integrity.race.program.planned_calls import PlannedCall
from integrity.race.program.trace import CUT_OFF
from integrity.race.reproduction.attempts import Attempt, plan_attempts, words_of
from integrity.race.reproduction.cutting import cutting_off
from integrity.race.reproduction.effects import Effects, Looks, find_lacking
from integrity.race.reproduction.pairs import PairKind, variants
from integrity.race.reproduction.reproduction import BACK, NOT_BACK, Reproduction, Trial, Violation, Way
from integrity.race.reproduction.subjects import Subjects
from integrity.race.reproduction.touching import Reach, Touch, find_touching
from integrity.race.search.exploration import Hit
from integrity.race.search.explore import Budget, explore
from integrity.race.trial.arena import Arena
from integrity.sql.file import SqlFile
from integrity.systems.system import Bug, System
from integrity.typed import typed

AMOUNTS_MAX = 40
STEPS_MAX = 60


def reproduce(
    target: Target,
    system: System,
    violation: Violation,
    files: Sequence[SqlFile],
    *,
    bug: Bug | None,
    budget: Budget,
    seed: int,
    deadline: Deadline | None = None,
    test_database: str | None = None,
) -> Job[Reproduction]:
    """Return what brings the violation back, on scratch databases; note what is tried, and what came of it.

    Args:
        files: the invariants of the system.
        bug: of the run.
        budget: of each race.
        deadline: what was not tried by then is listed.

    Raises:
        UsageError: the invariant cannot be asked about the rows of a race, or no call in the history touched the row.
        DatabaseError: the server is gone.
    """
    named = frozenset(operation_ids_of([violation.row]))
    file = next(each for each in files if each.name == violation.invariant)
    subjects = Subjects(file, violation.row, system.metadata, target)
    touching: list[Touch] = []
    with Arena(target, system, test_database=test_database, deadline=deadline) as arena:
        try:
            scheduler = arena.scheduler(frozenset(bug.dropped if bug else ()))
            looks = Looks(scheduler, system, bug, violation.calls, subjects.tables_read)
            touching = find_touching(
                violation.calls,
                system,
                subjects,
                named=named,
                are_read=looks.are_read,
                may_be_read=looks.may_be_read,
                deadline=arena.deadline,
            )
            if not touching:
                raise UsageError(
                    f"{violation.invariant}: no call in the run's history touched this row",
                    hint="It may be older than the run: validate before the run, or name another row (#2, #3, ...).",
                )
            yield _note_of(touching, len(violation.calls))
            ground = _find_ground(scheduler, system, touching, files, violation.invariant)
        except BudgetOver:
            return Reproduction(touched=len(touching) or None, is_over=True, untried=("all of it",))
        touching = yield from _touching_on_stage(touching, ground)
        effects = Effects(scheduler, ground, bug, subjects.tables_read)
        return (yield from _Search(scheduler, ground, effects, bug, budget, seed).run(touching))


def _find_ground(
    scheduler: Scheduler, system: System, touching: Sequence[Touch], files: Sequence[SqlFile], invariant: str
) -> Ground:
    """Return the rows to race on: those that the operations want which touched the row, what others want is no matter of
    theirs; of all, where the invariant does not hold of those.

    Raises:
        UsageError: the invariant cannot be asked about either.
    """
    ground = survey(scheduler, system.raced_as({touch.call.operation for touch in touching}), files)
    if all(check.name != invariant for check in ground.checks):
        ground = survey(scheduler, system, files)
    return _asking_only(ground, invariant)


def _touching_on_stage(touching: Sequence[Touch], ground: Ground) -> Job[list[Touch]]:
    """Return the calls that can be made on the stage; note whose cannot, as it has no key that they need."""
    lacking = find_lacking(ground)
    counts = Counter(touch.call.operation for touch in touching)
    for name in lacking.keys() & counts.keys():
        yield Noted(f"{counted(counts[name], 'call')} of {name} left out: there is no row of {lacking[name]} to race on")
    return [touch for touch in touching if touch.call.operation not in lacking]


def _note_of(touching: Sequence[Touch], count: int) -> Noted:
    by_operation = Counter(touch.call.operation for touch in touching)
    listed = ", ".join(f"{name} {number:,}" for name, number in by_operation.most_common())
    may = " or may have" if any(touch.reach >= Reach.TABLE for touch in touching) else ""
    return Noted(f"{len(touching):,} of {counted(count, 'call')} touched the row{may}: {listed}")


@dataclass(slots=True)
class _Search:
    scheduler: Scheduler
    ground: Ground
    effects: Effects
    bug: Bug | None
    budget: Budget
    seed: int
    touched: int = 0
    schedules: int = 0
    pairs: list[str] = field(default_factory=list)
    tried: list[Trial] = field(default_factory=list)
    raced: set[str] = field(default_factory=set)

    def run(self, touching: Sequence[Touch]) -> Job[Reproduction]:
        """Try what is cheap or likely first: calls alone, clients that died, pairs, other amounts, any client that dies."""
        self.touched = len(touching)
        attempts, left = plan_attempts(touching, self.ground, self.scheduler.deadline)
        for number, attempt in enumerate(attempts):
            try:
                self.scheduler.deadline.check()
                found = yield from self._try(attempt)
            except BudgetOver:
                return replace(self._result(), untried=_once([*map(str, attempts[number:]), *left]), is_over=True)
            if found is not None:
                return found
        return replace(self._result(), untried=_once(left), is_over=self._is_over)

    @property
    def _is_over(self) -> bool:
        return self.scheduler.deadline.is_over

    def _try(self, attempt: Attempt) -> Job[Reproduction | None]:
        """Return what the attempt brought back; None: nothing."""
        if attempt.kind is not None:
            return (yield from self._race_kind(attempt.kind, attempt.words))
        assert attempt.call is not None
        yield Noted(str(attempt))
        match attempt.way:
            case Way.CUT_OFF:
                return self._cut_off(attempt.words, attempt.call)
            case Way.OTHER_AMOUNTS:
                return self._with_other_amounts(attempt.words, attempt.call)
        return self._race(attempt.way, attempt.words, [(attempt.call,)])

    def _race_kind(self, kind: PairKind, words: str) -> Job[Reproduction | None]:
        """Race a pair with the amounts that it had, then with the greatest; none twice, whatever its kind."""
        self.pairs.append(words)
        for planned in variants(kind, self.ground, self.effects):
            most = tuple(self._with_amounts(call, None) for call in planned)
            for calls in dict.fromkeys((words_of(planned), words_of(most))):
                if calls in self.raced:
                    continue
                self.raced.add(calls)
                yield Noted(f"racing {calls}")
                found = self._race(Way.RACE, calls, [planned if calls == words_of(planned) else most])
                yield Noted(f"  {self.tried[-1].result}")
                if found:
                    return found
        return None

    def _with_other_amounts(self, words: str, call: PlannedCall) -> Reproduction | None:
        drawn = [self._with_amounts(call, Random(self.seed + number)) for number in range(AMOUNTS_MAX)]
        return self._race(Way.OTHER_AMOUNTS, words, [(each,) for each in {str(other): other for other in drawn}.values()])

    def _race(self, way: Way, words: str, choices: Sequence[tuple[PlannedCall, ...]]) -> Reproduction | None:
        """Race each choice of calls until one brings the violation back; write down what came of it."""
        before = self.schedules
        reasons: dict[str, None] = {}
        for calls in choices:
            if self._is_over:
                reasons[_OVER] = None
                break
            contest = self.ground.contest(calls, bug=self.bug)
            judge = Judge(self.scheduler, contest.program(), is_serial_judged=False)
            budget = replace(self.budget, seconds=self.scheduler.deadline.seconds_left)
            found = explore(self.scheduler, contest.program(), budget=budget, seed=self.seed, judge=judge)
            self.schedules += found.coverage.played
            if found.hits:
                self.tried.append(Trial(way, words, self.schedules - before, BACK))
                finding = self._finding_of(contest, found.hits[0])
                kind = "race" if len(finding.calls) > 1 else "alone"
                return replace(self._result(), kind=kind, finding=finding)
            reasons |= dict.fromkeys([_OVER] if self._is_over else found.coverage.cut)
        played = self.schedules - before
        self.tried.append(Trial(way, words, played, _describe(played, tuple(reasons), self.budget)))
        return None

    def _finding_of(self, contest: Contest, hit: Hit) -> Finding:
        if len(contest.calls) == 1:
            return finding_of_run(self.scheduler, contest, hit.run, hit.judgement, seed=self.seed, played=hit.schedules)
        return make_finding(self.scheduler, self.ground, contest, hit, seed=self.seed)

    def _cut_off(self, words: str, call: PlannedCall) -> Reproduction | None:
        """Let the client die after each of the call's statements, until that leaves the violation."""
        program = self.ground.contest((call,), bug=self.bug).program()
        judge = Judge(self.scheduler, program, is_serial_judged=False)
        played = 0
        for count in range(1, STEPS_MAX):
            run = self.scheduler.play(replace(program, actors=(cutting_off(program.actors[0], count),)))
            played += 1
            alarms = judge.judge(run).alarms
            if alarms:
                self.schedules += played
                self.tried.append(Trial(Way.CUT_OFF, words, played, BACK))
                steps = tuple(" ".join(event.sql.split()) for event in run.trace.events)
                rows = tuple(plain_row(row) for row in alarms[0].rows)
                return replace(self._result(), kind="crash", call=str(call), steps=steps, rows=rows)
            if run.trace.returns["A"] is not CUT_OFF:
                break
        self.schedules += played
        self.tried.append(Trial(Way.CUT_OFF, words, played, NOT_BACK))
        return None

    def _with_amounts(self, call: PlannedCall, random: Random | None) -> PlannedCall:
        """Return the call with other amounts: drawn, or the greatest, since what suffices for one may not for two."""
        domains = self.ground.system.operations[call.operation].arguments
        amounts = {
            name: domain.draw(random, World()) if random else domain.most - (domain.most - domain.least) % domain.step
            for name, domain in domains.items()
            if isinstance(domain, IntegerIn)
        }
        return replace(call, arguments={**call.arguments, **amounts})

    def _result(self) -> Reproduction:
        """Return what is known so far, where nothing brought it back."""
        return Reproduction(
            touched=self.touched, pairs=tuple(self.pairs), schedules=self.schedules, tried=tuple(self.tried)
        )


_OVER = "the budget was over"


def _describe(played: int, reasons: Sequence[str], budget: Budget) -> str:
    """Return what a race that brought nothing back came to."""
    if reasons:
        return f"{NOT_BACK} in {counted(played, 'schedule')}, and not searched to its end: {'; '.join(reasons)}"
    return f"{NOT_BACK} in {counted(played, 'schedule')}, all with at most {counted(budget.preemptions, 'preemption')}"


def _once(words: Sequence[str]) -> tuple[str, ...]:
    """Return what is told alike once: kinds of pairs that are made of the same rows of the stage."""
    return tuple(dict.fromkeys(words))


def _asking_only(ground: Ground, invariant: str) -> Ground:
    checks = tuple(check for check in ground.checks if check.name == invariant)
    if not checks:
        left_out = next((each for each in ground.left_out if each.name == invariant), None)
        reason = left_out.reason if left_out else "it is not an invariant of the system"
        look = f"see the rows themselves: {typed(f'validate --select {invariant}')}"
        hint = f"Mend {left_out.blamed}, on which the race is played; or {look}" if left_out and left_out.blamed else look
        raise UsageError(
            f"{invariant} cannot be asked about the rows of a race: {reason}", hint=f"{hint[0].upper()}{hint[1:]}"
        )
    return replace(ground, checks=checks)
