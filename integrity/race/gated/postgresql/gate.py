"""The gate of a race: on one link of the proxy, it holds each unit of the client, and the server's word that one is done.

It lives in the proxy's event loop. What it holds it tells the desk, and the scheduler says, from another thread, what
becomes of it: `forward` lets a unit go on to the server, `finish` ends a transaction that is kept open for it, `deliver`
tells the client. What nobody else can notice goes through by itself.

The commit of a statement outside a transaction is kept apart from what it executes. In the extended protocol its Sync is
held back, and a Flush has the server answer; a simple query is put between a begin and a commit of ours, whose answers the
client never sees. Refused, it is ended at once, as it would have been.

What has several statements is taken a part at a time. Outside a transaction they are one, which ends with the last: of a
simple query our begin and commit are around all of them, of the extended protocol none but the last has its Sync.
"""

from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import Enum, auto
from typing import Protocol

from integrity.proxy.gate import Direction, Ruling
from integrity.proxy.link import Link
from integrity.proxy.message import Message
from integrity.proxy.postgresql.bodies import read_text
from integrity.proxy.postgresql.framing import make_message
from integrity.race.gated.postgresql.answer import Result, read_refusal
from integrity.race.gated.postgresql.rewriting import Rewriting
from integrity.race.gated.postgresql.unit import ENDS, FLUSH, SYNC, Act, Reader, Unit
from integrity.race.program.wire import Refusal

_COPYING = (b"d", b"c", b"f")
_DONE = (b"C", b"I", b"s", b"E")
_READY, _ERROR, _NOTICE, _COPY_IN, _SUSPENDED = b"Z", b"E", b"N", b"G", b"s"
_EXECUTE = b"E"  # of a client
_ANSWERED = (b"P", b"B", b"D", b"C", b"E")  # of a client's, those that have an answer each
_ANSWERS = (b"1", b"2", b"3", b"T", b"n")  # beside those that a statement is done
_PARSED = b"1"
_NAMED = b"application_name\0"
IDLE, OPEN, BROKEN = b"I", b"T", b"E"
_LOOKS_IN = b"RProcSleep"  # of the server's source, as a notice names it
_SEVERITY_LOG = b"VLOG"


class Split(Enum):
    """How a unit's commit is kept apart: not at all; its Sync is held back; it is put in a transaction of ours; or it goes
    on in the transaction of its parts, and begins that."""

    NOT = auto()
    SYNC = auto()
    WRAPPED = auto()
    OPEN = auto()


