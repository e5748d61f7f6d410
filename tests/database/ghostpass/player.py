"""A tiny player of interleavings: two clients on PostgreSQL, their steps taken in the order that a schedule's letters say.

One letter is one step of that client: begin, a statement, commit or rollback; a statement outside a transaction is two, its
execution and its commit. A client that waits for a lock passes its letters up until it has got it; whoever has steps left
when the letters have run out goes on to the end. It is small enough to be believed, and only for tests.
"""

import itertools
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextlib import closing
from typing import Any
from uuid import UUID

import psycopg
from psycopg.rows import dict_row

from integrity.engines.target import Target
from integrity.operation import Begin, Commit, Operation, Reply, Request, Rollback, Statement, Step, Steps
from integrity.sql.parameters import number_parameters
from tests.database.ghostpass.world import FILES, NOW
from tests.database.worlds import PostgresEngine

POLL_S = 0.002
STEPS_MAX = 200


def operation_ids() -> Iterator[UUID]:
    """Yield ids that the world does not use, in order."""
    return (UUID(int=number) for number in itertools.count(100))


class Client:
    """An operation under way on a connection of its own."""

    def __init__(self, target: Target, steps: Steps) -> None:
        self.connection = target.connect()
        self.reply: Reply | None = None
        self._steps = steps
        self._is_in_transaction = False
        self._owes_commit = False
        self._next: Step | None = None
        self._advance(None)

    @property
    def is_done(self) -> bool:
        return self._next is None and not self._owes_commit

    def step(self) -> None:
        """Take one step, waiting for locks as long as it takes."""
        if self._owes_commit:
            self.connection.execute("commit")
            self._owes_commit = False
            return
        step = self._next
        rows: Any = None
        if isinstance(step, Statement):
            if not self._is_in_transaction:
                self.connection.execute("begin")
                self._owes_commit = True
            rows = self._execute(step)
        elif isinstance(step, Begin | Commit | Rollback):
            self.connection.execute(type(step).__name__.lower().encode())
            self._is_in_transaction = isinstance(step, Begin)
        else:
            assert isinstance(step, Request)
            rows = {}
        self._advance(rows)

    def _execute(self, statement: Statement) -> list[dict[str, Any]]:
        text, names = number_parameters(statement.sql)
        cursor = psycopg.RawCursor(self.connection, row_factory=dict_row)
        cursor.execute(text.encode(), [statement.parameters[name] for name in names])
        return cursor.fetchall() if cursor.description else []

    def _advance(self, answer: Any) -> None:
        try:
            self._next = self._steps.send(answer)
        except StopIteration as stop:
            self._next, self.reply = None, stop.value


def call(
    target: Target, operation: Operation, arguments: Mapping[str, Any], *, dies_after: int = STEPS_MAX
) -> Reply | None:
    """Return the reply to one operation played alone; None when its client dies after that many steps."""
    client = Client(target, operation.steps(**arguments))
    with closing(client.connection):
        for _ in range(dies_after):
            if client.is_done:
                break
            client.step()
        return client.reply


def play(target: Target, calls: Sequence[Steps], schedule: str) -> tuple[list[Reply | None], int]:
    """Return the replies of the calls, and how many steps were left when the letters had run out."""
    clients = [Client(target, steps) for steps in calls]
    with ThreadPoolExecutor(len(clients)) as pool, closing(target.connect()) as watcher:
        waiting: list[Future[None] | None] = [None] * len(clients)

        def advance(number: int) -> bool:
            """Take the client's next step; return False when it has none, or still waits for an earlier one's lock."""
            client, earlier = clients[number], waiting[number]
            if earlier is None and client.is_done:
                return False
            future = earlier or pool.submit(client.step)
            while not wait([future], POLL_S).done:
                blockers = watcher.execute("select pg_blocking_pids(%s)", (client.connection.info.backend_pid,)).fetchone()
                if blockers is not None and blockers[0]:
                    waiting[number] = future
                    return False
            waiting[number] = None
            future.result()
            return True

        for letter in schedule:
            advance("AB".index(letter))
        left = 0
        while not all(client.is_done for client in clients):
            left += sum([advance(number) for number in range(len(clients))])
    for client in clients:
        client.connection.close()
    return [client.reply for client in clients], left


def find_violated(target: Target) -> set[str]:
    """Return the names of the invariants that the database violates."""
    with closing(target.connect()) as connection:
        engine = PostgresEngine(connection)
        return {file.name for file in FILES.values() if engine.run(file, file.values({}, now=NOW))}
