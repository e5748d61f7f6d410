"""From a violated row to the shortest schedule that breaks it.

The calls that touched the row are found in the history: those that the evidence names, and those whose arguments name the
same rows. What overlapped in time is raced again, kind by kind, on fresh rows: calls that met on one wallet meet on one
wallet. Only the invariant that was violated is asked. A call that breaks it by itself is wrong without any race; one that
breaks it when it is cut off leaves half of its work when its client dies.
"""

from collections.abc import Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, replace
from itertools import combinations
from random import Random
from typing import Any
from uuid import UUID

from integrity.domain import IntegerIn, Key, KeyOf, World, from_history
from integrity.engines.target import Target
from integrity.errors import UsageError
from integrity.events import Job, Noted
from integrity.history import Call, Outcome
from integrity.invariants.evidence import operation_ids_of
from integrity.operation import StatementFailed, Steps
from integrity.race.finding.discovery import finding_of_run, make_finding
from integrity.race.finding.finding import Finding, plain_row
from integrity.race.judge.contest import Ground, survey
from integrity.race.judge.judge import Judge
from integrity.race.play.scheduler import Scheduler
from integrity.race.program.program import Actor, Keys
from integrity.race.program.programs import PlannedCall, make_world
from integrity.race.program.trace import CUT_OFF
from integrity.race.search.explore import Budget, explore
from integrity.race.trial.arena import Arena
from integrity.sql.file import SqlFile
from integrity.systems.made_rows import find_table
from integrity.systems.reflect import Reflected
from integrity.systems.system import Bug, System

KINDS_MAX = 12
ALONE_MAX = 12
AMOUNTS_MAX = 40
STEPS_MAX = 60


@dataclass(frozen=True, slots=True)
class Violation:
    """A row of an audit.

    Args:
        invariant: its name.
        row: as the audit kept it.
        calls: of the history of the run.
    """

    invariant: str
    row: Mapping[str, Any]
    calls: Sequence[Call]


@dataclass(frozen=True, slots=True)
class Reproduction:
    """What brought the violation back.

    Args:
        kind: "race", "alone" (a call by itself), "crash" (a call cut off), or "" when nothing did.
        finding: of a race or a call alone.
        call: of a crash.
        steps: of a crash: its statements up to where it was cut off.
        rows: of a crash: that violate.
        touched: calls in the history that touched the row.
        pairs: kinds of pairs raced, in words.
        schedules: played in all.
    """

    kind: str
    finding: Finding | None
    call: str
    steps: tuple[str, ...]
    rows: tuple[Mapping[str, Any], ...]
    touched: int
    pairs: tuple[str, ...]
    schedules: int


def reproduce(
    target: Target,
    system: System,
    violation: Violation,
    files: Sequence[SqlFile],
    *,
    bug: Bug | None,
    budget: Budget,
    seed: int,
    test_database: str | None = None,
) -> Job[Reproduction]:
    """Return what brings the violation back, on scratch databases; note what is tried.

    Args:
        files: the invariants of the system.
        bug: of the run.
        budget: of each kind of pair.

    Raises:
        UsageError: the invariant cannot be asked about the rows of a race, or no call in the history touched the row.
        DatabaseError: the server is gone.
    """
    touched = find_touching(violation, system)
    if not touched:
        raise UsageError(
            f"{violation.invariant}: no call in the run's history touched this row",
            hint="It may be older than the run: validate before the run, or name another row (#2, #3, ...).",
        )
    with Arena(target, system, test_database=test_database) as arena:
        scheduler = arena.scheduler(frozenset(bug.dropped if bug else ()))
        raced = system.raced_as({call.operation for call in touched})  # what others want is no matter of theirs
        ground = survey(scheduler, raced, files)
        search = _Search(scheduler, _asking_only(ground, violation.invariant), bug, budget, seed)
        return (yield from search.run(touched, set(operation_ids_of([violation.row]))))


def find_touching(violation: Violation, system: System) -> list[Call]:
    """Return the calls that touched the row and may have had an effect, those that it names before those on its rows."""
    named = set(operation_ids_of([violation.row]))
    found: list[tuple[Call, int]] = []
    for call in violation.calls:
        operation = system.operations.get(call.operation)
        if operation is None or call.outcome is Outcome.FAILED:
            continue
        in_common = max(
            (
                _columns_in_common(system, name, domain.pool, call.arguments[name], violation.row)
                for name, domain in operation.arguments.items()
                if isinstance(domain, KeyOf)
            ),
            default=0,
        )
        if call.operation_id in named or in_common:
            found.append((call, in_common))
    most = max((count for _, count in found), default=0)  # a seat of an event says more than the event
    touching = [call for call, count in found if call.operation_id in named or count == most]
    return sorted(touching, key=lambda call: call.operation_id not in named)


