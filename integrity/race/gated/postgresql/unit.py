"""Units: what a client sends in one go and waits for, as the gate holds it and lets it go.

A unit is a simple query, or the messages of the extended protocol up to a Sync or a Flush. What it asks for is told by its
statements, each with its parameters; a driver that has prepared one sends its name only, so the names are followed. One
of several statements is cut into its parts, a statement each: others may come between them.
"""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from enum import Enum, auto
from functools import lru_cache
from itertools import pairwise
from typing import Any

from integrity.operation import Isolation
from integrity.proxy.message import Message
from integrity.proxy.postgresql.bodies import Column, Parameter
from integrity.proxy.postgresql.framing import make_message
from integrity.sql.parameters import marks_in
from integrity.sql.statements import split_statements
from integrity.sql.tokens import Token, TokenKind, spliced, tokenize

SYNC, FLUSH, QUERY, CALL = b"S", b"H", b"Q", b"F"
ENDS = (SYNC, FLUSH, QUERY, CALL)
PARTS_MOST = 40
"""A unit of more statements is one letter."""

_EXECUTE = b"E"


class Act(Enum):
    """What a statement means for its transaction, and for others.

    QUIET: nobody else can notice it, and it reads nothing that others write. BARE: it must be sent outside a transaction.
    """

    BEGIN = auto()
    COMMIT = auto()
    ROLLBACK = auto()
    QUIET = auto()
    BARE = auto()
    WORK = auto()

    __hash__ = object.__hash__  # as proxy.gate.Direction's


@dataclass(slots=True)
class Prepared:
    """A statement that a client has prepared, and what the server has said of it."""

    sql: str
    type_oids: tuple[int, ...] = ()
    columns: tuple[Column, ...] = ()


@dataclass(frozen=True, slots=True)
class Asked:
    """One statement of a unit.

    Args:
        columns: of its rows, if the client has asked for them before.
    """

    sql: str
    parameters: tuple[Parameter, ...] = ()
    columns: tuple[Column, ...] = ()

    @property
    def act(self) -> Act:
        """What it means."""
        return act_of(self.sql)


@dataclass(frozen=True, slots=True)
class Unit:
    """What a client sent in one go, or a part of that.

    Args:
        messages: in order, the last one that which ends it, if it is ended.
        statements: those that are executed.
        has_next: it is a part, and not the last.
        is_part: it is one.
        acts: what its statements mean.
    """

    messages: tuple[Message, ...]
    statements: tuple[Asked, ...]
    has_next: bool = False
    is_part: bool = False
    acts: frozenset[Act] = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "acts", frozenset([act_of(statement.sql) for statement in self.statements]))

    @property
    def is_simple(self) -> bool:
        """It is a simple query."""
        return self.messages[-1].kind == QUERY

    @property
    def is_flushed(self) -> bool:
        """The server answers what it executes, and is not told that this is all."""
        return not self.is_simple and (self.has_next or self.messages[-1].kind == FLUSH)

    @property
    def is_ended(self) -> bool:
        """Outside a transaction it is one."""
        return not self.has_next and self.messages[-1].kind != FLUSH

    @property
    def is_asked_again(self) -> bool:
        """Its commit is kept apart by a begin and a commit of ours: a COPY takes no Sync, a procedure may commit itself."""
        return self.is_simple or any(_is_copy_in(each.sql) or may_commit(each.sql) for each in self.statements)

    @property
    def ends_with_sync(self) -> bool:
        return self.messages[-1].kind == SYNC

    @property
    def is_quiet(self) -> bool:
        """Nothing that it executes concerns anybody else."""
        return self.messages[-1].kind != CALL and self.acts <= {Act.QUIET}

    @property
    def sql(self) -> str:
        """Its statements, as one text."""
        return "; ".join(statement.sql.strip().rstrip(";") for statement in self.statements)

    @property
    def is_splittable(self) -> bool:
        """Sent outside a transaction, its commit can be kept apart from what it executes."""
        return self.messages[-1].kind != CALL and self.acts <= {Act.QUIET, Act.WORK}

    @property
    def parts(self) -> "list[Unit]":
        """The unit a statement at a time; itself alone, if it has one, too many, or one that is refused among others."""
        count = len(self.statements)
        if not 1 < count <= PARTS_MOST or Act.BARE in self.acts or self.is_quiet:
            return [self]
        if self.is_simple:
            cut: list[tuple[Message, ...]] = [(make_message(QUERY, each.sql.encode() + b"\0"),) for each in self.statements]
        else:
            ends = [place for place, each in enumerate(self.messages, start=1) if each.kind == _EXECUTE]
            ends[-1] = len(self.messages)
            cut = [self.messages[start:end] for start, end in pairwise((0, *ends))]
        each = enumerate(zip(cut, self.statements, strict=True), start=1)
        return [Unit(part, (said,), has_next=place < count, is_part=True) for place, (part, said) in each]


