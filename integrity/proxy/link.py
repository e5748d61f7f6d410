"""A link: one client's connection to the proxy and the proxy's own to the server, with a gate between them.

Only whole messages are passed on, so that a cut never leaves half of one behind. A side that cannot take more makes the
other wait, as without a proxy; and so does a gate that holds as much as may be held. What a message is and how a session
begins, the protocol says (protocol.py).
"""

import asyncio
import contextlib
import ssl
from collections.abc import Awaitable, Callable, Coroutine, Mapping, Sequence
from typing import Any

from integrity.proxy.gate import Direction, Gate, Ruling
from integrity.proxy.message import Message, ProtocolError, join
from integrity.proxy.protocol import Session, Step
from integrity.proxy.side import Side

Dial = Callable[[asyncio.Protocol], Awaitable[None]]
HELD_BYTES_MOST = 1 << 26
"""What a gate may hold of one direction before nothing more is read; a whole message that it has not seen is let in."""


class _Once(asyncio.Protocol):
    """Sends something and ends the connection: all that a request to cancel is."""

    def __init__(self, data: bytes) -> None:
        self._data = data

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.WriteTransport)
        transport.write(self._data)
        transport.close()


class Link:
    """A client, a server, and the gate between them.

    Args:
        session: how the two speak.
        gate_of: makes the gate that rules on its messages.
        dial: connects the protocol that it is given to the server; raises OSError.
        over: told when both connections have ended.
        count: takes what happened, e.g. "connections turned away".
        delay_of: returns by how many seconds what passes in a direction is late; None: it is not.
        tls: with which a client is encrypted that asks for it, if the session says so.
    """

    def __init__(
        self,
        session: Session,
        *,
        gate_of: "Callable[[Link], Gate]",
        dial: Dial,
        over: Callable[["Link"], None],
        count: Callable[[str], None],
        delay_of: Callable[[Direction], float | None] = lambda _direction: None,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        self.client = Side(self)
        self.server = Side(self)
        self.is_frozen = False
        self._session, self._dial, self._over, self._count = session, dial, over, count
        self._delay_of, self._tls = delay_of, tls
        self._passed: dict[Direction, list[Message]] = {each: [] for each in Direction}  # and are not sent yet
        self._held = dict.fromkeys(Direction, 0)  # bytes
        self._tasks: set[asyncio.Task[None]] = set()
        self._dialing: asyncio.Task[None] | None = None
        self._first: list[Message] = []
        self._open_count = 0
        self._is_through = False  # to the server
        self._is_ending = False  # when what is on its way has arrived
        self._is_over = False
        self._gate = gate_of(self)

    # What a gate may know.

    @property
    def parameters(self) -> Mapping[str, str]:
        """What the client said at the start, as it said it: user, database, application_name and others."""
        return self._session.parameters

    @property
    def backend_pid(self) -> int:
        """Of the server's process; 0: it has not said it yet."""
        return self._session.backend_pid

    @property
    def backend_secret(self) -> bytes:
        """Of the server's process, with which it can be told to cancel; empty: it has not said it yet."""
        return self._session.backend_secret

    @property
    def is_open(self) -> bool:
        """Whether messages still pass in both directions."""
        return not self._is_over and self.client.is_open and self.server.is_open

    # What the two sides tell.

    def opened(self, side: Side) -> None:
        """One of the connections is there."""
        del side
        self._open_count += 1

    def received(self, side: Side, data: bytes) -> None:
        """Bytes came from that side."""
        try:
            if side is self.client:
                self._take_from_client(self._session.read_client(data))
            else:
                self._take_from_server(self._session.read_server(data))
        except ProtocolError as error:
            self._count("connections that did not speak the protocol")
            self.client.send(self._session.make_refusal(str(error)).raw, None)
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
            self._finish()
            return
        self._is_ending = True
        self.settle()

    def _finish(self) -> None:
        if self._session.unmet:
            self._count(self._session.unmet)
        self._gate.ended()
        self._over(self)

    # What the proxy asks.

    def pace(self) -> None:
        """Read from each side for as long as the other takes it, and the gate."""
        is_dialing = self._dialing is not None
        self.client.read_on(is_wanted=not (is_dialing or self._is_too_much(self.server, Direction.TO_SERVER)))
        self.server.read_on(is_wanted=not self._is_too_much(self.client, Direction.TO_CLIENT))

    def _is_too_much(self, side: Side, direction: Direction) -> bool:
        return side.is_full or self.is_frozen or self._held[direction] >= HELD_BYTES_MOST

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

    def send(self, direction: Direction, messages: Sequence[Message], *, delay_s: float | None = None) -> None:
        """Send messages of the gate's, at once or later; never before what was sent or has passed earlier."""
        if not messages:
            return
        self._pass(direction)
        data = join(messages)
        self._side(direction).send(data, delay_s)
        if held := self._held[direction]:
            self._held[direction] = max(0, held - len(data))
            if held >= HELD_BYTES_MOST:
                self.pace()

    def cancel(self) -> None:
        """Have the server cancel what it is at for this link."""
        message = self._session.make_cancel()
        if message is not None:
            self._do(self._send_once(message))

    async def _send_once(self, message: Message) -> None:
        with contextlib.suppress(OSError):  # a server that is gone is at nothing for this link
            await self._dial(_Once(message.raw))

    def _do(self, work: Coroutine[Any, Any, None]) -> "asyncio.Task[None]":
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    def _side(self, direction: Direction) -> Side:
        return self.server if direction is Direction.TO_SERVER else self.client

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
        if self._is_through:
            self._rule(Direction.TO_SERVER, messages)
        else:
            self._begin(messages)

    def _take_from_server(self, messages: list[Message]) -> None:
        if not self.backend_pid:
            for message in messages:
                self._session.note(message)
        self._rule(Direction.TO_CLIENT, messages)

    def _rule(self, direction: Direction, messages: Sequence[Message]) -> None:
        """Send on the messages that pass; none at all where one of them ends the link."""
        for message in messages:
            match self._gate.rule(direction, message):
                case Ruling.PASS:
                    self._passed[direction].append(message)
                case Ruling.HOLD:
                    self._held[direction] += len(message.raw)
                case Ruling.CUT:
                    self._passed[direction].clear()
                    self.cut()
                    return
                case Ruling.RESET:
                    self._passed[direction].clear()
                    self.reset()
                    return
        self._pass(direction)
        if self._held[direction] >= HELD_BYTES_MOST:
            self.pace()

    def _pass(self, direction: Direction) -> None:
        if passed := self._passed[direction]:
            self._side(direction).send(join(passed), self._delay_of(direction))
            passed.clear()

    def _begin(self, messages: list[Message]) -> None:
        """Take what a client begins with."""
        for message in messages:
            if self._dialing is not None:
                self._first.append(message)
                continue
            opening = self._session.open(message)
            if opening.step is Step.ENCRYPT and message is not messages[-1]:
                raise ProtocolError("bytes that are not encrypted behind a request for encryption")
            if opening.counted:
                self._count(opening.counted)
            if opening.step is Step.CONNECT:
                self._first.append(opening.message)
                self._dialing = asyncio.get_running_loop().create_task(self._connect())
                self.pace()
                continue
            self.client.send(opening.message.raw, None)
            if opening.step is Step.REFUSE:
                self.end()
                return
            if opening.step is Step.ENCRYPT:
                assert self._tls is not None
                self._do(self.client.encrypt(self._tls))

    async def _connect(self) -> None:
        """Connect to the server, and pass on what the client began with.

        Whoever ends the link meanwhile leaves the server's side to us: a connection that is half made cannot be ended on
        uvloop without losing track of it, and neither can this task be cancelled.
        """
        try:
            await self._dial(self.server)
        except OSError:
            self._count("connections that the server did not take")
            self._is_over = True
        self._dialing = None
        if not self._is_over:
            self._is_through = True
            self.server.send(self._first[0].raw, None)
            self._rule(Direction.TO_SERVER, self._first[1:])
            self.pace()
            return
        self.client.cut()
        self.server.cut()
        if self._open_count == 0:
            self._finish()
