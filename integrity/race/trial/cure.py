"""Cures: what would have prevented this very schedule. Each is tried on it, none is asserted; remedies.py says which.

The schedule is followed as far as it fits, since a cure makes calls wait that did not wait before. A cure that prevents it
is then searched by itself, for a moment: it may prevent one order and let another through. And so it is with the other
arguments with which these calls go wrong, in whatever way: a level that refuses two writes of one row lets those of two
rows through, and a lock that guards a stock guards no limit.
"""

from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace

from integrity.errors import UsageError
from integrity.operation import Declined, Ok, Unavailable
from integrity.race.judge.contest import Contest, Ground
from integrity.race.judge.judge import Judge, Judgement, Judging
from integrity.race.judge.oracles import OF_DATA, Alarm, Oracle
from integrity.race.play.again import play_again
from integrity.race.play.deadline import BudgetOver
from integrity.race.play.recording import Following, following
from integrity.race.play.scheduler import PlayedSchedule, Scheduler
from integrity.race.program.trace import Failed, told_of_failure, waits_of
from integrity.race.program.wire import StatementRefused
from integrity.race.search.exploration import Exploration
from integrity.race.search.explore import Budget, explore
from integrity.race.trial.arena import Arena
from integrity.race.trial.choices import by_pattern
from integrity.race.trial.holding import Course, find_courses, hold_against
from integrity.race.trial.remedies import Remedy, find_remedies
from integrity.verdict import Verdict

_SEARCH = Budget(preemptions=1, schedules=400)
_SEARCH_OF_OTHERS = Budget(preemptions=1, schedules=100)
_OTHERS_SEARCHED_MAX = 6
_OTHERS_MAX = 3
AS_RACED = "as raced"
_REFUSING = {"constraint": "23", "unique index": "23505"}
_NEEDS_CONSTRAINT = "refused with 42P10"  # `on conflict` without its unique constraint


class NotBack(Exception):
    """The schedule does not go wrong again as it did, with nothing changed: whatever is tried would seem to prevent it."""


@dataclass(frozen=True, slots=True)
class Failing:
    """A schedule, to its end, and how it fails.

    Args:
        order: of those that one commit wakes together, as again.py has it.
        ends: the letters that end a transaction: (actor, number of the actor's letter).
    """

    letters: str
    fingerprint: frozenset[tuple[str, str]]
    order: str = ""
    ends: frozenset[tuple[str, int]] = frozenset()

    @property
    def is_of_data(self) -> bool:
        """The data is wrong, rather than only how calls came out."""
        return any(oracle in OF_DATA for oracle, _ in self.fingerprint)


@dataclass(frozen=True, slots=True)
class Cure:
    """One thing that was tried.

    Args:
        kind, name, sql: as Remedy has them.
        is_prevented: the failure did not come in this schedule.
        story: what came instead, e.g. "B was refused with 40001".
        is_sound: nothing was found with one preemption either; None: not searched, or not to the end.
        schedules: how many that search played.
        choices: of arguments that go wrong without it and not with it, those of the schedule included.
        not_for: the calls with which it still goes wrong in this way.
        but_then: what still goes wrong in another, and with which calls, e.g. "within-limit violated with pay(...)".
        held_against: what goes right one after the other without it, and with it: as raced, other rows, other arguments.
        no_races: calls with which it was not tried, as they go wrong one after the other, too.
    """

    kind: str
    name: str
    is_prevented: bool
    story: str
    is_sound: bool | None = None
    schedules: int = 0
    sql: str = ""
    choices: int = 0
    not_for: tuple[str, ...] = ()
    but_then: tuple[str, ...] = ()
    held_against: tuple[str, ...] = ()
    no_races: tuple[str, ...] = ()

    @property
    def verdict(self) -> str:
        """In words, e.g. "prevented: B was refused with 40001"."""
        if not self.is_prevented:
            return f"not prevented: {self.story}"
        if self.is_sound is False and not self.but_then:
            return f"prevented: {self.story}; but another order still goes wrong"
        if self.but_then:
            return f"prevents this, but then: {'; '.join(self.but_then)}: {self.story}"
        if self.not_for:
            return f"prevented here, but not for {' or '.join(self.not_for)}: {self.story}"
        if self.choices > 1:
            all_of_them = "both" if self.choices == 2 else f"all {self.choices}"
            return f"prevented for {all_of_them} choices of arguments tried: {self.story}"
        return f"prevented: {self.story}"

    @property
    def is_whole(self) -> bool:
        """Nothing that was tried goes wrong with it."""
        return self.is_prevented and self.is_sound is not False and not self.not_for and not self.but_then


def try_cures(arena: Arena, ground: Ground, contest: Contest, failing: Failing) -> list[Cure]:
    """Return every cure that applies, tried: those that prevent all that was tried first, each time what costs least first.

    What was not tried to its end by the arena's deadline is left out.

    Raises:
        NotBack: it does not go wrong with nothing changed.
        DatabaseError: the server is gone.
    """
    cures: list[Cure] = []
    with suppress(BudgetOver):
        for cure in _try_each(arena, ground, contest, failing):
            arena.deadline.check()  # searches end there, with what they have by then
            cures.append(cure)
    return sorted(cures, key=lambda cure: not cure.is_whole)


