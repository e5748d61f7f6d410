"""The session of an operation, which is ours to step: what its letters stand for is sent over a wire.

What nobody else could notice is sent along: begins, the end of a transaction that is not noticeable. Whether a transaction
is, whether it goes on after a refusal, and what is left of it then, is asked of the server, not concluded from the text:
`rollback to savepoint` heals what was refused, and a savepoint keeps the locks that were taken before it.
"""

from collections.abc import Callable, Generator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from integrity.errors import AuditError
from integrity.operation import (
    Answered,
    Begin,
    Commit,
    Isolation,
    Ok,
    Push,
    Request,
    Rollback,
    Row,
    Statement,
    StatementFailed,
    Step,
    Steps,
    Value,
    check_reply,
    check_step,
    events_of,
)
from integrity.race.play.session import Drive, Needs, Session
from integrity.race.program.program import Service
from integrity.race.program.trace import Asked, Failed, Return
from integrity.race.program.wire import Answer, Wire
from integrity.systems.left_open import LastStatement
from integrity.user_code import place_in_operation, spots_of

_COMMIT = Statement("commit")
_ROLLBACK = Statement("rollback")
_LEVELS = {each.value: each for each in Isolation}  # the server has "read uncommitted", too, and does not mean it
_NEEDS_NO_TRANSACTION = "25001"  # vacuum, create index concurrently, ...: it must be sent bare


