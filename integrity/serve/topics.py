"""Topics: what is brought to everybody who listens to the same, asked of the database once for all of them.

A topic is a stream with its arguments. As long as somebody listens, its follow operation is asked again and again for what
came since, and that goes to each listener's queue. Who joins opens the stream by a call of his own, which brings what he
missed; meanwhile what the topic brings is held back for him, and then he gets what of it he has not seen: nothing is lost
between the two, and nothing comes twice. Who does not read until his queue is full is dropped.
"""

import asyncio
import time
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from integrity.endpoints.messages import Brought, Stands, encode_message
from integrity.endpoints.stream import Stream
from integrity.history import Outcome, Returned
from integrity.operation import Row
from integrity.serve.application import Application, Carried
from integrity.systems.system import Subscription

POLL_S = 0.05
"""So long after a look at a topic was begun the next one is, where looks do not take longer."""

QUEUE_MOST = 1000
"""So many messages may wait for one listener."""


@dataclass(frozen=True, slots=True)
class Piece:
    """A message on its way.

    Args:
        position: of the stream behind it.
        sent_s: when the system says that it made the event, in seconds since the epoch; None: it is no event.
        text: the data, made a text once for all who listen to a websocket.
    """

    data: bytes
    position: int
    sent_s: float | None = None
    text: str = ""


class Listener:
    """One client's end of a stream.

    Args:
        base: where the topic stood when he came to it; None: nobody listened yet.
    """

    def __init__(self, base: int | None = None) -> None:
        self.base = base
        self.is_dropped = False
        self.over = asyncio.Event()
        """Nothing more comes, and whoever carries it closes it."""
        self._queue: deque[Piece] = deque()
        self._held: deque[Piece] | None = deque()  # until it is opened
        self._seen: int | None = None
        self._some = asyncio.Event()

    def put(self, piece: Piece) -> None:
        """Add a piece, or drop the listener where there is no room."""
        if self._seen is not None:
            if piece.position <= self._seen:
                return
            self._seen = None  # from here on whatever comes is brought, as the topic has it
        queue = self._queue if self._held is None else self._held
        if len(queue) >= QUEUE_MOST:
            self.is_dropped = True
            self.over.set()
            return
        queue.append(piece)
        self._some.set()

    def release(self, position: int) -> None:
        """Let come what is behind a position: of what was held back, and of what the topic, which may lag, will see."""
        held, self._held = self._held or (), None
        self._seen = position
        for piece in held:
            self.put(piece)

    async def take(self, within_s: float | None) -> Sequence[Piece]:
        """Return what has come; nothing: nothing came in that time.

        Args:
            within_s: None: whatever comes is waited for, without a clock for each of 10,000 listeners.
        """
        if not self._queue:
            self._some.clear()
            if within_s is None:
                await self._some.wait()
            else:
                try:
                    async with asyncio.timeout(within_s):
                        await self._some.wait()
                except TimeoutError:
                    return ()
        pieces = list(self._queue)
        self._queue.clear()
        return pieces


class Topic:
    """A stream with its arguments, and who listens."""

    def __init__(
        self, key: tuple[Any, ...], stream: Stream, subscription: Subscription, arguments: Mapping[str, Any]
    ) -> None:
        self.key = key
        self.stream = stream
        self.subscription = subscription
        self.arguments = arguments
        self.listeners: set[Listener] = set()
        self.position: int | None = None
        """Where the last look left it; None: nobody has opened it yet."""
        self.task: asyncio.Task[None] | None = None

    def reached(self, carried: Carried) -> int:
        """Return where a call that is ok says that the stream stands."""
        position: Any = (carried.returned.reply or {})[self.subscription.cursor]
        return int(position)

    def pieces(self, carried: Carried) -> list[Piece]:
        """Return what a look brought, as it travels."""
        cursor = self.subscription.cursor
        found = [self.piece(event) for event in carried.events]
        position = self.reached(carried)
        before = found[-1].position if found else self.position
        if position != before:
            data = encode_message(self.stream, Stands(position), cursor=cursor)
            found.append(Piece(data, position, text=data.decode()))
        return found

    def piece(self, event: Row) -> Piece:
        data = encode_message(self.stream, Brought(event), cursor=self.subscription.cursor)
        return Piece(data, event["sequence"], _seconds(event["sent_at"]), data.decode())


