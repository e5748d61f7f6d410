"""A script: a transaction that was written down, made again as it was, a statement at a time.

What the application makes of an answer is not in its statements. So a script stops, and rolls back, at the first answer
that is another than when it is alone: what the application would do then nobody has seen. Up to there, and where it comes
to its end, it does what the application would do for certain. `goes_on` is the other guess: that answers change nothing.

Ids that the server gives a row that is inserted may be others beside another call: behind it they stand for those of the
script. What differs between two calls alone, a time or a random number, is compared with nothing.
"""

from collections.abc import Sequence
from contextlib import closing, suppress
from dataclasses import dataclass
from uuid import UUID

import psycopg
from psycopg.errors import error_from_result
from psycopg.pq import ExecStatus, TransactionStatus
from psycopg.pq.abc import PGconn, PGresult

from integrity.engines.target import Target
from integrity.proxy.postgresql.bodies import Parameter
from integrity.race.gated.postgresql.scribe import Spoken, Transaction
from integrity.sql.tokens import TokenKind, spliced, tokenize

_MAKES = ("insert", "merge")
_ANSWERED = (ExecStatus.COMMAND_OK, ExecStatus.TUPLES_OK, ExecStatus.EMPTY_QUERY)
_WORDS_MOST = 60
_DRAWN = (1082, 1083, 1114, 1184, 1266, 2950)  # types whose values are others each time: dates, times, uuids
_UUID, _INTEGERS = 2950, (20, 21, 23)  # types of parameters

Cells = tuple[bytes | None, ...]
Names = dict[bytes, bytes]


class AnsweredOtherwise(Exception):
    """A statement is answered otherwise than alone: what the application would do now was not seen."""


@dataclass(frozen=True, slots=True)
class Answered:
    """What the server answered.

    Args:
        tag: e.g. "UPDATE 1".
    """

    tag: str
    rows: tuple[Cells, ...]
    types: tuple[int, ...] = ()


class Script:
    """A transaction as a call without arguments; see the module.

    Args:
        place: the database that it is made on.
        names: what stands for ids that rows were given in the pass.
    """

    def __init__(self, transaction: Transaction, place: Target, names: Names | None = None) -> None:
        self.transaction = transaction
        self._names = names or {}
        self.goes_on = False
        self.alone: list[list[Answered]] = []
        """What it was answered alone, each time; empty: nothing is compared."""
        self.last: list[Answered] = []
        self._last_names: Names = {}
        self._place = place

    def __call__(self) -> None:
        with closing(_connect(self._place, self.transaction)) as connection:
            pgconn = connection.pgconn
            try:
                self._make(pgconn)
            except BaseException:
                if pgconn.transaction_status not in (TransactionStatus.IDLE, TransactionStatus.UNKNOWN):
                    pgconn.exec_(b"rollback")
                raise

    def _make(self, pgconn: PGconn) -> None:
        answers: list[Answered] = []
        names = dict(self._names)  # what stands for ids of the pass
        twins: Names = {}  # and for those that it was given alone
        for number, spoken in enumerate(self.transaction.statements):
            answer = make_again(pgconn, spoken, names)
            answers.append(answer)
            expected = [each[number] for each in self.alone]
            if spoken.command in _MAKES:
                names |= _renamed(spoken.rows, answer, is_binary=spoken.is_binary)
                twins |= _renamed(expected[0].rows, answer, is_binary=spoken.is_binary) if expected else {}
            elif expected and not self.goes_on and _differs(expected, answer, twins, is_binary=spoken.is_binary):
                text = " ".join(spoken.text.split())
                short = text if len(text) <= _WORDS_MOST else f"{text[:_WORDS_MOST]}..."
                raise AnsweredOtherwise(f"it is answered otherwise than alone: {short}")
        self.last, self._last_names = answers, names

    @property
    def is_as_written(self) -> bool:
        """What it was answered alone is what it was answered then, but for times and ids that are drawn."""
        return bool(self.alone) and all(
            _is_same(spoken, answer, self._last_names)
            for answers in self.alone
            for spoken, answer in zip(self.transaction.statements, answers, strict=True)
        )


def apply(transaction: Transaction, place: Target, names: Names) -> None:
    """Make a transaction again for good; what was refused then may be refused again.

    Args:
        names: what stands for ids that rows were given; is told those that they are given now.
    """
    with closing(_connect(place, transaction)) as connection:
        _apply(connection.pgconn, transaction.statements, names)
        if not transaction.is_committed:
            connection.pgconn.exec_(b"rollback")


def apply_before(transaction: Transaction, place: Target, names: Names) -> None:
    """Make for good what stood before a part of a transaction."""
    with closing(_connect(place, transaction)) as connection:
        connection.pgconn.exec_(b"begin")
        _apply(connection.pgconn, transaction.before, names)
        connection.pgconn.exec_(b"commit")


def _apply(pgconn: PGconn, statements: Sequence[Spoken], names: Names) -> None:
    for spoken in statements:
        with suppress(psycopg.Error):  # it was refused then, too, or what is made of it shows that it is another
            answer = make_again(pgconn, spoken, names)
            if spoken.command in _MAKES:
                names.update(_renamed(spoken.rows, answer, is_binary=spoken.is_binary))


