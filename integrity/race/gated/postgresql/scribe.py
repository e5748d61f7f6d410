"""A scribe: what clients do in a serial pass is written down, a transaction at a time, as they sent it.

Nothing is held. A statement that stands in no transaction is one of its own; what a client sets for its session before is
kept with each transaction behind it. What was rolled back is kept, too: it took numbers of sequences, and it says what the
client wanted.
"""

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import lru_cache
from itertools import zip_longest

from integrity.proxy.gate import Direction, Ruling
from integrity.proxy.link import Link
from integrity.proxy.message import Message
from integrity.proxy.postgresql.bodies import Parameter
from integrity.proxy.postgresql.cycles import Conversation, Cycle, Kind, Result, Statement
from integrity.race.gated.postgresql.unit import Act, act_of, command_of, defines
from integrity.sql.tokens import TokenKind, spliced, tokenize

TRANSACTIONS_MOST = 20_000
"""Of a pass; what comes behind is counted, and not kept."""
_ROWS_MOST = 50  # of an answer, which tell whether it is the same again
_IDLE = "I"


@dataclass(frozen=True, slots=True)
class Spoken:
    """A statement as a client sent it.

    Args:
        tag: what the server said it has done, e.g. "UPDATE 1"; empty: it was refused, or not all of its rows
            were asked for.
        rows: the first ones that it was answered.
        is_binary: they are in the binary format.
        at_ns: when it was answered, by the clock on the wall.
    """

    text: str
    parameters: tuple[Parameter, ...] = ()
    tag: str = ""
    rows: tuple[tuple[bytes | None, ...], ...] = ()
    is_binary: bool = False
    at_ns: int = 0

    @property
    def act(self) -> Act:
        return act_of(self.text)

    @property
    def command(self) -> str:
        """The word that says what it does."""
        return command_of(self.text)

    @property
    def is_copy(self) -> bool:
        """Its data passed beside it, and is not kept."""
        return self.tag.startswith("COPY")


@dataclass(frozen=True, slots=True)
class Transaction:
    """What a client did in one.

    Args:
        number: among all, by their ends.
        database: it was made in.
        settings: of the session's start, but for who and where.
        session: statements that set something for the session before.
        statements: all of it, begin and commit included where the client sent them.
        is_committed: else it was rolled back, or refused.
        ended_ns: by the clock on the wall.
        before: what stood before it in a transaction around it, that was rolled back as a whole; empty: there was none.
    """

    number: int
    database: str
    settings: tuple[tuple[str, str], ...]
    session: tuple[Spoken, ...]
    statements: tuple[Spoken, ...]
    is_committed: bool
    ended_ns: int
    before: tuple[Spoken, ...] = ()

    @property
    def work(self) -> tuple[Spoken, ...]:
        """The statements that others can notice, or that read what others write."""
        return tuple(each for each in self.statements if each.act not in (Act.BEGIN, Act.COMMIT, Act.ROLLBACK, Act.QUIET))

    @property
    def defines(self) -> bool:
        """It made, changed or dropped more than rows."""
        return any(defines(each.text, each.tag) for each in self.statements)


class Pass:
    """What all clients of a serial pass did. It is told in the proxy's event loop, and read when the pass is over."""

    def __init__(self) -> None:
        self.transactions: list[Transaction] = []
        self.statement_count = 0
        self.left_out = 0
        self._lock = threading.Lock()

    def add(self, make: Callable[[int], Transaction]) -> None:
        """Take a transaction, made with its number."""
        with self._lock:
            if len(self.transactions) >= TRANSACTIONS_MOST:
                self.left_out += 1
                return
            made = make(len(self.transactions))
            self.transactions.append(made)
            self.statement_count += len(made.work)

    def gate_of(self, link: Link) -> "ScribeGate":
        """Return what writes down one connection."""
        return ScribeGate(link, self)


