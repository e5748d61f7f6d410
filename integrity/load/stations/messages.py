"""Messages over an open socket: a line of JSON each. What comes may come from another machine: it is data, never code."""

import asyncio
import socket
from collections.abc import Callable, Mapping
from typing import Any, cast

import orjson


class Messages(asyncio.Protocol):
    """One end of it.

    Args:
        take: told each message that comes.
        closed: told when the other end is gone.
    """

    def __init__(self, take: Callable[[Mapping[str, Any]], None], closed: Callable[[], None]) -> None:
        self._take, self._closed = take, closed
        self._buffer = bytearray()
        self._transport: asyncio.Transport

    @classmethod
    async def over(
        cls, connection: socket.socket, take: Callable[[Mapping[str, Any]], None], closed: Callable[[], None]
    ) -> "Messages":
        """Return the end that an open socket is."""
        connection.setblocking(False)  # noqa: FBT003  a flag by position is all that it takes
        messages = cls(take, closed)
        await asyncio.get_running_loop().create_unix_connection(lambda: messages, sock=connection)
        return messages

    def tell(self, kind: str, **what: Any) -> None:
        """Tell the other end, if it is there."""
        if not self._transport.is_closing():
            self._transport.write(orjson.dumps({"kind": kind, **what}, option=orjson.OPT_APPEND_NEWLINE))

    def close(self) -> None:
        """Close it, when everything has been said."""
        self._transport.close()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)  # uvloop's is of no class of asyncio's

    def connection_lost(self, exc: Exception | None) -> None:
        del exc
        self._closed()

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        *lines, rest = self._buffer.split(b"\n")
        self._buffer = rest
        for line in lines:
            self._take(orjson.loads(line))
