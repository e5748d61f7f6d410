"""A door between the process of a run and one that makes a share of its calls: each side tells and asks the other.

What passes is pickled, with its length in front: both sides are ours, and nobody else has an end of it.
"""

import asyncio
import pickle
import socket
import struct
from collections.abc import Awaitable, Callable, Mapping
from inspect import isawaitable
from typing import Any, cast

_LENGTH = struct.Struct(">Q")


class DoorClosed(Exception):
    """The other side is gone."""


class Door(asyncio.Protocol):
    """One side of it.

    Args:
        handlers: what is done when the other side tells or asks that; what they return, or what comes of awaiting it, is
            the answer, and what they raise is raised where it was asked.
        closed: told when the other side is gone.
        failed: told what was raised where nobody asked.
    """

    def __init__(
        self,
        handlers: Mapping[str, Callable[..., Any]],
        *,
        closed: Callable[[], None],
        failed: Callable[[BaseException], None],
    ) -> None:
        self.handlers, self._closed, self._failed = handlers, closed, failed
        self._buffer = bytearray()
        self._number = 0
        self._asked: dict[int, asyncio.Future[Any]] = {}
        self._answering: set[asyncio.Future[Any]] = set()
        self._transport: asyncio.Transport
        self._loop = asyncio.get_running_loop()
        self._is_open = True
        self.is_closed = False

    def hand_over(self, message: Any) -> None:
        """Send what the other side receives before it has a door."""
        self._transport.write(packed(message))

    def tell(self, kind: str, *what: Any) -> None:
        """Tell the other side; it is not answered."""
        self._send(0, kind, what)

    def ask(self, kind: str, *what: Any) -> "asyncio.Future[Any]":
        """Ask the other side, now; return what is to hold its answer.

        Its exceptions: what was raised there, and DoorClosed.
        """
        future: asyncio.Future[Any] = self._loop.create_future()
        if self.is_closed:
            future.set_exception(DoorClosed)
            return future
        self._number += 1
        self._asked[self._number] = future
        self._send(self._number, kind, what)
        return future

    def turn_away(self) -> None:
        """Take and answer nothing any more."""
        self._is_open = False
        for answering in self._answering:
            answering.cancel()

    def close(self) -> None:
        """Close it, when everything has been said."""
        self._transport.close()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)  # uvloop's is of no class of asyncio's

    def connection_lost(self, exc: Exception | None) -> None:
        del exc
        self.is_closed = True
        for future in self._asked.values():
            if not future.done():
                future.set_exception(DoorClosed)
        self._asked.clear()
        self._closed()

    def data_received(self, data: bytes) -> None:
        buffer = self._buffer
        buffer += data
        while len(buffer) >= _LENGTH.size:
            end = _LENGTH.size + _LENGTH.unpack_from(buffer)[0]
            if len(buffer) < end:
                return
            message = pickle.loads(bytes(buffer[_LENGTH.size : end]))  # noqa: S301  of a process of ours
            del buffer[:end]
            if self._is_open:
                self._take(*message)

    def _send(self, number: int, kind: str, what: Any) -> None:
        if not self.is_closed:
            self._transport.write(packed((number, kind, what)))

    def _take(self, number: int, kind: str, what: Any) -> None:
        if kind in ("answer", "raised"):
            future = self._asked.pop(number)
            if future.done():
                return
            if kind == "answer":
                future.set_result(what)
            else:
                future.set_exception(what)
            return
        try:
            answer = self.handlers[kind](*what)
        except Exception as error:
            self._raised(number, error)
            return
        if isawaitable(answer):
            answering = asyncio.ensure_future(self._answer(number, answer))
            self._answering.add(answering)
            answering.add_done_callback(self._answering.discard)
        elif number:
            self._send(number, "answer", answer)

    async def _answer(self, number: int, answer: Awaitable[Any]) -> None:
        try:
            value = await answer
        except Exception as error:
            self._raised(number, error)
            return
        if number:
            self._send(number, "answer", value)

    def _raised(self, number: int, error: Exception) -> None:
        if number:
            self._send(number, "raised", crossing(error))
        else:
            self._failed(error)


def crossing(error: BaseException) -> BaseException:
    """Return an exception that another process can be told: itself, or in words where it cannot be pickled."""
    try:
        pickle.loads(pickle.dumps(error))  # noqa: S301  of our own
    except Exception:  # whatever a class of the user's raises as it is made again
        return RuntimeError(f"{type(error).__name__}: {error}")
    return error


def packed(message: Any) -> bytes:
    """Return a message as it passes."""
    content = pickle.dumps(message, protocol=pickle.HIGHEST_PROTOCOL)
    return _LENGTH.pack(len(content)) + content


def receive(connection: socket.socket) -> Any:
    """Return the next message, before there is a loop that a door could be in.

    Raises:
        DoorClosed: the other side is gone.
    """

    def read(size: int) -> bytes:
        content = bytearray()
        while len(content) < size:
            part = connection.recv(min(size - len(content), 1 << 20))
            if not part:
                raise DoorClosed
            content += part
        return bytes(content)

    return pickle.loads(read(_LENGTH.unpack(read(_LENGTH.size))[0]))  # noqa: S301  of a process of ours
