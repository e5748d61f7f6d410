"""The gate of a race: on one link of the proxy, it holds each unit of the client, and the server's word that one is done.

It lives in the proxy's event loop. What it holds it tells the desk, and the scheduler says, from another thread, what
becomes of it: `forward` lets a unit go on to the server, `finish` ends a transaction that is kept open for it, `deliver`
tells the client. What nobody else can notice goes through by itself.

The commit of a statement outside a transaction is kept apart from what it executes. In the extended protocol its Sync is
held back, and a Flush has the server answer; a simple query is put between a begin and a commit of ours, whose answers the
client never sees. Refused, it is ended at once, as it would have been.
"""

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import Enum, auto
from typing import Protocol

from integrity.proxy.gate import Direction, Ruling
from integrity.proxy.link import Link
from integrity.proxy.message import Message
from integrity.proxy.postgresql.framing import make_message
from integrity.race.gated.postgresql.answer import Result
from integrity.race.gated.postgresql.unit import ENDS, FLUSH, SYNC, Act, Reader, Unit

_COPYING = (b"d", b"c", b"f")
_DONE = (b"C", b"I", b"s", b"E")
_READY, _ERROR, _NOTICE, _COPY_IN, _SUSPENDED = b"Z", b"E", b"N", b"G", b"s"
_EXECUTE = b"E"  # of a client
_ANSWERED = (b"P", b"B", b"D", b"C", b"E")  # of a client's, those that have an answer each
_ANSWERS = (b"1", b"2", b"3", b"T", b"n")  # beside those that a statement is done
IDLE, OPEN, BROKEN = b"I", b"T", b"E"
_LOOKS_IN = b"RProcSleep"  # of the server's source, as a notice names it
_SEVERITY_LOG = b"VLOG"


class Split(Enum):
    """How a unit's commit is kept apart: not at all; its Sync is held back; it is put in a transaction of ours."""

    NOT = auto()
    SYNC = auto()
    WRAPPED = auto()


class Listener(Protocol):
    """Is told what the gates see, in the proxy's event loop."""

    is_watching: bool
    """A schedule is played; else all passes."""

    def arrived(self, gate: "RaceGate", unit: Unit) -> None:
        """A unit is held."""
        ...

    def executed(self, gate: "RaceGate", result: Result) -> None:
        """The server has carried a unit out, or refused it; the client has not been told that it is over."""
        ...

    def finished(self, gate: "RaceGate", result: Result) -> None:
        """The transaction that was kept open is at its end."""
        ...

    def looked(self, gate: "RaceGate") -> None:
        """The server has looked for a deadlock as the link waited."""
        ...

    def ended(self, gate: "RaceGate") -> None:
        """The link is over."""
        ...


@dataclass(slots=True)
class _Flight:
    """Something that the server is to answer: a unit, or a query of ours, of which the client learns nothing.

    Args:
        unit: the client's; None: ours.
        executes: how many answers there are until an extended unit is executed; without a Sync, until it is over.
        is_watched: the scheduler has let it go, and is told what comes of it.
        is_end: ends the transaction that was kept open for a unit.
        held: what the client gets when it is delivered.
    """

    unit: Unit | None
    split: Split = Split.NOT
    executes: int = 0
    is_watched: bool = False
    is_end: bool = False
    result: Result = field(default_factory=Result)
    held: list[Message] = field(default_factory=list)