class Listener(Protocol):
    """Is told what the gates see, in the proxy's event loop."""

    is_watching: bool
    """A schedule is played; else all passes."""

    changes: Mapping[str, str]
    """Texts of statements, and what the server is given in their place."""

    def noticed(self, unit: Unit) -> None:
        """A unit of the schedule came."""
        ...

    def ignores(self, gate: "RaceGate", unit: Unit) -> bool:
        """Return whether a unit is none of the race's, and count it."""
        ...

    def arrived(self, gate: "RaceGate", unit: Unit) -> None:
        """A unit is held."""
        ...

    def executed(self, gate: "RaceGate", result: Result) -> None:
        """The server has carried a unit out, or refused it; the client has not been told that it is over."""
        ...

    def finished(self, gate: "RaceGate", result: Result) -> None:
        """The transaction that was kept open is at its end."""
        ...

    def turned_away(self, refusal: Refusal) -> None:
        """The server does not let a connection in."""
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
        swallowed: so many parsings more are ours, and no news for the client.
        held: what the client gets when it is delivered.
    """

    unit: Unit | None
    split: Split = Split.NOT
    executes: int = 0
    is_watched: bool = False
    is_end: bool = False
    swallowed: int = 0
    result: Result = field(default_factory=Result)
    held: list[Message] = field(default_factory=list)

    @property
    def is_flushed(self) -> bool:
        """The server is not told that this is all: it is over when all in it is answered."""
        return self.unit is not None and self.unit.is_flushed


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
        self._rewriting = Rewriting(lambda: listener.changes)
        self._ours: set[int] = set()  # messages among those of units whose answers the client does not get
        self._messages: list[Message] = []  # of the unit that is not whole yet
        self._units: deque[Unit] = deque()  # behind the one under way
        self._flights: deque[_Flight] = deque()
        self._done: _Flight | None = None  # whose client is not told yet
        self._is_begun = False  # the session is
        self._is_copying_in = False
        self._copied: list[Message] = []  # before the server has asked for it
        self._parts: deque[Unit] = deque()  # of the unit under way
        self.application_name = ""
        self._is_ignored = False  # what its transaction does
        self.is_implicit = False
        """Its transaction is none but of what came in one go, and ends with that."""
        self._is_skipping = False  # the server is, until a Sync
        self._is_busy = False  # with a unit of the client's

    @property
    def is_at_rest(self) -> bool:
        """Its server has been asked nothing that it has not answered, and is in no transaction."""
        return self.status == IDLE and not self._flights and self.link.is_open

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
        if message.kind in _COPYING:
            self._copied.append(message)
            return Ruling.HOLD
        rewritten = self._rewriting.rewrite(message)
        self._ours.update(map(id, rewritten[:-1]))
        self._messages += rewritten
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
        if self._listener.is_watching and not self._is_skipping:
            unit, *parts = unit.parts
            self._parts.extend(parts)
        self._offer(unit)

    def _offer(self, unit: Unit) -> None:
        """Hold a unit or a part, unless nobody minds it."""
        acts = unit.acts
        is_idle = self.status == IDLE
        opens = is_idle and Act.BEGIN in acts and acts <= {Act.BEGIN, Act.QUIET}
        if opens:
            self.opened_by = unit.sql
        is_ignored = self._ignores(unit)
        if self._listener.is_watching and not is_ignored:
            self._listener.noticed(unit)
        if (
            not self._listener.is_watching
            or is_ignored
            or self._is_skipping
            or (unit.is_quiet and self._is_minded_by_nobody(unit))
            or opens
            or (is_idle and acts <= {Act.COMMIT, Act.ROLLBACK, Act.QUIET})
        ):
            self.pass_on(unit)
        else:
            self._listener.arrived(self, unit)

    def _ignores(self, unit: Unit) -> bool:
        """Return whether a unit, or the transaction that it is in, is none of the race's."""
        self._is_ignored = self._is_ignored or self._listener.ignores(self, unit)
        return self._is_ignored

    def _is_minded_by_nobody(self, unit: Unit) -> bool:
        """Return whether a quiet unit neither begins nor ends a transaction that is one without saying so."""
        if self.is_implicit:
            return not unit.is_ended
        return self.status != IDLE or not unit.is_part

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
        if self.status == IDLE and (split is Split.WRAPPED or (split is Split.OPEN and unit.is_simple)):
            self._send(_Flight(None), [_query("begin")])
        self.is_implicit = self.is_implicit or split is Split.OPEN
        self._send(flight, _flushed(unit))

    def pass_on(self, unit: Unit) -> None:
        """Let a unit that is held go through, and its client have the answer."""
        is_answered = any(message.kind in _ANSWERED for message in unit.messages)
        if unit.is_flushed and (self._is_skipping or not is_answered):
            self.link.send(Direction.TO_SERVER, unit.messages)
            self._go_on()
            return
        self._send(_Flight(unit), _flushed(unit))

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
        """One unit is over: take its next part, or the next one, if it has come."""
        if self.status == IDLE:
            self.opened_by, self.is_implicit, self._is_ignored = "", False, False
        if self._parts:
            self._offer(self._parts.popleft())
            return
        self._is_busy = False
        self._take_next()

    def _send(self, flight: _Flight, messages: Sequence[Message]) -> None:
        answered = _ANSWERED if flight.is_flushed else (_EXECUTE,)
        flight.executes = sum(message.kind in answered for message in messages)
        if self._ours:
            ours = self._ours & set(map(id, messages))
            flight.swallowed = len(ours)
            self._ours -= ours
        self._flights.append(flight)
        self.link.send(Direction.TO_SERVER, messages)

    # What comes back.

    def _rule_reply(self, message: Message) -> Ruling:
        kind = message.kind
        if kind == b"S" and message.body.startswith(_NAMED):
            self.application_name = read_text(message.body.removeprefix(_NAMED))
        if not self._is_begun:
            if kind == _ERROR:
                self._listener.turned_away(read_refusal(message.body))
            self._is_begun = kind == _READY
            return Ruling.PASS
        if kind == _NOTICE:
            return self._rule_notice(message)
        if kind in (b"A", b"S") or not self._flights:
            return Ruling.PASS
        flight = self._flights[0]
        flight.result.take(message)
        is_swallowed = kind == _PARSED and flight.swallowed > 0
        flight.swallowed -= is_swallowed
        if kind == _COPY_IN:
            self._is_copying_in = flight.unit is not None
            copied, self._copied = self._copied, []
            self.link.send(Direction.TO_SERVER, copied)
        elif kind in (b"C", b"E") and flight.unit is not None:
            self._is_copying_in = False
            self._copied.clear()  # of one that the server refused
        if flight.unit is None:
            return self._take_own(flight, message)
        if kind == _READY:
            is_told = not (flight.is_watched or (flight.unit.has_next and flight.result.refusal is None))
            self._take_ready(flight, message)
            return Ruling.PASS if is_told else Ruling.HOLD
        is_held = flight.is_watched and (kind in _DONE or bool(flight.held))
        if is_held and not is_swallowed:
            flight.held.append(message)
        if kind in _DONE or (kind in _ANSWERS and flight.is_flushed):
            self._take_done(flight, message)
        return Ruling.HOLD if is_held or is_swallowed else Ruling.PASS

    def _take_done(self, flight: _Flight, message: Message) -> None:
        """One statement of a unit is answered; without a Sync that is all that tells of its end."""
        assert flight.unit is not None
        is_refused = message.kind == _ERROR
        if message.kind == _SUSPENDED:
            flight.result.suspend(flight.unit.statements[len(flight.result.tags)].sql)
        if is_refused and self._skip_rest(flight):
            return
        if flight.split is Split.SYNC and not flight.is_end:
            flight.executes -= 1
            if flight.executes == 0:
                self._flights.popleft()
                self._done, self.status = flight, OPEN
                self._listener.executed(self, flight.result)
        elif flight.is_flushed:
            flight.executes = 0 if is_refused else flight.executes - 1
            if flight.executes <= 0:
                self._flights.popleft()
                self._note_status(flight.unit, is_refused=is_refused)
                self._end_unit(flight)

    def _skip_rest(self, flight: _Flight) -> bool:
        """Send the Sync up to which the server skips all, if it is held back; return whether it is."""
        assert flight.unit is not None
        is_kept = flight.split is Split.SYNC and not flight.is_end
        if flight.unit.has_next and not flight.unit.is_simple:
            is_kept = self._parts[-1].ends_with_sync
            flight.unit = replace(flight.unit, has_next=not is_kept)
        self._parts.clear()
        if is_kept:
            flight.split = Split.NOT
            self.link.send(Direction.TO_SERVER, [make_message(SYNC)])
        return is_kept

    def _note_status(self, unit: Unit, *, is_refused: bool) -> None:
        """Note what the transaction is behind a unit of which the server does not say it."""
        acts = unit.acts
        if is_refused:
            self.status, self._is_skipping = BROKEN, True
        elif Act.BEGIN in acts:
            self.status, self.is_implicit = OPEN, False
        elif acts & {Act.COMMIT, Act.ROLLBACK}:
            self.status, self.is_implicit = IDLE, False
        elif self.status == IDLE and not unit.is_quiet:
            self.status, self.is_implicit = OPEN, True

    def _take_ready(self, flight: _Flight, message: Message) -> None:
        """The server is ready for the next: a unit is done, or the end of one."""
        assert flight.unit is not None
        self._flights.popleft()
        self.status, self._is_skipping = message.body[:1], False
        is_refused = flight.result.refusal is not None
        if is_refused:
            self._parts.clear()
        is_ours = flight.split is Split.WRAPPED or (flight.split is Split.OPEN and flight.unit.is_simple and is_refused)
        if not is_ours:
            if Act.BEGIN in flight.unit.acts or self.status == IDLE:
                self.is_implicit = False
            if is_refused or not flight.unit.has_next:
                flight.held.append(message)
            self._end_unit(flight)
            return
        self._done = flight  # in our transaction: what its client is to be told waits for the end of that
        if is_refused:
            self._send(_Flight(None, is_end=True), [_query("rollback")])
        else:
            self._listener.executed(self, flight.result)

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
        self.is_implicit = False
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


def _flushed(unit: Unit) -> Sequence[Message]:
    """Return what the server is sent for a unit: a part of one has nothing at its end that has it answered."""
    return [*unit.messages, make_message(FLUSH)] if unit.has_next and not unit.is_simple else unit.messages


def _query(sql: str) -> Message:
    return make_message(b"Q", sql.encode() + b"\0")
