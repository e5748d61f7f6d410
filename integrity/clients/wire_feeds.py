"""Feeds over the wire: a websocket or an event stream for each client, which the server pushes to.

What comes is stamped as it is read, and handed over when it is asked for. A frame that cannot be read breaks the stream,
as does a server that closes it. Handshakes under way are few at a time, or a server's backlog would measure us.
"""

import asyncio
import itertools
from base64 import b64encode
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from functools import lru_cache, partial
from typing import Any
from uuid import UUID

import aiohttp
from yarl import URL

from integrity.clients.carrier import Abandon, AskOutside, Carrier
from integrity.clients.feeds import Brought, Take
from integrity.clients.http import DIES_AFTER_S, UNAUTHORIZED, Refused, Server
from integrity.clients.realtime import read_realtime
from integrity.endpoints.answers import decode_return
from integrity.endpoints.kinds import UnreadableMessage
from integrity.endpoints.messages import (
    MESSAGE_BYTES_MOST,
    EventStreamReader,
    Message,
    Opened,
    Stands,
    decode_block,
    decode_message,
)
from integrity.endpoints.messages import Brought as BroughtEvent
from integrity.endpoints.messages import Refused as RefusedMessage
from integrity.endpoints.requests import WireRequest, encode_call
from integrity.endpoints.stream import Form, Stream
from integrity.history import Outcome, Returned
from integrity.http.answer import Unanswered
from integrity.http.connection import CONNECT_TIMEOUT_S, TIMEOUT_S, RawAnswer
from integrity.operation import Operation, Rows
from integrity.systems.system import Subscription

HANDSHAKES_MOST = 100
"""Of one group of subscribers, under way at once."""

QUIET_S = 1.0
"""At the end a stream has brought all when it has brought nothing for so long."""

PING_S = 20.0
"""So often a websocket is asked whether its server is still there."""

SWITCHING, OK = 101, 200
EVENT_STREAM = "text/event-stream"
ANSWER_BYTES_MOST = 64 * 1024

SILENT_S_MOST = 60.0
"""An event stream that does not even show that it lives for so long is broken."""


READ_ONCE_MOST = 64
"""So many messages are remembered as they were read: what a topic brings, it brings to all of its clients alike."""


class Readers:
    """Read what comes down a stream; what comes down many lines is read once."""

    def __init__(self, stream: Stream, cursor: str) -> None:
        self.stream = stream
        self.message = lru_cache(READ_ONCE_MOST)(partial(decode_message, stream, cursor=cursor))
        self.block = lru_cache(READ_ONCE_MOST)(partial(decode_block, stream, cursor=cursor))


class WireFeeds:
    """Streams that are connections of their own.

    Args:
        streams: that the subscription has; clients take them in turn.
        now_us: the clock that what comes is stamped with.
    """

    def __init__(
        self, server: Server, streams: Sequence[Stream], subscription: Subscription, now_us: Callable[[], int]
    ) -> None:
        self.server, self.cursor, self.now_us = server, subscription.cursor, now_us
        self._streams = itertools.cycle([Readers(each, subscription.cursor) for each in streams])
        self.handshakes = asyncio.Semaphore(HANDSHAKES_MOST)
        self._feeds: list[WireFeed] = []
        self._session: aiohttp.ClientSession | None = None

    @property
    def session(self) -> aiohttp.ClientSession:
        assert self._session is not None
        return self._session

    async def open(self) -> None:
        timeout = aiohttp.ClientTimeout(total=None, sock_connect=CONNECT_TIMEOUT_S, sock_read=SILENT_S_MOST)
        connector = aiohttp.TCPConnector(limit=0, force_close=True)
        self._session = aiohttp.ClientSession(
            connector=connector, timeout=timeout, ws_response_class=_Websocket, middlewares=(_see_answer,)
        )

    def make(self) -> "WireFeed":
        feed = WireFeed(self, next(self._streams))
        self._feeds.append(feed)
        return feed

    async def close(self) -> None:
        for feed in self._feeds:
            await feed.close()
        if self._session is not None:
            await self._session.close()

    async def abort(self) -> None:
        for feed in self._feeds:
            feed.cut()
        if self._session is not None:
            await self._session.close()