def _columns_in_common(system: System, argument: str, pool: str, value: Any, row: Mapping[str, Any]) -> int:
    """Return how many columns of a row say that it is about the row whose key an argument is; 0: it is not."""
    tables = system.metadata
    table = find_table(tables, pool) if isinstance(tables, Reflected) else None
    primary = [column.name for column in table.primary_key.columns] if table is not None else []
    if isinstance(value, list | tuple):
        is_its = all(str(row.get(name)) == str(each) for name, each in zip(primary, value, strict=False))
        return len(primary) if primary and is_its else 0
    names = {argument}
    if table is not None and len(primary) == 1:
        referring = (each for other in tables.tables.values() for each in other.columns)
        names |= {key.parent.name for column in referring for key in column.foreign_keys if key.column.table is table}
        names |= {primary[0], f"{table.name}_{primary[0]}", f"{table.name.removesuffix('s')}_{primary[0]}"}
    return int(any(str(row[name]) == str(value) for name in names & row.keys()))


def pairs_by_kind(calls: Sequence[Call], named: AbstractSet[UUID], ground: Ground) -> Iterator[tuple[PlannedCall, ...]]:
    """Yield pairs of these calls, those that overlapped most first, each kind once, on rows of the stage.

    Amounts make no kind.

    Args:
        named: by the evidence; where calls are, one of each pair is of them.
    """
    pairs = list(combinations(sorted(calls, key=lambda call: call.invoked_at_us), 2))
    of_named = [pair for pair in pairs if any(call.operation_id in named for call in pair)]
    ordered = sorted(of_named or pairs, key=_gap_us)
    seen: set[str] = set()
    for pair in ordered:
        planned = plan_calls(pair, ground)
        kind = " ".join(_kind(call, ground) for call in planned)
        if kind not in seen:
            seen.add(kind)
            yield planned
        if len(seen) == KINDS_MAX:
            return


def plan_calls(calls: Sequence[Call], ground: Ground) -> tuple[PlannedCall, ...]:
    """Return calls like these on rows of the stage: a key is the first, second, ... of its pool, the same where it was."""
    pools = make_world(ground.keys).keys
    names: dict[tuple[str, str], Key] = {}
    planned = []
    for call in calls:
        arguments: dict[str, Key] = {}
        for name, domain in ground.system.operations[call.operation].arguments.items():
            value = call.arguments[name]
            if isinstance(domain, KeyOf):
                pool = pools[domain.pool]
                taken = sum(known == domain.pool for known, _ in names)
                arguments[name] = names.setdefault((domain.pool, str(value)), pool[taken % len(pool)])
            else:
                arguments[name] = from_history(domain, value)
        planned.append(PlannedCall(call.operation, arguments))
    return tuple(planned)


