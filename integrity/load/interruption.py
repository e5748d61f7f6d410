"""Interrupting what goes on: the first Ctrl-C (or SIGTERM) stops it in good order, a second one interrupts it as usual."""

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager


@contextmanager
def first_signal(stop: Callable[[], object]) -> Iterator[None]:
    """For the block, let the first signal call `stop`; behind it, who answered them before answers them again.

    Not by a loop's own handlers: it stands still while listeners are told, and what comes then must not be lost; and
    uvloop's takes none away while it stands still, so that a closed loop would answer Ctrl-C from then on, with nothing.
    `stop` is called between any two steps of the main thread: of a loop it has to be `call_soon_threadsafe`. On another
    thread nothing is listened to.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def on_signal(_number: int, _frame: object) -> None:
        for number in before:
            signal.signal(number, signal.default_int_handler)
        stop()

    before = {number: signal.signal(number, on_signal) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
