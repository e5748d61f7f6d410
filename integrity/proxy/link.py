"""A link: one client's connection to the proxy and the proxy's own to the server, with the gates between them.

Only whole messages are passed on, so that a cut never leaves half of one behind. A side that cannot take more makes the
other wait, as without a proxy. Cutting shuts a socket down before closing it: closing alone may say nothing to the peer.
"""

import asyncio
import contextlib
import os
import socket
import struct
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

from integrity.proxy.gate import Direction, Gate, Ruling
from integrity.proxy.gates import Delay, Gates
from integrity.proxy.postgresql.framing import (
    CANCEL_REQUEST,
    GSSENC_REQUEST,
    SSL_REQUEST,
    Framer,
    Message,
    ProtocolError,
    join,
    make_cancel,
    make_refusal,
    read_startup,
)

Dial = Callable[[asyncio.Protocol], Awaitable[None]]
Admit = Callable[[Message], Message | None]


class Side(asyncio.Protocol):
    """One of the two connections of a link, and what is on its way to it.

    Args:
        link: that it belongs to.
    """

    def __init__(self, link: "Link") -> None:
        self.transport: Any = None
        self._link = link
        self._is_full = False
        self._late: deque[tuple[float, bytes]] = deque()
        self._timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport
        self._link.opened(self)

    def data_received(self, data: bytes) -> None:
        self._link.received(self, data)

    def eof_received(self) -> bool:
        self._link.ended(self)
        return True  # the link closes the transport when what is on its way has been sent

    def connection_lost(self, exc: Exception | None) -> None:
        self._forget()
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
        if self.is_open and is_wanted != self.transport.is_reading():
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


class _Once(asyncio.Protocol):
    """Sends something and ends the connection: all that a request to cancel is."""

    def __init__(self, data: bytes) -> None:
        self._data = data

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.WriteTransport)
        transport.write(self._data)
        transport.close()