@dataclass(slots=True)
class _Search:
    scheduler: Scheduler
    ground: Ground
    bug: Bug | None
    budget: Budget
    seed: int
    schedules: int = 0

    def run(self, touched: Sequence[Call], named: AbstractSet[UUID]) -> Job[Reproduction]:
        """Try what is cheap or likely first: calls alone, clients that died, pairs, other amounts, any client that dies."""
        singles = [plan_calls([call], self.ground)[0] for call in touched]
        by_text = {str(call): call for call in singles}
        kinds = {_kind(call, self.ground): call for call in singles}
        pairs: list[str] = []
        for call in list(by_text.values())[:ALONE_MAX]:
            yield Noted(f"alone: {call}")
            if finding := self._race((call,)):
                return self._result("alone", touched, pairs, finding=finding)
        died = [plan_calls([call], self.ground)[0] for call in touched if call.outcome is Outcome.UNKNOWN]
        if crash := (yield from self._cut_off_any({_kind(call, self.ground): call for call in died}, touched, pairs)):
            return crash
        for planned in pairs_by_kind(touched, named, self.ground):
            pairs.append(" + ".join(map(str, planned)))
            most = tuple(self._with_amounts(call, None) for call in planned)
            for calls in (planned, most) if most != planned else (planned,):
                yield Noted(f"racing {' + '.join(map(str, calls))}")
                if finding := self._race(calls):
                    return self._result("race" if len(finding.calls) > 1 else "alone", touched, pairs, finding=finding)
        for kind, call in kinds.items():
            yield Noted(f"alone, with other amounts: {kind}")
            others = [self._with_amounts(call, Random(self.seed + number)) for number in range(AMOUNTS_MAX)]
            for other in {str(other): other for other in others}.values():
                if finding := self._race((other,)):
                    return self._result("alone", touched, pairs, finding=finding)
        return (yield from self._cut_off_any(kinds, touched, pairs)) or self._result("", touched, pairs)

    def _cut_off_any(
        self, kinds: Mapping[str, PlannedCall], touched: Sequence[Call], pairs: Sequence[str]
    ) -> Job[Reproduction | None]:
        for kind, call in kinds.items():
            yield Noted(f"cut off: {kind}")
            if crash := self._crash(call):
                return self._result("crash", touched, pairs, call=str(call), steps=crash[0], rows=crash[1])
        return None

    def _race(self, calls: tuple[PlannedCall, ...]) -> Finding | None:
        contest = self.ground.contest(calls, bug=self.bug)
        judge = Judge(self.scheduler, contest.program(), is_serial_judged=False)
        found = explore(self.scheduler, contest.program(), budget=self.budget, seed=self.seed, judge=judge)
        self.schedules += found.coverage.played
        if not found.hits:
            return None
        hit = found.hits[0]
        if len(calls) == 1:
            return finding_of_run(self.scheduler, contest, hit.run, hit.judgement, seed=self.seed, played=hit.schedules)
        return make_finding(self.scheduler, self.ground, contest, hit, seed=self.seed)

    def _crash(self, call: PlannedCall) -> tuple[tuple[str, ...], tuple[Mapping[str, Any], ...]] | None:
        """Return after which statements the call must be cut off, and the rows that then violate; None if nowhere."""
        contest = self.ground.contest((call,), bug=self.bug)
        program = contest.program()
        judge = Judge(self.scheduler, program, is_serial_judged=False)
        for count in range(1, STEPS_MAX):
            run = self.scheduler.play(replace(program, actors=(_cutting_off(program.actors[0], count),)))
            self.schedules += 1
            alarms = judge.judge(run).alarms
            if alarms:
                steps = tuple(" ".join(event.sql.split()) for event in run.trace.events)
                return steps, tuple(plain_row(row) for row in alarms[0].rows)
            if run.trace.returns["A"] is not CUT_OFF:
                return None
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

    def _result(
        self,
        kind: str,
        touched: Sequence[Call],
        pairs: Sequence[str],
        *,
        finding: Finding | None = None,
        call: str = "",
        steps: tuple[str, ...] = (),
        rows: tuple[Mapping[str, Any], ...] = (),
    ) -> Reproduction:
        return Reproduction(kind, finding, call, steps, rows, len(touched), tuple(pairs), self.schedules)


def _cutting_off(actor: Actor, count: int) -> Actor:
    """Return the actor with a client that dies after so many steps."""

    def steps(keys: Keys, operation_id: UUID) -> Steps:
        return _cut_off(actor.steps(keys, operation_id), count)

    return replace(actor, steps=steps)


def _cut_off(steps: Steps, count: int) -> Steps:
    """Let the call do so many steps and no more: its client has died, and the server rolls back what is open."""
    try:
        step = next(steps)
        for _ in range(count):
            try:
                answer = yield step
            except StatementFailed as error:
                step = steps.throw(error)
            else:
                step = steps.send(answer)
    except StopIteration as end:
        return end.value  # type: ignore[no-any-return]  # StopIteration.value is Any
    return CUT_OFF


def _asking_only(ground: Ground, invariant: str) -> Ground:
    checks = tuple(check for check in ground.checks if check.name == invariant)
    if not checks:
        reason = next(
            (each.reason for each in ground.left_out if each.name == invariant), "it is not an invariant of the system"
        )
        raise UsageError(
            f"{invariant} cannot be asked about the rows of a race: {reason}",
            hint="Look at its calls instead: integrity validate --select " + invariant,
        )
    return replace(ground, checks=checks)


def _gap_us(pair: tuple[Call, Call]) -> int:
    """Return how far apart two calls were; below zero they overlapped. One without a return goes on for ever."""
    first, second = pair
    return second.invoked_at_us - (first.returned_at_us or second.invoked_at_us + 1)


def _kind(call: PlannedCall, ground: Ground) -> str:
    domains = ground.system.operations[call.operation].arguments
    shown = [f"{name}={value}" for name, value in call.arguments.items() if not isinstance(domains[name], IntegerIn)]
    return f"{call.operation}({', '.join(shown)})"