class ScribeGate:
    """Writes down one connection."""

    def __init__(self, link: Link, written: Pass) -> None:
        self._link = link
        self._pass = written
        self._conversation = Conversation(rows_most=_ROWS_MOST)
        self._open: list[Spoken] = []
        self._session: list[Spoken] = []

    def rule(self, direction: Direction, message: Message) -> Ruling:
        """See proxy.gate.Gate."""
        if direction is Direction.TO_SERVER:
            self._conversation.ask(message)
            return Ruling.PASS
        for cycle in self._conversation.answer(message):
            if cycle.kind not in (Kind.COPY, Kind.END):
                self._take(cycle)
        return Ruling.PASS

    def ended(self) -> None:
        """See proxy.gate.Gate."""
        if self._open:
            self._end(is_committed=False)

    def _take(self, cycle: Cycle) -> None:
        """Take what is answered."""
        answer = cycle.answer
        tags = [result.tag for result in answer.results]
        if cycle.kind is Kind.CALL:
            return
        spoken = [
            _spoken(statement, result) for statement, result in zip_longest(cycle.executed, answer.results) if statement
        ]
        was_idle = not self._open
        self._open += spoken
        if answer.status != _IDLE:
            return
        if was_idle and len(spoken) > 1 and not {each.act for each in spoken} & {Act.BEGIN, Act.COMMIT, Act.ROLLBACK}:
            self._open = [Spoken("begin", tag="BEGIN"), *spoken, Spoken("commit", tag="COMMIT")]  # of one go: it is one
        is_refused = answer.error is not None
        self._end(is_committed=not is_refused and bool(tags) and tags[-1] != "ROLLBACK")

    def _end(self, *, is_committed: bool) -> None:
        spoken, self._open = tuple(self._open), []
        session, ended_ns = tuple(self._session), time.time_ns()
        if is_committed:
            self._session += [each for each in spoken if _is_kept(each)]
        if all(each.act is not Act.WORK and each.act is not Act.BARE for each in spoken):
            return
        database, settings = _session_of(self._link)
        self._pass.add(lambda number: Transaction(number, database, settings, session, spoken, is_committed, ended_ns))


_OF_WHO = ("user", "database", "application_name", "replication", "client_encoding", "integrity.proxy_key")
_OF_TRANSACTION = ("local", "transaction", "constraints")
_VALUES = (TokenKind.STRING, TokenKind.NUMBER)


def _spoken(statement: Statement, result: Result | None) -> Spoken:
    if result is None:
        return Spoken(statement.text, statement.parameters)
    is_binary = any(column.is_binary for column in result.columns)
    return Spoken(statement.text, statement.parameters, result.tag, tuple(result.rows), is_binary, time.time_ns())


def _is_kept(spoken: Spoken) -> bool:
    """Return whether a statement sets something for the session."""
    if spoken.tag != "SET":
        return False
    words = [token.text for token in tokenize(spoken.text) if token.kind is TokenKind.WORD]
    return words[1:2] != [] and words[1] not in _OF_TRANSACTION


def _session_of(link: Link) -> tuple[str, tuple[tuple[str, str], ...]]:
    parameters = link.parameters
    kept = tuple((name, value) for name, value in parameters.items() if name.lower() not in _OF_WHO)
    return parameters.get("database") or parameters.get("user", ""), kept


def kind_of(transaction: Transaction) -> tuple[str, ...]:
    """Return what transactions have in common that differ in values only."""
    return tuple(_shape_of(each.text) for each in transaction.work)


@lru_cache(maxsize=4096)
def _shape_of(text: str) -> str:
    values = [(token, "?") for token in tokenize(text) if token.kind in _VALUES]
    return " ".join(spliced(text, values).split())


def parts_of(transaction: Transaction) -> list[Transaction]:
    """Return what was done in savepoints of a transaction that was rolled back, each as one that is committed.

    So a fixture undoes what its test did: what the application commits is a savepoint that is released.
    """
    open_at: list[tuple[str, int]] = []
    found: list[tuple[int, int]] = []
    statements = transaction.statements
    for number, spoken in enumerate(statements):
        if spoken.tag == "SAVEPOINT":
            open_at.append((_last_name(spoken.text), number))
        elif spoken.tag in ("RELEASE", "ROLLBACK") and spoken.act is not Act.ROLLBACK:
            name = _last_name(spoken.text)
            place = next((at for at in reversed(range(len(open_at))) if open_at[at][0] == name), None)
            if place is None:
                continue
            begin = open_at[place][1]
            if spoken.tag == "RELEASE":
                del open_at[place:]
                found = [each for each in found if each[0] < begin]
                found.append((begin, number))
            else:
                del open_at[place + 1 :]
                open_at[place] = ("", begin)  # what is released of it is nothing any more
    return [
        replace(
            transaction,
            statements=(Spoken("begin", tag="BEGIN"), *statements[begin + 1 : end], Spoken("commit", tag="COMMIT")),
            before=tuple(each for each in statements[:begin] if each.act is not Act.BEGIN),
            is_committed=True,
            ended_ns=statements[end].at_ns,
        )
        for begin, end in found
    ]


def _last_name(text: str) -> str:
    return next((token.text for token in reversed(tokenize(text)) if token.is_name), "")
