"""A wire to SQLite: a connection with no patience, and what it touched and holds.

SQLite is asked in-process and answers at once; where it is busy it says so, as it would after any patience of its own.
What that means follows from its source (sqlite3BtreeBeginTrans): only a connection that has not read anything in its
transaction yet may wait for the lock, and so may a commit, for readers, where there is no write-ahead log. Such a statement
waits here too, until `retry` gets through. One that has read and would write now cannot wait, as what it read may be old
when its turn comes: that is a refusal, SQLITE_BUSY while another writes and SQLITE_BUSY_SNAPSHOT when another has written.

What a statement touches is told by SQLite's authorizer as it is compiled, so views, triggers and foreign keys count as what
they do.
"""

import math
import sqlite3
import time
from collections import deque
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from types import MappingProxyType

from integrity.engines.sqlite.dialect import adapt, sqlstate_of, to_sqlite
from integrity.engines.values import from_text
from integrity.operation import Begin, Row, Statement
from integrity.race.program.wire import Answer, Refusal, distinct_names
from integrity.sql.literals import as_sent

BEGIN_DEFERRED = Statement("begin")
BEGIN_IMMEDIATE = Statement("begin immediate")
_BEGINS = (BEGIN_DEFERRED, BEGIN_IMMEDIATE)
_TICK = 1000  # steps of SQLite's machine between two looks at the clock, about 50 us
_WRITES = {sqlite3.SQLITE_INSERT, sqlite3.SQLITE_UPDATE, sqlite3.SQLITE_DELETE}

TableName = tuple[str, str]
"""Schema, "main" unless it is attached, and table."""


@dataclass(frozen=True, slots=True)
class NumberedColumn:
    """The column of a table that SQLite numbers by itself.

    Args:
        source: the table's number and the column's.
    """

    name: str
    source: tuple[int, int]


@dataclass(slots=True)
class Uses:
    """The tables that a statement reads and writes, or a transaction."""

    reads: set[TableName] = field(default_factory=set)
    writes: set[TableName] = field(default_factory=set)

    def add(self, other: "Uses") -> None:
        self.reads |= other.reads
        self.writes |= other.writes


class SqliteReader:
    """Executes statements as they stand and says where their columns come from.

    Args:
        connection: of its own.
        numbered: tables with a column that SQLite numbers.
        seconds_max: a statement that takes longer is interrupted.
    """

    def __init__(
        self, connection: sqlite3.Connection, numbered: Mapping[TableName, NumberedColumn], *, seconds_max: float
    ) -> None:
        self.connection = connection
        self._numbered = numbered
        self._seconds_max = seconds_max
        self._deadline = math.inf
        self._compiled = Uses()
        self._uses: dict[str, Uses] = {}
        self._now = ""
        # SQLite's own is in whole seconds: too coarse to tell the rows of a stage from those of the calls.
        connection.create_function("current_timestamp", 0, lambda: self._now)
        connection.set_authorizer(self._note)
        connection.set_progress_handler(self._is_late, _TICK)

    def execute(self, sql: str, statement: Statement, *, ends_at: float = math.inf) -> tuple[Answer, Uses]:
        """Return the answer and what the statement touches.

        Args:
            sql: the statement in SQLite's words.
            ends_at: by the monotonic clock: it is interrupted then.

        Raises:
            sqlite3.Error: it was refused.
        """
        self._compiled = Uses()
        self._deadline = min(time.monotonic() + self._seconds_max, ends_at)
        self.read_clock()
        values = {name: to_sqlite(value) for name, value in statement.parameters.items()}
        try:
            cursor = self.connection.execute(sql, values)
            names = distinct_names([each[0] for each in cursor.description or ()])
            rows = tuple(dict(zip(names, row, strict=True)) for row in cursor.fetchall())
        except sqlite3.Error as error:
            # Ctrl-C is noticed in a callback, where Python swallows it: nothing here ever says no, nor stop before time.
            is_early = _name(error) == "SQLITE_INTERRUPT" and time.monotonic() <= self._deadline
            if is_early or _name(error) == "SQLITE_AUTH":
                raise KeyboardInterrupt from None
            raise
        finally:
            self._deadline = math.inf
            # A text is compiled once, also where it then finds the database busy.
            uses = self._uses.setdefault(sql, self._compiled)
        verb = sql.split(None, 1)[0].upper()
        count = len(rows) if cursor.description else cursor.rowcount
        tag = f"INSERT 0 {count}" if verb == "INSERT" else f"{verb} {count}"
        return Answer(rows, tag, self._sources([each[0] for each in cursor.description or ()], uses)), uses

    def read_clock(self) -> datetime:
        """Return the time; until the next statement it is the current one."""
        now = datetime.now(UTC)
        self._now = to_sqlite(now)
        return now

    def _sources(self, names: Collection[str], uses: Uses) -> tuple[tuple[int, int], ...]:
        """Return for each column which numbered one it is, if it is called like one of a table that was touched."""
        touched = [self._numbered[table] for table in uses.reads | uses.writes if table in self._numbered]
        by_name = {column.name: column.source for column in touched}
        return tuple(by_name.get(name, (0, 0)) for name in names)

    def _note(self, action: int, one: str | None, _other: str | None, schema: str | None, _by: str | None) -> int:
        if one and schema and not one.startswith("sqlite_"):
            if action == sqlite3.SQLITE_READ:
                self._compiled.reads.add((schema, one))
            elif action in _WRITES:
                self._compiled.writes.add((schema, one))
        return sqlite3.SQLITE_OK

    def _is_late(self) -> int:
        return time.monotonic() > self._deadline


