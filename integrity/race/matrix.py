"""The race matrix: groups of operations, usually each pair, searched for races with several choices of arguments.

The likeliest choice of each group is searched first, then the second one of each, while the time lasts. A group is sound
when its first choice was searched to the bound and nothing was found; how many more were is said beside it.

With several jobs, processes of their own share the groups, each on a scratch database of its own, which this process makes
and drops: a process that is killed leaves nothing behind.
"""

import multiprocessing
import os
import signal
import threading
import time
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from concurrent.futures import Future, ProcessPoolExecutor, as_completed
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from itertools import combinations_with_replacement
from multiprocessing.queues import Queue

from integrity.engines.target import Target
from integrity.errors import UsageError
from integrity.events import Advanced, Job, Noted
from integrity.race.finding.discovery import finding_of_run, make_finding
from integrity.race.finding.finding import Finding
from integrity.race.judge.checks import LeftOut
from integrity.race.judge.contest import Contest, Ground, survey
from integrity.race.judge.explain import timeline_of
from integrity.race.judge.judge import Judge
from integrity.race.play.scheduler import Scheduler
from integrity.race.program.programs import stage_of
from integrity.race.program.schedule import parse
from integrity.race.search.exploration import Coverage
from integrity.race.search.explore import Budget, explore
from integrity.race.search.settings import RaceSettings, RaceSubject
from integrity.race.trial.cure import describe_course
from integrity.race.trial.scratch import emptying, scratch_database
from integrity.sql.file import SqlFile
from integrity.systems.loading import load_system, with_place
from integrity.systems.reflect import Reflected
from integrity.systems.stage import Stage
from integrity.systems.system import System, SystemReference
from integrity.user_code import as_user_error
from integrity.verdict import Verdict

FINDINGS_MAX = 4  # of one search: of each kind of failure the first
_SECONDS_LEAST = 0.5


@dataclass(frozen=True, slots=True)
class Searched:
    """One group with one choice of arguments, searched.

    Args:
        names: the operations.
        choice: 0 is the likeliest.
        calls: as shown to people.
        finding: of a race, else None; one in which the data goes wrong, if there is one.
        left_out: the invariants that could not be asked.
        others: what else goes wrong: calls that fail, deadlocks.
        apart: of answers that no serial order gives, over rows that are right; None: of none, or they count as findings.
    """

    names: tuple[str, ...]
    choice: int
    calls: tuple[str, ...]
    verdict: Verdict
    coverage: Coverage
    seconds: float
    finding: Finding | None
    left_out: tuple[LeftOut, ...] = ()
    others: tuple[Finding, ...] = ()
    apart: Finding | None = None


@dataclass(slots=True)
class Group:
    """What is known of one group of operations.

    Args:
        searched: its choices, in the order in which they came in.
        is_out_of_choices: there are no more than those.
        fault: what is wrong with the rows that its operations want; None: nothing.
    """

    names: tuple[str, ...]
    searched: list[Searched] = field(default_factory=list)
    is_out_of_choices: bool = False
    fault: UsageError | None = None

    @property
    def verdict(self) -> Verdict:
        """Violated; holds, for the choices that were searched to the bound; unknown when not even the first was."""
        verdicts = [each.verdict for each in self.searched]
        if Verdict.VIOLATED in verdicts:
            return Verdict.VIOLATED
        return next((each.verdict for each in self.searched if each.choice == 0), Verdict.UNKNOWN)

    @property
    def finding(self) -> Finding | None:
        return next((each.finding for each in self.searched if each.finding), None)

    @property
    def others(self) -> tuple[Finding, ...]:
        return next((each.others for each in self.searched if each.finding), ())

    @property
    def apart(self) -> Finding | None:
        return next((each.apart for each in self.searched if each.apart), None)

    @property
    def finished(self) -> list[Searched]:
        """Those searched to the bound, or until a race was found."""
        return [each for each in self.searched if each.verdict is not Verdict.UNKNOWN]


def pairs_of(names: Sequence[str]) -> list[tuple[str, ...]]:
    """Return each pair of operations, each with itself included."""
    return list(combinations_with_replacement(names, 2))


