"""Streams: what comes down them is read as it was written, resumes without loss or repetition, and waits for nobody."""

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any, cast
from uuid import UUID

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from integrity.endpoints.endpoint import body, header, path, query
from integrity.endpoints.kinds import UnreadableMessage
from integrity.endpoints.messages import (
    Brought,
    EventStreamReader,
    Message,
    Opened,
    Refused,
    Stands,
    decode_block,
    decode_message,
    encode_message,
)
from integrity.endpoints.stream import Form, Stream, event_stream, websocket
from integrity.endpoints.table import Endpoints
from integrity.errors import UsageError
from integrity.history import Outcome, Returned
from integrity.operation import Operation
from integrity.registry import SYSTEMS
from integrity.serve import topics
from integrity.serve.application import Application, Carried
from integrity.serve.gate import Gate
from integrity.serve.metrics import Metrics
from integrity.serve.streams import Streams
from integrity.serve.topics import Listener, Piece, Topic, Topics
from integrity.systems.system import Subscription

ARGUMENTS = {"room_id": query("room"), "last_sequence": header("Last-Event-ID", is_optional=True)}
STREAMS = {
    Form.WEBSOCKET: websocket("/live", "listen", ARGUMENTS, event="UPDATED"),
    Form.EVENT_STREAM: event_stream("/events", "listen", ARGUMENTS, event="new_message"),
}
FOLLOW = Operation("follow", lambda **_: iter(()), {})  # type: ignore[arg-type]  # nobody starts it
CURSOR = "last_sequence"
BEGAN = datetime(2026, 1, 1, tzinfo=UTC)

numbers = st.integers(-(2**63), 2**63 - 1)
texts = st.text(st.characters(exclude_categories=["Cs"]))
events = st.builds(
    lambda stream, sequence, event_id, sent_at, said: Brought(
        {"stream": stream, "sequence": sequence, "event_id": event_id, "sent_at": sent_at, "said": said}
    ),
    numbers,
    numbers,
    numbers,
    st.datetimes(timezones=st.just(UTC)),
    texts,
)
opened = st.builds(lambda cursor, said: Opened({CURSOR: cursor, "said": said}), numbers, texts)
coming = st.one_of(events, opened, st.builds(Stands, numbers))
refusals = st.builds(
    lambda outcome, reason: Refused(Returned(outcome, {"reason": reason}, "", 1)),
    st.sampled_from([Outcome.DECLINED, Outcome.UNAVAILABLE]),
    texts,
)


@given(st.one_of(coming, refusals))
def test_a_websocket_reads_what_was_written(message: Message) -> None:
    stream = STREAMS[Form.WEBSOCKET]
    assert decode_message(stream, encode_message(stream, message, cursor=CURSOR), cursor=CURSOR) == message


@settings(max_examples=50)
@given(st.lists(coming), st.lists(st.integers(1, 40)), st.sampled_from([b"\n", b"\r\n", b"\r"]))
def test_an_event_stream_reads_what_was_written_wherever_it_is_cut(
    messages: list[Message], cuts: list[int], line_end: bytes
) -> None:
    """Its ids are what a client comes back with: the position behind each message."""
    stream, reader = STREAMS[Form.EVENT_STREAM], EventStreamReader()
    sent = b"".join(b": keep-alive\n\n" + encode_message(stream, each, cursor=CURSOR) for each in messages)
    sent = b"\xef\xbb\xbf" + sent.replace(b"\n", line_end) + b": end\n"  # a lone CR at the end is waited for
    pieces, at = [], 0
    for cut in cuts:
        pieces.append(sent[at : at + cut])
        at += cut
    blocks = [block for piece in (*pieces, sent[at:]) for block in reader.feed(piece)]

    assert [decode_block(stream, block, cursor=CURSOR) for block in blocks] == messages
    assert [int(block.last_id) for block in blocks] == [position_of(each) for each in messages]


def position_of(message: Message) -> int:
    match message:
        case Brought(event):
            return int(event["sequence"])
        case Opened(reply):
            return int(reply[CURSOR])
        case Stands(cursor):
            return cursor
    raise AssertionError(message)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("{", "no JSON"),
        ("[1]", "no object"),
        ('{"type": 3}', "no object"),
        ('{"type": "UPDATED", "data": 7}', "data of UPDATED"),
        ('{"type": "UPDATED", "data": {"stream": "7"}}', "does not say stream"),
        ('{"type": "UPDATED", "data": {"stream": 7, "sequence": true}}', "does not say sequence"),
        ('{"type": "UPDATED", "data": {"stream": 7, "sequence": 1, "event_id": 1, "sent_at": 5}}', "sent_at"),
        ('{"type": "OPENED", "data": {}}', "OPENED does not say last_sequence"),
        ('{"type": "REFUSED", "data": {"outcome": "sunk"}}', "does not say its outcome"),
    ],
)
def test_what_is_no_message_is_refused_with_what_it_lacks(text: str, said: str) -> None:
    with pytest.raises(UnreadableMessage, match=said):
        decode_message(STREAMS[Form.WEBSOCKET], text, cursor=CURSOR)


