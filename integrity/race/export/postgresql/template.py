"""The text of a test that is exported for PostgreSQL, but for what pytest_export fills in; doubled braces stay."""

TEMPLATE = '''"""{title}

{calls}

One statement goes at a time, in the order of TURNS, one letter each; the end of a
transaction that others notice is a turn of its own. The letters of a call that waits for a lock,
or is done, are passed over.

    pip install "psycopg[binary]" pytest
    DATABASE_URL=postgresql://user@localhost/postgres pytest {test_name}

makes a database of its own on that server, from {sql_name}, and drops it at the end.
Without DATABASE_URL it fails, and is not skipped: a guard that a variable which nobody
set turns off guards nothing, and nobody would see it.
The test fails while the bug is there. To make it guard the fix, put a call of your own
code, on the connection that is given, in place of the statements in
{functions_named}: its statements and commits then wait for their turns.

With the tool that found it: {replay}
"""

{imports}import os
import queue
import threading
import time
import uuid
from contextlib import suppress
from pathlib import Path

import psycopg
import pytest
from psycopg.pq import TransactionStatus

TURNS = "{turns}"

# Of a deadlock the call is refused that waited last: the others do not look for one. Where
# the user may not set this (a superuser may), it lasts a second, and another is refused.
PATIENT_MS = "2000000000"
SET_PATIENCE = "select set_config('deadlock_timeout', %s, %s)"

# Locks that others meet{besides}.
HELD = """
    {held}
"""
# A transaction that wrote, that is serializable, or that holds such a lock.
NOTICEABLE = f"""
    select pg_current_xact_id_if_assigned() is not null
        or current_setting('transaction_isolation') = 'serializable'
        or exists (select from pg_locks where pid = pg_backend_pid() and ({{HELD}}))
"""
# The same of one in which a statement was refused, which cannot be asked itself. With no
# savepoint before that all of it is over, its virtual id too.
LEFT = f"""
    select count(*) filter (where locktype = 'virtualxid') > 0
        and count(*) filter (
            where locktype = 'transactionid' or mode = 'SIReadLock' or ({{HELD}}) or %s
        ) > 0
    from pg_locks
    where pid = %s
"""

# The sessions in the database that this user may end.
END_OURS = """
    select pg_terminate_backend(pid) from pg_stat_activity
    where datname = %s and pid <> pg_backend_pid() and pg_has_role(usesysid, 'usage')
"""

RULE = {rule}
{constants}


{functions}


CALLS = {{
{actors}
}}


def test_{name}(database):
    refused = play(database, TURNS, CALLS)
{asserts}


@pytest.fixture
def database():
    """The URL of a database with the tables and rows, which is dropped afterwards."""
    name = f"race_{{uuid.uuid4().hex[:12]}}"
    url = os.environ.get("DATABASE_URL")
    if not url:
        pytest.fail(
            "DATABASE_URL is not set: name a PostgreSQL server on which databases may be made, "
            "e.g. DATABASE_URL=postgresql://user@localhost/postgres",
            pytrace=False,
        )
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(f"create database {{name}} template template0")
    try:
        scratch = psycopg.conninfo.make_conninfo(url, dbname=name)
        script = Path(__file__).with_suffix(".sql").read_text(encoding="utf-8")
        with psycopg.connect(scratch) as connection:
            connection.execute(script)
        yield scratch
    finally:
        with psycopg.connect(url, autocommit=True) as connection:
            drop(connection, name)


def drop(connection, name):
    """Drop the database. Where a worker of autovacuum is in it, no ordinary user may end
    all sessions there by force; a plain drop has the server end the worker, once ours are.
    """
    try:
        connection.execute(f"drop database {{name}} with (force)")
    except psycopg.errors.InsufficientPrivilege:
        connection.execute(END_OURS, (name,))
        connection.execute(f"drop database {{name}}")


def play(url, turns, calls):
    """Let the calls go on by turns; return the errors of those that were refused."""
    actors = {{letter: Actor(url, call) for letter, call in calls.items()}}
    with psycopg.connect(url, autocommit=True) as control:
        for actor in actors.values():
            actor.start()
            actor.settle(control)
        turns, letter = iter(turns), ""
        while any(actor.state != "done" for actor in actors.values()):
            ready = [name for name, actor in actors.items() if actor.state == "ready"]
            if ready:
                letter = next(turns, letter if letter in ready else ready[0])
            if letter in ready:
                states = [actor.state for actor in actors.values()]
                patience_ms = "1" if "waits for a lock" in states else PATIENT_MS
                actors[letter].connection.patience_ms = patience_ms
                actors[letter].turn.release()
                actors[letter].settle(control)
            for actor in actors.values():
                if actor.state == "waits for a lock":
                    actor.settle(control)
    return {{letter: actor.error for letter, actor in actors.items() if actor.error}}


class Actor(threading.Thread):
    """A call on a connection of its own, each of whose statements waits for its turn."""

    def __init__(self, url, call):
        super().__init__(daemon=True)
        self.connection = GatedConnection.connect(url, cursor_factory=GatedCursor)
        self.connection.wait_for_turn = self.wait_for_turn
        self.connection.url = url
        with suppress(psycopg.errors.InsufficientPrivilege):
            with self.connection.transaction():
                plain = psycopg.Cursor(self.connection)
                plain.execute(SET_PATIENCE, (PATIENT_MS, False))
            self.connection.has_patience = True
        self.pid = self.connection.info.backend_pid
        self.call = call
        self.turn = threading.Semaphore(0)
        self.news = queue.Queue()
        self.deadline = time.monotonic() + 60
        self.error = None

    def run(self):
        try:
            self.call(self.connection)
        except {caught} as error:
            self.error = error
            with suppress(psycopg.Error):
                self.connection.rollback()
        finally:
            self.connection.close()
            self.news.put("done")

    def wait_for_turn(self):
        self.news.put("ready")
        self.turn.acquire()

    def settle(self, control):
        """Wait until the call wants its next turn, is done, or waits for a lock.

        The last of these only the server knows.
        """
        while time.monotonic() < self.deadline:
            with suppress(queue.Empty):
                self.state = self.news.get(timeout=0.005)
                return
            question = "select cardinality(pg_blocking_pids(%s)) > 0"
            if control.execute(question, (self.pid,)).fetchone()[0]:
                self.state = "waits for a lock"
                return
        pytest.fail("a call did not come to its end within 60 s")


class GatedCursor(psycopg.Cursor):
    def execute(self, *arguments, **options):
        self.connection.wait_for_turn()
        self.connection.set_patience()
        return super().execute(*arguments, **options)


class GatedConnection(psycopg.Connection):
    has_patience = False
    patience_ms = PATIENT_MS

    def set_patience(self):
        is_refusing = self.info.transaction_status == TransactionStatus.INERROR
        if self.has_patience and not is_refusing:
            given = (self.patience_ms, not self.autocommit)
            psycopg.Cursor(self).execute(SET_PATIENCE, given)

    def commit(self):
        if self.is_noticeable():
            self.wait_for_turn()
        super().commit()

    def rollback(self):
        if self.is_noticeable():
            self.wait_for_turn()
        super().rollback()

    def is_noticeable(self):
        status = self.info.transaction_status
        if status == TransactionStatus.INERROR:
            serializable = psycopg.IsolationLevel.SERIALIZABLE
            given = (self.isolation_level == serializable, self.info.backend_pid)
            with psycopg.connect(self.url, autocommit=True) as other:
                return other.execute(LEFT, given).fetchone()[0]
        if status != TransactionStatus.INTRANS:
            return False
        return psycopg.Cursor(self).execute(NOTICEABLE).fetchone()[0]
'''
