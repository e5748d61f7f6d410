"""The history of one schedule: the calls of a race as a workload would have written them, and as relations of a query.

A workload's history stands in tables, integrity.calls and others. A race writes none: each of its schedules is over in two
milliseconds. So a check that asks the history is given it as values, in a `with` in front of it.

All calls of a race are invoked when the rows are made, and none has returned before the schedule is over: the times say
nothing of their order. A refused call without an effect has failed; one that had committed something before is unknown, as
it is to a client that learns of an error only.
"""

from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from functools import lru_cache
from string import ascii_uppercase
from typing import Any

import orjson

from integrity.database.bookkeeping import COLUMNS
from integrity.engines.known import USUAL, find_engine
from integrity.history import Call, Outcome, Received, Requested
from integrity.operation import Declined, Ok, Statement, Unavailable, Value
from integrity.race.play.operation_session import told_of
from integrity.race.play.scheduler import PlayedSchedule
from integrity.race.program.program import Program, RaceHistory
from integrity.race.program.trace import CUT_OFF, Failed, Return
from integrity.value import told

SCHEMA = "integrity"


def history_of(run: PlayedSchedule, program: Program) -> RaceHistory:
    """Return the history of a run that was played to its end."""
    trace = run.trace
    began_us = _microseconds(run.began_at) if run.began_at else 0
    calls = []
    for letter, actor, operation_id in zip(ascii_uppercase, program.actors, run.operation_ids, strict=False):
        outcome, reply, error = _end_of(trace.returns.get(letter), told_of(trace.pushed.get(letter, ())))
        calls.append(
            Call(
                operation_id=operation_id,
                operation=actor.operation,
                arguments=actor.given(run.keys),
                client=_client(letter),
                intended_at_us=began_us,
                invoked_at_us=began_us,
                outcome=outcome,
                reply=reply,
                error=error,
            )
        )
    requests = [
        Requested(run.operation_ids[_client(asked.actor) - 1], asked.service, asked.payload, asked.answer, began_us)
        for asked in trace.requests
    ]
    received = [
        Received(
            operation_id=run.operation_ids[_client(letter) - 1],
            client=_client(letter),
            stream=event["stream"],
            sequence=event["sequence"],
            event_id=event["event_id"],
            sent_at_us=_microseconds(event["sent_at"]),
            received_at_us=_microseconds(event["sent_at"]),
        )
        for letter, events in trace.pushed.items()
        for event in events
    ]
    return RaceHistory(tuple(calls), tuple(requests), tuple(received), run.began_at)


def with_history(
    sql: str,
    values: Mapping[str, Value],
    history: RaceHistory,
    *,
    reads: frozenset[str],
    system: str,
    dialect: str = USUAL,
) -> Statement:
    """Return the statement with some relations of the history in front of it.

    Args:
        sql: names them without their schema.
        values: of its own parameters.
        reads: as invariants name them, e.g. "calls" or "ghostpass_calls": a race has no calls but those of its system.
        dialect: of the statement, as Target.dialect names it.
    """
    records: Mapping[str, Sequence[Any]] = {
        "calls": history.calls,
        "requests": history.requests,
        "received": history.received,
        "runs": (system,),
        "gaps": (),  # everything that was asked is there
    }
    all_values: dict[str, Value] = {**values, "history_began_at": history.began_at or datetime.now(UTC)}
    kinds = {name: relation_of(name, system) for name in sorted(reads)}
    for kind in kinds.values():
        for number, record in enumerate(records[kind]):
            for column, _, source in RELATIONS[kind]:
                if not isinstance(source, str):
                    all_values[f"history_{kind}_{number}_{column}"] = source(record)
    relations = ",\n".join(
        f"{name} as ({_relation_sql(kind, len(records[kind]), dialect)})" for name, kind in kinds.items()
    )
    return Statement(f"with\n{relations}\n{sql}", all_values)


@lru_cache(maxsize=256)
def _relation_sql(name: str, count: int, dialect: str) -> str:
    """Return the relation with so many rows, its text the same for every history of that many."""
    columns = [(column, _kind(kind, dialect), source) for column, kind, source in RELATIONS[name]]
    rows = []
    for number in range(count):
        cells = [f"cast({_cell(name, column, source, number)} as {kind}) as {column}" for column, kind, source in columns]
        rows.append(f"    select {', '.join(cells)}")
    if not rows:
        cells = [f"cast(null as {kind}) as {column}" for column, kind, _ in columns]
        rows.append(f"    select {', '.join(cells)} where false")
    return "\n" + "\n    union all\n".join(rows) + "\n"


def relation_of(name: str, system: str) -> str:
    """Return the relation, one of `RELATIONS`, that an invariant of the system calls by that name; empty: none."""
    kind = name.removeprefix(f"{system}_")
    return kind if kind in RELATIONS else ""