class SqliteWire:
    """One connection of an actor; see wire.Wire for what its methods promise."""

    written = Statement("has_written")  # not SQL: what holds the lock is known here
    has_writing_functions = False
    patience: Mapping[bool, Statement] = MappingProxyType({})  # no two ever wait for each other

    def __init__(self, reader: SqliteReader) -> None:
        self._reader = reader
        self._connection = reader.connection
        self._pending: deque[Statement] = deque()
        self._answers: list[Answer] = []
        self._refused_begin: Refusal | None = None
        self.looks = 0
        self.uses = Uses()
        self.is_waiting = False
        self.holds_lock = False
        self.is_late = False
        self.ends_at = math.inf

    @property
    def is_committing(self) -> bool:
        """It waits with a commit."""
        return self.is_waiting and self._pending[0].sql == "commit"

    @property
    def is_refusing(self) -> bool:
        return False

    @property
    def is_in_transaction(self) -> bool:
        return self._connection.in_transaction

    def noticeable(self, standing: frozenset[str]) -> Statement:
        return self.written

    def begin(self, begin: Begin, *, is_deferred: bool) -> Statement:
        return BEGIN_DEFERRED if is_deferred or begin.is_read_only else BEGIN_IMMEDIATE

    def send(self, commands: Sequence[Statement]) -> None:
        self._pending.extend(commands)
        self._answers = []
        self._refused_begin = None
        self._go_on()

    def receive(self) -> list[Answer] | None:
        return None if self.is_waiting else self._answers

    def retry(self) -> bool:
        """Try again what waits; return whether it got through."""
        self._go_on()
        return not self.is_waiting

    def reset(self) -> None:
        temporary = self._connection.execute("select type, name from sqlite_temp_master where type in ('table', 'view')")
        for kind, name in temporary.fetchall():
            self._connection.execute(f'drop {kind} temp."{name}"')

    def cancel(self) -> None:
        self._connection.interrupt()

    def close(self) -> None:
        self._connection.close()

    def _go_on(self) -> None:
        self.is_waiting = False
        while self._pending:
            answer = self._try(self._pending[0])
            if answer is None:
                self.is_waiting = True
                return
            self._pending.popleft()
            self._answers.append(answer)

    def _try(self, command: Statement) -> Answer | None:
        """Return the answer, or None if it must wait."""
        if command is self.written:
            return Answer(({"has_written": self.holds_lock, "is_noticeable": self.holds_lock},), "SELECT 1")
        if self._refused_begin:
            return Answer(refusal=self._refused_begin)
        try:
            return self._execute(command)
        except sqlite3.Error as error:
            if _is_busy(error) and (command.sql == "commit" or not self._has_touched):
                return None
            if command.sql == "commit":
                self._roll_back()  # PostgreSQL has by then, and so has the workload's driver
            if not self._connection.in_transaction:  # `insert or rollback`, a full disk: it has rolled back all
                self._forget()
            self.is_late |= _name(error) == "SQLITE_INTERRUPT"
            refusal = Refusal(sqlstate_of(error), _message(error))
            if command in _BEGINS:
                self._refused_begin = refusal
            return Answer(refusal=refusal)

    def _execute(self, command: Statement) -> Answer:
        if command in _BEGINS:
            self._connection.execute(command.sql)
            self.holds_lock = command is BEGIN_IMMEDIATE
            return Answer(tag="BEGIN")
        if command.sql == "commit":
            self._connection.execute("commit")
            self._forget()
            return Answer(tag="COMMIT")
        if command.sql == "rollback":
            self._roll_back()
            return Answer(tag="ROLLBACK")
        sent = as_sent(command)
        answer, uses = self._reader.execute(adapt(sent.sql, "sqlite"), sent, ends_at=self.ends_at)
        self.uses.add(uses)
        self.holds_lock |= bool(uses.writes)
        return answer

    @property
    def _has_touched(self) -> bool:
        """Something has been read or written in the transaction: it can wait for nothing any more."""
        return self.holds_lock or bool(self.uses.reads or self.uses.writes)

    def _roll_back(self) -> None:
        if self._connection.in_transaction:  # SQLite itself rolls back on some errors, a full disk for one
            self._connection.execute("rollback")
        self._forget()

    def _forget(self) -> None:
        self.uses = Uses()
        self.holds_lock = False


def typed(answer: Answer) -> Answer:
    """Return the answer with ids and times as such: SQLite has them as text."""
    return Answer(tuple(_typed_row(row) for row in answer.rows), answer.tag, answer.sources)


def _typed_row(row: Row) -> Row:
    return {name: from_text(value) for name, value in row.items()}


def _is_busy(error: sqlite3.Error) -> bool:
    return _name(error).startswith("SQLITE_BUSY")


def _message(error: sqlite3.Error) -> str:
    return f"{error} ({_name(error)})" if _name(error).startswith("SQLITE_BUSY") else str(error)


def _name(error: sqlite3.Error) -> str:
    return getattr(error, "sqlite_errorname", "")  # one of Python's own, about parameters for example, has none
