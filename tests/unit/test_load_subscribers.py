"""Subscribers come over the time that their profile says, and none before."""

import asyncio
from types import SimpleNamespace
from typing import Any, cast

import pytest

from integrity.load.caller import Caller
from integrity.load.profile import Profile
from integrity.load.profile import Subscribers as Settings
from integrity.load.subscribers import Subscribers
from integrity.measure.calls import Measures


class Opened:
    """A caller that counts the streams that are asked for, and a connection that is always there."""

    is_open = True

    def __init__(self) -> None:
        self.count = self.number = 0
        self.measures = Measures()
        self.operations = {"listen": SimpleNamespace(arguments={})}

    def take_number(self) -> int:
        self.number += 1
        return self.number

    def draw(self, operation: str, random: Any) -> dict[str, Any]:
        return {}

    async def call(self, *asked: Any, push: Any) -> Any:
        self.count += 1
        return SimpleNamespace(outcome=None, reply=None)

    async def open(self) -> None:
        return


@pytest.mark.parametrize(("come_share", "at_once", "after_s"), [(0.0, 5, [0.0] * 5), (0.1, 0, [0.0, 2.0, 4.0, 6.0, 8.0])])
def test_streams_are_opened_one_after_the_other_over_the_time_in_which_they_come(
    come_share: float, at_once: int, after_s: list[float]
) -> None:
    """A burst of 250 users "within 10 seconds" had all of its streams open 0.2 s after its start, before any call."""
    settings = Settings(name="listeners", operation="listen", count=5, connections=2, come_share=come_share)
    profile, caller = SimpleNamespace(duration_s=100.0, subscribers=(settings,)), Opened()

    async def opened() -> list[float]:
        subscribers = Subscribers(
            cast("Profile", profile),
            cast(Caller, caller),
            subscriptions={"listen": cast(Any, SimpleNamespace(cursor="last_sequence"))},
            seed=1,
            connect=lambda: cast(Any, caller),
            reconnector=cast(Any, None),
        )
        await subscribers.open()
        works = [work for group in subscribers._groups for work in group.work()]
        found = [work.cr_frame.f_locals["after_s"] for work in works]  # type: ignore[attr-defined]
        for work in works:
            work.close()
        return found

    assert asyncio.run(opened()) == after_s
    assert caller.count == at_once
