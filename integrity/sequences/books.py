"""What a run writes down of its calls, written for a sequence: the same rows of the same tables, as each call returns."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import orjson

from integrity.database.bookkeeping import COLUMNS
from integrity.history import Outcome, Returned
from integrity.operation import Request, Rows, Statement, Value, events_of
from integrity.race.play.engine import Ask
from integrity.systems.service import Answer

RUN_ID = "sequence"
TABLES = ("calls", "requests", "received", "runs")
"""Of the schema `integrity`; each before what it refers to."""

_SETTLED = "update integrity.runs set settled_at = :now, ended_at = :now"


@dataclass(frozen=True, slots=True)
class MadeCall:
    """A call, and how it ended."""

    operation: str
    arguments: Mapping[str, Value]
    returned: Returned
    operation_id: UUID
    client: int
    invoked_at: datetime

    def __str__(self) -> str:
        said = ", ".join(f"{name}={value!r}" for name, value in self.arguments.items())
        told = self.returned.error or "  ".join(f"{name}={value}" for name, value in (self.returned.reply or {}).items())
        return "  ".join(filter(None, (f"{self.operation}({said})", self.returned.outcome.value, told)))


@dataclass(slots=True)
class Books:
    """The books of one sequence.

    Args:
        ask: carries out statements on the sequence's database.
    """

    ask: Ask
    _open: list[Statement] = field(default_factory=list)
    _numbers: dict[str, int] = field(default_factory=dict)

    def begin(self, system: str, began_at: datetime) -> None:
        """Note that a run has begun, of which everything is there that it has done so far."""
        run: dict[str, Value] = {"system": system, "profile": RUN_ID, "seed": 0, "state": "finished"}
        self.ask([_insertion("runs", {**run, "started_at": began_at, "ended_at": began_at})])

    def note_request(self, operation_id: UUID, step: Request, answer: Answer) -> None:
        """Keep what a call asked of a service until it is written."""
        values: dict[str, Value] = {"operation_id": operation_id, "service": step.service}
        values |= {"payload": _json(step.payload), "answer": _json(answer)}
        values |= {"requested_at": datetime.now(UTC), "returned_at": datetime.now(UTC)}
        self._add("requests", values)

    def note_received(self, operation_id: UUID, client: int, events: Rows) -> None:
        """Keep what a stream brought until it is written."""
        for event in events_of(events):
            values: dict[str, Value] = {"operation_id": operation_id, "client": client, "received_at": datetime.now(UTC)}
            self._add("received", values | {name: event[name] for name in ("stream", "sequence", "event_id", "sent_at")})

    def write_call(self, made: MadeCall) -> None:
        """Write a call, with what was kept of it."""
        returned = made.returned
        values: dict[str, Value] = {"operation_id": made.operation_id, "operation": made.operation, "client": made.client}
        values |= {"arguments": _json(made.arguments), "intended_at": made.invoked_at, "invoked_at": made.invoked_at}
        values |= {"outcome": returned.outcome.value, "error": returned.error, "attempts": returned.attempts}
        values |= {"reply": None if returned.reply is None else _json(returned.reply)}
        values |= {"returned_at": None if returned.outcome is Outcome.UNKNOWN else datetime.now(UTC)}
        self._open.append(_insertion("calls", values))
        self.write()

    def write(self) -> None:
        """Write what was kept."""
        if self._open:
            self.ask(self._open)
            self._open.clear()

    def settle(self) -> None:
        """Note that all that was owed was delivered, and what was left open taken up."""
        self.ask([Statement(_SETTLED, {"now": datetime.now(UTC)})])

    def _add(self, table: str, values: Mapping[str, Value]) -> None:
        number = self._numbers[table] = self._numbers.get(table, 0) + 1
        self._open.append(_insertion(table, {**values, "number": number}))


def _insertion(table: str, values: Mapping[str, Value]) -> Statement:
    given = {"run_id": RUN_ID, **values}
    names = [name for name, _ in COLUMNS[table] if name in given]
    marks = ", ".join(f":{name}" for name in names)
    return Statement(f"insert into integrity.{table} ({', '.join(names)}) values ({marks})", given)


def _json(value: Mapping[str, Any]) -> str:
    return orjson.dumps(dict(value), default=str).decode()