def test_messages_of_other_kinds_are_nobody_s_and_what_is_no_utf8_or_has_no_end_is_refused() -> None:
    assert decode_message(STREAMS[Form.WEBSOCKET], '{"type": "CHAT", "data": 1}', cursor=CURSOR) is None
    (block,) = EventStreamReader().feed(b"data: hello\n\n")
    assert (block.event, decode_block(STREAMS[Form.EVENT_STREAM], block, cursor=CURSOR)) == ("message", None)
    with pytest.raises(UnreadableMessage, match="UTF-8"):
        list(EventStreamReader().feed(b"data: \xff\n"))
    with pytest.raises(UnreadableMessage, match="longer than 1 MiB"):
        list(EventStreamReader().feed(b"data: " + b"x" * 2_000_000 + b"\n"))


def test_a_stream_that_cannot_be_opened_so_is_refused() -> None:
    makes: tuple[Callable[[], Stream], ...] = (
        lambda: websocket("/live", "listen", {"room_id": body()}, event="UPDATED"),
        lambda: websocket("/live", "listen", {}, event="opened"),
        lambda: websocket("/live", "listen", {}, event=" "),
        lambda: event_stream("/events/{room}", "listen", {}, event="new"),
    )
    for make in makes:
        with pytest.raises(UsageError):
            make()
    assert str(event_stream("/events/{room}", "listen", {"room": path()}, event="new")) == "GET /events/{room}"


@pytest.mark.parametrize("name", SYSTEMS)
def test_the_streams_of_a_system_are_of_its_subscriptions_and_every_subscription_has_one(name: str) -> None:
    system = SYSTEMS[name]
    assert system.endpoints is not None
    assert {each.operation for each in system.endpoints.streams} == set(system.subscriptions)
    for stream in system.endpoints.streams:
        with pytest.raises(UsageError, match="opens no subscription"):
            replace(system, subscriptions={}, endpoints=Endpoints((), streams=(stream,), login=system.endpoints.login))


# What a topic brings.


def nothing() -> None:
    return


class Room:
    """An application whose events are numbers, a page of two at a time, which become visible as a test says."""

    def __init__(self) -> None:
        self.last = 0
        self.looks = 0
        self.while_opening: Callable[[], None] = nothing

    def events_after(self, position: int) -> list[dict[str, Any]]:
        return [event(number) for number in range(position + 1, self.last + 1)][:2]

    async def call(self, operation: str, arguments: Mapping[str, Any], operation_id: UUID | None) -> Carried:
        since = arguments[CURSOR]
        found = self.events_after(since) if since is not None else []
        position = found[-1]["sequence"] if found else self.last if since is None else since
        await asyncio.sleep(0)
        self.while_opening()
        await asyncio.sleep(0)
        return Carried(UUID(int=1), Returned(Outcome.OK, {CURSOR: position}, "", 1), tuple(found))

    async def carry_out(self, follow: Any, arguments: Mapping[str, Any]) -> Carried:
        await asyncio.sleep(0)
        self.looks += 1
        found = self.events_after(arguments[CURSOR])
        position = found[-1]["sequence"] if found else arguments[CURSOR]
        return Carried(UUID(int=2), Returned(Outcome.OK, {CURSOR: position}, "", 1), tuple(found))


def event(number: int) -> dict[str, Any]:
    return {"stream": 7, "sequence": number, "event_id": number, "sent_at": BEGAN + timedelta(seconds=number)}


async def listen(rooms: Topics, since: int | None) -> tuple[Topic, Listener, list[int]]:
    """Open a stream, and return what it brought by then."""
    arguments = {"room_id": 7, CURSOR: since}
    subscription = Subscription("listen", FOLLOW)
    topic, listener = rooms.enter(STREAMS[Form.WEBSOCKET], subscription, arguments)
    carried = await rooms.join(topic, listener, arguments, None)
    return topic, listener, [each["sequence"] for each in carried.events]


async def take(listener: Listener, until: int) -> list[int]:
    got: list[int] = []
    while not got or got[-1] < until:
        got += [piece.position for piece in await listener.take(5)]
    return got


