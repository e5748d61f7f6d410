"""Searchers: one in this process, or several in processes of their own, each on a scratch database.

This process makes the databases and drops them: a process that is killed leaves nothing behind.
"""

import multiprocessing
import os
import signal
import threading
import time
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from concurrent.futures import Future, ProcessPoolExecutor, as_completed
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass, replace
from multiprocessing.queues import Queue

from integrity.engines.target import Target
from integrity.errors import UsageError
from integrity.race.play.scheduler import Scheduler
from integrity.race.program.programs import stage_of
from integrity.race.search.settings import RaceSettings, RaceSubject
from integrity.race.searcher import Found, Searcher, Task
from integrity.race.trial.scratch import emptying, scratch_database
from integrity.sql.file import SqlFile
from integrity.systems.loading import load_system, with_place
from integrity.systems.reflect import Reflected
from integrity.systems.stage import Stage
from integrity.systems.system import System, SystemReference
from integrity.user_code import as_user_error

SECONDS_LEAST = 0.5
Search = Callable[[Sequence[Task], float], Iterator[tuple[Task, Found]]]
OpenSearchers = Callable[[Target, RaceSubject, Collection[tuple[str, ...]], str | None], AbstractContextManager[Search]]


@contextmanager
def open_searchers(
    target: Target, race: RaceSubject, groups: Collection[tuple[str, ...]], test_database: str | None
) -> Iterator[Search]:
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
            searcher = Searcher(stack.enter_context(_scheduler(databases[0], system)), race, system.raced_as)
            yield lambda tasks, deadline: search_here(searcher, tasks, deadline)
        else:
            yield stack.enter_context(_processes(databases, race, groups))


def _scheduler(database: Target, system: System) -> Scheduler:
    return Scheduler(database, emptying=emptying(database, system))


def search_here(searcher: Searcher, tasks: Sequence[Task], deadline: float) -> Iterator[tuple[Task, Found]]:
    """Search tasks one behind the other, in this process; yield each with what was found."""
    for number, task in enumerate(tasks):
        left = deadline - time.monotonic()
        yield task, searcher.search(task, max(SECONDS_LEAST, left / (len(tasks) - number)), ends_at=deadline)


@contextmanager
def _processes(databases: list[Target], race: RaceSubject, groups: Collection[tuple[str, ...]]) -> Iterator[Search]:
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

    def search(tasks: Sequence[Task], deadline: float) -> Iterator[tuple[Task, Found]]:
        seconds = max(SECONDS_LEAST, (deadline - time.monotonic()) * len(databases) / len(tasks))
        futures: dict[Future[Found], Task] = {
            pool.submit(_search_in_process, task, seconds, deadline): task for task in tasks
        }
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
_make_searcher: Callable[[], Searcher] | None = None
_searcher: list[Searcher] = []


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

    def make_searcher() -> Searcher:
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
        return Searcher(_scheduler(Target.parse(urls.get()), system), race, system_of)

    _make_searcher = make_searcher


def _end_with_parent() -> None:
    """End when the parent process was killed: nobody else would tell this one, which would go on and wait for ever."""
    parent = multiprocessing.parent_process()
    assert parent is not None
    parent.join()
    os._exit(1)


def _search_in_process(task: Task, seconds: float, ends_at: float) -> Found:
    try:
        if not _searcher:  # not when the process starts: an error there would be a broken pool, and not be told
            assert _make_searcher is not None
            _searcher.append(_make_searcher())
        return _searcher[0].search(task, seconds, ends_at=ends_at)
    except Exception as error:
        if user_error := as_user_error(error):  # told here: the places that it came through do not cross to the parent
            raise user_error from error
        raise