class Reader:
    """Follows what one client prepares, and makes units of its messages."""

    def __init__(self) -> None:
        self._prepared: dict[bytes, Prepared] = {}
        self._portals: dict[bytes, Asked] = {}

    def read(self, messages: Sequence[Message]) -> Unit:
        """Return the unit that these messages are."""
        statements: list[Asked] = []
        for message in messages:
            body = message.body
            match message.kind:
                case b"Q":
                    statements += [Asked(sql) for sql in split_statements(_text(body))]
                case b"P":
                    name, sql, rest = body.split(b"\0", 2)
                    self._prepared[name] = Prepared(_text(sql), _oids(rest))
                case b"B":
                    portal, name, rest = body.split(b"\0", 2)
                    prepared = self._prepared.get(name, Prepared(""))
                    parameters, results = _read_bind(rest, prepared.type_oids)
                    columns = tuple(_in_format(column, results, n) for n, column in enumerate(prepared.columns))
                    self._portals[portal] = Asked(prepared.sql, parameters, columns)
                case b"E":
                    statements.append(self._portals.get(body.partition(b"\0")[0], Asked("")))
                case b"C":
                    closed = self._prepared if body[:1] == b"S" else self._portals
                    closed.pop(body[1:].partition(b"\0")[0], None)
        return Unit(tuple(messages), tuple(statements))

    def learn(self, unit: Unit, type_oids: tuple[int, ...], columns: tuple[Column, ...]) -> None:
        """Note what the server has said of a statement that the client asked it to describe."""
        for message in unit.messages:
            if message.kind == b"D" and message.body[:1] == b"S":
                prepared = self._prepared.get(message.body[1:].partition(b"\0")[0])
                if prepared is not None:
                    prepared.type_oids, prepared.columns = type_oids or prepared.type_oids, columns


_QUIET = ("set", "show", "reset", "discard", "deallocate", "savepoint", "release", "unlisten", "close")
_BY_WORD = {
    **dict.fromkeys(_QUIET, Act.QUIET),
    **dict.fromkeys(("begin", "start"), Act.BEGIN),
    **dict.fromkeys(("commit", "end"), Act.COMMIT),
}
# `set constraints` looks up now what was deferred, and may wait.
_BY_TWO = {("prepare", "transaction"): Act.COMMIT, ("set", "constraints"): Act.WORK}
_COMMANDS = ("select", "insert", "update", "delete", "merge", "values")  # behind `with`
_BARE = frozenset({"vacuum", "checkpoint", "cluster", "reindex"})
_DEFINES = frozenset({"create", "drop", "alter"})
_DEFINING = frozenset({"CREATE", "ALTER", "DROP", "REFRESH", "GRANT", "REVOKE", "IMPORT", "REASSIGN", "SECURITY"})
_BARE_OBJECTS = frozenset({"database", "tablespace", "concurrently", "system", "subscription"})
# What drivers and pools ask to see whether a connection lives, and what kind of server that is.
_PING = re.compile(
    r"select\s+(?:1|null|'[^']*'|version\(\)|pg_catalog\.version\(\)|current_schema\(\)|current_database\(\)|now\(\)"
    r"|pg_is_in_recovery\(\)|pg_advisory_unlock_all\(\)|current_setting\([^)]*\)|pg_catalog\.set_config\([^)]*\)|set_config\([^)]*\))(?:\s+as\s+\w+)?\s*;?\s*",
    re.IGNORECASE,
)


@lru_cache(maxsize=4096)
def act_of(sql: str) -> Act:
    """Return what a statement means for its transaction."""
    tokens = [token for token in tokenize(sql) if token.kind is not TokenKind.COMMENT]
    words = [token.text if token.kind is TokenKind.WORD else "" for token in tokens[:6]]
    if not words:
        return Act.QUIET
    first, second = words[0], words[1] if len(words) > 1 else ""
    if first in ("rollback", "abort"):
        return Act.WORK if "to" in words[1:3] else Act.ROLLBACK
    if first in _BARE or (first in _DEFINES and _BARE_OBJECTS & set(words)):
        return Act.BARE
    if (first, second) in _BY_TWO:
        return _BY_TWO[first, second]
    said = spliced(sql, [(token, "") for token in tokenize(sql) if token.kind is TokenKind.COMMENT])
    if _PING.fullmatch(said.strip()):
        return Act.QUIET
    return _BY_WORD.get(first, Act.WORK)


