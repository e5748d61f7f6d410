"""Streams of a server: websockets and event streams, each opened by a call, then brought what its topic brings.

A client that cannot read (a frame that is too long, no UTF-8) is closed as its protocol says; one that does not read is
dropped and counted; all that are open are closed with 1001 when the server ends.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterator, Mapping
from contextlib import contextmanager, nullcontext, suppress
from typing import Any
from uuid import UUID

from starlette.requests import HTTPConnection, Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route, WebSocketRoute
from starlette.types import Receive, Scope, Send
from starlette.websockets import WebSocket, WebSocketDisconnect, WebSocketState

from integrity.endpoints.messages import KEEP_ALIVE, Opened, Refused, encode_message
from integrity.endpoints.requests import BadRequest, WireRequest, decode_call
from integrity.endpoints.stream import Form, Stream
from integrity.endpoints.table import Endpoints
from integrity.history import Outcome, Returned
from integrity.serve.application import Application, Carried
from integrity.serve.gate import Gate
from integrity.serve.metrics import Counter, Gauge, Histogram
from integrity.serve.realtime import RealtimeSocket
from integrity.serve.topics import Listener, Piece, Topic, Topics
from integrity.systems.system import Subscription

KEEP_ALIVE_S = 10.0
"""So often an event stream that brings nothing shows that it lives; websockets have pings, which uvicorn sends."""

EVENT_STREAM = {"content-type": "text/event-stream; charset=utf-8", "cache-control": "no-store", "x-accel-buffering": "no"}

GOING_AWAY, VIOLATES, OVER = 1001, 1008, 1011
"""Codes of websockets that are closed: the server ends, the client or its call does not keep to what is asked of them, the
stream ended by itself."""


class Streams:
    """All streams of a system's server."""

    def __init__(self, application: Application, endpoints: Endpoints) -> None:
        self._application = application
        self._endpoints = endpoints
        self._topics = Topics(application, looks_most=max(1, application.pool.size // 2))
        self._open: dict[str, int] = {}
        self._is_ending = False
        self.lag = Histogram("ws_message_lag_seconds", "from an event until it was given to a client's socket", "stream")
        self.dropped = Counter("ws_clients_dropped_total", "clients that did not read", "stream")
        application.metrics.streams += (
            Gauge(
                "ws_clients_connected",
                "clients that keep a stream open",
                lambda: {(name,): count for name, count in self._open.items()},
                "stream",
            ),
            self.lag,
            self.dropped,
        )

    def routes(self, gate: Gate) -> list[BaseRoute]:
        """Return the routes of the system's streams."""
        return [self._route(stream, gate) for stream in self._endpoints.streams]

    def end(self) -> None:
        """Close all that are open, and open none any more."""
        self._is_ending = True
        self._topics.end()

    def _route(self, stream: Stream, gate: Gate) -> BaseRoute:
        subscription = self._application.system.subscriptions[stream.operation]
        path = stream.request.path
        if stream.form is Form.REALTIME:
            return WebSocketRoute(path, RealtimeSocket(self, stream, subscription, gate))
        if stream.form is Form.WEBSOCKET:
            return WebSocketRoute(path, _Websocket(self, stream, subscription, gate))
        return Route(path, _EventStream(self, stream, subscription, gate), methods=["GET"])

    @contextmanager
    def counted(self, name: str) -> Iterator[None]:
        """Count a client for the block."""
        self._open[name] = self._open.get(name, 0) + 1
        try:
            yield
        finally:
            self._open[name] -= 1

    @contextmanager
    def listening(
        self, stream: Stream, subscription: Subscription, arguments: Mapping[str, Any], *, is_counted: bool = True
    ) -> Iterator[tuple[Topic, Listener]]:
        """Give a topic and a listener of it, for the block.

        Args:
            is_counted: False: his socket is counted by itself.
        """
        name = stream.request.path
        topic, listener = self._topics.enter(stream, subscription, arguments)
        if self._is_ending:
            listener.over.set()
        try:
            with self.counted(name) if is_counted else nullcontext():
                yield topic, listener
        finally:
            self._topics.leave(topic, listener)
            if listener.is_dropped:
                self.dropped.add(name)

    def code(self, listener: Listener) -> int:
        """Return the code that a websocket is closed with whose stream is over."""
        return GOING_AWAY if self._is_ending else VIOLATES if listener.is_dropped else OVER

    async def join(
        self, topic: Topic, listener: Listener, arguments: Mapping[str, Any], operation_id: UUID | None
    ) -> Carried:
        """See Topics.join."""
        return await self._topics.join(topic, listener, arguments, operation_id)

    def encode_return(self, stream: Stream, returned: Returned) -> Response:
        """Return the answer to who is refused an event stream."""
        answer = self._endpoints.encode_return(stream.request, returned, now_s=time.time())
        return Response(answer.body, answer.status, answer.headers)

    async def bring(
        self,
        topic: Topic,
        listener: Listener,
        gone: "asyncio.Task[None]",
        send: Callable[[Piece | None], Awaitable[None]],
        *,
        alive_s: float | None = None,
    ) -> None:
        """Send what comes until the stream is over or the client gone; who is dropped is not waited for.

        Args:
            send: takes a message; None: nothing has come for alive_s, so that the client may doubt.
        """
        sending = asyncio.create_task(self._send(topic, listener, send, alive_s))
        over = asyncio.create_task(listener.over.wait())
        try:
            await asyncio.wait([sending, over, gone], return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in (sending, over, gone):
                task.cancel()
            await asyncio.wait([sending, over, gone])
        if not sending.cancelled() and (error := sending.exception()) is not None:
            raise error

    async def _send(
        self,
        topic: Topic,
        listener: Listener,
        send: Callable[[Piece | None], Awaitable[None]],
        alive_s: float | None,
    ) -> None:
        while True:
            pieces = await listener.take(alive_s)
            if not pieces:
                await send(None)
            for piece in pieces:
                await send(piece)
                self.note_sent(topic, piece)

    def note_sent(self, topic: Topic, piece: Piece) -> None:
        """Measure how long after its event a piece was given to a client's socket."""
        if piece.sent_s is not None:
            self.lag.observe(max(0.0, time.time() - piece.sent_s), topic.stream.request.path)


class _Opening:
    """What a request for a stream says.

    Raises:
        BadRequest: it is none.
    """

    def __init__(self, stream: Stream, connection: HTTPConnection, gate: Gate) -> None:
        claims = gate.admit(connection, stream.request)
        query = connection.scope["query_string"].decode("latin-1")
        wire = WireRequest("GET", connection.scope["path"], query, dict(connection.headers), b"", claims)
        self.arguments, self.operation_id = decode_call(stream.request, connection.path_params, wire)


class _Websocket:
    """Answers who opens a websocket."""

    def __init__(self, streams: Streams, stream: Stream, subscription: Subscription, gate: Gate) -> None:
        self._streams, self._stream, self._subscription, self._gate = streams, stream, subscription, gate

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        socket = WebSocket(scope, receive, send)
        try:
            opening = _Opening(self._stream, socket, self._gate)
        except BadRequest as error:
            await socket.send_denial_response(JSONResponse({"error": str(error)}, error.status))
            return
        await socket.accept()
        with (
            suppress(WebSocketDisconnect, OSError),  # a server's word for a client that is gone is an OSError (ASGI 2.4)
            self._streams.listening(self._stream, self._subscription, opening.arguments) as (topic, listener),
        ):
            await self._carry(socket, send, topic, listener, opening)

    async def _carry(self, socket: WebSocket, send: Send, topic: Topic, listener: Listener, opening: _Opening) -> None:
        """Let the client join, and bring what comes: past starlette, whose socket takes a tenth of a server with 10,000."""
        carried = await self._streams.join(topic, listener, opening.arguments, opening.operation_id)
        cursor = self._subscription.cursor
        if carried.returned.outcome is not Outcome.OK:
            await _send_text(socket, encode_message(self._stream, Refused(carried.returned), cursor=cursor))
            await socket.close(VIOLATES)
            return
        for piece in map(topic.piece, carried.events):
            await _send_text(socket, piece.data)
        reply = carried.returned.reply or {}
        await _send_text(socket, encode_message(self._stream, Opened(reply), cursor=cursor))

        async def bring(piece: Piece | None) -> None:
            if piece is not None:
                await send({"type": "websocket.send", "text": piece.text})

        gone = asyncio.create_task(_read_to_end(socket))
        await self._streams.bring(topic, listener, gone, bring)
        if listener.over.is_set() and not listener.is_dropped and socket.client_state is not WebSocketState.DISCONNECTED:
            await socket.close(self._streams.code(listener))


class _EventStream:
    """Answers who asks for an event stream."""

    def __init__(self, streams: Streams, stream: Stream, subscription: Subscription, gate: Gate) -> None:
        self._streams, self._stream, self._subscription, self._gate = streams, stream, subscription, gate

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        request = Request(scope, receive)
        opening = _Opening(self._stream, request, self._gate)
        with self._streams.listening(self._stream, self._subscription, opening.arguments) as (topic, listener):
            carried = await self._streams.join(topic, listener, opening.arguments, opening.operation_id)
            if carried.returned.outcome is not Outcome.OK:
                await self._streams.encode_return(self._stream, carried.returned)(scope, receive, send)
                return
            headers = {**EVENT_STREAM, "operation-id": str(carried.operation_id)}
            head = [(name.encode(), value.encode()) for name, value in headers.items()]
            await send({"type": "http.response.start", "status": 200, "headers": head})
            opened = encode_message(self._stream, Opened(carried.returned.reply or {}), cursor=self._subscription.cursor)
            missed = b"".join(piece.data for piece in map(topic.piece, carried.events))

            async def write(data: bytes) -> None:
                await send({"type": "http.response.body", "body": data, "more_body": True})

            async def bring(piece: Piece | None) -> None:
                await write(KEEP_ALIVE if piece is None else piece.data)

            await write(missed + opened)
            gone = asyncio.create_task(_wait_for_end(receive))
            await self._streams.bring(topic, listener, gone, bring, alive_s=KEEP_ALIVE_S)
            if listener.over.is_set() and not listener.is_dropped:
                await send({"type": "http.response.body", "body": b""})


async def _send_text(socket: WebSocket, data: bytes) -> None:
    await socket.send({"type": "websocket.send", "text": data.decode()})


async def _read_to_end(socket: WebSocket) -> None:
    """Return when the client is gone; what it says is nothing that a stream asks for."""
    while (await socket.receive())["type"] != "websocket.disconnect":
        pass


async def _wait_for_end(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
