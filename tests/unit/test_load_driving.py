"""A run's loop, driven from outside: who answered Ctrl-C before it answers it behind it."""

import asyncio
import signal
from typing import cast

from integrity.load.driving import drive
from integrity.load.interruption import first_signal
from integrity.load.work import Work


class Working:
    """Work that listens to signals over more than one step of the loop."""

    def __init__(self) -> None:
        self.told: asyncio.Queue[object] = asyncio.Queue(maxsize=1)  # so that each step takes one

    async def run(self) -> None:
        with first_signal(lambda: None):
            for event in ("first", "second", "third"):
                await self.told.put(event)


def test_ctrl_c_is_answered_behind_a_run_as_before_it() -> None:
    before = signal.getsignal(signal.SIGINT)
    assert len(list(drive(cast(Work, Working())))) == 3
    assert signal.getsignal(signal.SIGINT) == before
