"""Oracles: whether what a schedule left behind is right. Each alarm says which one spoke; see oracles.py.

The first asks the checks of the program: invariants, narrowed to the rows in play. One that the calls violate one
after the other, too, is marked as no part of a race, and does not keep the second from being asked. The second needs
no invariant: replies and final rows must equal those of some serial order of the same calls. Calls that the database
refused had no effect, so they are left out of the order, and so are calls that declined or were unavailable as they
may beside others; where one that was refused had committed something before, the second oracle abstains. Any serial
order will do, also one in which a call comes before another one that had returned when it was made: what is compared
are values, and real time is ignored.

Where the rows are those of a serial order, what is wrong is told apart: a call that was asked to begin again and answered
all the same, a call that failed as it does in no serial order, a deadlock, and, if nothing else, answers that no serial
order gives. Those alone are no alarm unless the program is strict.

What comes out as a serial order that the search has played already is right. For anything else all serial orders are
played, each twice in all: what differs between the two differs by itself (random codes, texts with keys in them) and is
masked, and what then comes out as none of them is wrong.
"""

from collections.abc import Hashable, Iterator, Mapping, Sequence, Set
from dataclasses import dataclass, replace
from itertools import combinations, permutations
from string import ascii_uppercase
from typing import Any, Protocol
from uuid import UUID

from integrity.operation import Row
from integrity.race.judge.end_state import (
    RETURN_OF,
    ComparedColumn,
    EndState,
    Remains,
    differing_columns,
    make_remains,
    rows_unlike,
)
from integrity.race.judge.failures import (
    DEADLOCK,
    allowed_declines,
    check_own_mistakes,
    deadlock_alarm,
    failure_alarm,
    swallowed_alarm,
    swallowers,
    unexpected_failures,
)
from integrity.race.judge.oracles import Alarm, Alarmed, Oracle
from integrity.race.judge.relations import history_of
from integrity.race.judge.row_changes import RowChanges, named_in, row_changes
from integrity.race.play.scheduler import PlayedSchedule, Scheduler
from integrity.race.program.change import Change
from integrity.race.program.program import Check, Program
from integrity.race.program.statements import asks_for_order, tables_of
from integrity.race.program.trace import Failed, Return, TraceEvent
from integrity.race.program.wire import Answer, generated_values


@dataclass(frozen=True, slots=True)
class SerialOrder:
    """One serial order of some calls, and how it came out.

    Args:
        actors: letters, in this order.
        names: the letters in the program of the run's actors A, B, ...
        run: the first of its two runs.
        violated: the checks that say no to it.
    """

    actors: str
    names: str
    run: PlayedSchedule
    remains: Remains
    violated: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Judgement(Alarmed):
    """What the oracles say of one run.

    Args:
        alarms: none when all is right.
        outcome: canonical; runs with equal ones came out alike.
        has_abstained: serial equivalence could not be judged.
        apart: answers that no serial order gives, where the rows are right and the program is not strict.
    """

    alarms: tuple[Alarm, ...]
    outcome: EndState
    has_abstained: bool = False
    apart: tuple[Alarm, ...] = ()


_SEEN = "those seen"
EXPECTED = "what is expected of the answers"
"""The name that an alarm has for it, among those of invariants."""


class Judging(Protocol):
    """Says what is wrong with a run that was just played."""

    def judge(self, run: PlayedSchedule) -> Judgement: ...


