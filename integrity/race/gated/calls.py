"""Calls of functions: whatever a function of somebody's does, on any driver, in a thread or in an event loop."""

import asyncio
import inspect
import threading
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import fields, is_dataclass
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from functools import partial
from typing import Any
from uuid import UUID

from integrity.operation import Declined, Ok
from integrity.race.program.program import Actor, Launch
from integrity.race.program.trace import Failed, Return

_PLAIN = (bool, int, float, str, bytes, Decimal, UUID, date, datetime, time, timedelta)
_DEPTH_MOST = 20


class Callers:
    """Threads, and one event loop, in which functions are called.

    Coroutines share the loop, as connections of a pool belong to one.

    Args:
        declines: exceptions that are a business no.
    """

    def __init__(self, *, declines: tuple[type[Exception], ...] = ()) -> None:
        self._declines = declines
        self.opaque: set[str] = set()
        """What was returned of which only the type is compared, e.g. "return of pay: Order"."""
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
        shown = name or name_of(function)
        make = self._launch_async if inspect.iscoroutinefunction(function) else self._launch
        launch = make(function, shown)
        code = getattr(inspect.unwrap(function), "__code__", None)
        place = f"{code.co_filename.rpartition('/')[2]}:{code.co_firstlineno}" if code else ""
        return Actor(shown, _not_ours, place=place, launch=lambda _keys, _id: launch)

    def _launch(self, function: Callable[[], Any], name: str) -> Launch:
        def launch(tell: Callable[[Return], None]) -> None:
            threading.Thread(target=lambda: tell(self._call(function, name)), name="integrity actor", daemon=True).start()

        return launch

    def _launch_async(self, function: Callable[[], Any], name: str) -> Launch:
        async def call(tell: Callable[[Return], None]) -> None:
            returned: Return
            try:
                returned = self._reply(await function(), name)
            except Exception as error:  # whatever the function raises is what it comes to
                returned = self._failed(error)
            tell(returned)

        def launch(tell: Callable[[Return], None]) -> None:
            asyncio.run_coroutine_threadsafe(call(tell), self._own_loop())

        return launch

    def _call(self, function: Callable[[], Any], name: str) -> Return:
        try:
            returned = function()
            if inspect.isawaitable(returned):  # a lambda around a coroutine, or an object that is called like one
                returned = asyncio.run_coroutine_threadsafe(_awaited(returned), self._own_loop()).result()
            return self._reply(returned, name)
        except BaseException as error:  # whatever the function raises is what it comes to, SystemExit too
            return self._failed(error)
        finally:
            self.behind_each()

    def _reply(self, value: object, name: str) -> Ok:
        reply, opaque = reply_of(value)
        self.opaque |= {f"return of {name}: {each}" for each in opaque}
        return reply

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


def name_of(function: Callable[..., Any]) -> str:
    """Return what a call of a function is called: of a partial, what that calls."""
    if isinstance(function, partial):
        return name_of(function.func)
    return str(getattr(function, "__name__", type(function).__name__))


def typed(function: Callable[..., Any]) -> str:
    """Return a function as somebody types it, with an ellipsis for what only he knows."""
    if isinstance(function, partial):
        return f"partial({typed(function.func)}, ...)"
    if (name := name_of(function)) == "<lambda>":
        return "lambda: ..."
    if inspect.ismethod(function):
        of = function.__self__
        return f"{of.__name__}.{name}" if isinstance(of, type) else f"{type(of).__name__}(...).{name}"
    return name if hasattr(function, "__name__") else f"{name}(...)"


def reply_of(value: object) -> tuple[Ok, set[str]]:
    """Return what a function returned as a reply, and the types of what in it has no members that are known.

    Mappings, lists, tuples, sets, dataclasses and models of pydantic are compared by their members; of anything else its
    type is.
    """
    opaque: set[str] = set()
    read = _value_of(value, opaque, depth=0)
    if isinstance(read, Mapping):
        return Ok(read), opaque
    return (Ok() if value is None else Ok({"returned": read})), opaque


def _value_of(value: Any, opaque: set[str], *, depth: int) -> Any:
    if value is None or isinstance(value, _PLAIN):
        return value
    if depth < _DEPTH_MOST:
        if is_dataclass(value) and not isinstance(value, type):
            value = {field.name: getattr(value, field.name) for field in fields(value)}
        elif hasattr(value, "model_dump"):
            value = value.model_dump()
        elif hasattr(value, "_asdict"):  # a named tuple, and a row of SQLAlchemy's
            value = value._asdict()
        if isinstance(value, Mapping):
            return {str(name): _value_of(each, opaque, depth=depth + 1) for name, each in value.items()}
        if isinstance(value, list | tuple):
            inner = [_value_of(each, opaque, depth=depth + 1) for each in value]
            return tuple(inner) if isinstance(value, tuple) else inner
        if isinstance(value, set | frozenset):
            return sorted((_value_of(each, opaque, depth=depth + 1) for each in value), key=repr)
    opaque.add(type(value).__name__)
    return f"({type(value).__name__})"


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