def _kind(kind: str, dialect: str) -> str:
    """Return the type; without types of columns ids, times and documents are text, as integrity.calls has them there."""
    return "text" if kind in ("uuid", "timestamptz", "jsonb") and not find_engine(dialect).spelling.is_typed else kind


def _cell(name: str, column: str, source: "_Source", number: int) -> str:
    return (
        source.format(number=number, place=number + 1) if isinstance(source, str) else f":history_{name}_{number}_{column}"
    )


def _end_of(returned: Return | None, told: Mapping[str, Any]) -> tuple[Outcome, Mapping[str, Any] | None, str]:
    """Return outcome, reply and error of a call.

    Args:
        told: what its return holds beside the reply.
    """
    if returned is None or returned is CUT_OFF:
        return Outcome.UNKNOWN, None, ""
    match returned:
        case Ok():
            return Outcome.OK, {name: value for name, value in returned.value.items() if name not in told}, ""
        case Declined():
            return Outcome.DECLINED, {"reason": returned.reason}, ""
        case Unavailable():
            return Outcome.UNAVAILABLE, {"reason": returned.reason}, ""
        case Failed():
            outcome = Outcome.UNKNOWN if returned.has_committed else Outcome.FAILED
            return outcome, None, " ".join(filter(None, (returned.sqlstate, returned.reason)))


def _client(letter: str) -> int:
    """Return the number of the actor's client, from 1 on."""
    return ascii_uppercase.index(letter) + 1


def _json(value: Mapping[str, Any] | None) -> str | None:
    return None if value is None else orjson.dumps(value, default=told).decode()


def _microseconds(at: datetime | str) -> int:
    """Return microseconds since the epoch; a text is a time in UTC, as SQLite stores it."""
    moment = datetime.fromisoformat(at).replace(tzinfo=UTC) if isinstance(at, str) else at
    return round(moment.timestamp() * 1_000_000)


def _moment(us: int) -> datetime:
    return datetime.fromtimestamp(us / 1_000_000, UTC)


_Source = str | Callable[[Any], Value]
_RUN_ID = "'race'"
_BEGAN = ":history_began_at"
_NOW = "current_timestamp"  # of the transaction that asks, when the schedule is over

_SOURCES: Mapping[str, Mapping[str, _Source]] = {
    "calls": {
        "run_id": _RUN_ID,
        "operation_id": lambda call: call.operation_id,
        "operation": lambda call: call.operation,
        "arguments": lambda call: _json(call.arguments),
        "client": lambda call: call.client,
        "intended_at": _BEGAN,
        "invoked_at": _BEGAN,
        "returned_at": f"case cast(:history_calls_{{number}}_outcome as text) when 'unknown' then null else {_NOW} end",
        "outcome": lambda call: call.outcome.value,
        "reply": lambda call: _json(call.reply),
        "error": lambda call: call.error,
        "attempts": "1",
    },
    "requests": {
        "run_id": _RUN_ID,
        "number": "{place}",
        "operation_id": lambda request: request.operation_id,
        "service": lambda request: request.service,
        "payload": lambda request: _json(request.payload),
        "answer": lambda request: _json(request.answer),
        "requested_at": _BEGAN,
        "returned_at": _BEGAN,
    },
    "received": {
        "run_id": _RUN_ID,
        "number": "{place}",
        "operation_id": lambda event: event.operation_id,
        "client": lambda event: event.client,
        "stream": lambda event: event.stream,
        "sequence": lambda event: event.sequence,
        "event_id": lambda event: event.event_id,
        "sent_at": lambda event: _moment(event.sent_at_us),
        "received_at": lambda event: _moment(event.received_at_us),
    },
    "runs": {
        "run_id": _RUN_ID,
        "system": lambda system: system,
        "profile": "'race'",
        "bug": "null",
        "seed": "0",
        "started_at": _BEGAN,
        "ended_at": _NOW,
        "state": "'finished'",
        "alive_until": "null",
        "settled_at": "null",  # nobody delivers anything after a schedule
        "calls_until": "null",
        "requests_until": "null",
        "received_until": "null",
    },
    "gaps": {
        "run_id": _RUN_ID,
        "state": "null",
        "calls_from": "null",
        "requests_from": "null",
        "received_from": "null",
        "ended_at": "null",
    },
}
"""What stands in each column: SQL, or what is taken from a record."""

RELATIONS: Mapping[str, Sequence[tuple[str, str, _Source]]] = {
    name: tuple((column, kind, _SOURCES[name][column]) for column, kind in columns) for name, columns in COLUMNS.items()
}
"""Columns, types and what stands in them."""