def race_groups(
    target: Target,
    race: RaceSubject,
    groups: Sequence[tuple[str, ...]],
    *,
    test_database: str | None = None,
) -> Job[list[Group]]:
    """Search the groups on scratch databases and return what is known of each, in their order.

    Where operations want rows of their own, the groups of one with wrong rows are left out, and that is noted.

    Raises:
        UsageError: the system has no such operation, or cannot be raced on this target, or by several processes.
        DatabaseError: the server is gone.
    """
    settings = race.settings
    deadline = time.monotonic() + settings.seconds
    known = {names: Group(names) for names in dict.fromkeys(groups)}
    yield Advanced("racing", "", 0, len(known))
    with _searchers(target, race, known, test_database) as search:
        for choice in range(settings.choices_max):
            open_groups = [
                group
                for group in known.values()
                if not (group.is_out_of_choices or group.fault or group.verdict is Verdict.VIOLATED)
            ]
            left = deadline - time.monotonic()
            if not open_groups or (choice and left < _SECONDS_LEAST):
                break
            tasks = [_Task(group.names, choice) for group in open_groups]
            for task, searched in search(tasks, deadline):
                group = known[task.names]
                if isinstance(searched, UsageError):
                    if race.system.rows_of is None or len(known) == 1:
                        raise searched
                    group.fault = searched
                elif searched is None:
                    group.is_out_of_choices = True
                else:
                    group.searched.append(searched)
                    begun = sum(bool(each.searched) for each in known.values())
                    yield Advanced("racing", " + ".join(searched.names), begun, len(known))
    return (yield from _without_faults(list(known.values())))


def _without_faults(groups: list[Group]) -> Job[list[Group]]:
    """Return the groups without those of operations whose own rows are wrong; note each operation, and each other fault.

    Raises:
        UsageError: there is no other group.
    """
    faults = {group.names[0]: group.fault for group in groups if group.fault and len(set(group.names)) == 1}
    left = [group for group in groups if not faults.keys() & set(group.names)]
    faults |= {" + ".join(group.names): group.fault for group in left if group.fault}
    if faults and not any(group.searched for group in left):
        raise next(iter(faults.values()))
    for name, fault in faults.items():
        yield Noted(f"{name} is left out: {fault}")
    return left


@dataclass(frozen=True, slots=True)
class Played:
    """One schedule, played because somebody asked for it.

    Args:
        letters: to its end.
        timeline: what happened, as lines of text.
        course: how the calls fared, in words.
        cut: why it was not played to its end, or empty.
        finding: what is wrong with it, if anything is.
    """

    letters: str
    timeline: list[str]
    course: str
    cut: str
    finding: Finding | None


def play_schedule(
    target: Target,
    race: RaceSubject,
    names: tuple[str, ...],
    schedule: str,
    *,
    test_database: str | None = None,
) -> Played:
    """Play one schedule of calls of these operations, with the likeliest arguments.

    Raises:
        ScheduleError: the schedule cannot be read, or does not fit.
        UsageError: the system cannot be raced on this target.
        DatabaseError: the server is gone.
    """
    system, bug, settings = race.system, race.bug, race.settings
    letters = parse(schedule, actor_count=len(names))
    with (
        scratch_database(target, system, bug=bug, test_database=test_database) as database,
        Scheduler(database) as scheduler,
    ):
        contest = next(
            survey(scheduler, system.raced_as(names), race.files).vary(names, bug=bug, isolation=settings.isolation)
        )
        contest = replace(contest, is_strict=settings.is_strict)
        program = contest.program()
        run = scheduler.play(program, letters)
        finding, course = None, describe_course(run)
        if not run.cut:
            judgement = Judge(scheduler, program).judge(run)
            course += "; no serial order gives these answers, over rows that are right" if judgement.apart else ""
            if judgement.alarms:
                finding = finding_of_run(scheduler, contest, run, judgement, seed=settings.seed)
        lines = timeline_of(run)
        return Played(run.letters, lines, course, run.cut, finding)


