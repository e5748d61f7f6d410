"""Cures of calls that are not ours: each is put into their statements on the wire, or on a copy of ours, and tried.

    cures = list(try_call_cures(stand, program, failing, stand.statements, ...))

The application stays as it is: the server is given a select with `for update`, a lock on a parent's row before a look, or
a begin at a higher level; on a copy of ours a unique index is made for a while. Told and judged they are as those of
operations (cure.py): the schedule that goes wrong is followed as far as it fits, then all orders of one preemption are
searched. What refuses calls is held against the same calls one after the other, which must fare with it as they do without.
"""

import math
import re
import time
from collections.abc import Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from contextlib import ExitStack
from dataclasses import dataclass, replace

from sqlalchemy import MetaData

from integrity.errors import DatabaseError, UsageError
from integrity.race.gated.postgresql.stand import Stand
from integrity.race.judge.failures import SERIALIZATION_FAILURE
from integrity.race.judge.judge import Judge, Judgement
from integrity.race.judge.oracles import Oracle
from integrity.race.play.again import play_again
from integrity.race.play.recording import following
from integrity.race.play.scheduler import PlayedSchedule
from integrity.race.program.program import Program, Standing
from integrity.race.program.statements import filled_tables, name_in_text, tables_of, written_tables
from integrity.race.program.trace import Return
from integrity.race.search.explore import CUTS_MAX_SLOW, Budget, explore
from integrity.race.trial.cure import AS_RACED, Cure, Failing, NotBack, describe_course
from integrity.race.trial.looks import Look, find_looks, parent_locks, unique_index
from integrity.race.trial.statement_parts import lock_rows
from integrity.sql.name import quoted
from integrity.verdict import Verdict

_SEARCH = Budget(preemptions=1, schedules=400, cuts=CUTS_MAX_SLOW)
_BEGINS = re.compile(r"\s*(begin|start\s+transaction)\b(?!.*isolation)", re.IGNORECASE | re.DOTALL)
_NUMBER = re.compile(r"(?<==)\s*(\d+)\b")
_NUMBER_NAME = re.compile(r":number_\d+")
IN_NO_TRANSACTION = "it was not tried: the look is in no transaction, which would keep the lock up to the write"
"""The story of a lock that nothing would keep."""
_UNIQUE = "23505"


@dataclass(frozen=True, slots=True)
class CallRemedy:
    """One thing to try.

    Args:
        kind, name, sql: as Remedy has them.
        changes: text of a statement -> what the server is given in its place.
        locks: text of a look, as a trace has it -> what locks a row before it.
        make, drop: of an index.
        refusing: the SQLSTATE by which it keeps wrong data out; empty: it refuses nobody.
    """

    kind: str
    name: str
    sql: str = ""
    changes: tuple[tuple[str, str], ...] = ()
    locks: tuple[tuple[str, str], ...] = ()
    make: str = ""
    drop: str = ""
    refusing: str = ""


def find_call_remedies(
    statements: Sequence[str],
    looked: Sequence[str] = (),
    metadata: MetaData | None = None,
    *,
    dialect: str,
    is_our_copy: bool = False,
) -> Iterator[CallRemedy]:
    """Yield what can be tried, what costs least first.

    Args:
        statements: of the calls, as the server was given them.
        looked: the same as a trace shows them, with names for their parameters.
        metadata: of the database; None: nobody knows its tables.
        is_our_copy: indexes may be made there.
    """
    if metadata is not None and is_our_copy:
        yield from _unique_indexes(looked, metadata, dialect)
    written = {table for sql in statements for table in written_tables(sql)}
    locks: dict[str, list[tuple[str, str]]] = {}  # one statement may come in several spellings: of a pool, prepared
    for sql in statements:
        locked = lock_rows(sql)
        if locked and tables_of(sql) & written:
            locks.setdefault(" ".join(locked.split()), []).append((sql, locked))
    for name, spelled in locks.items():
        yield CallRemedy("row lock", name, changes=tuple(spelled))
    yield from _parent_locks(looked, metadata) if metadata is not None else ()
    begins = [sql for sql in statements if _BEGINS.match(sql)]
    for level in ("repeatable read", "serializable") if begins else ():
        begin = rf"\1 isolation level {level}"
        changes = tuple((sql, _BEGINS.sub(begin, sql, count=1)) for sql in begins)
        yield CallRemedy("isolation", level, f"begin isolation level {level}", changes, refusing=SERIALIZATION_FAILURE)


