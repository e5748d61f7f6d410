"""The heartbeat: a run says every few seconds, in the database that it works on, that it lives and how long to believe it.

So whoever reads that database can tell a run that goes on from one that was killed: on another machine, a hot standby or
SQLite. What is promised is generous: a server that restarts, a full pool or a stopped process for some seconds is not yet
a death. The beat has a connection of its own and never holds the run up; one that fails is tried again at the next.
"""

import threading
from contextlib import suppress
from datetime import timedelta
from types import TracebackType
from typing import LiteralString

from integrity.engines.target import Target
from integrity.errors import DatabaseError

BEAT_S = 5.0
ALIVE_S = 30.0
"""How long a run is believed to live after it was last heard of."""

SESSION_NAME_MOST = 63

_BEAT: LiteralString = "update integrity.runs set alive_until = {} where run_id = %s and state = 'running'"


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
            with suppress(DatabaseError):  # the server is away, full or busy: it is asked again
                self._beat()
            self._ending.wait(BEAT_S)

    def _beat(self) -> None:
        """Beat on one line until it breaks; where sessions can be seen, this one alone says that the run lives."""
        # Its row is locked while its history is loaded.
        with self._target.open_line(("integrity",), name=session_name(self._run_id), patience_s=2) as line:
            while True:
                expression, value = line.after(timedelta(seconds=ALIVE_S))
                line.try_to_write(_BEAT.format(expression), (value, self._run_id))
                if not self._target.engine.has_server or self._ending.wait(BEAT_S):
                    return


def session_name(run_id: str) -> str:
    """Return the name by which the server knows the session in which a run says that it lives."""
    return f"integrity {run_id}"[:SESSION_NAME_MOST]
