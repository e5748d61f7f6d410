"""The realtime socket of a Supabase: channels of one socket, each joined with a token, brought the changes it asks for.

A channel is a listener of the topic that all who listen to the same share (topics.py); what it is shown of an event its
bindings say (endpoints/phoenix.py). A token that is not valid, or not any more, closes its channel and not the socket.
"""

import asyncio
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack, suppress
from dataclasses import dataclass
from typing import Any, Protocol
from uuid import UUID

import orjson
from starlette.responses import JSONResponse
from starlette.types import Receive, Scope, Send
from starlette.websockets import WebSocket, WebSocketDisconnect

from integrity.endpoints.endpoint import OPERATION_ID
from integrity.endpoints.kinds import UnreadableMessage
from integrity.endpoints.phoenix import (
    CHANGES,
    CLOSE,
    HEARTBEAT,
    JOIN,
    LEAVE,
    OWN,
    SYSTEM_TOPIC,
    TOKEN,
    VERSIONS,
    Binding,
    Frame,
    decode_frame,
    describe_binding,
    encode_frame,
    read_bindings,
    tell_change,
)
from integrity.endpoints.requests import BadRequest, WireRequest, decode_call
from integrity.endpoints.stream import Stream
from integrity.history import Outcome
from integrity.serve.application import Carried
from integrity.serve.gate import Gate
from integrity.serve.topics import Listener, Piece, Topic
from integrity.systems.system import Subscription

TAKE_S = 60.0
UNREADABLE = 1003
CHANNELS_MOST = 100
"""Of one socket."""


class Listening(Protocol):
    """What a server's streams have for each of them (streams.py)."""

    def counted(self, name: str) -> AbstractContextManager[None]: ...

    def listening(
        self, stream: Stream, subscription: Subscription, arguments: Mapping[str, Any], *, is_counted: bool = True
    ) -> AbstractContextManager[tuple[Topic, Listener]]: ...

    async def join(
        self, topic: Topic, listener: Listener, arguments: Mapping[str, Any], operation_id: UUID | None
    ) -> Carried: ...

    def note_sent(self, topic: Topic, piece: Piece) -> None: ...

    def code(self, listener: Listener) -> int: ...


class RealtimeSocket:
    """Answers who opens a realtime socket."""

    def __init__(self, streams: Listening, stream: Stream, subscription: Subscription, gate: Gate) -> None:
        self.streams, self.stream, self.subscription, self.gate = streams, stream, subscription, gate

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        socket = WebSocket(scope, receive, send)
        version = socket.query_params.get("vsn", VERSIONS[0])
        try:
            self.gate.check_key(socket)
            _check_version(version)
        except BadRequest as error:
            await socket.send_denial_response(JSONResponse({"error": str(error)}, error.status))
            return
        await socket.accept()
        with suppress(WebSocketDisconnect), self.streams.counted(self.stream.request.path):
            await _Connection(self, socket, version).serve()


@dataclass(slots=True)
class _Joined:
    """A channel that is joined, and what brings its changes."""

    frame: Frame
    task: "asyncio.Task[None]"


@dataclass(frozen=True, slots=True)
class _Joining:
    """A channel, what it asks for, and what it missed."""

    frame: Frame
    bindings: Sequence[Binding]
    topic: Topic
    listener: Listener
    missed: Sequence[Piece]


