"""A playground: a scratch database on which calls of a system are made one after the other, and its invariants asked.

Every sequence begins with the same rows: the tables are emptied, what numbers their rows begins anew, and the stage is
inserted. A transaction around a sequence that is rolled back at its end would not be the same: the calls begin and commit
their own, deferred constraints are checked as those end, and `now()` stands still within one. Nor is it needed: to begin
anew takes 4 ms for the 44 rows of ghostpass.

The calls are carried out by the driver that carries out those of a run, and written down in the same tables, so that the
invariants are asked as an audit asks them, text by text: nothing is narrowed and none is left out.
"""

import asyncio
import time
from collections.abc import Callable, Coroutine, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from random import Random
from typing import Any, Self, TypeVar
from uuid import UUID

from integrity.clients.connection import make_connection
from integrity.clients.driver import Driver
from integrity.database.made import OURS
from integrity.database.names import located
from integrity.database.namespace import keep_books
from integrity.engines.spelling import NotPortable
from integrity.engines.target import Target
from integrity.errors import UsageError
from integrity.history import Outcome, Returned, make_operation_id
from integrity.operation import Allowed, Operation, Request, Row, Rows, Statement, Value
from integrity.race.play.engine import RaceEngine
from integrity.race.play.parts import beginning_anew, open_engine, relaxing
from integrity.race.trial.scratch import scratch_database
from integrity.sequences.books import TABLES, Books, MadeCall
from integrity.sequences.outside import Outside, Webhook
from integrity.sql.file import SqlFile
from integrity.sql.header import Moment
from integrity.sql.tokens import without_semicolon
from integrity.systems.service import Reaction
from integrity.systems.stage import Stage
from integrity.systems.system import Bug, System

Done = TypeVar("Done")

STATEMENT_SECONDS_MAX = 60.0
ROUNDS_MAX = 6
"""What so many rounds of deliveries and sweeps leave open, no more will come of."""

_CALLER = 1
"""The client that makes all calls; those who keep streams open come behind it."""


@dataclass(slots=True)
class OpenStream:
    """A client that keeps a stream open.

    Args:
        client: its number, the same when it comes back.
        arguments: that it opened the stream with, without the cursor.
        cursor: up to where it has seen the stream.
        opened_by: the operation_id of the call that opened it; None: it is not open.
    """

    client: int
    operation: str
    arguments: Mapping[str, Value]
    cursor: Any = None
    opened_by: UUID | None = None


@dataclass(frozen=True, slots=True)
class Violated:
    """An invariant, and the rows that violate it."""

    file: SqlFile
    rows: Sequence[Row]


@dataclass(slots=True)
class _Sequence:
    """One sequence of calls.

    Args:
        keys: by pool, those of the stage.
        calls: those that were made.
        streams: all that were ever opened.
    """

    outside: Outside
    books: Books
    began_at: datetime
    keys: dict[str, list[Any]] = field(default_factory=dict)
    calls: list[MadeCall] = field(default_factory=list)
    streams: list[OpenStream] = field(default_factory=list)


