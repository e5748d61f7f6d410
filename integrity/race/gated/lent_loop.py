"""A lent loop: an event loop in a thread of its own, which another thread may take and run itself while it waits.

    lent = LentLoop("integrity proxy")
    lent.start()
    if lent.take():            # from here on nothing happens in the loop but in `run`
        lent.run(0.5)          # until `stop`, at most so long
        lent.give_back()       # its own thread runs it again

Waking another thread costs more than most of what is done for a message on the wire, the more so where the two compete for
one interpreter: whoever has the loop is told in its own thread, and has nobody to wake.
"""

import asyncio
import threading
from collections.abc import Callable
from contextlib import suppress
from select import select
from selectors import DefaultSelector
from typing import Any

_LEAST_S = 0.002  # the selectors of event loops count in milliseconds, and round up
_FD_SETSIZE = 1024  # what `select` can watch


class LentLoop:
    """See the module. `take`, `run` and `give_back` are one thread's; `stop` and `call` anybody's.

    Args:
        name: of the thread.
    """

    def __init__(self, name: str) -> None:
        self._selector = DefaultSelector()
        self.loop = asyncio.SelectorEventLoop(self._selector)
        self._thread = threading.Thread(target=self._serve, name=name, daemon=True)
        self._parked, self._resumed = threading.Event(), threading.Event()
        self._is_asked = self._is_closing = False
        self._taker = 0  # the thread that has it
        self._is_run = False  # by that one

    @property
    def is_taken(self) -> bool:
        """Another thread than its own has it."""
        return bool(self._taker)

    def start(self) -> None:
        """Start its thread."""
        self._thread.start()

    def close(self) -> None:
        """End the thread and the loop; what still runs there is left."""
        self.give_back()
        self._is_closing = True
        self.loop.call_soon_threadsafe(self.loop.stop)
        self._thread.join()
        self.loop.close()

    def _serve(self) -> None:
        while not self._is_closing:
            self.loop.run_forever()  # one `stop` too many does no harm
            if self._is_asked:
                self._is_asked = False
                self._parked.set()
                self._resumed.wait()
                self._resumed.clear()

    def take(self) -> bool:
        """Take it from its thread; return whether it can be had: a thread that runs another loop cannot run this one."""
        with suppress(RuntimeError):
            asyncio.get_running_loop()
            return False
        if not self._taker:
            self.loop.call_soon_threadsafe(self._park)
            self._parked.wait()
            self._parked.clear()
            self._taker = threading.get_ident()
        return True

    def _park(self) -> None:
        self._is_asked = True
        self.loop.stop()

    def give_back(self) -> None:
        """Let its own thread run it again, if that does not."""
        if self._taker:
            self._taker = 0
            self._resumed.set()

    def run(self, seconds: float) -> None:
        """Run it until it is told to stop, at most so long."""
        descriptor = self._selector.fileno()
        timer: asyncio.TimerHandle | None = None
        if seconds < _LEAST_S and descriptor < _FD_SETSIZE:
            select([descriptor], [], [], seconds)
            self.loop.stop()  # behind what can be done at once
        else:
            timer = self.loop.call_later(seconds, self.loop.stop)
        self._is_run = True
        try:
            self.loop.run_forever()
        finally:
            self._is_run = False
            if timer is not None:
                timer.cancel()

    def stop(self) -> None:
        """Let `run` return."""
        if threading.get_ident() != self._taker:
            self.loop.call_soon_threadsafe(self.loop.stop)
        elif self._is_run:
            self.loop.stop()

    def call(self, act: Callable[[], Any]) -> None:
        """Have something done there, when it runs."""
        self.loop.call_soon_threadsafe(act)