def try_call_cures(
    stand: Stand,
    program: Program,
    failing: Failing,
    statements: Sequence[str],
    *,
    metadata: MetaData | None = None,
    is_our_copy: bool = False,
    search: Budget = _SEARCH,
    deadline: float = math.inf,
) -> Iterator[Cure]:
    """Yield what was tried against a schedule of calls; see cure.Cure.

    Args:
        metadata, is_our_copy: see find_call_remedies.
        search: for other orders that go wrong with what prevents this one.
        deadline: by the monotonic clock; what was not tried by then is left out.

    Raises:
        NotBack: it does not go wrong with nothing changed.
        DatabaseError: the server is gone.
    """
    run = play_again(lambda: stand.scheduler.play(program, decide=following(failing.letters)), failing.order)
    judgement = None if run.cut else Judge(stand.scheduler, program).judge(run)
    if judgement is None or not failing.fingerprint & judgement.fingerprint:
        raise NotBack
    if not failing.fingerprint & judgement.of_race:
        return  # no race, so that nothing that is tried could prevent it
    failing = replace(failing, fingerprint=failing.fingerprint & judgement.of_race)
    looked = list(dict.fromkeys(event.sql for event in run.trace.events))
    trial = _Trial(stand, program, failing, _one_after_the_other(stand, program), search)
    dialect = stand.scheduler.dialect
    for remedy in find_call_remedies(statements, looked, metadata, dialect=dialect, is_our_copy=is_our_copy):
        if time.monotonic() > deadline:
            return
        left = replace(trial, search=replace(search, seconds=min(search.seconds, deadline - time.monotonic())))
        yield left.try_on(remedy)


def find_by_hand(looked: Sequence[str], metadata: MetaData, *, dialect: str) -> Iterator[tuple[str, str]]:
    """Yield what is not tried on a database that is not ours: what it is, and its statement.

    Args:
        looked: the statements of the calls, as a trace shows them.
        metadata: of the database.
    """
    for remedy in _unique_indexes(looked, metadata, dialect):
        yield f"{remedy.kind} on {remedy.name}", remedy.sql


def _parent_locks(looked: Sequence[str], metadata: MetaData) -> Iterator[CallRemedy]:
    """Yield the locks on a row that all rows refer to which are looked for, before each such look."""
    locks: dict[str, dict[str, str]] = {}
    for sql, look in _looks_at_filled(looked, metadata):
        for parent, lock in parent_locks(look):
            numbers = {f":number_{found.start()}": found[1] for found in _NUMBER.finditer(sql)}
            locks.setdefault(parent, {})[sql] = _NUMBER_NAME.sub(lambda mark, of=numbers: of[mark[0]], lock)  # type: ignore[misc]
    for parent, before in locks.items():
        spelled = "; ".join(dict.fromkeys(before.values()))
        yield CallRemedy("parent lock", f"{parent}, before it is looked", spelled, locks=tuple(before.items()))


def _looks_at_filled(looked: Sequence[str], metadata: MetaData) -> list[tuple[str, Look]]:
    """Return the looks at tables that the calls fill, with their texts, in which a number stands for a parameter."""
    filled = {table for sql in looked for table in filled_tables(sql)}
    texts = {sql: _NUMBER.sub(lambda found: f" :number_{found.start()}", sql) for sql in looked}
    looks = ((sql, look) for sql, text in texts.items() for look in find_looks(text, metadata))
    return [(sql, look) for sql, look in looks if name_in_text(look.table) in filled]


def _unique_indexes(looked: Sequence[str], metadata: MetaData, dialect: str) -> Iterator[CallRemedy]:
    """Yield an index for each look at a table that the calls fill."""
    made = {sql: look for _, look in _looks_at_filled(looked, metadata) if (sql := unique_index(look, dialect=dialect))}
    for sql, look in made.items():
        name = sql.partition(" INDEX ")[2].partition(" ON ")[0]
        schema = f"{quoted(look.table.schema)}." if look.table.schema else ""
        on = " ".join(sql.partition(" ON ")[2].split())
        yield CallRemedy("unique index", on, sql, make=sql, drop=f"drop index {schema}{name}", refusing=_UNIQUE)


