"""Subscribers: clients that keep a stream open and write down what it brings.

Opening a stream is a call like any other. While it is open a feed (clients/feeds.py) brings what comes: on a database by
asking the follow operation again and again for what came after the cursor, over the wire by what the server pushes. That is
the server's side of the stream and no call of the client's, so it is not in the history; what it brings is. Cut off, a
subscriber comes back at its next look, as the same client, and says what it saw last. What it should
have seen and did not is told by the gaps between the sequence numbers that it saw.
"""

import asyncio
from collections.abc import Callable, Coroutine, Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any, Protocol
from uuid import UUID

from integrity.clients.feeds import Feed, Feeds
from integrity.domain import KeyOf
from integrity.history import Outcome, Received
from integrity.load.caller import Caller
from integrity.load.client import Client, Sources
from integrity.load.profile import OpenProfile, Profile
from integrity.load.profile import Subscribers as Settings
from integrity.load.share import WHOLE, Share
from integrity.operation import Rows
from integrity.systems.system import Subscription

MakeFeeds = Callable[[Settings, Subscription], Feeds]


class TakeOf(Protocol):
    """Takes what a call pushed, and when that came, in microseconds since the epoch; None: now."""

    def __call__(self, operation_id: UUID | None, events: Rows, at_us: int | None = None, /) -> None: ...


CUT_LOOK_S = 0.02  # so often it is asked whether streams are to be cut at once
REFUSED_PAUSE_S = 0.1  # before a stream that could not be opened is tried again


class Subscribers:
    """All subscribers of a run, or a share of each group of them.

    Args:
        make_feeds: makes what keeps the streams of one group open.
    """

    def __init__(
        self,
        profile: Profile,
        caller: Caller,
        *,
        subscriptions: Mapping[str, Subscription],
        seed: int,
        make_feeds: MakeFeeds,
        share: Share = WHOLE,
    ) -> None:
        self._groups = [
            _Group(
                each,
                subscriptions[each.operation],
                caller,
                come_within_s=each.come_share * _step_s(profile),
                seed=seed,
                feeds=make_feeds(each, subscriptions[each.operation]),
                share=share,
            )
            for each in profile.subscribers
        ]
        self._tasks: list[asyncio.Task[None]] = []
        self._caller = caller
        self._cutting: asyncio.Task[None] | None = None

    async def open(self) -> None:
        """Connect, and open every stream once, so that nothing that is sent from now on is before its time."""
        for group in self._groups:
            await group.open()

    def start(self) -> None:
        """Let the streams bring what they bring."""
        self._tasks = [asyncio.create_task(work) for group in self._groups for work in group.work()]
        self._cutting = asyncio.create_task(self._cut())

    async def _cut(self) -> None:
        """Cut streams at the moment at which a fault says so."""
        before = 0.0
        while True:
            share = self._caller.conduct.cut_share
            if share > before:
                for group in self._groups:
                    group.cut(share)
            before = share
            await asyncio.sleep(CUT_LOOK_S)

    def _end_cutting(self) -> None:
        if self._cutting is not None:
            self._cutting.cancel()

    def scale_to(self, factor: float) -> None:
        """Let so many times the profile's subscribers keep streams open: more come, or the last ones leave."""
        for group in self._groups:
            self._tasks += [asyncio.create_task(work) for work in group.scale_to(factor)]

    async def settle(self) -> None:
        """End when every stream has brought what was sent until now.

        Raises:
            HistoryError: the history could not be written.
        """
        self._end_cutting()
        for group in self._groups:
            group.is_settling = True
        if self._tasks:
            await asyncio.gather(*self._tasks)

    async def close(self) -> None:
        for group in self._groups:
            await group.close()

    async def abort(self) -> None:
        """Cut all streams."""
        self._end_cutting()
        for task in self._tasks:
            task.cancel()
        for group in self._groups:
            await group.abort()


def _step_s(profile: Profile) -> float:
    """Return how long a step is, or the run where it has none."""
    steps = profile.steps if isinstance(profile, OpenProfile) else None
    return profile.duration_s if steps is None else steps.step_s


