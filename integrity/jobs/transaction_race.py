"""A race of two recorded transactions, on rows as the first of them found them, and how sure what it finds is.

A script stops at the first answer that is another than alone (script.py). So an order in which both come to their end is
one that the application would take for certain: it is wrong where an invariant is violated, where no order of the
statements leaves these rows whatever was answered, and where one of two changes of a number is lost. Where it is wrong
only if the application heeds what it was answered, or where one of the two is refused, that is suspected.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from decimal import Decimal

from integrity.jobs.calls_raced import keep_calls
from integrity.operation import Ok
from integrity.race.finding.finding import Finding
from integrity.race.gated.calls import Callers
from integrity.race.gated.postgresql.scribe import Transaction
from integrity.race.gated.postgresql.script import AnsweredOtherwise, Names, Script
from integrity.race.gated.postgresql.stand import Stand
from integrity.race.judge.judge import Judge, Judgement
from integrity.race.judge.oracles import OF_DATA, Oracle
from integrity.race.learned_pass import Outcome
from integrity.race.play.scheduler import PlayedSchedule
from integrity.race.program.change import Change, ChangeKind
from integrity.race.program.program import Actor, Check, Program
from integrity.race.search.exploration import Hit
from integrity.race.search.explore import Budget, explore
from integrity.systems.stage import Stage
from integrity.verdict import Verdict

_TIMES_ALONE = 2
_HITS_MOST = 40  # that are looked at, which may be wrong
_HEEDED = (
    "both go on from answers that, one after the other, only one of them gets: what the application makes of the other "
    "answer is not in its statements"
)


@dataclass(frozen=True, slots=True)
class Tried:
    """What came of it.

    Args:
        program: of the finding.
    """

    outcome: Outcome
    reason: str = ""
    finding: Finding | None = None
    schedules: int = 0
    program: Program | None = None


class TransactionRace:
    """Two transactions on a stand; a context manager.

    Args:
        transactions: the same twice: it meets itself.
        names: what they are called.
        checks: that are asked behind each schedule.
        ids: what stands for those that rows were given in the pass.
    """

    def __init__(
        self,
        stand: Stand,
        transactions: tuple[Transaction, Transaction],
        names: tuple[str, str],
        checks: Sequence[Check] = (),
        ids: Names | None = None,
    ) -> None:
        self._stand = stand
        self._checks = tuple(checks)
        self._callers = Callers(declines=(AnsweredOtherwise,))
        called = dict(zip(transactions, names, strict=True))
        scripts = {each: Script(each, stand.target, ids) for each in called}
        self._scripts = tuple(scripts.values())
        known = {each: self._callers.actor(script, name=called[each]) for each, script in scripts.items()}
        self._actors = tuple(known[each] for each in transactions)
        self._alone: dict[Actor, Sequence[Change]] = {}

    def close(self) -> None:
        """Let go of what called them."""
        self._callers.close()

    def stands(self) -> bool:
        """Make each alone; return whether both do on these rows what they did in the pass."""
        for script, actor in zip(self._scripts, dict.fromkeys(self._actors), strict=True):
            answers = []
            for _ in range(_TIMES_ALONE):
                run = self._stand.scheduler.play(self._program((actor,)))
                if run.cut or not all(isinstance(each, Ok) for each in run.trace.returns.values()):
                    return False
                answers.append(script.last)
                self._alone[actor] = run.changes or ()
            script.alone = answers
            if not script.is_as_written:
                return False
        return True

    def race(self, budget: Budget, *, seed: int = 0) -> Tried:
        """Return what their orders come to; they stand on these rows."""
        program = self._program(self._actors)
        judge = _Later(Judge(self._stand.scheduler, program))
        found = explore(self._stand.scheduler, program, budget=budget, seed=seed, judge=judge)
        suspected: Tried | None = None
        for hit in (*found.hits, *judge.hits):
            outcome, reason = self._judge(program, hit)
            tried = Tried(outcome, reason, None, found.coverage.played, program)
            if outcome is Outcome.WRONG:
                return replace(tried, finding=self._keep(program, hit))
            if suspected is None:
                suspected = replace(tried, finding=self._keep(program, hit))
        if suspected is not None:
            return suspected
        if found.verdict is Verdict.HOLDS:
            return Tried(Outcome.SOUND, schedules=found.coverage.played)
        reason = "; ".join(found.coverage.reasons) or "the budget ended before the search"
        return Tried(Outcome.UNKNOWN, reason, schedules=found.coverage.played)

    def _keep(self, program: Program, hit: Hit) -> Finding:
        """Return what is kept of it, without a token: what one would stand for is the values of this pass."""
        finding = keep_calls(self._stand, program, hit)
        assert finding.scenario is not None
        given = {"transactions": finding.scenario.given["calls"]}
        return finding.model_copy(update={"scenario": finding.scenario.model_copy(update={"given": given, "token": ""})})

    def _judge(self, program: Program, hit: Hit) -> tuple[Outcome, str]:
        """Return how sure it is that a schedule goes wrong, and why."""
        oracles = {alarm.oracle for alarm in hit.alarms}
        if Oracle.INVARIANT in oracles:
            broken = ", ".join(alarm.name for alarm in hit.alarms if alarm.oracle is Oracle.INVARIANT)
            return Outcome.WRONG, f"{broken} is violated"
        refused = [alarm.name for alarm in hit.alarms if alarm.oracle in (Oracle.FAILURE, Oracle.DEADLOCK)]
        if refused and not oracles & OF_DATA:
            return (
                Outcome.SUSPECTED,
                f"refused beside the other, and alone never ({', '.join(refused)}): is it tried again?",
            )
        if not all(isinstance(each, Ok) for each in hit.run.trace.returns.values()):
            return Outcome.SUSPECTED, _HEEDED
        with self._going_on():
            run = self._stand.scheduler.play(program, hit.run.letters)
            alarms = () if run.cut else Judge(self._stand.scheduler, program).judge(run).alarms
        if any(alarm.oracle in OF_DATA for alarm in alarms):
            return Outcome.WRONG, "no order of these statements, one after the other, leaves these rows"
        if lost := lost_number(*(self._alone[actor] for actor in self._actors), together=hit.run.changes or ()):
            return Outcome.WRONG, lost
        return Outcome.SUSPECTED, _HEEDED

    @contextmanager
    def _going_on(self) -> Iterator[None]:
        """Take answers to change nothing, for the block."""
        for script in self._scripts:
            script.goes_on = True
        try:
            yield
        finally:
            for script in self._scripts:
                script.goes_on = False

    def _program(self, actors: tuple[Actor, ...]) -> Program:
        return Program(actors, lambda: Stage((), {}), checks=self._checks, is_captured=True, is_strict=True)


class _Later:
    """Puts aside what may be wrong, so that the search goes on to what is; an invariant that is violated ends it."""

    def __init__(self, judge: Judge) -> None:
        self._judge = judge
        self._played = 0
        self.hits: list[Hit] = []

    def judge(self, run: PlayedSchedule) -> Judgement:
        """See judge.Judging."""
        self._played += 1
        judgement = self._judge.judge(run)
        if not judgement.alarms or any(alarm.oracle is Oracle.INVARIANT for alarm in judgement.alarms):
            return judgement
        if len(self.hits) < _HITS_MOST:
            self.hits.append(Hit(run, judgement, self._played, 0.0, is_repeatable=True))
        return replace(judgement, alarms=())


def lost_number(one: Sequence[Change], other: Sequence[Change], *, together: Sequence[Change]) -> str:
    """Return which number is, where both changed it, what one of them alone makes it; empty: none."""
    changed = {(each.table, each.identity): each for each in other if each.kind is ChangeKind.CHANGED}
    left = {(each.table, each.identity): each for each in together if each.kind is ChangeKind.CHANGED}
    for each in one:
        second, both = changed.get((each.table, each.identity)), left.get((each.table, each.identity))
        if each.before is None or each.after is None or second is None or both is None:
            continue
        assert second.after is not None
        assert both.after is not None
        for column, before in each.before.items():
            if isinstance(before, bool) or not isinstance(before, int | float | Decimal):
                continue
            alone = (each.after[column], second.after[column])
            if before not in alone and both.after[column] in alone:
                return (
                    f"a change is lost: {each.table}.{column} goes from {before} to {both.after[column]}, "
                    "as if only one of the two had been made"
                )
    return ""
