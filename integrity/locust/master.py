"""What the master of Locust's has of a run: the run itself, in a process beside it, which hears of all stations by it."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import gevent
from gevent.event import Event
from locust.runners import STATE_MISSING, MasterRunner

from integrity.locust.pipe import Pipe
from integrity.locust.worker import DOWN

LOOKS_EVERY_S = 0.5
"""How often it is looked which workers there are."""
LOCAL = "local"
"""The name of the station where Locust has no workers."""


class Master:
    """It lasts for a test.

    Args:
        runner: Locust's.
        command: as `integrity` has it, of the run.
        over: told when the run is over before it was told to end.
    """

    def __init__(self, runner: Any, command: Sequence[str], *, over: Callable[[], None]) -> None:
        self._runner, self._over = runner, over
        self._is_ending = False
        self._known: set[str] = set()
        self._opened = Event()
        self._ended = Event()
        self._pipe = Pipe(("integrity", *command, "--stations"), take=self._take, closed=self._gone)
        self._looking = gevent.spawn(self._look)

    def begin(self) -> None:
        """Return when the run has begun, or is over already."""
        self._opened.wait()

    def hear(self, worker: str, what: Mapping[str, Any]) -> None:
        """Hand on what a station says."""
        self._pipe.tell("said", worker=worker, what=what)

    def end(self) -> int:
        """Return the exit code of the run, when its last call has returned and its history is loaded."""
        self._is_ending = True
        self._pipe.tell("stop")
        self._ended.wait()
        self._looking.kill()
        return self._pipe.end()

    def _take(self, message: Mapping[str, Any]) -> None:
        match message["kind"]:
            case "open":
                self._look_once()
                self._opened.set()
            case "tell":
                self._tell(message["worker"], dict(message["what"]))

    def _tell(self, worker: str | None, what: Mapping[str, Any]) -> None:
        if isinstance(self._runner, MasterRunner):
            self._runner.send_message(DOWN, what, client_id=worker)
        else:
            self._runner.send_message(DOWN, what)

    def _gone(self) -> None:
        self._ended.set()
        self._opened.set()
        if not self._is_ending:
            self._tell(None, {"kind": "end"})  # or users wait for it to begin
            self._over()

    def _look(self) -> None:
        self._opened.wait()
        while True:
            gevent.sleep(LOOKS_EVERY_S)
            self._look_once()

    def _look_once(self) -> None:
        if not isinstance(self._runner, MasterRunner):
            there = {LOCAL}
        else:
            there = {name for name, node in self._runner.clients.items() if node.state != STATE_MISSING}
        for name in sorted(there - self._known):
            self._pipe.tell("joined", worker=name)
        for name in sorted(self._known - there):
            self._pipe.tell("lost", worker=name)
        self._known = there