def _try_each(arena: Arena, ground: Ground, contest: Contest, failing: Failing) -> Iterator[Cure]:
    """Yield every cure that applies, tried, what costs least first."""
    played, serial = _play_as_it_is(arena, contest, failing)
    ends = {(event.actor, event.number) for event in played.trace.events if event.sql in ("commit", "rollback")}
    failing = replace(failing, ends=frozenset(ends))
    if not failing.fingerprint - serial:
        return  # no race, so that nothing that is tried could prevent it
    contest, ground, failing = _without_no_races(contest, ground, failing, serial)
    others, no_races = _find_others(arena, ground, contest, failing)
    courses = find_courses(arena, ground, contest, played.trace.events)
    for remedy in find_remedies(arena, contest, failing.letters):
        cure = _try(arena, contest, remedy, failing, others, courses=courses)
        if remedy.fallback is not None and _NEEDS_CONSTRAINT in cure.story:
            cure = _try(arena, contest, remedy.fallback, failing, others, courses=courses)
        yield replace(cure, no_races=no_races)


def _without_no_races(
    contest: Contest, ground: Ground, failing: Failing, serial: frozenset[tuple[str, str]]
) -> tuple[Contest, Ground, Failing]:
    """Return all without the invariants that are violated one after the other, too.

    Nothing that is tried against a race prevents that, and none is to be blamed for it; neither are they calls that are
    wrong, which a cure may refuse.
    """
    names = {name for _, name in serial}
    checks = tuple(check for check in ground.checks if check.name not in names)
    left = replace(failing, fingerprint=failing.fingerprint - serial)
    return replace(contest, checks=checks), replace(ground, checks=checks), left


def _play_as_it_is(arena: Arena, contest: Contest, failing: Failing) -> tuple[PlayedSchedule, frozenset[tuple[str, str]]]:
    """Return the schedule, gone wrong as it did, and what of that is wrong one after the other, too.

    Raises:
        NotBack: it did not.
    """
    scheduler, program = arena.scheduler(contest.dropped), contest.program()
    played = play_again(lambda: scheduler.play(program, decide=following(failing.letters)), failing.order)
    judgement = None if played.cut else Judge(scheduler, program).judge(played)
    if judgement is None or not failing.fingerprint & judgement.fingerprint:
        raise NotBack
    return played, judgement.fingerprint - judgement.of_race


def describe_course(run: PlayedSchedule) -> str:
    """Return how the calls fared: who waited for whom and what they returned, without those that were simply ok."""
    parts = []
    waited = {event.actor: event.waits_for for event in waits_of(run.trace.events)}
    for actor, returned in sorted(run.trace.returns.items()):
        prefix = f"{actor} waited for {', '.join(waited[actor])}, then " if actor in waited else f"{actor} "
        match returned:
            case Failed():
                parts.append(f"{prefix}{told_of_failure(returned)}")
            case Declined():
                parts.append(f"{prefix}declined: {returned.reason}")
            case Unavailable():
                parts.append(f"{prefix}was unavailable: {returned.reason}")
            case Ok() if actor in waited:
                parts.append(f"{prefix}went on")
            case Ok():
                pass
    return "; ".join(parts) or "all calls returned ok"


def _find_others(arena: Arena, ground: Ground, contest: Contest, failing: Failing) -> tuple[list[Contest], tuple[str, ...]]:
    """Return the contest with other arguments that go wrong, each way to share keys first.

    Of each way to go wrong the first, then some of those that do so as this one or those do. Beside that, calls that go
    wrong as they do one after the other, and no otherwise: they are no race, and nothing that is tried could prevent it.
    """
    choices = (
        contest.part(each.calls) for each in ground.vary(contest.names, bug=contest.bug) if each.calls != contest.calls
    )
    ahead, behind = by_pattern(choices, known=[contest])
    others: list[Contest] = []
    alike: list[Contest] = []
    no_races: list[str] = []
    known = failing.fingerprint
    for other in [*ahead, *behind][:_OTHERS_SEARCHED_MAX]:
        scheduler = arena.scheduler(other.dropped)
        hits = explore(scheduler, other.program(), budget=_SEARCH_OF_OTHERS).hits
        wrong = _kinds(hit.of_race for hit in hits)
        if hits and not wrong:
            no_races.append(" + ".join(map(str, other.calls)))
        if wrong - known:
            known |= wrong
            others.append(other)
        elif wrong:
            alike.append(other)
    return [*others, *alike[:_OTHERS_MAX]], tuple(no_races)