class Judge:
    """Judges the runs of one program by all oracles.

    Args:
        is_serial_judged: ask serial equivalence, and how calls came out; else the checks alone.
        are_failures_judged: calls that fail, and deadlocks, are alarms.
        is_strict: as the program's; None: as that has it.
    """

    def __init__(
        self,
        scheduler: Scheduler,
        program: Program,
        *,
        is_serial_judged: bool = True,
        are_failures_judged: bool = True,
        is_strict: bool | None = None,
    ) -> None:
        self._scheduler = scheduler
        self._program = program
        self._letters = ascii_uppercase[: len(program.actors)]
        self._sees_rows = bool(program.digests) or program.is_captured
        self._is_serial_judged = is_serial_judged
        self._are_failures_judged = are_failures_judged
        self._is_strict = program.is_strict if is_strict is None else is_strict
        self._seen: dict[str, SerialOrder] = {}  # of all actors, played once, by the search
        self._orders: dict[str, list[SerialOrder]] = {}
        self._outcomes: dict[str, frozenset[EndState]] = {}
        self._masked: frozenset[ComparedColumn] = frozenset()
        self._timed: set[ComparedColumn] = set()
        self._unsorted: set[str] = set()  # answers in whose lists it is chance which element comes first
        self._lasting: set[UUID] = set()  # ids that more than one run has: they are values, and were not made by one
        self._run_of: dict[UUID, UUID] = {}
        self._outcome_by_looks: dict[EndState, EndState] = {}
        self._passed: set[EndState] = set()

    def judge(self, run: PlayedSchedule) -> Judgement:
        """Return what the oracles say of a run that was just played, while its rows are as it left them."""
        check_own_mistakes(run, self._program, is_serial=bool(_serial_order(run, self._letters)))
        remains = self._read(run, self._letters)
        masked, looks = self._masked, self._looks(remains)
        alarms = (*self._ask_checks(run, looks), *self._ask_expected(run.trace.returns))
        survivors = _survivors(run, self._letters)
        order = _serial_order(run, self._letters)
        if self._is_serial_judged:
            alarms = self._telling_apart(alarms, order, survivors or "")
            looks = looks if self._masked == masked else self._looks(remains)
        if not self._is_serial_judged or any(not alarm.is_serial for alarm in alarms):
            return Judgement(alarms, self._outcome_of(remains, looks), survivors is None)
        if survivors is None:
            return Judgement((*alarms, *self._failures(run)), self._outcome_of(remains, looks), has_abstained=True)
        if order:
            self._see(SerialOrder(order, self._letters, run, remains, tuple(alarm.name for alarm in alarms)))
        outcome = self._outcome_of(remains, looks)
        if outcome in self._seen_outcomes():
            return Judgement(alarms, outcome)
        expected = self._serial_outcomes(self._letters)
        if self._masked != masked:  # serial orders were played, and showed more that differs by itself
            outcome = self._outcome_of(remains, self._looks(remains))
        found = () if outcome in expected else tuple(self._compare(run, remains, survivors))
        if outcome not in expected and not any(alarm.oracle is Oracle.SERIAL for alarm in found):
            found = (*self._failures(run), *found)
        apart = tuple(alarm for alarm in found if alarm.oracle is Oracle.REPLIES and not self._is_strict)
        return Judgement((*alarms, *(alarm for alarm in found if alarm not in apart)), outcome, apart=apart)

    def _telling_apart(self, alarms: Sequence[Alarm], order: str, survivors: str) -> tuple[Alarm, ...]:
        """Return alarms of checks, those marked that the calls raise one after the other, too.

        Args:
            order: in which the calls were made, if that is one.
            survivors: the calls that had an effect.
        """
        serial = {alarm.name for alarm in alarms if order}
        for actors in {self._letters, survivors} - {""} if alarms and not order else ():
            serial.update(name for each in self.serial_orders(actors) for name in each.violated)
        return tuple(replace(alarm, is_serial=alarm.name in serial) for alarm in alarms)

    def serial_orders(self, actors: str) -> list[SerialOrder]:
        """Return all serial orders of some of the actors."""
        if actors not in self._orders:
            self._orders[actors] = [self._play_serially("".join(order)) for order in permutations(actors)]
            self._outcomes.clear()
        return self._orders[actors]

    @property
    def whole_orders(self) -> list[SerialOrder]:
        """All serial orders of all actors."""
        return self.serial_orders(self._letters)

    def _see(self, order: SerialOrder) -> None:
        """Note a serial order that the search has played."""
        if order.actors not in self._seen and self._letters not in self._orders:
            self._seen[order.actors] = order
            self._outcomes.pop(_SEEN, None)

    def _seen_outcomes(self) -> frozenset[EndState]:
        """Return how the serial orders come out that the search has played; the mask may be too small for some yet."""
        if _SEEN not in self._outcomes:
            outcomes = (self._outcome(order.remains) for order in self._seen.values())
            self._outcomes[_SEEN] = frozenset(outcomes)
        return self._outcomes[_SEEN]

    def read(self, run: PlayedSchedule) -> Remains:
        """Return what a run left behind; its rows must be as it left them."""
        return self._read(run, self._letters)

    def is_alike(self, remains: Remains, order: SerialOrder) -> bool:
        """Return whether what a run left is what a serial order leaves."""
        return self._outcome(remains) == self._outcome(order.remains)

    def is_wrong_serially(self, run: PlayedSchedule, remains: Remains) -> bool:
        """Return whether the calls come out wrong one after the other, those that fail among them, as in this wrong run."""
        if _serial_order(run, self._letters):
            return True
        alike = [order for order in self.serial_orders(self._letters) if self.is_alike(remains, order)]
        return bool(alike) and all(order.violated for order in alike)

    def masking(self, remains: Remains) -> Remains:
        """Return what a run left, with what differs by itself between equal runs made alike."""
        return remains.naming(self._lasting).masking(self._masked)

    @property
    def masked(self) -> frozenset[ComparedColumn]:
        """What differs by itself between equal runs, as far as serial orders were played."""
        return self._masked

    @property
    def uncompared(self) -> tuple[str, ...]:
        """What was compared with nothing so far, and why, in words: columns, members of documents, parts of answers."""
        said = ((self._timed - self._masked, "times of the run"), (self._masked, "differs by itself"))
        volatile = (f"{column} (volatile)" for column in sorted(self._program.volatile))
        return (*volatile, *(f"{_spelled(*each)} ({why})" for columns, why in said for each in sorted(columns)))

    @property
    def tables(self) -> frozenset[str]:
        """What the tables are called whose rows are compared."""
        return frozenset(digest.table for digest in self._program.digests)

    def tables_named_in(self, sql: str) -> frozenset[str]:
        """Return those of these tables that a statement names, or reads through a view that it names."""
        named = tables_of(sql)
        read = (tables for view, tables in self._program.views.items() if named_in(view, named))
        return frozenset(table for table in self.tables if named_in(table, named)).union(*read) & self.tables

    def staged(self) -> Remains:
        """Return the rows of a stage on which no call was made."""
        return self._read(self._scheduler.play(replace(self._program, actors=())), "")

    def changes_alone(self, actor: str) -> RowChanges:
        """Return what a call does to rows when it is made alone, without what differs by itself."""
        order = self.serial_orders(actor)[0]
        changes = order.run.changes
        if changes is None or not self._program.is_captured:
            after = order.remains.without(self._returns(actor))
            return row_changes(self.masking(self.staged()), self.masking(after))
        generated = set(order.run.trace.generated)
        before, after = (
            make_remains([(each.table, row) for each, row in rows if row], {}, known={}, generated=generated)
            for rows in (
                [(each, each.before) for each in changes],
                [(each, each.after) for each in changes],
            )
        )
        return row_changes(self.masking(before), self.masking(after))

    def _serial_outcomes(self, actors: str) -> frozenset[EndState]:
        """Return how the serial orders of some of the actors come out."""
        orders = self.serial_orders(actors)
        if actors not in self._outcomes:
            self._outcomes[actors] = frozenset(self._outcome(order.remains) for order in orders)
        return self._outcomes[actors]

    def _compare(self, run: PlayedSchedule, remains: Remains, survivors: str) -> Iterator[Alarm]:
        """Yield what is wrong with a run that comes out as no serial order of all its calls."""
        declined = allowed_declines(run, self._program)
        serious = "".join(actor for actor in survivors if actor not in declined)
        if any(self._is_explained_by(remains, rest) for rest in (survivors, serious)):
            return
        restarted = swallowers(run)
        for silent in (each for count in range(len(restarted)) for each in combinations(restarted, count + 1)):
            if self._is_explained_by(remains, "".join(actor for actor in serious if actor not in silent)):
                yield from (swallowed_alarm(run, self._program, actor) for actor in silent)
                return
        serial = [order.remains for order in self.serial_orders(survivors)]
        named = [each.naming(self._lasting) for each in serial]
        rows = rows_unlike(remains.naming(self._lasting), named, self._unsorted)
        if self._are_rows_right(remains, (self._letters, survivors, serious)):
            returns = self._returns(self._letters)
            told = tuple(row for row in rows if row["table"] in returns)
            yield Alarm(Oracle.REPLIES, ", ".join(survivors), told or tuple(rows))
        else:
            yield Alarm(Oracle.SERIAL, ", ".join(survivors), tuple(rows))

    def _is_explained_by(self, remains: Remains, actors: str) -> bool:
        """Return whether a serial order of some of the actors, as if the others had not been, comes out like this."""
        if actors == self._letters:
            return False
        lost = self._returns("".join(actor for actor in self._letters if actor not in actors))
        expected = self._serial_outcomes(actors)  # it may show more that differs by itself
        return self._outcome(remains.without(lost)) in expected

    def _are_rows_right(self, remains: Remains, orders: Sequence[str]) -> bool:
        """Return whether the rows, answers apart, are those of a serial order of some of these groups of actors."""
        if not self._sees_rows:
            return False
        returns = self._returns(self._letters)
        rows = self._outcome(remains.without(returns))
        serial = (order.remains for actors in dict.fromkeys(orders) for order in self.serial_orders(actors))
        return any(self._outcome(each.without(returns)) == rows for each in serial)

    def _failures(self, run: PlayedSchedule) -> Iterator[Alarm]:
        """Yield the deadlocks, and the calls that failed as they do in no serial order."""
        if not self._are_failures_judged:
            return
        for actor, failed in unexpected_failures(run, self._program, dialect=self._scheduler.dialect).items():
            if failed.sqlstate == DEADLOCK:
                yield deadlock_alarm(run, actor)
            elif not any(self._error_in(order, actor) == failed.error for order in self.serial_orders(self._letters)):
                yield failure_alarm(run, self._program, actor, failed)

    @staticmethod
    def _error_in(order: SerialOrder, actor: str) -> str:
        """Return how a call failed in a serial order, or nothing."""
        returned = order.run.trace.returns.get(ascii_uppercase[order.names.index(actor)])
        return returned.error if isinstance(returned, Failed) else ""

    @staticmethod
    def _returns(actors: str) -> set[str]:
        """Return what the answers of these are called among the rows."""
        return {f"{RETURN_OF}{actor}" for actor in actors}

    def _play_serially(self, actors: str) -> SerialOrder:
        members = tuple(self._program.actors[self._letters.index(actor)] for actor in actors)
        program = replace(self._program, actors=members)
        order = self._seen.get(actors)
        if order is None:
            run = self._scheduler.play(program)
            check_own_mistakes(run, program, is_serial=True)
            answers = self._ask(program, run, self._program.checks)
            asked = zip(program.checks, answers, strict=True)
            violated = [check.name for check, answer in asked if answer.rows]
            returns = {actors[ascii_uppercase.index(letter)]: each for letter, each in run.trace.returns.items()}
            violated += [alarm.name for alarm in self._ask_expected(returns)]
            order = SerialOrder(actors, actors, run, self._read(run, actors), tuple(violated))
        again = self._read(self._scheduler.play(program), actors)
        self._masked |= differing_columns(order.remains, again)
        self._outcome_by_looks.clear()
        return order

    def _outcome_of(self, remains: Remains, looks: EndState) -> EndState:
        """Return the outcome; runs that look alike have the same, and looking is cheaper."""
        if looks not in self._outcome_by_looks:
            self._outcome_by_looks[looks] = self._outcome(remains)
        return self._outcome_by_looks[looks]

    def _ask_checks(self, run: PlayedSchedule, looks: EndState) -> tuple[Alarm, ...]:
        """Ask the checks, unless rows that looked the same passed them: most schedules come to a few outcomes.

        Without digests there is nothing to look at; and what was asked of services does not show in rows and replies.
        """
        checks = self._program.checks
        is_seen = looks in self._passed
        if is_seen:
            checks = tuple(check for check in checks if "requests" in check.reads)
        answers = self._ask(self._program, run, checks)
        if not any(answer.rows for answer in answers):
            if self._sees_rows and not is_seen:
                self._passed.add(looks)
            return ()
        found = zip(checks, answers, strict=True)
        return tuple(Alarm(Oracle.INVARIANT, check.name, answer.rows) for check, answer in found if answer.rows)

    def _ask_expected(self, returns: Mapping[str, Return]) -> Iterator[Alarm]:
        """Yield what is wrong with the answers by what somebody says of all of them."""
        if len(returns) == len(self._program.actors) and (rows := self._program.expect(returns)):
            yield Alarm(Oracle.INVARIANT, EXPECTED, tuple(rows))

    def _ask(self, program: Program, run: PlayedSchedule, checks: Sequence[Check]) -> list[Answer]:
        if not checks:
            return []
        history = history_of(run, program)
        return self._scheduler.ask_of(run, [check.violations(run.keys, history) for check in checks])

    def _read(self, run: PlayedSchedule, actors: str) -> Remains:
        """Return what a run left behind.

        Args:
            actors: the letters that its actors have in the program.
        """
        digests = self._program.digests
        answers = self._scheduler.ask_of(run, [digest.rows(run.keys, run.operation_ids) for digest in digests])
        generated = set(run.trace.generated)
        rows = _left_by(run.changes or (), self._program.volatile)
        for digest, answer in zip(digests, answers, strict=True):
            generated.update(generated_values(answer, self._scheduler.generated_columns))
            rows += [(digest.table, row) for row in answer.rows]
        known: dict[Any, str] = {value: name for name, value in run.keys.items() if isinstance(value, Hashable)}
        known |= dict(zip(run.operation_ids, actors, strict=True))
        known |= dict(zip(map(str, run.operation_ids), actors, strict=True))  # as replies have them on SQLite
        returns = {actors[ascii_uppercase.index(letter)]: value for letter, value in run.trace.returns.items()}
        self._note_unsorted(run, actors)
        remains = make_remains(rows, returns, known=known, generated=generated, took=run.took)
        if run.took:
            self._timed |= remains.timed()
            self._note_ids(run, remains)
        return remains

    def _note_unsorted(self, run: PlayedSchedule, actors: str) -> None:
        """Note whose answers tell rows that the server gave as they lay: their order is chance, and no result."""
        several = [event for event in run.trace.events if _gives_several(event)]
        ordered = {event.actor for event in several if asks_for_order(event.sql)}
        letters = {event.actor for event in several} - ordered
        found = self._returns("".join(actors[ascii_uppercase.index(letter)] for letter in letters))
        if not found <= self._unsorted:
            self._unsorted |= found
            self._outcomes.clear()
            self._outcome_by_looks.clear()

    def _note_ids(self, run: PlayedSchedule, remains: Remains) -> None:
        """Note which ids a run has that another had: who is given which of them is a matter of the calls."""
        lasting = {
            key
            for key, _ in remains.keys
            if type(key) is UUID
            and run.operation_ids
            and self._run_of.setdefault(key, run.operation_ids[0]) != run.operation_ids[0]
        }
        if not lasting <= self._lasting:
            self._lasting |= lasting
            self._outcomes.clear()
            self._outcome_by_looks.clear()

    def _outcome(self, remains: Remains) -> EndState:
        return remains.naming(self._lasting).outcome(self._masked, self._unsorted)

    def _looks(self, remains: Remains) -> EndState:
        return remains.naming(self._lasting).looks(self._masked)


