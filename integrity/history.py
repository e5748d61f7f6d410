"""History: the calls that clients made and the returns they got, in order.

A call is appended to the run's folder twice: when it is invoked, before anything is sent, and when it has returned. A call
without a return (the tool was killed) is unknown, as is one whose connection broke after its commit was sent: it may have
taken effect, at most once. Beside the calls stand what they asked of outside services and what was pushed to streams. This
module holds the records and their lines of JSON; that no line is missing is a matter of chain.py, files are the workload's.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum
from random import Random
from typing import Any
from uuid import UUID

import orjson

from integrity.chain import Records
from integrity.value import Value, told


class Outcome(StrEnum):
    """How a call ended. Ok and declined are answers; whoever judges failures counts all the others.

    Declined is a correct no of the system's own: a balance, a state, a limit or budget that it sets. Unavailable is what an
    outside party or the capacity of the database did not give; what was written down by then may stay. Failed had no
    effect, unknown may have had one.
    """

    OK = "ok"
    DECLINED = "declined"
    UNAVAILABLE = "unavailable"
    FAILED = "failed"
    UNKNOWN = "unknown"

    @property
    def is_answer(self) -> bool:
        return self in (Outcome.OK, Outcome.DECLINED)


@dataclass(slots=True)
class Call:
    """One call of an operation. Who makes it completes it when it has returned; nobody else changes one.

    Args:
        operation_id: UUIDv7, made by the client and written by the system into the rows of the call.
        operation: the operation's name.
        arguments: as drawn, without operation_id.
        client: the number of the client that made it.
        intended_at_us, invoked_at_us, returned_at_us: microseconds since the epoch; latency counts from intended (when
            the arrival schedule wanted it), which equals invoked in a closed loop. No return: None.
        outcome: unknown until it returned.
        reply: what the client was told: the value of an ok, {"reason": ...} of a declined or unavailable.
        error: SQLSTATE and message of a failed or unknown one, and where the database was what was unavailable; else empty.
        attempts: 1, and 1 more for every restart after a serialization failure or deadlock.
    """

    operation_id: UUID
    operation: str
    arguments: Mapping[str, Any]
    client: int
    intended_at_us: int
    invoked_at_us: int
    returned_at_us: int | None = None
    outcome: Outcome = Outcome.UNKNOWN
    reply: Mapping[str, Any] | None = None
    error: str = ""
    attempts: int = 1


@dataclass(slots=True)
class Returned:
    """How a call ended: see Call for the fields. As of a call, nobody changes one.

    Args:
        writes_ms: how long each commit took that wrote, from when it was sent until it was answered.
        checks: of its answer, by name, and whether each holds.
        taken: values of its answer that later requests have; they may be secrets, and are in no history.
    """

    outcome: Outcome
    reply: Mapping[str, Value] | None
    error: str
    attempts: int
    was_abandoned: bool = False
    writes_ms: tuple[float, ...] = field(default=(), compare=False)
    checks: tuple[tuple[str, bool], ...] = field(default=(), compare=False)
    taken: Mapping[str, Any] = field(default_factory=dict, compare=False, repr=False)


@dataclass(frozen=True, slots=True)
class Requested:
    """One request that a call made to an outside service.

    Args:
        operation_id: of the call.
        answer: as the service gave it; a client that died waiting for it never got it.
        at_us, returned_at_us: microseconds since the epoch. None: nobody was there any more when the answer came.
    """

    operation_id: UUID
    service: str
    payload: Mapping[str, Any]
    answer: Mapping[str, Any]
    at_us: int
    returned_at_us: int | None = None


@dataclass(frozen=True, slots=True)
class Received:
    """One event that came down a stream.

    Args:
        operation_id: of the call that opened the stream.
        client: the subscriber's number; the same when it comes back.
        stream, sequence, event_id: as the system names them.
        sent_at_us, received_at_us: microseconds since the epoch, by the database's clock and by ours.
    """

    operation_id: UUID
    client: int
    stream: int
    sequence: int
    event_id: int
    sent_at_us: int
    received_at_us: int


def make_operation_id(unix_ms: int, random: Random) -> UUID:
    """Return a UUIDv7 of that millisecond, its 74 random bits from the given source (RFC 9562, 5.7)."""
    bits = random.getrandbits(74)
    return UUID(int=unix_ms << 80 | 0x7 << 76 | (bits >> 62) << 64 | 0b10 << 62 | bits & (1 << 62) - 1)


def encode_invoked(call: Call) -> bytes:
    """Return the line that is written before the call is sent."""
    return orjson.dumps(
        {
            "event": "invoked",
            "operation_id": call.operation_id,
            "operation": call.operation,
            "arguments": call.arguments,
            "client": call.client,
            "intended_at_us": call.intended_at_us,
            "invoked_at_us": call.invoked_at_us,
        },
        default=told,
        option=orjson.OPT_APPEND_NEWLINE,
    )


def encode_returned(call: Call) -> bytes:
    """Return the line that is written when the call has returned."""
    return orjson.dumps(
        {
            "event": "returned",
            "operation_id": call.operation_id,
            "returned_at_us": call.returned_at_us,
            "outcome": str(call.outcome),
            "reply": call.reply,
            "error": call.error,
            "attempts": call.attempts,
        },
        default=told,
        option=orjson.OPT_APPEND_NEWLINE,
    )


def decode(lines: Iterable[bytes], *, place: str) -> Iterator[Call]:
    """Yield the calls of a history: each when its return is read, those without return last, unknown.

    Args:
        lines: as the two encoders made them, in a chain or bare; a torn last one is left out.
        place: the file's name, for errors.

    Raises:
        HistoryError: a line that is no record, or a return whose call was never invoked.
    """
    return decode_calls(Records(lines, place=place))


def decode_calls(records: Records) -> Iterator[Call]:
    """Yield the calls of a history: see `decode`."""
    open_calls: dict[UUID, Call] = {}
    for number, record in records:
        try:
            operation_id = UUID(record["operation_id"])
            if record["event"] == "invoked":
                open_calls[operation_id] = Call(
                    operation_id=operation_id,
                    operation=record["operation"],
                    arguments=record["arguments"],
                    client=record["client"],
                    intended_at_us=record["intended_at_us"],
                    invoked_at_us=record["invoked_at_us"],
                )
                continue
            yield replace(
                open_calls.pop(operation_id),
                returned_at_us=record["returned_at_us"],
                outcome=Outcome(record["outcome"]),
                reply=record["reply"],
                error=record["error"],
                attempts=record["attempts"],
            )
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise records.error(number, f"{type(error).__name__}: {error}") from error
    yield from open_calls.values()


def encode_requested(request: Requested) -> bytes:
    """Return the line that is written when a request is made; the service may act on it from then on."""
    return orjson.dumps(request, default=told, option=orjson.OPT_APPEND_NEWLINE)


def encode_request_returned(operation_id: UUID, returned_at_us: int) -> bytes:
    """Return the line that is written when the answer to the call's last request has come, if that took a while."""
    return orjson.dumps(
        {"event": "returned", "operation_id": operation_id, "returned_at_us": returned_at_us},
        option=orjson.OPT_APPEND_NEWLINE,
    )


