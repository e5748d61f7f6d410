"""The heartbeat: a run says every few seconds, in the database that it works on, that it lives and how long to believe it.

So whoever reads that database can tell a run that goes on from one that was killed: on another machine, a hot standby or
SQLite. What is promised is generous: a server that restarts, a full pool or a stopped process for some seconds is not yet
a death. The beat has a connection of its own and never holds the run up; one that fails is tried again at the next.
"""

import sqlite3
import threading
from contextlib import closing, suppress
from datetime import UTC, datetime, timedelta
from types import TracebackType

import psycopg

from integrity.engines.postgresql.session_settings import OWN
from integrity.engines.target import Target
from integrity.errors import DatabaseError

BEAT_S = 5.0
ALIVE_S = 30.0
"""How long a run is believed to live after it was last heard of."""

SESSION_NAME_MOST = 63

_SETTINGS = {**OWN, "lock_timeout": "2s"}  # its row is locked while its history is loaded
_BEAT = "update integrity.runs set alive_until = clock_timestamp() + %s where run_id = %s and state = 'running'"
_BEAT_SQLITE = "update integrity.runs set alive_until = ? where run_id = ? and state = 'running'"


class Heartbeat:
    """Beats in a thread of its own, from entering to leaving."""

    def __init__(self, target: Target, run_id: str) -> None:
        self._target = target
        self._run_id = run_id
        self._ending = threading.Event()
        self._thread = threading.Thread(target=self._work, name="heartbeat", daemon=True)

    def __enter__(self) -> None:
        self._thread.start()

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._ending.set()
        self._thread.join()

    def _work(self) -> None:
        while not self._ending.is_set():
            try:
                if self._target.is_sqlite:
                    self._beat_on_sqlite()
                else:
                    self._beat_on_postgresql()
            except (DatabaseError, psycopg.Error, sqlite3.Error):
                pass  # the server is away, full or busy: it is asked again
            self._ending.wait(BEAT_S)

    def _beat_on_postgresql(self) -> None:
        """Beat on one connection until it breaks; where sessions can be seen, this one alone says that the run lives."""
        with closing(self._target.connect(application_name=session_name(self._run_id), settings=_SETTINGS)) as connection:
            while True:
                with suppress(psycopg.errors.LockNotAvailable):
                    connection.execute(_BEAT, (timedelta(seconds=ALIVE_S), self._run_id))
                if self._ending.wait(BEAT_S):
                    return

    def _beat_on_sqlite(self) -> None:
        with closing(self._target.connect_sqlite(("integrity",))) as connection:
            connection.execute(_BEAT_SQLITE, (alive_until_text(), self._run_id))


def session_name(run_id: str) -> str:
    """Return the name by which the server knows the session in which a run says that it lives."""
    return f"integrity {run_id}"[:SESSION_NAME_MOST]


def alive_until_text() -> str:
    """Return until when a run that lives now is believed to, as SQLite stores times."""
    return (datetime.now(UTC) + timedelta(seconds=ALIVE_S)).strftime("%Y-%m-%d %H:%M:%S.%f")