class Playground:
    """A context manager: the scratch database, `database`, is made as it is entered, and dropped at the end.

    Args:
        target: the server to make it on.
        files: the invariants.
        bug: planted.
        stage: the rows that a sequence begins with; None: those of the system's stage, if it has one.
        test_database: the name of a database that its owner says is a test database.
    """

    def __init__(
        self,
        target: Target,
        system: System,
        files: Sequence[SqlFile],
        *,
        bug: Bug | None = None,
        stage: Callable[[], Stage] | None = None,
        test_database: str | None = None,
    ) -> None:
        self._target = target
        self._system = system
        self._files = files
        self._bug = bug
        self._stage = stage
        self._test_database = test_database
        self._operations = system.operations_with(bug)
        self._stack = ExitStack()

    def __enter__(self) -> Self:
        """Make the database.

        Raises:
            UsageError: an invariant cannot be read, or said on this engine.
            DatabaseError: the server is gone.
        """
        self._system = system = self._system.on(self._target)
        self._stage = self._stage or system.stage
        with ExitStack() as stack:
            self.database = database = stack.enter_context(
                scratch_database(self._target, system, bug=self._bug, test_database=self._test_database)
            )
            keep_books(database, system)
            self._questions = [_Question(file, database) for file in self._files]
            self._engine: RaceEngine = open_engine(database, letter_seconds_max=STATEMENT_SECONDS_MAX, has_books=True)
            stack.callback(self._engine.close)
            names = [located(table, database.dialect) for table in reversed(system.metadata.sorted_tables)]
            self._begin_anew = beginning_anew(database, self._engine.ask, [*names, *(f"{OURS}.{name}" for name in TABLES)])
            self._relaxing = relaxing(database, self._engine.ask)
            self._loop = asyncio.new_event_loop()
            stack.callback(self._loop.close)
            connection = make_connection(database, (*system.schemas, OURS), has_fine_clock=True)
            self._driver = Driver(connection, Random(0))
            stack.callback(self._hang_up)
            self._stack = stack.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the connections and drop the database."""
        self._stack.close()

    @property
    def outside(self) -> Outside:
        """The services of the sequence under way."""
        return self._sequence.outside

    @property
    def calls(self) -> Sequence[MadeCall]:
        """The calls of the sequence under way."""
        return self._sequence.calls

    @property
    def keys(self) -> Mapping[str, Sequence[Any]]:
        """The keys of the sequence's stage, by pool."""
        return self._sequence.keys

    def begin(self) -> None:
        """Begin a sequence: the rows of the stage, and no others.

        Raises:
            DatabaseError: the database refuses a row, or is gone.
        """
        self._engine.ask(self._begin_anew)
        self._random = Random(0)
        staged = self._engine.insert(self._stage()).keys if self._stage is not None else {}
        began_at = self._engine.read_clock()  # what the stage made, no call asked for
        self._sequence = _Sequence(Outside(self._system.services), Books(self._engine.ask), began_at)
        for name, key in staged.items():
            self._sequence.keys.setdefault(name.rpartition("_")[0], []).append(key)
        self._sequence.books.begin(self._system.name, began_at)

    def call(self, operation: str, arguments: Mapping[str, Value]) -> MadeCall:
        """Make a call, and write it down as a run would have.

        Raises:
            DatabaseError: the server is gone.
        """
        return self._call(operation, arguments, _CALLER)

    def deliver(self, webhook: Webhook) -> MadeCall:
        """Make the call of a webhook; it is owed until it was answered."""
        made = self.call(webhook.operation, webhook.arguments)
        if made.returned.outcome.is_answer:
            self.outside.answer(webhook)
        return made

    def open_stream(self, operation: str, arguments: Mapping[str, Value]) -> tuple[OpenStream, MadeCall]:
        """Let a new client open a stream, from now on.

        Args:
            arguments: without the cursor.
        """
        stream = OpenStream(_CALLER + 1 + len(self._sequence.streams), operation, arguments)
        self._sequence.streams.append(stream)
        return stream, self.come_back(stream)

    def come_back(self, stream: OpenStream) -> MadeCall:
        """Let a client open its stream again, from where it had seen it."""
        cursor = self._system.subscriptions[stream.operation].cursor
        made = self._call(stream.operation, {**stream.arguments, cursor: stream.cursor}, stream.client)
        self._go_on(stream, made.operation_id, cursor, made.returned)
        return made

    def follow(self, stream: OpenStream) -> None:
        """Let a client take what its stream has brought since it last looked."""
        if stream.opened_by is None:
            return
        subscription, opened_by = self._system.subscriptions[stream.operation], stream.opened_by
        arguments = {**stream.arguments, subscription.cursor: stream.cursor, "operation_id": opened_by}
        books = self._sequence.books
        returned = self._drive(
            subscription.follow,
            arguments,
            self.outside.react,
            lambda events: books.note_received(opened_by, stream.client, events),
        )
        books.write()
        self._go_on(stream, opened_by, subscription.cursor, returned)

    def ask(self) -> Sequence[Violated]:
        """Return the invariants that are violated now.

        Raises:
            DatabaseError: one of them cannot be asked.
        """
        now = datetime.now(UTC)
        answers = self._engine.ask([question.statement(now) for question in self._questions])
        return [
            Violated(question.file, answer.rows)
            for question, answer in zip(self._questions, answers, strict=True)
            if answer.rows
        ]

    def settle(self) -> None:
        """Let all come to its end: what is owed is delivered, what is open taken up, streams bring what was sent."""
        self.outside.behave()
        for _ in range(ROUNDS_MAX):
            owed, taken_up = self.outside.unanswered(), self._find_open()
            if not owed and not taken_up:
                break
            for webhook in owed:
                self.deliver(webhook)
            for operation, arguments in taken_up:
                self.call(operation, arguments)
        for stream in self._sequence.streams:
            if stream.opened_by is None:
                self.come_back(stream)
            self.follow(stream)
        if not self.outside.owed:
            self._sequence.books.settle()

    def allowed(self, operation: str) -> Allowed:
        """Return what calls of the operation may come to."""
        return self._system.allowed | self._operations[operation].allowed

    def _call(self, operation: str, arguments: Mapping[str, Value], client: int) -> MadeCall:
        books, invoked_at = self._sequence.books, datetime.now(UTC)
        operation_id = make_operation_id(time.time_ns() // 1_000_000, self._random)

        def request(step: Request) -> Reaction:
            reaction = self.outside.react(step)
            books.note_request(operation_id, step, reaction.answer)
            return reaction

        returned = self._drive(
            self._operations[operation],
            {**arguments, "operation_id": operation_id},
            request,
            lambda events: books.note_received(operation_id, client, events),
        )
        made = MadeCall(operation, arguments, returned, operation_id, client, invoked_at)
        books.write_call(made)
        self._sequence.calls.append(made)
        return made

    def _drive(
        self,
        operation: Operation,
        arguments: Mapping[str, Any],
        request: Callable[[Request], Reaction],
        push: Callable[[Rows], None],
    ) -> Returned:
        async def drive() -> Returned:
            await self._open()
            return await self._driver.call(operation, arguments, request, push=push)

        return self._finish(drive())

    def _hang_up(self) -> None:
        with suppress(RuntimeError):  # a process that ends has no threads any more, and SQLite's connection needs one
            self._finish(self._driver.connection.close())

    def _finish(self, work: Coroutine[Any, Any, Done]) -> Done:
        """Return what it comes to; on another thread where this one runs a loop, such as that of a test."""
        try:
            asyncio.get_running_loop()
        except RuntimeError:
            return self._loop.run_until_complete(work)
        with ThreadPoolExecutor(max_workers=1, thread_name_prefix="playground") as thread:
            return thread.submit(self._loop.run_until_complete, work).result()

    async def _open(self) -> None:
        connection = self._driver.connection
        if not connection.is_open:
            await connection.open()
            for statement in self._relaxing:
                await connection.execute(statement.sql, {})

    def _go_on(self, stream: OpenStream, operation_id: UUID, cursor: str, returned: Returned) -> None:
        is_open = returned.outcome is Outcome.OK and returned.reply is not None
        stream.opened_by = operation_id if is_open else None
        if is_open:
            assert returned.reply is not None
            stream.cursor = returned.reply[cursor]

    def _find_open(self) -> Sequence[tuple[str, Mapping[str, Value]]]:
        """Return the calls that take up what is open."""

        async def read(sql: str) -> Rows:
            await self._open()
            return await self._driver.connection.execute(sql, {"began_at": self._sequence.began_at})

        return [
            (sweep.operation, {name: value for name, value in dict(row).items() if name != "open_count"})
            for sweep in self._system.sweeps
            for row in self._finish(read(sweep.open))
        ]


class _Question:
    """An invariant as a statement.

    Raises:
        UsageError: it cannot be read, or not be said on this engine.
    """

    def __init__(self, file: SqlFile, target: Target) -> None:
        if file.fault:
            raise UsageError(file.fault)
        self.file = file
        try:
            self._sql = target.engine.spelling.adapted(without_semicolon(file.query), file.types)
        except NotPortable as error:
            raise UsageError(
                f"{file.name} uses {error}, which cannot be said in {target.engine.title}",
                hint="Play on a target that knows it, or leave the invariant out: select=...",
            ) from None
        self._is_timed = any(isinstance(parameter.default, Moment) for parameter in file.parameters)
        self._statement = self._at(datetime.now(UTC))

    def statement(self, now: datetime) -> Statement:
        """Return the statement, for the time at which it is asked."""
        return self._at(now) if self._is_timed else self._statement

    def _at(self, now: datetime) -> Statement:
        return Statement(self._sql, self.file.values({}, now=now))
