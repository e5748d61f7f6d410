"""Interrupting a run: the first Ctrl-C (or SIGTERM) stops it in good order, a second one interrupts it as usual."""

import asyncio
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager


@contextmanager
def first_signal(stop: Callable[[], None]) -> Iterator[None]:
    """For the block, let the first signal call `stop` in the loop that runs; on another thread nothing is listened to.

    Not by the loop's own handlers: it stands still while listeners are told, and what comes then must not be lost.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    loop = asyncio.get_running_loop()

    def on_signal(_number: int, _frame: object) -> None:
        for number in before:
            signal.signal(number, signal.default_int_handler)
        loop.call_soon_threadsafe(stop)

    before = {number: signal.signal(number, on_signal) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