class _Connection:
    """One socket, and the channels that are joined on it."""

    def __init__(self, opened: RealtimeSocket, socket: WebSocket, version: str) -> None:
        self._streams, self._stream = opened.streams, opened.stream
        self._subscription, self._gate = opened.subscription, opened.gate
        self._socket, self._version = socket, version
        self._joined: dict[str, _Joined] = {}
        self._closed: asyncio.Future[int] = asyncio.get_running_loop().create_future()

    async def serve(self) -> None:
        """Answer frames until the client is gone, or a channel of it is over."""
        reading = asyncio.create_task(self._read())
        try:
            waited: list[asyncio.Future[Any]] = [reading, self._closed]
            await asyncio.wait(waited, return_when=asyncio.FIRST_COMPLETED)
            if self._closed.done():
                await self._socket.close(self._closed.result())
        finally:
            tasks: list[asyncio.Task[None]] = [reading, *(each.task for each in self._joined.values())]
            for task in tasks:
                task.cancel()
            await asyncio.wait(tasks)
        if reading.done() and not reading.cancelled() and (error := reading.exception()) is not None:
            raise error

    async def _read(self) -> None:
        while True:
            message = await self._socket.receive()
            if message["type"] == "websocket.disconnect":
                return
            try:
                frame = decode_frame(message.get("text") or message.get("bytes") or b"", self._version)
            except UnreadableMessage:
                self._close(UNREADABLE)
                return
            await self._answer(frame)

    async def _answer(self, frame: Frame) -> None:
        """Answer one frame; what nobody here asks for (presence, broadcast) is taken and told to nobody."""
        if frame.event == JOIN:
            await self._leave(frame.topic)
            await self._join(frame)
        elif frame.event == LEAVE:
            await self._leave(frame.topic)
            await self._send(frame.reply("ok", {}))
            await self._send(Frame(frame.topic, CLOSE, {}, frame.ref, frame.join_ref))
        elif frame.event == TOKEN:
            await self._renew(frame)
        elif (frame.topic == SYSTEM_TOPIC and frame.event == HEARTBEAT) or frame.ref is not None:
            await self._send(frame.reply("ok", {}))

    async def _renew(self, frame: Frame) -> None:
        """Take another token: one that is not valid ends its channel."""
        try:
            self._gate.read_token(self._socket, str(frame.payload.get(TOKEN) or ""))
        except BadRequest as error:
            joined = self._joined.get(frame.topic)
            await self._leave(frame.topic)
            told = {"status": "error", "message": str(error), "channel": frame.topic}
            await self._send(Frame(frame.topic, "system", told))
            await self._send(Frame(frame.topic, CLOSE, {}, None, joined.frame.join_ref if joined else None))

    async def _leave(self, topic: str) -> None:
        joined = self._joined.pop(topic, None)
        if joined is not None:
            joined.task.cancel()
            await asyncio.wait([joined.task])

    async def _join(self, frame: Frame) -> None:
        """Open a channel, say so, and let come what it missed and what happens."""
        try:
            self._check_room()
            bindings = read_bindings(frame, self._stream.channels)
            claims = self._gate.read_token(self._socket, str(frame.payload.get(TOKEN) or ""))
            arguments, operation_id = decode_call(self._stream.request, {}, self._request(frame, claims))
        except (BadRequest, UnreadableMessage) as error:
            await self._send(frame.reply("error", {"reason": str(error)}))
            return
        with ExitStack() as stack:
            listening = self._streams.listening(self._stream, self._subscription, arguments, is_counted=False)
            topic, listener = stack.enter_context(listening)
            carried = await self._streams.join(topic, listener, arguments, operation_id)
            if carried.returned.outcome is not Outcome.OK:
                reason = (carried.returned.reply or {}).get("reason") or carried.returned.error
                told = {"reason": reason, "outcome": carried.returned.outcome.value}
                await self._send(frame.reply("error", told))
                return
            own = {**(carried.returned.reply or {}), "missed": len(carried.events)}
            answer = {CHANGES: [describe_binding(each) for each in bindings], OWN: own}
            await self._send(frame.reply("ok", answer))
            channel = _Joining(frame, bindings, topic, listener, [topic.piece(event) for event in carried.events])
            bringing = self._bring(channel, stack.pop_all())
            task = asyncio.create_task(bringing)
            task.add_done_callback(self._brought)
            self._joined[frame.topic] = _Joined(frame, task)

    def _brought(self, task: "asyncio.Task[None]") -> None:
        """Let the socket end with what went wrong in a channel of it."""
        if not task.cancelled() and (error := task.exception()) is not None and not self._closed.done():
            self._closed.set_exception(error)

    def _check_room(self) -> None:
        if len(self._joined) >= CHANNELS_MOST:
            raise BadRequest(429, f"a socket has at most {CHANNELS_MOST} channels")

    def _request(self, frame: Frame, claims: Mapping[str, Any]) -> WireRequest:
        """Return a join as the request that it stands for: what it says of itself is in its config."""
        config = frame.payload.get("config")
        said = config if isinstance(config, dict) else {}
        cursor = self._subscription.cursor
        name = self._stream.request.wire_name(cursor)
        query = f"{name}={said[cursor]}" if said.get(cursor) is not None else ""
        headers = {OPERATION_ID: str(said["operation_id"])} if said.get("operation_id") else {}
        return WireRequest("GET", self._stream.request.path, query, headers, b"", claims)

    async def _bring(self, channel: "_Joining", stack: ExitStack) -> None:
        """Tell a channel what it asks for, until it is over."""
        listener = channel.listener
        over = asyncio.create_task(listener.over.wait())
        over.add_done_callback(lambda task: None if task.cancelled() else self._close(self._streams.code(listener)))
        try:
            with stack:
                pieces = channel.missed
                while True:
                    for piece in pieces:
                        await self._tell(channel.frame, channel.bindings, piece)
                        self._streams.note_sent(channel.topic, piece)
                    pieces = await listener.take(TAKE_S)
        except WebSocketDisconnect:
            return
        finally:
            over.cancel()

    async def _tell(self, frame: Frame, bindings: Sequence[Binding], piece: Piece) -> None:
        event = orjson.loads(piece.data)
        for channel in self._stream.channels:
            if not set(channel.columns.values()) <= event.keys():
                continue  # it says where the stream stands, which no row does
            record = channel.record(event)
            ids = [each.id for each in bindings if each.covers(channel, record)]
            if ids:
                told = tell_change(channel, record, event["sent_at"], ids)
                await self._send(Frame(frame.topic, CHANGES, told, None, frame.join_ref))

    async def _send(self, frame: Frame) -> None:
        await self._socket.send({"type": "websocket.send", "text": encode_frame(frame, self._version).decode()})

    def _close(self, code: int) -> None:
        if not self._closed.done():
            self._closed.set_result(code)


def _check_version(version: str) -> None:
    if version not in VERSIONS:
        raise BadRequest(422, f"vsn is {version}, and must be one of {', '.join(VERSIONS)}", field="vsn")
