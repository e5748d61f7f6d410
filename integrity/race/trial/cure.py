"""Cures: what would have prevented this very schedule. Each is tried on it, none is asserted.

Isolation levels; a constraint that the bug left out; `for update` on what is read and then written; the sound operation.
SQLite has neither levels nor row locks: there one transaction in place of several is tried, which holds the write lock from
its first statement on.

The schedule is followed as far as it fits, since a cure makes calls wait that did not wait before. A cure that prevents it
is then searched by itself, for a moment: it may prevent one order and let another through.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

from integrity.operation import Begin, Commit, Declined, Isolation, Ok, Operation, Rollback, Statement, Step, Unavailable
from integrity.race.judge.contest import Contest
from integrity.race.judge.judge import Judge
from integrity.race.judge.oracles import OF_DATA
from integrity.race.play.recording import Following, following, record
from integrity.race.play.scheduler import PlayedSchedule
from integrity.race.program.statements import tables_of, written_tables
from integrity.race.program.trace import Failed, told_of_failure, waits_of
from integrity.race.search.explore import Budget, explore
from integrity.race.trial.arena import Arena
from integrity.race.trial.rewrite import in_one_transaction, lock_rows, replacing, with_steps_changed
from integrity.verdict import Verdict

_SEARCH = Budget(preemptions=1, schedules=400)
_NEEDS_CONSTRAINT = "refused with 42P10"  # `on conflict` without its unique constraint
_LEVELS = (Isolation.REPEATABLE_READ, Isolation.SERIALIZABLE)


@dataclass(frozen=True, slots=True)
class Failing:
    """A schedule, to its end, and how it fails.

    Args:
        ends: the letters that end a transaction: (actor, number of the actor's letter).
    """

    letters: str
    fingerprint: frozenset[tuple[str, str]]
    ends: frozenset[tuple[str, int]] = frozenset()


@dataclass(frozen=True, slots=True)
class Cure:
    """One thing that was tried.

    Args:
        kind: "isolation", "constraint", "row lock", "transaction" or "operation".
        name: e.g. "repeatable read", or the statement with its lock.
        is_prevented: the failure did not come in this schedule.
        story: what came instead, e.g. "B was refused with 40001".
        is_sound: nothing was found with one preemption either; None: not searched, or not to the end.
        schedules: how many that search played.
    """

    kind: str
    name: str
    is_prevented: bool
    story: str
    is_sound: bool | None = None
    schedules: int = 0

    @property
    def verdict(self) -> str:
        """In words, e.g. "prevented: B was refused with 40001"."""
        if not self.is_prevented:
            return f"not prevented: {self.story}"
        if self.is_sound is False:
            return f"prevented: {self.story}; but another order still goes wrong"
        return f"prevented: {self.story}"


def try_cures(arena: Arena, contest: Contest, failing: Failing) -> Iterator[Cure]:
    """Yield every cure that applies, tried.

    Raises:
        DatabaseError: the server is gone.
    """
    played = arena.scheduler(contest.dropped).play(contest.program(), decide=following(failing.letters))
    ends = {(event.actor, event.number) for event in played.trace.events if event.sql in ("commit", "rollback")}
    failing = replace(failing, ends=frozenset(ends))
    if not arena.kind.has_levels:
        yield from _try_transactions(arena, contest, failing)
    else:
        for level in _LEVELS:
            if level is not contest.isolation:
                yield _try(arena, _at_level(contest, level), failing, "isolation", level.value)
    for name in sorted(contest.dropped):
        cured = replace(contest, dropped=contest.dropped - {name})
        yield _try(arena, cured, failing, "constraint", name)
    for operation, sql, locked in _find_locks(arena, contest, failing.letters) if not arena.kind.has_one_writer else ():
        cured = contest.replacing(_changed(contest, operation, replacing(sql, locked)))
        yield _try(arena, cured, failing, "row lock", f"{operation}: {' '.join(locked.split())}")
    for operation in sorted(contest.bugged):
        cured = contest.replacing(contest.system.operations[operation])
        cure = _try(arena, cured, failing, "operation", f"the sound {operation}")
        if _NEEDS_CONSTRAINT in cure.story:
            cured = replace(cured, dropped=frozenset())
            cure = _try(arena, cured, failing, "operation", f"the sound {operation}, with the constraints it relies on")
        yield cure


def describe_course(run: PlayedSchedule) -> str:
    """Return how the calls fared: who waited for whom and what they returned, without those that were simply ok."""
    parts = []
    waited = {event.actor: event.waits_for for event in waits_of(run.trace.events)}
    for actor, returned in sorted(run.trace.returns.items()):
        prefix = f"{actor} waited for {', '.join(waited[actor])}, then " if actor in waited else f"{actor} "
        match returned:
            case Failed():
                parts.append(f"{prefix}{told_of_failure(returned)}")
            case Declined():
                parts.append(f"{prefix}declined: {returned.reason}")
            case Unavailable():
                parts.append(f"{prefix}was unavailable: {returned.reason}")
            case Ok() if actor in waited:
                parts.append(f"{prefix}went on")
            case Ok():
                pass
    return "; ".join(parts) or "all calls returned ok"


def _try(arena: Arena, cured: Contest, failing: Failing, kind: str, name: str) -> Cure:
    scheduler = arena.scheduler(cured.dropped)
    program = cured.program()
    # What keeps wrong data out by refusing a call is a cure, and how the call fares is told.
    is_of_data = any(oracle in OF_DATA for oracle, _ in failing.fingerprint)
    judge = Judge(scheduler, program, are_failures_judged=not is_of_data)
    follower = Following(program, failing.letters, failing.ends)
    run = scheduler.play(follower.program, decide=follower.decide)
    if run.cut:
        return Cure(kind, name, is_prevented=False, story=f"it was cut off, {run.cut}")
    failure = frozenset(alarm.fingerprint for alarm in judge.judge(run).alarms)
    story = describe_course(run)
    if failure & failing.fingerprint:
        return Cure(kind, name, is_prevented=False, story=story)
    if failure:
        wrong = ", ".join(sorted(name or oracle for oracle, name in failure))
        return Cure(kind, name, is_prevented=False, story=f"another failure came: {wrong}; {story}")
    searched = explore(scheduler, program, budget=_SEARCH, judge=judge)
    is_sound = {Verdict.HOLDS: True, Verdict.VIOLATED: False}.get(searched.verdict)
    return Cure(kind, name, is_prevented=True, story=story, is_sound=is_sound, schedules=searched.coverage.played)


def _try_transactions(arena: Arena, contest: Contest, failing: Failing) -> Iterator[Cure]:
    if contest.is_deferred:
        yield _try(arena, replace(contest, is_deferred=False), failing, "transaction", "begin immediate")
    for name, operation in contest.operations.items():
        if _is_in_parts(arena, contest, name):
            cured = contest.replacing(in_one_transaction(operation))
            yield _try(arena, cured, failing, "transaction", f"all of {name} in one transaction, begun immediate")


def _is_in_parts(arena: Arena, contest: Contest, name: str) -> bool:
    """Return whether a call of the operation, alone, makes several transactions."""
    call = next(call for call in contest.calls if call.operation == name)
    alone = record(arena.scheduler(contest.dropped), contest.part([call]).program(), "")
    steps = [each.step for each in alone.played["A"]]
    is_open, transactions = False, 0
    for step in steps:
        if isinstance(step, Statement) and not is_open:
            transactions += 1
        elif isinstance(step, Begin):
            is_open = True
            transactions += 1
        elif isinstance(step, Commit | Rollback):
            is_open = False
    return transactions > 1


def _at_level(contest: Contest, level: Isolation) -> Contest:
    """Return the contest with every transaction at that level, also those that name another."""

    def change(step: Step) -> Step:
        return Begin(level) if isinstance(step, Begin) else step

    operations = [with_steps_changed(operation, change) for operation in contest.operations.values()]
    return replace(contest.replacing(*operations), isolation=level)


def _changed(contest: Contest, name: str, change: Callable[[Step], Step]) -> Operation:
    return with_steps_changed(contest.operations[name], change)


def _find_locks(arena: Arena, contest: Contest, letters: str) -> Iterator[tuple[str, str, str]]:
    """Yield the selects of tables that the calls also write, as (operation, select, select with a row lock)."""
    recording = record(arena.scheduler(contest.dropped), contest.program(), letters)
    statements = [
        (operation, each.step.sql)
        for operation, played in zip(contest.names, recording.played.values(), strict=True)
        for each in played
        if isinstance(each.step, Statement)
    ]
    written = {table for _, sql in statements for table in written_tables(sql)}
    for operation, sql in dict.fromkeys(statements):
        locked = lock_rows(sql)
        if locked and tables_of(sql) & written:
            yield operation, sql, locked
