"""Plays the body of an operation's file as the steps of a call: sends, keeps rows, declines, reacts to what is refused."""

from collections.abc import Generator, Mapping, Sequence
from dataclasses import replace
from typing import Any
from uuid import UUID

from integrity.numbers import counted
from integrity.operation import (
    RESTARTED,
    Commit,
    Declined,
    Ok,
    Reply,
    Rollback,
    Row,
    Statement,
    StatementFailed,
    Step,
    Steps,
    Value,
)
from integrity.systems.script.body import Branches, Ends, Node, Opens, Sends, Sets, Test
from integrity.systems.script.notes import Reaction, Tell

ATTEMPTS_MOST = 5
"""So often a call begins anew where its file says so."""

OPERATION_ID = "operation_id"
"""The id of the call, which every file can use."""

_TRUE = ("t", "true", "on", "yes", "1")


class NoRow(Exception):
    """A value is used that a row was to give, and none came back."""


class ManyRows(Exception):
    """A row is kept, and several came back."""


class _Again(Exception):
    """The call begins anew after a refusal."""

    def __init__(self, failure: StatementFailed) -> None:
        super().__init__()
        self.failure = failure


class _Ended(Exception):
    """The call ends with a reply."""

    def __init__(self, reply: Reply) -> None:
        super().__init__()
        self.reply = reply


class Play:
    """One call.

    Args:
        nodes: what it does.
        told: what its client is told, unless the body says so.
        reactions: to what any statement is refused with.
        place: of the file, for messages.
        shown: whose client is shown all rows that come back: line -> what they are told by.
    """

    def __init__(
        self,
        nodes: Sequence[Node],
        *,
        told: Tell | None,
        reactions: Mapping[str, Reaction],
        place: str,
        shown: Mapping[int, str] | None = None,
    ) -> None:
        self._nodes = nodes
        self._told = told
        self._reactions = reactions
        self._place = place
        self._shown = shown or {}

    def steps(self, arguments: Mapping[str, Value], operation_id: UUID) -> Steps:
        """Return the steps of the call."""
        self._has_committed = False
        for attempt in range(1, ATTEMPTS_MOST + 1):
            self._values: dict[str, Any] = {OPERATION_ID: operation_id, **arguments}
            self._row: Row | None = None
            self._reply: dict[str, Value] = {}
            self._is_open = False
            try:
                yield from self._block(self._nodes)
            except _Ended as ended:
                return ended.reply
            except _Again as again:
                if attempt == ATTEMPTS_MOST or self._has_committed:
                    raise again.failure from None
            else:
                if self._told is not None:
                    self._tell(self._told)
                return Ok(self._reply)
        raise AssertionError("the last attempt returns or raises")

    def _block(self, nodes: Sequence[Node]) -> Generator[Step, Any, None]:
        for node in nodes:
            match node:
                case Opens():
                    yield node.begin
                    self._is_open = True
                case Ends():
                    yield from self._end(node)
                case Sends():
                    yield from self._send(node)
                case Sets():
                    self._values[node.name] = node.value
                case Tell():
                    self._tell(node)
                case Branches():
                    arm = next((block for test, block in node.arms if self._holds(test)), ())
                    yield from self._block(arm)

    def _send(self, node: Sends) -> Generator[Step, Any, None]:
        for name, _ in node.command.used:
            if name not in self._values:
                raise NoRow(f"{self._place}:{node.line}: :{name} is not set: no row came back that has it")
        statement = replace(node.command.statement(self._values), place=f"{self._place}:{node.line}")
        try:
            rows = yield statement
        except StatementFailed as failure:
            self._row = None
            yield from self._react(failure, node.reactions)
            return
        if not self._is_open:
            self._has_committed = True
        self._row = dict(rows[0]) if rows else None
        if node.line in self._shown:
            self._show(self._shown[node.line], rows)
        if node.prefix is not None and self._row is not None:
            if len(rows) > 1:
                came = counted(len(rows), "row")
                raise ManyRows(f"{self._place}:{node.line}: {came} came back, and the columns of one are to be kept")
            self._values |= {f"{node.prefix}{name}": value for name, value in self._row.items()}
        for decline in node.declines:
            if decline.condition.holds(self._row, self._values) is not decline.is_unless:
                yield from self._decline(decline.reason)

    def _show(self, name: str, rows: Sequence[Row]) -> None:
        """Tell all rows, in an order of their own: the one they came in is nobody's promise."""
        for row in sorted(rows, key=lambda row: [str(value) for value in row.values()]):
            for column, value in row.items():
                told = f"{name} {column}"
                names = (told, *(f"{told} {number}" for number in range(2, len(self._reply) + 3)))
                self._reply[next(each for each in names if each not in self._reply)] = value

    def _end(self, node: Ends) -> Generator[Step, Any, None]:
        self._is_open = False
        try:
            yield Commit() if node.is_commit else Rollback()
        except StatementFailed as failure:
            yield from self._react(failure, node.reactions)
        else:
            self._has_committed |= node.is_commit

    def _react(self, failure: StatementFailed, own: Mapping[str, Reaction]) -> Generator[Step, Any, None]:
        """Do what the file says about a refusal.

        Raises:
            StatementFailed: it says nothing.
        """
        reaction = own.get(failure.sqlstate or "") or self._reactions.get(failure.sqlstate or "")
        if reaction is None or (reaction.is_retry and failure.sqlstate in RESTARTED):  # whoever calls begins it again
            raise failure
        if reaction.savepoint and self._is_open:
            yield Statement(f"rollback to savepoint {reaction.savepoint}")
        elif reaction.goes_on:
            pass
        elif reaction.reason:
            yield from self._decline(reaction.reason)
        elif reaction.is_retry:
            yield from self._roll_back()
            raise _Again(failure)
        else:
            raise failure

    def _decline(self, reason: str) -> Generator[Step, Any, None]:
        yield from self._roll_back()
        raise _Ended(Declined(reason))

    def _roll_back(self) -> Generator[Step, Any, None]:
        if self._is_open:
            self._is_open = False
            yield Rollback()

    def _holds(self, test: Test) -> bool:
        if test.asked:
            return test.asked in self._values
        return test.is_fixed if not test.value else str(self._values.get(test.value)).lower() in _TRUE

    def _tell(self, told: Tell) -> None:
        for name in told.names:
            if name not in self._values and name not in (self._row or {}):
                raise NoRow(f"{self._place}: the reply has {name}, and no row came back that has it")
            self._reply[name] = (self._row or {}).get(name, self._values.get(name))
