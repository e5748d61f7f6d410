"""What a worker of Locust's has of a run: a station beside it, and the calls that its users ask for."""

import itertools
from collections.abc import Mapping
from typing import Any

from gevent.event import AsyncResult, Event
from locust.exception import StopUser

from integrity.locust.pipe import Pipe

UP, DOWN = "integrity-up", "integrity-down"
"""Locust's names of what goes to its master, and to a worker."""
NOT_ASKED = "the run is over, or has not begun"


class Worker:
    """One of them; it lasts for a test.

    Args:
        runner: Locust's.
        project: the folder that the station works in.

    Attributes:
        is_over: no calls can be made any more.
    """

    def __init__(self, runner: Any, project: str) -> None:
        self._runner = runner
        self._users = itertools.count()
        self._waiting: dict[int, AsyncResult] = {}
        self._ready = Event()
        self.is_over = False
        self._pipe = Pipe(("integrity.locust.station_process", project), take=self._take, closed=self._gone)

    def take_number(self) -> int:
        """Return the number of a user, from 0."""
        return next(self._users)

    def call(self, user: int) -> Mapping[str, Any]:
        """Return how the next call of a user ended; who asks too early waits for the run to begin.

        Raises:
            StopUser: no call can be made any more; Locust ends the user.
        """
        self._ready.wait()
        if self.is_over:
            raise StopUser(NOT_ASKED)
        waiting = self._waiting[user] = AsyncResult()
        self._pipe.tell("call", user=user)
        returned: Mapping[str, Any] = waiting.get()
        return returned

    def hear(self, what: Mapping[str, Any]) -> None:
        """Hand on what the run says."""
        self._pipe.tell("heard", what=what)

    def end(self) -> None:
        """Let the station end."""
        self._pipe.end()

    def _take(self, message: Mapping[str, Any]) -> None:
        match message["kind"]:
            case "returned":
                waiting = self._waiting.pop(message["user"], None)
                if waiting is not None:
                    waiting.set(message)
            case "ready":
                self._ready.set()
            case "tell":
                self._runner.send_message(UP, dict(message["what"]))

    def _gone(self) -> None:
        self.is_over = True
        self._ready.set()
        for waiting in self._waiting.values():
            waiting.set_exception(StopUser(NOT_ASKED))
        self._waiting.clear()
