"""Which transactions of a recorded pass to race with which: each kind is made again alone, then pairs that meet are raced.

A transaction is made again as a script, on the rows that it found (script.py, tape.py); transaction_race.py says what comes
of two of them. Of those that differ in values only the first stands for all.
"""

import math
import time
from collections import Counter
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass, replace

from integrity.engines.target import Target
from integrity.errors import UsageError
from integrity.events import Advanced, FileWritten, Job, Noted
from integrity.jobs.findings import Wanted
from integrity.jobs.learn import guarded_tables, observe
from integrity.jobs.pass_recording import CALL, Recorded
from integrity.jobs.request_race import RequestRace
from integrity.jobs.site_checks import find_checks
from integrity.jobs.transaction_race import TransactionRace, Tried
from integrity.numbers import counted
from integrity.operation import Ok
from integrity.project import Project
from integrity.race.export.statements_export import export_statements, schemas_of
from integrity.race.finding.finding import write_finding
from integrity.race.gated.calls import Callers
from integrity.race.gated.postgresql.scribe import Transaction, kind_of, parts_of
from integrity.race.gated.postgresql.script import Names, Script
from integrity.race.gated.postgresql.stand import Stand
from integrity.race.gated.postgresql.tape import Tape
from integrity.race.learned_pass import LearnedPass, Outcome, TransactionPair
from integrity.race.program.program import Check, Program
from integrity.race.search.conflicts import Conflict, Observed, find_conflicts
from integrity.systems.reflect import reflect
from integrity.systems.stage import Stage

_SECONDS_MAX = 2.0  # between two statements: a script has nothing else to do
_READS = ("select", "values", "show", "table")


@dataclass(frozen=True, slots=True)
class _Unit:
    """The first transaction of its kind, and which test made it; empty: nobody knows.

    Args:
        number: among those of its test.
    """

    transaction: Transaction
    test: str
    number: int

    @property
    def name(self) -> str:
        """Its test, and what it writes first."""
        work = self.transaction.work
        said = next((each for each in work if each.command not in _READS), work[0])
        words = said.text.split()
        start = next((at for at, word in enumerate(words) if word.lower() == said.command), 0)
        what = " ".join(words[start : start + (2 if said.command == "update" else 3)])
        test = self.test.rpartition("::")[2]
        return f"{test} ({what}{f', {self.number}' if self.number > 1 else ''})" if test else f"{what} ({self.number})"


def learn_pass(
    recorded: Recorded, origin: Target, project: Project, settings: RequestRace | None = None, wanted: Wanted | None = None
) -> Job[LearnedPass]:
    """Find the pairs of transactions that meet, and race them, the worst first, within the budget of seconds.

    Args:
        recorded: a pass that is over.
        origin: the database that the copy of the pass was of.

    Raises:
        UsageError: no statement passed the proxy.
        DatabaseError: the server is gone.
    """
    settings, wanted = settings or RequestRace(), wanted or Wanted()
    deadline = time.monotonic() + settings.seconds
    observed_until = deadline - settings.seconds / 2 if math.isfinite(settings.seconds) else math.inf
    made = recorded.written.transactions
    if not made:
        raise UsageError(
            "no statement passed the proxy: nothing of this suite's can be raced",
            hint="Let it connect to DATABASE_URL, or by PGHOST, PGPORT, PGUSER, PGDATABASE, which lead there; "
            "a URL of its own in its settings does not.",
        )
    database = Counter(each.database for each in made).most_common(1)[0][0]
    units, left_out = _choose(recorded, database)
    of_database = [each for each in made if each.database == database]
    is_empty = database != recorded.database
    with Tape(origin, of_database, is_empty=is_empty, seconds_max=_SECONDS_MAX) as tape:
        observed: list[Observed] = []
        known: list[_Unit] = []
        guarded: frozenset[str] = frozenset()
        for number, unit in enumerate(units, start=1):
            if time.monotonic() > observed_until:
                left_out["the budget was spent before"] += len(units) - number + 1
                break
            stand = tape.at(unit.transaction)
            seen = _observe(stand, unit, tape.names)
            if seen is None:
                left_out["made again alone it is refused, or answered otherwise"] += 1
            else:
                guarded |= guarded_tables(stand)
                observed.append(seen)
                known.append(unit)
            yield Advanced("observing", unit.name, number, len(units))
        pairs: list[TransactionPair] = []
        notes: set[str] = set()
        conflicts = find_conflicts(observed, guarded=guarded)
        for number, conflict in enumerate(conflicts):
            one, other = (known[each] for each in conflict.numbers)
            seconds = (deadline - time.monotonic()) / (len(conflicts) - number)
            is_first = not any(each.outcome is Outcome.WRONG for each in pairs)
            share = replace(settings, seconds=seconds)
            tried = yield from _try_pair(
                tape, (one, other), share, project, wanted=wanted if is_first else Wanted(), notes=notes
            )
            pairs.append(_pair(conflict, one, other, tried))
            yield Advanced("racing", f"{one.name} and {other.name}", number + 1, len(conflicts))
    told = [f"{counted(count, 'transaction')}: {why}" for why, count in left_out.items()]
    pairs.sort(key=lambda pair: list(Outcome).index(pair.outcome))
    return LearnedPass(len(made), recorded.written.statement_count, len(known), pairs, told)


