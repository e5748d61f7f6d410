"""Replays: a finding is played again, on fresh rows of this version's tables, with this version's operations.

The schedule is followed as far as it fits: a fix that makes a call wait, decline or fail is what a replay is to show. What
has changed since the finding was made is said beside the outcome, so that "it did not come back" is not taken for a fix
when the operation it was about is another one by now.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from integrity.engines.known import find_engine
from integrity.errors import UsageError, quote
from integrity.race.finding.astray import why_astray
from integrity.race.finding.finding import Finding, events_of, hash_tables, statements_of
from integrity.race.finding.token import Token, code_of, codes_of
from integrity.race.judge.contest import Contest, Ground
from integrity.race.judge.judge import Judge
from integrity.race.judge.oracles import Alarm, Oracle
from integrity.race.judge.timeline import timeline_of
from integrity.race.play.again import TRIES_MAX, order_of, play_again
from integrity.race.play.recording import following
from integrity.race.play.scheduler import Scheduler
from integrity.race.program.planned_calls import PlannedCall
from integrity.race.program.program import Program
from integrity.race.program.schedule import Decide
from integrity.race.search.shrink import at_points
from integrity.race.trial.cure import describe_course
from integrity.systems.system import Bug, System


@dataclass(frozen=True, slots=True)
class Replay:
    """One time that a finding was played again.

    Args:
        letters: as played; another schedule than the finding's where that did not fit.
        is_back: the same failure came.
        others: other failures that came, as names of invariants or of the oracle, and whether that is no race.
        course: how the calls fared, in words.
        statements: of each actor.
        names: of the failures that came back, as `others` has them.
        timeline: what happened, as lines of text.
        why_unknown: why it tells nothing, in words; empty: it tells.
    """

    letters: str
    is_back: bool
    others: tuple[str, ...]
    course: str
    statements: dict[str, list[str]]
    names: tuple[str, ...] = ()
    timeline: tuple[str, ...] = ()
    why_unknown: str = ""

    @property
    def is_wrong(self) -> bool:
        """It went wrong, as it did or in another way: a search would tell of either."""
        return self.is_back or bool(self.others)


def contest_of(finding: Finding, ground: Ground, *, bug: Bug | None) -> Contest:
    """Return the contest that the finding was made in.

    Raises:
        UsageError: the stage has no such keys any more.
    """
    calls = [PlannedCall(call.operation, call.values) for _, call in sorted(finding.calls.items())]
    gone = sorted(set(finding.keys) - set(ground.keys))
    if gone:
        raise UsageError(
            f"the finding plays on {', '.join(gone)}, which the stage of {finding.system} does not make any more",
            hint=f"Find the race anew: {search_command(finding)}",
        )
    return replace(ground.contest(calls, bug=bug, isolation=finding.isolation), is_strict=finding.is_strict)


def check_calls(finding: Finding, system: System, *, place: str) -> None:
    """Raise where a system has not what a finding calls any more.

    Args:
        place: the finding's file.

    Raises:
        UsageError: the bug or an operation is gone or cannot be used, or takes other arguments.
    """
    hint = f"Bring it back and replay again, or find the race anew: {search_command(finding)}"
    known = system.operations_with(system.find_bug(finding.bug) if finding.bug else None)
    for call in finding.calls.values():
        name = call.operation
        if name not in known:
            why = f"cannot be used: {system.unusable[name]}" if name in system.unusable else "is not there any more"
            others = f"The operations of {system.name} are: {', '.join(known) or 'none'}."
            raise UsageError(
                f"{place}: it calls the operation {quote(name)}, which {why}",
                hint=f"Bring {name} back and replay again, or delete the file: it can be played by nothing else. {others}",
            )
        if call.arguments.keys() != known[name].arguments.keys():
            has, takes = (", ".join(each) or "none" for each in (call.arguments, known[name].arguments))
            raise UsageError(f"{place}: it calls {name} with {has}, and {name} takes {takes} by now", hint=hint)


@dataclass(frozen=True, slots=True)
class Sought:
    """What a replay is to see again.

    Args:
        decide: makes who decides, for one run.
        failures: how it goes wrong, as token.py has it in codes.
        order: as again.py has it; None: nobody knows, and it is played until it goes wrong, or no two wait at once.
        failed: letters of the calls that failed when it was found.
    """

    decide: Callable[[], Decide]
    failures: frozenset[str]
    order: str | None = ""
    failed: frozenset[str] = frozenset()

    @property
    def is_strict(self) -> bool:
        """It is of answers that no serial order gives, over rows that are right."""
        return code_of((Oracle.REPLIES, "")) in self.failures


def sought_of_finding(finding: Finding) -> Sought:
    """Return what a replay of a finding is to see."""
    failed = frozenset(letter for letter, call in finding.calls.items() if "failed" in call.returned)
    return Sought(
        lambda: following(finding.letters),
        codes_of(finding.of_race or finding.fingerprint),
        order_of(finding.events),
        failed,
    )


def sought_of_token(token: Token) -> Sought:
    """Return the same of a token."""
    return Sought(lambda: at_points(token.points), token.failures, None)


def replay(scheduler: Scheduler, program: Program, sought: Sought, *, times: int) -> Iterator[Replay]:
    """Play a schedule of a program again, so many times.

    Raises:
        DatabaseError: the server is gone, or refuses the stage or a check.
    """
    judge = Judge(scheduler, program)
    for _ in range(times):
        for left in reversed(range(TRIES_MAX)):
            run = play_again(lambda: scheduler.play(program, decide=sought.decide()), sought.order or "")
            failure = {} if run.cut else {alarm.fingerprint: alarm for alarm in judge.judge(run).alarms}
            back = _back(failure, sought.failures)
            if back or not left or sought.order is not None or not order_of(run.trace.events):
                break
        is_right = not (failure or run.cut)
        why = why_astray(scheduler, program, run, failed=sought.failed) if is_right else ""
        yield Replay(
            letters=run.letters,
            is_back=bool(back),
            others=tuple(sorted(_told(failure[each]) for each in failure.keys() - back)),
            course=f"cut off, {run.cut}" if run.cut else describe_course(run),
            statements=statements_of(events_of(run.trace)),
            names=tuple(sorted(name or oracle for oracle, name in back)),
            timeline=tuple(timeline_of(run, scheduler.dialect)),
            why_unknown=f"it was cut off, {run.cut}" if run.cut else why,
        )


def _told(alarm: Alarm) -> str:
    also = ", one after the other, too" if alarm.is_serial else ""
    return f"{alarm.name if alarm.fingerprint[1] else alarm.oracle}{also}"


def _back(failure: Mapping[tuple[str, str], Alarm], sought: frozenset[str]) -> set[tuple[str, str]]:
    """Return which failures are those that are sought: what is wrong without a race only where nothing else was sought."""
    known = {each: alarm for each, alarm in failure.items() if code_of(each) in sought}
    back = {each for each, alarm in known.items() if not alarm.is_serial}
    return back or (set(known) if codes_of(known.keys()) == sought else set())


def find_differences(finding: Finding, system: System, replayed: Replay, *, dropped: frozenset[str]) -> list[str]:
    """Return what is not as it was when the finding was made, in sentences."""
    return [
        *_compare_tables(finding, hash_tables(system.metadata, dropped=dropped)),
        *compare_statements(finding, replayed),
    ]


def search_command(finding: Finding) -> str:
    """Return the command that looks for the race."""
    bug = f" --bug {finding.bug}" if finding.bug else ""
    level = f" --isolation '{finding.isolation.value}'" if finding.isolation.value != "read committed" else ""
    engine = find_engine(finding.dialect)
    database = "" if engine.has_server else f" --database {engine.example_url}"
    served = " --served" if finding.is_served else ""
    return f"integrity race {finding.system} {' '.join(finding.operations)}{bug}{level}{served}{database}"


def _compare_tables(finding: Finding, now: dict[str, str]) -> Iterator[str]:
    for table in sorted(finding.tables.keys() | now.keys()):
        named = table if " " in table else f"table {table}"  # other things of a schema have their kind
        if table not in now:
            yield f"{named} is gone"
        elif table not in finding.tables:
            yield f"{named} is new"
        elif finding.tables[table] != now[table]:
            yield f"{named} is defined otherwise"


def compare_statements(finding: Finding, replayed: Replay) -> Iterator[str]:
    """Yield for each call the first statement that is another; what follows it hangs on it."""
    before = statements_of(finding.events)
    for actor in sorted(before):
        now = replayed.statements.get(actor, [])
        for number, (old, new) in enumerate(_pairs(before[actor], now), start=1):
            if old != new:
                operation = finding.calls[actor].operation
                yield f"{actor} = {operation}: statement {number} was {_shown(old)}, is {_shown(new)}"
                break


def _pairs(one: Sequence[str], other: Sequence[str]) -> Iterator[tuple[str, str]]:
    for number in range(max(len(one), len(other))):
        yield tuple(each[number] if number < len(each) else "" for each in (one, other))  # type: ignore[misc]  # a pair


def _shown(sql: str) -> str:
    return f"`{sql}`" if sql else "not there"