class OperationSession(Session):
    """See the module; the arguments are those of Session."""

    wire: Wire

    def __init__(
        self, letter: str, wire: Wire, *, observe: Callable[[Session], None], is_held: Callable[[Session], bool]
    ) -> None:
        super().__init__(letter, wire, observe=observe, is_held=is_held)

    def start(
        self,
        steps: Steps,
        *,
        isolation: Isolation,
        is_deferred: bool,
        services: Mapping[str, Service],
        generated_columns: frozenset[tuple[int, int]],
        standing: frozenset[str] = frozenset(),
    ) -> None:
        """Take up a call; it stands before its first letter, or is done if it needs none.

        Args:
            isolation: of transactions that do not name one.
            is_deferred: transactions begin without a lock, where they would begin with one.
            generated_columns: (table oid, column number) of the columns whose values count as generated keys.
            standing: what of a reader's is in another actor's way; see program.Standing.
        """
        self._steps = steps
        self._isolation = isolation
        self._is_deferred = is_deferred
        self._services = services
        self._generated_columns = generated_columns
        self._open: list[str] = []  # the statements of its transaction
        self._last = LastStatement()
        self._begin(isolation, standing)

    def _drive(self) -> Drive:
        """Drive the operation to its return."""
        begin: Begin | None = None  # not sent before the statement behind it
        go_on: Callable[[], Any] = lambda: next(self._steps)  # noqa: E731  (it changes with every step)
        while (step := self._next_step(go_on)) is not None:
            answer: Any = None
            try:
                match step:
                    case Begin():
                        begin = step if step.isolation else replace(step, isolation=self._isolation)
                    case Request() | Push():
                        answer = self._tell(step)
                    case Statement() if self.in_transaction or begin:
                        opening, begin = begin, None
                        self._open = [step.sql] if opening else [*self._open, step.sql]
                        answer = yield from self._execute(step, opening)
                    case Statement():
                        answer = yield from self._execute_alone(step)
                    case Commit() | Rollback():
                        begin = None
                        yield from self._end(_COMMIT if isinstance(step, Commit) else _ROLLBACK)
            except StatementFailed as error:
                go_on = lambda error=error: self._steps.throw(error)  # type: ignore[misc]  # noqa: E731
            else:
                go_on = lambda answer=answer: self._steps.send(answer)  # type: ignore[misc]  # noqa: E731
        yield from self._end(_ROLLBACK)

    def _next_step(self, go_on: Callable[[], Any]) -> Step | None:
        """Return what the operation asks for next; None: it has returned."""
        try:
            try:
                step = go_on()
            except StopIteration as end:
                check_reply(end.value)
                if self.in_transaction:
                    has_id = self.has_written and self.wire.has_writing_functions
                    self._last.check_end(end.value, self._open, has_id=has_id)
                self.returned = with_pushed(end.value, self.pushed)
                return None
            check_step(step)
        except StatementFailed as error:
            place = self._last.place
            self.returned = Failed(error.sqlstate, str(error), has_committed=self.has_committed, refused_at=place)
            return None
        except AuditError:
            raise
        except Exception as error:  # a mistake in the operation, perhaps met only in this very order
            place = place_in_operation(self._steps, error)
            reason = f"{type(error).__name__}: {error}"
            self.returned = Failed(None, reason, has_committed=self.has_committed, place=place)
            return None
        if isinstance(step, Statement):
            self._last.at(step, spots_of(self._steps))
        made: Step = step
        return made

    def _tell(self, step: Request | Push) -> Mapping[str, Value] | None:
        """Ask a service, and return its answer; or note what is pushed to the client."""
        if isinstance(step, Request):
            answer = self._services[step.service](step.payload)
            self.requests.append(Asked(self.letter, self.number, step.service, step.payload, answer))
            return answer
        self.pushed.extend(events_of(step.events))
        return None

    def _execute(self, step: Statement, begin: Begin | None, *, is_alone: bool = False) -> Generator[Needs, Any, Answered]:
        """Execute a statement of a transaction, the first one with its begin; return its rows.

        Args:
            is_alone: the begin is not the operation's own.
        """
        yield Needs.LETTER
        commands = self._prelude(begin, is_deferred=is_alone or self._is_deferred)
        self._note(step.sql, step.parameters, opens=begin is not None and not is_alone, place=step.place)
        position = len(commands)
        commands.append(step)
        if not self.has_written:
            # Alone, its end is next.
            commands.append(self.wire.noticeable(self.standing) if is_alone else self.wire.written)
        answers = yield from self._exchange(commands)
        answer = answers[position]
        self._note_answer(answer)
        self.in_transaction = self.wire.is_in_transaction
        if answer.refusal:
            self.is_noticeable = self.in_transaction and self._is_held(self)
            raise self._refused()
        self._note_state(answer, answers[position + 1].rows[0] if len(answers) > position + 1 else {})
        self._observe(self)
        return Answered.by_tag(answer.rows, answer.tag)

    def _execute_alone(self, step: Statement) -> Generator[Needs, Any, Answered]:
        """Execute a statement outside a transaction, its commit apart if it wrote; return its rows."""
        try:
            rows = yield from self._execute(step, Begin(self._isolation), is_alone=True)
        except StatementFailed as error:
            self.is_noticeable = False  # alone, it would have left nothing to roll back
            yield from self._end(_ROLLBACK)
            if error.sqlstate != _NEEDS_NO_TRANSACTION:
                raise
            (answer,) = yield from self._exchange([step])
            self._note_answer(answer)
            if answer.refusal:
                raise self._refused() from None
            self._observe(self)
            return Answered.by_tag(answer.rows, answer.tag)
        yield from self._end(_COMMIT, is_implicit=True)
        return rows

    def _end(self, command: Statement, *, is_implicit: bool = False) -> Drive:
        """Commit or roll back: a letter of its own if others can notice it, else along with the letter before."""
        if not self.in_transaction:
            return
        if not (self.is_noticeable or is_implicit or self.wire.is_refusing):
            (held,) = yield from self._exchange([self.wire.noticeable(self.standing)])
            self.is_noticeable = held.rows[0]["is_noticeable"]
        has_letter = self.is_noticeable
        if has_letter:
            yield Needs.LETTER
            self._note(command.sql, {})
            self.ends_written = self.has_written
        (answer,) = yield from self._exchange([command])
        self.has_committed |= self.has_written and answer.tag == "COMMIT"
        self.in_transaction = self.is_noticeable = self.has_written = False
        if has_letter or answer.refusal:
            self._note_answer(answer)
        elif self.event and not is_implicit:
            self.event = replace(self.event, closes=True)
        if answer.refusal:
            raise self._refused()

    def _exchange(self, commands: Sequence[Statement]) -> Generator[Needs, Any, list[Answer]]:
        """Send statements in one flight; return their answers."""
        self.wire.send(commands)
        answers: list[Answer] = yield Needs.NEWS
        return answers

    def _note_state(self, answer: Answer, state: Row) -> None:
        """Note what the server said of the transaction behind a statement that it carried out."""
        if not self.in_transaction:  # the statement has ended it: `commit`, sent as one
            self.ends_written = True  # it may have
            self.is_noticeable = self.has_written = False
            return
        self._note_level(state)
        self.has_written = self.has_written or state.get("has_written", False)
        self.is_noticeable |= self.has_written or state.get("is_noticeable", False)
        if answer.tag == "ROLLBACK":  # to a savepoint: what was set behind that is as it was before
            self.is_impatient = None

    def _note_level(self, state: Row) -> None:
        """Note the level that the transaction has given itself; the statement behind that takes its snapshot."""
        level = _LEVELS.get(state["level"], Isolation.READ_COMMITTED) if "level" in state else self.level
        if level is not self.level:
            self.level = level
            self.opens_transaction = self.opens_next = True

    def _prelude(self, begin: Begin | None, *, is_deferred: bool) -> list[Statement]:
        commands: list[Statement] = []
        if begin:
            assert begin.isolation is not None
            commands.append(self.wire.begin(begin, is_deferred=is_deferred))
            self.in_transaction, self.level, self.is_impatient = True, begin.isolation, False
            self.is_deferrable = begin.is_deferrable
            self.opens_transaction = True
        # Behind an error it would be refused, and the rollback to a savepoint with it, which never waits.
        if self._wants_impatience != self.is_impatient and self.wire.patience and not self.wire.is_refusing:
            commands.append(self.wire.patience[self._wants_impatience])
            self.is_impatient = self._wants_impatience
        return commands

    def _refused(self) -> StatementFailed:
        """Return what to throw into the operation for the refusal that was noted."""
        assert self.event is not None
        assert self.event.refusal is not None
        return StatementFailed(self.event.refusal.message, sqlstate=self.event.refusal.sqlstate)


def with_pushed(returned: Return, pushed: Sequence[Row]) -> Return:
    """Return the reply with the events that were pushed on the way: the client was told them too."""
    if not pushed or not isinstance(returned, Ok):
        return returned
    return Ok({**returned.value, **told_of(pushed)})


def told_of(pushed: Sequence[Row]) -> dict[str, Any]:
    """Return what `with_pushed` adds to a reply."""
    return {
        f"pushed_{number}_{name}": event[name]
        for number, event in enumerate(pushed, start=1)
        for name in ("stream", "sequence", "event_id")
    }
