"""The text of a test that is exported for SQLite; braces are doubled where they stay. See ../postgresql/template.py."""

TEMPLATE = '''"""{title}

{calls}

One statement goes at a time, in the order of TURNS, one letter each; the end of a
transaction that holds the write lock is a turn of its own. The letters of a call that
waits for the lock, or is done, are passed over.

    pip install pytest
    pytest {test_name}

makes a database of its own in a temporary folder, from {sql_name}
(Python 3.11 or newer).
The test fails while the bug is there. To make it guard the fix, put a call of your own
code, on the connection that is given, in place of the statements in
{functions_named}: its statements and commits then wait for their turns.
The connection begins no transaction by itself; set its isolation_level if yours does.

With the tool that found it: {replay}
"""

{imports}import queue
import sqlite3
import threading
import time
from contextlib import closing{suppress}
from pathlib import Path

import pytest

TURNS = "{turns}"

RULE = {rule}
{constants}


{functions}


CALLS = {{
{actors}
}}


def test_{name}(tmp_path):
    with closing(connect(tmp_path)) as connection:
{journal}        script = Path(__file__).with_suffix(".sql").read_text(encoding="utf-8")
        connection.executescript(script)
    refused = play(tmp_path, TURNS, CALLS)
{asserts}


def connect(folder, factory=sqlite3.Connection):
    file = folder / "race.db"
    connection = sqlite3.connect(file, isolation_level=None, timeout=0, factory=factory)
{attach}    connection.execute("pragma foreign_keys = on")
    return connection


def play(folder, turns, calls):
    """Let the calls go on by turns; return the errors of those that were refused."""
    actors = {{letter: Actor(folder, call) for letter, call in calls.items()}}
    for actor in actors.values():
        actor.start()
        actor.settle()
    turns, letter, waiting = iter(turns), "", []
    while any(actor.state != "done" for actor in actors.values()):
        ready = [name for name, actor in actors.items() if actor.state == "ready"]
        if ready:
            letter = next(turns, letter if letter in ready else ready[0])
        if letter in ready:
            actors[letter].go_on()
        waiting += [actor for actor in actors.values() if actor not in waiting]
        waiting = [actor for actor in waiting if actor.state == "waits for the lock"]
        for actor in waiting:
            actor.go_on()
    return {{letter: actor.error for letter, actor in actors.items() if actor.error}}


class Actor(threading.Thread):
    """A call on a connection of its own, each of whose statements waits for its turn."""

    def __init__(self, folder, call):
        super().__init__(daemon=True)
        self.folder = folder
        self.call = call
        self.turn = threading.Semaphore(0)
        self.news = queue.Queue()
        self.deadline = time.monotonic() + 60
        self.error = None

    def run(self):
        connection = connect(self.folder, GatedConnection)
        connection.wait_for_turn = self.wait_for_turn
        connection.set_authorizer(connection.note)
        try:
            self.call(connection)
        except {caught} as error:
            self.error = error
        finally:
            connection.close()
            self.news.put("done")

    def wait_for_turn(self, state="ready"):
        self.news.put(state)
        self.turn.acquire()

    def go_on(self):
        self.turn.release()
        self.settle()

    def settle(self):
        """Wait until the call wants its next turn, is done, or waits for the lock."""
        try:
            self.state = self.news.get(timeout=max(0, self.deadline - time.monotonic()))
        except queue.Empty:
            pytest.fail("a call did not come to its end within 60 s")


class GatedConnection(sqlite3.Connection):
    """Waits for its turn with every statement, with a begin until the statement behind it."""

    wait_for_turn = None
    pending_begin = ""
    is_used = is_writing = False  # noted of the statement that is compiled
    has_used = holds_lock = False  # of the transaction

    def cursor(self):
        return Rows(self)

    def execute(self, sql, parameters=()):
        if self.wait_for_turn is None:
            return super().execute(sql, parameters)
        return Rows(self).execute(sql, parameters)

    def executemany(self, sql, rows):
        return Rows(self).executemany(sql, rows)

    def run(self, sql, parameters):
        """Return the cursor of a statement, its rows, and what they are called."""
        verb = sql.split()[0].lower()
        if verb == "begin":
            self.pending_begin = sql
        elif verb in ("commit", "end"):
            self.commit()
        elif verb == "rollback":
            self.rollback()
        else:
            is_alone = not (self.in_transaction or self.pending_begin)
            if is_alone:
                writes = verb in ("insert", "update", "delete", "replace")
                is_alone = self.isolation_level is None or not writes
                self.pending_begin = f"begin {{self.isolation_level or ''}}"
            self.wait_for_turn()
            try:
                return self.when_free(sql, parameters)
            finally:
                if is_alone and self.in_transaction:
                    self.commit()
        return None, []

    def when_free(self, sql, parameters):
        """Execute a statement as soon as it can be.

        SQLite lets one wait that has used nothing in its transaction yet; any other is refused.
        """
        while True:
            self.is_used = self.is_writing = False
            try:
                if self.pending_begin:
                    super().execute(self.pending_begin)
                    self.holds_lock = "immediate" in self.pending_begin.lower()
                    self.pending_begin = ""
                cursor = super().execute(sql, parameters)
                rows = cursor.fetchall()
            except sqlite3.OperationalError as error:
                is_busy = error.sqlite_errorname == "SQLITE_BUSY"
                if not is_busy or self.has_used or self.holds_lock:
                    raise
                self.wait_for_turn("waits for the lock")
            else:
                self.has_used |= self.is_used or self.is_writing
                self.holds_lock |= self.is_writing
                return cursor, rows

    def commit(self):
        if self.holds_lock:
            self.wait_for_turn()
        while True:
            try:
                super().commit()
            except sqlite3.OperationalError as error:
                if error.sqlite_errorname != "SQLITE_BUSY":
                    raise
                self.wait_for_turn("waits for the lock")  # for those who read
            else:
                break
        self.forget()

    def rollback(self):
        if self.holds_lock:
            self.wait_for_turn()
        super().rollback()
        self.forget()

    def forget(self):
        self.pending_begin = ""
        self.has_used = self.holds_lock = False

    def note(self, action, *_names):
        self.is_used |= action == sqlite3.SQLITE_READ
        writes = (sqlite3.SQLITE_INSERT, sqlite3.SQLITE_UPDATE, sqlite3.SQLITE_DELETE)
        self.is_writing |= action in writes
        return sqlite3.SQLITE_OK


class Rows(list):
    """A cursor whose rows are all read at once, so that nothing goes on between turns."""

    def __init__(self, connection):
        super().__init__()
        self.connection = connection
        self.lastrowid = self.rowcount = self.description = None

    def execute(self, sql, parameters=()):
        cursor, self[:] = self.connection.run(sql, parameters)
        if cursor is not None:
            self.lastrowid, self.rowcount = cursor.lastrowid, cursor.rowcount
            self.description = cursor.description
        return self

    def executemany(self, sql, rows):
        for parameters in rows:
            self.execute(sql, parameters)
        return self

    def fetchone(self):
        return self.pop(0) if self else None

    def fetchall(self):
        rows, self[:] = self[:], []
        return rows

    def close(self):
        pass
'''