@lru_cache(maxsize=4096)
def command_of(sql: str) -> str:
    """Return the word that says what a statement does, behind what it has before as `with`; empty: there is none."""
    words: list[str] = []
    depth = 0
    for token in tokenize(sql):
        depth += (token.text == "(") - (token.text == ")")
        if depth == 0 and token.kind is TokenKind.WORD:
            words.append(token.text)
    if words[:1] == ["with"]:
        return next((word for word in words if word in _COMMANDS), "")
    return words[0] if words else ""


@lru_cache(maxsize=4096)
def level_of(sql: str, *, otherwise: Isolation) -> Isolation:
    """Return the level that a `begin` names."""
    words = " ".join(token.text for token in tokenize(sql) if token.kind is TokenKind.WORD)
    return next((level for level in Isolation if f"isolation level {level.value}" in words), otherwise)


def defines(sql: str, tag: str) -> bool:
    """Return whether a command that was carried out leaves more than rows: by its tag, unless it is of a session's own."""
    if tag.partition(" ")[0] not in _DEFINING:
        return False
    return not any(token.text in ("temp", "temporary") for token in tokenize(sql)[:4] if token.kind is TokenKind.WORD)


@lru_cache(maxsize=4096)
def may_commit(sql: str) -> bool:
    """Return whether a statement may end transactions of its own accord."""
    first = next((token for token in tokenize(sql) if token.kind is not TokenKind.COMMENT), None)
    return first is not None and first.kind is TokenKind.WORD and first.text in ("call", "do")


@lru_cache(maxsize=4096)
def _is_copy_in(sql: str) -> bool:
    words = [token.text for token in tokenize(sql) if token.kind is TokenKind.WORD]
    return words[:1] == ["copy"] and "stdin" in words


def _text(body: bytes) -> str:
    return body.rstrip(b"\0").decode("utf-8", "replace")


def _oids(rest: bytes) -> tuple[int, ...]:
    count = int.from_bytes(rest[:2])
    return tuple(int.from_bytes(rest[2 + 4 * n : 6 + 4 * n]) for n in range(count))


def _read_bind(rest: bytes, oids: Sequence[int]) -> tuple[tuple[Parameter, ...], tuple[int, ...]]:
    """Return the values of a Bind, whose body goes on with these bytes, and the formats that it wants."""
    count = int.from_bytes(rest[:2])
    formats = [int.from_bytes(rest[2 + 2 * n : 4 + 2 * n]) for n in range(count)]
    place = 2 + 2 * count
    values = int.from_bytes(rest[place : place + 2])
    place += 2
    found = []
    for number in range(values):
        length = int.from_bytes(rest[place : place + 4], signed=True)
        place += 4
        value = None if length < 0 else rest[place : place + length]
        place += max(0, length)
        is_binary = bool(formats and (formats[number] if len(formats) > 1 else formats[0]))
        found.append(Parameter(value, is_binary, oids[number] if number < len(oids) else 0))
    wanted = int.from_bytes(rest[place : place + 2])
    return tuple(found), tuple(int.from_bytes(rest[place + 2 + 2 * n : place + 4 + 2 * n]) for n in range(wanted))


def _in_format(column: Column, formats: Sequence[int], number: int) -> Column:
    """Return the column in the format that a Bind wants it in."""
    if not formats:
        return column._replace(is_binary=False)
    return column._replace(is_binary=bool(formats[number] if number < len(formats) else formats[0]))


def with_marks(unit: Unit, decode: Callable[[Parameter], Any]) -> tuple[str, dict[str, Any]]:
    """Return the text of a unit with `:p1` for `$1`, as our own statements have parameters, and their values by name."""
    texts: list[str] = []
    values: dict[str, Any] = {}
    for statement in unit.statements:
        offset = len(values)
        for number, value in enumerate(statement.parameters, start=1):
            values[f"p{offset + number}"] = decode(value)
        texts.append(_marked(statement.sql.strip().rstrip(";"), offset))
    return "; ".join(texts), values


@lru_cache(maxsize=4096)
def _marked(sql: str, offset: int) -> str:
    """Return the text with `:p1` for `$1`; a colon of its own that would be taken for a mark gets a blank behind it."""
    own = [(Token(TokenKind.SIGN, ":", mark.start, mark.start + 1), ": ") for mark in marks_in(sql)]
    marks = []
    for sign, number in pairwise(tokenize(sql)):
        if sign.text == "$" and number.kind is TokenKind.NUMBER and sign.end == number.start:
            token = Token(TokenKind.SIGN, "$", sign.start, number.end)
            marks.append((token, f":p{offset + int(number.text)}"))
    return spliced(sql, sorted([*own, *marks], key=lambda each: each[0].start))
