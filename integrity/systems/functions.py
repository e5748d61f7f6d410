"""Functions as operations: what a function does with its connection becomes steps, to be hammered, raced and replayed.

    withdraw = Operation("withdraw", steps_of(bank.withdraw, declined=(bank.NotEnough,)), ARGUMENTS)

The function stays as it is. It runs on a thread of its own, over a connection that carries nothing out: each statement is
handed to whoever drives the operation, and the function waits until its rows are handed back. So one of the two runs at a
time, and a race decides between any two statements of a function as between those of a generator.

The connection is as psycopg's and sqlite3's are used: `execute`, `executemany`, `cursor`, `fetchone`, `fetchmany`,
`fetchall`, `rowcount`, `commit`, `rollback`, `with connection:` and `with connection.transaction():`. What is refused is
raised as psycopg raises it, by its SQLSTATE. It has no `copy`, no cursor on the server's side and no settings: who asks for
them is told. A mapper of objects, which asks for more, is not for it.
"""

import inspect
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from itertools import islice
from queue import SimpleQueue
from threading import Thread
from typing import Any, Self

import psycopg

from integrity.errors import UsageError
from integrity.operation import (
    Answered,
    Begin,
    Commit,
    Declined,
    Ok,
    Rollback,
    Row,
    Rows,
    Statement,
    StatementFailed,
    Step,
    Steps,
)
from integrity.sql.tokens import TokenKind, tokenize
from integrity.user_code import place_of_caller

_MARK = re.compile(r"%s|%\((\w+)\)s|%%|\?")
_MARK_OF_NAMES = re.compile(r"%\((\w+)\)s|%%")
_QUOTED = (TokenKind.STRING, TokenKind.NAME, TokenKind.COMMENT)

_WRITES = re.compile(r"\s*(?:insert|update|delete|replace)\b", re.IGNORECASE)
"""As sqlite3 tells them."""

_ROWS = ": rows are tuples, or what steps_of(..., rows=dict) says"
_SETTING = {
    "autocommit": ": say steps_of(..., is_autocommit=True)",
    "isolation_level": ": the level is the race's, --isolation, or what `set transaction isolation level ...` says",
    "row_factory": _ROWS,
}
_INSTEAD = {
    "lastrowid": ": say `returning` in the statement, and fetch it",
    "cursor_factory": _ROWS,
}
_HAS = (
    "It has execute, executemany, cursor, commit, rollback, transaction; a cursor fetchone, fetchmany, fetchall, rowcount."
)

Exchange = Callable[[Step], Any]
"""Hands a step over and returns what it is answered with."""


