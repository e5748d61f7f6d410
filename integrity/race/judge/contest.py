"""Contests: which calls of a system meet, with what planted and what taken away. The recipe of a program."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from uuid import UUID

from sqlglot import exp

from integrity.errors import UsageError, quote
from integrity.operation import Isolation, Ok, Operation, Steps
from integrity.race.judge.checks import LeftOut, make_checks
from integrity.race.play.scheduler import Scheduler
from integrity.race.program.planned_calls import PlannedCall, make_world, vary_calls
from integrity.race.program.program import Actor, Check, Keys, Program, RaceHistory, Standing
from integrity.race.program.programs import make_program, stage_of
from integrity.race.program.wire import StatementRefused
from integrity.sql.file import SqlFile
from integrity.systems.made_stage import MadeStage
from integrity.systems.reflect import Reflected
from integrity.systems.script.domains import plain_name
from integrity.systems.system import Bug, System
from integrity.user_code import place_of

Carried = Callable[[Program], Program]


def _as_it_is(program: Program) -> Program:
    return program


@dataclass(frozen=True, slots=True)
class Contest:
    """What is raced.

    Args:
        calls: A, B, ...
        isolation: of transactions that do not name a level.
        checks: the invariants, narrowed.
        bug: planted.
        dropped: constraints and indexes that are left out, as "table.name"; the bug's, unless some are tried.
        added: statements that make constraints and indexes which are tried.
        replaced: operations that stand in for the system's and the bug's: tried cures and mutations.
        is_deferred: on SQLite, transactions begin without the write lock.
        is_strict: answers that no serial order gives are wrong also where the rows are right.
        standing: of the programs that it is the recipe of.
        carried: makes of a program one whose calls are carried otherwise, over HTTP for instance.
    """

    system: System
    calls: tuple[PlannedCall, ...]
    isolation: Isolation = Isolation.READ_COMMITTED
    checks: tuple[Check, ...] = ()
    bug: Bug | None = None
    dropped: frozenset[str] = frozenset()
    added: tuple[str, ...] = ()
    replaced: Mapping[str, Operation] = field(default_factory=dict)
    is_deferred: bool = False
    is_strict: bool = False
    standing: Standing = field(default_factory=Standing, compare=False, repr=False)
    carried: Carried = field(default=_as_it_is, compare=False, repr=False)

    @property
    def names(self) -> tuple[str, ...]:
        """The operations, one a call."""
        return tuple(call.operation for call in self.calls)

    @property
    def operations(self) -> dict[str, Operation]:
        """Those that take part, by name."""
        known = {**self.system.operations_with(self.bug), **self.replaced}
        return {name: known[name] for name in dict.fromkeys(self.names)}

    @property
    def bugged(self) -> frozenset[str]:
        """The operations that take part and that the bug replaces."""
        return frozenset(self.names) & (self.bug.operations.keys() if self.bug else frozenset())

    def replacing(self, *operations: Operation) -> "Contest":
        """Return the contest with some operations in place of those of the same names."""
        return replace(self, replaced={**self.replaced, **{operation.name: operation for operation in operations}})

    def part(self, calls: Sequence[PlannedCall]) -> "Contest":
        """Return the contest of fewer calls, or of simpler ones."""
        return replace(self, calls=tuple(calls), standing=self.standing.of_part())

    def program(self) -> Program:
        """Return what is raced."""
        system = self.system.of(self.operations)
        program = make_program(system, self.calls, isolation=self.isolation, checks=self.checks)
        made = replace(program, is_deferred=self.is_deferred, is_strict=self.is_strict, standing=self.standing)
        return self.carried(made)


@dataclass(frozen=True, slots=True)
class Ground:
    """What the contests of one system have in common.

    Args:
        keys: of its stage, as one run of it had them: only their names are used.
        checks: the invariants, narrowed to the rows of the stage.
        left_out: those that cannot be.
        carried: as its contests have it.
    """

    system: System
    keys: Keys
    checks: tuple[Check, ...]
    left_out: tuple[LeftOut, ...] = ()
    carried: Carried = field(default=_as_it_is, compare=False, repr=False)

    def contest(
        self, calls: Sequence[PlannedCall], *, bug: Bug | None = None, isolation: Isolation = Isolation.READ_COMMITTED
    ) -> Contest:
        """Return the contest of these calls."""
        dropped = frozenset(bug.dropped if bug else ())
        return Contest(self.system, tuple(calls), isolation, self.checks, bug, dropped, carried=self.carried)

    def vary(
        self, names: Sequence[str], *, bug: Bug | None = None, isolation: Isolation = Isolation.READ_COMMITTED
    ) -> Iterator[Contest]:
        """Yield contests of calls of these operations that are likely to meet, the likeliest first.

        Raises:
            UsageError: the system has no such operation.
        """
        for calls in vary_calls(self.system, make_world(self.keys), names, bug=bug):
            yield self.contest(calls, bug=bug, isolation=isolation)


def survey(scheduler: Scheduler, system: System, files: Sequence[SqlFile]) -> Ground:
    """Return the ground of a system: its stage is played once.

    Args:
        files: the invariants.

    Raises:
        UsageError: the system has no stage.
        DatabaseError: the database refuses the stage.
    """
    keys = read_stage_keys(scheduler, system)
    checks, left_out = make_checks(files, system, keys, dialect=scheduler.dialect)
    is_made = isinstance(system.metadata, Reflected)
    if not checks and not is_made:
        raise UsageError(f"no invariant of {system.name} can be narrowed to the rows of a race")
    unfit = list(_ask_untouched(scheduler, checks, keys, "" if is_made else _describe_stage(system)))
    trees = {file.name: file.tree for file in files}
    left_out += [replace(each, blamed=_blamed(system, trees[each.name])) if each.blamed else each for each in unfit]
    names = {each.name for each in unfit}
    return Ground(system, keys, tuple(check for check in checks if check.name not in names), tuple(left_out))


def read_stage_keys(scheduler: Scheduler, system: System) -> Keys:
    """Return the keys of a system's stage, which is played once for that.

    Raises:
        UsageError: the system has no stage.
        DatabaseError: the database refuses the stage.
    """
    return scheduler.play(Program((Actor("nothing", _do_nothing),), stage_of(system))).keys


def _ask_untouched(scheduler: Scheduler, checks: Sequence[Check], keys: Keys, stage: str) -> Iterator[LeftOut]:
    """Yield the checks that the database refuses, and those that the rows violate before any call is made: with the reason.

    Of the latter the rows of the race are blamed.

    Somebody's own may ask what the tables of a race do not have, and rows that are made for it may be no rows of theirs.

    Args:
        stage: whose rows they are; empty: they were made. Those of a stage are to violate none: each call would be blamed.

    Raises:
        UsageError: the rows of a stage violate one.
    """
    untouched = RaceHistory(began_at=scheduler.read_clock())
    for check in checks:
        try:
            (answer,) = scheduler.ask([check.violations(keys, untouched)])
        except StatementRefused as refused:
            yield LeftOut(check.name, f"the database refuses it: {refused.reason}")
            continue
        if not answer.rows:
            continue
        first = ", ".join(f"{name}={value}" for name, value in answer.rows[0].items())
        if stage:
            raise UsageError(
                f"{stage} violates {check.name} before any call is made: {first}",
                hint="Let every invariant hold of its rows: what a race finds is then what the calls did.",
            )
        yield LeftOut(check.name, f"the rows of the race violate it before any call is made: {first}", "the rows")


def _blamed(system: System, query: exp.Query | None) -> str:
    """Return the first row with values that somebody wrote into a table that a query asks, with its place; none: nothing.

    Rows that are made are nobody's: that they violate what is asked of a project's own rows says nothing of its calls.
    """
    asked = {table.name.lower() for table in query.find_all(exp.Table)} if query is not None else set()
    for row in system.stage.wanted if isinstance(system.stage, MadeStage) else ():
        if row.values and plain_name(row.table).lower() in asked:
            return f"{row.written_at.place}: row {quote(row.key)}" if row.written_at.place else f"row {quote(row.key)}"
    return ""


def _describe_stage(system: System) -> str:
    assert system.stage is not None
    place = place_of(system.stage)
    return f"{place}: the stage of {system.name}" if place else f"the stage of {system.name}"


def _do_nothing(_keys: Keys, _operation_id: UUID) -> Steps:
    return Ok()
    yield  # it is a generator
