"""A run's loop, driven from outside: who answered Ctrl-C before it answers it behind it."""

import asyncio
import gc
import signal
from functools import partial
from pathlib import Path
from typing import cast

import pytest

import integrity
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


@pytest.mark.parametrize(("frozen", "done"), [(0, ["collect", "freeze", "unfreeze"]), (7, [])])
def test_what_a_program_has_frozen_is_not_unfrozen_behind_a_run(
    monkeypatch: pytest.MonkeyPatch, frozen: int, done: list[str]
) -> None:
    did: list[str] = []
    monkeypatch.setattr(gc, "get_freeze_count", lambda: frozen)
    for name in ("collect", "freeze", "unfreeze"):
        monkeypatch.setattr(gc, name, partial(did.append, name))
    assert len(list(drive(cast(Work, Working())))) == 3
    assert did == done


def test_the_first_signal_stops_the_second_interrupts_and_behind_the_block_they_are_answered_as_before() -> None:
    stops: list[str] = []
    before = [signal.getsignal(number) for number in SIGNALS]
    with first_signal(lambda: stops.append("once")):
        signal.raise_signal(signal.SIGTERM)
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(signal.SIGINT)
    assert (stops, [signal.getsignal(number) for number in SIGNALS]) == (["once"], before)


SIGNALS = (signal.SIGINT, signal.SIGTERM)


def test_nobody_leaves_signals_to_an_event_loop() -> None:
    """uvloop's takes none away while it stands still: Ctrl-C behind it was answered by a closed loop, with nothing."""
    root = Path(integrity.__path__[0])
    assert {str(path) for path in root.rglob("*.py") if "_signal_handler(" in path.read_text(encoding="utf-8")} == set()
