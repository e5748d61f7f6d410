"""Effects: which rows a call changes, as seen when it is made alone on the rows of a stage.

Triggers, functions and what a statement reaches by a join or a subselect count as what they do: the rows are compared, not
the statements read. A call that changes nothing there has shown nothing: it may have declined.
"""

from dataclasses import dataclass, field

from integrity.race.judge.contest import Ground
from integrity.race.judge.judge import Judge
from integrity.race.judge.row_changes import RowChanges
from integrity.race.play.scheduler import Scheduler
from integrity.race.program.planned_calls import PlannedCall
from integrity.systems.system import Bug


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
