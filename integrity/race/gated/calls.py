"""Calls of functions: whatever a function of somebody's does, on any driver, in a thread or in an event loop."""

import asyncio
import inspect
import threading
from collections.abc import Awaitable, Callable, Mapping
from datetime import date, datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

from integrity.operation import Declined, Ok
from integrity.race.program.program import Actor, Launch
from integrity.race.program.trace import Failed, Return

_PLAIN = (bool, int, float, str, Decimal, UUID, date, datetime)


class Callers:
    """Threads, and one event loop, in which functions are called.

    Coroutines share the loop, as connections of a pool belong to one.

    Args:
        declines: exceptions that are a business no.
    """

    def __init__(self, *, declines: tuple[type[Exception], ...] = ()) -> None:
        self._declines = declines
        self.behind_each: Callable[[], object] = lambda: None
        """Called in the thread of a function when that is over."""
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: threading.Thread | None = None

    def close(self) -> None:
        """End the event loop."""
        if self._loop is not None and self._thread is not None:
            self._loop.call_soon_threadsafe(self._loop.stop)
            self._thread.join()
            self._loop.close()
            self._loop = None

    def actor(self, function: Callable[[], Any], *, name: str = "") -> Actor:
        """Return the actor that calls a function without arguments."""
        launch = self._launch_async(function) if inspect.iscoroutinefunction(function) else self._launch(function)
        code = getattr(inspect.unwrap(function), "__code__", None)
        place = f"{code.co_filename.rpartition('/')[2]}:{code.co_firstlineno}" if code else ""
        shown = name or getattr(function, "__name__", type(function).__name__)
        return Actor(shown, _not_ours, place=place, launch=lambda _keys, _id: launch)

    def _launch(self, function: Callable[[], Any]) -> Launch:
        def launch(tell: Callable[[Return], None]) -> None:
            threading.Thread(target=lambda: tell(self._call(function)), name="integrity actor", daemon=True).start()

        return launch

    def _launch_async(self, function: Callable[[], Any]) -> Launch:
        async def call(tell: Callable[[Return], None]) -> None:
            returned: Return
            try:
                returned = reply_of(await function())
            except Exception as error:  # whatever the function raises is what it comes to
                returned = self._failed(error)
            tell(returned)

        def launch(tell: Callable[[Return], None]) -> None:
            asyncio.run_coroutine_threadsafe(call(tell), self._own_loop())

        return launch

    def _call(self, function: Callable[[], Any]) -> Return:
        try:
            returned = function()
            if inspect.isawaitable(returned):  # a lambda around a coroutine, or an object that is called like one
                returned = asyncio.run_coroutine_threadsafe(_awaited(returned), self._own_loop()).result()
            return reply_of(returned)
        except BaseException as error:  # whatever the function raises is what it comes to, SystemExit too
            return self._failed(error)
        finally:
            self.behind_each()

    def _failed(self, error: BaseException) -> Return:
        if isinstance(error, self._declines):
            return Declined(type(error).__name__)
        return Failed(sqlstate_of(error), f"{type(error).__name__}: {' '.join(str(error).split())}")

    def _own_loop(self) -> asyncio.AbstractEventLoop:
        if self._loop is None:
            self._loop = asyncio.new_event_loop()
            self._thread = threading.Thread(target=self._loop.run_forever, name="integrity actors", daemon=True)
            self._thread.start()
        return self._loop


async def _awaited(value: Awaitable[object]) -> object:
    return await value


def reply_of(value: object) -> Ok:
    """Return what a function returned as a reply; of what is no plain value, or a mapping of such, nothing is compared."""
    if isinstance(value, _PLAIN):
        return Ok({"returned": value})
    if isinstance(value, Mapping):
        return Ok({str(name): each for name, each in value.items() if each is None or isinstance(each, _PLAIN)})
    return Ok()


def sqlstate_of(error: BaseException) -> str | None:
    """Return the SQLSTATE in an exception, as one of the drivers has it, or in what it came from."""
    seen: set[int] = set()
    left: list[BaseException | None] = [error]
    while left:
        each = left.pop()
        if each is None or id(each) in seen:
            continue
        seen.add(id(each))
        for name in ("sqlstate", "pgcode"):
            found = getattr(each, name, None)
            if isinstance(found, str) and len(found) == 5:
                return found
        left += [each.__context__, each.__cause__, getattr(each, "orig", None)]
    return None


def _not_ours(*_: object) -> Any:
    raise AssertionError("an actor that is not ours to step")
