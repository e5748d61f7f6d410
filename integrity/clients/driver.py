"""The driver: the carrier that carries out an operation's steps on one connection and says how the call ended.

The loop is written once; what differs between engines is a Connection (connection.py). What a client may conclude is
decided here, and only from what it can know:

- refused, or cut off, before anything could have been committed: failed, it had no effect; unavailable, if the server
  says that it had no room or no time for it;
- cut off after COMMIT was sent, in a statement that is its own transaction, or after an earlier commit of the same call:
  unknown, it may have had one;
- a serialization failure or deadlock: started again from the first step, with a growing random pause; unless the call has
  already committed something, which starting again would do twice. Then only a begin that was refused so is tried again by
  itself (SQLite refuses one while another writes): it did nothing, and no step after it has been said.
"""

import asyncio
import time
from collections.abc import Callable, Coroutine, Mapping
from random import Random
from typing import Any, TypeVar

from integrity.clients.carrier import Abandon, AskOutside
from integrity.clients.connection import Connection
from integrity.errors import Unreachable
from integrity.history import Outcome, Returned
from integrity.numbers import counted
from integrity.operation import (
    RESTARTED,
    Begin,
    Commit,
    Ok,
    Operation,
    Push,
    Reply,
    Request,
    Rollback,
    Rows,
    Statement,
    StatementFailed,
    Step,
    Steps,
    Unavailable,
    Value,
    check_reply,
    check_step,
)
from integrity.sql.literals import as_sent
from integrity.systems.left_open import LastStatement, TransactionLeftOpen, is_writing, may_write_by_functions
from integrity.systems.service import Reaction
from integrity.user_code import place_in_operation, spots_of

Answer = TypeVar("Answer")

TOO_MANY_CONNECTIONS = "53300"
OUT_OF_CAPACITY = {
    "53000": "insufficient_resources",
    "53100": "disk_full",
    "53200": "out_of_memory",
    TOO_MANY_CONNECTIONS: "too_many_connections",
    "53400": "configuration_limit_exceeded",
    "25P04": "transaction_timeout",
    "55P03": "lock_not_available",
    "57014": "query_canceled",
}
"""SQLSTATEs that say what the server has no room or no time for, with PostgreSQL's names of them. 57014 is a statement's
time, 55P03 a lock's."""

PAUSE_S = 0.002
PAUSE_S_MOST = 0.1


class _Restart(Exception):
    """A serialization failure or deadlock, with nothing committed yet."""


class _Abandoned(Exception):
    """The client died."""