@dataclass(frozen=True, slots=True)
class _Trial:
    """What each is tried on.

    Args:
        before: what the calls come to one after the other as they are.
    """

    stand: Stand
    program: Program
    failing: Failing
    before: Sequence[Mapping[str, type[Return]]]
    search: Budget

    def try_on(self, remedy: CallRemedy) -> Cure:
        """Return what comes of it."""
        tried = Cure(remedy.kind, remedy.name, is_prevented=False, story="", sql=remedy.sql)
        with ExitStack() as stack:
            try:
                stack.enter_context(self.stand.altered(remedy.make, remedy.drop))
            except DatabaseError as error:
                return replace(tried, story=f"it cannot be made: {error.message}")
            stack.enter_context(self.stand.changing(dict(remedy.changes), locks=dict(remedy.locks)))
            program = replace(self.program, standing=Standing())
            try:
                return self._follow(program, tried, remedy)
            except UsageError as error:  # of the setup, whose rows an index refuses
                if not remedy.make:
                    raise
                return replace(tried, story=f"the rows of the race contradict it: {error.message}")

    def _follow(self, program: Program, tried: Cure, remedy: CallRemedy) -> Cure:
        scheduler, failing = self.stand.scheduler, self.failing
        if remedy.make and _one_after_the_other(self.stand, program) != self.before:
            return replace(tried, story=f"calls that are right would be refused, {AS_RACED}")
        judge = _Tolerant(Judge(scheduler, program), remedy.refusing if failing.is_of_data else "")
        locked = self.stand.desk.locked
        run = scheduler.play(program, decide=following(failing.letters))
        if remedy.locks and self.stand.desk.locked == locked:
            return replace(tried, story=IN_NO_TRANSACTION)
        if run.cut:
            return replace(tried, story=f"it was cut off, {run.cut}")
        tried = replace(tried, story=_story(run))
        failure = {alarm.fingerprint for alarm in judge.judge(run).alarms}
        if failure & failing.fingerprint:
            return tried
        if failure:
            return replace(tried, story=f"another failure came: {_told(failure)}; {tried.story}")
        found = explore(scheduler, program, budget=self.search, judge=judge)
        kinds = {kind for hit in found.hits for kind in hit.fingerprint} - failing.fingerprint
        return replace(
            tried,
            is_prevented=True,
            is_sound={Verdict.HOLDS: True, Verdict.VIOLATED: False}.get(found.verdict),
            schedules=found.coverage.played,
            choices=1,
            but_then=(f"{_told(kinds)} in another order",) if kinds else (),
            held_against=(AS_RACED,) if remedy.make else (),
        )


def _told(kinds: AbstractSet[tuple[str, str]]) -> str:
    return ", ".join(sorted(name or oracle for oracle, name in kinds))


def _one_after_the_other(stand: Stand, program: Program) -> list[dict[str, type[Return]]]:
    """Return what calls come to one after the other, in either direction, by their names there."""
    courses = []
    for actors in (program.actors, tuple(reversed(program.actors))):
        run = stand.scheduler.play(replace(program, actors=actors, standing=Standing()))
        courses.append({letter: type(value) for letter, value in run.trace.returns.items()})
    return courses


def _story(run: PlayedSchedule) -> str:
    """Return how the calls fared, with what the server refused them, which their answers need not say."""
    refused = [f"{each.actor} was refused with {each.refusal.sqlstate}" for each in run.trace.events if each.refusal]
    return "; ".join([*dict.fromkeys(refused), describe_course(run)])


@dataclass(frozen=True, slots=True)
class _Tolerant:
    """Judges as another does, but a call that is refused as the cure means it is no failure, whatever its client is told.

    What is wrong without a race, too, is held against no cure.

    Args:
        refusing: the SQLSTATE of that; empty: none is.
    """

    judging: Judge
    refusing: str

    def judge(self, run: PlayedSchedule) -> Judgement:
        found = self.judging.judge(run)
        refused = (event for event in run.trace.events if event.refusal is not None)
        meant = {event.actor for event in refused if event.refusal and event.refusal.sqlstate == self.refusing}
        of_race = [each for each in found.alarms if not each.is_serial]
        kept = (each for each in of_race if each.oracle is not Oracle.FAILURE or each.rows[0]["call"] not in meant)
        return replace(found, alarms=tuple(kept))