def encode_received(received: Received) -> bytes:
    """Return the line of an event that was received."""
    return orjson.dumps(received, default=told, option=orjson.OPT_APPEND_NEWLINE)


def decode_requested(records: Records) -> Iterator[tuple[int, Requested]]:
    """Yield the requests of a run with their numbers, from 1 on: each when its answer is read, those without one last.

    A call asks one thing at a time, so an answer is that of its call's last request.

    Raises:
        HistoryError: a line that is no record, or an answer to what was not asked.
    """
    waiting: dict[UUID, tuple[int, Requested]] = {}
    number = 0
    for line, record in records:
        try:
            operation_id = UUID(record["operation_id"])
            if record.get("event") == "returned":
                place, request = waiting.pop(operation_id)
                yield place, replace(request, returned_at_us=record["returned_at_us"])
                continue
            number += 1
            request = Requested(**{**record, "operation_id": operation_id})
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise records.error(line, f"{type(error).__name__}: {error}") from error
        if operation_id in waiting:  # its answer did not come; the call went on all the same
            yield waiting.pop(operation_id)
        if request.returned_at_us is None:
            waiting[operation_id] = number, request
        else:
            yield number, request
    yield from waiting.values()


def decode_received(records: Records) -> Iterator[Received]:
    """Yield the events that subscribers of a run received, in their order.

    Raises:
        HistoryError: a line that is no record.
    """
    for number, record in records:
        try:
            decoded = Received(**{**record, "operation_id": UUID(record["operation_id"])})
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise records.error(number, f"{type(error).__name__}: {error}") from error
        yield decoded