def _spelled(table: str, column: str) -> str:
    return f"{table}: {column}" if table.startswith(RETURN_OF) else f"{table}.{column}"


def _gives_several(event: TraceEvent) -> bool:
    """Return whether a statement gave rows that have an order: several, or one with a list (`json_agg`)."""
    return len(event.rows) > 1 or any(isinstance(value, list) for row in event.rows for value in row.values())


def _serial_order(run: PlayedSchedule, letters: str) -> str:
    """Return the actors in the order in which they went, one after the other; nothing if they did not.

    A request before an actor's first letter is made as the schedule begins, before the letters of all others; then the
    order of the letters is not that of all that happened.
    """
    order = "".join(dict.fromkeys(run.letters))
    is_serial = run.letters == "".join(letter * run.letters.count(letter) for letter in order)
    if not is_serial or len(order) < len(letters) or any(asked.number < 0 for asked in run.trace.requests):
        return ""
    return order


def _left_by(changes: Sequence[Change], volatile: Set[str]) -> list[tuple[str, Row]]:
    """Return rows that are not as they were, with their tables: one that is gone as it was, under a name of its own."""
    return [
        (
            each.table if each.after is not None else f"{each.table} gone",
            {
                name: value
                for name, value in (each.after or each.before or {}).items()
                if name not in volatile and f"{each.table}.{name}" not in volatile
            },
        )
        for each in changes
    ]


def _survivors(run: PlayedSchedule, letters: str) -> str | None:
    """Return the actors whose calls had an effect; None when a refused one had committed something before."""
    failed = {actor: value for actor, value in run.trace.returns.items() if isinstance(value, Failed)}
    if any(value.has_committed for value in failed.values()):
        return None
    return "".join(actor for actor in letters if actor not in failed)