@dataclass(frozen=True, slots=True)
class _Task:
    names: tuple[str, ...]
    choice: int


_Found = Searched | UsageError | None
_Search = Callable[[Sequence[_Task], float], Iterator[tuple[_Task, _Found]]]


class _Searcher:
    """Searches groups on one scratch database.

    Args:
        system_of: the system as a race of a group has it.
    """

    def __init__(self, scheduler: Scheduler, race: RaceSubject, system_of: Callable[[tuple[str, ...]], System]) -> None:
        self._scheduler = scheduler
        self._settings = race.settings
        self._bug = race.bug
        self._files = race.files
        self._system_of = system_of
        self._grounds: dict[tuple[str, ...], Ground] = {}

    def search(self, task: _Task, seconds: float) -> _Found:
        """Return what was found, None when the group has no such choice, or why it has no rows to be played on."""
        settings = self._settings
        try:
            ground = self._ground_of(task.names)
            contests = ground.vary(task.names, bug=self._bug, isolation=settings.isolation)
            contest = next((each for number, each in enumerate(contests) if number == task.choice), None)
        except UsageError as error:
            return error
        if contest is None:
            return None
        contest = replace(contest, is_strict=settings.is_strict)
        return search_contest(self._scheduler, ground, contest, settings, choice=task.choice, seconds=seconds)

    def _ground_of(self, names: tuple[str, ...]) -> Ground:
        """Return the ground of a group: one for all where they all are played on the same rows."""
        system = self._system_of(names)
        if system.raced not in self._grounds:
            self._grounds[system.raced] = survey(self._scheduler, system, self._files)
        return self._grounds[system.raced]


def search_contest(
    scheduler: Scheduler, ground: Ground, contest: Contest, settings: RaceSettings, *, choice: int, seconds: float
) -> Searched:
    """Search one contest and return what was found, each shrunk."""
    program = contest.program()
    budget = Budget(preemptions=settings.preemptions, schedules=settings.schedules, seconds=seconds)
    kept = [schedule for names, schedule in settings.kept if names == contest.names]
    found = explore(scheduler, program, budget=budget, seed=settings.seed, kept=kept)
    findings = [make_finding(scheduler, ground, contest, hit, seed=settings.seed) for hit in found.hits[:FINDINGS_MAX]]
    strict = replace(contest, is_strict=True)
    apart = [make_finding(scheduler, ground, strict, hit, seed=settings.seed) for hit in found.apart[:1]]
    return Searched(
        names=contest.names,
        choice=choice,
        calls=tuple(map(str, contest.calls)),
        verdict=found.verdict,
        coverage=found.coverage,
        seconds=found.seconds,
        finding=findings[0] if findings else None,
        left_out=ground.left_out,
        others=tuple(findings[1:]),
        apart=apart[0] if apart else None,
    )


@contextmanager
def _searchers(
    target: Target, race: RaceSubject, groups: Collection[tuple[str, ...]], test_database: str | None
) -> Iterator[_Search]:
    """Yield what searches tasks, in this process or in several."""
    system, jobs = race.system, race.settings.jobs
    if jobs > 1 and system.reference is None:
        system = with_place(system)
        race = replace(race, system=system)
    if jobs > 1 and system.reference is None:
        raise UsageError(
            f"system {system.name} was passed as an object, and other processes cannot be told where to find it",
            hint="Search in one job; or make it in a module that they can import, not in the script that runs.",
        )
    with ExitStack() as stack:
        databases = [
            stack.enter_context(scratch_database(target, system, bug=race.bug, test_database=test_database))
            for _ in range(jobs)
        ]
        if jobs == 1:
            searcher = _Searcher(stack.enter_context(_scheduler(databases[0], system)), race, system.raced_as)
            yield lambda tasks, deadline: _search_here(searcher, tasks, deadline)
        else:
            yield stack.enter_context(_processes(databases, race, groups))


def _scheduler(database: Target, system: System) -> Scheduler:
    return Scheduler(database, emptying=emptying(database, system))