class _Group:
    """The subscribers of one entry of the profile."""

    def __init__(
        self,
        settings: Settings,
        subscription: Subscription,
        caller: Caller,
        *,
        come_within_s: float,
        seed: int,
        feeds: Feeds,
        share: Share = WHOLE,
    ) -> None:
        self.is_settling = False
        self._each_s = come_within_s / settings.count
        self._feeds = feeds
        self._share, self._count, self._scaled_to = share, settings.count, settings.count
        self._settings, self._subscription, self._caller, self._seed = settings, subscription, caller, seed
        self._members = {number: self._make(number) for number in share.numbers(settings.count)}

    def _make(self, number: int) -> "_Subscriber":
        sources = Sources(self._seed, f"{self._settings.name}-{number}")
        return _Subscriber(self, self._settings, self._subscription, self._caller, sources=sources, feed=self._feeds.make())

    def scale_to(self, factor: float) -> list[Coroutine[Any, Any, None]]:
        """Return the work of those who come."""
        count = max(1, round(self._count * factor))
        for number in [number for number in self._members if number >= count]:
            self._members.pop(number).is_leaving = True
        new = {number: self._make(number) for number in self._share.numbers(count) if number not in self._members}
        self._members |= new
        come = self._come(new, first=min(self._scaled_to, count))
        self._scaled_to = count
        return come

    async def open(self) -> None:
        await self._feeds.open()
        if not self._each_s:
            ended = await asyncio.gather(*(member.open() for member in self._members.values()), return_exceptions=True)
            for error in ended:
                if isinstance(error, BaseException):
                    raise error

    def work(self) -> list[Coroutine[Any, Any, None]]:
        return self._come(self._members)

    def _come(self, members: Mapping[int, "_Subscriber"], *, first: int = 0) -> list[Coroutine[Any, Any, None]]:
        """Return the work of these, who come one after the other, beginning with the number `first`."""
        return [member.follow(after_s=(number - first) * self._each_s) for number, member in members.items()]

    def cut(self, share: float) -> None:
        """Cut off so many of the members, all at this moment."""
        for member in self._members.values():
            member.cut_by_chance(share)

    async def close(self) -> None:
        await self._feeds.close()

    async def abort(self) -> None:
        await self._feeds.abort()


