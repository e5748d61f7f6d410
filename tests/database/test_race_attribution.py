"""Whose a statement is, where all calls share one pool: each has its caller's letter, at which the desk does not look."""

import re
import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path
from typing import Any

import pytest

from integrity.engines.target import Target
from integrity.events import listen
from integrity.jobs.request_race import RequestRace
from integrity.jobs.site import open_site
from integrity.project import Project, Settings
from integrity.race.gated.calls import Callers
from integrity.race.gated.postgresql.stand import open_stand
from integrity.race.judge.judge import Judgement
from integrity.race.play.scheduler import PlayedSchedule
from integrity.race.program.program import Program
from integrity.race.program.trace import StepPhase
from integrity.race.search.explore import Budget, explore
from integrity.scenarios.subject import subject_of_curl
from integrity.systems.stage import Stage
from tests.race_app import marked

LETTERS = "ABC"
SCHEDULES = 5_000  # of each way: 10,000


class Attribution:
    """Counts the statements of each actor by the letter in their comments; judges nothing."""

    def __init__(self) -> None:
        self.seen: Counter[tuple[str, str]] = Counter()

    def judge(self, run: PlayedSchedule) -> Judgement:
        assert not run.cut, run.cut
        done = [event for event in run.trace.events if event.phase is not StepPhase.WAITS]
        self.seen.update((event.actor, letter) for event in done for letter in _letters(event.sql))
        return Judgement((), ())


@contextmanager
def functions(target: Target, _folder: Path) -> Iterator[tuple[Any, Program]]:
    with ExitStack() as stack:
        stand = stack.enter_context(open_stand(target))
        callers = Callers()
        stack.callback(callers.close)
        pool = marked.fill_pool(stand.target.text, len(LETTERS) + 1)
        for connection in pool.queue:
            stack.callback(connection.close)
        actors = [callers.actor(lambda letter=letter: marked.call(pool, letter)) for letter in LETTERS]  # type: ignore[misc]
        yield stand.scheduler, Program(tuple(actors), lambda: Stage((), {}), is_captured=True)


@contextmanager
def requests(target: Target, folder: Path) -> Iterator[tuple[Any, Program]]:
    lines = [f"curl -X POST http://127.0.0.1:9/?who={letter}" for letter in LETTERS]
    with ExitStack() as stack:
        project = Project(folder, Settings())
        subject = subject_of_curl(project, lines, "", f"{sys.executable} {marked.__file__}", count=1)
        site = listen(open_site(subject, target, project, RequestRace(), stack))
        yield site.stand.scheduler, site.program()


@pytest.mark.exhaustive
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("way", [functions, requests], ids=lambda way: way.__name__)
def test_no_statement_is_taken_for_anothers_where_calls_share_a_pool(way: Any, database: Target, tmp_path: Path) -> None:
    with closing(database.connect()) as connection:
        connection.execute(marked.SCHEMA)
        connection.commit()
    attribution = Attribution()
    with way(database, tmp_path) as (scheduler, program):
        budget = Budget(preemptions=6, schedules=SCHEDULES)
        found = explore(scheduler, program, budget=budget, judge=attribution, is_pruned=False, stops_at_first=False)
    assert found.coverage.played == SCHEDULES
    wrong = {pair: count for pair, count in attribution.seen.items() if pair[0] != pair[1]}
    told = f"{sum(wrong.values())} of {attribution.seen.total():,} statements in {found.coverage.played:,} schedules"
    print(f"{way.__name__}: {told} were taken for another call's")
    assert wrong == {}
    assert attribution.seen.total() == SCHEDULES * len(LETTERS) * 5


def _letters(sql: str) -> list[str]:
    return re.findall(r"/\* (\w) \*/", sql)