def _try(
    arena: Arena,
    contest: Contest,
    remedy: Remedy,
    failing: Failing,
    others: Sequence[Contest],
    *,
    courses: Sequence[Course],
) -> Cure:
    tried = Cure(remedy.kind, remedy.name, is_prevented=False, story="", sql=remedy.sql)
    cured = remedy.change(contest)
    others = [remedy.change(other) for other in others]
    if cured.added == contest.added:  # what refuses no row by itself is rarely in the way of calls one after the other
        tried = _follow(arena, tried, cured, failing, others)
        if not tried.is_prevented:
            return tried
        held_out = replace(tried, is_prevented=False, is_sound=None, choices=0, not_for=(), but_then=())
        misfit, held = hold_against(arena, courses, remedy.change)
        return _misfitting(held_out, misfit) if misfit else replace(tried, held_against=_words_of(held))
    try:
        misfit, held = hold_against(arena, courses, remedy.change)
    except StatementRefused as refused:
        return replace(tried, story=f"it cannot be made: {refused.reason}")
    except UsageError as error:  # the stage is refused
        return replace(tried, story=f"the rows of the race contradict it: {error.message}")
    if misfit:
        return _misfitting(tried, misfit)
    return replace(_follow(arena, tried, cured, failing, others), held_against=_words_of(held))


def _words_of(courses: Sequence[Course]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(course.words or AS_RACED for course in courses))


def _misfitting(tried: Cure, misfit: str) -> Cure:
    return replace(tried, story=f"calls that are right would be refused{misfit}")


def _follow(arena: Arena, tried: Cure, cured: Contest, failing: Failing, others: Sequence[Contest]) -> Cure:
    refusing = _REFUSING.get(tried.kind, "") if failing.is_of_data else ""
    scheduler = arena.scheduler(cured.dropped, cured.added)
    program = cured.program()
    judge = _judge(scheduler, cured, refusing=refusing)
    follower = Following(program, failing.letters, failing.ends)
    run = scheduler.play(follower.program, decide=follower.decide)
    if run.cut:
        return replace(tried, story=f"it was cut off, {run.cut}")
    failure = judge.judge(run).fingerprint
    story = describe_course(run)
    if failure & failing.fingerprint:
        return replace(tried, story=story)
    if failure:
        wrong = ", ".join(sorted(name or oracle for oracle, name in failure))
        return replace(tried, story=f"another failure came: {wrong}; {story}")
    searched = explore(scheduler, program, budget=_SEARCH, judge=judge)
    otherwise = _kinds(hit.fingerprint for hit in searched.hits) - failing.fingerprint
    is_sound = {Verdict.HOLDS: True, Verdict.VIOLATED: False}.get(searched.verdict)
    tried = replace(tried, is_prevented=True, story=story, is_sound=is_sound, schedules=searched.coverage.played, choices=1)
    if otherwise:
        tried = replace(tried, but_then=(f"{_told(otherwise)} in another order",))
    for other in others if is_sound is not False else ():
        scheduler = arena.scheduler(other.dropped, other.added)
        found = _search(scheduler, other, _SEARCH_OF_OTHERS, refusing=refusing)
        calls = " + ".join(map(str, other.calls))
        kinds = _kinds(hit.fingerprint for hit in found.hits)
        if found.verdict is Verdict.HOLDS:
            tried = replace(tried, choices=tried.choices + 1)
        elif kinds & failing.fingerprint:
            tried = replace(tried, not_for=(*tried.not_for, calls))
        elif kinds:
            tried = replace(tried, but_then=(*tried.but_then, f"{_told(kinds)} with {calls}"))
    return tried


def _kinds(fingerprints: Iterable[frozenset[tuple[str, str]]]) -> frozenset[tuple[str, str]]:
    return frozenset[tuple[str, str]]().union(*fingerprints)


def _told(kinds: frozenset[tuple[str, str]]) -> str:
    """Return failures in words, e.g. "within-limit violated"."""
    told = (
        f"{name} violated" if oracle == Oracle.INVARIANT else f"{oracle}: {name}" if name else str(oracle)
        for oracle, name in sorted(kinds)
    )
    return ", ".join(told)


def _search(scheduler: Scheduler, contest: Contest, budget: Budget, *, refusing: str) -> Exploration:
    judge = _judge(scheduler, contest, refusing=refusing)
    return explore(scheduler, contest.program(), budget=budget, judge=judge)


def _judge(scheduler: Scheduler, contest: Contest, *, refusing: str) -> Judging:
    return _Tolerant(Judge(scheduler, contest.program()), refusing)


@dataclass(frozen=True, slots=True)
class _Tolerant:
    """Judges as another does, but a constraint that keeps wrong data out by refusing a call is a cure.

    What is wrong without a race, too, is held against no cure.

    Args:
        refusing: how the SQLSTATEs of that begin; empty: it refuses nobody.
    """

    judging: Judging
    refusing: str

    def judge(self, run: PlayedSchedule) -> Judgement:
        found = self.judging.judge(run)
        kept = (each for each in found.alarms if not each.is_serial and not self._is_refusal(each))
        return replace(found, alarms=tuple(kept))

    def _is_refusal(self, alarm: Alarm) -> bool:
        return (
            bool(self.refusing)
            and alarm.oracle is Oracle.FAILURE
            and alarm.name.rpartition(": ")[2].startswith(self.refusing)
        )