class WireFeed:
    """See feeds.Feed."""

    def __init__(self, feeds: WireFeeds, readers: Readers) -> None:
        self._feeds = feeds
        self._readers = readers
        self._line: WireLine | None = None

    async def open(self, call: Callable[[Carrier], Awaitable[Returned]]) -> Returned:
        self.cut()
        async with self._feeds.handshakes:
            line = self._line = WireLine(self._feeds, self._readers)
            return await call(line)

    async def bring(self, arguments: Mapping[str, Any], take: Take, *, is_last: bool) -> Brought:
        line = self._line
        if line is None:
            return Brought(is_open=False)
        if is_last:
            await line.wait_for_quiet()
        cursor: int | None = None
        for at_us, message in line.take():
            if isinstance(message, BroughtEvent):
                take([message.event], at_us)
                cursor = None  # where it stands is what was seen last
            elif isinstance(message, Stands):
                cursor = message.cursor
        return Brought(line.is_open, cursor)

    def cut(self) -> None:
        if self._line is not None:
            self._line.abort()
            self._line = None

    async def close(self) -> None:
        if self._line is not None:
            await self._line.close()


class WireLine:
    """A connection that a stream comes down; to whoever calls, a carrier whose one call opens it."""

    def __init__(self, feeds: WireFeeds, readers: Readers) -> None:
        self._feeds = feeds
        self._readers, self._stream = readers, readers.stream
        self._came: list[tuple[int, Message]] = []
        self._last_us = feeds.now_us()
        self._messages: AsyncIterator[Message] | None = None
        self._source: _Websocket | aiohttp.ClientResponse | None = None
        self._reading: asyncio.Task[None] | None = None

    @property
    def connection(self) -> "WireLine":
        return self

    @property
    def is_open(self) -> bool:
        return self._reading is not None and not self._reading.done()

    async def open(self) -> None:
        """Nothing to do: the call opens it."""

    def abort(self) -> None:
        if self._reading is not None:
            self._reading.cancel()
        if isinstance(self._source, _Websocket):
            self._source.abort()
        elif self._source is not None:
            self._source.close()

    async def close(self) -> None:
        if isinstance(self._source, _Websocket) and self.is_open:
            if self._reading is not None:
                self._reading.cancel()
            with suppress(aiohttp.ClientError, TimeoutError):
                await self._source.close()
        self.abort()

    def take(self) -> list[tuple[int, Message]]:
        """Return what has come since this was last asked, and when each came."""
        came, self._came = self._came, []
        return came

    async def wait_for_quiet(self) -> None:
        """Wait until nothing has come for QUIET_S, or it is broken."""
        left_s = QUIET_S
        while self.is_open and left_s > 0:
            assert self._reading is not None
            await asyncio.wait([self._reading], timeout=left_s)
            left_s = QUIET_S - (self._feeds.now_us() - self._last_us) / 1_000_000

    async def call(
        self,
        operation: Operation,
        arguments: Mapping[str, Any],
        request: AskOutside,
        abandon: Abandon | None = None,
        *,
        push: Callable[[Rows], None] | None = None,
        answered: Callable[[], None] | None = None,
    ) -> Returned:
        """Open the stream; see carrier.Carrier."""
        given = dict(arguments)
        operation_id: UUID = given.pop("operation_id")
        asked = encode_call(self._stream.request, given, operation_id)
        if abandon is None:
            return await self._open(asked, push)
        opening = asyncio.create_task(self._open(asked, push))
        await asyncio.wait([opening], timeout=None if abandon.after is None else abandon.after * DIES_AFTER_S)
        if opening.done() and abandon.after is not None:
            return await opening
        opening.cancel()
        await asyncio.wait([opening])
        self.abort()
        return Returned(Outcome.UNKNOWN, None, "abandoned: the client died as it opened a stream", 1, was_abandoned=True)

    async def _open(self, asked: WireRequest, push: Callable[[Rows], None] | None) -> Returned:
        server = self._feeds.server
        try:
            headers = await self._log_in(asked)
        except (Refused, Unanswered) as error:
            return Returned(Outcome.FAILED, None, f"login: {error}", 1)
        try:
            async with asyncio.timeout(TIMEOUT_S):
                messages = await self._connect(asked, headers)
                return await self._read_opening(messages, push)
        except _Answered as refusal:
            if refusal.answer.status == UNAUTHORIZED:
                server.forget(asked)
            return decode_return(refusal.answer.status, refusal.answer.headers, refusal.answer.body)[0]
        except (aiohttp.ClientConnectorError, aiohttp.ConnectionTimeoutError) as error:  # nothing was sent
            return Returned(Outcome.FAILED, None, f"no connection: {getattr(error, 'strerror', None) or error}", 1)
        except (aiohttp.ClientError, OSError, UnreadableMessage, TimeoutError) as error:
            self.abort()
            reason = f"no answer within {TIMEOUT_S:g} s" if isinstance(error, TimeoutError) else str(error)
            return Returned(Outcome.UNKNOWN, None, f"the stream broke: {reason}", 1)

    async def _log_in(self, asked: WireRequest) -> dict[str, str]:
        """Return the headers of a request, with a token that may have to be asked for."""
        server = self._feeds.server
        connection = server.connect()
        try:
            headers = await server.headers_of(asked, connection)
        finally:
            await connection.close()
        if server.origin.user and "authorization" not in headers:
            both = f"{server.origin.user}:{server.origin.password}".encode()
            headers["authorization"] = f"Basic {b64encode(both).decode()}"
        return headers

    async def _connect(self, asked: WireRequest, headers: dict[str, str]) -> "AsyncIterator[Message]":
        """Connect, and return what comes then.

        Raises:
            _Answered: the server does not open a stream.
            UnreadableMessage, aiohttp.ClientError, OSError: it is none, or breaks.
        """
        feeds, origin = self._feeds, self._feeds.server.origin
        url = URL(f"{origin.scheme}://{origin.netloc}{origin.path}{asked.target}", encoded=True)
        if self._stream.form is not Form.EVENT_STREAM:
            socket = await feeds.session.ws_connect(url, headers=headers, heartbeat=PING_S, max_msg_size=MESSAGE_BYTES_MOST)
            assert isinstance(socket, _Websocket)
            self._source = socket
            if self._stream.form is Form.REALTIME:
                return read_realtime(socket, self._stream, asked, headers, cursor=feeds.cursor)
            return self._read_websocket(socket)
        headers |= {"accept": EVENT_STREAM, "cache-control": "no-store"}
        response = self._source = await feeds.session.get(url, headers=headers)
        if response.content_type != EVENT_STREAM:
            raise UnreadableMessage(f"it is {response.content_type}, and no event stream")
        return self._read_event_stream(response)

    async def _read_opening(self, messages: "AsyncIterator[Message]", push: Callable[[Rows], None] | None) -> Returned:
        """Take what was missed until the stream is open; go on reading then."""
        async for message in messages:
            if isinstance(message, BroughtEvent) and push is not None:
                push([message.event])
            elif isinstance(message, RefusedMessage):
                self.abort()
                return message.returned
            elif isinstance(message, Opened):
                self._reading = asyncio.create_task(self._read(messages))
                return Returned(Outcome.OK, message.reply, "", 1)
        self.abort()
        return Returned(Outcome.UNKNOWN, None, "the stream broke: it was closed before it was opened", 1)

    async def _read(self, messages: "AsyncIterator[Message]") -> None:
        """Stamp and keep what comes, until it breaks."""
        with suppress(aiohttp.ClientError, OSError, TimeoutError, UnreadableMessage):
            async for message in messages:
                self._last_us = self._feeds.now_us()
                self._came.append((self._last_us, message))

    async def _read_websocket(self, socket: aiohttp.ClientWebSocketResponse) -> "AsyncIterator[Message]":
        read = self._readers.message
        async for frame in socket:
            if frame.type is not aiohttp.WSMsgType.TEXT:
                what = frame.data if frame.type is aiohttp.WSMsgType.ERROR else "is no text"
                raise UnreadableMessage(f"a message: {what}")
            message = read(frame.data)
            if message is not None:
                yield message

    async def _read_event_stream(self, response: aiohttp.ClientResponse) -> "AsyncIterator[Message]":
        read, reader = self._readers.block, EventStreamReader()
        async for piece in response.content.iter_any():
            for block in reader.feed(piece):
                message = read(block)
                if message is not None:
                    yield message


class _Websocket(aiohttp.ClientWebSocketResponse):
    """A websocket that can be left without a word."""

    def abort(self) -> None:
        self._response.close()


class _Answered(Exception):
    """A server that does not open a stream, and what it answers."""

    def __init__(self, answer: RawAnswer) -> None:
        super().__init__(str(answer.status))
        self.answer = answer


async def _see_answer(request: aiohttp.ClientRequest, handler: aiohttp.ClientHandlerType) -> aiohttp.ClientResponse:
    """Let pass what opens a stream; a redirect is an answer, too, as it would lead to somebody whom nobody named."""
    response = await handler(request)
    if response.status in (SWITCHING, OK):
        return response
    body = await response.content.read(ANSWER_BYTES_MOST)
    response.close()
    raise _Answered(RawAnswer(response.status, {name.lower(): value for name, value in response.headers.items()}, body))