class Link:
    """A client, a server, and the gates between them.

    Args:
        gates: of faults, with the delays and the counts of all links.
        gate_of: makes the gate that rules on its messages.
        dial: connects the protocol that it is given to the server; raises OSError.
        admit: returns a client's first packet as the server shall see it; None: the client is turned away.
        over: told when both connections have ended.
    """

    def __init__(
        self,
        gates: Gates,
        *,
        gate_of: "Callable[[Link], Gate]",
        dial: Dial,
        admit: Admit,
        over: Callable[["Link"], None],
    ) -> None:
        self.client = Side(self)
        self.server = Side(self)
        self.is_frozen = False
        self._gates = gates
        self._dial, self._admit, self._over = dial, admit, over
        self._from_client, self._from_server = Framer(begins_untyped=True), Framer(begins_untyped=False)
        self.backend_pid = 0
        """Of the server's process; 0: it has not said it yet."""
        self.parameters: dict[str, str] = {}
        """Of the startup packet, as the client sent it: user, database, application_name and others."""
        self._backend_key = b""
        self._gate = gate_of(self)
        self._cancelling: set[asyncio.Task[None]] = set()
        self._dialing: asyncio.Task[None] | None = None
        self._first: list[Message] = []
        self._open_count = 0
        self._is_through = False  # to the server
        self._is_ending = False  # when what is on its way has arrived
        self._is_over = False

    # What the two sides tell.

    def opened(self, side: Side) -> None:
        """One of the connections is there."""
        del side
        self._open_count += 1

    def received(self, side: Side, data: bytes) -> None:
        """Bytes came from that side."""
        try:
            if side is self.client:
                self._take_from_client(self._from_client.feed(data))
            else:
                self._take_from_server(self._from_server.feed(data))
        except ProtocolError as error:
            self._gates.counts["connections that did not speak the protocol"] += 1
            self.client.send(make_refusal("08P01", str(error)).raw, None)
            self.end()

    def ended(self, side: Side) -> None:
        """That side has sent its last byte: what is on its way still arrives, then both end."""
        del side
        self._is_ending = True
        self.settle()

    def lost(self, side: Side) -> None:
        """That connection is gone: so is the other, once it has what is on its way."""
        del side
        self._open_count -= 1
        if self._open_count == 0 and self._dialing is None:
            self._gate.ended()
            self._over(self)
            return
        self._is_ending = True
        self.settle()

    # What the proxy asks.

    def pace(self) -> None:
        """Read from each side for as long as the other takes it."""
        is_dialing = self._dialing is not None
        self.client.read_on(is_wanted=not (is_dialing or self.server.is_full or self.is_frozen))
        self.server.read_on(is_wanted=not (self.client.is_full or self.is_frozen))

    def settle(self) -> None:
        """End both connections if one has ended and nothing is on its way any more."""
        if self._is_ending and not self.is_frozen and self.client.is_settled and self.server.is_settled:
            self.end()

    def end(self) -> None:
        """End both connections as usual."""
        self._is_over = True
        self.client.finish()
        if self._dialing is None:
            self.server.finish()

    def cut(self) -> None:
        """Cut both off at once."""
        self._is_over = True
        self.client.cut()
        if self._dialing is None:
            self.server.cut()

    def reset(self) -> None:
        """Cut both off at once; the client's connection is reset."""
        self._is_over = True
        self.client.reset()
        if self._dialing is None:
            self.server.cut()

    def send(self, direction: Direction, messages: Sequence[Message]) -> None:
        """Send messages of the gate's, at once."""
        side = self.server if direction is Direction.TO_SERVER else self.client
        if messages:
            side.send(join(messages), None)

    def cancel(self) -> None:
        """Have the server cancel what it is at for this link."""
        if self._backend_key:
            task = asyncio.get_running_loop().create_task(self._send_once(make_cancel(self._backend_key)))
            self._cancelling.add(task)
            task.add_done_callback(self._cancelling.discard)

    async def _send_once(self, message: Message) -> None:
        with contextlib.suppress(OSError):  # a server that is gone is at nothing for this link
            await self._dial(_Once(message.raw))

    def freeze(self) -> None:
        """Forward nothing any more, and keep both connections."""
        self.is_frozen = True
        self.pace()

    def thaw(self) -> None:
        """Forward again, first what has been waiting."""
        self.is_frozen = False
        self.pace()
        self.client.schedule()
        self.server.schedule()
        self.settle()

    # How messages pass.

    def _take_from_client(self, messages: list[Message]) -> None:
        if not self._is_through:
            self._begin(messages)
            return
        self._pass(self.server, self._ruled(Direction.TO_SERVER, messages), self._gates.delay_to_server)

    def _take_from_server(self, messages: list[Message]) -> None:
        if not self.backend_pid:
            self._note_backend(messages)
        self._pass(self.client, self._ruled(Direction.TO_CLIENT, messages), self._gates.delay_to_client)

    def _ruled(self, direction: Direction, messages: Sequence[Message]) -> list[Message]:
        """Return the messages that pass; none at all where one of them ends the link."""
        passed: list[Message] = []
        for message in messages:
            match self._gate.rule(direction, message):
                case Ruling.PASS:
                    passed.append(message)
                case Ruling.CUT:
                    self.cut()
                    return []
                case Ruling.RESET:
                    self.reset()
                    return []
        return passed

    def _note_backend(self, messages: Sequence[Message]) -> None:
        for message in messages:
            if message.kind == b"K":
                self.backend_pid, self._backend_key = int.from_bytes(message.body[:4]), message.body

    def _pass(self, side: Side, messages: list[Message], delay: Delay | None) -> None:
        if not messages:
            return
        if delay is None:
            side.send(join(messages), None)
        else:
            self._gates.counts["pieces delayed"] += 1
            side.send(join(messages), delay.draw(self._gates.random))

    def _begin(self, messages: list[Message]) -> None:
        """Take what a client begins with; encryption is refused, as it would hide the messages from us."""
        for message in messages:
            if self._dialing is None and message.code in (SSL_REQUEST, GSSENC_REQUEST):
                self.client.send(b"N", None)
            elif self._dialing is None:
                if message.code not in (SSL_REQUEST, GSSENC_REQUEST, CANCEL_REQUEST):
                    self.parameters = read_startup(message)
                admitted = self._admit(message)
                if admitted is None:
                    self._gates.counts["connections turned away"] += 1
                    self.client.send(make_refusal("28000", "this proxy belongs to a run of integrity").raw, None)
                    self.end()
                    return
                self._first.append(admitted)
                self._dialing = asyncio.get_running_loop().create_task(self._connect())
                self.pace()
            else:
                self._first.append(message)

    async def _connect(self) -> None:
        """Connect to the server, and pass on what the client began with.

        Whoever ends the link meanwhile leaves the server's side to us: a connection that is half made cannot be ended on
        uvloop without losing track of it, and neither can this task be cancelled.
        """
        try:
            await self._dial(self.server)
        except OSError:
            self._gates.counts["connections that the server did not take"] += 1
            self._is_over = True
        self._dialing = None
        if not self._is_over:
            self._is_through = True
            self.server.send(join([self._first[0], *self._ruled(Direction.TO_SERVER, self._first[1:])]), None)
            self.pace()
            return
        self.client.cut()
        self.server.cut()
        if self._open_count == 0:
            self._gate.ended()
            self._over(self)
