"""The processes that make the calls of a run: how they are started, are told things, and end.

Each is a fresh interpreter: a fork of this one would have its connections, and threads that do not live there; and one
that multiprocessing spawns would run a script anew that began the run, up to there. It belongs to a group of its own, so
that Ctrl-C comes to this process alone, which tells the others; and it ends with this one, however that ends.
"""

import asyncio
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from integrity.load.shards.door import Door, DoorClosed
from integrity.load.shards.order import Order

ENDS_WITHIN_S = 3.0
"""So long a process may take that is to end; then it is killed."""

_BEGIN = """
import os, sys, threading
def end_with(lifeline):
    os.read(lifeline, 1)
    os._exit(1)
threading.Thread(target=end_with, args=(int(sys.argv[2]),), daemon=True).start()
sys.path[:] = sys.argv[3:]
from integrity.load.shards.shard import main
main(int(sys.argv[1]))
"""
"""With its door, and with a line that ends when this process does, however it does: also while the other one's loop stands
still, in code of the user's, or is not there yet."""


@dataclass(frozen=True, slots=True)
class _Started:
    process: "subprocess.Popen[bytes]"
    door: Door
    lifeline: int


class Fleet:
    """The processes of a run, by their numbers from 0.

    Args:
        handlers: of what they tell and ask, with the number of who does in front.
        lost: told the number of one that is gone before it was to be.
        failed: told what one of them could not make sense of.
    """

    def __init__(
        self,
        handlers: Mapping[str, Callable[..., Any]],
        *,
        lost: Callable[[int], None],
        failed: Callable[[BaseException], None],
    ) -> None:
        self._handlers, self._lost, self._failed = handlers, lost, failed
        self._started: dict[int, _Started] = {}
        self._is_ending = False

    async def start(self, orders: Sequence[Order]) -> None:
        """Start a process for each order."""
        for number, order in enumerate(orders):
            await self._start(number, order)

    async def _start(self, number: int, order: Order) -> None:
        ours, theirs = socket.socketpair()
        line_end, lifeline = os.pipe()
        try:
            process = _begin(theirs.fileno(), line_end)
        finally:
            theirs.close()
            os.close(line_end)
        ours.setblocking(False)  # noqa: FBT003  a flag by position is all that it takes
        door = Door(
            {kind: partial(handle, number) for kind, handle in self._handlers.items()},
            closed=partial(self._closed, number),
            failed=self._failed,
        )
        await asyncio.get_running_loop().create_unix_connection(lambda: door, sock=ours)
        self._started[number] = _Started(process, door, lifeline)
        door.hand_over(order)

    @property
    def ids(self) -> list[int]:
        """The ids of the processes, from another thread, too."""
        return [each.process.pid for each in list(self._started.values())]

    def tell(self, kind: str, *what: Any, but: int | None = None) -> None:
        """Tell all of them, but for one."""
        for number, each in self._started.items():
            if number != but:
                each.door.tell(kind, *what)

    async def ask(self, kind: str, *what: Any) -> dict[int, Any]:
        """Return what each answers; one that is gone does not."""
        asked = {number: each.door.ask(kind, *what) for number, each in self._started.items()}
        answers = await asyncio.gather(*asked.values(), return_exceptions=True)
        for answer in answers:
            if isinstance(answer, BaseException) and not isinstance(answer, DoorClosed):
                raise answer
        return {n: answer for n, answer in zip(asked, answers, strict=True) if not isinstance(answer, DoorClosed)}

    async def end_of(self, number: int) -> str:
        """Return in words how a process ended that is gone."""
        code = await asyncio.to_thread(self._started[number].process.wait, ENDS_WITHIN_S)
        if code >= 0:
            return f"ended with exit code {code}"
        try:
            return f"was killed by {signal.Signals(-code).name}"
        except ValueError:
            return f"was killed by signal {-code}"

    def expect_end(self) -> None:
        """From now on one that ends is not lost."""
        self._is_ending = True

    async def end(self) -> None:
        """Let all of them end: in good order, if they still can."""
        self.expect_end()
        self.tell("leave")
        for each in self._started.values():
            each.door.turn_away()
        try:
            await asyncio.to_thread(self._wait)
        finally:
            for each in self._started.values():
                each.process.kill()  # one that has ended is left alone
                each.process.wait()
                each.door.close()
                os.close(each.lifeline)
            self._started.clear()

    def _wait(self) -> None:
        for each in self._started.values():
            try:
                each.process.wait(ENDS_WITHIN_S)
            except subprocess.TimeoutExpired:
                continue

    def _closed(self, number: int) -> None:
        if not self._is_ending:
            self._lost(number)


def _begin(door: int, line_end: int) -> "subprocess.Popen[bytes]":
    """Return a process that is given these descriptors."""
    return subprocess.Popen(  # noqa: S603  ourselves
        [sys.executable, "-c", _BEGIN, str(door), str(line_end), *sys.path],
        pass_fds=(door, line_end),
        stdin=subprocess.DEVNULL,
        stdout=2,  # what the user's code prints is no result of ours
        process_group=0,
    )
