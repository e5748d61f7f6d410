"""Plays one call of streamvote at a time on PostgreSQL, with its outside services at hand.

Steps are taken one by one, so that a test can let a client die after some of them, or do something in between.
"""

from collections.abc import Callable, Mapping
from contextlib import closing
from dataclasses import dataclass, field
from random import Random
from typing import Any
from uuid import UUID

from psycopg import RawCursor
from psycopg.rows import dict_row

from integrity.engines.target import Target
from integrity.operation import Begin, Commit, Push, Reply, Request, Rollback, Row, Statement, Step
from integrity.reference.streamvote.system import STREAMVOTE
from integrity.sql.parameters import number_parameters
from integrity.systems.service import Answer, Context, ServiceSettings
from integrity.systems.system import Bug
from tests.database.streamvote.world import FILES, NOW
from tests.database.worlds import PostgresEngine

STEPS_MAX = 200


def _do_nothing(_number: int, _step: Step) -> None:
    """What most tests do between the steps."""


@dataclass
class Player:
    """A database, and services that remember from call to call.

    Args:
        settings: how services behave.
        asked: what was asked of them, in order.
        pushed: what was sent down streams.
    """

    target: Target
    settings: ServiceSettings = field(default_factory=ServiceSettings)
    memory: dict[str, dict[str, Any]] = field(default_factory=dict)
    asked: list[tuple[str, Mapping[str, Any]]] = field(default_factory=list)
    pushed: list[Row] = field(default_factory=list)

    def call(
        self,
        operation: str,
        arguments: Mapping[str, Any],
        operation_id: UUID,
        *,
        bug: Bug | None = None,
        dies_after: int = STEPS_MAX,
        before: Callable[[int, Step], None] = _do_nothing,
    ) -> Reply | None:
        """Return the reply; None when the client dies after that many steps.

        Args:
            before: called with each step and its number, from 0, before it is taken.
        """
        steps = STREAMVOTE.operations_with(bug)[operation].steps(operation_id=operation_id, **arguments)
        answer: Any = None
        with closing(self.target.connect()) as connection:
            for number in range(dies_after):
                try:
                    step = steps.send(answer)
                except StopIteration as stop:
                    reply: Reply = stop.value
                    return reply
                before(number, step)
                answer = None
                match step:
                    case Statement():
                        text, names = number_parameters(step.sql)
                        cursor = RawCursor(connection, row_factory=dict_row)
                        cursor.execute(text.encode(), [step.parameters[name] for name in names])
                        answer = cursor.fetchall() if cursor.description else []
                    case Begin() | Commit() | Rollback():
                        connection.execute(type(step).__name__.lower().encode())
                    case Request():
                        answer = self._answer(step)
                    case Push():
                        self.pushed += step.events
        return None

    def execute(self, *statements: str) -> None:
        """Change the database by hand."""
        with closing(self.target.connect()) as connection:
            for statement in statements:
                connection.execute(statement.encode())

    def violated(self) -> set[str]:
        """Return the names of the invariants that are violated."""
        with closing(self.target.connect()) as connection:
            engine = PostgresEngine(connection)
            return {file.name for file in FILES.values() if engine.run(file, file.values({}, now=NOW))}

    def _answer(self, request: Request) -> Answer:
        """Return a service's answer; its webhooks are left out, they are calls of their own."""
        self.asked.append((request.service, request.payload))
        context = Context(Random(0), self.settings, self.memory.setdefault(request.service, {}))
        return STREAMVOTE.services[request.service](request.payload, context).answer
