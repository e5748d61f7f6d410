"""Messages: what comes down a stream, as a websocket and as an event stream spell it. Each is read back from there.

    websocket      {"type": "EVENT_UPDATED", "data": {"stream": 7, "sequence": 12, "event_id": 99, "sent_at": ...}}
                   {"type": "OPENED", "data": {"last_sequence": 12}}
                   {"type": "POSITION", "data": {"last_sequence": 14}}
                   {"type": "REFUSED", "data": {"outcome": "declined", "reason": "unknown_event"}}
    event stream   id: 12, event: new_message, data: {"stream": 7, ...}; event: opened; event: position

An event stream is refused by the answer to its request, as any request is. Of an event stream every id is the position that
a client comes back with as its Last-Event-ID.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import orjson

from integrity.endpoints.kinds import UnreadableMessage
from integrity.endpoints.stream import OPENED, POSITION, REFUSED, Form, Stream
from integrity.history import Outcome, Returned
from integrity.operation import Row
from integrity.value import told

KEEP_ALIVE = b": keep-alive\n\n"
"""A comment of an event stream, which nobody reads."""

MESSAGE_BYTES_MOST = 1024 * 1024
"""So long one message may be that a client reads."""

_NUMBERS = ("stream", "sequence", "event_id")


@dataclass(frozen=True, slots=True)
class Opened:
    """The stream is open, and what was missed has come: the reply of the call that opened it."""

    reply: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Brought:
    """An event."""

    event: Row


@dataclass(frozen=True, slots=True)
class Stands:
    """Where the stream stands, as it passed something over."""

    cursor: int


@dataclass(frozen=True, slots=True)
class Refused:
    """The stream is not opened: how the call ended."""

    returned: Returned


Message = Opened | Brought | Stands | Refused


def encode_message(stream: Stream, message: Message, *, cursor: str) -> bytes:
    """Return a message as it travels: a websocket's text, or some lines of an event stream.

    Args:
        cursor: what the subscription calls where a client stands.
    """
    name, data = _name_and_data(stream, message, cursor)
    if stream.form is Form.REALTIME:  # what each of its channels makes of it is told by phoenix.py
        return orjson.dumps(data, default=told)
    if stream.form is Form.WEBSOCKET:
        return orjson.dumps({"type": name, "data": data}, default=told)
    assert not isinstance(message, Refused), "an event stream is refused by the answer to its request"
    position = data.get("sequence" if isinstance(message, Brought) else cursor)
    at = f"id: {position}\n" if position is not None else ""
    spelt = name if isinstance(message, Brought) else name.lower()
    return f"{at}event: {spelt}\ndata: {orjson.dumps(data, default=told).decode()}\n\n".encode()


def decode_message(stream: Stream, text: bytes | str, *, cursor: str) -> Message | None:
    """Return the message that a websocket's text is; None: one of a kind that nobody here asked for.

    Raises:
        UnreadableMessage: it is none.
    """
    try:
        members = orjson.loads(text)
    except orjson.JSONDecodeError as error:
        raise UnreadableMessage(f"a message is no JSON: {error}") from None
    if not isinstance(members, dict) or not isinstance(members.get("type"), str):
        raise UnreadableMessage("a message is no object of JSON with a type")
    return _read(stream, members["type"], members.get("data"), cursor)


@dataclass(frozen=True, slots=True)
class Block:
    """What stands between two empty lines of an event stream; an event without a name is a message."""

    event: str
    data: str
    last_id: str = ""


def decode_block(stream: Stream, block: Block, *, cursor: str) -> Message | None:
    """Return the message that a block of an event stream is; None: one of a kind that nobody here asked for.

    Raises:
        UnreadableMessage: it is none.
    """
    name = block.event if block.event == stream.event else block.event.upper()
    if name not in (stream.event, OPENED, POSITION):
        return None
    try:
        data = orjson.loads(block.data)
    except orjson.JSONDecodeError as error:
        raise UnreadableMessage(f"the data of an event is no JSON: {error}") from None
    return _read(stream, name, data, cursor)


@dataclass(slots=True)
class EventStreamReader:
    """Reads an event stream, in pieces that are cut anywhere (WHATWG HTML, 9.2.6)."""

    _rest: bytes = b""
    _event: str = ""
    _data: list[str] = field(default_factory=list)
    _size: int = 0
    last_id: str = ""
    _is_begun: bool = False

    def feed(self, piece: bytes) -> Iterator[Block]:
        """Yield the blocks that are complete by now.

        Raises:
            UnreadableMessage: it is no UTF-8, or a block is too long.
        """
        lines, self._rest = _cut_lines(self._rest + piece)
        for line in lines:
            try:
                text = line.decode()
            except UnicodeDecodeError:
                raise UnreadableMessage("a line of an event stream is no UTF-8") from None
            if not self._is_begun:
                self._is_begun, text = True, text.removeprefix("\ufeff")
            if not text:
                yield from self._end()
                continue
            self._size += len(line)
            self._take(text)
        if self._size + len(self._rest) > MESSAGE_BYTES_MOST:
            raise UnreadableMessage(f"an event is longer than {MESSAGE_BYTES_MOST // 1024**2} MiB")

    def _take(self, line: str) -> None:
        name, _, value = line.partition(":")
        value = value.removeprefix(" ")
        if name == "data":
            self._data.append(value)
        elif name == "event":
            self._event = value
        elif name == "id" and "\0" not in value:
            self.last_id = value

    def _end(self) -> Iterator[Block]:
        if self._data:
            yield Block(self._event or "message", "\n".join(self._data), self.last_id)
        self._event, self._size = "", 0
        self._data.clear()


def _cut_lines(held: bytes) -> tuple[list[bytes], bytes]:
    """Return the lines that are complete, and the rest: a CR at the end may be half of a CRLF."""
    end = len(held) - held.endswith(b"\r")
    *lines, rest = held[:end].replace(b"\r\n", b"\n").replace(b"\r", b"\n").split(b"\n")
    return lines, rest + held[end:]


def _name_and_data(stream: Stream, message: Message, cursor: str) -> tuple[str, dict[str, Any]]:
    match message:
        case Opened(reply):
            return OPENED, dict(reply)
        case Brought(event):
            return stream.event, {**event, "sent_at": _spell_moment(event["sent_at"])}
        case Stands(position):
            return POSITION, {cursor: position}
        case Refused(returned):
            error = {"error": returned.error} if returned.error else {}
            return REFUSED, {"outcome": returned.outcome.value, **error, **(returned.reply or {})}


def _read(stream: Stream, name: str, data: Any, cursor: str) -> Message | None:
    if name not in (stream.event, OPENED, POSITION, REFUSED):
        return None
    if not isinstance(data, dict):
        raise UnreadableMessage(f"the data of {name} is no object of JSON")
    if name == stream.event:
        return Brought(read_event(name, data))
    if name == REFUSED:
        return Refused(_read_refusal(data))
    if type(data.get(cursor)) is not int:
        raise UnreadableMessage(f"{name} does not say {cursor}")
    return Opened(data) if name == OPENED else Stands(data[cursor])


def read_event(name: str, data: Mapping[str, Any]) -> Row:
    """Return an event out of what a message says of it.

    Raises:
        UnreadableMessage: it is none.
    """
    for member in _NUMBERS:
        if type(data.get(member)) is not int:
            raise UnreadableMessage(f"{name} does not say {member}, a whole number")
    try:
        sent_at = datetime.fromisoformat(data["sent_at"])
    except (KeyError, TypeError, ValueError):
        raise UnreadableMessage(f"{name} does not say sent_at, a time in ISO 8601") from None
    return {**data, "sent_at": sent_at}


def _read_refusal(data: dict[str, Any]) -> Returned:
    try:
        outcome = Outcome(data.pop("outcome", None))
    except ValueError:
        raise UnreadableMessage(f"{REFUSED} does not say its outcome") from None
    error = str(data.pop("error", ""))
    reply = data if outcome in (Outcome.DECLINED, Outcome.UNAVAILABLE) else None
    return Returned(outcome, reply, error, 1)


def _spell_moment(at: datetime | str) -> str:
    return at.isoformat() if isinstance(at, datetime) else at
