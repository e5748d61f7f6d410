"""A session of somebody else's: one actor that is not ours to step, and what it asks of its database, letter by letter.

Its statements are held at the gate, and let go as the letters say; see schedule.py for what a letter is. Between two of
them the actor runs its own code, and nobody else does. What can be noticed of its transactions is asked of the server from
beside it: nothing is sent on a connection of the actor's but what that sends itself, a begin and a commit around a
statement that has none, and how long it waits before it looks for a deadlock.
"""

from collections.abc import Callable, Generator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from integrity.numbers import counted
from integrity.operation import Isolation, Row, Value, events_of
from integrity.race.gated.postgresql.answer import Result, decode
from integrity.race.gated.postgresql.desk import Arrived, Executed, Finished, Lane, Lost, News, Returned
from integrity.race.gated.postgresql.gate import BROKEN, IDLE, OPEN, RaceGate, Split
from integrity.race.gated.postgresql.rewriting import with_values
from integrity.race.gated.postgresql.unit import Act, Unit, defines, level_of, with_marks
from integrity.race.play.session import ActorState, Drive, Needs, Session
from integrity.race.program.program import Launch
from integrity.race.program.trace import Asked, Failed, TraceEvent
from integrity.race.program.wire import Answer, Refusal

GONE = "08006"
_BARE = "25001"
_ENDS_ITSELF = "2D000"
_SERIALIZATION_FAILURE = "40001"
_WRITES = ("INSERT", "UPDATE", "DELETE", "MERGE")
_SET_PATIENCE = {True: "set deadlock_timeout = '1ms'", False: "set deadlock_timeout = '2000000000ms'"}


