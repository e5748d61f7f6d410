"""A mailbox: what any thread posts and one takes in, which waits for it and has things done in the proxy's event loop.

    for post in mail.hear():       # raises what went wrong in the loop
        ...
    mail.wait(0.5)                 # until something is posted, at most so long
    mail.call(act)                 # in the loop

While whoever takes in has the loop (lent_loop.py), it runs it where it waits, and is told there without being rung for.
"""

import contextlib
import os
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from functools import partial
from select import select
from typing import Any, Generic, TypeVar

from integrity.race.gated.lent_loop import LentLoop

_Post = TypeVar("_Post")


class Mailbox(Generic[_Post]):
    """See the module. `post` is anybody's, all else of the one that takes in."""

    def __init__(self) -> None:
        self._loop: LentLoop | None = None
        self._posts: deque[_Post] = deque()
        self._signal = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)
        self._errors: list[Exception] = []
        self._closing = threading.Lock()
        self._is_closed = self._is_lent = False

    def use(self, loop: LentLoop) -> None:
        """Have things done in that loop from now on."""
        self._loop = loop

    def close(self) -> None:
        """Let go of what it waits with; what is posted later is heard by nobody."""
        with self._closing:
            os.close(self._signal)
            self._is_closed = True

    @property
    def loop(self) -> LentLoop:
        """In which things are done."""
        assert self._loop is not None
        return self._loop

    @property
    def is_lent(self) -> bool:
        """Whoever takes in has the loop."""
        return self._is_lent

    def post(self, post: _Post) -> None:
        """Say something to the one that takes in."""
        self._posts.append(post)
        self._ring()

    def wait(self, seconds: float) -> bool:
        """Wait until there is something to take in, at most so long; return whether there is."""
        if not self._is_lent:
            return bool(select([self._signal], [], [], seconds)[0])
        until = time.monotonic() + seconds
        while not self._posts and (left := until - time.monotonic()) > 0:
            self.loop.run(left)
        return bool(self._posts)

    def hear(self) -> Iterator[_Post]:
        """Yield what was posted, what comes meanwhile too; raise what went wrong in the loop."""
        if self._errors:
            raise self._errors.pop()
        if not self._is_lent:
            with contextlib.suppress(BlockingIOError):  # always, before: what is rung for may have been taken in already
                os.eventfd_read(self._signal)
        while self._posts:
            yield self._posts.popleft()

    def call(self, act: Callable[[], Any]) -> None:
        """Have something done in the loop; at once, while it is lent."""
        if self._is_lent:
            act()
        else:
            self.call_later(act)

    def call_later(self, act: Callable[[], Any]) -> None:
        """Have something done in the loop when that runs."""
        self.loop.call(partial(self._act, act))

    def lend(self, *, is_wanted: bool) -> None:
        """Take the loop, where this thread can, or give it back."""
        if is_wanted:
            is_wanted = self.loop.take()
        with self._closing:
            self._is_lent = is_wanted
            if not is_wanted and self._posts and not self._is_closed:  # nobody was rung for them
                os.eventfd_write(self._signal, 1)
        if not is_wanted:
            self.loop.give_back()

    def _ring(self) -> None:
        with self._closing:
            if self._is_lent:
                self.loop.stop()
            elif not self._is_closed:
                os.eventfd_write(self._signal, 1)

    def _act(self, act: Callable[[], Any]) -> None:
        try:
            act()
        except Exception as error:  # in a loop nobody would hear of it: whoever asked does
            self._errors.append(error)
            self._ring()
