"""Plays one call of inbox at a time on PostgreSQL, with the outside services at hand: what they know can be asked.

Steps are taken one by one, so that a test can let a client die after some of them, or look on in between.
"""

from collections.abc import Mapping
from contextlib import closing
from dataclasses import dataclass, field
from random import Random
from typing import Any
from uuid import UUID

import psycopg
from psycopg.rows import dict_row

from integrity.engines.target import Target
from integrity.operation import Begin, Commit, Push, Reply, Request, Rollback, Statement, Step, Value
from integrity.reference.inbox.system import INBOX
from integrity.sql.parameters import number_parameters
from integrity.systems.service import Answer, Context, ServiceSettings
from integrity.systems.system import Bug
from tests.database.inbox.world import FILES, NOW
from tests.database.worlds import PostgresEngine

STEPS_MAX = 200


class _Fixed(Random):
    """Draws the same number for ever."""

    def __init__(self, value: float) -> None:
        super().__init__(0)
        self._value = value

    def random(self) -> float:
        return self._value


LOST = (ServiceSettings(timeout_share=1.0, timeout_s=0.0), 0.9)  # the answer never comes, and nothing was done
DONE = (ServiceSettings(timeout_share=1.0, timeout_s=0.0), 0.1)  # the answer never comes, and it was done
REFUSED = (ServiceSettings(error_share=1.0), 0.5)
FAILING = (ServiceSettings(failure_share=1.0), 0.5)
REJECTING = (ServiceSettings(failure_share=1.0), 0.1)


@dataclass
class Outside:
    """The outside services of one test; what they remember is kept from call to call."""

    memory: dict[str, dict[str, Any]] = field(default_factory=dict)
    asked: list[tuple[str, Mapping[str, Value]]] = field(default_factory=list)

    def answer(self, request: Request, mood: tuple[ServiceSettings, float]) -> Answer:
        """Return a service's answer; its webhooks are left out, they are calls of their own.

        Args:
            mood: how it behaves, and what it draws.
        """
        settings, drawn = mood
        self.asked.append((request.service, request.payload))
        context = Context(_Fixed(drawn), settings, self.memory.setdefault(request.service, {}))
        return INBOX.services[request.service](request.payload, context).answer


GOOD = (ServiceSettings(), 0.5)


class Played:
    """A call under way on a connection of its own; taken up by `step` or `finish`."""

    def __init__(
        self,
        target: Target,
        outside: Outside,
        operation: str,
        arguments: Mapping[str, Any],
        operation_id: int,
        *,
        bug: Bug | None = None,
        mood: tuple[ServiceSettings, float] = GOOD,
    ) -> None:
        self.reply: Reply | None = None
        self._connection = target.connect()
        self._outside, self._mood = outside, mood
        steps = INBOX.operations_with(bug)[operation].steps
        self._steps = steps(operation_id=UUID(int=operation_id), **arguments)
        self._is_in_transaction = False
        self._next: Step | None = None
        self._advance(None)

    @property
    def next_step(self) -> Step | None:
        """What it is about to do; None at its end."""
        return self._next

    def step(self) -> None:
        """Take one step; a statement outside a transaction is committed with it."""
        step = self._next
        answer: Any = None
        if isinstance(step, Statement):
            answer = self._execute(step)
        elif isinstance(step, Begin | Commit | Rollback):
            self._connection.execute(type(step).__name__.lower().encode())
        elif not isinstance(step, Push):
            assert isinstance(step, Request)
            answer = self._outside.answer(step, self._mood)
        self._advance(answer)

    def finish(self) -> Reply:
        """Take all steps that are left and return the reply."""
        for _ in range(STEPS_MAX):
            if self._next is None:
                break
            self.step()
        self.die()
        assert self.reply is not None
        return self.reply

    def die(self) -> None:
        """Close the connection, whatever is open on it."""
        self._connection.close()

    def _execute(self, statement: Statement) -> list[dict[str, Any]]:
        text, names = number_parameters(statement.sql)
        cursor = psycopg.RawCursor(self._connection, row_factory=dict_row)
        cursor.execute(text.encode(), [statement.parameters[name] for name in names])
        return cursor.fetchall() if cursor.description else []

    def _advance(self, answer: Any) -> None:
        try:
            self._next = self._steps.send(answer)
        except StopIteration as stop:
            self._next, self.reply = None, stop.value


def find_violated(target: Target) -> set[str]:
    """Return the names of the invariants that the database violates."""
    with closing(target.connect()) as connection:
        engine = PostgresEngine(connection)
        return {file.name for file in FILES.values() if engine.run(file, file.values({}, now=NOW))}
