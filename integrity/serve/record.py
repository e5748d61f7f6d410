"""What a server did by itself, kept for whoever asks for it; integrity/endpoints/record.py says what of it travels."""

import time
from asyncio import Task, ensure_future
from collections import deque
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import replace
from itertools import islice
from typing import Any
from uuid import UUID, uuid4

import orjson

from integrity.endpoints.record import ABANDONED, CAUSED
from integrity.history import (
    Call,
    Requested,
    Returned,
    encode_invoked,
    encode_request_returned,
    encode_requested,
    encode_returned,
)
from integrity.operation import Request
from integrity.systems.service import Answer, Reaction

LINES_MOST = 200_000
"""Of each kind; the oldest are forgotten. A run asks once a second."""

PAGE_BYTES_MOST = 2 * 1024 * 1024

_BEGAN_NS = time.time_ns() - time.monotonic_ns()


def now_us() -> int:
    """Return microseconds since the epoch by a clock that never goes back."""
    return (_BEGAN_NS + time.monotonic_ns()) // 1000


class KeptLines:
    """Lines of one kind, numbered from 0 on; those at the end are kept."""

    def __init__(self) -> None:
        self.end = 0
        self._lines: deque[bytes] = deque(maxlen=LINES_MOST)

    def append(self, line: bytes) -> None:
        self._lines.append(line)
        self.end += 1

    def page(self, first: int) -> bytes:
        """Return the lines from that number on that fit on a page, with the numbers that they have, as JSON."""
        oldest = self.end - len(self._lines)
        first = min(max(first, oldest), self.end)
        chosen: list[bytes] = []
        size = 0
        for line in islice(self._lines, first - oldest, None):
            size += len(line)
            if chosen and size > PAGE_BYTES_MOST:
                break
            chosen.append(line.rstrip())
        return b'{"from":%d,"to":%d,"lines":[%s]}' % (first, first + len(chosen), b",".join(chosen))


class Record:
    """What a server's process did by itself: calls that no client asked for, and what all calls ask of services."""

    def __init__(self) -> None:
        self.calls = KeptLines()
        self.requests = KeptLines()
        self._session = str(uuid4())

    def note_call(
        self, operation_id: UUID, operation: str, arguments: Mapping[str, Any], *, caused_at_us: int
    ) -> Callable[[Returned], None]:
        """Write down that a call is made, and when the one came that it follows from; return what takes how it ended."""
        at_us = now_us()
        call = Call(operation_id, operation, arguments, 0, at_us, at_us)
        self.calls.append(b'{"%s":%d,%s' % (CAUSED.encode(), caused_at_us, encode_invoked(call)[1:]))

        def returned(ended: Returned) -> None:
            said = replace(
                call,
                returned_at_us=now_us(),
                outcome=ended.outcome,
                reply=ended.reply,
                error=ended.error,
                attempts=ended.attempts,
            )
            died = b'{"%s":true,' % ABANDONED.encode() if ended.was_abandoned else b"{"
            self.calls.append(died + encode_returned(said)[1:])

        return returned

    def page(self, calls: int, requests: int, *, owed: int, owed_since: int) -> bytes:
        """Return a page of the record, from these numbers of lines on."""
        head = orjson.dumps({"session": self._session, "at_us": now_us(), "owed": owed, "owed_since": owed_since})
        return b'%s,"calls":%s,"requests":%s}' % (head[:-1], self.calls.page(calls), self.requests.page(requests))


class Asking:
    """What one call asks of outside services, written down before the operation learns of it.

    Args:
        react: lets a service in this process react; returns that, and when it was asked.
        measure: is told of each answer: service, what came, how long it took.
        elsewhere: asks one that is a server of its own; returns None of one that is not. None: none is.
    """

    def __init__(
        self,
        record: Record,
        operation_id: UUID,
        react: Callable[[Request], tuple[Reaction, int]],
        measure: Callable[[Request, Answer, float], None],
        elsewhere: Callable[[Request], "Task[Answer] | None"] | None = None,
    ) -> None:
        self._record = record
        self._operation_id = operation_id
        self._react = react
        self._measure = measure
        self._elsewhere = elsewhere

    def request(self, step: Request) -> Reaction | Awaitable[Reaction]:
        """Ask. An answer that takes no time is there at once."""
        asking = self._elsewhere(step) if self._elsewhere is not None else None
        if asking is not None:
            return ensure_future(self._wait_for(step, asking))
        reaction, asked_us = self._react(step)
        self._measure(step, reaction.answer, reaction.latency_s)
        self._note(step, reaction.answer, asked_us, None if reaction.latency_s else asked_us)
        return reaction

    def answered(self) -> None:
        """The answer to the last request has come, a while after it was asked."""
        self._record.requests.append(encode_request_returned(self._operation_id, now_us()))

    async def _wait_for(self, step: Request, asking: "Task[Answer]") -> Reaction:
        asked_us = now_us()
        answer = await asking
        self._measure(step, answer, (now_us() - asked_us) / 1_000_000)
        self._note(step, answer, asked_us, now_us())
        return Reaction(answer)

    def _note(self, step: Request, answer: Answer, asked_us: int, returned_us: int | None) -> None:
        asked = Requested(self._operation_id, step.service, step.payload, answer, asked_us, returned_us)
        self._record.requests.append(encode_requested(asked))