class FunctionConnection:
    """What a function is given in place of a connection.

    Args:
        is_autocommit: a statement outside `transaction` is one of its own; else the first one begins a transaction, of
            sqlite3's the first that writes.
        rows: makes what the function gets of a row: tuple, dict.
    """

    def __init__(self, exchange: Exchange, *, is_autocommit: bool, rows: type) -> None:
        self._exchange = exchange
        self._is_autocommit = is_autocommit
        self.rows = rows
        self._is_in_transaction = False
        self._is_of_sqlite3 = False

    def cursor(self, *given: Any, **named: Any) -> "FunctionCursor":
        if given or named:
            raise NotImplementedError(f"an operation's connection makes plain cursors only{_ROWS}")
        return FunctionCursor(self)

    def execute(self, sql: str, parameters: Any = ()) -> "FunctionCursor":
        return self.cursor().execute(sql, parameters)

    def executemany(self, sql: str, parameters: Iterable[Any]) -> "FunctionCursor":
        return self.cursor().executemany(sql, parameters)

    def __setattr__(self, name: str, value: Any) -> None:
        if name != "rows" and not name.startswith("_"):
            raise NotImplementedError(
                f"{name} is set, and an operation's connection has no settings{_SETTING.get(name, '')}"
            )
        super().__setattr__(name, value)

    def __getattr__(self, name: str) -> Any:
        raise _none_such("connection", name)

    def commit(self) -> None:
        self._end(Commit())

    def rollback(self) -> None:
        self._end(Rollback())

    def close(self) -> None:
        """Leave what was not committed to be rolled back, as a connection does."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: object, *_: object) -> None:
        self._end(Rollback() if kind else Commit())

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """Begin a transaction, commit it at the end of the block, roll it back after an exception."""
        if self._is_in_transaction:
            raise NotImplementedError("a transaction within a transaction; say `savepoint` as a statement")
        self._begin()
        try:
            yield
        except BaseException:
            self.rollback()
            raise
        self.commit()

    def ask(self, statement: Statement, *, is_of_sqlite3: bool | None = None) -> Rows:
        """Hand a statement over.

        Args:
            is_of_sqlite3: its marks are sqlite3's, whose connection begins a transaction before the first statement that
                writes, and not before a look; None: it has none, and is as those before it.
        """
        if is_of_sqlite3 is not None:
            self._is_of_sqlite3 = is_of_sqlite3
        is_begun = not self._is_of_sqlite3 or _WRITES.match(statement.sql) is not None
        if is_begun and not self._is_in_transaction and not self._is_autocommit:
            self._begin()
        rows: Rows = self._exchange(replace(statement, place=place_of_caller()))
        return rows

    def _begin(self) -> None:
        self._is_in_transaction = True
        self._exchange(Begin())

    def _end(self, step: Step) -> None:
        if self._is_in_transaction:
            self._is_in_transaction = False
            self._exchange(step)


class FunctionCursor:
    """What `execute` returns."""

    def __init__(self, connection: FunctionConnection) -> None:
        self._connection = connection
        self._rows: Iterator[Any] = iter(())
        self.rowcount = -1

    def execute(self, sql: str, parameters: Any = ()) -> Self:
        found = self._connection.ask(statement_of(sql, parameters), is_of_sqlite3=_is_of_sqlite3(sql, parameters))
        self._rows = iter([_row(row, self._connection.rows) for row in found])
        self.rowcount = found.affected if isinstance(found, Answered) else len(found)
        return self

    def executemany(self, sql: str, parameters: Iterable[Any]) -> Self:
        count = 0
        for each in parameters:
            count += self.execute(sql, each).rowcount
        self._rows, self.rowcount = iter(()), count
        return self

    def fetchone(self) -> Any:
        return next(self._rows, None)

    def fetchmany(self, size: int = 1) -> list[Any]:
        return list(islice(self._rows, size))

    def fetchall(self) -> list[Any]:
        return list(self._rows)

    def close(self) -> None:
        """Do nothing: it holds nothing."""

    def __iter__(self) -> Iterator[Any]:
        return self._rows

    def __getattr__(self, name: str) -> Any:
        raise _none_such("cursor", name)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def steps_of(
    function: Callable[..., Any],
    *,
    declined: tuple[type[Exception], ...] = (),
    is_autocommit: bool = False,
    rows: type = tuple,
) -> Callable[..., Steps]:
    """Return a function as the steps of an operation.

    Args:
        function: called with a connection and the operation's arguments; with the operation_id if it takes one. What it
            returns is told to the client: a mapping as it is, anything else under "value".
        declined: what it raises for a business no; the client is told the name of its type.
        is_autocommit, rows: as FunctionConnection has them.

    Raises:
        UsageError: it is `async`, or a generator of steps already.
    """
    _check_plain(function)
    takes_id = "operation_id" in inspect.signature(function).parameters

    def steps(**arguments: Any) -> Steps:
        given = arguments if takes_id else {name: value for name, value in arguments.items() if name != "operation_id"}
        call = _Call(lambda connection: function(connection, **given), is_autocommit=is_autocommit, rows=rows)
        try:
            while isinstance(asked := call.next(), Step):
                try:
                    call.answer((yield asked))
                except StatementFailed as refused:
                    call.answer(_as_psycopg_raises(refused))
        finally:
            call.abandon()
        error = asked.error
        if error is None:
            return _reply(asked.value)
        if isinstance(error, declined):
            return Declined(type(error).__name__)
        raise error.__cause__ if isinstance(error.__cause__, StatementFailed) else error

    return _as_written(steps, function, takes_id=takes_id)


def _check_plain(function: Callable[..., Any]) -> None:
    called = function if inspect.isroutine(function) or isinstance(function, partial) else type(function).__call__
    name = getattr(function, "__qualname__", repr(function))
    if inspect.iscoroutinefunction(called) or inspect.isasyncgenfunction(called):
        raise UsageError(
            f"{name} is async, and an operation's function is called and waited for on a thread",
            hint="Write it with def, on the connection that it is given; or race it as it is: docs/your-own-functions.md.",
        )
    if inspect.isgeneratorfunction(called):
        raise UsageError(
            f"{name} is a generator: what it yields are steps already",
            hint=f'Name it without steps_of: Operation("{name}", {name}, ...).',
        )


def _as_written(steps: Callable[..., Steps], function: Callable[..., Any], *, takes_id: bool) -> Callable[..., Steps]:
    """Return the steps with the signature of the function, but for the connection, and a way to where it is written."""
    others = list(inspect.signature(function).parameters.values())[1:]
    names = [
        each if each.kind is each.VAR_KEYWORD else each.replace(kind=each.KEYWORD_ONLY)
        for each in others
        if each.kind is not each.VAR_POSITIONAL
    ]
    own = [] if takes_id else [inspect.Parameter("operation_id", inspect.Parameter.KEYWORD_ONLY)]
    steps.__signature__ = inspect.Signature([*own, *names])  # type: ignore[attr-defined]
    steps.__wrapped__ = function  # type: ignore[attr-defined]
    return steps


@dataclass(frozen=True, slots=True)
class _End:
    """How a function ended."""

    value: Any = None
    error: BaseException | None = None


class _Abandoned(BaseException):
    """Nobody drives the operation any more."""


class _Call:
    """One call of a function, on a thread of its own."""

    def __init__(self, call: Callable[[FunctionConnection], Any], *, is_autocommit: bool, rows: type) -> None:
        self._call = call
        self._asked: SimpleQueue[Step | _End] = SimpleQueue()
        self._answers: SimpleQueue[Any] = SimpleQueue()
        self._is_over = False
        self._connection = FunctionConnection(self._exchange, is_autocommit=is_autocommit, rows=rows)
        self._thread = Thread(target=self._run, name="function", daemon=True)
        self._thread.start()

    def next(self) -> "Step | _End":
        """Return the next step, or how the function ended."""
        return self._asked.get()

    def answer(self, answer: Any) -> None:
        """Let the function go on."""
        self._answers.put(answer)

    def abandon(self) -> None:
        """Let the function end, wherever it is."""
        self._is_over = True
        self._answers.put(_Abandoned())
        self._thread.join()

    def _run(self) -> None:
        try:
            end = _End(self._call(self._connection))
        except BaseException as error:  # told to whoever drives
            end = _End(error=error)
        self._asked.put(end)

    def _exchange(self, step: Step) -> Any:
        if self._is_over:
            raise _Abandoned
        self._asked.put(step)
        answer = self._answers.get()
        if isinstance(answer, BaseException):
            raise answer
        return answer


def statement_of(sql: str, parameters: Sequence[Any] | Mapping[str, Any] = ()) -> Statement:
    """Return a statement with psycopg's or sqlite3's marks (%s, %(name)s, ?) as one with `:name` parameters."""
    if isinstance(parameters, Mapping):
        if _MARK_OF_NAMES.search(sql):
            sql = _outside_text(sql, _MARK_OF_NAMES, lambda mark: f":{mark[1]}" if mark[1] else "%")
        return Statement(sql, dict(parameters))
    if not parameters:
        return Statement(sql)
    values = {f"p{number}": value for number, value in enumerate(parameters, start=1)}
    names = iter(values)
    return Statement(_outside_text(sql, _MARK, lambda mark: "%" if mark[0] == "%%" else f":{next(names)}"), values)


def _is_of_sqlite3(sql: str, parameters: Any) -> bool | None:
    """Return whether the marks of a statement are sqlite3's, `?` or `:name`; None: it has none."""
    if not parameters:
        return None
    is_psycopg = False

    def look(mark: re.Match[str]) -> str:
        nonlocal is_psycopg
        is_psycopg |= mark[0] not in ("?", "%%")
        return mark[0]

    _outside_text(sql, _MARK, look)
    return not is_psycopg