@pytest.mark.parametrize("since", [0, 3, 6, None])
@pytest.mark.parametrize("meanwhile", ["", "events", "a look"])
def test_who_joins_gets_all_that_he_has_not_seen_once_and_in_order(
    since: int | None, meanwhile: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever comes first makes a topic; those who come later are ahead of its looks, or behind them, by chance.

    One that was ahead was brought again by the topic's next look what his own call had brought.
    """
    monkeypatch.setattr(topics, "POLL_S", 0)

    async def run() -> None:
        room = Room()
        rooms = Topics(cast(Application, room), looks_most=2)
        room.last = 2
        topic, first, _ = await listen(rooms, 0)
        assert topic.task is not None
        topic.task.cancel()  # its next look is late

        def happen() -> None:
            if meanwhile == "events":
                room.last = 9
            elif meanwhile == "a look":
                room.last = 8
                for number in range((topic.position or 0) + 1, 9):
                    topic.position = number
                    for each in topic.listeners:
                        each.put(Piece(b"", number))

        room.last = 6
        room.while_opening = happen
        _, late, brought = await listen(rooms, since)
        room.while_opening = nothing
        room.last = 12
        topic.task = asyncio.create_task(rooms._follow(topic))
        told = await asyncio.wait_for(take(late, 12), 20)
        assert brought + told == list(range((6 if since is None else since) + 1, 13))
        assert (await take(first, 12))[-1] == 12
        for each in (first, late):
            rooms.leave(topic, each)
        await asyncio.sleep(0)
        assert topic.task.cancelling() or topic.task.done()

    asyncio.run(run())


def test_all_who_listen_to_the_same_are_asked_for_once_and_who_does_not_read_is_dropped() -> None:
    async def run() -> None:
        room = Room()
        rooms = Topics(cast(Application, room), looks_most=1)
        listeners = [await listen(rooms, None) for _ in range(50)]
        topic, slow, _ = listeners[0]
        assert all(each[0] is topic for each in listeners)
        for number in range(topics.QUEUE_MOST):
            slow.put(Piece(b"", number + 1))
        assert not slow.is_dropped
        slow.put(Piece(b"", topics.QUEUE_MOST + 1))
        assert slow.is_dropped
        assert slow.over.is_set()
        assert not listeners[1][1].over.is_set()
        before = room.looks
        room.last = 1
        assert [await take(each, 1) for _, each, _ in listeners[1:]] == [[1]] * 49
        assert room.looks - before <= 3
        rooms.end()
        assert all(each.over.is_set() for _, each, _ in listeners)
        for of, each, _ in listeners:
            rooms.leave(of, each)

    asyncio.run(run())


async def let_others_turn() -> None:
    """Let the loop go on for as long as a few looks and all that they bring take."""
    for _ in range(100):
        await asyncio.sleep(0)


@pytest.mark.parametrize("form", STREAMS)
def test_a_client_that_does_not_read_is_left_and_counted_and_the_others_go_on(
    form: Form, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its server waits within a send that does not end: nobody else waits for that, and nothing of it is kept."""
    monkeypatch.setattr(topics, "QUEUE_MOST", 3)
    monkeypatch.setattr(topics, "POLL_S", 0)

    async def run() -> None:
        room, stream = Room(), STREAMS[form]
        shown: Any = room
        shown.pool, shown.metrics = SimpleNamespace(size=2), Metrics({})
        shown.system = SimpleNamespace(subscriptions={"listen": Subscription("listen", FOLLOW)})
        streams = Streams(cast(Application, room), Endpoints((), streams=(stream,)))
        (route,) = streams.routes(Gate(lambda *_: {}, lambda _: None, lambda *_: {}))

        async def client(*, reads_most: int) -> int:
            sent = 0
            coming = [{"type": "websocket.connect"}] if form is Form.WEBSOCKET else []

            async def receive() -> Any:
                if not coming:
                    await asyncio.Event().wait()
                return coming.pop()

            async def send(message: Any) -> None:
                nonlocal sent
                sent += bool(message.get("text") or message.get("body"))
                if sent > reads_most:
                    await asyncio.Event().wait()

            kind = "websocket" if form is Form.WEBSOCKET else "http"
            scope: Any = {
                "type": kind,
                "method": "GET",
                "path": stream.request.path,
                "query_string": b"room=7",
                "headers": [],
            }
            await cast(Any, route).app(scope, receive, send)
            return sent

        reader = asyncio.create_task(client(reads_most=1000))
        slow = asyncio.create_task(client(reads_most=1))
        await let_others_turn()
        for number in range(1, 9):
            room.last = number
            await let_others_turn()
        assert await slow == 2
        told = shown.metrics.render()
        assert f'ws_clients_connected{{stream="{stream.request.path}"}} 1\n' in told
        assert f'ws_clients_dropped_total{{stream="{stream.request.path}"}} 1\n' in told
        streams.end()
        assert await reader == 1 + 8

    asyncio.run(asyncio.wait_for(run(), 20))
