"""A side: one of the two connections of a link, and what is on its way to it.

Cutting shuts a socket down before closing it: closing alone may say nothing to the peer.
"""

import asyncio
import contextlib
import os
import socket
import ssl
import struct
from collections import deque
from collections.abc import Callable
from typing import Any, Protocol

HANDSHAKE_S = 20.0


class Owner(Protocol):
    """The link, as its sides know it."""

    is_frozen: bool

    def opened(self, side: "Side") -> None:
        """The connection is there."""
        ...

    def received(self, side: "Side", data: bytes) -> None:
        """Bytes came from that side."""
        ...

    def ended(self, side: "Side") -> None:
        """That side has sent its last byte."""
        ...

    def lost(self, side: "Side") -> None:
        """The connection is gone."""
        ...

    def pace(self) -> None:
        """A side can take more again, or no more."""
        ...

    def settle(self) -> None:
        """What was on its way has been sent."""
        ...


class Side(asyncio.Protocol):
    """One of the two connections of a link, and what is on its way to it.

    Args:
        link: that it belongs to.
    """

    def __init__(self, link: Owner) -> None:
        self.transport: Any = None
        self._link = link
        self._is_full = self._is_lost = self._is_encrypted = False
        self._late: deque[tuple[float, bytes]] = deque()
        self._timer: asyncio.TimerHandle | None = None
        self._early: list[bytes] | None = None  # what it sent while its transport is exchanged; empty: its end

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport
        self._link.opened(self)

    def data_received(self, data: bytes) -> None:
        if self._early is None:
            self._link.received(self, data)
        else:
            self._early.append(data)

    def eof_received(self) -> bool:
        if self._early is None:
            self._link.ended(self)
        else:
            self._early.append(b"")
        return not self._is_encrypted  # the link closes the transport when what is on its way has been sent

    def connection_lost(self, exc: Exception | None) -> None:
        self._forget()
        self._is_lost = True
        self._link.lost(self)

    def pause_writing(self) -> None:
        self._is_full = True
        self._link.pace()

    def resume_writing(self) -> None:
        self._is_full = False
        self._link.pace()

    @property
    def is_open(self) -> bool:
        return self.transport is not None and not self.transport.is_closing()

    @property
    def is_full(self) -> bool:
        """Whether nothing more should be sent to it for now."""
        return self._is_full

    async def encrypt(self, tls: ssl.SSLContext) -> None:
        """Take the other end's handshake; a failure ends the connection.

        A loop gives the encrypted transport a moment after it has told of what came behind the handshake in one packet:
        that waits, or what is done about it would be done to the transport below, and reading from that one, once it is
        paused, would never go on.
        """
        loop, self._early = asyncio.get_running_loop(), []
        try:
            made = await loop.start_tls(self.transport, self, tls, server_side=True, ssl_handshake_timeout=HANDSHAKE_S)
        except (OSError, ConnectionError, ssl.SSLError):
            made = None
        early, self._early = self._early, None
        if made is not None:
            self.transport, self._is_encrypted = made, True
            for data in early:
                if data:
                    self._link.received(self, data)
                else:
                    self._link.ended(self)
            self._link.pace()
        elif not self._is_lost:  # it is told of a handshake that fails by nobody else
            self.connection_lost(None)

    def send(self, data: bytes, delay_s: float | None) -> None:
        """Send the bytes, after the delay, and never before what was given earlier."""
        if delay_s is None and not self._late:
            if self.is_open:
                self.transport.write(data)
            return
        due = asyncio.get_running_loop().time() + (delay_s or 0.0)
        if self._late:
            due = max(due, self._late[-1][0])
        self._late.append((due, data))
        self.schedule()

    def schedule(self) -> None:
        """See to it that what is late is sent when it is due; not while the link is frozen."""
        if self._timer is None and self._late and not self._link.is_frozen:
            self._timer = asyncio.get_running_loop().call_at(self._late[0][0], self._send_late)

    def _send_late(self) -> None:
        self._timer = None
        if self._link.is_frozen or not self.is_open:
            return
        now = asyncio.get_running_loop().time()
        while self._late and self._late[0][0] <= now:
            self.transport.write(self._late.popleft()[1])
        self.schedule()
        if not self._late:
            self._link.settle()

    @property
    def is_settled(self) -> bool:
        """Whether nothing is on its way to it."""
        return not self._late

    def read_on(self, *, is_wanted: bool) -> None:
        """Read from it, or let its bytes wait in the kernel."""
        if self._early is None and self.is_open and is_wanted != self.transport.is_reading():
            if is_wanted:
                self.transport.resume_reading()
            else:
                self.transport.pause_reading()

    def finish(self) -> None:
        """Send what is written, then end the connection as usual."""
        if self.is_open:
            self.transport.close()

    def cut(self) -> None:
        """End the connection at once; the peer reads its end."""
        self._forget()
        if self.is_open:
            self._touch_socket(lambda own: own.shutdown(socket.SHUT_RDWR))
            self.transport.abort()

    def reset(self) -> None:
        """End the connection at once; the peer gets an error (on TCP: a reset)."""
        self._forget()
        if self.is_open:
            linger = struct.pack("ii", 1, 0)
            self._touch_socket(lambda own: own.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger))
            self.transport.abort()

    def _forget(self) -> None:
        self._late.clear()
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _touch_socket(self, act: Callable[[socket.socket], object]) -> None:
        found = self.transport.get_extra_info("socket")
        if found is None:
            return  # uvloop knows it a moment after it has told of the connection; nobody has sent anything yet
        # On a second descriptor of the same socket: what transports give out lets its options alone.
        with socket.socket(fileno=os.dup(found.fileno())) as own, contextlib.suppress(OSError):  # the peer was faster
            act(own)
