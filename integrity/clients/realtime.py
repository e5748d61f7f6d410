"""A realtime socket as a client has it: one channel for each table, joined one after the other, and a heartbeat.

The channel that shows whole events is joined last and brings them; the others are joined as a dashboard joins them. Where
it has seen the stream it says in the config of the join.
"""

import asyncio
import itertools
from collections.abc import AsyncIterator, Mapping
from contextlib import suppress
from typing import Any
from urllib.parse import parse_qs

import aiohttp

from integrity.endpoints.endpoint import OPERATION_ID
from integrity.endpoints.kinds import UnreadableMessage
from integrity.endpoints.messages import Brought, Message, Opened, Refused, read_event
from integrity.endpoints.phoenix import (
    CHANGES,
    CLOSE,
    HEARTBEAT,
    JOIN,
    OWN,
    REPLY,
    SYSTEM_TOPIC,
    TOKEN,
    VERSIONS,
    Frame,
    decode_frame,
    encode_frame,
)
from integrity.endpoints.requests import WireRequest
from integrity.endpoints.stream import Stream
from integrity.history import Outcome, Returned

HEARTBEAT_S = 25.0
VERSION = VERSIONS[0]


async def read_realtime(
    socket: aiohttp.ClientWebSocketResponse,
    stream: Stream,
    asked: WireRequest,
    headers: Mapping[str, str],
    *,
    cursor: str,
) -> AsyncIterator[Message]:
    """Join every channel, and yield what the first one brings.

    Args:
        asked: the call that opens the stream.
        headers: of the request, with its token.
    """
    first, *others = stream.channels
    name = stream.request.wire_name(cursor)
    seen = parse_qs(asked.query).get(name)
    config = {"operation_id": asked.headers[OPERATION_ID], **({cursor: int(seen[0])} if seen else {})}
    token = headers.get("authorization", "").partition(" ")[2]
    refs = itertools.count(1)
    beating = asyncio.create_task(_beat(socket, refs))
    try:
        for channel in (*others, first):
            said = config if channel is first else {}
            wanted = [{"event": channel.change, "schema": "public", "table": channel.table}]
            ref = str(next(refs))
            payload = {"config": {CHANGES: wanted, **said}, TOKEN: token}
            await _send(socket, Frame(channel.topic, JOIN, payload, ref, ref))
            reply = await _read_reply(socket, ref)
            if reply.get("status") != "ok":
                yield Refused(_refusal(reply))
                return
        own = dict(reply["response"].get(OWN) or {})
        missed = own.pop("missed", 0)
        if type(own.get(cursor)) is not int:
            raise UnreadableMessage(f"the answer to a join does not say {cursor}")
        if not missed:
            yield Opened(own)
        async for frame in _frames(socket):
            if frame.event == CLOSE and frame.topic == first.topic:
                return
            if frame.event != CHANGES or frame.topic != first.topic:
                continue
            data = frame.payload.get("data")
            record = data.get("record") if isinstance(data, dict) else None
            if not isinstance(record, dict):
                raise UnreadableMessage(f"{CHANGES} without a record")
            yield Brought(read_event(CHANGES, first.event(record)))
            missed -= 1
            if not missed:
                yield Opened(own)
    finally:
        beating.cancel()


async def _read_reply(socket: aiohttp.ClientWebSocketResponse, ref: str) -> Mapping[str, Any]:
    """Return the answer to a join; changes of other channels may come before it."""
    async for frame in _frames(socket):
        if frame.event == REPLY and frame.ref == ref:
            if not isinstance(frame.payload.get("response"), dict):
                raise UnreadableMessage("an answer to a join without a response")
            return frame.payload
    raise UnreadableMessage("the socket was closed before its channel was joined")


def _refusal(reply: Mapping[str, Any]) -> Returned:
    response = reply["response"]
    reason = str(response.get("reason", ""))
    try:
        outcome = Outcome(response.get("outcome"))
    except ValueError:
        return Returned(Outcome.FAILED, None, f"a channel is not joined: {reason}", 1)
    said = {"reason": reason} if outcome in (Outcome.DECLINED, Outcome.UNAVAILABLE) else None
    return Returned(outcome, said, "" if said else reason, 1)


async def _frames(socket: aiohttp.ClientWebSocketResponse) -> AsyncIterator[Frame]:
    async for message in socket:
        if message.type is not aiohttp.WSMsgType.TEXT:
            what = message.data if message.type is aiohttp.WSMsgType.ERROR else "is no text"
            raise UnreadableMessage(f"a message: {what}")
        yield decode_frame(message.data, VERSION)


async def _beat(socket: aiohttp.ClientWebSocketResponse, refs: "itertools.count[int]") -> None:
    with suppress(aiohttp.ClientError, ConnectionError):
        while True:
            await asyncio.sleep(HEARTBEAT_S)
            await _send(socket, Frame(SYSTEM_TOPIC, HEARTBEAT, {}, str(next(refs))))


async def _send(socket: aiohttp.ClientWebSocketResponse, frame: Frame) -> None:
    await socket.send_str(encode_frame(frame, VERSION).decode())