def _search_here(searcher: _Searcher, tasks: Sequence[_Task], deadline: float) -> Iterator[tuple[_Task, _Found]]:
    for number, task in enumerate(tasks):
        left = deadline - time.monotonic()
        yield task, searcher.search(task, max(_SECONDS_LEAST, left / (len(tasks) - number)))


@contextmanager
def _processes(databases: list[Target], race: RaceSubject, groups: Collection[tuple[str, ...]]) -> Iterator[_Search]:
    context = multiprocessing.get_context("spawn")  # a forked process would end the connections of this one
    urls: Queue[str] = context.Queue()
    for database in databases:
        urls.put(database.text)
    assert race.system.reference is not None
    # A system is functions: a reference to it crosses, and the name of a bug.
    reflected = None
    if isinstance(race.system.metadata, Reflected):
        systems = {names: race.system.raced_as(names) for names in groups}
        reflected = race.system.metadata, {names: (each.raced, stage_of(each)()) for names, each in systems.items()}
    given = (urls, _Sent(race.system.reference, reflected), race.bug.name if race.bug else None, race.settings, race.files)
    pool = ProcessPoolExecutor(len(databases), mp_context=context, initializer=_start_process, initargs=given)

    def search(tasks: Sequence[_Task], deadline: float) -> Iterator[tuple[_Task, _Found]]:
        seconds = max(_SECONDS_LEAST, (deadline - time.monotonic()) * len(databases) / len(tasks))
        futures: dict[Future[_Found], _Task] = {pool.submit(_search_in_process, task, seconds): task for task in tasks}
        for future in as_completed(futures):
            yield futures[future], future.result()

    strangers = set(multiprocessing.active_children())
    try:
        yield search
    finally:
        # Their databases are dropped next. One that just starts would miss what it was to share, and say so.
        pool.shutdown(wait=False, cancel_futures=True)
        for process in set(multiprocessing.active_children()) - strangers:
            process.kill()


@dataclass(frozen=True, slots=True)
class _Sent:
    """What of a system crosses to another process: where it is found, and what was read of a database for it."""

    reference: SystemReference
    reflected: tuple[Reflected, Mapping[tuple[str, ...], tuple[tuple[str, ...], Stage]]] | None


# What a pool's process keeps from task to task: it has no other place.
_make_searcher: Callable[[], _Searcher] | None = None
_searcher: list[_Searcher] = []


def _start_process(
    urls: "Queue[str]",
    sent: _Sent,
    bug_name: str | None,
    settings: RaceSettings,
    files: Sequence[SqlFile],
) -> None:
    global _make_searcher  # noqa: PLW0603
    threading.Thread(target=_end_with_parent, daemon=True).start()
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent process is interrupted, too, and ends this one

    def make_searcher() -> _Searcher:
        system = load_system(sent.reference)
        if sent.reflected is not None:  # a scratch database lacks what a bug leaves out, and would read as another one
            metadata, stages = sent.reflected
            system = replace(system, metadata=metadata)

        def system_of(names: tuple[str, ...]) -> System:
            if sent.reflected is None:
                return system
            raced, stage = stages[names]
            return replace(system, stage=lambda: stage, raced=raced)

        bug = system.find_bug(bug_name) if bug_name else None
        race = RaceSubject(system, files, settings, bug)
        return _Searcher(_scheduler(Target.parse(urls.get()), system), race, system_of)

    _make_searcher = make_searcher


def _end_with_parent() -> None:
    """End when the parent process was killed: nobody else would tell this one, which would go on and wait for ever."""
    parent = multiprocessing.parent_process()
    assert parent is not None
    parent.join()
    os._exit(1)


def _search_in_process(task: _Task, seconds: float) -> _Found:
    try:
        if not _searcher:  # not when the process starts: an error there would be a broken pool, and not be told
            assert _make_searcher is not None
            _searcher.append(_make_searcher())
        return _searcher[0].search(task, seconds)
    except Exception as error:
        if user_error := as_user_error(error):  # told here: the places that it came through do not cross to the parent
            raise user_error from error
        raise
