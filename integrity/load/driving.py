"""Driving a run's event loop from outside, event by event: while listeners are told one, the loop stands still."""

import asyncio
import gc
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Protocol

from integrity.errors import AuditError
from integrity.events import Event, Job


class Driven(Protocol):
    """Work that is done in an event loop; `told` is what is to be told of it meanwhile."""

    @property
    def told(self) -> "asyncio.Queue[Event]": ...

    async def run(self) -> None: ...


def drive(work: Driven) -> Job[None]:
    """Do the work to its end, on uvloop where that is present; tell how it is doing.

    An error of the user's comes out bare, not in the group of its tasks.
    """
    try:
        with _nothing_old_collected(), _giving_ctrl_c_back(), asyncio.Runner(loop_factory=_loop_factory()) as runner:
            task = runner.get_loop().create_task(work.run())
            while not task.done() or not work.told.empty():
                if (event := runner.run(_next(work, task))) is not None:
                    yield event
            task.result()
    except BaseExceptionGroup as group:
        first = bare(group)
        if isinstance(first, AuditError):
            raise first from None
        raise


def bare(error: BaseException) -> BaseException:
    """Return the first error of a group, or the error that is none."""
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return error


@contextmanager
def _nothing_old_collected() -> Iterator[None]:
    """For the block let what exists by now stay: a full collection amid a run would look at all of it, some 50 ms long.

    Whoever has done so for the whole process, as a server that forks its workers does, is left his way: there is nothing
    to collect before, and to end it behind the block would end his, too.
    """
    if gc.get_freeze_count():
        yield
        return
    gc.collect()
    gc.freeze()
    try:
        yield
    finally:
        gc.unfreeze()


@contextmanager
def _giving_ctrl_c_back() -> Iterator[None]:
    """Behind the block let who answered Ctrl-C before answer it again.

    A runner takes it for each step and gives it back only if nobody else has it by then. What takes it within one step and
    gives it back within another leaves the first step's answer behind, which does nothing the first time it is asked.
    """
    before = signal.getsignal(signal.SIGINT)
    try:
        yield
    finally:
        if before is not None and threading.current_thread() is threading.main_thread():
            signal.signal(signal.SIGINT, before)


async def _next(work: Driven, task: "asyncio.Task[None]") -> Event | None:
    """Return what is told next; None: the work has ended first."""
    telling = asyncio.create_task(work.told.get())
    await asyncio.wait([telling, task], return_when=asyncio.FIRST_COMPLETED)
    if telling.done():
        return telling.result()
    telling.cancel()
    return None


def _loop_factory() -> Any:
    try:
        import uvloop
    except ImportError:
        return None
    return uvloop.new_event_loop