def _connect(place: Target, transaction: Transaction) -> "psycopg.Connection[tuple[object, ...]]":
    """Return a connection as the transaction's was."""
    given = " ".join(
        value if name == "options" else "-c {}={}".format(name, value.replace("\\", "\\\\").replace(" ", "\\ "))
        for name, value in transaction.settings
    )
    connection = psycopg.connect(place.text, options=given) if given else psycopg.connect(place.text)
    for spoken in transaction.session:
        _execute(connection.pgconn, spoken.text.encode(), spoken.parameters)
    return connection


def make_again(pgconn: PGconn, spoken: Spoken, names: Names) -> Answered:
    """Return what a statement is answered.

    Args:
        names: what stands for values in it.

    Raises:
        psycopg.Error: it is refused.
    """
    text, parameters = spoken.text.encode(), spoken.parameters
    if names:
        text = _with_names(spoken.text, names).encode()
        parameters = tuple(_named(each, names) for each in parameters)
    result = _execute(pgconn, text, parameters, is_binary=spoken.is_binary)
    if result.status not in _ANSWERED:
        raise error_from_result(result)
    rows = tuple(tuple(result.get_value(row, column) for column in range(result.nfields)) for row in range(result.ntuples))
    types = tuple(result.ftype(column) for column in range(result.nfields))
    return Answered((result.command_status or b"").decode(), rows, types)


def _execute(pgconn: PGconn, text: bytes, parameters: Sequence[Parameter], *, is_binary: bool = False) -> PGresult:
    if not parameters and not is_binary:
        return pgconn.exec_(text)
    return pgconn.exec_params(
        text,
        [each.value for each in parameters],
        [each.type_oid for each in parameters],
        [int(each.is_binary) for each in parameters],
        int(is_binary),
    )


def _named(parameter: Parameter, names: Names) -> Parameter:
    """Return a parameter, or what stands for it, in its own format."""
    value = parameter.value
    if value is None:
        return parameter
    if not parameter.is_binary:
        return parameter._replace(value=names.get(value, value))
    if parameter.type_oid == _UUID:
        named = names.get(str(UUID(bytes=value)).encode())
        return parameter if named is None else parameter._replace(value=UUID(named.decode()).bytes)
    if parameter.type_oid in _INTEGERS:
        named = names.get(str(int.from_bytes(value, signed=True)).encode())
        return parameter if named is None else parameter._replace(value=int(named).to_bytes(len(value), signed=True))
    return parameter


def _with_names(text: str, names: Names) -> str:
    edits = []
    for token in tokenize(text):
        if token.kind is TokenKind.NUMBER and (named := names.get(token.text.encode())) is not None:
            edits.append((token, named.decode()))
        elif token.kind is TokenKind.STRING and (named := names.get(token.text[1:-1].encode())) is not None:
            edits.append((token, f"'{named.decode()}'"))
    return spliced(text, edits)


def _renamed(before: Sequence[Cells], answer: Answered, *, is_binary: bool) -> Names:
    """Return what an insert gave now, by what it gave before, as text."""
    names: Names = {}
    for one, other in zip(before, answer.rows, strict=False):
        for old, new, kind in zip(one, other, answer.types, strict=False):
            if old is not None and new is not None and old != new:
                names[_as_text(old, kind, is_binary=is_binary)] = _as_text(new, kind, is_binary=is_binary)
    return names


def _as_text(cell: bytes, kind: int, *, is_binary: bool) -> bytes:
    if is_binary and kind == _UUID:
        return str(UUID(bytes=cell)).encode()
    if is_binary and kind in _INTEGERS:
        return str(int.from_bytes(cell, signed=True)).encode()
    return cell


def _is_same(spoken: Spoken, answer: Answered, names: Names) -> bool:
    is_cut = not spoken.tag and bool(spoken.rows)  # who asks for the first rows only is told no tag
    if spoken.tag != answer.tag and not is_cut:
        return False
    return all(
        kind in _DRAWN or _is_alike(one, other, kind, names, is_binary=spoken.is_binary)
        for before, now in zip(spoken.rows, answer.rows, strict=False)
        for one, other, kind in zip(before, now, answer.types, strict=False)
    )


def _differs(expected: Sequence[Answered], answer: Answered, names: Names, *, is_binary: bool) -> bool:
    """Return whether an answer is another one than each time alone, where those agree."""
    first, *others = expected
    if any(first.tag == each.tag for each in others) and first.tag != answer.tag:
        return True
    for number, (row, now) in enumerate(zip(first.rows, answer.rows, strict=False)):
        for column, (cell, value) in enumerate(zip(row, now, strict=True)):
            is_steady = all(number < len(each.rows) and each.rows[number][column] == cell for each in others)
            if is_steady and not _is_alike(cell, value, answer.types[column], names, is_binary=is_binary):
                return True
    return False


def _is_alike(one: bytes | None, other: bytes | None, kind: int, names: Names, *, is_binary: bool) -> bool:
    """Return whether two cells are the same, or the one stands for the other."""
    if one == other:
        return True
    if one is None or other is None:
        return False
    return names.get(_as_text(one, kind, is_binary=is_binary)) == _as_text(other, kind, is_binary=is_binary)