def _outside_text(sql: str, pattern: re.Pattern[str], replaced: Callable[[re.Match[str]], str]) -> str:
    """Return the SQL with marks replaced, but in texts, quoted names and comments, where %% alone is one."""
    parts, place = [], 0
    for token in tokenize(sql):
        if token.kind in _QUOTED:
            parts += [pattern.sub(replaced, sql[place : token.start]), sql[token.start : token.end].replace("%%", "%")]
            place = token.end
    return "".join([*parts, pattern.sub(replaced, sql[place:])])


def _none_such(what: str, name: str) -> AttributeError:
    return AttributeError(f"an operation's {what} has no {name}{_INSTEAD.get(name, '')}. {_HAS}")


def _row(row: Row, kind: type) -> Any:
    names = list(row.keys())
    return dict(zip(names, (row[name] for name in names), strict=True)) if kind is dict else kind(row[n] for n in names)


def _reply(value: Any) -> Ok:
    if value is None:
        return Ok()
    return Ok(dict(value) if isinstance(value, Mapping) else {"value": value})


def _as_psycopg_raises(refused: StatementFailed) -> Exception:
    try:
        kind: type[Exception] = psycopg.errors.lookup(refused.sqlstate or "")
    except KeyError:
        kind = psycopg.OperationalError
    error = kind(str(refused))
    error.__cause__ = refused
    return error