class RaceGate:
    """See the module. Its methods are called in the proxy's event loop only."""

    def __init__(self, link: Link, listener: Listener) -> None:
        self.link = link
        self.status = IDLE
        """Of its transaction, as the server said last: idle, open, broken."""
        self.opened_by = ""
        """The `begin` of the transaction that is open."""
        self.is_impatient: bool | None = False
        """It looks for a deadlock as soon as it waits; None: nobody knows. The scheduler's."""
        self._listener = listener
        self._reader = Reader()
        self._messages: list[Message] = []  # of the unit that is not whole yet
        self._units: deque[Unit] = deque()  # behind the one under way
        self._flights: deque[_Flight] = deque()
        self._done: _Flight | None = None  # whose client is not told yet
        self._is_begun = False  # the session is
        self._is_copying_in = False
        self._is_busy = False  # with a unit of the client's

    # What passes.

    def rule(self, direction: Direction, message: Message) -> Ruling:
        """See proxy.gate.Gate."""
        return self._rule_request(message) if direction is Direction.TO_SERVER else self._rule_reply(message)

    def ended(self) -> None:
        """See proxy.gate.Gate."""
        self._listener.ended(self)

    def _rule_request(self, message: Message) -> Ruling:
        if not self._is_begun or message.kind == b"X":
            return Ruling.PASS
        if self._is_copying_in and (message.kind in _COPYING or message.kind in (SYNC, FLUSH)):
            return Ruling.PASS
        self._messages.append(message)
        if message.kind in ENDS:
            self._units.append(self._reader.read(self._messages))
            self._messages = []
            self._take_next()
        return Ruling.HOLD

    def _take_next(self) -> None:
        """Go on with the next unit of the client, unless one is under way."""
        if self._is_busy or not self._units:
            return
        unit = self._units.popleft()
        self._is_busy = True
        acts = unit.acts
        is_idle = self.status == IDLE
        opens = is_idle and Act.BEGIN in acts and acts <= {Act.BEGIN, Act.QUIET}
        if opens:
            self.opened_by = unit.sql
        if (
            not self._listener.is_watching
            or unit.is_quiet
            or opens
            or (is_idle and acts <= {Act.COMMIT, Act.ROLLBACK, Act.QUIET})
        ):
            self.pass_on(unit)
        else:
            self._listener.arrived(self, unit)

    # What the scheduler asks.

    def forward(self, unit: Unit, *, split: Split, told: Sequence[str] = ()) -> None:
        """Let the unit that is held go on.

        Args:
            told: statements that are sent before it.
        """
        for sql in told:
            self._send(_Flight(None), [_query(sql)])
        flight = _Flight(unit, split, is_watched=True)
        if split is Split.SYNC:
            self._send(flight, [*unit.messages[:-1], make_message(FLUSH)])
            return
        if split is Split.WRAPPED:
            self._send(_Flight(None), [_query("begin")])
        self._send(flight, unit.messages)

    def pass_on(self, unit: Unit) -> None:
        """Let a unit that is held go through, and its client have the answer."""
        self._send(_Flight(unit), unit.messages)

    def forget(self) -> None:
        """Tell the client nothing of a unit that was refused: it is to be sent once more."""
        self._done = None

    def finish(self) -> None:
        """Commit the transaction that was kept open for a unit."""
        flight = self._done
        assert flight is not None
        if flight.split is Split.SYNC:
            flight.is_end, flight.result = True, Result()
            self._flights.append(flight)
            self.link.send(Direction.TO_SERVER, [make_message(SYNC)])
        else:
            self._send(_Flight(None, is_end=True), [_query("commit")])

    def deliver(self) -> None:
        """Tell the client that its unit is done."""
        flight, self._done = self._done, None
        if flight is None:
            return
        self.link.send(Direction.TO_CLIENT, flight.held)
        self._go_on()

    def _go_on(self) -> None:
        """One unit is over: take the next one, if it has come."""
        self._is_busy = False
        if self.status == IDLE:
            self.opened_by = ""
        self._take_next()

    def _send(self, flight: _Flight, messages: Sequence[Message]) -> None:
        is_flushed = flight.unit is not None and flight.unit.messages[-1].kind == FLUSH
        answered = _ANSWERED if is_flushed else (_EXECUTE,)
        flight.executes = sum(message.kind in answered for message in messages)
        self._flights.append(flight)
        self.link.send(Direction.TO_SERVER, messages)

    # What comes back.

    def _rule_reply(self, message: Message) -> Ruling:
        kind = message.kind
        if not self._is_begun:
            self._is_begun = kind == _READY
            return Ruling.PASS
        if kind == _NOTICE:
            return self._rule_notice(message)
        if kind in (b"A", b"S") or not self._flights:
            return Ruling.PASS
        flight = self._flights[0]
        flight.result.take(message)
        if kind == _COPY_IN:
            self._is_copying_in = flight.unit is not None
        elif kind in (b"C", b"E"):
            self._is_copying_in = False
        if flight.unit is None:
            return self._take_own(flight, message)
        if kind == _READY:
            self._take_ready(flight, message)
            return Ruling.HOLD if flight.is_watched else Ruling.PASS
        is_held = flight.is_watched and (kind in _DONE or bool(flight.held))
        if is_held:
            flight.held.append(message)
        if kind in _DONE or (kind in _ANSWERS and flight.unit.messages[-1].kind == FLUSH):
            self._take_done(flight, message)
        return Ruling.HOLD if is_held else Ruling.PASS

    def _take_done(self, flight: _Flight, message: Message) -> None:
        """One statement of a unit is answered; without a Sync that is all that tells of its end."""
        assert flight.unit is not None
        is_refused = message.kind == _ERROR
        if message.kind == _SUSPENDED:
            flight.result.suspend(flight.unit.statements[len(flight.result.tags)].sql)
        if flight.split is Split.SYNC and not flight.is_end:
            if is_refused:  # the server skips what comes until the Sync
                flight.split = Split.NOT
                self.link.send(Direction.TO_SERVER, [make_message(SYNC)])
                return
            flight.executes -= 1
            if flight.executes == 0:
                self._flights.popleft()
                self._done, self.status = flight, OPEN
                self._listener.executed(self, flight.result)
        elif flight.unit.messages[-1].kind == FLUSH:
            flight.executes = 0 if is_refused else flight.executes - 1
            if flight.executes <= 0:
                self._flights.popleft()
                self._end_unit(flight)

    def _take_ready(self, flight: _Flight, message: Message) -> None:
        """The server is ready for the next: a unit is done, or the end of one."""
        self._flights.popleft()
        self.status = message.body[:1]
        if flight.split is not Split.WRAPPED:
            flight.held.append(message)
            self._end_unit(flight)
            return
        self._done = flight  # in our transaction: what its client is to be told waits for the end of that
        if flight.result.refusal is None:
            self._listener.executed(self, flight.result)
        else:
            self._send(_Flight(None, is_end=True), [_query("rollback")])

    def _take_own(self, flight: _Flight, message: Message) -> Ruling:
        if message.kind == _READY:
            self._flights.popleft()
            self.status = message.body[:1]
            if flight.is_end:
                self._end_wrapped(flight, message)
        return Ruling.HOLD

    def _end_wrapped(self, end: _Flight, ready: Message) -> None:
        """Our transaction around a simple query is over: its client is told how, as if there had been none."""
        flight = self._done
        assert flight is not None
        if end.result.refusal is not None:  # the commit was refused, and so was the statement
            flight.held = [*(each for each in flight.held if each.kind != b"C"), *end.result.errors]
        flight.held.append(ready)
        if flight.result.refusal is not None:
            self._listener.executed(self, flight.result)
        else:
            self._listener.finished(self, end.result)

    def _end_unit(self, flight: _Flight) -> None:
        assert flight.unit is not None
        self._reader.learn(flight.unit, flight.result.type_oids, flight.result.columns)
        if not flight.is_watched:
            self._go_on()
            return
        self._done = flight
        if flight.is_end:
            self._listener.finished(self, flight.result)
        else:
            self._listener.executed(self, flight.result)

    def _rule_notice(self, message: Message) -> Ruling:
        """What the server says for its log, as it was asked to, is for us."""
        fields = message.body.split(b"\0")
        if _LOOKS_IN in fields:
            self._listener.looked(self)
        return Ruling.HOLD if _SEVERITY_LOG in fields else Ruling.PASS


def _query(sql: str) -> Message:
    return make_message(b"Q", sql.encode() + b"\0")
