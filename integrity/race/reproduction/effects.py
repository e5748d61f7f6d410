"""Effects: which rows a call changes, as seen when it is made alone on the rows of a stage.

Triggers, functions and what a statement reaches by a join or a subselect count as what they do: the rows are compared, not
the statements read. A call that changes nothing there has shown nothing: it may have declined.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import islice

from integrity.domain import KeyOf
from integrity.history import Call, Outcome
from integrity.race.judge.contest import Ground, read_stage_keys
from integrity.race.judge.judge import Judge
from integrity.race.judge.row_changes import RowChanges, named_in
from integrity.race.play.scheduler import Scheduler
from integrity.race.program.planned_calls import PlannedCall, make_world
from integrity.race.reproduction.planning import plan_calls
from integrity.systems.system import Bug, System

SAMPLES_MAX = 3  # calls of an operation that are looked at for what it changes


@dataclass(slots=True)
class Effects:
    """Looks at calls, each once.

    Args:
        tables_read: by the invariant, as digests name them; none: nobody knows, and all may be.
    """

    scheduler: Scheduler
    ground: Ground
    bug: Bug | None
    tables_read: frozenset[str]
    _seen: dict[str, RowChanges] = field(default_factory=dict)

    def of(self, call: PlannedCall) -> RowChanges:
        """Return what the call changes."""
        text = str(call)
        if text not in self._seen:
            program = self.ground.contest((call,), bug=self.bug).program()
            self._seen[text] = Judge(self.scheduler, program, is_serial_judged=False).changes_alone("A")
        return self._seen[text]

    def are_read(self, call: PlannedCall) -> bool | None:
        """Return whether the call changes a table that the invariant reads; None: it changed nothing, or nobody knows."""
        tables = self.of(call).tables
        return None if not tables or not self.tables_read else not tables.isdisjoint(self.tables_read)

    def meet(self, calls: tuple[PlannedCall, ...]) -> bool | None:
        """Return whether all the calls change one row of what the invariant reads; None: one of them changed no row."""
        rows = [
            {row for row in self.of(call).changed if not self.tables_read or row[0] in self.tables_read} for call in calls
        ]
        return bool(set.intersection(*rows)) if all(rows) else None


@dataclass(frozen=True, slots=True)
class Looks:
    """Looks at what operations change, each on the rows that it wants by itself: what others want is no matter of its.

    Args:
        calls: of the run; some of an operation's stand for all.
        tables_read: as Effects has it.
    """

    scheduler: Scheduler
    system: System
    bug: Bug | None
    calls: Sequence[Call]
    tables_read: frozenset[str]

    def are_read(self, operation: str) -> bool | None:
        """Return whether it was seen to change a table that the invariant reads; None: it was not seen to change any."""
        raced = self.system.raced_as({operation})
        ground = Ground(raced, read_stage_keys(self.scheduler, raced), ())
        effects = Effects(self.scheduler, ground, self.bug, self.tables_read)
        if operation in find_lacking(ground):
            return None
        made = (call for call in self.calls if call.operation == operation and call.outcome is Outcome.OK)
        seen = [effects.are_read(plan_calls([call], ground)[0]) for call in islice(made, SAMPLES_MAX)]
        return True if True in seen else False if False in seen else None

    def may_be_read(self, operation: str) -> bool:
        """Return whether its statements name a table that the invariant reads; where nobody knows, they may."""
        named = self.system.operations[operation].tables
        return not named or not self.tables_read or any(named_in(table, named) for table in self.tables_read)


def find_lacking(ground: Ground) -> dict[str, str]:
    """Return the operations that cannot be called on a stage, each with a pool of which that has no key."""
    pools = make_world(ground.keys).keys
    return {
        name: domain.pool
        for name, operation in ground.system.operations.items()
        for domain in operation.arguments.values()
        if isinstance(domain, KeyOf) and not pools.get(domain.pool)
    }
