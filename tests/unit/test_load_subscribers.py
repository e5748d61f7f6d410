"""Subscribers come over the time that their profile says, and none before; and nobody waits for those who have not come."""

import asyncio
from types import SimpleNamespace
from typing import Any, cast

import pytest

from integrity.load.caller import Caller
from integrity.load.profile import Profile
from integrity.load.profile import Subscribers as Settings
from integrity.load.subscribers import Subscribers, _Group, _Subscriber
from integrity.measure.calls import Measures


class Feeds:
    """Streams whose calls are made, and go nowhere."""

    async def open(self, call: Any = None) -> Any:
        return call and await call(None)

    def make(self) -> "Feeds":
        return self


class Opened:
    """A caller that counts the streams that are asked for."""

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
            make_feeds=lambda *_: cast(Any, Feeds()),
        )
        await subscribers.open()
        works = [work for group in subscribers._groups for work in group.work()]
        found = [work.cr_frame.f_locals["after_s"] for work in works]  # type: ignore[attr-defined]
        for work in works:
            work.close()
        return found

    assert asyncio.run(opened()) == after_s
    assert caller.count == at_once


def make(count: int, *, come_within_s: float) -> _Group:
    settings = Settings(name="listeners", operation="listen", count=count, poll_s=0.01)
    given: Any = (settings, SimpleNamespace(cursor="last_sequence"), Opened())
    return _Group(*given, come_within_s=come_within_s, seed=1, feeds=cast(Any, Feeds()))


def test_those_of_a_further_step_come_at_the_same_pace_as_the_first(monkeypatch: pytest.MonkeyPatch) -> None:
    """All 100 of a step of the capacity sweep came at once, where its plan has 20 a second."""
    monkeypatch.setattr(_Subscriber, "follow", lambda self, *, after_s=0.0: after_s)
    group = make(100, come_within_s=5.0)
    assert group.work() == pytest.approx([number / 20 for number in range(100)])
    assert group.scale_to(3.0) == pytest.approx([number / 20 for number in range(200)])
    assert make(3, come_within_s=0.0).work() == pytest.approx([0.0] * 3)


def test_who_has_not_come_when_all_settles_or_has_to_leave_is_waited_for_by_nobody() -> None:
    async def end(group: _Group) -> None:
        first, *late = group.work()
        first.close()  # it comes at once
        group.is_settling = True
        await asyncio.gather(*late)

    async def leave(group: _Group) -> None:
        first, *late = group.work()
        first.close()
        group.scale_to(0.001)
        await asyncio.gather(*late)

    for over in (end, leave):
        asyncio.run(asyncio.wait_for(over(make(3, come_within_s=30_000.0)), 60))


def test_so_many_streams_as_a_fault_says_are_cut_at_one_moment_and_none_counts_as_broken() -> None:
    """Each comes back at its next look: that it was cut is the run's own doing."""
    group = make(200, come_within_s=0.0)
    members = list(group._members.values())
    feeds = [SimpleNamespace(cuts=0) for _ in members]
    noted: list[None] = []

    def cutting(feed: Any) -> Any:
        def cut() -> None:
            feed.cuts += 1

        return cut

    for member, feed in zip(members, feeds, strict=True):
        feed.cut = cutting(feed)
        member._feed, member._cursor = cast(Any, feed), 1
        member._caller = cast(Caller, SimpleNamespace(conduct=SimpleNamespace(note_disconnect=lambda: noted.append(None))))
    members[0]._cursor = None  # it has not come yet
    group.cut(0.5)
    assert 60 < len(noted) == sum(feed.cuts for feed in feeds) < 140
    assert [member._is_cut for member in members] == [feed.cuts == 1 for feed in feeds]
    group.cut(1.0)
    assert [feed.cuts for feed in feeds].count(0) == 1
    assert not feeds[0].cuts
