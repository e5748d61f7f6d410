"""Cycles: what a client asks in one go and waits for, and what the server answers; one link's, followed without I/O.

A cycle is a simple query, the messages of the extended protocol up to a Sync or a Flush, the data of a COPY, a function
call, or the farewell. Several may be under way: each answer belongs to the oldest message that is not answered yet. What a
client prepared and sends by name only is known by its text. After an error the server skips what it has been sent up to
the next Sync, and while it takes the data of a COPY it does not look at a Sync at all: both are followed here.
"""

from collections import deque
from dataclasses import dataclass, field
from enum import Enum

from integrity.proxy.message import Message
from integrity.proxy.postgresql.bodies import (
    Column,
    Notice,
    Parameter,
    read_bind,
    read_columns,
    read_notice,
    read_numbers,
    read_row,
    read_text,
)
from integrity.sql.statements import split_statements

SYNC, FLUSH, QUERY, CALL, END = b"S", b"H", b"Q", b"F", b"X"
_PARSE, _BIND, _DESCRIBE, _EXECUTE, _CLOSE = b"P", b"B", b"D", b"E", b"C"
_STEPS = {_PARSE: b"1", _BIND: b"2", _DESCRIBE: b"Tn", _EXECUTE: b"CIs", _CLOSE: b"3"}
"""A step of the extended protocol, and the letters of what answers it."""
_ENDS_OF_COPY = (b"c", b"f")
NOTICES_MOST = 20


class Kind(Enum):
    """What a cycle is."""

    SIMPLE = "simple"
    EXTENDED = "extended"
    COPY = "copy"
    CALL = "call"
    END = "end"


@dataclass(frozen=True, slots=True)
class Statement:
    """A statement of a cycle.

    Args:
        is_executed: or else it is only parsed, or described.
    """

    text: str
    parameters: tuple[Parameter, ...] = ()
    is_executed: bool = True


@dataclass(slots=True)
class Result:
    """What the server answers to one statement.

    Args:
        tag: e.g. "UPDATE 1"; empty where it suspended the portal, or there was nothing to execute.
        rows: the first ones only, as many as the conversation keeps.
        copied_bytes: of a COPY, in either direction.
    """

    tag: str = ""
    columns: tuple[Column, ...] = ()
    rows: list[tuple[bytes | None, ...]] = field(default_factory=list)
    row_count: int = 0
    copied_bytes: int = 0


@dataclass(slots=True)
class Answer:
    """What the server answers to a cycle.

    Args:
        results: of its statements, in order; behind an error there are none.
        status: of the transaction afterwards: "I" idle, "T" open, "E" failed; empty behind a Flush.
        is_skipped: the server did not look at it, because of an error before.
    """

    results: list[Result] = field(default_factory=list)
    error: Notice | None = None
    notices: list[Notice] = field(default_factory=list)
    status: str = ""
    is_skipped: bool = False


@dataclass(slots=True, eq=False)
class Cycle:
    """What a client asked in one go.

    Args:
        statements: of a simple query each one; of the extended protocol those that are parsed, described or executed.
        ends_with: the letter of its last message.
        answer: as far as it has come.
    """

    kind: Kind
    statements: list[Statement] = field(default_factory=list)
    ends_with: bytes = b""
    answer: Answer = field(default_factory=Answer)

    @property
    def executes(self) -> bool:
        """Whether it executes anything."""
        return self.kind is not Kind.END and any(statement.is_executed for statement in self.statements)

    @property
    def executed(self) -> list[Statement]:
        """The statements that it executes."""
        return [statement for statement in self.statements if statement.is_executed]


@dataclass(slots=True)
class _Prepared:
    text: str
    type_oids: tuple[int, ...] = ()
    columns: tuple[Column, ...] = ()


@dataclass(slots=True)
class _Portal:
    statement: Statement
    columns: tuple[Column, ...] = ()


@dataclass(slots=True)
class _Expected:
    """A message that the server has to answer.

    Args:
        prepared, portal: what the answer is about.
        result: of the statement that the server is at; None: of the next one nothing has come yet.
    """

    kind: bytes
    cycle: Cycle
    prepared: _Prepared | None = None
    portal: _Portal | None = None
    result: Result | None = None


