"""SQLite as an engine: one connection an actor and one beside them, all of this process, on a scratch file.

SQLite has one writer, so its locks are few: whoever waits for one waits for the actor that holds the write lock, and a
commit, where there is no write-ahead log, for all that are reading. No two ever wait for each other; so there are no
deadlocks, and who waits longest gets through first.
"""

import math
import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from datetime import datetime
from typing import Any

from integrity.database.made import OURS
from integrity.engines.schemas import schema_from
from integrity.engines.sqlite.dialect import in_main_file, to_sqlite
from integrity.engines.target import Target
from integrity.operation import Statement
from integrity.race.play.footprint import Footprint
from integrity.race.play.row_by_row import insert_row_by_row
from integrity.race.play.session import Session
from integrity.race.play.sqlite.wire import NumberedColumn, SqliteReader, SqliteWire, TableName, typed
from integrity.race.play.staging import (
    Staged,
    TableFacts,
    check_shape,
    facts_of,
    quoted_table,
    resolve,
    shape_of,
    staged,
    telling_refusal,
)
from integrity.race.program.trace import one_line
from integrity.race.program.wire import Answer, LetterTimeout, StatementRefused
from integrity.sql.name import quoted
from integrity.systems.stage import Stage

_LOCK = 1  # the write lock, as a bit of a footprint


def open_engine(target: Target, *, letter_seconds_max: float, has_books: bool) -> "SqliteRaceEngine":
    """See engines.open_engine."""
    return SqliteRaceEngine(target, letter_seconds_max=letter_seconds_max, has_books=has_books)


class SqliteRaceEngine:
    """See engine.Engine for what its methods promise.

    Args:
        target: a scratch file, with those of the system's schemas beside it.
        letter_seconds_max: a statement that takes longer is interrupted.
        has_books: our own books are written and asked as well.
    """

    dialect = "sqlite"
    wakes_at_once = False
    tells_what_meets = False

    def __init__(self, target: Target, *, letter_seconds_max: float, has_books: bool = False) -> None:
        self._target = target
        self._letter_seconds_max = letter_seconds_max
        self.ends_at = math.inf
        self._namespaces = tuple(name for name in target.find_schemas() if has_books or name != OURS)
        self._wires: dict[str, SqliteWire] = {}
        self._bits: dict[TableName, int] = {}
        connection = self._connect()
        mode = _journal_mode(connection, (*self._namespaces, "main")[0])
        self.journal_mode = "wal" if mode == "wal" else "delete"
        self._numbered = dict(_find_numbered(connection, ("main", *self._namespaces)))
        self._tables = dict(_find_facts(connection, self._numbered, ("main", *self._namespaces)))
        self._control = self._reader(connection)
        self.generated_columns = frozenset(column.source for column in self._numbered.values())

    def open(self, letter: str) -> SqliteWire:
        wire = self._wires[letter] = SqliteWire(self._reader(self._connect()))
        return wire

    def forget_wires(self) -> None:
        for wire in self._wires.values():
            wire.close()
        self._wires.clear()

    def close(self) -> None:
        self.forget_wires()
        self._control.connection.close()

    def ask(self, commands: Sequence[Statement]) -> list[Answer]:
        connection = self._control.connection
        answers = []
        command = Statement("begin")
        try:
            connection.execute("begin")
            for command in commands:
                answers.append(typed(self._control.execute(in_main_file(command.sql), command)[0]))
            connection.execute("commit")
        except sqlite3.Error as error:
            with suppress(sqlite3.Error):  # the first error is the one to tell
                connection.execute("rollback")
            raise StatementRefused(str(error), sql=command.sql) from None
        return answers

    def insert(self, stage: Stage) -> Staged:
        with telling_refusal(stage, self._tables):
            if stage.is_alone:
                return insert_row_by_row(stage, self.ask, self._tables, dialect=self.dialect)
            check_shape(shape_of(stage), self._tables)
            return staged(stage, self._insert(stage))

    def _insert(self, stage: Stage) -> dict[str, Any]:
        """Insert the rows; return their ids."""
        connection = self._control.connection
        ids: dict[str, Any] = {}
        sql, name = "begin immediate", ""
        self._control.read_clock()
        try:
            connection.execute(sql)
            for row in stage.rows:
                name = row.name
                facts = facts_of(self._tables, row.table)
                values = {facts.plain(column): to_sqlite(value) for column, value in resolve(row, ids).items()}
                marks = ", ".join("?" * len(values))
                given = f"({', '.join(map(quoted, values))}) values ({marks})" if values else "default values"
                sql = f"insert into {quoted_table(self._tables, row.table, self.dialect)} {given}"
                cursor = connection.execute(sql, list(values.values()))
                if facts.id_column:
                    ids[row.name] = values.get(facts.id_column, cursor.lastrowid)
            connection.execute("commit")
        except sqlite3.Error as error:
            with suppress(sqlite3.Error):
                connection.execute("rollback")
            raise StatementRefused(str(error), sql=sql, row=name) from None
        return ids

    def read_clock(self) -> datetime:
        return self._control.read_clock()

    def run(self, session: Session, sessions: Sequence[Session]) -> str:
        wire = self._wires[session.letter]
        wire.ends_at = self.ends_at
        is_done = session.progress()
        if wire.is_late:
            raise LetterTimeout(
                f"{session.letter}'s letter {session.number + 1} took more than {self._letter_seconds_max:g} s: "
                f"{one_line(session.event)}"
            )
        return "" if is_done else self._blockers(session, sessions)

    def find_woken(self, waiting: Sequence[Session], sessions: Sequence[Session]) -> Session | None:
        in_turn = sorted(waiting, key=lambda session: session.waiting_since)
        return next((session for session in in_turn if self._wires[session.letter].retry()), None)

    def is_held(self, session: Session) -> bool:
        return self._wires[session.letter].holds_lock

    def meets(self, session: Session) -> frozenset[str]:
        return frozenset()  # who waits for readers does so by the one lock, which is known

    def look(self, session: Session) -> Footprint:
        """Return what the transaction touched.

        Readers and writers do not meet but at commits where there is a write-ahead log; else a commit waits for readers, so
        that reading counts as a use of the lock, unless it is over with its statement.
        """
        wire = self._wires[session.letter]
        is_transaction = session.opens_transaction and session.event is not None and session.event.opens
        is_held = wire.holds_lock or (self.journal_mode != "wal" and (is_transaction or not session.opens_transaction))
        reads, rows = self._bits_of(wire.uses.reads), self._bits_of(wire.uses.writes)
        return Footprint(reads | rows, rows, _LOCK if is_held else 0, takes_snapshot=is_transaction, level=session.level)

    def _blockers(self, session: Session, sessions: Sequence[Session]) -> str:
        """Return the actors that a waiting one waits for."""
        others = {other.letter: self._wires[other.letter] for other in sessions if other is not session}
        holder = "".join(letter for letter, wire in others.items() if wire.holds_lock)
        if holder and not self._wires[session.letter].is_committing:
            return holder
        return "".join(other.letter for other in sessions if other is not session and other.in_transaction)

    def _bits_of(self, tables: set[TableName]) -> int:
        bits = 0
        for table in tables:
            bits |= 1 << self._bits.setdefault(table, len(self._bits) + 1)
        return bits

    def _connect(self) -> sqlite3.Connection:
        connection = self._target.connect_sqlite(self._namespaces)
        connection.execute("pragma busy_timeout = 0")
        for schema in ("main", *self._namespaces):
            # A scratch file has nothing to lose: nothing is synced, and a journal that is no log is kept in memory. Its
            # locks are the same, and beginning to write takes 0.1 ms in place of 1 ms.
            connection.execute(f'pragma "{schema}".synchronous = off')
            if _journal_mode(connection, schema) != "wal":
                connection.execute(f'pragma "{schema}".journal_mode = memory')
        return connection

    def _reader(self, connection: sqlite3.Connection) -> SqliteReader:
        return SqliteReader(connection, self._numbered, seconds_max=self._letter_seconds_max)