class Topics:
    """All topics that somebody listens to.

    Args:
        looks_most: at the database, at once: the pool's rest is for requests.
    """

    def __init__(self, application: Application, *, looks_most: int) -> None:
        self._application = application
        self._topics: dict[tuple[Any, ...], Topic] = {}
        self._room = asyncio.Semaphore(looks_most)

    def enter(self, stream: Stream, subscription: Subscription, arguments: Mapping[str, Any]) -> tuple[Topic, Listener]:
        """Return the topic of these arguments, and a new listener of it, who is to join, and to leave."""
        named = {name: value for name, value in arguments.items() if name != subscription.cursor}
        key = (str(stream), *named.items())
        topic = self._topics.get(key)
        if topic is None:
            topic = self._topics[key] = Topic(key, stream, subscription, named)
        listener = Listener(topic.position)
        topic.listeners.add(listener)
        return topic, listener

    async def join(
        self, topic: Topic, listener: Listener, arguments: Mapping[str, Any], operation_id: UUID | None
    ) -> Carried:
        """Open a stream; when that was ok the listener gets what happens from there on.

        Returns:
            How that call ended, with what was missed.
        """
        cursor = topic.subscription.cursor
        carried = await self._application.call(topic.stream.operation, arguments, operation_id)
        if carried.returned.outcome is not Outcome.OK:
            return carried
        position = topic.reached(carried)
        if topic.position is None:
            topic.position = position
        base = topic.position if listener.base is None else listener.base
        events = list(carried.events)
        while position < base:  # a call brings so many at most: the rest up to where the topic stood
            more = await self.look(topic, position)
            if more.returned.outcome is not Outcome.OK:
                return more
            events += more.events
            reached = topic.reached(more)
            if reached <= position:
                break
            position = reached
        listener.release(position)
        if topic.task is None:
            topic.task = asyncio.get_running_loop().create_task(self._follow(topic))
        returned = Returned(Outcome.OK, {**(carried.returned.reply or {}), cursor: position}, "", carried.returned.attempts)
        return Carried(carried.operation_id, returned, events)

    def leave(self, topic: Topic, listener: Listener) -> None:
        topic.listeners.discard(listener)
        if topic.listeners:
            return
        if topic.task is not None:
            topic.task.cancel()
        self._topics.pop(topic.key, None)

    def end(self) -> None:
        """Let every stream be over."""
        for topic in self._topics.values():
            for listener in topic.listeners:
                listener.over.set()

    async def look(self, topic: Topic, position: int) -> Carried:
        """Ask for what came after a position."""
        arguments = {**topic.arguments, topic.subscription.cursor: position}
        async with self._room:
            return await self._application.carry_out(topic.subscription.follow, arguments)

    async def _follow(self, topic: Topic) -> None:
        """Bring what comes; a look that fails is made again."""
        while True:
            began_s = time.perf_counter()
            assert topic.position is not None
            carried = await self.look(topic, topic.position)
            outcome = carried.returned.outcome
            if outcome is Outcome.DECLINED:
                for listener in topic.listeners:
                    listener.over.set()
                return
            if outcome is Outcome.OK:
                for piece in topic.pieces(carried):
                    topic.position = piece.position
                    for listener in topic.listeners:
                        listener.put(piece)
            await asyncio.sleep(max(0.0, POLL_S - (time.perf_counter() - began_s)))


def _seconds(at: datetime | str) -> float:
    moment = datetime.fromisoformat(at) if isinstance(at, str) else at
    return moment.timestamp()
