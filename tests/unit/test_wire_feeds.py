"""Feeds over the wire, of servers that do not do what they should: each way has its outcome, none goes on for ever."""

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from typing import Any, cast
from uuid import UUID

import pytest
from aiohttp import web

from integrity.clients import wire_feeds
from integrity.clients.carrier import Abandon, Carrier
from integrity.clients.http import Server
from integrity.clients.wire_feeds import WireFeed, WireFeeds
from integrity.endpoints.endpoint import query
from integrity.endpoints.stream import Form, event_stream, websocket
from integrity.endpoints.table import Endpoints
from integrity.history import Outcome, Returned
from integrity.http.origin import Origin
from integrity.operation import Operation, Rows
from integrity.systems.system import Subscription, System

ARGUMENTS = {"room_id": query("room"), "last_sequence": query("since", is_optional=True)}
STREAMS = {
    Form.WEBSOCKET: websocket("/live", "listen", ARGUMENTS, event="UPDATED"),
    Form.EVENT_STREAM: event_stream("/events", "listen", ARGUMENTS, event="new_message"),
}
LISTEN = Operation("listen", cast(Any, lambda **_: iter(())), {})
SUBSCRIPTION = Subscription("listen", LISTEN)
OPENED = '{"type": "OPENED", "data": {"last_sequence": 4}}'
EVENT = '{"type": "UPDATED", "data": {"stream": 7, "sequence": %d, "event_id": 1, "sent_at": "2026-01-01T00:00:00+00:00"}}'

Handle = Callable[[web.Request], Coroutine[Any, Any, web.StreamResponse]]


@asynccontextmanager
async def feed_of(form: Form, handle: Handle) -> AsyncIterator[WireFeed]:
    application = web.Application()
    application.router.add_get("/{path:.*}", handle)
    runner = web.AppRunner(application, shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    port = runner.addresses[0][1]
    system = cast(System, type("S", (), {"endpoints": Endpoints((), streams=tuple(STREAMS.values())), "makes": {}}))
    feeds = WireFeeds(Server(Origin("http", "127.0.0.1", port), system), [STREAMS[form]], SUBSCRIPTION, lambda: 7)
    await feeds.open()
    try:
        yield feeds.make()
    finally:
        await feeds.close()
        await runner.cleanup()


async def opened(feed: WireFeed, pushed: list[int], abandon: Abandon | None = None) -> Returned:
    def push(events: Rows) -> None:
        pushed.extend(each["sequence"] for each in events)

    arguments = {"room_id": 7, "last_sequence": 3, "operation_id": UUID(int=1)}

    async def call(carrier: Carrier) -> Returned:
        return await carrier.call(LISTEN, arguments, cast(Any, None), abandon, push=push)

    return await feed.open(call)


def says(*texts: str | bytes) -> Handle:
    """Return what answers a websocket with these messages, and closes it."""

    async def handle(request: web.Request) -> web.StreamResponse:
        socket = web.WebSocketResponse()
        await socket.prepare(request)
        for text in texts:
            await (socket.send_str(text) if isinstance(text, str) else socket.send_bytes(text))
        await socket.close()
        return socket

    return handle


def answers(status: int, text: str = "", kind: str = "text/plain", **headers: str) -> Handle:
    async def handle(request: web.Request) -> web.StreamResponse:
        assert request.query_string == "room=7&since=3"
        return web.Response(
            status=status, text=text, headers={name.replace("_", "-"): value for name, value in headers.items()}
        )

    return handle


REFUSED = '{"outcome": "declined", "reason": "full"}'


@pytest.mark.parametrize(
    ("form", "handle", "outcome", "error"),
    [
        (Form.WEBSOCKET, says(OPENED), Outcome.OK, ""),
        (Form.WEBSOCKET, says('{"type": "REFUSED", "data": ' + REFUSED + "}"), Outcome.DECLINED, ""),
        (Form.WEBSOCKET, says(), Outcome.UNKNOWN, "closed before it was opened"),
        (Form.WEBSOCKET, says("{"), Outcome.UNKNOWN, "no JSON"),
        (Form.WEBSOCKET, says(b"\xff"), Outcome.UNKNOWN, "no text"),
        (Form.WEBSOCKET, says("x" * 2_000_000), Outcome.UNKNOWN, "exceeds limit"),
        (Form.WEBSOCKET, answers(503), Outcome.UNAVAILABLE, "HTTP 503"),
        (Form.WEBSOCKET, answers(302, location="http://127.0.0.1:1/"), Outcome.FAILED, "HTTP 302"),
        (Form.EVENT_STREAM, answers(302, location="http://127.0.0.1:1/"), Outcome.FAILED, "HTTP 302"),
        (Form.EVENT_STREAM, answers(200, "hello"), Outcome.UNKNOWN, "no event stream"),
        (Form.EVENT_STREAM, answers(409, REFUSED), Outcome.DECLINED, ""),
        (
            Form.EVENT_STREAM,
            answers(200, "data: x\n\n", content_type="text/event-stream"),
            Outcome.UNKNOWN,
            "closed before",
        ),
    ],
)
def test_whatever_answers_has_an_outcome(form: Form, handle: Handle, outcome: Outcome, error: str) -> None:
    async def run() -> Returned:
        async with feed_of(form, handle) as feed:
            return await asyncio.wait_for(opened(feed, []), 20)

    returned = asyncio.run(run())
    assert (returned.outcome, error in returned.error) == (outcome, True), returned
    if outcome is Outcome.DECLINED:
        assert returned.reply == {"reason": "full"}


def test_what_was_missed_comes_with_the_call_and_what_happens_is_brought_until_the_stream_breaks(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(wire_feeds, "QUIET_S", 0.01)

    async def run() -> None:
        async with feed_of(Form.WEBSOCKET, says(EVENT % 4, OPENED, EVENT % 5, '{"type": "CHAT"}', EVENT % 6)) as feed:
            missed: list[int] = []
            assert (await opened(feed, missed)).reply == {"last_sequence": 4}
            came: list[tuple[int, int | None]] = []
            is_open = True
            while is_open:
                brought = await feed.bring(
                    {}, lambda events, at_us: came.extend((each["sequence"], at_us) for each in events), is_last=True
                )
                is_open = brought.is_open
            assert (missed, came) == ([4], [(5, 7), (6, 7)])
            died = await opened(feed, [], Abandon(None))
            assert (died.outcome, died.was_abandoned) == (Outcome.UNKNOWN, True)
            assert not (await feed.bring({}, lambda *_: None, is_last=True)).is_open

    asyncio.run(asyncio.wait_for(run(), 20))