def _journal_mode(connection: sqlite3.Connection, schema: str) -> str:
    mode: str = connection.execute(f'pragma "{schema}".journal_mode').fetchone()[0]
    return mode


def _find_numbered(connection: sqlite3.Connection, schemas: Sequence[str]) -> Iterator[tuple[TableName, NumberedColumn]]:
    """Yield the tables whose rows SQLite numbers itself: those with one integer primary key that refers to nothing."""
    number = 0
    for schema in schemas:
        tables = connection.execute(
            f'select name from "{schema}".sqlite_master '
            "where type = 'table' and name not like 'sqlite\\_%' escape '\\' order by name"
        )
        for (table,) in tables.fetchall():
            number += 1
            columns = connection.execute(f'pragma "{schema}".table_info("{table}")').fetchall()
            referring = {row["from"] for row in connection.execute(f'pragma "{schema}".foreign_key_list("{table}")')}
            primary = [column for column in columns if column["pk"]]
            if len(primary) == 1 and primary[0]["type"].upper() == "INTEGER" and primary[0]["name"] not in referring:
                yield (schema, table), NumberedColumn(primary[0]["name"], (number, primary[0]["cid"] + 1))


def _find_facts(
    connection: sqlite3.Connection, numbered: Mapping[TableName, NumberedColumn], schemas: Sequence[str]
) -> Iterator[tuple[str, TableFacts]]:
    """Yield what staging must know of each table, by the names by which rows of a stage call it."""
    for schema in schemas:
        tables = connection.execute(f"select name from {quoted(schema)}.sqlite_master where type = 'table'").fetchall()
        for (table,) in tables:
            columns = connection.execute(f"pragma {quoted(schema)}.table_info({quoted(table)})").fetchall()
            keys = [column["name"] for column in sorted(columns, key=lambda column: int(column["pk"])) if column["pk"]]
            number = numbered.get((schema, table))
            types = {column["name"]: column["type"].lower() for column in columns}
            sequence = "rowid" if number else ""
            facts = TableFacts(
                types, number.name if number else "", sequence, keys[0] if len(keys) == 1 else "", "", tuple(keys)
            )
            yield f"{schema}.{table}", facts
            if schema == "main":
                yield table, facts
                yield f"{schema_from('sqlite', schema)}.{table}", facts
