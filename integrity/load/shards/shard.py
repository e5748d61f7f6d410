"""A process that makes a share of a run's calls, from its beginning to its end.

It is started by fleet.py with one end of a door to the process of the run, and ends with that one, however it does.
"""

import asyncio
import os
import socket
import traceback
from collections.abc import Callable
from functools import partial
from typing import Any

from integrity.errors import AuditError
from integrity.events import Event
from integrity.load.client import Clock
from integrity.load.driving import bare, drive
from integrity.load.shards.door import Door, crossing, receive
from integrity.load.shards.elsewhere import FaultsElsewhere, MadeKeys, Others, ServicesElsewhere, take_conduct
from integrity.load.shards.order import Order
from integrity.load.work import Work
from integrity.measure.live import News, take_news
from integrity.runs.call_logs import CallLogs
from integrity.user_code import as_user_error


def main(door: int) -> None:
    """Make the calls that the process of the run orders, through the door that is an open descriptor."""
    connection = socket.socket(fileno=door)
    order: Order = receive(connection)
    connection.setblocking(False)  # noqa: FBT003  a flag by position is all that it takes
    for _ in drive(Shard(order, connection)):
        raise AssertionError("what a shard has to tell goes through its door")


class Shard:
    """The work of this process, as driving.Driven has it."""

    def __init__(self, order: Order, connection: socket.socket) -> None:
        self.told: asyncio.Queue[Event] = asyncio.Queue()
        self._order = order
        self._connection = connection
        self._work: Work
        self._faults: FaultsElsewhere
        self._made: MadeKeys
        self._working: asyncio.Task[None] | None = None

    async def run(self) -> None:
        loop = asyncio.get_running_loop()
        handlers = {"stop": self._leave, "leave": self._leave}  # nothing is begun yet
        door = Door(handlers, closed=lambda: os._exit(1), failed=lambda error: self._failed(door, error))
        await loop.create_unix_connection(lambda: door, sock=self._connection)
        self._working = asyncio.create_task(self._make_calls(door))
        await asyncio.wait([self._working])
        if self._working.cancelled():
            return
        if (error := self._working.exception()) is not None:
            await door.ask("failed", told_of(error))

    async def _make_calls(self, door: Door) -> None:
        order = self._order
        workload = order.workload()
        self._faults = FaultsElsewhere(order, workload, door)
        self._made = MadeKeys(order.world, door)
        logs = CallLogs(order.folder, order.share.number + 1)
        try:
            self._work = Work(
                workload,
                logs,
                order.world,
                Clock(order.offset_ns),
                faulting=self._faults,
                share=order.share,
                company=Others(door),
                server=order.server(workload),
                ask=ServicesElsewhere(door).ask,
                made=self._made.made,
            )
            door.handlers = self._handlers()
            await self._work.run()
        finally:
            logs.end()
            logs.close()
        await door.ask("reach", "ended", self._work.part())

    def _handlers(self) -> dict[str, Callable[..., Any]]:
        """Return what is done when the process of the run says that."""
        work, faults = self._work, self._faults
        return {
            "stop": work.stop,
            "end_drawing": work.end_drawing,
            "leave": self._leave,
            "look": self._look,
            "conduct": partial(take_conduct, faults.conduct),
            "hang_up": faults.hang_up,
            "turn": lambda is_active: faults.turn(is_active=is_active),
            "made": self._made.take,
        }

    def _look(self) -> tuple[News, float | None, float]:
        """Return how it is doing: what has come since the last time, the loop's worst lag, the memory in use."""
        work = self._work
        return take_news(work.caller.measures), work.loop_lag.take_worst_ms(), work.generator.rss_mb()

    def _leave(self) -> None:
        if self._working is not None:
            self._working.cancel()

    def _failed(self, door: Door, error: BaseException) -> None:
        door.tell("failed", told_of(error))


def told_of(error: BaseException) -> BaseException:
    """Return what the process of the run is told of an error; of one that is nobody's, with where it was."""
    first: Any = bare(error)
    if isinstance(first, AuditError):
        return crossing(first)
    if (user_error := as_user_error(first)) is not None:
        return user_error
    sent = crossing(first)
    sent.add_note("".join(traceback.format_exception(first)))
    return sent