class Conversation:
    """Follows what a client and a server say to each other.

    Args:
        rows_most: of each result are kept, and of all results under way bytes_most.
    """

    def __init__(self, *, rows_most: int = 0, bytes_most: int = 1 << 20) -> None:
        self.status = "I"
        """Of the transaction, as the server said last."""
        self.farewell: Notice | None = None
        """Why the server ended the session, if it said so."""
        self._rows_most, self._bytes_most = rows_most, bytes_most
        self._has_begun = False
        self._building: Cycle | None = None
        self._expected: deque[_Expected] = deque()
        self._done: list[Cycle] = []  # and not told yet
        self._prepared: dict[bytes, _Prepared] = {}
        self._portals: dict[bytes, _Portal] = {}
        self._copying: Cycle | None = None  # the server takes its data
        self._ended_early: Cycle | None = None  # whose data asyncpg sends without waiting until the server asks for it
        self._is_skipping = False  # the server is, up to the next Sync that comes
        self._kept_bytes = 0

    # What the client says.

    def ask(self, message: Message) -> Cycle | None:
        """Take a message of the client's; return the cycle that it completes.

        All messages since the last one are its. The data of a COPY is a cycle of its own, to which nothing is answered:
        the answer belongs to the cycle that began it, which in the extended protocol is returned again at its second Sync.
        """
        kind = message.kind
        if self._copying is not None:
            return self._ask_copy(message)
        if kind in _STEPS:
            self._ask_step(message)
        elif kind in (SYNC, FLUSH):
            return self._end_steps(kind)
        elif kind in (QUERY, CALL):
            statements = [Statement(text) for text in split_statements(read_text(message.body))] if kind == QUERY else []
            cycle = Cycle(Kind.SIMPLE if kind == QUERY else Kind.CALL, statements, kind)
            self._expected.append(_Expected(kind, cycle))
            return cycle
        elif kind == END:
            return Cycle(Kind.END, ends_with=kind)
        elif kind in _ENDS_OF_COPY and self._expected and self._expected[-1].kind == QUERY:
            self._ended_early = self._expected[-1].cycle
            return Cycle(Kind.COPY, ends_with=kind)
        return None  # a password, or what is left of a COPY that has failed

    def _ask_step(self, message: Message) -> None:
        cycle = self._building = self._building or Cycle(Kind.EXTENDED)
        kind, body = message.kind, message.body
        expected = _Expected(kind, cycle)
        if kind == _PARSE:
            name, sql, types = body.split(b"\0", 2)
            self._prepared[name] = _Prepared(read_text(sql), read_numbers(types, size=4))
            cycle.statements.append(Statement(self._prepared[name].text, is_executed=False))
        elif kind == _BIND:
            self._bind(body)
        elif kind == _EXECUTE:
            expected.portal = self._portals.get(body.partition(b"\0")[0], _Portal(Statement("")))
            text = expected.portal.statement.text
            cycle.statements = [each for each in cycle.statements if each.is_executed or each.text != text]
            cycle.statements.append(expected.portal.statement)
        elif kind == _DESCRIBE:
            name = body[1:].partition(b"\0")[0]
            if body[:1] == b"S":
                expected.prepared = self._prepared.get(name)
            else:
                expected.portal = self._portals.get(name)
        elif kind == _CLOSE:
            closed: dict[bytes, _Prepared] | dict[bytes, _Portal]
            closed = self._prepared if body[:1] == b"S" else self._portals
            closed.pop(body[1:].partition(b"\0")[0], None)
        if not self._is_skipping:
            self._expected.append(expected)

    def _bind(self, body: bytes) -> None:
        portal, name, rest = body.split(b"\0", 2)
        prepared = self._prepared.get(name, _Prepared(""))
        parameters, formats = read_bind(rest, prepared.type_oids)
        columns = tuple(
            column._replace(is_binary=bool(formats[number if len(formats) > 1 else 0]) if formats else False)
            for number, column in enumerate(prepared.columns)
            if len(formats) <= 1 or number < len(formats)
        )
        self._portals[portal] = _Portal(Statement(prepared.text, parameters), columns)

    def _end_steps(self, kind: bytes) -> Cycle | None:
        cycle, self._building = self._building, None
        if kind == FLUSH:
            if cycle is None:
                return None
            cycle.ends_with = kind
            if self._is_skipping:
                cycle.answer.is_skipped = cycle.answer.error is None
            if not any(expected.cycle is cycle for expected in self._expected):
                self._done.append(cycle)  # answered already, or never to be
            return cycle
        cycle = cycle or Cycle(Kind.EXTENDED)
        cycle.ends_with = kind
        cycle.answer.is_skipped = self._is_skipping and cycle.answer.error is None
        self._is_skipping = False
        self._expected.append(_Expected(kind, cycle))
        return cycle

    def _ask_copy(self, message: Message) -> Cycle | None:
        cycle = self._copying
        assert cycle is not None
        if message.kind == b"d":
            _result(cycle).copied_bytes += len(message.body)
        elif message.kind in _ENDS_OF_COPY:
            self._copying = None
            if cycle.kind is Kind.EXTENDED:
                self._building = cycle  # its Sync comes behind the data
            return Cycle(Kind.COPY, ends_with=message.kind)
        return None

    @property
    def building(self) -> Cycle | None:
        """The cycle of which the client has not sent the last message."""
        return self._building

    @property
    def unanswered(self) -> list[Cycle]:
        """The cycles that are under way, oldest first."""
        return list(dict.fromkeys(expected.cycle for expected in self._expected))

    # What the server says.

    def answer(self, message: Message) -> list[Cycle]:
        """Take a message of the server's; return the cycles to which nothing more will be answered, in order."""
        kind = message.kind
        done, self._done = self._done, []
        if not self._has_begun:
            self._has_begun = kind == b"Z"
        elif kind == b"E":
            done += self._fail(read_notice(message.body))
        elif kind == b"N":
            if self._expected and len(notices := self._expected[0].cycle.answer.notices) < NOTICES_MOST:
                notices.append(read_notice(message.body))
        elif self._expected and kind not in (b"A", b"S"):
            done += self._take(self._expected[0], message)
        return done

    def _take(self, expected: _Expected, message: Message) -> list[Cycle]:
        kind, cycle = message.kind, expected.cycle
        if kind == b"Z":
            self.status = cycle.answer.status = message.body[:1].decode("ascii", "replace")
            self._kept_bytes = 0
            return self._met() if expected.kind in (SYNC, QUERY, CALL) else []
        self._note(expected, message)
        return self._met() if kind in _STEPS.get(expected.kind, b"") else []

    def _note(self, expected: _Expected, message: Message) -> None:
        """Keep what the message says."""
        kind, body = message.kind, message.body
        if kind == b"t" and expected.prepared is not None:
            expected.prepared.type_oids = read_numbers(body, size=4)
        elif kind == b"T":
            self._note_columns(expected, read_columns(body))
        elif kind == b"D":
            result = self._open_result(expected)
            result.row_count += 1
            if len(result.rows) < self._rows_most and self._kept_bytes + len(body) <= self._bytes_most:
                self._kept_bytes += len(body)
                result.rows.append(read_row(body))
        elif kind in (b"C", b"I", b"s"):
            result = self._open_result(expected)
            result.tag = read_text(body) if kind == b"C" else ""
            expected.result = None  # what comes next is about the statement behind it
        elif kind == b"d":
            self._open_result(expected).copied_bytes += len(body)
        elif kind == b"G":
            self._begin_copy(expected)

    def _note_columns(self, expected: _Expected, columns: tuple[Column, ...]) -> None:
        if expected.prepared is not None:
            expected.prepared.columns = columns
        elif expected.portal is not None:
            expected.portal.columns = columns
        elif expected.kind == QUERY:
            self._open_result(expected).columns = columns

    def _open_result(self, expected: _Expected) -> Result:
        """Return the result of the statement that the server is at."""
        if expected.result is None:
            expected.result = Result(columns=expected.portal.columns if expected.portal else ())
            expected.cycle.answer.results.append(expected.result)
        return expected.result

    def _begin_copy(self, expected: _Expected) -> None:
        self._open_result(expected)
        if expected.cycle is self._ended_early:
            self._ended_early = None
            return
        self._copying = expected.cycle
        if expected.cycle.kind is Kind.EXTENDED:
            # What was sent behind the Execute is a Sync, or a Flush: the server reads both as data, and forgets them.
            self._expected = deque([expected])

    def _met(self) -> list[Cycle]:
        """The oldest message is answered: return its cycle if it was the last one of that."""
        expected = self._expected.popleft()
        cycle = expected.cycle
        is_last = expected.kind in (SYNC, QUERY, CALL) or (
            cycle.ends_with == FLUSH and not any(each.cycle is cycle for each in self._expected)
        )
        return [cycle] if is_last else []

    def _fail(self, error: Notice) -> list[Cycle]:
        if not self._expected:
            self.farewell = error
            return []
        if error.severity in ("FATAL", "PANIC"):
            self.farewell = error
        failed = self._expected[0].cycle
        failed.answer.error = error
        is_copying, self._copying = self._copying is not None, None
        if failed.kind is not Kind.EXTENDED:
            return []  # it is ready for the next one after this
        if is_copying:
            self._building = failed
        done: list[Cycle] = []
        while self._expected and self._expected[0].kind != SYNC:
            cycle = self._expected.popleft().cycle
            cycle.answer.is_skipped = cycle is not failed
            if cycle.ends_with == FLUSH and cycle not in done:
                done.append(cycle)
        self._is_skipping = not self._expected
        return done


def _result(cycle: Cycle) -> Result:
    if not cycle.answer.results:
        cycle.answer.results.append(Result())
    return cycle.answer.results[-1]