class Driver:
    """Drives operations on one connection, one at a time.

    Args:
        connection: opened by whoever owns it; opened again by the driver when an operation goes on after it was cut off.
        random: for the pauses before starting again.
    """

    def __init__(self, connection: Connection, random: Random) -> None:
        self.connection = connection
        self._random = random
        self._is_in_transaction = False
        self._open: list[str] = []  # the statements of its transaction
        self._last = LastStatement()
        self._writes_ms: list[float] = []
        self._may_have_effect = False
        self._abandon: Abandon | None = None
        self._step_count = 0
        self._attempts = 0
        self._request: AskOutside
        self._answered: Callable[[], None] | None = None
        self._push: Callable[[Rows], None] | None = None

    async def call(
        self,
        operation: Operation,
        arguments: Mapping[str, Any],
        request: AskOutside,
        abandon: Abandon | None = None,
        *,
        push: Callable[[Rows], None] | None = None,
        answered: Callable[[], None] | None = None,
    ) -> Returned:
        """See carrier.Carrier."""
        self._abandon, self._step_count, self._may_have_effect = abandon, 0, False
        self._request, self._push, self._answered = request, push, answered
        self._attempts = 0
        self._writes_ms.clear()
        while True:
            self._attempts += 1
            self._is_in_transaction = False
            steps = operation.start(**arguments)
            try:
                reply = await self._attempt(steps)
            except _Restart as restart:
                await self._leave(steps)
                if self._attempts >= self.connection.attempts_most:
                    tried = counted(self._attempts, "attempt")
                    return self._returned(Outcome.FAILED, None, f"{restart} (after {tried})")
                await self._pause(self._attempts)
            except _Abandoned as death:
                steps.close()
                return self._returned(self._without_answer(), None, str(death), was_abandoned=True)
            except StatementFailed as failure:
                await self._leave(steps)
                return self._refused(failure)
            except asyncio.CancelledError:
                steps.close()
                self.connection.abort()
                raise
            except Exception as error:
                await self._leave(steps)
                return self._returned(self._without_answer(), None, _describe_mistake(steps, error))
            else:
                if self._is_in_transaction:
                    await self._roll_back()
                if type(reply) is Ok:
                    return self._returned(Outcome.OK, reply.value)
                outcome = Outcome.UNAVAILABLE if type(reply) is Unavailable else Outcome.DECLINED
                return self._returned(outcome, {"reason": getattr(reply, "reason", None)})

    async def _pause(self, count: int) -> None:
        """Wait before something that collided is tried again, the longer the more often it has."""
        await asyncio.sleep(self._random.uniform(0.1, 1.0) * min(PAUSE_S_MOST, PAUSE_S * 2.0 ** min(count, 10)))

    def _returned(
        self, outcome: Outcome, reply: Mapping[str, Value] | None, error: str = "", *, was_abandoned: bool = False
    ) -> Returned:
        return Returned(outcome, reply, error, self._attempts, was_abandoned, tuple(self._writes_ms))

    def _refused(self, failure: StatementFailed) -> Returned:
        reason = OUT_OF_CAPACITY.get(failure.sqlstate or "")
        if reason is not None and not self._may_have_effect:
            return self._returned(Outcome.UNAVAILABLE, {"reason": reason}, describe(failure))
        return self._returned(self._without_answer(), None, describe(failure))

    def _without_answer(self) -> Outcome:
        return Outcome.UNKNOWN if self._may_have_effect else Outcome.FAILED

    async def _attempt(self, steps: Steps) -> Reply:
        """Return the operation's reply."""
        answer: Any = None
        failure: StatementFailed | None = None
        collisions = 0
        abandon, execute = self._abandon, self.connection.execute
        while True:
            try:
                step = steps.send(answer) if failure is None else steps.throw(failure)
            except StopIteration as stop:
                reply: Reply = stop.value
                check_reply(reply)
                if self._is_in_transaction and type(reply) is Ok:
                    has_id = may_write_by_functions(self._open) and await self.connection.has_written()
                    self._last.check_end(reply, self._open, has_id=has_id)
                return reply
            answer = failure = None
            statement: Statement | None = step if type(step) is Statement else None
            if statement is not None:
                self._last.at(statement, () if statement.place else spots_of(steps))
            if abandon is not None and abandon.after is not None and self._step_count >= abandon.after:
                await self._die_at(step, in_flight=abandon.in_flight)
            try:
                if statement is not None and self._is_in_transaction:
                    # What most steps are, without a detour: a lost connection refuses it.
                    self._open.append(statement.sql)
                    sent = statement if statement.quoted is None else as_sent(statement)
                    answer = await execute(sent.sql, sent.parameters)
                else:
                    answer = await self._carry_out(step)
            except StatementFailed as refused:
                if refused.sqlstate in RESTARTED:
                    if not self._may_have_effect:
                        raise _Restart(describe(refused)) from None
                    collisions += 1
                    await self._pause(collisions)  # an operation that tries again by itself has no clock to wait by
                failure = refused
            self._step_count += 1
            if abandon is not None and abandon.after is None and self._may_have_effect:
                self.connection.abort()
                raise _Abandoned(f"abandoned: the client died right after step {self._step_count}, {_name(step)}")

    async def _carry_out(self, step: Step) -> Rows | Mapping[str, Value] | None:
        """Send one step and return its answer; keep count of what may have been committed."""
        if type(step) is Request:
            return await self._ask(step)
        if type(step) is Push:
            if self._push is not None:
                self._push(step.events)
            return None
        if type(step) is Rollback:
            await self._roll_back()
            return None
        if not self.connection.is_open:
            await self._reopen(step)
        if type(step) is Statement:
            return await self._execute(step)
        if type(step) is Begin:
            await self._begin(step)
        elif type(step) is Commit:
            try:
                await self._committing(self.connection.commit(), writes=any(map(is_writing, self._open)))
            finally:
                self._is_in_transaction = False
        else:
            check_step(step)
        return None

    async def _ask(self, step: Request) -> Mapping[str, Value]:
        """Ask a service; a begin that waits for a statement does not wait for that."""
        if self._is_in_transaction and self.connection.is_open:
            await self.connection.begin_now()
        reaction = self._request(step)
        if not isinstance(reaction, Reaction):
            reaction = await reaction
        if reaction.latency_s:
            await asyncio.sleep(reaction.latency_s)
            if self._answered is not None:
                self._answered()
        return reaction.answer

    async def _execute(self, step: Statement) -> Rows:
        sent = as_sent(step)
        statement = self.connection.execute(sent.sql, sent.parameters)
        if self._is_in_transaction:
            return await statement
        # Alone, even a select may have written, by a function it calls.
        return await self._committing(statement, writes=is_writing(step.sql))

    async def _begin(self, step: Begin) -> None:
        """Begin; a collision there is tried again where the whole operation can no longer be."""
        while True:
            try:
                await self.connection.begin(step)
            except StatementFailed as refused:
                is_last = self._attempts >= self.connection.attempts_most
                if not self._may_have_effect or refused.sqlstate not in RESTARTED or is_last:
                    raise
                await self._pause(self._attempts)
                self._attempts += 1
            else:
                self._is_in_transaction = True
                self._open.clear()
                return

    async def _committing(self, sent: Coroutine[Any, Any, Answer], *, writes: bool) -> Answer:
        """Return the answer to what commits; only when the server itself refused it can nothing have been committed."""
        sent_at_s = time.perf_counter()
        try:
            answer = await sent
        except StatementFailed as failure:
            self._may_have_effect = self._may_have_effect or failure.sqlstate is None
            raise
        except BaseException:
            self._may_have_effect = True
            raise
        self._may_have_effect = True
        if writes:
            self._writes_ms.append((time.perf_counter() - sent_at_s) * 1000)
        return answer

    async def _reopen(self, step: Step) -> None:
        """Connect again for an operation that goes on after it was cut off; its transaction cannot be gone on with."""
        if self._is_in_transaction and type(step) is not Begin:
            raise StatementFailed("the connection was lost, and the transaction with it", sqlstate=None)
        self._is_in_transaction = False
        try:
            await self.connection.open()
        except Unreachable as error:
            raise StatementFailed(error.message, sqlstate=TOO_MANY_CONNECTIONS if error.is_full else None) from None

    async def _roll_back(self) -> None:
        """Roll back; a connection that is cut off meanwhile has rolled back too."""
        self._is_in_transaction = False
        if self.connection.is_open:
            try:
                await self.connection.rollback()
            except StatementFailed:
                self.connection.abort()

    async def _leave(self, steps: Steps) -> None:
        """Close the generator, and roll back what it left open."""
        steps.close()
        if self._is_in_transaction:
            await self._roll_back()

    async def _die_at(self, step: Step, *, in_flight: bool) -> None:
        word = "before"
        if in_flight and type(step) is Request:
            word = "while waiting for"
            self._request(step)  # the service acts on it all the same
            self.connection.abort()
        elif in_flight and type(step) in (Statement, Commit):
            word = "while waiting for"
            if type(step) is Commit or not self._is_in_transaction:
                self._may_have_effect = True
            sent = asyncio.ensure_future(self._carry_out(step))
            await asyncio.sleep(0)  # once round the loop, so that it is on its way
            self.connection.abort()
            await asyncio.wait([sent])
            if not sent.cancelled():
                sent.exception()  # nobody is left to read the answer
        else:
            self.connection.abort()
        self._is_in_transaction = False
        raise _Abandoned(f"abandoned: the client died {word} step {self._step_count + 1}, {_name(step)}")


def _name(step: Step) -> str:
    return type(step).__name__.lower()


def describe(failure: StatementFailed) -> str:
    """Return "SQLSTATE message", the message's first line only; "connection lost: ..." without an SQLSTATE."""
    first = (str(failure).strip().splitlines() or [""])[0]
    return f"{failure.sqlstate} {first}" if failure.sqlstate else f"connection lost: {first}"


def _describe_mistake(steps: Steps, error: Exception) -> str:
    """Return what went wrong in an operation's own code, with its place."""
    place = place_in_operation(steps, error)
    if isinstance(error, TransactionLeftOpen):
        return f"{place}: {error}"
    return f"the operation raised {type(error).__name__}: {error}{f' ({place})' if place else ''}"