def _choose(recorded: Recorded, database: str) -> tuple[list[_Unit], Counter[str]]:
    """Return the transactions that are made again, one of each kind, and how many are not, by the reason."""
    left_out: Counter[str] = Counter()
    units: dict[tuple[str, ...], _Unit] = {}
    if recorded.written.left_out:
        left_out["behind those that are kept"] = recorded.written.left_out
    for whole in recorded.written.transactions:
        parts = () if whole.is_committed else parts_of(whole)
        for transaction in parts or (whole,):
            phase, test = recorded.test_of(transaction)
            if phase and phase != CALL:
                continue
            if why := _why_not(transaction, database):
                left_out[why] += 1
                continue
            work = transaction.work
            if len(work) > 1 or (work and work[0].command not in _READS):  # what only reads, and once, is in no wrong order
                of_test = sum(each.test == test for each in units.values())
                units.setdefault(kind_of(transaction), _Unit(transaction, test, of_test + 1))
    return list(units.values()), left_out


def _why_not(transaction: Transaction, database: str) -> str:
    """Return why a transaction cannot be made again; empty: it can."""
    if transaction.database != database:
        return "of another database than most"
    if not transaction.is_committed:
        return "rolled back, and in no savepoint that was released"
    if any(each.is_copy for each in transaction.statements):
        return "it copies rows in or out, and those are not kept"
    if transaction.defines:
        return "it defines tables, or grants"
    return ""


def _observe(stand: Stand, unit: _Unit, names: Names) -> Observed | None:
    """Return what a transaction does alone on the rows that it found; None: not what it did then."""
    with closing(Callers()) as callers:
        script = Script(unit.transaction, stand.target, names)
        actor = callers.actor(script, name=unit.name)
        seen, run = observe(stand, Program((actor,), lambda: Stage((), {}), is_captured=True))
        if run.cut or not all(isinstance(each, Ok) for each in run.trace.returns.values()):
            return None
        script.alone = [script.last]
        return seen if script.is_as_written else None


def _try_pair(
    tape: Tape, units: tuple[_Unit, _Unit], settings: RequestRace, project: Project, *, wanted: Wanted, notes: set[str]
) -> Job[Tried]:
    """Race two on the rows that the later one found, else on those that the earlier one did."""
    if settings.seconds <= 0:
        return Tried(Outcome.NOT_RACED, "the budget was spent before: a greater one gives more")
    one, other = units
    places = sorted((one.transaction, other.transaction), key=lambda each: (each.number, len(each.before)), reverse=True)
    for place in dict.fromkeys(places):
        stand = tape.at(place)
        checks = yield from _checks(stand, project, notes)
        pair = (one.transaction, other.transaction)
        with closing(TransactionRace(stand, pair, (one.name, other.name), checks, tape.names)) as race:
            if race.stands():
                tried = race.race(settings.budget, seed=settings.seed)
                if tried.outcome is Outcome.WRONG:
                    yield from _write(stand, tried, wanted)
                return tried
    return Tried(Outcome.NOT_RACED, "on no rows of this pass both do what they did then: a test that makes both would show")


def _checks(stand: Stand, project: Project, notes: set[str]) -> Job[Sequence[Check]]:
    """Return the project's own invariants that hold here; what is not asked is noted once."""
    finding = find_checks(stand.scheduler, project, [], place="")
    while True:
        try:
            event = next(finding)
        except StopIteration as end:
            checks: Sequence[Check] = end.value
            return checks
        if isinstance(event, Noted) and event.text not in notes:
            notes.add(event.text)
            yield event


def _write(stand: Stand, tried: Tried, wanted: Wanted) -> Job[None]:
    """Write the files that were asked for by name."""
    assert tried.finding is not None
    assert tried.program is not None
    if wanted.output is not None:
        write_finding(tried.finding, wanted.output)
        yield FileWritten((wanted.output,))
    if wanted.pytest_file is None:
        return
    try:
        script = export_statements(
            stand.scheduler,
            tried.program,
            tried.finding,
            wanted.pytest_file,
            metadata=reflect(stand.direct, schemas_of(tried.finding)),
            replay_command="integrity race --learn -- pytest",
            secrets=frozenset(),
        )
    except UsageError as error:
        yield Noted(f"no test was written: {error.message}")
        return
    yield FileWritten((wanted.pytest_file, script))


def _pair(conflict: Conflict, one: _Unit, other: _Unit, tried: Tried) -> TransactionPair:
    names, tests = (one.name, other.name), (one.test, other.test)
    return TransactionPair(conflict, names, tests, tried.outcome, tried.reason, tried.finding, tried.schedules)
