"""Traces: what happened in one schedule, comparable with other runs of the same one.

Every run plays on fresh rows, so keys, operation_ids and times differ from run to run. `normal` renames them by first
appearance; what is left must be equal, run after run, if the schedule decides everything.
"""

from collections.abc import Collection, Hashable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from enum import StrEnum
from typing import Any
from uuid import UUID

from integrity.engines.values import from_text
from integrity.operation import Declined, Isolation, Ok, Row, Unavailable
from integrity.race.program.wire import Refusal


class StepPhase(StrEnum):
    """Done at once, waits for a lock now, or resumed and done after having waited."""

    DONE = "done"
    WAITS = "waits"
    RESUMED = "resumed"


@dataclass(frozen=True, slots=True)
class TraceEvent:
    """One thing an actor did.

    Args:
        actor: its letter.
        number: 0 for the actor's first letter, and so on.
        phase: done; waits (for the actors of `waits_for`); resumed.
        sql: the statement, or "commit" or "rollback".
        parameters: the statement's.
        level: of its transaction.
        opens, closes: a begin went before it, or the end of a transaction that wrote nothing followed it.
        rows: returned ones.
        tag: the command tag, e.g. "UPDATE 1".
        refusal: the server's error.
        waits_for: letters of the actors that hold the lock.
        place: where the statement is written, in a user's code or file; else empty.
    """

    actor: str
    number: int
    phase: StepPhase
    sql: str
    parameters: Mapping[str, Any]
    level: Isolation = Isolation.READ_COMMITTED
    opens: bool = False
    closes: bool = False
    rows: tuple[Row, ...] = ()
    tag: str = ""
    refusal: Refusal | None = None
    waits_for: str = ""
    place: str = field(default="", compare=False)


@dataclass(frozen=True, slots=True)
class Failed:
    """A call that the database refused: its transaction was rolled back.

    Args:
        sqlstate: of the refusal that the operation did not catch, or None for another reason.
        reason: the server's message.
        has_committed: an earlier transaction of the same call was committed, so it left something behind.
        place: in the user's code, where an exception of its own ended it; else empty.
        refused_at: where its last statement is written, in a user's code or file; else empty.
    """

    sqlstate: str | None
    reason: str
    has_committed: bool = False
    place: str = field(default="", compare=False)
    refused_at: str = field(default="", compare=False)

    @property
    def error(self) -> str:
        """The SQLSTATE, or the name of the exception that the operation's own code raised, e.g. "IndexError"."""
        return self.sqlstate or self.reason.partition(":")[0]


Return = Ok | Declined | Unavailable | Failed

CUT_OFF = Declined("cut off")
"""What stands for the return of a call whose client died: nobody was told anything."""


@dataclass(frozen=True, slots=True)
class Asked:
    """A request that an actor made to an outside service.

    Args:
        number: of the actor's letter before it; -1: it came before all of them, as the schedule began.
    """

    actor: str
    number: int
    service: str
    payload: Mapping[str, Any]
    answer: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Trace:
    """What happened in one schedule.

    Args:
        letters: the schedule, complete.
        events: in the order in which they happened.
        returns: actor -> what its call returned.
        generated: keys that this run made: of the stage, and of generated columns.
        requests: to outside services, in order.
        pushed: actor -> the events that were pushed to its client; `returns` holds them too.
    """

    letters: str
    events: tuple[TraceEvent, ...]
    returns: Mapping[str, Return]
    generated: frozenset[Any] = frozenset()
    requests: tuple[Asked, ...] = ()
    pushed: Mapping[str, Sequence[Row]] = field(default_factory=dict)

    def normal(self) -> "Trace":
        """Return the trace with generated keys, ids and times renamed by first appearance: equal for equal behaviour."""
        names = Names(self.generated)
        events = tuple(
            replace(
                event,
                parameters=names.rename_row(event.parameters),
                rows=tuple(names.rename_row(row) for row in event.rows),
                refusal=event.refusal and replace(event.refusal, message=""),  # messages name keys: "(id)=(41) exists"
            )
            for event in self.events
        )
        returns = {actor: names.rename_return(value) for actor, value in self.returns.items()}
        return Trace(self.letters, events, returns)


class Names:
    """Renames keys and times by first appearance."""

    def __init__(self, generated: Collection[Any]) -> None:
        self._generated = generated
        self._names: dict[Any, str] = {}

    def rename(self, value: Any) -> Any:
        """Return the name of a generated key, an id or a time; any other value as it is."""
        match from_text(value):  # a text is what some engines have for an id or a time
            case datetime():
                return self._names.setdefault(value, f"time {sum(n.startswith('time') for n in self._names.values()) + 1}")
            case UUID():
                return self._names.setdefault(value, f"id {len(self._names) + 1}")
            case bool() | None:
                return value
            case Hashable() if value in self._generated:
                return self._names.setdefault(value, f"key {len(self._names) + 1}")
        return value

    def rename_row(self, row: Mapping[str, Any]) -> dict[str, Any]:
        return {name: self.rename(value) for name, value in row.items()}

    def rename_return(self, value: Return) -> Return:
        match value:
            case Ok():
                return Ok(self.rename_row(value.value))
            case Failed():
                return replace(value, reason="")
            case Declined() | Unavailable():
                return value


def told_of_failure(failed: Failed) -> str:
    """Return how a call failed, e.g. "was refused with 23505: duplicate key ..." or "failed: IndexError: ..."."""
    return f"was refused with {failed.sqlstate}: {failed.reason}" if failed.sqlstate else f"failed: {failed.reason}"


def one_line(event: TraceEvent | None) -> str:
    """Return the statement without line breaks."""
    return " ".join(event.sql.split()) if event else ""


def waits_of(events: Iterable[TraceEvent]) -> Iterator[TraceEvent]:
    """Yield the events in which an actor began to wait for a lock."""
    return (event for event in events if event.phase is StepPhase.WAITS)