class GatedSession(Session):
    """One actor behind the gate.

    Args:
        lane: what concerns it.
        has_patience: connections may be told how long they wait before they look for a deadlock.
    """

    wire: Lane

    def __init__(
        self,
        letter: str,
        lane: Lane,
        *,
        observe: Callable[[Session], None],
        is_held: Callable[[Session], bool],
        has_patience: bool,
    ) -> None:
        super().__init__(letter, lane, observe=observe, is_held=is_held)
        self._has_patience = has_patience

    def launch(
        self,
        call: Launch,
        *,
        isolation: Isolation,
        generated_columns: frozenset[tuple[int, int]],
        standing: frozenset[str],
    ) -> None:
        """Let the call begin; it runs until its first unit is held. The arguments are those of `start`."""
        self._generated_columns = generated_columns
        self._isolation = isolation
        self._works: set[RaceGate] = set()  # in whose transaction it has sent a statement
        self._writes: set[RaceGate] = set()  # in whose transaction it has written
        self._later: list[Arrived] = []
        self.is_parallel = False
        self.defined: list[str] = []
        """Commands that left more than rows, by their tags."""
        self.hidden = ""
        """What is one letter and may have letters within; empty: nothing."""
        self._begin(isolation, standing)
        self.wire.desk.begun(self.letter)
        call(lambda value: self.wire.desk.returned(self.letter, value))

    def progress(self) -> bool:
        self.wire.desk.running = self.letter
        is_done = super().progress()
        if is_done:
            self.wire.desk.running = ""
        return is_done

    def wait_for(self, letters: str, *, since: int) -> TraceEvent:
        self.wire.desk.running = ""
        return super().wait_for(letters, since=since)

    def abandon(self) -> None:
        """Take it to be at its end: its call is over, and whatever it has left open nobody goes on with."""
        self._driver.close()
        self.state = ActorState.DONE
        self.wire.desk.running = ""

    def note_asked(self, service: str, payload: Mapping[str, Value], answer: Mapping[str, Value]) -> None:
        self.requests.append(Asked(self.letter, self.number, service, payload, answer))

    def note_pushed(self, events: Sequence[Row]) -> None:
        self.pushed.extend(events_of(events))

    # What it does.

    def _drive(self) -> Drive:
        while True:
            if self._later:
                arrived = self._later.pop(0)
            else:
                if self.returned is not None and not self.wire.desk.open_gates_of(self.letter):
                    return
                (news,) = yield Needs.NEWS
                if not isinstance(news, Arrived):
                    self._take(news)
                    continue
                arrived = news
            self.wire.gate = arrived.gate
            yield from self._carry_out(arrived.gate, arrived.unit)

    def _take(self, news: News) -> None:
        if isinstance(news, Returned):
            self.returned = news.value
            if isinstance(news.value, Failed):
                self.returned = replace(news.value, has_committed=self.has_committed)
        elif isinstance(news, Arrived):
            self.is_parallel = True  # it does not wait for one before it asks for the next
            self._later.append(news)

    def _carry_out(self, gate: RaceGate, unit: Unit) -> Drive:
        is_open = gate.status != IDLE
        self.in_transaction = is_open
        acts = unit.acts
        is_end = bool(acts & {Act.COMMIT, Act.ROLLBACK}) if acts else gate.is_implicit
        if is_open and is_end and acts <= {Act.COMMIT, Act.ROLLBACK, Act.QUIET}:
            yield from self._end_by(gate, unit)
        elif (gate.is_implicit or not is_open) and unit.is_splittable:
            if unit.is_ended:
                yield from self._carry_out_alone(gate, unit)
            else:
                yield from self._carry_out_within(gate, unit, Split.OPEN)
        else:
            yield from self._carry_out_within(gate, unit, Split.NOT)

    def _carry_out_within(self, gate: RaceGate, unit: Unit, split: Split) -> Drive:
        """Carry out a unit of a transaction, or one that cannot be in any."""
        yield Needs.LETTER
        self._note_unit(gate, unit)
        self._forward(gate, unit, split, told=self._lock_before(gate, unit))
        answer = yield from self._answer(gate, unit)
        self._note_answer(answer)
        self._note_write(gate, answer)
        self._note_level(answer)
        self.in_transaction = gate.status != IDLE
        self.is_noticeable = self.in_transaction  # the server is asked when it ends
        if not self.in_transaction:
            self._note_end(gate, has_committed=answer.refusal is None)
        if not answer.refusal:
            self._observe(self)
        self._deliver(gate)

    def _carry_out_alone(self, gate: RaceGate, unit: Unit) -> Drive:
        """Carry out a unit outside a transaction, its commit apart if others can notice it."""
        yield Needs.LETTER
        self._note_unit(gate, unit)
        self._forward(gate, unit, Split.WRAPPED if unit.is_asked_again else Split.SYNC)
        answer = yield from self._answer(gate, unit)
        if answer.refusal and answer.refusal.sqlstate in (_BARE, _ENDS_ITSELF):
            if answer.refusal.sqlstate == _ENDS_ITSELF:
                self.hidden = f"transactions within one statement: {unit.sql}"
            gate.forget()
            self._forward(gate, unit, Split.NOT)
            answer = yield from self._answer(gate, unit)
        self._note_answer(answer)
        self._note_write(gate, answer)
        self._note_level(answer)
        self.in_transaction = gate.status != IDLE
        if self.in_transaction:
            self._observe(self)
            self.is_noticeable = self.has_written = self._holds(gate)
            if self.is_noticeable:
                yield Needs.LETTER
                self._note("commit", {})
            self.ends_written = self.has_written
            self.wire.finish()
            ended = yield from self._wait(gate, Finished)
            self.in_transaction = False
            if self.is_noticeable:
                self._note_answer(replace(ended.answer(), tag="" if ended.refusal else "COMMIT"))
            self._note_end(gate, has_committed=self.has_written and ended.refusal is None)
        self._deliver(gate)

    def _end_by(self, gate: RaceGate, unit: Unit) -> Drive:
        """Commit or roll back: a letter of its own if others can notice it, else along with the letter before."""
        held = self._holds(gate)
        word = "rollback" if Act.ROLLBACK in unit.acts else "commit"  # a Sync alone commits
        if held:
            yield Needs.LETTER
            self._note(word, {})
        self.has_written = self.ends_written = held
        self._forward(gate, unit, Split.NOT)
        answer = yield from self._answer(gate, unit)
        if held or answer.refusal:
            if not held:
                self._note(word, {})
            self._note_answer(answer)
            self._note_level(answer)
        elif self.event:
            self.event = replace(self.event, closes=True)
        self.in_transaction = gate.status != IDLE
        self._note_end(gate, has_committed=held and (answer.tag == "COMMIT" or not (unit.acts or answer.refusal)))
        self._deliver(gate)

    def _note_answer(self, answer: Answer) -> None:
        super()._note_answer(answer)
        assert self.event is not None
        if defines(self.event.sql, answer.tag):
            self.defined.append(answer.tag.lower())

    # How it is told and asked.

    def _forward(self, gate: RaceGate, unit: Unit, split: Split, *, told: Sequence[str] = ()) -> None:
        wanted = self._wants_impatience
        if self._has_patience and _is_free(gate, unit) and gate.is_impatient != wanted:
            told = (_SET_PATIENCE[wanted], *told)
            gate.is_impatient = wanted
        self.is_impatient = gate.is_impatient if self._has_patience else None
        self.wire.forward(unit, split=split, told=told)

    def _lock_before(self, gate: RaceGate, unit: Unit) -> Sequence[str]:
        """Return what is locked before a unit, where that is tried as a cure; the letter waits for that lock, too."""
        assert self.event is not None
        desk = self.wire.desk
        lock = desk.locks.get(self.event.sql)
        if lock is None or gate.status != OPEN or not _is_free(gate, unit):
            return ()
        desk.locked += 1
        return (with_values(lock, self.event.parameters),)

    def _answer(self, gate: RaceGate, unit: Unit) -> Generator[Needs, Any, Answer]:
        result = yield from self._wait(gate, Executed)
        return result.answer(unit.statements[-1].columns if unit.statements else ())

    def _wait(self, gate: RaceGate, kind: type[Executed] | type[Finished]) -> Generator[Needs, Any, Result]:
        """Wait until the server has answered; a connection that is lost is an answer too."""
        while True:
            (news,) = yield Needs.NEWS
            if isinstance(news, kind) and news.gate is gate:
                return news.result
            if isinstance(news, Lost) and news.gate is gate:
                self.wire.is_executing = False
                return Result(refusal=Refusal(GONE, "the connection is gone"))
            self._take(news)

    def _deliver(self, gate: RaceGate) -> None:
        if gate.status == IDLE:
            self._works.discard(gate)
            self._writes.discard(gate)
            self.is_noticeable = self.has_written = False
        self.wire.deliver()

    def _note_unit(self, gate: RaceGate, unit: Unit) -> None:
        opens = bool(gate.opened_by) and gate not in self._works
        if opens:
            self.level = level_of(gate.opened_by, otherwise=self._isolation)
            self.opens_transaction = True
            self._works.add(gate)
        elif gate.status == IDLE:
            self.level = self._isolation
            self.opens_transaction = True
        sql, parameters = with_marks(unit, decode)
        if len(unit.statements) > 1:
            self.hidden = f"{counted(len(unit.statements), 'statement')} in one go: {unit.statements[0].sql}"
        self._note(sql, parameters, opens=opens)

    def _note_write(self, gate: RaceGate, answer: Answer) -> None:
        """Note that rows were written: the transaction has an id then, until it ends, whatever is rolled back within."""
        command, _, count = answer.tag.partition(" ")
        if answer.refusal is None and command in _WRITES and not count.endswith(" 0") and count != "0":
            self._writes.add(gate)

    def _holds(self, gate: RaceGate) -> bool:
        """Return whether a transaction holds what others can notice; the server is asked where its answers do not say."""
        return (gate in self._writes and gate.status == OPEN) or self._is_held(self)

    def _note_level(self, answer: Answer) -> None:
        """A transaction at read committed is never refused for what others did at the same time."""
        is_refused = answer.refusal is not None and answer.refusal.sqlstate == _SERIALIZATION_FAILURE
        if is_refused and self.level is Isolation.READ_COMMITTED:
            self.level = Isolation.REPEATABLE_READ
            assert self.event is not None
            self.event = replace(self.event, level=self.level)

    def _note_end(self, gate: RaceGate, *, has_committed: bool) -> None:
        if not has_committed:
            gate.is_impatient = None  # what was set in what is rolled back is as it was before
        self.has_committed |= has_committed
        self._works.discard(gate)
        self._writes.discard(gate)


def _is_free(gate: RaceGate, unit: Unit) -> bool:
    """Return whether a query of ours can go before a unit: it would end what the messages of the extended protocol have
    open without a begin."""
    return gate.status != BROKEN and (unit.is_simple or not gate.is_implicit)
