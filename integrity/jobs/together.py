"""Jobs side by side, in threads: their events come out as one stream, and whatever stops the stream stops them all."""

import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, suppress
from queue import SimpleQueue
from typing import Any, Generic, Protocol, TypeVar

from integrity.events import Event, Job

ReturnedValue = TypeVar("ReturnedValue")


class Connection(Protocol):
    """A connection, as it needs to be known here."""

    def cancel(self) -> None:
        """End the statement under way, from another thread."""
        ...


class Reins(Generic[ReturnedValue]):
    """What holds jobs together: the connections that they work on, so that a statement under way can be ended.

    A job that is started with reins tells them its connection (`hold`) as soon as it has one.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._connections: list[Connection] = []
        self.is_stopped = False

    def hold(self, connection: Connection) -> None:
        """Take note of a job's connection."""
        with self._lock:
            self._connections.append(connection)
            if self.is_stopped:
                connection.cancel()

    def stop(self) -> None:
        """End what is under way; each job then fails, and its transaction is rolled back."""
        with self._lock:
            self.is_stopped = True
            for connection in self._connections:
                with suppress(Exception):  # it has ended by itself
                    connection.cancel()


def play_together(
    starts: Sequence[Callable[[Reins[ReturnedValue]], Job[ReturnedValue]]],
    *,
    most: int,
    done: Callable[[int, ReturnedValue], None],
) -> Job[None]:
    """Play jobs, some at a time; yield the events of all.

    Args:
        starts: each starts one job.
        most: so many at a time.
        done: told of each that has ended: its place and what it returned.

    Raises:
        Exception: the first failure of a job; those under way are let finish, others are not begun.
    """
    reins: Reins[ReturnedValue] = Reins()
    told: SimpleQueue[tuple[int, Event | None, Any]] = SimpleQueue()
    has_failed = threading.Event()

    def play(place: int) -> None:
        if has_failed.is_set() or reins.is_stopped:
            told.put((place, None, None))
            return
        try:
            with closing(starts[place](reins)) as job:
                while not reins.is_stopped:
                    try:
                        told.put((place, next(job), None))
                    except StopIteration as end:
                        told.put((place, None, _Done(end.value)))
                        return
            told.put((place, None, None))
        except Exception as error:  # it is raised again where the stream is read
            has_failed.set()
            told.put((place, None, error))

    failure: Exception | None = None
    with ThreadPoolExecutor(max_workers=most) as threads:
        try:
            for place in range(len(starts)):
                threads.submit(play, place)
            left = len(starts)
            while left:
                place, event, end = told.get()
                if event is not None:
                    yield event
                    continue
                left -= 1
                if isinstance(end, _Done):
                    done(place, end.value)
                elif end is not None:
                    failure = failure or end
        except BaseException:  # Ctrl-C, or a listener that failed
            reins.stop()
            raise
    if failure is not None:
        raise failure


class _Done:
    def __init__(self, value: Any) -> None:
        self.value = value