class _Subscriber:
    """One client and its stream."""

    def __init__(
        self,
        group: _Group,
        settings: Settings,
        subscription: Subscription,
        caller: Caller,
        *,
        sources: Sources,
        feed: Feed,
    ) -> None:
        self.is_leaving = False
        self._is_cut = False
        self._group = group
        self._feed = feed
        self._settings = settings
        self._subscription = subscription
        self._caller = caller
        self._client = Client(caller.take_number(), sources)
        self._number = self._client.number  # as a client of streams it stays the same, whatever becomes of its calls
        self._random = sources.draws
        self._arguments = {
            name: value
            for name, value in caller.draw(settings.operation, sources.draws).items()
            if name != subscription.cursor
        }
        domains = caller.operations[settings.operation].arguments
        for name, domain in domains.items():
            if isinstance(domain, KeyOf) and domain.pool in caller.world.named:
                self._arguments[name] = caller.world.draw_own(domain.pool, sources.draws)
        for name, which in settings.pin.items():
            domain = domains[name]
            if isinstance(domain, KeyOf):
                self._arguments[name] = caller.world.pinned(domain.pool, which)
        self._cursor: int | None = None
        self._last_seen: int | None = None
        self._measure = caller.measures.of(settings.operation)
        self._measure.keeps_stream = True

    async def open(self) -> bool:
        """Open the stream, and take what was missed; return whether it is open."""
        subscription = self._subscription
        arguments = {**self._arguments, subscription.cursor: self._last_seen}
        name = self._settings.operation
        with self._taking() as take:
            returned = await self._feed.open(
                lambda carrier: self._caller.call(carrier, self._client, name, arguments, None, push=take)
            )
        if returned.outcome is not Outcome.OK or returned.reply is None:
            return False
        self._go_on(_cursor_of(returned.reply, subscription.cursor))
        return True

    def cut_by_chance(self, share: float) -> None:
        """Cut the stream off by that chance; it comes back at its next look."""
        if self._cursor is None or self._random.random() >= share:
            return
        self._caller.conduct.note_disconnect()
        self._is_cut = True
        self._feed.cut()

    async def follow(self, *, after_s: float = 0.0) -> None:
        """Come, and take what comes until the run settles; cut off now and then, come back."""
        if not await self._comes(after_s):
            return
        is_open = self._cursor is not None
        while True:
            is_settling = self._group.is_settling
            if self._is_cut:
                self._is_cut = is_open = False
            if not is_open:
                is_open = await self.open()
                if not is_open and not is_settling:
                    await asyncio.sleep(REFUSED_PAUSE_S)
            if is_open:
                is_open = await self._look(is_last=is_settling)
            if is_settling or self.is_leaving:
                return
            disconnect_share = max(self._settings.disconnect_share, self._caller.conduct.disconnect_share)
            if is_open and self._random.random() < disconnect_share:
                self._caller.conduct.note_disconnect()
                self._feed.cut()
                is_open = False  # noticed at the next look: what is sent until then has been missed
            await asyncio.sleep(self._settings.poll_s)

    async def _comes(self, after_s: float) -> bool:
        """Wait until it comes; return False where it need not any more."""
        clock = asyncio.get_running_loop()
        at = clock.time() + after_s
        while (left_s := at - clock.time()) > 0:
            if self._group.is_settling or self.is_leaving:
                return False
            await asyncio.sleep(min(left_s, self._settings.poll_s))
        return True

    async def _look(self, *, is_last: bool) -> bool:
        """Take what has come since the last look; return whether the stream is still open."""
        stream_id = self._client.operation_id
        arguments = {**self._arguments, self._subscription.cursor: self._cursor, "operation_id": stream_id}
        with self._taking() as take:
            brought = await self._feed.bring(
                arguments, lambda events, at_us: take(stream_id, events, at_us), is_last=is_last
            )
        if brought.cursor is not None:
            self._go_on(brought.cursor)
        if not brought.is_open and not self._is_cut:
            self._measure.broken += 1
        return brought.is_open

    def _go_on(self, cursor: Any) -> None:
        """Take the stream's word for where it stands: what it passes over without showing it is missed."""
        if self._last_seen is not None:
            self._measure.missed += max(0, cursor - self._last_seen)
        self._cursor = self._last_seen = cursor

    @contextmanager
    def _taking(self) -> Iterator[TakeOf]:
        """Yield what takes pushed events; they are written down when the call is over."""
        received: list[Received] = []

        def take(operation_id: UUID | None, events: Rows, at_us: int | None = None) -> None:
            assert operation_id is not None
            came_at_us = self._caller.clock.now_us() if at_us is None else at_us
            received.extend(
                Received(
                    operation_id,
                    self._number,
                    event["stream"],
                    event["sequence"],
                    event["event_id"],
                    _microseconds(event["sent_at"]),
                    came_at_us,
                )
                for event in events
            )

        try:
            yield take
        finally:
            if received:
                self._account(received)

    def _account(self, received: list[Received]) -> None:
        self._caller.write_received(received)
        for event in received:
            lag_ms = max(0.0, (event.received_at_us - event.sent_at_us) / 1000)
            self._measure.lags_ms.append(lag_ms)
            self._measure.client_lags.add(self._number, lag_ms)
            if self._last_seen is not None:
                self._measure.missed += max(0, event.sequence - self._last_seen - 1)
            self._last_seen = max(event.sequence, self._last_seen or 0)


def _cursor_of(reply: Mapping[str, Any], name: str) -> int:
    cursor: int = reply[name]
    return cursor


def _microseconds(at: datetime | str) -> int:
    moment = datetime.fromisoformat(at) if isinstance(at, str) else at
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    return round(moment.timestamp() * 1_000_000)
